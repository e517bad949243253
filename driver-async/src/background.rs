//! The background runtime: one thread of the driver's own, shared by all clients of the process.
//!
//! **The rule.** What must outlive its caller runs here, or on a runtime that goes on by itself,
//! and never inside a caller's future: monitors and round trips, connection attempts, the upkeep of
//! pools, the commands that clean up, and every timer of the driver. The application can neither
//! stop this runtime nor starve it, whatever it does with its own.
//!
//! It has one thread, so nothing that may take long runs on that thread: no code of the application
//! (listeners, log subscribers, callbacks), no key derivation, no file, no name look-up. Those run
//! on blocking threads.
//!
//! The thread starts with the first operation. It ends when the last client of the process is gone
//! and so is all that was still to be cleaned up. A process that ends takes it along at once.

use std::{
    cell::Cell,
    convert::Infallible,
    future::{Future, ready},
    io,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll},
    thread,
    time::Instant,
};

use parking_lot::Mutex;
use pin_project::pin_project;
use tokio::{
    runtime::{Builder, Handle, Id, RuntimeFlavor},
    sync::oneshot,
    task::JoinHandle,
    time::Sleep,
};

use crate::{
    error::{Error, Result},
    process::PerProcess,
};

/// The background runtime of this process. It goes on while there is a handle to it.
#[derive(Debug)]
pub(crate) struct Background {
    runtime: Handle,
    /// The thread ends when this is dropped.
    _alive: oneshot::Sender<Infallible>,
}

/// The one that is running, if any.
static CURRENT: PerProcess<Mutex<Weak<Background>>> = PerProcess::new();

thread_local! {
    /// Whether this thread drives a background runtime.
    static DRIVES_RUNTIME: Cell<bool> = const { Cell::new(false) };
}

impl Background {
    /// The background runtime of this process, which is started if there is none.
    ///
    /// # Errors
    /// The operating system's error when it gives no thread.
    pub(crate) fn get() -> io::Result<Arc<Self>> {
        let mut current = CURRENT.get().lock();
        if let Some(running) = current.upgrade() {
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
        thread::Builder::new()
            .name("motorcade".to_owned())
            .spawn(move || {
                DRIVES_RUNTIME.set(true);
                let _ = runtime.block_on(gone);
                // From here on nobody waits for this thread, so listeners may hear on it of what
                // ends with the runtime.
                DRIVES_RUNTIME.set(false);
                // A look-up may hang on a blocking thread; nobody waits for it any more.
                runtime.shutdown_background();
            })?;
        Ok(Self {
            runtime: handle,
            _alive: alive,
        })
    }

    /// Whether the current thread is that of a background runtime, on which nothing may take long.
    pub(crate) fn is_current_thread() -> bool {
        DRIVES_RUNTIME.get()
    }

    /// Runs a future here, to its end or until it is aborted.
    pub(crate) fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.runtime.spawn(future)
    }

    /// Runs a future to its end although its caller may stop waiting for it: on the current runtime
    /// if that goes on by itself, where its connection is near its user, or else here. A runtime with
    /// threads goes on by itself unless the application blocks them all; what runs here would share
    /// one thread with every other cursor of the process.
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

    /// A timer of this runtime, for a caller on any other or on none.
    fn timer(self: Arc<Self>, at: Instant) -> Timer {
        let sleep = {
            let _context = self.runtime.enter();
            tokio::time::sleep_until(at.into())
        };
        Timer {
            sleep,
            background: self,
        }
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

/// A wait until a moment. A runtime of the application may stand still, have no timers, or pause its
/// clock, so the timer is one of the background runtime.
#[pin_project]
#[derive(Debug)]
struct Timer {
    #[pin]
    sleep: Sleep,
    background: Arc<Background>,
}

impl Future for Timer {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.project().sleep.poll(context)
    }
}

/// A future that is awaited until a moment at most; `None` when it was not done then.
#[pin_project]
#[derive(Debug)]
pub(crate) struct Timeout<F> {
    #[pin]
    future: F,
    at: Option<Instant>,
    /// Made when the future is not done at once, as most are.
    #[pin]
    timer: Option<Timer>,
}

impl<F: Future> Future for Timeout<F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<F::Output>> {
        let mut this = self.project();
        if let Poll::Ready(output) = this.future.poll(context) {
            return Poll::Ready(Some(output));
        }
        let Some(at) = *this.at else {
            return Poll::Pending;
        };
        if this.timer.is_none() {
            // Without a thread no operation begins, and nothing waits for it.
            let timer = Background::get().ok().map(|it| it.timer(at));
            this.timer.set(timer);
        }
        match this.timer.as_pin_mut() {
            Some(timer) => timer.poll(context).map(|()| None),
            None => Poll::Pending,
        }
    }
}

/// Awaits a future until then, if there is a limit.
pub(crate) fn timeout_at<F: Future>(at: Option<Instant>, future: F) -> Timeout<F> {
    Timeout {
        future,
        at,
        timer: None,
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, time::Duration};

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
        let at = started + Duration::from_millis(20);
        assert_eq!(timeout_at(Some(at), pending::<()>()).await, None);
        assert!(started.elapsed() >= Duration::from_millis(20));
    }

    #[test]
    fn a_timer_needs_no_runtime_of_the_caller() {
        let at = Instant::now() + Duration::from_millis(1);
        let waiting = timeout_at(Some(at), pending::<()>());
        let mut waiting = tokio_test::task::spawn(waiting);
        while waiting.poll().is_pending() {
            while !waiting.is_woken() {
                std::thread::yield_now();
            }
        }
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
