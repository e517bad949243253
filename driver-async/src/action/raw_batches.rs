//! Whole batches in place of documents.

use std::marker::PhantomData;

use futures_core::future::BoxFuture;

use super::{Action, private::Sealed};
use crate::{cursor::Cursor, error::Result, raw_batch_cursor::RawBatchCursor};

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

impl<'a, A, T> IntoFuture for RawBatches<'a, A>
where
    A: Action + IntoFuture<Output = Result<Cursor<T>>, IntoFuture: Send + 'a>,
    T: 'a,
{
    type Output = Result<RawBatchCursor>;
    type IntoFuture = BoxFuture<'a, Result<RawBatchCursor>>;

    fn into_future(self) -> Self::IntoFuture {
        let opening = self.action.into_future();
        Box::pin(async move { Ok(opening.await?.into_raw_batches()) })
    }
}

impl<A> Sealed for RawBatches<'_, A> {}

impl<'a, A, T> Action for RawBatches<'a, A>
where
    A: Action + IntoFuture<Output = Result<Cursor<T>>, IntoFuture: Send + 'a>,
    T: 'a,
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
