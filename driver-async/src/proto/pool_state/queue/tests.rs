//! Random sequences of everything that can happen to a pool, against what must hold after each.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use bson::oid::ObjectId;
use rand::{Rng, SeedableRng, rngs::SmallRng, seq::IndexedRandom};

use super::*;
use crate::{
    address::ServerAddress,
    proto::pool_state::{ClearCause, Failure, Interrupt, Limits, PoolCounts, Slot},
};

/// A connection's runtime, and a waker that is known by its ticket.
type State = PoolState<u8, Ticket>;
type Out = Effects<u8, Ticket>;

const SEEDS: u64 = 200;
const CHANGES: usize = 300;
const LIMIT: Duration = Duration::from_secs(3);

/// A check-out that waits.
struct Waits {
    started: Instant,
    runtime: u8,
    /// Whether it has left a waker.
    has_looked: bool,
    is_woken: bool,
}

struct Attempted {
    slot: Slot,
    has_failed: bool,
}

/// What the shell does, and everything that is not in the pool now.
#[expect(clippy::vec_box, reason = "the pool gives and takes them so")]
struct Shell {
    state: State,
    random: SmallRng,
    /// How often nothing happens for a while.
    calm: f64,
    /// How often a connection is asked for.
    demand: f64,
    now: Instant,
    attempts: Vec<Attempted>,
    waiting: BTreeMap<Ticket, Waits>,
    probed: Vec<(Box<Member<u8>>, Waits)>,
    held: Vec<Box<Member<u8>>>,
    suspects: Vec<Box<Member<u8>>>,
    services: [ObjectId; 2],
    /// The connections whose sockets are open.
    open: HashSet<u32>,
    alarm: Option<Instant>,
}

fn broken() -> Error {
    Error::internal("it broke")
}

impl Shell {
    fn new(seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let max_total = random.random_range(1..=5);
        let limits = Limits {
            max_total,
            min_total: random.random_range(0..=max_total),
            max_connecting: random.random_range(1..=3),
            max_idle: random.random_bool(0.5).then_some(LIMIT),
            max_abandoned: random.random_bool(0.5).then_some(LIMIT),
            back_off: Some(LIMIT),
            load_balanced: random.random_bool(0.3),
        };
        let (calm, demand) = (
            random.random_range(0.0..0.7),
            random.random_range(0.02..0.3),
        );
        Self {
            calm,
            demand,
            state: PoolState::new(ServerAddress::default(), seed, limits, false),
            random,
            now: Instant::now(),
            attempts: Vec::new(),
            waiting: BTreeMap::new(),
            probed: Vec::new(),
            held: Vec::new(),
            suspects: Vec::new(),
            services: [ObjectId::new(), ObjectId::new()],
            open: HashSet::new(),
            alarm: None,
        }
    }

    fn perform(&mut self, effects: Out) {
        for ticket in effects.wake {
            // Its check-out may have vanished.
            if let Some(waits) = self.waiting.get_mut(&ticket) {
                waits.is_woken = true;
            }
        }
        effects.interrupt.iter().for_each(|it| it.fire());
        for member in effects.closed {
            assert!(self.open.remove(&member.id()), "was closed before");
        }
        let attempts = effects.connect.into_iter().map(|slot| Attempted {
            slot,
            has_failed: false,
        });
        self.attempts.extend(attempts);
        self.suspects.extend(effects.verify);
        if effects.alarm.is_some() {
            self.alarm = effects.alarm;
        }
    }

    /// One of those, which is taken out.
    fn take<T>(random: &mut SmallRng, from: &mut Vec<T>) -> Option<T> {
        (!from.is_empty()).then(|| from.swap_remove(random.random_range(0..from.len())))
    }

    fn some_ticket(&mut self) -> Option<Ticket> {
        let tickets: Vec<_> = self.waiting.keys().copied().collect();
        tickets.choose(&mut self.random).copied()
    }

    fn follow(&mut self, step: Step<u8>, waits: Waits) {
        match step {
            Step::Ready(member) => self.held.push(member),
            Step::Probe(member) => self.probed.push((member, waits)),
            Step::Wait(ticket) => {
                self.waiting.insert(ticket, waits);
            }
            Step::Refused(_) | Step::Failed(_) => {}
        }
    }

