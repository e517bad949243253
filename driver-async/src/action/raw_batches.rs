//! Whole batches in place of documents.

use std::marker::PhantomData;

use futures_core::future::BoxFuture;

use super::{Action, private::Sealed};
use crate::{
    cursor::{Cursor, SessionCursor},
    error::Result,
    raw_batch_cursor::{RawBatchCursor, SessionRawBatchCursor},
};

/// Does what another action does, and gives the batches as the server sent them; see
/// [`Find::batch`](super::Find::batch).
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct RawBatches<'a, A> {
    action: A,
    lifetime: PhantomData<&'a ()>,
}

impl<A> RawBatches<'_, A> {
    pub(super) fn new(action: A) -> Self {
        Self {
            action,
            lifetime: PhantomData,
        }
    }
}

/// A cursor that can give whole batches in place of documents.
pub trait Batched: Sealed {
    /// The cursor of batches.
    type RawBatches;

    /// Gives whole batches from now on.
    fn into_raw_batches(self) -> Self::RawBatches;
}

impl<T> Sealed for Cursor<T> {}

impl<T> Batched for Cursor<T> {
    type RawBatches = RawBatchCursor;

    fn into_raw_batches(self) -> RawBatchCursor {
        Self::into_raw_batches(self)
    }
}

impl<T> Sealed for SessionCursor<T> {}

impl<T> Batched for SessionCursor<T> {
    type RawBatches = SessionRawBatchCursor;

    fn into_raw_batches(self) -> SessionRawBatchCursor {
        Self::into_raw_batches(self)
    }
}

impl<'a, A, C> IntoFuture for RawBatches<'a, A>
where
    A: Action + IntoFuture<Output = Result<C>, IntoFuture: Send + 'a>,
    C: Batched + 'a,
{
    type Output = Result<C::RawBatches>;
    type IntoFuture = BoxFuture<'a, Result<C::RawBatches>>;

    fn into_future(self) -> Self::IntoFuture {
        let opening = self.action.into_future();
        Box::pin(async move { Ok(opening.await?.into_raw_batches()) })
    }
}

impl<A> Sealed for RawBatches<'_, A> {}

impl<'a, A, C> Action for RawBatches<'a, A>
where
    A: Action + IntoFuture<Output = Result<C>, IntoFuture: Send + 'a>,
    C: Batched + 'a,
{
}

/// Lets an action that gives a cursor give whole batches instead.
macro_rules! raw_batches {
    (impl[$($generics:tt)*] $type:ty) => {
        impl<$($generics)*> $type {
            /// Gives whole batches as the server sent them, in place of documents. Nothing is
            /// copied; see [`raw_batch_cursor`](crate::raw_batch_cursor).
            pub fn batch(self) -> $crate::action::RawBatches<'a, Self> {
                $crate::action::RawBatches::new(self)
            }
        }
    };
}

pub(super) use raw_batches;
