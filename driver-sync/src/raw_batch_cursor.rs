//! Whole batches, as the server sent them; like [`motorcade::raw_batch_cursor`].

use std::{future::poll_fn, pin::Pin};

use futures_core::Stream;
use motorcade::error::{Error, Result};
pub use motorcade::raw_batch_cursor::RawBatch;

use crate::runtime;

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
}

impl Iterator for RawBatchCursor {
    type Item = Result<RawBatch>;

    #[track_caller]
    fn next(&mut self) -> Option<Result<RawBatch>> {
        let next = poll_fn(|context| Pin::new(&mut self.inner).poll_next(context));
        runtime::block_on_unless_ready(next).unwrap_or_else(|error: Error| Some(Err(error)))
    }
}
