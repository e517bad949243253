//! One check-out, from the first look to the connection.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
    time::Instant,
};

use super::{
    Connect, ConnectRequest, Deadline, Interrupt, PoolMember, PooledConnection, Result,
    inner::{Inner, Member, Step},
};
use crate::{
    clock,
    deadline::Cause,
    error::Error,
    proto::pool_state::{Failure, Refusal, Slot, Ticket},
};

pub(super) async fn check_out<C: Connect>(
    inner: &Arc<Inner<C>>,
    deadline: &Deadline,
) -> Result<PooledConnection<C>> {
    // First of all, while there is nothing yet that a listener might need.
    inner.room(deadline).await;
    let is_roaming = inner.note_runtime();
    let started = clock::now();
    let mut step = inner.change(|state| match is_roaming {
        false => state.check_out(started),
        true => state.check_out_fitting(
            started,
            C::Connection::is_at_home,
            C::Connection::is_forsaken,
        ),
    });
    loop {
        step = match step {
            Step::<C>::Ready(member) => return Ok(PooledConnection::new(inner, member)),
            Step::<C>::Probe(member) => probe(inner, member, started),
            Step::<C>::Connect(slot) => {
                // Boxed, because a handshake is many times larger than everything else here, and
                // rare.
                return Box::pin(connect(inner, slot, deadline, started)).await;
            }
            Step::<C>::Wait(ticket) => wait(inner, ticket, deadline, started).await?,
            Step::<C>::Refused(refusal) => return Err(refusal_error(inner, refusal)),
        };
    }
}

/// Looks whether the peer has hung up. A system call, so it is made without the lock.
///
/// What belongs to another runtime, which may stand still, is not used unless it was in use there
/// just now: a full pool whose connections went to and fro would make a new one each time.
fn probe<C: Connect>(inner: &Inner<C>, member: Box<Member<C>>, started: Instant) -> Step<C> {
    let connection = &member.connection;
    let is_at_hand = member.is_passed_on() || connection.is_at_home();
    let is_usable = is_at_hand && !connection.is_forsaken() && !connection.has_hung_up();
    let now = clock::now();
    inner.change(|state| {
        if is_usable {
            state.accept(member, started, now)
        } else {
            state.replace(member, started, now)
        }
    })
}

/// Establishes a connection on the caller's own time.
async fn connect<C: Connect>(
    inner: &Arc<Inner<C>>,
    slot: Slot,
    deadline: &Deadline,
    started: Instant,
) -> Result<PooledConnection<C>> {
    let deadline = if deadline.cause() == Cause::WaitQueue {
        Deadline::NEVER
    } else {
        *deadline
    };
    let request = ConnectRequest::new(&slot, false, deadline);
    let mut held = HeldSlot {
        inner,
        slot: Some(slot),
        started,
    };
    let attempt = inner.connector().connect(request.clone());
    let outcome = until_interrupted(&request.interrupt, attempt).await;
    if let Some(Err(error)) = &outcome {
        inner.connector().failed(&request, error);
    }
    let Some(slot) = held.slot.take() else {
        return Err(Error::internal("a connection was established twice"));
    };
    let now = clock::now();
    let (failure, error) = match outcome {
        Some(Ok(connection)) => {
            let service_id = connection.service_id();
            let admitted =
                inner.change(|state| state.established(slot, connection, service_id, started, now));
            inner.upkeep.note(true);
            return match admitted {
                Ok(member) => Ok(PooledConnection::new(inner, member)),
                Err(refusal) => Err(refusal_error(inner, refusal)),
            };
        }
        Some(Err(error)) => (Failure::Error(error.clone()), error),
        None if inner.read(|state| state.is_closed()) => {
            (Failure::Interrupted, refusal_error(inner, Refusal::Closed))
        }
        None => (Failure::Interrupted, Interrupt::error(inner.address())),
    };
    inner.change(|state| {
        let mut effects = state.not_established(slot, &failure, now);
        effects.append(state.check_out_failed(&error, started, now));
        ((), effects)
    });
    Err(error)
}

/// Awaits `attempt`; `None` when it was interrupted first.
pub(crate) async fn until_interrupted<F: Future>(
    interrupt: &Interrupt,
    attempt: F,
) -> Option<F::Output> {
    let mut attempt = pin!(attempt);
    poll_fn(|context| {
        if interrupt.is_fired() {
            return Poll::Ready(None);
        }
        match attempt.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => interrupt.poll_fired(context).map(|()| None),
        }
    })
    .await
}

/// The slot of a check-out that is at an await. When the future is dropped there, it goes back.
struct HeldSlot<'a, C: Connect> {
    inner: &'a Arc<Inner<C>>,
    slot: Option<Slot>,
    started: Instant,
}

impl<C: Connect> Drop for HeldSlot<'_, C> {
    fn drop(&mut self) {
        let Some(slot) = self.slot.take() else {
            return;
        };
        let now = clock::now();
        self.inner
            .change(|state| ((), state.abandon_connect(slot, self.started, now)));
    }
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
    let deadline = Deadline::after_optional(limit, Cause::WaitQueue).or_earlier(*deadline);
    let mut turn = Turn {
        inner,
        ticket: Some(ticket),
        started,
    };
    let Some(at) = deadline.instant() else {
        return Ok(turn.await);
    };
    match clock::timeout_at(at, &mut turn).await {
        Some(step) => Ok(step),
        None => turn.time_out(ticket, &deadline),
    }
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
        let started = self.started;
        let step = self
            .inner
            .change(|state| state.look(ticket, context.waker().clone(), started, now));
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
    fn time_out(mut self, ticket: Ticket, deadline: &Deadline) -> Result<Step<C>> {
        self.ticket = None;
        let now = clock::now();
        let counts = self.inner.read(|state| state.counts());
        let error = Error::timeout(format!(
            "timed out while checking out a connection from connection pool after {:?} ({}); \
             maxPoolSize: {}, {}, being established: {}, waiting check-outs: {}",
            deadline.limit(),
            deadline.cause(),
            self.inner.options().max_pool_size_text(),
            in_use_text(self.inner, counts.in_use),
            counts.pending,
            counts.waiting,
        ))
        .with_address(self.inner.address());
        let given = error.clone();
        self.inner
            .change(|state| state.time_out(ticket, given, self.started, now))
            .ok_or(error)
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
