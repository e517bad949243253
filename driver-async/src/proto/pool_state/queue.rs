//! Checking out: at once, or in the order of arrival.

use std::{io, time::Instant};

use super::{Effects, Member, PROBE_AFTER, Phase, PoolState, Refusal, Step, Ticket, TimedOut};
use crate::{
    error::Error,
    event::cmap::{ConnectionCheckoutFailedReason, ConnectionClosedReason},
};

/// A check-out in the queue.
#[derive(Debug)]
pub(super) struct Waiter<W> {
    /// How it is woken, once it has looked.
    pub(super) waker: Option<W>,
    /// The connection that is being established for it.
    pub(super) attempt: Option<u32>,
    /// Whether that has failed, which it is about to learn: it is to be given nothing else.
    pub(super) is_failing: bool,
}

/// What a waiter was given and has not yet looked at.
#[derive(Debug)]
pub(super) enum Grant<T> {
    Connection(Box<Member<T>>),
    Failed(Error),
    Refused(Refusal),
}

impl<T, W> PoolState<T, W> {
    /// Begins a check-out. A connection for which `is_here` holds is registered with the caller's
    /// runtime, and preferred.
    pub(crate) fn check_out(
        &mut self,
        now: Instant,
        is_here: impl Fn(&T) -> bool,
    ) -> (Step<T>, Effects<T, W>) {
        let mut effects = Effects::default();
        self.journal.check_out_started(&mut effects.events);
        let step = self.advance(now, now, is_here, &mut effects);
        // An idle connection that is handed out leaves nothing else to do.
        if !matches!(step, Step::Ready(_)) || !effects.closed.is_empty() {
            self.finish(now, &mut effects);
        }
        (step, effects)
    }

    /// Continues a check-out whose connection turned out to be dead.
    pub(crate) fn replace(
        &mut self,
        dead: Box<Member<T>>,
        started: Instant,
        now: Instant,
        is_here: impl Fn(&T) -> bool,
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
        let step = self.advance(started, now, is_here, &mut effects);
        self.finish(now, &mut effects);
        (step, effects)
    }

    /// Ends a check-out whose connection cannot be registered with the caller's runtime.
    pub(crate) fn cannot_move(
        &mut self,
        member: Box<Member<T>>,
        error: Error,
        started: Instant,
        now: Instant,
    ) -> Effects<T, W> {
        let mut effects = Effects::default();
        self.failed(&error, started, now, &mut effects);
        if self.was_recalled(&member) {
            effects.closed.push(member);
        } else {
            self.in_use -= 1;
            let reason = ConnectionClosedReason::Error;
            self.remove(member, reason, Some(error), &mut effects);
        }
        self.finish(now, &mut effects);
        effects
    }

    /// Hands out a connection that was probed and is alive, unless it was interrupted meanwhile.
    pub(crate) fn accept(
        &mut self,
        member: Box<Member<T>>,
        started: Instant,
        now: Instant,
        is_here: impl Fn(&T) -> bool,
    ) -> (Step<T>, Effects<T, W>) {
        if self.recalled.contains(&member.id) {
            return self.replace(member, started, now, is_here);
        }
        let mut effects = Effects::default();
        self.checked_out(&member, started, now, &mut effects);
        (Step::Ready(member), effects)
    }

    /// What a waiter does next; `None` when it goes on waiting, to be woken by `waker`.
    pub(crate) fn look(
        &mut self,
        ticket: Ticket,
        waker: W,
        started: Instant,
        now: Instant,
        is_here: impl Fn(&T) -> bool,
    ) -> (Option<Step<T>>, Effects<T, W>) {
        let mut effects = Effects::default();
        let step = self.collect(ticket, started, now, is_here, &mut effects);
        if step.is_none()
            && let Some(waiter) = self.waiting.get_mut(&ticket)
        {
            waiter.waker = Some(waker);
        }
        (step, effects)
    }

    /// Wakes everybody who waits.
    pub(crate) fn wake_waiting(&mut self) -> Effects<T, W> {
        let mut effects = Effects::default();
        let wakers = self.waiting.values_mut().filter_map(|it| it.waker.take());
        effects.wake.extend(wakers);
        effects
    }

    /// Ends a wait for lack of time, unless something was granted at the last moment. The error
    /// is the one that the caller will see. The limit `is_of_queue` if it does not hold for
    /// establishing a connection.
    pub(crate) fn time_out(
        &mut self,
        ticket: Ticket,
        error: Error,
        is_of_queue: bool,
        started: Instant,
        now: Instant,
    ) -> (TimedOut<T>, Effects<T, W>) {
        let mut effects = Effects::default();
        // Whether it fits the caller's runtime does not matter so late.
        if let Some(step) = self.collect(ticket, started, now, |_| false, &mut effects) {
            return (TimedOut::Step(step), effects);
        }
        let waiter = self.waiting.get(&ticket);
        if is_of_queue && waiter.is_some_and(|it| it.attempt.is_some()) {
            return (TimedOut::Connecting, effects);
        }
        self.leave_queue(ticket, now);
        self.journal.check_out_failed(
            ConnectionCheckoutFailedReason::Timeout,
            Some(error),
            now.saturating_duration_since(started),
            &mut effects.events,
        );
        self.finish(now, &mut effects);
        (TimedOut::Ended, effects)
    }

    /// Takes back what was granted to a waiter that vanished, and its place in the queue.
    pub(crate) fn abandon_wait(
        &mut self,
        ticket: Ticket,
        started: Instant,
        now: Instant,
    ) -> Effects<T, W> {
        let mut effects = Effects::default();
        self.leave_queue(ticket, now);
        if let Some(Grant::Connection(member)) = self.granted.remove(&ticket) {
            self.take_back(member, now, &mut effects);
        }
        self.journal.check_out_failed(
            ConnectionCheckoutFailedReason::Dropped,
            None,
            now.saturating_duration_since(started),
            &mut effects.events,
        );
        self.finish(now, &mut effects);
        effects
    }