    fn check_out(&mut self) {
        let runtime = self.random.random_range(0..2);
        let waits = Waits {
            started: self.now,
            runtime,
            has_looked: false,
            is_woken: false,
        };
        let (step, effects) = self.state.check_out(self.now, |it| *it == runtime);
        self.perform(effects);
        self.follow(step, waits);
    }

    fn look(&mut self, ticket: Ticket) {
        let (started, runtime) = (self.waiting[&ticket].started, self.waiting[&ticket].runtime);
        let is_here = |it: &u8| *it == runtime;
        let (step, effects) = self.state.look(ticket, ticket, started, self.now, is_here);
        self.perform(effects);
        match step {
            Some(step) => {
                let waits = self.waiting.remove(&ticket).unwrap();
                self.follow(step, waits);
            }
            None => {
                let waits = self.waiting.get_mut(&ticket).unwrap();
                (waits.has_looked, waits.is_woken) = (true, false);
            }
        }
    }

    fn look_if_woken(&mut self) {
        let is_due = |waits: &Waits| waits.is_woken || !waits.has_looked;
        let due = self.waiting.iter().find(|(_, waits)| is_due(waits));
        if let Some(ticket) = due.map(|(ticket, _)| *ticket) {
            self.look(ticket);
        }
    }

    fn time_out(&mut self, ticket: Ticket) {
        let is_of_queue = self.random.random_bool(0.5);
        let started = self.waiting[&ticket].started;
        let outcome = self
            .state
            .time_out(ticket, broken(), is_of_queue, started, self.now);
        self.perform(outcome.1);
        match outcome.0 {
            TimedOut::Connecting => assert!(is_of_queue),
            TimedOut::Ended => drop(self.waiting.remove(&ticket)),
            TimedOut::Step(step) => {
                let waits = self.waiting.remove(&ticket).unwrap();
                self.follow(step, waits);
            }
        }
    }

    fn abandon(&mut self, ticket: Ticket) {
        let waits = self.waiting.remove(&ticket).unwrap();
        let effects = self.state.abandon_wait(ticket, waits.started, self.now);
        self.perform(effects);
    }

    fn end_probe(&mut self, is_usable: bool) {
        let Some((mut member, waits)) = Self::take(&mut self.random, &mut self.probed) else {
            return;
        };
        let runtime = waits.runtime;
        let is_here = |it: &u8| *it == runtime;
        let (step, effects) = if is_usable {
            member.connection = runtime;
            self.state.accept(member, waits.started, self.now, is_here)
        } else {
            self.state.replace(member, waits.started, self.now, is_here)
        };
        self.perform(effects);
        self.follow(step, waits);
    }

    fn check_in(&mut self, failure: Option<Error>) {
        if let Some(member) = Self::take(&mut self.random, &mut self.held) {
            let effects = self.state.check_in(member, failure, self.now);
            self.perform(effects);
        }
    }

    fn verified(&mut self, failure: Option<Error>) {
        if let Some(member) = Self::take(&mut self.random, &mut self.suspects) {
            let effects = self.state.verified(member, failure, self.now);
            self.perform(effects);
        }
    }

    /// An attempt goes on or ends, now and then although it was interrupted.
    fn end_attempt(&mut self, succeeds: bool) {
        let Some(mut attempt) = Self::take(&mut self.random, &mut self.attempts) else {
            return;
        };
        let id = attempt.slot.id();
        let failure = if attempt.has_failed && self.random.random_bool(0.9) {
            Failure::Error(broken())
        } else if attempt.has_failed {
            Failure::Dropped
        } else if attempt.slot.interrupt().is_fired() && self.random.random_bool(0.8) {
            Failure::Interrupted
        } else if succeeds {
            let service = *self.services.choose(&mut self.random).unwrap();
            let effects = self
                .state
                .established(attempt.slot, 2, Some(service), self.now);
            self.open.insert(id);
            return self.perform(effects);
        } else {
            self.state.failing(&attempt.slot);
            attempt.has_failed = true;
            return self.attempts.push(attempt);
        };
        let effects = self.state.not_established(attempt.slot, &failure, self.now);
        self.perform(effects);
    }

