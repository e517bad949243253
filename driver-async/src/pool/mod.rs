//! One server's connections.
//!
//! The accounting is the pure [`PoolState`](crate::proto::pool_state::PoolState) behind one lock,
//! which is held for a few instructions at a time. No task owns the pool. Connections are made by
//! tasks of the background runtime, one per attempt, and registered with the runtime of whoever
//! checks them out. A timer closes what was unused for too long.

mod alarm;
mod attempt;
mod check_out;
mod inner;
mod pooled_connection;
mod verify;

use std::{fmt, future::Future, sync::Arc, time::Duration};

use bson::oid::ObjectId;

use crate::{
    address::ServerAddress,
    background::RuntimeId,
    clock,
    error::Error,
    event::{
        EventHandler, Listeners,
        cmap::{CmapEvent, ConnectionPoolOptions},
    },
    options::ClientOptions,
    proto::pool_state::{Limits, Slot},
};
use inner::Inner;

pub(crate) use crate::error::Result;
pub use crate::{
    deadline::Deadline,
    proto::pool_state::{ClearCause, Generation, Interrupt, PoolCounts},
};
pub(crate) use attempt::until_interrupted;
pub use pooled_connection::PooledConnection;
pub(crate) use pooled_connection::Purpose;

/// How long the pool makes no connection of its own accord after a failure that did not clear it.
/// A failure that did is followed by the next successful check of the server.
const DEFAULT_MAINTENANCE_INTERVAL: Duration = Duration::from_secs(10);

/// Establishes the connections of a pool: connects, shakes hands and authenticates.
pub trait Connect: Send + Sync + 'static {
    /// What is established.
    type Connection: PoolMember;

    /// Establishes one connection. The future may be dropped at any await.
    ///
    /// # Errors
    /// Whatever makes the connection unusable; the check-out fails with the same error.
    fn connect(
        &self,
        request: ConnectRequest,
    ) -> impl Future<Output = Result<Self::Connection>> + Send;

    /// Hears of a connection that could not be established.
    /// The pool still counts the connection and has not told its listeners, so a server that is
    /// marked as unknown here clears the pool before the next in the queue tries.
    fn failed(&self, _request: &ConnectRequest, _error: &Error) {}
}

/// A connection as the pool sees it. Dropping it closes its socket without blocking.
pub trait PoolMember: Send + 'static {
    /// Whether the connection is between two messages and has not failed.
    fn is_reusable(&self) -> bool;

    /// Why the connection cannot be used again, where that is known.
    fn failure(&self) -> Option<Error> {
        None
    }

    /// Whether the peer has closed the connection. Must not block.
    fn has_hung_up(&mut self) -> bool;

    /// The runtime that the connection is registered with, which tells its user of news.
    fn runtime(&self) -> RuntimeId {
        RuntimeId::current()
    }

    /// Registers the connection with the current runtime instead. Must not block.
    ///
    /// # Errors
    /// The connection cannot be used any more.
    fn move_to_current_runtime(&mut self) -> Result<()> {
        Ok(())
    }

    /// Waits until the peer has answered.
    ///
    /// # Errors
    /// It does not answer in time.
    fn verify(&mut self) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }

    /// The service that a load balancer chose for the connection.
    fn service_id(&self) -> Option<ObjectId> {
        None
    }
}

/// Which connection to establish.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectRequest {
    /// The connection's number, unique in its pool.
    pub id: u32,
    /// The pool's generation. Behind a load balancer, the generation of the service takes its
    /// place once the service is known; see [`PooledConnection::generation`].
    pub generation: Generation,
    /// Whether the pool wants the connection of its own accord, and no check-out waits for it.
    pub is_background: bool,
    /// Fires when the connection must stop what it is doing. The pool itself stops waiting for
    /// [`Connect::connect`] then; later it is for the connection's I/O to look at.
    pub interrupt: Arc<Interrupt>,
}

impl ConnectRequest {
    fn new(slot: &Slot) -> Self {
        Self {
            id: slot.id(),
            generation: slot.generation(),
            is_background: slot.is_background(),
            interrupt: Arc::clone(slot.interrupt()),
        }
    }
}

