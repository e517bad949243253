//! The accounting of one server's connection pool.
//!
//! A reducer: each method is one change that happens at once, and returns what the shell has to do
//! about it. The rules are those of the [connection monitoring and pooling
//! specification](https://github.com/mongodb/specifications/blob/master/source/connection-monitoring-and-pooling/connection-monitoring-and-pooling.md).
//!
//! Two things hold after each change, and everything else follows from them. Nobody waits while a
//! connection is free, so a newcomer who finds the queue empty overtakes nobody. And a connection
//! given to a waiter is counted as used from that moment, so nothing is lost when the waiter
//! vanishes before it looks.
//!
//! The pool, not the check-out, makes connections: an attempt goes on when nobody waits for it any
//! more, and its connection goes to the oldest waiter or is kept. What follows from a change is
//! derived in one place, [`PoolState::finish`].

mod attempts;
mod effects;
mod events;
mod generation;
mod interrupt;
mod queue;
mod suspects;

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use bson::oid::ObjectId;

pub use effects::{ClearCause, PoolCounts};
pub(crate) use effects::{Effects, Failure, Limits, Member, Refusal, Slot, Step, Ticket, TimedOut};
pub use generation::Generation;
pub use interrupt::Interrupt;

use crate::{
    address::ServerAddress,
    error::Error,
    event::cmap::{ConnectionCheckoutFailedReason, ConnectionClosedReason},
};
use attempts::BackOff;
use events::Journal;
use generation::Generations;
use queue::{Grant, Waiter};

/// A connection that was unused for this long is looked at before it is handed out. Servers and
/// firewalls that hang up do so after minutes; a look costs a system call.
const PROBE_AFTER: Duration = Duration::from_secs(1);

/// The connections of a pool of `T`, whose waiters are woken by `W`.
#[derive(Debug)]
pub(crate) struct PoolState<T, W> {
    journal: Journal,
    limits: Limits,
    phase: Phase,
    cleared_by: Option<Error>,
    generations: Generations,
    next_id: u32,
    next_ticket: Ticket,
    /// In the order of their last use, so that surplus connections age at the front, where the
    /// oldest is looked for.
    idle: VecDeque<Box<Member<T>>>,
    in_use: usize,
    pending: usize,
    /// Every connection of the pool, for interrupts. Changes when connections come and go, not
    /// when they are checked out and in.
    known: HashMap<u32, Known>,
    /// Connections that were taken from their users by an interrupt, who still hold them.
    recalled: HashSet<u32>,
    /// When idle connections last had to show that the network knows them.
    last_suspicion: Option<Instant>,
    /// Connections that have to answer before they are idle again. They count as in use.
    suspected: HashSet<u32>,
    waiting: BTreeMap<Ticket, Waiter<W>>,
    granted: BTreeMap<Ticket, Grant<T>>,
    /// The attempt that the pool makes of its own accord, to have its least number of connections.
    filling: Option<u32>,
    back_off: Option<BackOff>,
    /// When somebody last waited for a connection.
    last_waited: Option<Instant>,
    /// When the shell will call [`PoolState::turn`].
    alarm: Option<Instant>,
    was_settled: bool,
}

#[derive(Debug)]
struct Known {
    generation: Generation,
    interrupt: Arc<Interrupt>,
    /// Set while the connection is being established.
    attempt: Option<Attempt>,
}

/// A connection that is being established.
#[derive(Debug)]
struct Attempt {
    created: Instant,
    /// The check-out that learns of it when the attempt fails.
    owner: Option<Ticket>,
    /// Whether it was ended because nobody had waited for it since long ago.
    is_abandoned: bool,
    /// Whether it has failed, and the pool is about to learn of it.
    is_failing: bool,
    /// Whether it was reported as closed, for a clearing or closing that ends it.
    is_told: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Paused,
    Ready,
    Closed,
}

impl<T, W> PoolState<T, W> {
    /// A paused pool without connections. `pool` tells its generations from those of other pools.
    /// Events are made only when somebody is `listening`.
    pub(crate) fn new(address: ServerAddress, pool: u64, limits: Limits, listening: bool) -> Self {
        Self {
            journal: Journal::new(address, listening),
            limits,
            phase: Phase::Paused,
            cleared_by: None,
            generations: Generations::new(pool),
            next_id: 1,
            next_ticket: 0,
            idle: VecDeque::new(),
            in_use: 0,
            pending: 0,
            known: HashMap::new(),
            recalled: HashSet::new(),
            last_suspicion: None,
            suspected: HashSet::new(),
            waiting: BTreeMap::new(),
            granted: BTreeMap::new(),
            filling: None,
            back_off: None,
            last_waited: None,
            alarm: None,
            was_settled: true,
        }
    }