    fn clear(&mut self) {
        let mut cause = ClearCause::new(broken());
        if self.random.random_bool(0.8) {
            cause = cause.service_id(*self.services.choose(&mut self.random).unwrap());
        }
        if self.random.random_bool(0.5) {
            cause = cause.interrupting();
        }
        let effects = self.state.clear(cause, self.now);
        self.perform(effects);
    }

    fn ready(&mut self) {
        let effects = self.state.ready(self.now);
        self.perform(effects);
    }

    fn pass_time(&mut self, time: Duration) {
        self.now += time;
        if self.alarm.is_some_and(|at| at <= self.now) {
            self.alarm = None;
            let effects = self.state.turn(self.now);
            self.perform(effects);
        }
    }

    fn change(&mut self) {
        if self.random.random_bool(self.calm) {
            let millis = self.random.random_range(0..1_500);
            return self.pass_time(Duration::from_millis(millis));
        }
        if self.random.random_bool(self.demand) {
            return self.check_out();
        }
        match self.random.random_range(25..100) {
            25..40 => self.look_if_woken(),
            40..46 => self.some_ticket().into_iter().for_each(|it| self.look(it)),
            46..52 => self
                .some_ticket()
                .into_iter()
                .for_each(|it| self.time_out(it)),
            52..58 => self
                .some_ticket()
                .into_iter()
                .for_each(|it| self.abandon(it)),
            58..62 => self.end_probe(true),
            62..64 => self.end_probe(false),
            64..72 => self.check_in(None),
            72..74 => self.check_in(Some(broken())),
            74..82 => self.end_attempt(true),
            82..87 => self.end_attempt(false),
            87..89 => self.clear(),
            89..93 => self.ready(),
            93..97 => {
                let effects = self.state.suspect_idle(self.now);
                self.perform(effects);
            }
            97..99 => self.verified(None),
            _ => self.verified(Some(broken())),
        }
    }

    fn check(&self) {
        let state = &self.state;
        let counts = state.counts();
        assert_eq!(counts.total, counts.idle + counts.in_use + counts.pending);
        assert!(counts.total <= state.limits.max_total, "{counts:?}");
        assert!(counts.pending <= state.limits.max_connecting, "{counts:?}");
        assert_eq!(counts.pending, self.attempts.len());
        assert_eq!(state.known.len(), counts.total);
        let granted = state.granted.values();
        let granted = granted
            .filter(|it| matches!(it, Grant::Connection(_)))
            .count();
        let out = self.held.len() + self.probed.len() + self.suspects.len() + granted;
        assert_eq!(counts.in_use + state.recalled.len(), out);
        assert_eq!(self.open.len(), counts.idle + out);
        self.check_interrupts();
        self.check_queue();
        self.check_attempts();
        self.check_times();
    }

    /// Nobody is given a connection that is told to stop, and nothing is made or verified that
    /// nobody wants.
    fn check_interrupts(&self) {
        let state = &self.state;
        let idle = &state.idle;
        assert!(idle.iter().all(|it| !it.interrupt.is_fired()), "is to stop");
        let is_unwanted = |it| state.is_closed() || state.generations.is_stale(it);
        let attempts = self.attempts.iter().map(|it| &it.slot);
        let attempts = attempts.map(|it| (it.generation, &it.interrupt));
        let suspects = self
            .suspects
            .iter()
            .map(|it| (it.generation, &it.interrupt));
        let all: Vec<_> = attempts.chain(suspects).collect();
        let goes_on = |(generation, interrupt): &(_, &Arc<Interrupt>)| {
            is_unwanted(*generation) && !interrupt.is_fired()
        };
        assert!(!all.iter().any(goes_on), "goes on for nobody");
    }

