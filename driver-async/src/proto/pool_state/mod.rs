//! The accounting of one server's connection pool.
//!
//! A reducer: each method is one change that happens at once, and returns what the shell has to do
//! about it. The rules are those of the specification for connection monitoring and pooling.
//!
//! Two things hold after each change, and everything else follows from them. Nobody waits while a
//! connection or a slot is free, so a newcomer who finds the queue empty overtakes nobody. And a
//! connection or slot given to a waiter is counted as used from that moment, so nothing is lost
//! when the waiter vanishes before it looks.

mod effects;
mod events;
mod generation;
mod interrupt;
mod queue;

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use bson::oid::ObjectId;

pub use effects::{ClearCause, PoolCounts};
pub(crate) use effects::{Effects, Failure, Limits, Member, Refusal, Slot, Step, Ticket};
pub use generation::Generation;
pub use interrupt::Interrupt;

use crate::{
    address::ServerAddress,
    error::Error,
    event::cmap::{ConnectionCheckoutFailedReason, ConnectionClosedReason},
};
use events::Journal;
use generation::Generations;
use queue::Grant;

/// A connection that was established in time, or why it was refused.
type Admission<T> = Result<Box<Member<T>>, Refusal>;

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
    /// The most recently used last, so that surplus connections age at the front.
    idle: VecDeque<Box<Member<T>>>,
    in_use: usize,
    pending: usize,
    /// Every connection of the pool, for interrupts. Changes when connections come and go, not
    /// when they are checked out and in.
    known: HashMap<u32, Known>,
    /// Connections that were taken from their users by an interrupt, who still hold them.
    recalled: HashSet<u32>,
    waiting: BTreeMap<Ticket, Option<W>>,
    granted: BTreeMap<Ticket, Grant<T>>,
    probes_always: bool,
}

#[derive(Debug)]
struct Known {
    generation: Generation,
    interrupt: Arc<Interrupt>,
    is_pending: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Paused,
    Ready,
    Closed,
}

impl<T, W> PoolState<T, W> {
    /// A paused pool without connections. Events are made only when somebody is `listening`.
    pub(crate) fn new(address: ServerAddress, limits: Limits, listening: bool) -> Self {
        Self {
            journal: Journal::new(address, listening),
            limits,
            phase: Phase::Paused,
            cleared_by: None,
            generations: Generations::default(),
            next_id: 1,
            next_ticket: 0,
            idle: VecDeque::new(),
            in_use: 0,
            pending: 0,
            known: HashMap::new(),
            recalled: HashSet::new(),
            waiting: BTreeMap::new(),
            granted: BTreeMap::new(),
            probes_always: false,
        }
    }

    /// Whether events are made from now on.
    pub(crate) fn set_heard(&mut self, is_heard: bool) {
        self.journal.keep(is_heard);
    }

    /// From now on every idle connection is probed before it is handed out, not only those that
    /// were unused for long.
    pub(crate) fn probe_always(&mut self) {
        self.probes_always = true;
    }

    /// The pool can hand out connections from now on. Nothing happens when it could already, or
    /// when it is closed.
    pub(crate) fn ready(&mut self) -> Effects<T, W> {
        let mut effects = Effects::default();
        if self.phase == Phase::Paused {
            self.phase = Phase::Ready;
            self.journal.ready(&mut effects.events);
            effects.upkeep = true;
        }
        effects
    }

