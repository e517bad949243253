//! The blocking cursor of a session.

use std::time::Duration;

use motorcade::{
    bson::{Document, RawDocument},
    error::{Error, Result},
};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{ClientSession, runtime};

/// Like [`motorcade::SessionCursor`], but blocking.
#[derive(Debug)]
pub struct SessionCursor<T> {
    inner: motorcade::SessionCursor<T>,
}

impl<T> SessionCursor<T> {
    pub(crate) fn new(inner: motorcade::SessionCursor<T>) -> Self {
        Self { inner }
    }

    /// Like [`motorcade::SessionCursor::advance`].
    #[track_caller]
    pub fn advance(&mut self, session: &mut ClientSession) -> Result<bool> {
        runtime::block_on_unless_ready(self.inner.advance(session.inner()))?
    }

    /// Like [`motorcade::SessionCursor::try_advance`].
    #[track_caller]
    pub fn try_advance(&mut self, session: &mut ClientSession) -> Result<bool> {
        runtime::block_on_unless_ready(self.inner.try_advance(session.inner()))?
    }

    /// Like [`motorcade::SessionCursor::current`].
    pub fn current(&self) -> &RawDocument {
        self.inner.current()
    }

    /// Like [`motorcade::SessionCursor::has_next`].
    pub fn has_next(&self) -> bool {
        self.inner.has_next()
    }

    /// Like [`motorcade::SessionCursor::is_exhausted`].
    pub fn is_exhausted(&self) -> bool {
        self.inner.is_exhausted()
    }

    /// Like [`motorcade::SessionCursor::deserialize_current`].
    pub fn deserialize_current<'a>(&'a self) -> Result<T>
    where
        T: Deserialize<'a>,
    {
        self.inner.deserialize_current()
    }

    /// Like [`motorcade::SessionCursor::with_type`].
    pub fn with_type<D>(self) -> SessionCursor<D> {
        SessionCursor::new(self.inner.with_type())
    }

    /// Like [`motorcade::SessionCursor::close`].
    #[track_caller]
    pub fn close(&mut self, session: &mut ClientSession) -> Result<()> {
        runtime::block_on_unless_ready(self.inner.close(session.inner()))?
    }

    /// Like [`motorcade::SessionCursor::close_within`].
    #[track_caller]
    pub fn close_within(&mut self, session: &mut ClientSession, timeout: Duration) -> Result<()> {
        runtime::block_on_unless_ready(self.inner.close_within(session.inner(), timeout))?
    }
}

impl<T: DeserializeOwned> SessionCursor<T> {
    /// Like [`motorcade::SessionCursor::stream`], but an [`Iterator`].
    pub fn iter<'session>(
        &mut self,
        session: &'session mut ClientSession,
    ) -> SessionCursorIter<'_, 'session, T> {
        SessionCursorIter {
            inner: self.inner.stream(session.inner()),
        }
    }

    /// Like [`motorcade::SessionCursor::next`].
    #[track_caller]
    pub fn next(&mut self, session: &mut ClientSession) -> Option<Result<T>> {
        runtime::block_on_unless_ready(self.inner.next(session.inner()))
            .unwrap_or_else(|error: Error| Some(Err(error)))
    }

    /// Like [`motorcade::SessionCursor::to_vec`].
    #[track_caller]
    pub fn to_vec(&mut self, session: &mut ClientSession) -> Result<Vec<T>> {
        runtime::block_on_unless_ready(self.inner.to_vec(session.inner()))?
    }

    /// Like [`motorcade::SessionCursor::next_many`].
    #[track_caller]
    pub fn next_many(&mut self, session: &mut ClientSession, at_most: usize) -> Result<Vec<T>> {
        runtime::block_on_unless_ready(self.inner.next_many(session.inner(), at_most))?
    }
}

/// Like [`motorcade::SessionCursorStream`], but an [`Iterator`].
#[derive(Debug)]
pub struct SessionCursorIter<'cursor, 'session, T = Document> {
    inner: motorcade::SessionCursorStream<'cursor, 'session, T>,
}

impl<T: DeserializeOwned> Iterator for SessionCursorIter<'_, '_, T> {
    type Item = Result<T>;

    #[track_caller]
    fn next(&mut self) -> Option<Result<T>> {
        runtime::next(&mut self.inner)
    }
}