    fn check_queue(&self) {
        let state = &self.state;
        let queued: HashSet<_> = state.waiting.keys().chain(state.granted.keys()).collect();
        assert_eq!(
            queued,
            self.waiting.keys().collect(),
            "nobody else is in the queue"
        );
        for ticket in state.granted.keys() {
            let waits = &self.waiting[ticket];
            assert!(
                waits.is_woken || !waits.has_looked,
                "{ticket} was not woken"
            );
        }
        let mut patient = state.waiting.values().filter(|it| !it.is_failing);
        if state.phase != Phase::Ready {
            assert!(patient.next().is_none(), "waits for what cannot come");
        } else if patient.next().is_some() {
            assert!(state.idle.is_empty(), "waits beside a free connection");
        }
        let has_room =
            state.pending < state.limits.max_connecting && state.total() < state.limits.max_total;
        let is_left_alone = |it: &Waiter<Ticket>| it.attempt.is_none();
        if state.phase == Phase::Ready && state.waiting.values().any(is_left_alone) {
            assert!(!has_room, "waits for nothing");
        }
        if state.phase == Phase::Ready && state.waiting.is_empty() && has_room {
            let lacks = state.total() < state.limits.min_total;
            assert!(!lacks || state.filling.is_some() || state.back_off.is_some());
        }
    }

    fn check_attempts(&self) {
        let state = &self.state;
        for (ticket, waiter) in &state.waiting {
            let Some(id) = waiter.attempt else {
                assert!(!waiter.is_failing, "nothing fails for it");
                continue;
            };
            let known = &state.known[&id];
            let attempt = known.attempt.as_ref();
            assert_eq!(attempt.and_then(|it| it.owner), Some(*ticket));
            let is_stale = state.generations.is_stale(known.generation);
            assert!(waiter.is_failing || !is_stale, "learns of an older failure");
        }
        let filling = state.filling.map(|id| &state.known[&id].attempt);
        assert!(filling.is_none_or(|it| it.as_ref().is_some_and(|it| it.owner.is_none())));
    }

    fn check_times(&self) {
        let state = &self.state;
        assert_eq!(state.alarm, self.alarm);
        if let Some(at) = state.next_turn(self.now) {
            assert!(
                state.alarm.is_some_and(|alarm| alarm <= at),
                "rings too late"
            );
        }
        assert!(state.idle.iter().is_sorted_by_key(|it| it.idle_since));
    }

    /// Ends everything that is under way. Nobody looks who was not woken.
    fn wind_down(&mut self) {
        self.ready();
        for _ in 0..300 {
            self.look_if_woken();
            self.end_probe(true);
            self.check_in(None);
            self.verified(None);
            self.end_attempt(true);
            self.pass_time(Duration::from_millis(100));
            self.check();
        }
        while !self.attempts.is_empty() {
            self.end_attempt(true);
            self.check();
        }
        assert!(
            self.waiting.is_empty(),
            "{} were left behind",
            self.waiting.len()
        );
        let counts = self.state.counts();
        assert_eq!((counts.in_use, counts.pending), (0, 0));
        assert!(counts.idle >= self.state.limits.min_total);
        assert!(self.state.recalled.is_empty() && self.state.suspected.is_empty());
    }

    fn close(&mut self) {
        let effects = self.state.close(self.now);
        self.perform(effects);
    }
}

#[test]
fn whatever_happens_in_any_order_nothing_is_lost_and_nobody_is_left_behind() {
    for seed in 0..SEEDS {
        // Shown when it fails.
        println!("seed {seed}");
        let mut shell = Shell::new(seed);
        shell.ready();
        for _ in 0..CHANGES {
            shell.change();
            shell.check();
        }
        if seed % 4 == 0 {
            shell.close();
            shell.check();
            (0..CHANGES).for_each(|_| {
                shell.change();
                shell.check();
            });
        } else {
            shell.wind_down();
        }
        shell.close();
        shell.finish_closed();
    }
}

impl Shell {
    /// A closed pool has nothing left once everybody has given back what they had.
    fn finish_closed(&mut self) {
        while !(self.waiting.is_empty() && self.attempts.is_empty() && self.open.is_empty()) {
            let before = (self.waiting.len(), self.attempts.len(), self.open.len());
            self.look_if_woken();
            self.end_probe(true);
            self.check_in(None);
            self.verified(None);
            self.end_attempt(false);
            self.check();
            let is_failing = self.attempts.iter().any(|it| it.has_failed);
            let after = (self.waiting.len(), self.attempts.len(), self.open.len());
            assert!(is_failing || before != after, "nothing goes on");
        }
        assert_eq!(self.state.counts(), PoolCounts::default());
        assert!(self.state.known.is_empty() && self.state.granted.is_empty());
    }
}