    /// Whether events are made from now on.
    pub(crate) fn set_heard(&mut self, is_heard: bool) {
        self.journal.keep(is_heard);
    }

    /// The pool can hand out connections from now on. Nothing happens when it could already, or
    /// when it is closed.
    pub(crate) fn ready(&mut self, now: Instant) -> Effects<T, W> {
        let mut effects = Effects::default();
        if self.phase == Phase::Paused {
            self.phase = Phase::Ready;
            self.journal.ready(&mut effects.events);
            self.finish(now, &mut effects);
        }
        effects
    }

    /// Makes the current connections stale. Unless the pool is behind a load balancer, it pauses
    /// too, and everybody who waits fails.
    ///
    /// Idle connections are closed, and attempts to make or verify stale ones end. An interrupt ends the use
    /// of stale connections here and now as well: they count as closed, and their users, who are
    /// told, have nothing left to give back.
    pub(crate) fn clear(&mut self, cause: ClearCause, now: Instant) -> Effects<T, W> {
        let mut effects = Effects::default();
        if self.phase == Phase::Closed {
            return effects;
        }
        let service_id = if self.limits.load_balanced {
            // Without a service there is nothing to clear: the connection failed before the load
            // balancer had chosen one.
            let Some(id) = cause.service_id else {
                return effects;
            };
            Some(id)
        } else {
            None
        };
        self.generations.bump(service_id);
        if self.phase == Phase::Ready {
            self.journal
                .cleared(service_id, cause.interrupt_in_use, &mut effects.events);
        }
        if service_id.is_none() && self.phase == Phase::Ready {
            self.phase = Phase::Paused;
            self.cleared_by = cause.error;
            self.refuse_all(Refusal::Cleared, &mut effects);
        }
        if cause.interrupt_in_use {
            self.recall_in_use(service_id, &mut effects);
        }
        let stale = |id: u32, known: &Known| {
            self.is_unused(id, known) && self.generations.is_stale(known.generation)
        };
        effects.interrupt.extend(self.interrupts(stale));
        self.tell_of_ended_attempts(ConnectionClosedReason::Stale, &mut effects);
        self.remove_perished(now, &mut effects);
        self.finish(now, &mut effects);
        effects
    }

    /// Closes the pool for good: everybody who waits fails, and connections in use are closed when
    /// they come back.
    pub(crate) fn close(&mut self, now: Instant) -> Effects<T, W> {
        let mut effects = Effects::default();
        if self.phase == Phase::Closed {
            return effects;
        }
        self.phase = Phase::Closed;
        while let Some(member) = self.idle.pop_front() {
            let reason = ConnectionClosedReason::PoolClosed;
            self.remove(member, reason, None, &mut effects);
        }
        self.refuse_all(Refusal::Closed, &mut effects);
        effects.interrupt = self.interrupts(|id, known| self.is_unused(id, known));
        self.tell_of_ended_attempts(ConnectionClosedReason::PoolClosed, &mut effects);
        self.journal.closed_pool(&mut effects.events);
        self.finish(now, &mut effects);
        effects
    }

    /// Takes a connection back. One that cannot be used again, for what it failed with, is closed.
    pub(crate) fn check_in(
        &mut self,
        member: Box<Member<T>>,
        failure: Option<Error>,
        now: Instant,
    ) -> Effects<T, W> {
        let mut effects = Effects::default();
        if self.was_recalled(&member) {
            effects.closed.push(member);
            return effects;
        }
        self.journal.checked_in(member.id, &mut effects.events);
        let reason = self.reason_to_close(&member, failure.is_some());
        self.in_use -= 1;
        match reason {
            Some(reason) => self.remove(member, reason, failure, &mut effects),
            None => self.shelve(member, now),
        }
        self.finish(now, &mut effects);
        effects
    }

    /// Does what is due at this time: closes connections that were unused for too long, ends
    /// attempts that nobody waits for, and makes the connections that the pool lacks.
    pub(crate) fn turn(&mut self, now: Instant) -> Effects<T, W> {
        let mut effects = Effects::default();
        self.alarm = self.alarm.filter(|at| *at > now);
        self.remove_perished(now, &mut effects);
        self.end_abandoned(now, &mut effects);
        self.finish(now, &mut effects);
        effects
    }

