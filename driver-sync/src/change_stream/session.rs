//! Like [`motorcade::change_stream::session`], but blocking.

use std::time::Duration;

use motorcade::{bson::RawDocument, change_stream::event::ResumeToken, error::Result};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{ClientSession, runtime};

/// Like [`motorcade::change_stream::session::SessionChangeStream`], but blocking.
#[derive(Debug)]
pub struct SessionChangeStream<T> {
    inner: motorcade::change_stream::session::SessionChangeStream<T>,
}

impl<T> SessionChangeStream<T> {
    pub(crate) fn new(inner: motorcade::change_stream::session::SessionChangeStream<T>) -> Self {
        Self { inner }
    }

    /// Like [`motorcade::change_stream::session::SessionChangeStream::resume_token`].
    pub fn resume_token(&self) -> Option<ResumeToken> {
        self.inner.resume_token()
    }

    /// Like [`motorcade::change_stream::session::SessionChangeStream::is_alive`].
    pub fn is_alive(&self) -> bool {
        self.inner.is_alive()
    }

    /// Like [`motorcade::change_stream::session::SessionChangeStream::with_type`].
    pub fn with_type<D>(self) -> SessionChangeStream<D> {
        SessionChangeStream::new(self.inner.with_type())
    }

    /// Like [`motorcade::change_stream::session::SessionChangeStream::advance`].
    #[track_caller]
    pub fn advance(&mut self, session: &mut ClientSession) -> Result<bool> {
        runtime::block_on_unless_ready(self.inner.advance(session.inner()))?
    }

    /// Like [`motorcade::change_stream::session::SessionChangeStream::try_advance`].
    #[track_caller]
    pub fn try_advance(&mut self, session: &mut ClientSession) -> Result<bool> {
        runtime::block_on_unless_ready(self.inner.try_advance(session.inner()))?
    }

    /// Like [`motorcade::change_stream::session::SessionChangeStream::current`].
    #[track_caller]
    pub fn current(&self) -> &RawDocument {
        self.inner.current()
    }

    /// Like [`motorcade::change_stream::session::SessionChangeStream::deserialize_current`].
    pub fn deserialize_current<'a>(&'a self) -> Result<T>
    where
        T: Deserialize<'a>,
    {
        self.inner.deserialize_current()
    }

    /// Like [`motorcade::change_stream::session::SessionChangeStream::close`].
    #[track_caller]
    pub fn close(&mut self, session: &mut ClientSession) -> Result<()> {
        runtime::block_on_unless_ready(self.inner.close(session.inner()))?
    }

    /// Like [`motorcade::change_stream::session::SessionChangeStream::close_within`].
    #[track_caller]
    pub fn close_within(&mut self, session: &mut ClientSession, timeout: Duration) -> Result<()> {
        runtime::block_on_unless_ready(self.inner.close_within(session.inner(), timeout))?
    }
}

impl<T: DeserializeOwned> SessionChangeStream<T> {
    /// Like [`motorcade::change_stream::session::SessionChangeStream::next`].
    #[track_caller]
    pub fn next(&mut self, session: &mut ClientSession) -> Result<Option<T>> {
        runtime::block_on_unless_ready(self.inner.next(session.inner()))?
    }

    /// Like [`motorcade::change_stream::session::SessionChangeStream::next_if_any`].
    #[track_caller]
    pub fn next_if_any(&mut self, session: &mut ClientSession) -> Result<Option<T>> {
        runtime::block_on_unless_ready(self.inner.next_if_any(session.inner()))?
    }
}
