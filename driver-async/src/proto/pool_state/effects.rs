//! The plain data that goes into and comes out of the pool's accounting.

use std::{sync::Arc, time::Instant};

use super::{Generation, Interrupt};
use crate::{
    error::{Error, ErrorKind},
    event::cmap::CmapEvent,
};

/// What the shell has to do after a change, in this order.
#[derive(Debug)]
#[must_use = "effects that are not performed are lost"]
pub(crate) struct Effects<T, W> {
    /// Events to deliver; none when nobody listens.
    pub events: Vec<CmapEvent>,
    /// Check-outs that can go on.
    pub wake: Vec<W>,
    /// Connections whose users must stop.
    pub interrupt: Vec<Arc<Interrupt>>,
    /// Connections that left the pool; dropping them closes their sockets.
    pub closed: Vec<Box<Member<T>>>,
    /// Connections to establish.
    pub connect: Vec<Slot>,
    /// Connections that have to show that the network still knows them.
    pub verify: Vec<Box<Member<T>>>,
    /// When to call [`PoolState::turn`](super::PoolState::turn), if that is earlier than before.
    pub alarm: Option<Instant>,
    /// Whether the pool came to have its least number of connections, or gave that up for now.
    pub settled: bool,
}

impl<T, W> Default for Effects<T, W> {
    fn default() -> Self {
        Self {
            events: Vec::new(),
            wake: Vec::new(),
            interrupt: Vec::new(),
            closed: Vec::new(),
            connect: Vec::new(),
            verify: Vec::new(),
            alarm: None,
            settled: false,
        }
    }
}

impl<T, W> Effects<T, W> {
    /// Whether nothing follows but events and the end of connections, as after most changes.
    pub(crate) fn is_quiet(&self) -> bool {
        self.wake.is_empty()
            && self.interrupt.is_empty()
            && self.connect.is_empty()
            && self.verify.is_empty()
            && self.alarm.is_none()
            && !self.settled
    }
}

/// An established connection and what the pool knows about it.
#[derive(Debug)]
pub(crate) struct Member<T> {
    /// The connection.
    pub connection: T,
    pub(super) id: u32,
    pub(super) generation: Generation,
    pub(super) interrupt: Arc<Interrupt>,
    pub(super) idle_since: Instant,
}

impl<T> Member<T> {
    /// The connection's number, unique in its pool.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// The generation in which the connection was created.
    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }

    /// The signal that the connection's user must stop.
    pub(crate) fn interrupt(&self) -> &Arc<Interrupt> {
        &self.interrupt
    }
}

/// The permission to establish one connection. It goes back to the state exactly once, whatever
/// comes of it.
#[derive(Debug)]
#[must_use = "a slot that is not given back is lost"]
pub(crate) struct Slot {
    pub(super) id: u32,
    pub(super) generation: Generation,
    pub(super) interrupt: Arc<Interrupt>,
    pub(super) created: Instant,
    pub(super) is_background: bool,
}

impl Slot {
    /// Whether nobody waits for the connection.
    pub(crate) fn is_background(&self) -> bool {
        self.is_background
    }

    /// The number of the connection to establish.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// The pool's generation when the slot was given out.
    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }

    /// The signal that the connection is not wanted any more.
    pub(crate) fn interrupt(&self) -> &Arc<Interrupt> {
        &self.interrupt
    }
}

/// What a check-out does next.
#[derive(Debug)]
pub(crate) enum Step<T> {
    /// It has its connection.
    Ready(Box<Member<T>>),
    /// It has a connection that is to be looked at first: it was unused for so long that the peer
    /// may have hung up, or it is registered with another runtime.
    Probe(Box<Member<T>>),
    /// It waits in the queue under this number.
    Wait(Ticket),
    /// It fails.
    Refused(Refusal),
    /// It fails, because the connection made for it could not be established.
    Failed(Error),
}

/// What comes of a wait that has lasted too long.
#[derive(Debug)]
pub(crate) enum TimedOut<T> {
    /// It has ended.
    Ended,
    /// Something was granted at the last moment.
    Step(Step<T>),
    /// The limit is one for the queue, and the connection is being established already.
    Connecting,
}

/// A place in the wait queue. Lower numbers came earlier.
pub(crate) type Ticket = u64;

/// Why a pool hands out no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The pool is paused, or was cleared while the check-out waited.
    Cleared,
    /// The pool is closed.
    Closed,
}

/// Why a connection was not established.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// Connecting, the handshake or the authentication failed.
    Error(Error),
    /// The pool was cleared or closed and does not want the connection.
    Interrupted,
    /// Nobody waited for it any more, or its task was ended.
    Dropped,
}

/// What a clearing of the pool is about.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ClearCause {
    /// The error that made the server unusable.
    pub error: Option<Error>,
    /// The service whose connections failed; needed, and used, only behind a load balancer.
    pub service_id: Option<bson::oid::ObjectId>,
    /// Whether operations that are using or establishing connections are interrupted.
    pub interrupt_in_use: bool,
}

impl ClearCause {
    /// A clearing because of `error`, which lets running operations go on.
    pub fn new(error: impl Into<Option<Error>>) -> Self {
        Self {
            error: error.into(),
            ..Self::default()
        }
    }

    /// Clears the connections of one service behind the load balancer.
    pub fn service_id(mut self, service_id: impl Into<Option<bson::oid::ObjectId>>) -> Self {
        self.service_id = service_id.into();
        self
    }

    /// Interrupts operations that are using or establishing connections.
    pub fn interrupting(mut self) -> Self {
        self.interrupt_in_use = true;
        self
    }
}

/// How many connections a pool has, and what they do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolCounts {
    /// All connections.
    pub total: usize,
    /// Connections that can be handed out.
    pub idle: usize,
    /// Connections being established.
    pub pending: usize,
    /// Connections handed out.
    pub in_use: usize,
    /// Check-outs in the wait queue.
    pub waiting: usize,
}

/// The limits of a pool. "No limit" is the largest number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The most connections.
    pub max_total: usize,
    /// The number of connections to keep.
    pub min_total: usize,
    /// The most connections being established.
    pub max_connecting: usize,
    /// How long a connection may be unused.
    pub max_idle: Option<std::time::Duration>,
    /// How long an attempt that nobody waits for may take, if it has no limit of its own.
    pub max_abandoned: Option<std::time::Duration>,
    /// How long no connection is made of the pool's own accord after a failure; `None` for never
    /// making any.
    pub back_off: Option<std::time::Duration>,
    /// Whether generations are counted for each service behind a load balancer.
    pub load_balanced: bool,
}

impl Limits {
    /// Whether the pool never does anything without an occasion.
    pub(super) fn ask_for_nothing(&self) -> bool {
        self.min_total == 0 && self.max_idle.is_none() && self.max_abandoned.is_none()
    }
}

pub(super) fn cleared(message: String) -> Error {
    ErrorKind::ConnectionPoolCleared { message }.into()
}
