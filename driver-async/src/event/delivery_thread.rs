//! The thread that delivers what cannot be delivered where it happened.

use std::{
    cell::Cell,
    collections::VecDeque,
    fmt,
    future::poll_fn,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    process,
    sync::{Arc, OnceLock},
    thread,
    time::Duration,
};

use parking_lot::{Condvar, Mutex};
use tokio::{runtime::Handle, sync::Notify};

use crate::background::Background;

/// How long the thread waits for more before it ends: a burst of events starts it once.
const LINGER: Duration = Duration::from_secs(1);

/// A thread that runs listeners, one after another, in the order in which they were handed to it.
///
/// No code of the application runs on the background thread, so what happens there is delivered
/// here. The thread is there while it has something to do. It is not one of the background
/// runtime's: a listener that blocks would keep those from looking up names.
#[derive(Clone)]
pub(crate) struct DeliveryThread {
    shared: Arc<Shared>,
}

struct Shared {
    jobs: Mutex<Jobs>,
    /// Wakes the thread.
    sent: Condvar,
    /// Rings when a job is done.
    done: Notify,
    /// Where the tasks go that a listener spawns.
    runtime: OnceLock<Handle>,
}

type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Jobs {
    waiting: VecDeque<Job>,
    /// How many were sent, ever.
    sent: u64,
    /// How many of them are done.
    done: u64,
    /// The process in which the thread runs. After `fork()`, the child has none.
    runs_in: Option<u32>,
}

thread_local! {
    /// How many deliveries are under way on this thread, one inside the other.
    static DELIVERIES: Cell<usize> = const { Cell::new(0) };
}

/// While it exists, this thread runs code of an event handler.
pub(super) struct Delivering(());

impl Delivering {
    pub(super) fn begin() -> Self {
        DELIVERIES.set(DELIVERIES.get() + 1);
        Self(())
    }
}

impl Drop for Delivering {
    fn drop(&mut self) {
        DELIVERIES.set(DELIVERIES.get() - 1);
    }
}

/// Whether this thread delivers events, so that a listener would wait for itself, or for another
/// that waits for it.
pub(super) fn is_delivering() -> bool {
    DELIVERIES.get() > 0
}

/// A future to be run elsewhere. If a listener starts it, it waits for listeners no more than that
/// one does, which may wait for it.
pub(crate) fn in_same_role<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let is_listener = is_delivering();
    async move {
        let mut future = pin!(future);
        poll_fn(|context| {
            let _delivering = is_listener.then(Delivering::begin);
            future.as_mut().poll(context)
        })
        .await
    }
}

impl DeliveryThread {
    pub(crate) fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                jobs: Mutex::default(),
                sent: Condvar::new(),
                done: Notify::new(),
                runtime: OnceLock::new(),
            }),
        }
    }

    /// Has what a listener spawns on this thread run on the current runtime, from the first call
    /// on.
    pub(crate) fn adopt_runtime(&self) {
        if let Ok(runtime) = Handle::try_current() {
            self.shared.runtime.get_or_init(|| runtime);
        }
    }

    /// Runs what the application may have a say in: here, unless this is the background thread.
    pub(crate) fn run(&self, job: impl FnOnce() + Send + 'static) {
        if Background::is_current_thread() {
            self.send(job);
        } else {
            job();
        }
    }

    /// Hands a job over, for those who must not run it themselves. Never blocks.
    pub(crate) fn send(&self, job: impl FnOnce() + Send + 'static) {
        let mut jobs = self.shared.jobs.lock();
        jobs.waiting.push_back(Box::new(job));
        jobs.sent += 1;
        self.wake(&mut jobs);
    }

    /// Starts the thread if it does not run. Without a thread the jobs wait for the next attempt.
    fn wake(&self, jobs: &mut Jobs) {
        self.shared.sent.notify_one();
        if jobs.runs_in == Some(process::id()) {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let started: io::Result<_> = thread::Builder::new()
            .name("motorcade-events".to_owned())
            .spawn(move || shared.work());
        jobs.runs_in = started.ok().map(|_| process::id());
    }

    /// Waits until all is done that was sent until now. A listener does not wait.
    pub(crate) async fn finished(&self) {
        let sent = {
            let mut jobs = self.shared.jobs.lock();
            if jobs.done == jobs.sent {
                return;
            }
            self.wake(&mut jobs);
            jobs.sent
        };
        loop {
            let done = self.shared.done.notified();
            tokio::pin!(done);
            done.as_mut().enable();
            if is_delivering() || self.shared.jobs.lock().done >= sent {
                return;
            }
            done.await;
        }
    }
}

impl Shared {
    fn work(&self) {
        let _delivering = Delivering::begin();
        while let Some(job) = self.next() {
            let context = self.runtime.get().map(Handle::enter);
            // The standard library has told of the panic; those whose turn comes next are not to
            // suffer from it.
            let _: thread::Result<()> = catch_unwind(AssertUnwindSafe(job));
            drop(context);
            self.jobs.lock().done += 1;
            self.done.notify_waiters();
        }
    }

    /// The next job; `None` ends the thread.
    fn next(&self) -> Option<Job> {
        let mut jobs = self.jobs.lock();
        if jobs.waiting.is_empty() {
            self.sent.wait_for(&mut jobs, LINGER);
        }
        let next = jobs.waiting.pop_front();
        if next.is_none() {
            jobs.runs_in = None;
        }
        next
    }
}

impl fmt::Debug for DeliveryThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeliveryThread").finish_non_exhaustive()
    }
}
