//! The blocking cursor.

use std::time::Duration;

use motorcade::{bson::RawDocument, error::Result};
use serde::{Deserialize, de::DeserializeOwned};

use crate::runtime;

/// Like [`motorcade::Cursor`], but an [`Iterator`].
///
/// Documents come from the batch at hand first; only the next batch needs the network.
#[derive(Debug)]
pub struct Cursor<T> {
    inner: motorcade::Cursor<T>,
}

impl<T> Cursor<T> {
    pub(crate) fn new(inner: motorcade::Cursor<T>) -> Self {
        Self { inner }
    }

    /// Like [`motorcade::Cursor::advance`].
    #[track_caller]
    pub fn advance(&mut self) -> Result<bool> {
        runtime::block_on_unless_ready(self.inner.advance())?
    }

    /// Like [`motorcade::Cursor::try_advance`].
    #[track_caller]
    pub fn try_advance(&mut self) -> Result<bool> {
        runtime::block_on_unless_ready(self.inner.try_advance())?
    }

    /// Like [`motorcade::Cursor::current`].
    pub fn current(&self) -> &RawDocument {
        self.inner.current()
    }

    /// Like [`motorcade::Cursor::has_next`].
    pub fn has_next(&self) -> bool {
        self.inner.has_next()
    }

    /// Like [`motorcade::Cursor::is_exhausted`].
    pub fn is_exhausted(&self) -> bool {
        self.inner.is_exhausted()
    }

    /// Like [`motorcade::Cursor::deserialize_current`].
    pub fn deserialize_current<'a>(&'a self) -> Result<T>
    where
        T: Deserialize<'a>,
    {
        self.inner.deserialize_current()
    }

    /// Like [`motorcade::Cursor::with_type`].
    pub fn with_type<D>(self) -> Cursor<D> {
        Cursor::new(self.inner.with_type())
    }

    /// Like [`motorcade::Cursor::close`].
    #[track_caller]
    pub fn close(&mut self) -> Result<()> {
        runtime::block_on_unless_ready(self.inner.close())?
    }

    /// Like [`motorcade::Cursor::close_within`].
    #[track_caller]
    pub fn close_within(&mut self, timeout: Duration) -> Result<()> {
        runtime::block_on_unless_ready(self.inner.close_within(timeout))?
    }
}

impl<T: DeserializeOwned> Cursor<T> {
    /// Like [`motorcade::Cursor::to_vec`].
    #[track_caller]
    pub fn to_vec(&mut self) -> Result<Vec<T>> {
        runtime::block_on_unless_ready(self.inner.to_vec())?
    }

    /// Like [`motorcade::Cursor::next_many`].
    #[track_caller]
    pub fn next_many(&mut self, at_most: usize) -> Result<Vec<T>> {
        runtime::block_on_unless_ready(self.inner.next_many(at_most))?
    }
}

impl<T: DeserializeOwned> Iterator for Cursor<T> {
    type Item = Result<T>;

    #[track_caller]
    fn next(&mut self) -> Option<Result<T>> {
        runtime::next(&mut self.inner)
    }
}
