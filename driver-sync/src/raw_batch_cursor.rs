//! Whole batches, as the server sent them; like [`motorcade::raw_batch_cursor`].

use std::time::Duration;

use motorcade::error::Result;
pub use motorcade::raw_batch_cursor::RawBatch;

use crate::{ClientSession, runtime};

/// Like [`motorcade::raw_batch_cursor::RawBatchCursor`], but an [`Iterator`].
#[derive(Debug)]
pub struct RawBatchCursor {
    inner: motorcade::raw_batch_cursor::RawBatchCursor,
}

impl RawBatchCursor {
    pub(crate) fn new(inner: motorcade::raw_batch_cursor::RawBatchCursor) -> Self {
        Self { inner }
    }

    /// Like [`motorcade::raw_batch_cursor::RawBatchCursor::has_next`].
    pub fn has_next(&self) -> bool {
        self.inner.has_next()
    }

    /// Like [`motorcade::raw_batch_cursor::RawBatchCursor::is_exhausted`].
    pub fn is_exhausted(&self) -> bool {
        self.inner.is_exhausted()
    }

    /// Like [`motorcade::raw_batch_cursor::RawBatchCursor::close`].
    #[track_caller]
    pub fn close(&mut self) -> Result<()> {
        runtime::block_on_unless_ready(self.inner.close())?
    }

    /// Like [`motorcade::raw_batch_cursor::RawBatchCursor::close_within`].
    #[track_caller]
    pub fn close_within(&mut self, timeout: Duration) -> Result<()> {
        runtime::block_on_unless_ready(self.inner.close_within(timeout))?
    }
}

impl Iterator for RawBatchCursor {
    type Item = Result<RawBatch>;

    #[track_caller]
    fn next(&mut self) -> Option<Result<RawBatch>> {
        runtime::next(&mut self.inner)
    }
}

/// Like [`motorcade::raw_batch_cursor::SessionRawBatchCursor`], but blocking.
#[derive(Debug)]
pub struct SessionRawBatchCursor {
    inner: motorcade::raw_batch_cursor::SessionRawBatchCursor,
}

impl SessionRawBatchCursor {
    pub(crate) fn new(inner: motorcade::raw_batch_cursor::SessionRawBatchCursor) -> Self {
        Self { inner }
    }

    /// Like [`motorcade::raw_batch_cursor::SessionRawBatchCursor::stream`], but an [`Iterator`].
    pub fn iter<'session>(
        &mut self,
        session: &'session mut ClientSession,
    ) -> SessionRawBatchCursorIter<'_, 'session> {
        SessionRawBatchCursorIter {
            inner: self.inner.stream(session.inner()),
        }
    }

    /// Like [`motorcade::raw_batch_cursor::SessionRawBatchCursor::has_next`].
    pub fn has_next(&self) -> bool {
        self.inner.has_next()
    }

    /// Like [`motorcade::raw_batch_cursor::SessionRawBatchCursor::is_exhausted`].
    pub fn is_exhausted(&self) -> bool {
        self.inner.is_exhausted()
    }

    /// Like [`motorcade::raw_batch_cursor::SessionRawBatchCursor::close`].
    #[track_caller]
    pub fn close(&mut self, session: &mut ClientSession) -> Result<()> {
        runtime::block_on_unless_ready(self.inner.close(session.inner()))?
    }

    /// Like [`motorcade::raw_batch_cursor::SessionRawBatchCursor::close_within`].
    #[track_caller]
    pub fn close_within(&mut self, session: &mut ClientSession, timeout: Duration) -> Result<()> {
        runtime::block_on_unless_ready(self.inner.close_within(session.inner(), timeout))?
    }
}

/// Like [`motorcade::raw_batch_cursor::SessionRawBatchCursorStream`], but an [`Iterator`].
#[derive(Debug)]
pub struct SessionRawBatchCursorIter<'cursor, 'session> {
    inner: motorcade::raw_batch_cursor::SessionRawBatchCursorStream<'cursor, 'session>,
}

impl Iterator for SessionRawBatchCursorIter<'_, '_> {
    type Item = Result<RawBatch>;

    #[track_caller]
    fn next(&mut self) -> Option<Result<RawBatch>> {
        runtime::next(&mut self.inner)
    }
}
