//! The pool's lock, and what happens after each change under it.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Waker,
};

use parking_lot::Mutex;
use tokio::{runtime::Handle, sync::Notify};

use super::{Connect, Deadline, PoolOptions, Result};
use crate::{
    address::ServerAddress,
    event::{
        Listeners, OrderedEvents,
        cmap::{CmapEvent, PoolCreatedEvent},
    },
    net::Home,
    proto::pool_state,
};

pub(super) type State<C> = pool_state::PoolState<<C as Connect>::Connection, Waker>;
pub(super) type Effects<C> = pool_state::Effects<<C as Connect>::Connection, Waker>;
pub(super) type Member<C> = pool_state::Member<<C as Connect>::Connection>;
pub(super) type Step<C> = pool_state::Step<<C as Connect>::Connection>;

pub(super) struct Inner<C: Connect> {
    address: ServerAddress,
    options: PoolOptions,
    connector: Arc<C>,
    /// Pushed to under the state's lock, so that the order of events is that of the changes.
    events: OrderedEvents<CmapEvent>,
    state: Mutex<State<C>>,
    pub(super) upkeep: Upkeep,
    pub(super) kept: Kept,
    /// The runtime of the first check-out.
    home: OnceLock<Home>,
    /// Whether there were check-outs on another, too.
    roams: AtomicBool,
}

/// How many connections are kept for what goes on over one of them. Those are in use too.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) cursors: AtomicUsize,
    pub(super) transactions: AtomicUsize,
}

/// How the upkeep task is started and woken.
pub(super) struct Upkeep {
    pub(super) bell: Arc<Notify>,
    pub(super) is_started: AtomicBool,
    pub(super) runtime: Option<Handle>,
    /// Rings when a connection was made or failed, or when none is wanted any more.
    settled: Notify,
    /// Whether the last connection in the background failed.
    has_failed: AtomicBool,
}

impl Upkeep {
    /// Notes that a connection was made, or that one in the background failed.
    pub(super) fn note(&self, is_established: bool) {
        self.has_failed.store(!is_established, Ordering::Release);
        self.settle();
    }

    /// Lets those look again who wait for connections.
    pub(super) fn settle(&self) {
        self.settled.notify_waiters();
    }

    /// Waits until `is_filled`, or a connection in the background has failed.
    pub(super) async fn filled(&self, is_filled: impl Fn() -> bool) {
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable();
            if is_filled() || self.has_failed.load(Ordering::Acquire) {
                return;
            }
            settled.await;
        }
    }
}

impl<C: Connect> Inner<C> {
    pub(super) fn new(
        address: ServerAddress,
        options: PoolOptions,
        connector: C,
        listeners: Listeners<CmapEvent>,
    ) -> Self {
        let is_heard = listeners.are_there();
        let state = State::<C>::new(address.clone(), options.limits(), is_heard);
        Self {
            address,
            options,
            connector: Arc::new(connector),
            events: OrderedEvents::new(listeners),
            state: Mutex::new(state),
            upkeep: Upkeep {
                bell: Arc::default(),
                is_started: AtomicBool::new(false),
                runtime: Handle::try_current().ok(),
                settled: Notify::new(),
                has_failed: AtomicBool::new(false),
            },
            kept: Kept::default(),
            home: OnceLock::new(),
            roams: AtomicBool::new(false),
        }
    }

    /// Whether the pool is used on more than one runtime. From then on every connection is looked at
    /// before it is handed out: it may belong to another than its next user.
    pub(super) fn note_runtime(&self) -> bool {
        let home = self.home.get_or_init(Home::here);
        if !home.is_here() && !self.roams.swap(true, Ordering::AcqRel) {
            self.state.lock().probe_always();
        }
        self.roams.load(Ordering::Acquire)
    }

    pub(super) fn address(&self) -> &ServerAddress {
        &self.address
    }

    pub(super) fn options(&self) -> &PoolOptions {
        &self.options
    }

    pub(super) fn connector(&self) -> &Arc<C> {
        &self.connector
    }

    pub(super) fn read<R>(&self, look: impl FnOnce(&State<C>) -> R) -> R {
        look(&self.state.lock())
    }

    /// Changes the state and performs the effects once the lock is free again.
    pub(super) fn change<R>(&self, change: impl FnOnce(&mut State<C>) -> (R, Effects<C>)) -> R {
        self.change_then(change, |own| self.events.deliver_own(own))
    }

    /// As [`Inner::change`], for those who hold a lock that a listener may want: they call
    /// [`Inner::deliver`] when they have released it.
    pub(super) fn change_quietly(&self, change: impl FnOnce(&mut State<C>) -> Effects<C>) {
        self.change_then(|state| ((), change(state)), |_| ());
    }

    fn change_then<R>(
        &self,
        change: impl FnOnce(&mut State<C>) -> (R, Effects<C>),
        tell: impl FnOnce(usize),
    ) -> R {
        let is_heard = self.events.are_heard();
        let own_events;
        let (result, effects) = {
            let mut state = self.state.lock();
            state.set_heard(is_heard);
            let (result, mut effects) = change(&mut state);
            own_events = effects.events.len();
            for event in effects.events.drain(..) {
                self.events.push(event);
            }
            (result, effects)
        };
        if own_events > 0 {
            tell(own_events);
        }
        for waker in effects.wake {
            waker.wake();
        }
        for interrupt in &effects.interrupt {
            interrupt.fire();
        }
        if effects.upkeep {
            self.upkeep.bell.notify_one();
        }
        result
    }

    pub(super) fn announce_creation(&self) {
        self.events.extend(|| {
            [CmapEvent::from(PoolCreatedEvent {
                address: self.address.clone(),
                options: Some(self.options.as_event()),
            })]
        });
    }

    /// Delivers the events that were not delivered yet.
    pub(super) fn deliver(&self) {
        self.events.deliver();
    }

    /// Emits a message: here, or on the delivery thread if this is the background thread.
    pub(super) fn message(&self, emit: impl FnOnce() + Send + 'static) {
        self.events.delivery_thread().run(emit);
    }

    /// Waits while too many events wait for a slow listener, at the latest until the deadline.
    pub(super) async fn room(&self, deadline: &Deadline) {
        if !self.events.has_room() {
            let room = Box::pin(self.events.room());
            // Whose time is up goes on, and fails where it waits for a connection.
            let _: Result<_> = deadline.bound("the delivery of events", room).await;
        }
    }

    /// Waits until listeners have been told all events.
    pub(super) async fn delivered(&self) {
        self.events.delivered().await;
    }

    pub(super) fn close_quietly(&self) {
        self.change_quietly(|state| state.close());
        self.upkeep.settle();
    }
}

impl<C: Connect> Drop for Inner<C> {
    fn drop(&mut self) {
        self.change(|state| ((), state.close()));
    }
}
