//! What is in progress on a client, and how a shutdown ends it.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::{sync::Notify, task::futures::TaskLocalFuture};

use crate::{
    clock,
    deadline::Deadline,
    error::{Error, Result},
};

/// How long an operation has to end by itself once its deadline has passed, so that it reports its
/// timeout and not the shutdown.
const OWN_END: Duration = Duration::from_secs(1);

/// What is in progress on a client, and how a shutdown ends it.
///
/// From the call of a shutdown on no operation begins, and none waits any more: for a server, a
/// connection, or for data to come. What is under way may go on until its own deadline, or for as
/// long as the shutdown grants if it has none.
#[derive(Debug)]
pub(super) struct Progress {
    /// Operations without a deadline, and work in the background.
    unbounded: AtomicUsize,
    /// Operations with a deadline.
    bounded: AtomicUsize,
    /// The latest deadline so far, in microseconds since `start`.
    latest: AtomicU64,
    start: Instant,
    is_closing: AtomicBool,
    /// Rings when the shutdown begins.
    closing: Notify,
    /// Rings when the last operation of a kind ends while the client is shut down.
    ended: Notify,
}

/// Whether an operation in progress has a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    None,
    Deadline,
}

tokio::task_local! {
    /// Set while what runs is part of something that had begun before a shutdown.
    static BEGUN: Begun;
}

/// What an operation is part of that a shutdown lets go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begun {
    /// An action of several operations.
    Action,
    /// What was dropped is cleaned up. It may also wait.
    CleanUp,
}

impl Begun {
    pub(super) fn current() -> Option<Self> {
        BEGUN.try_with(|begun| *begun).ok()
    }

    pub(super) fn scope<F: Future>(self, future: F) -> TaskLocalFuture<Self, F> {
        BEGUN.scope(self, future)
    }
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            unbounded: AtomicUsize::new(0),
            bounded: AtomicUsize::new(0),
            latest: AtomicU64::new(0),
            start: clock::now(),
            is_closing: AtomicBool::new(false),
            closing: Notify::new(),
            ended: Notify::new(),
        }
    }

    /// Begins an operation. It is counted before the look at the client: then a shutdown that this
    /// look misses waits for the operation.
    ///
    /// # Errors
    /// A shutdown error once the client is being shut down.
    pub(super) fn begin_if_open(&self) -> Result<()> {
        self.begin();
        if self.is_closing() {
            self.end(Bound::None);
            return Err(Error::shutdown());
        }
        Ok(())
    }

    fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::SeqCst)
    }

    pub(super) fn begin(&self) {
        self.unbounded.fetch_add(1, Ordering::SeqCst);
    }

    /// Notes that an operation which has begun has a deadline.
    pub(super) fn bound(&self, deadline: &Deadline) -> Bound {
        let Some(at) = deadline.instant() else {
            return Bound::None;
        };
        let at = at.saturating_duration_since(self.start).as_micros();
        let at = u64::try_from(at).unwrap_or(u64::MAX);
        self.latest.fetch_max(at, Ordering::Relaxed);
        self.bounded.fetch_add(1, Ordering::SeqCst);
        self.end(Bound::None);
        Bound::Deadline
    }

    pub(super) fn end(&self, bound: Bound) {
        let count = match bound {
            Bound::None => &self.unbounded,
            Bound::Deadline => &self.bounded,
        };
        // Only a shutdown waits for this, and it looks after it has begun.
        if count.fetch_sub(1, Ordering::SeqCst) == 1 && self.is_closing() {
            self.ended.notify_waiters();
        }
    }

    /// From now on no operation begins or waits.
    pub(super) fn close(&self) {
        self.is_closing.store(true, Ordering::SeqCst);
        self.closing.notify_waiters();
    }

    /// Waits until what is in progress has ended: that without a deadline until `until` at most, the
    /// rest until its deadlines.
    pub(super) async fn ended(&self, until: Option<Instant>) {
        let is_zero = |count: &AtomicUsize| count.load(Ordering::SeqCst) == 0;
        let none_unbounded = notified_when(&self.ended, || is_zero(&self.unbounded));
        let _ = clock::timeout_at(until, none_unbounded).await;
        let latest = Duration::from_micros(self.latest.load(Ordering::Relaxed));
        let none_bounded = notified_when(&self.ended, || is_zero(&self.bounded));
        let until_all = self.start.checked_add(latest.saturating_add(OWN_END));
        let _ = clock::timeout_at(until_all, none_bounded).await;
        // An operation that has ended may have left something to clean up.
        let none_at_all = notified_when(&self.ended, || is_zero(&self.unbounded));
        let _ = clock::timeout_at(until, none_at_all).await;
    }

    /// Awaits what an operation waits for; `None` when a shutdown ends the wait. Whoever shuts down
    /// wakes those who wait for a server or a connection, so that they need not listen for that.
    pub(super) fn unless_closing<'a, F: Future>(
        &'a self,
        future: Pin<&'a mut F>,
    ) -> UnlessClosing<'a, F> {
        UnlessClosing {
            progress: self,
            future,
        }
    }

    /// The same for any other wait.
    pub(super) async fn unless_closed<F: Future>(
        &self,
        mut future: Pin<&mut F>,
    ) -> Option<F::Output> {
        let mut closing = pin!(notified_when(&self.closing, || self.is_closing()));
        poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if Begun::current() == Some(Begun::CleanUp) => Poll::Pending,
            Poll::Pending => closing.as_mut().poll(context).map(|()| None),
        })
        .await
    }
}