/// The options of a pool, each with its default.
#[derive(Clone, Copy, Debug)]
pub struct PoolOptions {
    /// The most connections, 100 by default; 0 means no limit.
    pub max_pool_size: Option<u32>,
    /// The number of connections to keep open, 0 by default.
    pub min_pool_size: Option<u32>,
    /// How long a connection may stay unused; no limit by default or when zero.
    pub max_idle_time: Option<Duration>,
    /// The most connections being established at the same time, 2 by default.
    pub max_connecting: Option<u32>,
    /// How long a check-out waits in the queue; no limit by default or when zero.
    pub wait_queue_timeout: Option<Duration>,
    /// Whether a load balancer stands before the servers.
    pub load_balanced: bool,
    /// How long an attempt to connect goes on when nobody waits for it; no limit by default, for
    /// attempts that have a limit of their own.
    pub max_abandoned: Option<Duration>,
    /// The time between two attempts to have the least number of connections, of which the first
    /// failed and did not clear the pool. `None` for no such attempts; 10 seconds by default.
    pub maintenance_interval: Option<Duration>,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            max_pool_size: None,
            min_pool_size: None,
            max_idle_time: None,
            max_connecting: None,
            wait_queue_timeout: None,
            load_balanced: false,
            max_abandoned: None,
            maintenance_interval: Some(DEFAULT_MAINTENANCE_INTERVAL),
        }
    }
}

impl PoolOptions {
    fn limits(&self) -> Limits {
        let max_total = match self
            .max_pool_size
            .unwrap_or(ClientOptions::DEFAULT_MAX_POOL_SIZE)
        {
            0 => usize::MAX,
            limit => to_usize(limit),
        };
        Limits {
            max_total,
            min_total: to_usize(self.min_pool_size.unwrap_or(0)).min(max_total),
            max_connecting: to_usize(
                self.max_connecting
                    .unwrap_or(ClientOptions::DEFAULT_MAX_CONNECTING)
                    .max(1),
            ),
            max_idle: self.max_idle_time.filter(|limit| !limit.is_zero()),
            max_abandoned: self.max_abandoned,
            back_off: self.maintenance_interval,
            load_balanced: self.load_balanced,
        }
    }

    fn max_pool_size_text(&self) -> String {
        match self
            .max_pool_size
            .unwrap_or(ClientOptions::DEFAULT_MAX_POOL_SIZE)
        {
            0 => "unlimited".to_owned(),
            limit => limit.to_string(),
        }
    }

    fn as_event(&self) -> ConnectionPoolOptions {
        ConnectionPoolOptions {
            max_idle_time: self.max_idle_time,
            max_pool_size: self.max_pool_size,
            min_pool_size: self.min_pool_size,
            max_connecting: self.max_connecting,
            wait_queue_timeout: self.wait_queue_timeout,
        }
    }
}