    /// What follows from any change: those who wait get what is free, the pool makes the
    /// connections that it lacks, and the shell learns when it is next to look.
    fn finish(&mut self, now: Instant, effects: &mut Effects<T, W>) {
        if self.waiting.is_empty() && self.limits.ask_for_nothing() {
            return;
        }
        if !self.waiting.is_empty() {
            self.distribute(now, effects);
            self.last_waited = Some(now);
        }
        self.fill(now, effects);
        if let Some(at) = self.next_turn(now)
            && self.alarm.is_none_or(|alarm| at < alarm)
        {
            self.alarm = Some(at);
            effects.alarm = Some(at);
        }
        let is_settled = self.is_settled();
        effects.settled |= is_settled && !self.was_settled;
        self.was_settled = is_settled;
    }

    /// When there is something to do without an occasion, if ever.
    fn next_turn(&self, now: Instant) -> Option<Instant> {
        let has_limits = self.limits.max_idle.is_some() || self.limits.max_abandoned.is_some();
        if self.phase == Phase::Closed || !has_limits && self.back_off.is_none() {
            return None;
        }
        let oldest = self.idle.front().map(|member| member.idle_since);
        let expiry = self.limits.max_idle.zip(oldest);
        let expiry = expiry.and_then(|(limit, since)| since.checked_add(limit));
        let retry = self.back_off.as_ref().map(|it| it.until);
        expiry
            .into_iter()
            .chain(retry)
            .chain(self.next_abandonment(now))
            .min()
    }

    /// Whether the pool has its least number of connections, or is not to have them now: it is not
    /// ready, or the last attempt of its own accord has failed.
    pub(crate) fn is_settled(&self) -> bool {
        self.phase != Phase::Ready
            || self.idle.len() + self.in_use >= self.limits.min_total
            || self.back_off.is_some()
    }

    /// Whether the pool is closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// The current generation of the pool, or of one service behind a load balancer.
    pub(crate) fn generation(&self, service_id: Option<ObjectId>) -> Generation {
        let service_id = service_id.filter(|_| self.limits.load_balanced);
        self.generations.current(service_id)
    }

    /// The signals to whoever uses or establishes one of the connections.
    pub(crate) fn all_interrupts(&self) -> Vec<Arc<Interrupt>> {
        self.interrupts(|_, _| true)
    }

    /// How many connections there are, and what they do.
    pub(crate) fn counts(&self) -> PoolCounts {
        PoolCounts {
            total: self.total(),
            idle: self.idle.len(),
            pending: self.pending,
            in_use: self.in_use,
            waiting: self.waiting.len(),
        }
    }

    /// The error for a check-out that was refused.
    pub(crate) fn refusal_error(&self, refusal: Refusal) -> Error {
        let address = self.journal.address();
        let message = match (refusal, &self.cleared_by) {
            (Refusal::Closed, _) => {
                "attempted to check out a connection from closed connection pool".to_owned()
            }
            (Refusal::Cleared, Some(error)) => format!(
                "connection pool for {address} was cleared because another operation failed \
                 with: {error}"
            ),
            (Refusal::Cleared, None) => format!(
                "connection pool for {address} is paused until a check of the server succeeds"
            ),
        };
        effects::cleared(message).with_address(address)
    }

    /// Interrupts whoever uses a stale connection, and takes it back.
    fn recall_in_use(&mut self, service_id: Option<ObjectId>, effects: &mut Effects<T, W>) {
        let stale = |_, known: &Known| {
            known.attempt.is_none()
                && known.generation.service_id() == service_id
                && self.generations.is_stale(known.generation)
        };
        effects.interrupt.extend(self.interrupts(stale));
        // Nothing tells a connection in use from the others, because noting that down would cost
        // each check-out something; here it is rare enough to look at all.
        let granted = self.granted.values().filter_map(|grant| match grant {
            Grant::Connection(member) => Some(member.id),
            Grant::Failed(_) | Grant::Refused(_) => None,
        });
        let unused: HashSet<u32> = self
            .idle
            .iter()
            .map(|member| member.id)
            .chain(granted)
            .collect();
        let mut in_use: Vec<(u32, Generation)> = self
            .known
            .iter()
            .filter(|(id, known)| !unused.contains(id) && stale(**id, known))
            .map(|(id, known)| (*id, known.generation))
            .collect();
        in_use.sort_unstable_by_key(|(id, _)| *id);
        for (id, generation) in in_use {
            self.in_use -= 1;
            self.recalled.insert(id);
            self.forget(id, generation);
            if !self.suspected.contains(&id) {
                self.journal.checked_in(id, &mut effects.events);
            }
            self.journal
                .closed(id, ConnectionClosedReason::Stale, None, &mut effects.events);
        }
    }

