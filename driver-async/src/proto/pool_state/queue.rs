//! Checking out: at once, or in the order of arrival.

use std::{io, mem, time::Instant};

use super::{Effects, Failure, Member, PROBE_AFTER, Phase, PoolState, Refusal, Slot, Step, Ticket};
use crate::{
    error::Error,
    event::cmap::{ConnectionCheckoutFailedReason, ConnectionClosedReason},
};

/// What a waiter was given and has not yet looked at.
#[derive(Debug)]
pub(super) enum Grant<T> {
    Connection(Box<Member<T>>),
    Slot(Slot),
    Refused(Refusal),
}

impl<T, W> PoolState<T, W> {
    /// Begins a check-out.
    pub(crate) fn check_out(&mut self, now: Instant) -> (Step<T>, Effects<T, W>) {
        let mut effects = Effects::default();
        self.journal.check_out_started(&mut effects.events);
        let step = self.advance(now, now, &mut effects);
        (step, effects)
    }

    /// Begins a check-out that had better get a connection of its own kind: an idle one that fits,
    /// or else a new one. The others are left to those whom they fit while there is room, unless
    /// they are of no use to anybody.
    pub(crate) fn check_out_fitting(
        &mut self,
        now: Instant,
        fits: impl Fn(&T) -> bool,
        is_useless: impl Fn(&T) -> bool,
    ) -> (Step<T>, Effects<T, W>) {
        let mut effects = Effects::default();
        self.journal.check_out_started(&mut effects.events);
        let fitting = self.idle.iter().rposition(|it| fits(&it.connection));
        let slot = match fitting.and_then(|place| self.idle.remove(place)) {
            Some(member) => {
                self.idle.push_back(member);
                None
            }
            None => {
                self.remove_idle(is_useless, &mut effects);
                let is_free = self.refusal().is_none() && self.waiting.is_empty();
                is_free.then(|| self.open_slot(now, &mut effects)).flatten()
            }
        };
        let step = match slot {
            Some(slot) => Step::Connect(slot),
            None => self.advance(now, now, &mut effects),
        };
        (step, effects)
    }

    /// Continues a check-out whose connection turned out to be dead.
    pub(crate) fn replace(
        &mut self,
        dead: Box<Member<T>>,
        started: Instant,
        now: Instant,
    ) -> (Step<T>, Effects<T, W>) {
        let mut effects = Effects::default();
        if self.was_recalled(&dead) {
            effects.closed.push(dead);
        } else {
            self.in_use -= 1;
            let hung_up = io::Error::new(
                io::ErrorKind::ConnectionReset,
                "the server closed the connection while it was idle",
            );
            let error = Some(hung_up.into());
            self.remove(dead, ConnectionClosedReason::Error, error, &mut effects);
        }
        let step = self.advance(started, now, &mut effects);
        self.distribute(now, &mut effects);
        (step, effects)
    }

    /// Hands out a connection that was probed and is alive, unless it was interrupted meanwhile.
    pub(crate) fn accept(
        &mut self,
        member: Box<Member<T>>,
        started: Instant,
        now: Instant,
    ) -> (Step<T>, Effects<T, W>) {
        if self.recalled.contains(&member.id) {
            return self.replace(member, started, now);
        }
        let mut effects = Effects::default();
        self.journal
            .checked_out(member.id, now - started, &mut effects.events);
        (Step::Ready(member), effects)
    }

    /// What a waiter does next; `None` when it goes on waiting, to be woken by `waker`.
    pub(crate) fn look(
        &mut self,
        ticket: Ticket,
        waker: W,
        started: Instant,
        now: Instant,
    ) -> (Option<Step<T>>, Effects<T, W>) {
        let mut effects = Effects::default();
        let step = self.collect(ticket, started, now, &mut effects);
        if step.is_none() {
            self.waiting.insert(ticket, Some(waker));
        }
        (step, effects)
    }

    /// Ends a wait for lack of time, unless something was granted at the last moment. The error
    /// is the one that the caller will see.
    pub(crate) fn time_out(
        &mut self,
        ticket: Ticket,
        error: Error,
        started: Instant,
        now: Instant,
    ) -> (Option<Step<T>>, Effects<T, W>) {
        let mut effects = Effects::default();
        let step = self.collect(ticket, started, now, &mut effects);
        if step.is_none() {
            self.waiting.remove(&ticket);
            self.journal.check_out_failed(
                ConnectionCheckoutFailedReason::Timeout,
                Some(error),
                now - started,
                &mut effects.events,
            );
        }
        (step, effects)
    }

    /// Notes that a check-out failed because its connection could not be established.
    pub(crate) fn check_out_failed(
        &mut self,
        error: &Error,
        started: Instant,
        now: Instant,
    ) -> Effects<T, W> {
        let mut effects = Effects::default();
        if self.journal.is_kept() {
            let reason = if self.is_closed() {
                ConnectionCheckoutFailedReason::PoolClosed
            } else {
                ConnectionCheckoutFailedReason::ConnectionError
            };
            self.journal.check_out_failed(
                reason,
                Some(error.clone()),
                now - started,
                &mut effects.events,
            );
        }
        effects
    }

    /// Takes back what was granted to a waiter that vanished, and its place in the queue.
    pub(crate) fn abandon_wait(
        &mut self,
        ticket: Ticket,
        started: Instant,
        now: Instant,
    ) -> Effects<T, W> {
        let mut effects = Effects::default();
        self.waiting.remove(&ticket);
        match self.granted.remove(&ticket) {
            Some(Grant::Connection(member)) => self.take_back(member, now, &mut effects),
            Some(Grant::Slot(slot)) => self.pass_on(slot, now, &mut effects),
            Some(Grant::Refused(_)) | None => {}
        }
        self.journal.check_out_failed(
            ConnectionCheckoutFailedReason::Dropped,
            None,
            now - started,
            &mut effects.events,
        );
        self.distribute(now, &mut effects);
        effects
    }

