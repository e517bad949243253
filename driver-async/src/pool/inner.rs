//! The pool's lock, and what happens after each change under it.

use std::{
    io,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::Waker,
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Connect, Deadline, PoolOptions, Result, alarm::Alarm, attempt, verify};
use crate::{
    address::ServerAddress,
    background::Background,
    clock,
    event::{
        Listeners, OrderedEvents,
        cmap::{CmapEvent, PoolCreatedEvent},
    },
    proto::pool_state::{self, Slot},
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
    /// Where connections are made. Kept, so that an alarm can rely on it.
    background: OnceLock<Arc<Background>>,
    alarm: Alarm,
    /// Rings when the pool has its least number of connections, or gives that up.
    settled: Notify,
    pub(super) kept: Kept,
    this: Weak<Self>,
}

/// How many connections are kept for what goes on over one of them. Those are in use too.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) cursors: AtomicUsize,
    pub(super) transactions: AtomicUsize,
}

impl<C: Connect> Inner<C> {
    pub(super) fn new(
        address: ServerAddress,
        options: PoolOptions,
        connector: C,
        listeners: Listeners<CmapEvent>,
    ) -> Arc<Self> {
        static POOLS: AtomicU64 = AtomicU64::new(0);
        let number = POOLS.fetch_add(1, Ordering::Relaxed);
        let is_heard = listeners.are_there();
        let state = State::<C>::new(address.clone(), number, options.limits(), is_heard);
        Arc::new_cyclic(|this| Self {
            address,
            options,
            connector: Arc::new(connector),
            events: OrderedEvents::new(listeners),
            state: Mutex::new(state),
            background: OnceLock::new(),
            alarm: Alarm::default(),
            settled: Notify::new(),
            kept: Kept::default(),
            this: Weak::clone(this),
        })
    }

    pub(super) fn weak(&self) -> Weak<Self> {
        Weak::clone(&self.this)
    }

    /// Where connections are made.
    ///
    /// # Errors
    /// The operating system's error when it gives no thread.
    pub(super) fn background(&self) -> io::Result<&Arc<Background>> {
        if let Some(background) = self.background.get() {
            return Ok(background);
        }
        let background = Background::get()?;
        Ok(self.background.get_or_init(|| background))
    }

    /// Waits until the pool has its least number of connections, or gives that up for now.
    pub(super) async fn settled(&self) {
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable();
            if self.read(|state| state.is_settled()) {
                return;
            }
            settled.await;
        }
    }

    /// Notes that an attempt has failed, before anybody else learns of it.
    pub(super) fn failing(&self, slot: &Slot) {
        self.state.lock().failing(slot);
    }

    pub(super) fn alarm(&self) -> &Alarm {
        &self.alarm
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
        if !effects.is_quiet() {
            self.perform(effects);
        }
        result
    }

    fn perform(&self, effects: Effects<C>) {
        for waker in effects.wake {
            waker.wake();
        }
        for interrupt in &effects.interrupt {
            interrupt.fire();
        }
        for slot in effects.connect {
            attempt::start(self, slot);
        }
        for member in effects.verify {
            verify::start(self, member);
        }
        if let Some(at) = effects.alarm {
            self.alarm.set(self, at);
        }
        if effects.settled {
            self.settled.notify_waiters();
        }
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
        self.change_quietly(|state| state.close(clock::now()));
        self.alarm.cancel();
    }
}

impl<C: Connect> Drop for Inner<C> {
    fn drop(&mut self) {
        self.change(|state| ((), state.close(clock::now())));
        self.alarm.cancel();
    }
}
