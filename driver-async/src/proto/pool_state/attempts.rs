//! Making connections: who may, for whom, and what becomes of them.

use std::{sync::Arc, time::Instant};

use bson::oid::ObjectId;

use super::{
    Attempt, Effects, Failure, Generation, Grant, Known, Member, Phase, PoolState, Slot, Ticket,
    Waiter,
};
use crate::event::cmap::ConnectionClosedReason;

/// How long the pool makes no connection of its own accord.
#[derive(Debug)]
pub(super) struct BackOff {
    /// A pool that was cleared since has a new generation, and a new reason to try at once.
    generation: Generation,
    pub(super) until: Instant,
}

impl<T, W> PoolState<T, W> {
    /// Takes a new connection, and gives it to the oldest waiter if there is one. It is closed if
    /// the pool was cleared or closed meanwhile.
    pub(crate) fn established(
        &mut self,
        slot: Slot,
        connection: T,
        service_id: Option<ObjectId>,
        now: Instant,
    ) -> Effects<T, W> {
        let mut effects = Effects::default();
        self.admit(slot, connection, service_id, now, &mut effects);
        self.back_off = None;
        self.finish(now, &mut effects);
        effects
    }

    /// Notes that an attempt has failed, before anybody draws conclusions from that: the check-out
    /// that it was made for is to learn the error itself, and not that the pool was cleared for it.
    pub(crate) fn failing(&mut self, slot: &Slot) {
        if let Some(attempt) = self.attempt_mut(slot.id) {
            attempt.is_failing = true;
        }
        if let Some(ticket) = self.owner_of(slot.id)
            && let Some(waiter) = self.waiting.get_mut(&ticket)
        {
            waiter.is_failing = true;
        }
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
            _ if self.phase == Phase::Closed => (ConnectionClosedReason::PoolClosed, None),
            Failure::Interrupted if self.generations.is_stale(slot.generation) => {
                (ConnectionClosedReason::Stale, None)
            }
            Failure::Interrupted | Failure::Dropped => (ConnectionClosedReason::Dropped, None),
        };
        let owner = self.owner_of(slot.id);
        let is_told = self.attempt_mut(slot.id).is_some_and(|it| it.is_told);
        let was_filling = self.end_attempt(slot.id);
        self.forget(slot.id, slot.generation);
        if !is_told {
            self.journal
                .closed(slot.id, reason, error, &mut effects.events);
        }
        if let Some(ticket) = owner
            && let Failure::Error(error) = failure
            && let Some(waiter) = self.waiting.remove(&ticket)
        {
            self.granted.insert(ticket, Grant::Failed(error.clone()));
            effects.wake.extend(waiter.waker);
        }
        if was_filling && let Some(pause) = self.limits.back_off {
            self.back_off = now.checked_add(pause).map(|until| BackOff {
                generation: slot.generation,
                until,
            });
        }
        self.finish(now, &mut effects);
        effects
    }

    /// Makes connections for those who wait, each for the one who has waited longest without one.
    pub(super) fn connect_for_waiters(&mut self, now: Instant, effects: &mut Effects<T, W>) {
        // The usual case when many wait: no room for a further attempt.
        while self.has_room() {
            let next = self
                .waiting
                .iter()
                .find(|(_, waiter)| waiter.attempt.is_none());
            let Some(ticket) = next.map(|(ticket, _)| *ticket) else {
                return;
            };
            let slot = self.open_slot(Some(ticket), now, effects);
            if let Some(waiter) = self.waiting.get_mut(&ticket) {
                waiter.attempt = Some(slot.id);
            }
            effects.connect.push(slot);
        }
    }

    /// Makes a connection if the pool has too few. One at a time, so that one that hangs leaves
    /// room to those that somebody waits for; and none while somebody waits.
    pub(super) fn fill(&mut self, now: Instant, effects: &mut Effects<T, W>) {
        let lacks_connections = self.phase == Phase::Ready && self.total() < self.limits.min_total;
        if !lacks_connections {
            self.back_off = None;
            return;
        }
        let current = self.generations.current(None);
        let has_reason_to_wait = |it: &BackOff| it.generation == current && it.until > now;
        self.back_off = self.back_off.take().filter(has_reason_to_wait);
        let may_fill = self.limits.back_off.is_some()
            && self.filling.is_none()
            && self.back_off.is_none()
            && self.waiting.is_empty();
        if may_fill && self.has_room() {
            let slot = self.open_slot(None, now, effects);
            self.filling = Some(slot.id);
            effects.connect.push(slot);
        }
    }

    /// Reports the attempts that a clearing or closing ends as closed, before those who waited for
    /// them learn of it. One that has failed by itself is reported with its own error.
    pub(super) fn tell_of_ended_attempts(
        &mut self,
        reason: ConnectionClosedReason,
        effects: &mut Effects<T, W>,
    ) {
        let is_closed = self.phase == Phase::Closed;
        let mut ended = Vec::new();
        for (id, known) in &mut self.known {
            let is_over = is_closed || self.generations.is_stale(known.generation);
            if let Some(attempt) = &mut known.attempt
                && is_over
                && !attempt.is_failing
                && !attempt.is_told
            {
                attempt.is_told = true;
                ended.push(*id);
            }
        }
        ended.sort_unstable();
        for id in ended {
            self.journal.closed(id, reason, None, &mut effects.events);
        }
    }

    /// Ends the attempts that nobody has waited for since long ago.
    pub(super) fn end_abandoned(&mut self, now: Instant, effects: &mut Effects<T, W>) {
        let Some(limit) = self.limits.max_abandoned else {
            return;
        };
        if !self.waiting.is_empty() {
            return;
        }
        let last_waited = self.last_waited;
        for known in self.known.values_mut() {
            if let Some(attempt) = &mut known.attempt
                && now.saturating_duration_since(attempt.abandoned_since(last_waited)) >= limit
            {
                attempt.is_abandoned = true;
                effects.interrupt.push(Arc::clone(&known.interrupt));
            }
        }
    }

    /// When the next attempt will have been abandoned for too long.
    pub(super) fn next_abandonment(&self, now: Instant) -> Option<Instant> {
        let limit = self.limits.max_abandoned?;
        if self.pending == 0 {
            return None;
        }
        if !self.waiting.is_empty() {
            return now.checked_add(limit);
        }
        let attempts = self.known.values().filter_map(|it| it.attempt.as_ref());
        attempts
            .filter(|attempt| !attempt.is_abandoned)
            .filter_map(|it| it.abandoned_since(self.last_waited).checked_add(limit))
            .min()
    }

    /// Leaves the attempt that was made for a waiter to one who has none, in case it fails. One
    /// that has failed is of no use to anybody: it may be from before a clearing.
    pub(super) fn leave_attempt(&mut self, left: &Waiter<W>) {
        let Some(id) = left.attempt else { return };
        let heir = self
            .waiting
            .iter_mut()
            .find(|(_, waiter)| waiter.attempt.is_none() && !left.is_failing);
        let owner = heir.map(|(ticket, waiter)| {
            waiter.attempt = Some(id);
            *ticket
        });
        if let Some(attempt) = self.attempt_mut(id) {
            attempt.owner = owner;
        }
    }

    fn has_room(&self) -> bool {
        self.pending < self.limits.max_connecting && self.total() < self.limits.max_total
    }

    fn attempt_mut(&mut self, id: u32) -> Option<&mut Attempt> {
        self.known.get_mut(&id)?.attempt.as_mut()
    }

    fn owner_of(&self, id: u32) -> Option<Ticket> {
        self.known.get(&id)?.attempt.as_ref()?.owner
    }

    fn open_slot(
        &mut self,
        owner: Option<Ticket>,
        now: Instant,
        effects: &mut Effects<T, W>,
    ) -> Slot {
        let slot = Slot {
            id: self.next_id,
            generation: self.generations.current(None),
            interrupt: Arc::default(),
            created: now,
            is_background: owner.is_none(),
        };
        self.next_id = self.next_id.wrapping_add(1);
        self.pending += 1;
        let known = Known {
            generation: slot.generation,
            interrupt: Arc::clone(&slot.interrupt),
            attempt: Some(Attempt {
                created: now,
                owner,
                is_abandoned: false,
                is_failing: false,
                is_told: false,
            }),
        };
        self.known.insert(slot.id, known);
        self.journal.created(slot.id, &mut effects.events);
        slot
    }

    /// Notes that an attempt has ended; tells whether the pool made it of its own accord.
    fn end_attempt(&mut self, id: u32) -> bool {
        self.pending -= 1;
        if let Some(ticket) = self.owner_of(id)
            && let Some(waiter) = self.waiting.get_mut(&ticket)
        {
            waiter.attempt = None;
            // Or else it would wait for what it is never given.
            waiter.is_failing = false;
        }
        self.filling.take_if(|filling| *filling == id).is_some()
    }

    /// Turns a slot into an idle connection, unless it is stale already.
    fn admit(
        &mut self,
        slot: Slot,
        connection: T,
        service_id: Option<ObjectId>,
        now: Instant,
        effects: &mut Effects<T, W>,
    ) {
        let known = self.known.get(&slot.id);
        let attempt = known.and_then(|known| known.attempt.as_ref());
        let is_abandoned = attempt.is_some_and(|attempt| attempt.is_abandoned);
        let is_told = attempt.is_some_and(|attempt| attempt.is_told);
        self.end_attempt(slot.id);
        let service_id = service_id.filter(|_| self.limits.load_balanced);
        let generation = service_id.map_or(slot.generation, |id| self.generations.join(id));
        let member = Box::new(Member {
            connection,
            id: slot.id,
            generation,
            interrupt: slot.interrupt,
            idle_since: now,
        });
        if let Some(known) = self.known.get_mut(&slot.id) {
            known.generation = generation;
            known.attempt = None;
        }
        if is_told {
            self.forget(member.id, generation);
            effects.closed.push(member);
        } else if self.phase == Phase::Closed {
            self.remove(member, ConnectionClosedReason::PoolClosed, None, effects);
        } else if self.generations.is_stale(generation) {
            self.remove(member, ConnectionClosedReason::Stale, None, effects);
        } else if is_abandoned {
            // Its signal was given, and would end whatever used it.
            self.remove(member, ConnectionClosedReason::Dropped, None, effects);
        } else {
            let duration = now.saturating_duration_since(slot.created);
            self.journal
                .connection_ready(member.id, duration, &mut effects.events);
            self.shelve(member, now);
        }
    }
}

impl Attempt {
    /// Since when nobody waits for it, given when somebody last waited for any connection.
    fn abandoned_since(&self, last_waited: Option<Instant>) -> Instant {
        last_waited.map_or(self.created, |waited| waited.max(self.created))
    }
}

#[cfg(test)]
mod tests;