    fn was_recalled(&mut self, member: &Member<T>) -> bool {
        !self.recalled.is_empty() && self.recalled.remove(&member.id)
    }

    fn interrupts(&self, wanted: impl Fn(u32, &Known) -> bool) -> Vec<Arc<Interrupt>> {
        let known = self.known.iter().filter(|(id, known)| wanted(**id, known));
        known.map(|(_, it)| Arc::clone(&it.interrupt)).collect()
    }

    /// Whether a connection is being established, or verified, and no operation goes on over it.
    fn is_unused(&self, id: u32, known: &Known) -> bool {
        known.attempt.is_some() || self.suspected.contains(&id)
    }

    fn total(&self) -> usize {
        self.idle.len() + self.in_use + self.pending
    }

    fn shelve(&mut self, mut member: Box<Member<T>>, now: Instant) {
        member.idle_since = now;
        self.idle.push_back(member);
    }

    /// Puts a connection back that was not used meanwhile.
    fn put_back(&mut self, member: Box<Member<T>>) {
        let since = member.idle_since;
        let place = self.idle.partition_point(|it| it.idle_since <= since);
        self.idle.insert(place, member);
    }

    /// Takes the most recently used connection that is fit for use, of those that are registered
    /// with the runtime of its next user if there is one.
    fn pop_idle(
        &mut self,
        now: Instant,
        is_here: impl Fn(&T) -> bool,
        effects: &mut Effects<T, W>,
    ) -> Option<Box<Member<T>>> {
        loop {
            let here = self.idle.iter().rposition(|it| is_here(&it.connection));
            let place = here.or_else(|| self.idle.len().checked_sub(1))?;
            let member = self.idle.remove(place)?;
            match self.perished(&member, now) {
                Some(reason) => self.remove(member, reason, None, effects),
                None => return Some(member),
            }
        }
    }

    fn remove_perished(&mut self, now: Instant, effects: &mut Effects<T, W>) {
        for member in std::mem::take(&mut self.idle) {
            match self.perished(&member, now) {
                Some(reason) => self.remove(member, reason, None, effects),
                None => self.idle.push_back(member),
            }
        }
    }

    fn perished(&self, member: &Member<T>, now: Instant) -> Option<ConnectionClosedReason> {
        if self.generations.is_stale(member.generation) {
            return Some(ConnectionClosedReason::Stale);
        }
        let unused = now.saturating_duration_since(member.idle_since);
        (self.limits.max_idle.is_some_and(|limit| unused >= limit))
            .then_some(ConnectionClosedReason::Idle)
    }

    /// Closes a connection that is counted nowhere any more.
    fn remove(
        &mut self,
        member: Box<Member<T>>,
        reason: ConnectionClosedReason,
        failure: Option<Error>,
        effects: &mut Effects<T, W>,
    ) {
        self.forget(member.id, member.generation);
        let error = failure.filter(|_| reason == ConnectionClosedReason::Error);
        self.journal
            .closed(member.id, reason, error, &mut effects.events);
        effects.closed.push(member);
    }

    fn forget(&mut self, id: u32, generation: Generation) {
        self.known.remove(&id);
        self.generations.leave(generation);
    }

    fn refused(
        &self,
        refusal: Refusal,
        started: Instant,
        now: Instant,
        effects: &mut Effects<T, W>,
    ) {
        if !self.journal.is_kept() {
            return;
        }
        let reason = match refusal {
            Refusal::Cleared => ConnectionCheckoutFailedReason::ConnectionError,
            Refusal::Closed => ConnectionCheckoutFailedReason::PoolClosed,
        };
        let error = self.refusal_error(refusal);
        let duration = now.saturating_duration_since(started);
        self.journal
            .check_out_failed(reason, Some(error), duration, &mut effects.events);
    }
}

#[cfg(test)]
mod tests;
