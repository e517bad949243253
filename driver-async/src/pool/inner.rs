//! The pool's lock, and what happens after each change under it.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::AtomicBool},
    task::Waker,
};

use parking_lot::Mutex;
use tokio::{runtime::Handle, sync::Notify};

use super::{Connect, PoolOptions};
use crate::{
    address::ServerAddress,
    event::{EventHandler, cmap::CmapEvent},
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
    handler: Option<EventHandler<CmapEvent>>,
    locked: Mutex<Locked<C>>,
    pub(super) upkeep: Upkeep,
}

struct Locked<C: Connect> {
    state: State<C>,
    /// Events that happened and were not delivered yet. They enter under the same lock as the
    /// change that made them, so their order is the order of the changes.
    outbox: VecDeque<CmapEvent>,
    is_delivering: bool,
}

/// How the upkeep task is started and woken.
pub(super) struct Upkeep {
    pub(super) bell: Arc<Notify>,
    pub(super) is_started: AtomicBool,
    pub(super) runtime: Option<Handle>,
}

impl<C: Connect> Inner<C> {
    pub(super) fn new(
        address: ServerAddress,
        options: PoolOptions,
        connector: C,
        handler: Option<EventHandler<CmapEvent>>,
    ) -> Self {
        let state = State::<C>::new(address.clone(), options.limits(), handler.is_some());
        Self {
            address,
            options,
            connector: Arc::new(connector),
            handler,
            locked: Mutex::new(Locked {
                state,
                outbox: VecDeque::new(),
                is_delivering: false,
            }),
            upkeep: Upkeep {
                bell: Arc::default(),
                is_started: AtomicBool::new(false),
                runtime: Handle::try_current().ok(),
            },
        }
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
        look(&self.locked.lock().state)
    }

    /// Changes the state and performs the effects once the lock is free again.
    pub(super) fn change<R>(&self, change: impl FnOnce(&mut State<C>) -> (R, Effects<C>)) -> R {
        let (result, effects, must_deliver) = {
            let mut locked = self.locked.lock();
            let (result, mut effects) = change(&mut locked.state);
            let must_deliver = locked.enqueue(&mut effects.events);
            (result, effects, must_deliver)
        };
        if must_deliver {
            self.deliver();
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

    pub(super) fn announce(&self, event: CmapEvent) {
        let must_deliver = self.handler.is_some() && self.locked.lock().enqueue(&mut vec![event]);
        if must_deliver {
            self.deliver();
        }
    }

    pub(super) fn close(&self) {
        self.change(|state| ((), state.close()));
    }

    /// Hands the events to the listener, one by one and without the lock. One thread at a time
    /// does so for all; a listener that calls the pool therefore finds nothing locked, and the
    /// events it causes come after the one it is looking at.
    fn deliver(&self) {
        let Some(handler) = &self.handler else {
            return;
        };
        // The lock's guard must not live in the condition itself: it would last for the body.
        let next = || self.locked.lock().next_event();
        while let Some(event) = next() {
            // A panic must not travel through a check-out or, worse, through a drop.
            if catch_unwind(AssertUnwindSafe(|| handler.handle(event))).is_err() {
                tracing::error!(address = %self.address, "a listener of pool events panicked");
            }
        }
    }
}

impl<C: Connect> Locked<C> {
    /// Whether the caller has to deliver, because nobody else is at it.
    fn enqueue(&mut self, events: &mut Vec<CmapEvent>) -> bool {
        if events.is_empty() {
            return false;
        }
        self.outbox.extend(events.drain(..));
        !std::mem::replace(&mut self.is_delivering, true)
    }

    fn next_event(&mut self) -> Option<CmapEvent> {
        let event = self.outbox.pop_front();
        self.is_delivering = event.is_some();
        event
    }
}

impl<C: Connect> Drop for Inner<C> {
    fn drop(&mut self) {
        self.close();
    }
}
