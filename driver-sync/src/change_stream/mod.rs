//! Like [`motorcade::change_stream`], but blocking.

pub mod session;

use std::time::Duration;

pub use motorcade::change_stream::event;
use motorcade::{bson::RawDocument, change_stream::event::ResumeToken, error::Result};
use serde::{Deserialize, de::DeserializeOwned};

use crate::runtime;

/// Like [`motorcade::change_stream::ChangeStream`], but an [`Iterator`].
///
/// Events come from the batch at hand first; only the next batch needs the network. To do something
/// else while nothing happens, use [`ChangeStream::next_if_any`]: the iterator waits for an event.
#[derive(Debug)]
pub struct ChangeStream<T> {
    inner: motorcade::change_stream::ChangeStream<T>,
}

impl<T> ChangeStream<T> {
    pub(crate) fn new(inner: motorcade::change_stream::ChangeStream<T>) -> Self {
        Self { inner }
    }

    /// Like [`motorcade::change_stream::ChangeStream::resume_token`].
    pub fn resume_token(&self) -> Option<ResumeToken> {
        self.inner.resume_token()
    }

    /// Like [`motorcade::change_stream::ChangeStream::is_alive`].
    pub fn is_alive(&self) -> bool {
        self.inner.is_alive()
    }

    /// Like [`motorcade::change_stream::ChangeStream::with_type`].
    pub fn with_type<D>(self) -> ChangeStream<D> {
        ChangeStream::new(self.inner.with_type())
    }

    /// Like [`motorcade::change_stream::ChangeStream::advance`].
    #[track_caller]
    pub fn advance(&mut self) -> Result<bool> {
        runtime::block_on_unless_ready(self.inner.advance())?
    }

    /// Like [`motorcade::change_stream::ChangeStream::try_advance`].
    #[track_caller]
    pub fn try_advance(&mut self) -> Result<bool> {
        runtime::block_on_unless_ready(self.inner.try_advance())?
    }

    /// Like [`motorcade::change_stream::ChangeStream::current`].
    #[track_caller]
    pub fn current(&self) -> &RawDocument {
        self.inner.current()
    }

    /// Like [`motorcade::change_stream::ChangeStream::deserialize_current`].
    pub fn deserialize_current<'a>(&'a self) -> Result<T>
    where
        T: Deserialize<'a>,
    {
        self.inner.deserialize_current()
    }

    /// Like [`motorcade::change_stream::ChangeStream::close`].
    #[track_caller]
    pub fn close(&mut self) -> Result<()> {
        runtime::block_on_unless_ready(self.inner.close())?
    }

    /// Like [`motorcade::change_stream::ChangeStream::close_within`].
    #[track_caller]
    pub fn close_within(&mut self, timeout: Duration) -> Result<()> {
        runtime::block_on_unless_ready(self.inner.close_within(timeout))?
    }
}

impl<T: DeserializeOwned> ChangeStream<T> {
    /// Like [`motorcade::change_stream::ChangeStream::next_if_any`].
    #[track_caller]
    pub fn next_if_any(&mut self) -> Result<Option<T>> {
        runtime::block_on_unless_ready(self.inner.next_if_any())?
    }
}

impl<T: DeserializeOwned> Iterator for ChangeStream<T> {
    type Item = Result<T>;

    #[track_caller]
    fn next(&mut self) -> Option<Result<T>> {
        runtime::next(&mut self.inner)
    }
}
