//! How far an upload or download has come.

use std::fmt;

/// How far the upload or download of a whole file has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GridFsProgress {
    /// How many bytes have been handed over so far.
    pub transferred: u64,
    /// How many bytes the file has; `None` during an upload, when only its source knows.
    pub length: Option<u64>,
}

/// What the caller wants to be told while a file is transferred, if anything.
pub(crate) struct ProgressCallback<'a> {
    callback: Option<Box<dyn FnMut(GridFsProgress) + Send + 'a>>,
    transferred: u64,
}

impl<'a> ProgressCallback<'a> {
    pub(crate) fn none() -> Self {
        Self {
            callback: None,
            transferred: 0,
        }
    }

    pub(crate) fn new(callback: impl FnMut(GridFsProgress) + Send + 'a) -> Self {
        Self {
            callback: Some(Box::new(callback)),
            transferred: 0,
        }
    }

    /// Tells that so many more bytes have been handed over.
    pub(crate) fn advance(&mut self, bytes: usize, length: Option<u64>) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.transferred = self.transferred.saturating_add(bytes);
        if let Some(callback) = &mut self.callback {
            callback(GridFsProgress {
                transferred: self.transferred,
                length,
            });
        }
    }
}

impl fmt::Debug for ProgressCallback<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProgressCallback")
            .field("transferred", &self.transferred)
            .finish_non_exhaustive()
    }
}
