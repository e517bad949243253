//! The runtime on which all blocking clients of the process do their work.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::OnceLock,
    task::{Context, Poll, Waker},
};

use futures_core::Stream;
use motorcade::{
    error::{Error, Result},
    internal::process::PerProcess,
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::Mutex,
};

/// A forked child makes its own: the threads of its parent's are not there. Nothing drops the
/// parent's, which would take the parent's sockets out of the epoll instance that both share.
static RUNTIME: PerProcess<OnceLock<Runtime>> = PerProcess::new();

/// The runtime, made when it is first needed.
///
/// One worker thread waits for the sockets and runs the requests of cursors; each caller's thread
/// polls its other operations. Background work runs on the driver's own runtime. A runtime that the caller's own thread drives, with a thread that takes
/// over when nobody calls, was tried (2026-11-23, find_one from one thread, CPU next to the async
/// driver's): 1.08 times instead of 1.18 unpinned, equal with client and server pinned. That was
/// not worth the hand-over between threads, which is hard to get right.
///
/// # Errors
/// An I/O error when the operating system gives no thread.
fn runtime() -> Result<&'static Runtime> {
    let made = RUNTIME.get();
    if let Some(runtime) = made.get() {
        return Ok(runtime);
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("motorcade-sync")
        .enable_all()
        .build()
        .map_err(Error::from)?;
    Ok(made.get_or_init(|| runtime))
}

/// Drives a future to its end on the caller's thread.
///
/// # Errors
/// An I/O error when the runtime cannot be made.
///
/// # Panics
/// When the thread drives async tasks, which blocking would hold up.
#[track_caller]
pub(crate) fn block_on<F: Future>(future: F) -> Result<F::Output> {
    refuse_async_threads();
    Ok(runtime()?.block_on(future))
}

/// Like [`block_on`], for a future that is done at its first poll: it needs neither the runtime nor
/// a thread that may wait. If it is not done after all, it is driven to its end.
///
/// # Errors
/// As [`block_on`].
#[track_caller]
pub(crate) fn poll_once_or_block<F: Future>(future: F) -> Result<F::Output> {
    let mut future = pin!(future);
    match poll_once(future.as_mut()) {
        Poll::Ready(output) => Ok(output),
        Poll::Pending => block_on(future),
    }
}

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Panics on a thread that drives async tasks, in the name of the caller's line.
///
/// The runtime's own check names a line of tokio's; a blocking lock's names ours. It costs no
/// more than the lock's one atomic operation.
#[track_caller]
fn refuse_async_threads() {
    drop(Mutex::new(()).blocking_lock());
}

/// Like [`block_on`], but waits on the runtime only if the future is not done at once, as it is for
/// a cursor that holds further documents of its batch.
///
/// The future goes on with what an operation has opened. Then the latest runtime is the one that
/// the operation ran on, or else it was the parent's, and the future ends at once. So no document
/// costs the system call that finds out which process this is.
///
/// # Errors
/// As [`block_on`].
///
/// # Panics
/// As [`block_on`].
#[track_caller]
pub(crate) fn block_on_unless_ready<F: Future>(future: F) -> Result<F::Output> {
    refuse_async_threads();
    match RUNTIME.latest().and_then(OnceLock::get) {
        Some(latest) => Ok(wait_unless_ready(latest, future)),
        None => Ok(wait_unless_ready(runtime()?, future)),
    }
}

/// Like [`block_on_unless_ready`], for a future that may be the first use of its client.
///
/// # Errors
/// As [`block_on`].
///
/// # Panics
/// As [`block_on`].
#[track_caller]
pub(crate) fn begin_and_block_on_unless_ready<F: Future>(future: F) -> Result<F::Output> {
    refuse_async_threads();
    Ok(wait_unless_ready(runtime()?, future))
}

fn wait_unless_ready<F: Future>(runtime: &Runtime, future: F) -> F::Output {
    let mut future = pin!(future);
    let polled = {
        let _context = runtime.enter();
        poll_once(future.as_mut())
    };
    match polled {
        Poll::Ready(output) => output,
        Poll::Pending => runtime.block_on(future),
    }
}

/// Waits for the next item of a stream, which is an error where waiting is impossible.
///
/// # Panics
/// As [`block_on`].
#[track_caller]
pub(crate) fn next<T>(stream: &mut (impl Stream<Item = Result<T>> + Unpin)) -> Option<Result<T>> {
    let next = poll_fn(|context| Pin::new(&mut *stream).poll_next(context));
    block_on_unless_ready(next).unwrap_or_else(|error| Some(Err(error)))
}
