//! Work that goes on whether or not its stream is polled.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{runtime::Handle, task::JoinHandle};

use crate::{
    error::{Error, Result},
    exec::Executor,
};

/// Work that goes on whether or not its stream is polled, and when the task is dropped.
///
/// Were an insert polled by its stream alone, it would keep a connection checked out while the
/// program does something else in between, which may wait for that very connection. And while
/// the server is busy with some chunks, the program can make the next.
#[derive(Debug)]
pub(super) struct Task<T>(JoinHandle<T>);

/// Where tasks can be started.
#[derive(Debug)]
pub(super) struct Background {
    runtime: Handle,
    executor: Executor,
}

impl Background {
    /// # Errors
    /// An internal error outside of a runtime.
    pub(super) fn of(executor: &Executor) -> Result<Self> {
        let runtime = Handle::try_current()
            .ok()
            .or_else(|| executor.topology().runtime());
        let runtime = runtime.ok_or_else(|| {
            Error::internal("a tokio runtime is needed to work on a file in GridFS")
        })?;
        Ok(Self {
            runtime,
            executor: executor.clone(),
        })
    }

    /// Starts a task, which a shutdown of the client waits for.
    pub(super) fn start<F>(&self, future: F) -> Task<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let in_progress = self.executor.begin_background_operation();
        Task(self.runtime.spawn(async move {
            let output = future.await;
            drop(in_progress);
            output
        }))
    }
}

impl<T> Task<T> {
    pub(super) fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        Pin::new(&mut self.0).poll(context).map_err(|error| {
            Error::internal(format!("work on a file in GridFS was ended: {error}"))
        })
    }
}
