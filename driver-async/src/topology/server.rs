//! One server: its pool, its monitor's controls and the number of operations on it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{sync::Notify, task::AbortHandle};

use super::{Connector, heartbeat::Heartbeats};
use crate::{address::ServerAddress, pool::Pool, proto::topology::RoundTripTimes};

/// One server of the deployment. It survives every change of its description, and is closed only
/// when the deployment loses it.
#[derive(Debug)]
pub(crate) struct Server {
    pub(super) address: ServerAddress,
    pub(super) pool: Pool<Connector>,
    control: Arc<MonitorControl>,
    pub(super) heartbeats: Heartbeats,
    pub(super) round_trip_times: Mutex<RoundTripTimes>,
    operations: AtomicUsize,
    /// The tasks that watch the server; `None` once it is closed.
    tasks: Mutex<Option<Vec<AbortHandle>>>,
}

/// How others reach a server's monitor. Asking is idempotent: however many ask, one check is made.
#[derive(Debug, Default)]
pub(super) struct MonitorControl {
    /// Someone waits for this server: check soon.
    pub(super) check_wanted: Notify,
    /// The check under way waits on a connection that is known to be dead: end it.
    pub(super) check_cancelled: Notify,
    /// Whether the check after one that was ended begins at once.
    pub(super) rechecks_at_once: AtomicBool,
}

impl Server {
    pub(super) fn new(address: ServerAddress, pool: Pool<Connector>) -> Self {
        Self {
            address,
            pool,
            control: Arc::default(),
            heartbeats: Heartbeats::default(),
            round_trip_times: Mutex::default(),
            operations: AtomicUsize::new(0),
            tasks: Mutex::new(Some(Vec::new())),
        }
    }

    pub(crate) fn address(&self) -> &ServerAddress {
        &self.address
    }

    pub(crate) fn pool(&self) -> &Pool<Connector> {
        &self.pool
    }

    /// The least time that the way to the server and back took lately; zero while hardly anything
    /// is known of it.
    pub(crate) fn minimum_round_trip(&self) -> Duration {
        self.round_trip_times.lock().minimum()
    }

    /// How many operations are on their way to or at this server.
    pub(crate) fn operation_count(&self) -> usize {
        self.operations.load(Ordering::Relaxed)
    }

    /// Asks for a check soon.
    pub(super) fn ask_for_check(&self) {
        self.control.check_wanted.notify_one();
    }

    /// Ends the check under way, after which the next begins at once or at its time.
    pub(super) fn cancel_check(&self, recheck_at_once: bool) {
        let control = &self.control;
        control
            .rechecks_at_once
            .store(recheck_at_once, Ordering::Release);
        control.check_cancelled.notify_waiters();
    }

    /// How the monitor is reached.
    pub(super) fn control(&self) -> Arc<MonitorControl> {
        Arc::clone(&self.control)
    }

    /// Takes note of a background task, which ends when the server is closed; at once if it is
    /// closed already.
    pub(super) fn keep_task(&self, task: AbortHandle) {
        match &mut *self.tasks.lock() {
            Some(tasks) => tasks.push(task),
            None => task.abort(),
        }
    }

    /// Ends the background tasks and closes the pool, whose listeners the caller tells.
    pub(super) fn close(&self) {
        for task in self.tasks.lock().take().into_iter().flatten() {
            task.abort();
        }
        self.pool.close_quietly();
    }
}

/// A server chosen for an operation, which counts as in flight while this exists.
#[derive(Debug)]
pub(crate) struct Selected {
    server: Arc<Server>,
}

impl Selected {
    pub(super) fn new(server: Arc<Server>) -> Self {
        server.operations.fetch_add(1, Ordering::Relaxed);
        Self { server }
    }
}

impl std::ops::Deref for Selected {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl Drop for Selected {
    fn drop(&mut self) {
        self.server.operations.fetch_sub(1, Ordering::Relaxed);
    }
}
