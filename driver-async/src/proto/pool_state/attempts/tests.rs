//! Every order in which the threads of a pool can meet, tried one after the other.
//!
//! The accounting is the driver's own; around it stands a shell that does what the pool's does: it
//! holds the lock for one change, and performs the effects when it is free again. The model fails
//! when somebody waits and nobody is left to wake them.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use loom::{future::block_on, sync::Mutex, thread};

use super::*;
use crate::{
    address::ServerAddress,
    error::Error,
    proto::pool_state::{ClearCause, Limits, Step},
};

/// A connection is known by its runtime.
type State = PoolState<u8, Waker>;
type Out = Effects<u8, Waker>;

/// What becomes of an attempt, by its number.
type Fate = fn(u32) -> bool;

struct Pool {
    state: Mutex<State>,
    succeeds: Fate,
    now: Instant,
}

impl Pool {
    /// A ready pool that makes connections in threads of their own.
    fn new(max_total: usize, now: Instant, succeeds: Fate) -> Arc<Self> {
        let limits = Limits {
            max_total,
            min_total: 0,
            max_connecting: 1,
            max_idle: None,
            max_abandoned: None,
            back_off: None,
            load_balanced: false,
        };
        let mut state = State::new(ServerAddress::default(), 1, limits, false);
        let _ = state.ready(now);
        Arc::new(Self {
            state: Mutex::new(state),
            succeeds,
            now,
        })
    }

    fn change<R>(self: &Arc<Self>, change: impl FnOnce(&mut State) -> (R, Out)) -> R {
        let (result, effects) = change(&mut self.state.lock().unwrap());
        effects.wake.into_iter().for_each(Waker::wake);
        effects.interrupt.iter().for_each(|it| it.fire());
        for slot in effects.connect {
            let pool = Arc::clone(self);
            thread::spawn(move || pool.attempt(slot));
        }
        result
    }

    fn attempt(self: Arc<Self>, slot: Slot) {
        let now = self.now;
        if slot.interrupt().is_fired() {
            self.change(|state| ((), state.not_established(slot, &Failure::Interrupted, now)));
        } else if (self.succeeds)(slot.id()) {
            self.change(|state| ((), state.established(slot, 1, None, now)));
        } else {
            self.change(|state| {
                state.failing(&slot);
                ((), Out::default())
            });
            let failure = Failure::Error(Error::internal("it broke"));
            self.change(|state| ((), state.not_established(slot, &failure, now)));
        }
    }

    fn begin(self: &Arc<Self>, runtime: u8) -> Step<u8> {
        self.change(|state| state.check_out(self.now, |it| *it == runtime))
    }

    /// A whole check-out, and the connection back; whether there was one.
    fn use_one(self: &Arc<Self>, runtime: u8) -> bool {
        let mut step = self.begin(runtime);
        loop {
            step = match step {
                Step::Ready(member) => {
                    self.change(|state| ((), state.check_in(member, None, self.now)));
                    return true;
                }
                Step::Probe(mut member) => {
                    member.connection = runtime;
                    self.change(|state| state.accept(member, self.now, self.now, |_| true))
                }
                Step::Wait(ticket) => block_on(self.turn(ticket, runtime)),
                Step::Refused(_) | Step::Failed(_) => return false,
            };
        }
    }

    /// A check-out whose caller looks once and goes away if there is nothing.
    fn try_to_use_one(self: &Arc<Self>, runtime: u8) {
        let ticket = match self.begin(runtime) {
            Step::Wait(ticket) => ticket,
            Step::Ready(member) | Step::Probe(member) => {
                return self.change(|state| ((), state.check_in(member, None, self.now)));
            }
            Step::Refused(_) | Step::Failed(_) => return,
        };
        let mut context = Context::from_waker(Waker::noop());
        match Pin::new(&mut self.turn(ticket, runtime)).poll(&mut context) {
            Poll::Pending => {
                self.change(|state| ((), state.abandon_wait(ticket, self.now, self.now)));
            }
            Poll::Ready(Step::Ready(member) | Step::Probe(member)) => {
                self.change(|state| ((), state.check_in(member, None, self.now)));
            }
            Poll::Ready(_) => {}
        }
    }

    fn turn(self: &Arc<Self>, ticket: Ticket, runtime: u8) -> Turn {
        Turn {
            pool: Arc::clone(self),
            ticket,
            runtime,
        }
    }

    /// Everything was given back, but for attempts that nobody waits for.
    fn check(&self) {
        let state = self.state.lock().unwrap();
        let counts = state.counts();
        assert_eq!((counts.in_use, counts.waiting), (0, 0), "{counts:?}");
        assert_eq!(counts.total, counts.idle + counts.pending, "{counts:?}");
        assert!(state.granted.is_empty() && state.recalled.is_empty());
        assert_eq!(state.known.len(), counts.total);
    }
}

struct Turn {
    pool: Arc<Pool>,
    ticket: Ticket,
    runtime: u8,
}

impl Future for Turn {
    type Output = Step<u8>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Step<u8>> {
        let (now, waker) = (self.pool.now, context.waker().clone());
        let (ticket, runtime) = (self.ticket, self.runtime);
        let is_here = |it: &u8| *it == runtime;
        let look = |state: &mut State| state.look(ticket, waker, now, now, is_here);
        self.pool.change(look).map_or(Poll::Pending, Poll::Ready)
    }
}

/// Runs the model in every order of events in which threads are interrupted at most twice.
fn in_every_order(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(model);
}

#[test]
fn one_who_vanishes_leaves_the_other_neither_without_a_connection_nor_without_an_answer() {
    for first_succeeds in [true, false] {
        in_every_order(move || {
            let succeeds: Fate = if first_succeeds {
                |_| true
            } else {
                |id| id > 1
            };
            let pool = Pool::new(1, Instant::now(), succeeds);
            let impatient = {
                let pool = Arc::clone(&pool);
                thread::spawn(move || pool.try_to_use_one(1))
            };
            let was_served = pool.use_one(1);
            assert!(was_served || !first_succeeds);
            impatient.join().unwrap();
            pool.check();
        });
    }
}

#[test]
fn users_on_two_runtimes_share_what_is_idle() {
    in_every_order(|| {
        let pool = Pool::new(1, Instant::now(), |_| true);
        let (step, effects) = pool.state.lock().unwrap().check_out(pool.now, |_| true);
        let Step::Wait(ticket) = step else {
            panic!("there is no connection yet");
        };
        let slot = effects.connect.into_iter().next().unwrap();
        let _ = pool
            .state
            .lock()
            .unwrap()
            .established(slot, 0, None, pool.now);
        pool.change(|state| ((), state.abandon_wait(ticket, pool.now, pool.now)));
        let others = [0, 1].map(|runtime| {
            let pool = Arc::clone(&pool);
            thread::spawn(move || assert!(pool.use_one(runtime)))
        });
        assert!(pool.use_one(1));
        for other in others {
            other.join().unwrap();
        }
        pool.check();
        assert_eq!(pool.state.lock().unwrap().counts().idle, 1);
    });
}

#[test]
fn a_clearing_refuses_or_serves_everybody() {
    in_every_order(|| {
        let pool = Pool::new(1, Instant::now(), |_| true);
        let user = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || pool.use_one(1))
        };
        pool.change(|state| ((), state.clear(ClearCause::default(), pool.now)));
        pool.change(|state| ((), state.ready(pool.now)));
        user.join().unwrap();
        pool.check();
    });
}
