//! One check-out, from the first look to the connection.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
    time::Instant,
};

use super::{
    Connect, Deadline, PoolMember, PooledConnection, Result,
    inner::{Inner, Member, Step},
};
use crate::{
    background::RuntimeId,
    clock,
    deadline::Cause,
    error::Error,
    proto::pool_state::{Refusal, Ticket, TimedOut},
};

pub(super) async fn check_out<C: Connect>(
    inner: &Arc<Inner<C>>,
    here: RuntimeId,
    deadline: &Deadline,
) -> Result<PooledConnection<C>> {
    // First of all, while there is nothing yet that a listener might need.
    inner.room(deadline).await;
    let started = clock::now();
    let mut step = inner.change(|state| state.check_out(started, |it| it.runtime() == here));
    loop {
        step = match step {
            Step::<C>::Ready(member) => return Ok(PooledConnection::new(inner, member)),
            Step::<C>::Probe(member) => probe(inner, member, started),
            Step::<C>::Wait(ticket) => wait(inner, ticket, deadline, started).await?,
            Step::<C>::Refused(refusal) => return Err(refusal_error(inner, refusal)),
            Step::<C>::Failed(error) => return Err(error),
        };
    }
}

/// Looks whether the peer has hung up, and moves the connection to the caller's runtime. Those are
/// system calls, so they are made without the lock.
fn probe<C: Connect>(inner: &Inner<C>, mut member: Box<Member<C>>, started: Instant) -> Step<C> {
    let here = RuntimeId::current();
    let connection = &mut member.connection;
    let has_hung_up = connection.has_hung_up();
    if !has_hung_up
        && connection.runtime() != here
        && let Err(error) = connection.move_to_current_runtime()
    {
        // This says something about the runtime, and nothing about other connections.
        let (now, failure) = (clock::now(), error.clone());
        inner.change(|state| ((), state.cannot_move(member, failure, started, now)));
        return Step::<C>::Failed(error);
    }
    let now = clock::now();
    inner.change(|state| {
        if has_hung_up {
            state.replace(member, started, now, |it| it.runtime() == here)
        } else {
            state.accept(member, started, now, |it| it.runtime() == here)
        }
    })
}

/// Waits for a turn in the queue.
async fn wait<C: Connect>(
    inner: &Arc<Inner<C>>,
    ticket: Ticket,
    deadline: &Deadline,
    started: Instant,
) -> Result<Step<C>> {
    let limit = inner.options().wait_queue_timeout;
    let limit = limit.filter(|limit| !limit.is_zero() && !deadline.is_of_operation());
    let of_queue = Deadline::after_optional(limit, Cause::WaitQueue).or_earlier(*deadline);
    let mut turn = Turn {
        inner,
        ticket: Some(ticket),
        started,
    };
    for deadline in [&of_queue, deadline] {
        if let Some(step) = clock::timeout_at(deadline.instant(), &mut turn).await {
            return Ok(step);
        }
        if let Some(step) = turn.time_out(ticket, deadline).transpose() {
            return step;
        }
    }
    Ok(turn.await)
}

/// A place in the queue. When the future is dropped, the place and what was granted go back.
struct Turn<'a, C: Connect> {
    inner: &'a Arc<Inner<C>>,
    ticket: Option<Ticket>,
    started: Instant,
}

impl<C: Connect> Future for Turn<'_, C> {
    type Output = Step<C>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Step<C>> {
        let Some(ticket) = self.ticket else {
            return Poll::Pending;
        };
        let now = clock::now();
        // The future may have come from another runtime.
        let (started, here) = (self.started, RuntimeId::current());
        let waker = context.waker().clone();
        let step = self
            .inner
            .change(|state| state.look(ticket, waker, started, now, |it| it.runtime() == here));
        match step {
            Some(step) => {
                self.ticket = None;
                Poll::Ready(step)
            }
            None => Poll::Pending,
        }
    }
}

impl<C: Connect> Turn<'_, C> {
    /// Ends the wait at a deadline, unless something was granted at the last moment; `None` when
    /// the deadline does not hold any more, because a connection is being established.
    fn time_out(&mut self, ticket: Ticket, deadline: &Deadline) -> Result<Option<Step<C>>> {
        let now = clock::now();
        let error = self.too_late(deadline);
        let (given, is_of_queue) = (error.clone(), deadline.cause() == Cause::WaitQueue);
        let started = self.started;
        let outcome = self
            .inner
            .change(|state| state.time_out(ticket, given, is_of_queue, started, now));
        match outcome {
            TimedOut::Connecting => Ok(None),
            TimedOut::Step(step) => {
                self.ticket = None;
                Ok(Some(step))
            }
            TimedOut::Ended => {
                self.ticket = None;
                Err(error)
            }
        }
    }

    fn too_late(&self, deadline: &Deadline) -> Error {
        let counts = self.inner.read(|state| state.counts());
        Error::timeout(format!(
            "timed out while checking out a connection from connection pool after {:?} ({}); \
             maxPoolSize: {}, {}, being established: {}, waiting check-outs: {}",
            deadline.limit(),
            deadline.cause(),
            self.inner.options().max_pool_size_text(),
            in_use_text(self.inner, counts.in_use),
            counts.pending,
            counts.waiting,
        ))
        .with_address(self.inner.address())
    }
}

impl<C: Connect> Drop for Turn<'_, C> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket.take() else {
            return;
        };
        let now = clock::now();
        self.inner
            .change(|state| ((), state.abandon_wait(ticket, self.started, now)));
    }
}

/// How many connections are in use, and what for where some are kept for long: then it is what
/// keeps them that has to be looked at.
fn in_use_text<C: Connect>(inner: &Inner<C>, in_use: usize) -> String {
    if !inner.options().load_balanced {
        return format!("connections in use: {in_use}");
    }
    let cursors = inner.kept.cursors.load(Ordering::Relaxed);
    let transactions = inner.kept.transactions.load(Ordering::Relaxed);
    let others = in_use.saturating_sub(cursors + transactions);
    format!(
        "connections in use by cursors: {cursors}, connections in use by transactions: \
         {transactions}, connections in use by other operations: {others}"
    )
}

fn refusal_error<C: Connect>(inner: &Inner<C>, refusal: Refusal) -> Error {
    inner.read(|state| state.refusal_error(refusal))
}