fn to_usize(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// A handle to the connections to one server.
///
/// The pool is created paused, without connections or tasks. It closes itself when the last handle
/// and the last connection that was checked out are gone.
pub struct Pool<C: Connect> {
    inner: Arc<Inner<C>>,
}

impl<C: Connect> Pool<C> {
    /// A paused pool. Nothing is connected or spawned.
    pub fn new(
        address: ServerAddress,
        options: PoolOptions,
        connector: C,
        handler: Option<EventHandler<CmapEvent>>,
    ) -> Self {
        let pool = Self::with_listeners(address, options, connector, handler.into());
        pool.deliver();
        pool
    }

    /// Like [`Pool::new`], with listeners that the log may be one of. Its creation is told by
    /// [`Pool::deliver`].
    pub(crate) fn with_listeners(
        address: ServerAddress,
        options: PoolOptions,
        connector: C,
        listeners: Listeners<CmapEvent>,
    ) -> Self {
        let inner = Inner::new(address, options, connector, listeners);
        inner.announce_creation();
        Self { inner }
    }

    /// A connection that is exclusively the caller's until it is dropped.
    ///
    /// An idle connection is handed out without waiting. Otherwise the caller waits in the queue,
    /// which is served in the order of arrival, until a connection comes back or the pool has made
    /// one. The deadline bounds that wait; `waitQueueTimeoutMS` does so until a connection is being
    /// established for the caller. Neither ends that attempt, which fills the pool.
    ///
    /// The connection is registered with the current runtime, where it must be used.
    /// Dropping the future at any await leaves the pool's counts exact.
    ///
    /// # Errors
    /// - An invalid-argument error outside of a tokio runtime.
    /// - `ConnectionPoolCleared` when the pool is paused or was cleared meanwhile, which another
    ///   attempt may survive, and when the pool is closed.
    /// - `Timeout` when the time in the queue was up. This says nothing about the server.
    /// - The error of [`Connect::connect`].
    pub async fn check_out(&self, deadline: &Deadline) -> Result<PooledConnection<C>> {
        let here = RuntimeId::required()?;
        check_out::check_out(&self.inner, here, deadline).await
    }

    /// Lets the pool hand out connections, and make those that it is always to have. Nothing happens
    /// when the pool is ready already, or closed.
    pub fn ready(&self) {
        self.ready_quietly();
        self.deliver();
    }

    /// As [`Pool::ready`]; listeners are told by [`Pool::deliver`].
    pub(crate) fn ready_quietly(&self) {
        self.inner.change_quietly(|state| state.ready(clock::now()));
    }

    /// Waits until the pool has its least number of connections. Ends early when connections
    /// cannot be made: the pool is paused or closed, or the last attempt has failed.
    pub(crate) async fn settled(&self) {
        self.inner.settled().await;
    }

    /// Makes the current connections stale: they are closed when they are next touched.
    ///
    /// The pool is paused until [`Pool::ready`], and everybody who waits for a connection fails.
    /// Behind a load balancer only the connections to one service become stale, and the pool stays
    /// ready. A cause that interrupts closes the connections in use as well: their users find
    /// [`PooledConnection::interrupt`] fired.
    pub fn clear(&self, cause: ClearCause) {
        self.clear_quietly(cause);
        self.deliver();
    }

    /// As [`Pool::clear`]; listeners are told by [`Pool::deliver`].
    pub(crate) fn clear_quietly(&self, cause: ClearCause) {
        let now = clock::now();
        self.inner.change_quietly(|state| state.clear(cause, now));
    }

    /// Closes the pool for good. Idle connections are closed now, those in use when they come back.
    pub fn close(&self) {
        self.close_quietly();
        self.deliver();
    }

    /// As [`Pool::close`]; listeners are told by [`Pool::deliver`].
    pub(crate) fn close_quietly(&self) {
        self.inner.close_quietly();
    }

    /// Has the idle connections show that the network still knows them, before they are used: one
    /// of their kind did not answer. A firewall that forgets a connection forgets its neighbours,
    /// too, and each would cost an operation all of its time.
    pub(crate) fn suspect_idle(&self) {
        let now = clock::now();
        self.inner.change(|state| ((), state.suspect_idle(now)));
    }

    /// Wakes those who wait in the queue.
    pub(crate) fn wake_waiting(&self) {
        self.inner.change(|state| ((), state.wake_waiting()));
    }

    /// Ends whatever uses the pool's connections.
    pub(crate) fn interrupt_all(&self) {
        let interrupts = self.inner.read(|state| state.all_interrupts());
        for interrupt in interrupts {
            interrupt.fire();
        }
    }

    /// Tells listeners what was done quietly. They may do anything, so the caller holds no lock.
    pub(crate) fn deliver(&self) {
        self.inner.deliver();
    }

    /// Waits until listeners have been told all events.
    pub(crate) async fn delivered(&self) {
        self.inner.delivered().await;
    }

    /// The current generation of the pool; behind a load balancer, of one service.
    pub fn generation(&self, service_id: Option<ObjectId>) -> Generation {
        self.inner.read(|state| state.generation(service_id))
    }

    /// How many connections there are, and what they do.
    pub fn counts(&self) -> PoolCounts {
        self.inner.read(|state| state.counts())
    }

    /// The server that the pool connects to.
    pub fn address(&self) -> &ServerAddress {
        self.inner.address()
    }

    /// What establishes the pool's connections.
    pub fn connector(&self) -> &C {
        self.inner.connector()
    }
}

impl<C: Connect> Clone for Pool<C> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<C: Connect> fmt::Debug for Pool<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("address", self.address())
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