    fn advance(
        &mut self,
        started: Instant,
        now: Instant,
        is_here: impl Fn(&T) -> bool,
        effects: &mut Effects<T, W>,
    ) -> Step<T> {
        if let Some(refusal) = self.refusal() {
            self.refused(refusal, started, now, effects);
            return Step::Refused(refusal);
        }
        if self.waiting.is_empty()
            && let Some(member) = self.pop_idle(now, &is_here, effects)
        {
            self.in_use += 1;
            return self.hand_over(member, started, now, is_here, effects);
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.enqueue(ticket);
        Step::Wait(ticket)
    }

    fn enqueue(&mut self, ticket: Ticket) {
        let waiter = Waiter {
            waker: None,
            attempt: None,
            is_failing: false,
        };
        self.waiting.insert(ticket, waiter);
    }

    /// Takes a waiter out of the queue. The attempt made for it goes on.
    fn leave_queue(&mut self, ticket: Ticket, now: Instant) {
        if let Some(waiter) = self.waiting.remove(&ticket) {
            self.last_waited = Some(now);
            self.leave_attempt(&waiter);
        }
    }

    /// Takes what was granted under a ticket. A connection from before a clearing is worth nothing;
    /// its holder gets another one in its old place when the pool is ready again already.
    fn collect(
        &mut self,
        ticket: Ticket,
        started: Instant,
        now: Instant,
        is_here: impl Fn(&T) -> bool,
        effects: &mut Effects<T, W>,
    ) -> Option<Step<T>> {
        loop {
            match self.granted.remove(&ticket)? {
                Grant::Refused(refusal) => {
                    self.refused(refusal, started, now, effects);
                    return Some(Step::Refused(refusal));
                }
                Grant::Failed(error) => {
                    self.failed(&error, started, now, effects);
                    return Some(Step::Failed(error));
                }
                Grant::Connection(member) if self.is_current(member.generation) => {
                    return Some(self.hand_over(member, started, now, is_here, effects));
                }
                Grant::Connection(member) => self.take_back(member, now, effects),
            }
            if let Some(refusal) = self.refusal() {
                self.refused(refusal, started, now, effects);
                return Some(Step::Refused(refusal));
            }
            self.enqueue(ticket);
            self.finish(now, effects);
        }
    }

    fn hand_over(
        &mut self,
        member: Box<Member<T>>,
        started: Instant,
        now: Instant,
        is_here: impl Fn(&T) -> bool,
        effects: &mut Effects<T, W>,
    ) -> Step<T> {
        let idle = now.saturating_duration_since(member.idle_since);
        if idle >= PROBE_AFTER || !is_here(&member.connection) {
            return Step::Probe(member);
        }
        self.checked_out(&member, started, now, effects);
        Step::Ready(member)
    }

    fn take_back(&mut self, member: Box<Member<T>>, now: Instant, effects: &mut Effects<T, W>) {
        self.in_use -= 1;
        if self.phase == Phase::Closed {
            self.remove(member, ConnectionClosedReason::PoolClosed, None, effects);
        } else if let Some(reason) = self.perished(&member, now) {
            self.remove(member, reason, None, effects);
        } else {
            self.put_back(member);
        }
    }

    /// Gives what is free to those who wait, the oldest first, and makes connections for the rest.
    pub(super) fn distribute(&mut self, now: Instant, effects: &mut Effects<T, W>) {
        if let Some(refusal) = self.refusal() {
            // Only those are left for whom an attempt was failing that did not end by that.
            self.refuse_all(refusal, effects);
            return;
        }
        while !self.idle.is_empty() {
            let next = self.waiting.iter().find(|(_, waiter)| !waiter.is_failing);
            let Some(ticket) = next.map(|(ticket, _)| *ticket) else {
                return;
            };
            let Some(member) = self.pop_idle(now, |_| false, effects) else {
                break;
            };
            self.in_use += 1;
            self.granted.insert(ticket, Grant::Connection(member));
            if let Some(waiter) = self.waiting.remove(&ticket) {
                self.leave_attempt(&waiter);
                effects.wake.extend(waiter.waker);
            }
        }
        self.connect_for_waiters(now, effects);
    }

    pub(super) fn refuse_all(&mut self, refusal: Refusal, effects: &mut Effects<T, W>) {
        for (ticket, waiter) in std::mem::take(&mut self.waiting) {
            if waiter.is_failing {
                self.waiting.insert(ticket, waiter);
            } else {
                self.granted.insert(ticket, Grant::Refused(refusal));
                effects.wake.extend(waiter.waker);
            }
        }
    }

    fn checked_out(
        &self,
        member: &Member<T>,
        started: Instant,
        now: Instant,
        effects: &mut Effects<T, W>,
    ) {
        let duration = now.saturating_duration_since(started);
        self.journal
            .checked_out(member.id, duration, &mut effects.events);
    }

    fn failed(&self, error: &Error, started: Instant, now: Instant, effects: &mut Effects<T, W>) {
        if self.journal.is_kept() {
            let reason = if self.is_closed() {
                ConnectionCheckoutFailedReason::PoolClosed
            } else {
                ConnectionCheckoutFailedReason::ConnectionError
            };
            let duration = now.saturating_duration_since(started);
            self.journal.check_out_failed(
                reason,
                Some(error.clone()),
                duration,
                &mut effects.events,
            );
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

#[cfg(test)]
mod tests;
