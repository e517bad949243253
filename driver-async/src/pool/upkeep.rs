//! The one background task of a pool.
//!
//! It holds no handle to the pool while it sleeps or connects, and ends when the pool is closed or
//! gone.

use std::{
    future::{Future, pending},
    pin::Pin,
    sync::{Arc, Weak, atomic::Ordering},
    time::{Duration, Instant},
};

use tokio::{runtime::Handle, sync::Notify};

use super::{
    Connect, ConnectRequest, Deadline, PoolMember, check_out::until_interrupted, inner::Inner,
};
use crate::{
    clock,
    proto::pool_state::{Failure, Generation, Slot},
};

/// Spawns the task, unless it runs already, is turned off, or there is no runtime yet.
pub(super) fn start<C: Connect>(inner: &Arc<Inner<C>>) {
    let Some(interval) = inner.options().maintenance_interval else {
        return;
    };
    let current = Handle::try_current().ok();
    let Some(runtime) = current.as_ref().or(inner.upkeep.runtime.as_ref()) else {
        return;
    };
    if inner.upkeep.is_started.swap(true, Ordering::AcqRel) {
        return;
    }
    let task = Task {
        pool: Arc::downgrade(inner),
        bell: Arc::clone(&inner.upkeep.bell),
        interval,
        connecting: None,
        back_off: None,
    };
    let task = Running(task);
    drop(runtime.spawn(async move {
        let mut task = task;
        task.0.run().await;
    }));
}

/// The task, which can be started again when its runtime was shut down.
struct Running<C: Connect>(Task<C>);

impl<C: Connect> Drop for Running<C> {
    fn drop(&mut self) {
        if let Some(inner) = self.0.pool.upgrade() {
            inner.upkeep.is_started.store(false, Ordering::Release);
        }
    }
}

struct Task<C: Connect> {
    pool: Weak<Inner<C>>,
    bell: Arc<Notify>,
    interval: Duration,
    /// The connection being established: one at a time, so that operations find a free slot even
    /// when it hangs.
    connecting: Option<Pin<Box<dyn Future<Output = bool> + Send>>>,
    /// When to connect again after a failure. A pool that was cleared since has a new generation,
    /// and a new reason to try at once.
    back_off: Option<(Generation, Instant)>,
}

impl<C: Connect> Task<C> {
    async fn run(&mut self) {
        while let Some(next) = self.turn() {
            tokio::select! {
                () = self.bell.notified() => {}
                () = sleep_until(next) => {}
                is_established = completion(&mut self.connecting) => {
                    self.connecting = None;
                    self.note(is_established);
                }
            }
        }
    }

    /// Does all there is to do without waiting. Gives when to do it again at the latest; `None`
    /// ends the task.
    fn turn(&mut self) -> Option<Option<Instant>> {
        let inner = self.pool.upgrade()?;
        let now = clock::now();
        let (is_closed, generation) =
            inner.read(|state| (state.is_closed(), state.generation(None)));
        if is_closed {
            return None;
        }
        inner.change(|state| ((), state.reap(now)));
        self.back_off = self
            .back_off
            .filter(|(failed, until)| *failed == generation && *until > now);
        if self.connecting.is_none()
            && self.back_off.is_none()
            && let Some(slot) = inner.change(|state| state.populate(now))
        {
            self.connecting = Some(Box::pin(establish(&inner, slot)));
        }
        let expiry = inner.read(|state| state.next_expiry(now));
        let back_off = self.back_off.map(|(_, until)| until);
        Some(expiry.into_iter().chain(back_off).min())
    }

    fn note(&mut self, is_established: bool) {
        if is_established {
            return;
        }
        if let Some(inner) = self.pool.upgrade() {
            let generation = inner.read(|state| state.generation(None));
            let until = clock::now().checked_add(self.interval);
            self.back_off = until.map(|until| (generation, until));
        }
    }
}

/// Establishes a connection for the pool; false when that failed.
fn establish<C: Connect>(inner: &Arc<Inner<C>>, slot: Slot) -> impl Future<Output = bool> + use<C> {
    let connector = Arc::clone(inner.connector());
    let request = ConnectRequest::new(&slot, true, Deadline::NEVER);
    let mut held = BackgroundSlot {
        pool: Arc::downgrade(inner),
        slot: Some(slot),
    };
    async move {
        let attempt = connector.connect(request.clone());
        let outcome = until_interrupted(&request.interrupt, attempt).await;
        let failure = match outcome {
            Some(Ok(connection)) => {
                held.populate(connection);
                return true;
            }
            Some(Err(error)) => {
                if let Some(inner) = held.pool.upgrade() {
                    let (id, error) = (request.id, error.clone());
                    inner.message(
                        move || tracing::warn!(id, %error, "a background connection failed"),
                    );
                }
                connector.failed(&request, &error);
                Failure::Error(error)
            }
            None => Failure::Interrupted,
        };
        held.fail(&failure);
        false
    }
}

/// The slot of a background connection, which goes back to the pool if there still is one.
struct BackgroundSlot<C: Connect> {
    pool: Weak<Inner<C>>,
    slot: Option<Slot>,
}

impl<C: Connect> BackgroundSlot<C> {
    fn populate(&mut self, connection: C::Connection) {
        let Some((inner, slot)) = self.pool.upgrade().zip(self.slot.take()) else {
            return;
        };
        let service_id = connection.service_id();
        let now = clock::now();
        inner.change(|state| ((), state.populated(slot, connection, service_id, now)));
        inner.upkeep.note(true);
    }

    fn fail(&mut self, failure: &Failure) {
        let Some((inner, slot)) = self.pool.upgrade().zip(self.slot.take()) else {
            return;
        };
        let now = clock::now();
        inner.change(|state| ((), state.not_established(slot, failure, now)));
        inner.upkeep.note(false);
    }
}

impl<C: Connect> Drop for BackgroundSlot<C> {
    fn drop(&mut self) {
        self.fail(&Failure::Dropped);
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => pending().await,
    }
}

async fn completion(connecting: &mut Option<Pin<Box<dyn Future<Output = bool> + Send>>>) -> bool {
    match connecting {
        Some(connecting) => connecting.await,
        None => pending().await,
    }
}
