//! Work that goes on whether or not its stream is polled.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use tokio::task::JoinHandle;

use crate::{
    error::{Error, Result},
    exec::Detached,
    process::Process,
};

/// Work that goes on whether or not its stream is polled, and when the task is dropped.
///
/// Were an insert polled by its stream alone, it would keep a connection checked out while the
/// program does something else in between, which may wait for that very connection. And while
/// the server is busy with some chunks, the program can make the next.
#[derive(Debug)]
pub(super) struct Task<T> {
    handle: JoinHandle<T>,
    process: Process,
}

impl<T: Send + 'static> Task<T> {
    /// Starts a task.
    pub(super) fn start(
        detached: Detached,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Self {
        Self {
            handle: detached.spawn(future),
            process: Process::current(),
        }
    }
}

impl<T> Task<T> {
    pub(super) fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        self.process.check()?;
        Pin::new(&mut self.handle).poll(context).map_err(|error| {
            Error::internal(format!("work on a file in GridFS was ended: {error}"))
        })
    }
}