async fn notified_when(notify: &Notify, is_so: impl Fn() -> bool) {
    loop {
        let mut notified = pin!(notify.notified());
        notified.as_mut().enable();
        if is_so() {
            return;
        }
        notified.await;
    }
}

/// A wait that a shutdown ends. It refers to what is awaited, which may be large to move.
pub(super) struct UnlessClosing<'a, F> {
    progress: &'a Progress,
    future: Pin<&'a mut F>,
}

impl<F: Future> Future for UnlessClosing<'_, F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<F::Output>> {
        // In this order: whoever looks before the shutdown can be woken by it.
        match self.future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if !self.progress.is_closing() => Poll::Pending,
            Poll::Pending if Begun::current() == Some(Begun::CleanUp) => Poll::Pending,
            Poll::Pending => Poll::Ready(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, future::pending};

    use super::*;
    use crate::deadline::Cause;

    const LONG: Duration = Duration::from_secs(3_600);

    #[test]
    fn a_wait_ends_with_the_shutdown_and_what_is_ready_does_not() {
        let progress = Progress::new();
        let never = pin!(pending::<()>());
        let mut waiting = progress.unless_closing(never);
        assert!((&mut waiting).now_or_never().is_none());
        let never = pin!(pending::<()>());
        let mut listening = tokio_test::task::spawn(progress.unless_closed(never));
        assert!(listening.poll().is_pending());
        progress.close();
        assert_eq!(waiting.now_or_never(), Some(None));
        assert!(listening.is_woken());
        assert_eq!(listening.poll(), Poll::Ready(None));
        let ready = pin!(std::future::ready(1));
        let ready = progress.unless_closing(ready);
        assert_eq!(ready.now_or_never(), Some(Some(1)));
        assert!(progress.begin_if_open().is_err());
        assert_eq!(progress.unbounded.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn operations_that_come_and_go_wake_nobody_who_waits() {
        let progress = Progress::new();
        let never = pin!(pending::<()>());
        let mut waiting = tokio_test::task::spawn(progress.unless_closed(never));
        assert!(waiting.poll().is_pending());
        for _ in 0..3 {
            progress.begin();
            let deadline = Deadline::after(LONG, Cause::Operation);
            let bound = progress.bound(&deadline);
            progress.end(bound);
        }
        assert!(!waiting.is_woken());
        progress.close();
        assert!(waiting.is_woken());
    }

    #[tokio::test]
    async fn a_shutdown_waits_for_each_operation_until_its_own_limit() {
        let progress = Progress::new();
        progress.begin();
        progress.begin();
        let limit = Duration::from_millis(30);
        let deadline = Deadline::from(progress.start, limit, Cause::Operation);
        assert_eq!(progress.bound(&deadline), Bound::Deadline);
        // Neither of them ever ends.
        progress.ended(Some(progress.start)).await;
        assert!(progress.start.elapsed() >= limit);
    }

    #[test]
    fn a_shutdown_ends_as_soon_as_everything_has_ended() {
        let progress = Progress::new();
        progress.begin();
        progress.begin();
        let deadline = Deadline::after(LONG, Cause::Operation);
        let bound = progress.bound(&deadline);
        progress.close();
        let mut ended = pin!(progress.ended(Some(progress.start + LONG)));
        assert!(ended.as_mut().now_or_never().is_none());
        progress.end(Bound::None);
        assert!(ended.as_mut().now_or_never().is_none());
        progress.end(bound);
        assert!(ended.now_or_never().is_some());
    }
}