    /// Makes the current connections stale. Unless the pool is behind a load balancer, it pauses
    /// too, and everybody who waits fails.
    ///
    /// An interrupt ends the use of stale connections here and now: they count as closed, and their
    /// users, who are told, have nothing left to give back.
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
            self.interrupt(service_id, &mut effects);
        }
        effects.upkeep |= !self.idle.is_empty();
        self.distribute(now, &mut effects);
        effects
    }

    /// Closes the pool for good: everybody who waits fails, and connections in use are closed when
    /// they come back.
    pub(crate) fn close(&mut self) -> Effects<T, W> {
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
        effects.interrupt = self.interrupts(|known| known.is_pending);
        self.journal.closed_pool(&mut effects.events);
        effects.upkeep = true;
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
        let reason = if self.phase == Phase::Closed {
            Some(ConnectionClosedReason::PoolClosed)
        } else if failure.is_some() {
            Some(ConnectionClosedReason::Error)
        } else if self.generations.is_stale(member.generation) {
            Some(ConnectionClosedReason::Stale)
        } else {
            None
        };
        self.in_use -= 1;
        match reason {
            Some(reason) => self.remove(member, reason, failure, &mut effects),
            None => self.shelve(member, now),
        }
        self.distribute(now, &mut effects);
        effects
    }

    /// Takes a new connection for the check-out that established it.
    ///
    /// # Errors
    /// The pool was cleared or closed meanwhile, and the connection is closed.
    pub(crate) fn established(
        &mut self,
        slot: Slot,
        connection: T,
        service_id: Option<ObjectId>,
        started: Instant,
        now: Instant,
    ) -> (Admission<T>, Effects<T, W>) {
        let mut effects = Effects::default();
        let outcome = self.admit(slot, connection, service_id, now, &mut effects);
        match &outcome {
            Ok(member) => {
                self.in_use += 1;
                self.journal
                    .checked_out(member.id, now - started, &mut effects.events);
            }
            Err(refusal) => self.refused(*refusal, started, now, &mut effects),
        }
        self.distribute(now, &mut effects);
        (outcome, effects)
    }

    /// Takes a new connection that nobody asked for, and gives it to the oldest waiter if one came
    /// meanwhile.
    pub(crate) fn populated(
        &mut self,
        slot: Slot,
        connection: T,
        service_id: Option<ObjectId>,
        now: Instant,
    ) -> Effects<T, W> {
        let mut effects = Effects::default();
        if let Ok(member) = self.admit(slot, connection, service_id, now, &mut effects) {
            self.shelve(member, now);
        }
        self.distribute(now, &mut effects);
        effects.upkeep = self.lacks_connections();
        effects
    }

    /// Takes the slot of a connection that was not established.
    pub(crate) fn not_established(
        &mut self,
        slot: Slot,
        failure: &Failure,
        now: Instant,
    ) -> Effects<T, W> {
        let mut effects = Effects::default();
        let (reason, error) = match failure {
            Failure::Error(error) => (ConnectionClosedReason::Error, Some(error.clone())),
            Failure::Dropped => (ConnectionClosedReason::Dropped, None),
            Failure::Interrupted if self.phase == Phase::Closed => {
                (ConnectionClosedReason::PoolClosed, None)
            }
            Failure::Interrupted => (ConnectionClosedReason::Stale, None),
        };
        self.pending -= 1;
        self.forget(slot.id, slot.generation);
        self.journal
            .closed(slot.id, reason, error, &mut effects.events);
        self.distribute(now, &mut effects);
        effects
    }

    /// A slot for the upkeep when the pool has too few connections.
    ///
    /// Nobody who waits is overtaken. The upkeep asks for one slot at a time, so that a background
    /// connection that hangs leaves the other slots to the operations.
    pub(crate) fn populate(&mut self, now: Instant) -> (Option<Slot>, Effects<T, W>) {
        let mut effects = Effects::default();
        let slot = if self.lacks_connections() && self.waiting.is_empty() {
            self.open_slot(now, &mut effects)
        } else {
            None
        };
        (slot, effects)
    }

    /// Closes the idle connections that are stale or were unused for too long.
    pub(crate) fn reap(&mut self, now: Instant) -> Effects<T, W> {
        let mut effects = Effects::default();
        for member in std::mem::take(&mut self.idle) {
            match self.perished(&member, now) {
                Some(reason) => self.remove(member, reason, None, &mut effects),
                None => self.idle.push_back(member),
            }
        }
        self.distribute(now, &mut effects);
        effects
    }

    /// When the next idle connection will have been unused for too long; `None` without a limit.
    /// Connections that become idle after `now` cannot be earlier.
    pub(crate) fn next_expiry(&self, now: Instant) -> Option<Instant> {
        let max_idle = self.limits.max_idle?;
        let oldest = self.idle.front().map_or(now, |member| member.idle_since);
        oldest.checked_add(max_idle)
    }

    /// Whether the pool has its least number of connections, or is not to have any now.
    pub(crate) fn is_filled(&self) -> bool {
        self.phase != Phase::Ready || self.idle.len() + self.in_use >= self.limits.min_total
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

    /// Interrupts whoever uses or establishes a stale connection, and takes back those in use.
    fn interrupt(&mut self, service_id: Option<ObjectId>, effects: &mut Effects<T, W>) {
        let stale = |known: &Known| {
            known.generation.service_id() == service_id
                && self.generations.is_stale(known.generation)
        };
        effects.interrupt = self.interrupts(stale);
        // Nothing tells a connection in use from the others, because noting that down would cost
        // each check-out something; here it is rare enough to look at all.
        let granted = self.granted.values().filter_map(|grant| match grant {
            Grant::Connection(member) => Some(member.id),
            Grant::Slot(_) | Grant::Refused(_) => None,
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
            .filter(|(id, known)| !known.is_pending && !unused.contains(id) && stale(known))
            .map(|(id, known)| (*id, known.generation))
            .collect();
        in_use.sort_unstable_by_key(|(id, _)| *id);
        for (id, generation) in in_use {
            self.in_use -= 1;
            self.recalled.insert(id);
            self.forget(id, generation);
            self.journal.checked_in(id, &mut effects.events);
            self.journal
                .closed(id, ConnectionClosedReason::Stale, None, &mut effects.events);
        }
    }

    fn was_recalled(&mut self, member: &Member<T>) -> bool {
        !self.recalled.is_empty() && self.recalled.remove(&member.id)
    }

    fn interrupts(&self, wanted: impl Fn(&Known) -> bool) -> Vec<Arc<Interrupt>> {
        let known = self.known.values().filter(|known| wanted(known));
        known.map(|known| Arc::clone(&known.interrupt)).collect()
    }

    fn total(&self) -> usize {
        self.idle.len() + self.in_use + self.pending
    }

    fn lacks_connections(&self) -> bool {
        self.phase == Phase::Ready && self.total() < self.limits.min_total
    }

    fn open_slot(&mut self, now: Instant, effects: &mut Effects<T, W>) -> Option<Slot> {
        if self.pending >= self.limits.max_connecting || self.total() >= self.limits.max_total {
            return None;
        }
        let slot = Slot {
            id: self.next_id,
            generation: self.generations.current(None),
            interrupt: Arc::default(),
            created: now,
        };
        self.next_id = self.next_id.wrapping_add(1);
        self.pending += 1;
        let known = Known {
            generation: slot.generation,
            interrupt: Arc::clone(&slot.interrupt),
            is_pending: true,
        };
        self.known.insert(slot.id, known);
        self.journal.created(slot.id, &mut effects.events);
        Some(slot)
    }

    /// Turns a slot into a connection, which is counted nowhere yet.
    fn admit(
        &mut self,
        slot: Slot,
        connection: T,
        service_id: Option<ObjectId>,
        now: Instant,
        effects: &mut Effects<T, W>,
    ) -> Result<Box<Member<T>>, Refusal> {
        self.pending -= 1;
        let service_id = service_id.filter(|_| self.limits.load_balanced);
        let generation = service_id.map_or(slot.generation, |id| self.generations.join(id));
        let member = Box::new(Member {
            connection,
            id: slot.id,
            generation,
            interrupt: slot.interrupt,
            idle_since: now,
            is_passed_on: false,
        });
        if let Some(known) = self.known.get_mut(&slot.id) {
            known.generation = generation;
            known.is_pending = false;
        }
        if self.phase == Phase::Closed {
            self.remove(member, ConnectionClosedReason::PoolClosed, None, effects);
            return Err(Refusal::Closed);
        }
        if self.generations.is_stale(generation) {
            self.remove(member, ConnectionClosedReason::Stale, None, effects);
            return Err(Refusal::Cleared);
        }
        self.journal
            .connection_ready(member.id, now - slot.created, &mut effects.events);
        Ok(member)
    }

    fn shelve(&mut self, mut member: Box<Member<T>>, now: Instant) {
        member.idle_since = now;
        member.is_passed_on = false;
        self.idle.push_back(member);
    }

    /// Takes the most recently used connection that is fit for use.
    fn pop_idle(&mut self, now: Instant, effects: &mut Effects<T, W>) -> Option<Box<Member<T>>> {
        while let Some(member) = self.idle.pop_back() {
            match self.perished(&member, now) {
                Some(reason) => self.remove(member, reason, None, effects),
                None => return Some(member),
            }
        }
        None
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
        effects.upkeep |= self.lacks_connections();
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
        self.journal
            .check_out_failed(reason, Some(error), now - started, &mut effects.events);
    }
}

#[cfg(test)]
mod tests;
