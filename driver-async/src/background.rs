//! The background runtime: one thread of the driver's own, shared by all clients of the process.
//!
//! **The rule.** What must outlive its caller runs here, or on a runtime that goes on by itself,
//! and never inside a caller's future: monitors and round trips, connection attempts, the upkeep of
//! pools, the commands that clean up, and every timer of the driver. The application can neither
//! stop this runtime nor starve it, whatever it does with its own.
//!
//! It has one thread, so nothing that may take long runs on that thread: no code of the application
//! (listeners, log subscribers, callbacks), no key derivation, no file, no name look-up. Those run
//! on its blocking threads, by [`Background::spawn_blocking`].
//!
//! The thread starts with the first operation. It ends when the last client of the process is gone
//! and so is all that was still to be cleaned up. A process that ends takes it along at once.

use std::{
    convert::Infallible,
    future::{Future, pending, poll_fn, ready},
    io,
    pin::pin,
    process,
    sync::{Arc, Weak},
    task::Poll,
    thread::{self, ThreadId},
    time::Instant,
};

use parking_lot::Mutex;
use tokio::{
    runtime::{Builder, Handle, Id, RuntimeFlavor},
    sync::oneshot,
    task::JoinHandle,
};

use crate::error::{Error, Result};

/// The background runtime of this process. It goes on while there is a handle to it.
#[derive(Debug)]
pub(crate) struct Background {
    runtime: Handle,
    thread: ThreadId,
    /// After `fork()`, the child has this value but not the thread.
    process: u32,
    /// The thread ends when this is dropped.
    _alive: oneshot::Sender<Infallible>,
}

/// The one that is running, if any.
static CURRENT: Mutex<Weak<Background>> = Mutex::new(Weak::new());

impl Background {
    /// The background runtime of this process, which is started if there is none.
    ///
    /// # Errors
    /// The operating system's error when it gives no thread.
    pub(crate) fn get() -> io::Result<Arc<Self>> {
        let mut current = CURRENT.lock();
        if let Some(running) = current.upgrade()
            && running.process == process::id()
        {
            return Ok(running);
        }
        let started = Arc::new(Self::start()?);
        *current = Arc::downgrade(&started);
        Ok(started)
    }

    fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (alive, gone) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("motorcade".to_owned())
            .spawn(move || {
                let _ = runtime.block_on(gone);
                // A look-up may hang on a blocking thread; nobody waits for it any more.
                runtime.shutdown_background();
            })?;
        Ok(Self {
            runtime: handle,
            thread: thread.thread().id(),
            process: process::id(),
            _alive: alive,
        })
    }

    /// Whether the current thread is that of a background runtime, on which nothing may take long.
    pub(crate) fn is_current_thread() -> bool {
        let running = CURRENT.lock().upgrade();
        running.is_some_and(|it| it.thread == thread::current().id())
    }

    /// Whether the process is the child of the one in which this runtime was started, so that its
    /// thread is not there.
    pub(crate) fn is_from_before_fork(&self) -> bool {
        self.process != process::id()
    }

    /// Runs a future here, to its end or until it is aborted.
    pub(crate) fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.runtime.spawn(future)
    }

    /// Runs what may take long, or what is the application's, on a thread of its own.
    pub(crate) fn spawn_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        self.runtime.spawn_blocking(work)
    }

    /// Runs a future to its end although its caller may stop waiting for it: on the current runtime
    /// if that goes on by itself, where its connection is near its user, or else here.
    pub(crate) fn spawn_detached<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        match Handle::try_current() {
            // It has threads of its own. Any other is driven only while its caller waits there.
            Ok(here) if here.runtime_flavor() == RuntimeFlavor::MultiThread => {
                let task = here.spawn(future);
                // A worker keeps what it has spawned last for itself, so a caller that blocks the
                // worker until that is done, as `futures::executor::block_on` does, would wait
                // forever. With one more spawned, the task is free for the other workers to take.
                drop(here.spawn(ready(())));
                task
            }
            _ => self.spawn(future),
        }
    }

    /// Waits here, whatever runtime the caller is on.
    async fn sleep_until(self: Arc<Self>, at: Instant) {
        let sleep = {
            let _context = self.runtime.enter();
            tokio::time::sleep_until(at.into())
        };
        sleep.await;
    }
}

/// A runtime of the process, or none. A socket is registered with one, which must be driven for
/// the socket's user to learn of news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuntimeId(Option<Id>);

impl RuntimeId {
    /// The runtime that the caller is on.
    pub fn current() -> Self {
        Self(Handle::try_current().ok().map(|runtime| runtime.id()))
    }

    /// The runtime that an operation is awaited on.
    ///
    /// # Errors
    /// An invalid-argument error when there is none.
    pub(crate) fn required() -> Result<Self> {
        match Self::current() {
            Self(None) => Err(Error::invalid_argument(
                "operations must be awaited on a tokio runtime: call them from #[tokio::main] or \
                 Runtime::block_on, or use the blocking crate motorcade-sync",
            )),
            current => Ok(current),
        }
    }
}

/// Waits until then. The timer is one of the background runtime: a runtime of the application may
/// stand still, have no timers, or pause its clock.
pub(crate) async fn sleep_until(at: Instant) {
    match Background::get() {
        Ok(background) => background.sleep_until(at).await,
        // Without a thread no operation begins, and nothing waits for it.
        Err(_) => pending().await,
    }
}

/// Awaits a future until then; `None` when it was not done.
pub(crate) async fn timeout_at<F: Future>(at: Instant, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    // Most of what is awaited is done before a timer is needed.
    if let Poll::Ready(output) = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
    {
        return Some(output);
    }
    let mut timer = pin!(sleep_until(at));
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => timer.as_mut().poll(context).map(|()| None),
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn all_who_ask_share_one_runtime() {
        let (one, other) = (Background::get().unwrap(), Background::get().unwrap());
        assert!(Arc::ptr_eq(&one, &other));
        assert!(!Background::is_current_thread());
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_ignores_a_clock_that_the_application_paused() {
        let started = Instant::now();
        sleep_until(started + Duration::from_millis(20)).await;
        assert!(started.elapsed() >= Duration::from_millis(20));
    }

    #[test]
    fn a_timer_needs_no_runtime_of_the_caller() {
        let at = Instant::now() + Duration::from_millis(1);
        let timed_out = futures_util::future::pending::<()>();
        let waiting = timeout_at(at, timed_out);
        let (done, wait) = std::sync::mpsc::channel();
        let background = Background::get().unwrap();
        drop(background.spawn(waiting.map(move |outcome| done.send(outcome))));
        assert_eq!(wait.recv().unwrap(), None);
    }

    #[tokio::test]
    async fn what_is_detached_from_a_runtime_that_may_stand_still_runs_in_the_background() {
        let background = Background::get().unwrap();
        let thread = background.spawn_detached(async { Background::is_current_thread() });
        assert!(thread.await.unwrap());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_detached_from_a_runtime_with_threads_stays_there() {
        let background = Background::get().unwrap();
        let thread = background.spawn_detached(async { Background::is_current_thread() });
        assert!(!thread.await.unwrap());
    }
}