    /// Takes back the slot of a check-out that vanished while it was establishing a connection.
    pub(crate) fn abandon_connect(
        &mut self,
        slot: Slot,
        started: Instant,
        now: Instant,
    ) -> Effects<T, W> {
        let mut effects = self.not_established(slot, &Failure::Dropped, now);
        self.journal.check_out_failed(
            ConnectionCheckoutFailedReason::Dropped,
            None,
            now - started,
            &mut effects.events,
        );
        effects
    }

    fn advance(&mut self, started: Instant, now: Instant, effects: &mut Effects<T, W>) -> Step<T> {
        if let Some(refusal) = self.refusal() {
            self.refused(refusal, started, now, effects);
            return Step::Refused(refusal);
        }
        if self.waiting.is_empty() {
            if let Some(member) = self.pop_idle(now, effects) {
                self.in_use += 1;
                return self.hand_over(member, started, now, effects);
            }
            if let Some(slot) = self.open_slot(now, effects) {
                return Step::Connect(slot);
            }
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.waiting.insert(ticket, None);
        Step::Wait(ticket)
    }

    /// Takes what was granted under a ticket. A grant from before a clearing is worth nothing; its
    /// holder gets another one in its old place when the pool is ready again already.
    fn collect(
        &mut self,
        ticket: Ticket,
        started: Instant,
        now: Instant,
        effects: &mut Effects<T, W>,
    ) -> Option<Step<T>> {
        loop {
            match self.granted.remove(&ticket)? {
                Grant::Refused(refusal) => {
                    self.refused(refusal, started, now, effects);
                    return Some(Step::Refused(refusal));
                }
                Grant::Connection(member) if self.is_current(member.generation) => {
                    return Some(self.hand_over(member, started, now, effects));
                }
                Grant::Slot(slot) if self.is_current(slot.generation) => {
                    return Some(Step::Connect(slot));
                }
                Grant::Connection(member) => self.take_back(member, now, effects),
                Grant::Slot(slot) => self.pass_on(slot, now, effects),
            }
            if let Some(refusal) = self.refusal() {
                self.refused(refusal, started, now, effects);
                return Some(Step::Refused(refusal));
            }
            self.waiting.insert(ticket, None);
            self.distribute(now, effects);
        }
    }

    fn remove_idle(&mut self, is_useless: impl Fn(&T) -> bool, effects: &mut Effects<T, W>) {
        let idle = mem::take(&mut self.idle);
        for member in idle {
            if is_useless(&member.connection) {
                self.remove(member, ConnectionClosedReason::Stale, None, effects);
            } else {
                self.idle.push_back(member);
            }
        }
    }

    fn hand_over(
        &mut self,
        member: Box<Member<T>>,
        started: Instant,
        now: Instant,
        effects: &mut Effects<T, W>,
    ) -> Step<T> {
        let idle = now.saturating_duration_since(member.idle_since);
        if self.probes_always || idle >= PROBE_AFTER {
            return Step::Probe(member);
        }
        self.journal
            .checked_out(member.id, now - started, &mut effects.events);
        Step::Ready(member)
    }

    fn take_back(&mut self, member: Box<Member<T>>, now: Instant, effects: &mut Effects<T, W>) {
        self.in_use -= 1;
        if self.phase == Phase::Closed {
            self.remove(member, ConnectionClosedReason::PoolClosed, None, effects);
        } else if let Some(reason) = self.perished(&member, now) {
            self.remove(member, reason, None, effects);
        } else {
            self.idle.push_back(member);
        }
    }

    /// Gives a slot that was not used to the next in the queue, or closes it.
    fn pass_on(&mut self, slot: Slot, now: Instant, effects: &mut Effects<T, W>) {
        if self.is_current(slot.generation)
            && let Some((ticket, waker)) = self.waiting.pop_first()
        {
            self.granted.insert(ticket, Grant::Slot(slot));
            effects.wake.extend(waker);
            return;
        }
        let failure = if self.is_current(slot.generation) {
            Failure::Dropped
        } else {
            Failure::Interrupted
        };
        let closing = self.not_established(slot, &failure, now);
        effects.append(closing);
    }

    /// Gives what is free to those who wait, the oldest first.
    pub(super) fn distribute(&mut self, now: Instant, effects: &mut Effects<T, W>) {
        while self.phase == Phase::Ready && !self.waiting.is_empty() {
            let grant = if let Some(mut member) = self.pop_idle(now, effects) {
                self.in_use += 1;
                member.is_passed_on = member.idle_since == now;
                Grant::Connection(member)
            } else if let Some(slot) = self.open_slot(now, effects) {
                Grant::Slot(slot)
            } else {
                return;
            };
            if let Some((ticket, waker)) = self.waiting.pop_first() {
                self.granted.insert(ticket, grant);
                effects.wake.extend(waker);
            }
        }
    }

    pub(super) fn refuse_all(&mut self, refusal: Refusal, effects: &mut Effects<T, W>) {
        while let Some((ticket, waker)) = self.waiting.pop_first() {
            self.granted.insert(ticket, Grant::Refused(refusal));
            effects.wake.extend(waker);
        }
    }

    fn refusal(&self) -> Option<Refusal> {
        match self.phase {
            Phase::Paused => Some(Refusal::Cleared),
            Phase::Ready => None,
            Phase::Closed => Some(Refusal::Closed),
        }
    }

    fn is_current(&self, generation: super::Generation) -> bool {
        self.phase == Phase::Ready && !self.generations.is_stale(generation)
    }
}
