//! A connection on loan.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{
    Connect, Generation, Interrupt, PoolMember,
    inner::{Inner, Kept, Member},
};
use crate::{clock, error::Error};

/// A connection that is exclusively its holder's; dropping it gives it back.
///
/// A connection that cannot be used again, such as one that was dropped in the middle of a message,
/// is closed instead, and its place in the pool is free. Dropping never blocks.
pub struct PooledConnection<C: Connect> {
    inner: Arc<Inner<C>>,
    /// Present until the drop, or until the loan was moved.
    member: Option<Box<Member<C>>>,
    purpose: Option<Purpose>,
}

/// What a connection is kept for, beyond one command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Cursor,
    Transaction,
}

impl Purpose {
    fn count(self, kept: &Kept) -> &AtomicUsize {
        match self {
            Self::Cursor => &kept.cursors,
            Self::Transaction => &kept.transactions,
        }
    }
}

impl<C: Connect> PooledConnection<C> {
    pub(super) fn new(inner: &Arc<Inner<C>>, member: Box<Member<C>>) -> Self {
        Self {
            inner: Arc::clone(inner),
            member: Some(member),
            purpose: None,
        }
    }

    /// Notes what the connection is kept for, for those who wait for one in vain.
    pub(crate) fn keep_for(&mut self, purpose: Purpose) {
        if self.purpose == Some(purpose) {
            return;
        }
        self.end_purpose();
        self.purpose = Some(purpose);
        purpose
            .count(&self.inner.kept)
            .fetch_add(1, Ordering::Relaxed);
    }

    /// Moves the loan to another holder; this one has nothing to give back then.
    pub(crate) fn take(&mut self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            member: self.member.take(),
            purpose: self.purpose.take(),
        }
    }

    /// Takes the connection out of the pool, where its place is free then, as if it had been dropped
    /// in the middle of a message. It is for the caller to close.
    pub(crate) fn detach(mut self) -> Option<C::Connection> {
        self.end_purpose();
        let member = self.member.take()?;
        let id = member.id();
        let failure = member.connection.failure().unwrap_or_else(in_mid_message);
        let now = clock::now();
        let detached = self.inner.change(|state| {
            let mut effects = state.check_in(member, Some(failure), now);
            let place = effects.closed.iter().position(|it| it.id() == id);
            let detached = place.map(|place| effects.closed.swap_remove(place));
            (detached, effects)
        })?;
        Some(detached.connection)
    }

    fn end_purpose(&mut self) {
        if let Some(purpose) = self.purpose.take() {
            purpose
                .count(&self.inner.kept)
                .fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The connection's number, unique in its pool.
    pub fn id(&self) -> u32 {
        self.member().id()
    }

    /// The generation in which the connection was created; behind a load balancer, the generation
    /// of its service.
    pub fn generation(&self) -> Generation {
        self.member().generation()
    }

    /// The signal that the pool was cleared and the connection's user must stop.
    pub fn interrupt(&self) -> &Arc<Interrupt> {
        self.member().interrupt()
    }

    fn member(&self) -> &Member<C> {
        self.member
            .as_deref()
            .expect("the member is taken where the holder ends and nowhere else")
    }
}

impl<C: Connect> Deref for PooledConnection<C> {
    type Target = C::Connection;

    fn deref(&self) -> &Self::Target {
        &self.member().connection
    }
}

impl<C: Connect> DerefMut for PooledConnection<C> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self
            .member
            .as_mut()
            .expect("the member is taken where the holder ends and nowhere else")
            .connection
    }
}

impl<C: Connect> Drop for PooledConnection<C> {
    fn drop(&mut self) {
        self.end_purpose();
        let Some(member) = self.member.take() else {
            return;
        };
        let connection = &member.connection;
        let failure = (!connection.is_reusable())
            .then(|| connection.failure().unwrap_or_else(in_mid_message));
        let now = clock::now();
        self.inner
            .change(|state| ((), state.check_in(member, failure, now)));
    }
}

fn in_mid_message() -> Error {
    Error::cancelled("the connection was given back in the middle of a message")
}

impl<C: Connect> fmt::Debug for PooledConnection<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledConnection")
            .field("address", self.inner.address())
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}
