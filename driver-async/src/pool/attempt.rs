//! One attempt to establish a connection.
//!
//! It is a task of the background runtime, so that it goes on when whoever wanted the connection
//! has stopped waiting. It holds no handle to the pool while it connects, and ends when the pool is
//! closed or gone.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{Arc, Weak},
    task::Poll,
};

use super::{Connect, ConnectRequest, Interrupt, PoolMember, inner::Inner};
use crate::{
    clock,
    error::Error,
    proto::pool_state::{Failure, Slot},
};

/// Starts an attempt.
pub(super) fn start<C: Connect>(inner: &Inner<C>, slot: Slot) {
    let request = ConnectRequest::new(&slot);
    let mut pending = Pending {
        pool: inner.weak(),
        slot: Some(slot),
    };
    let connector = Arc::clone(inner.connector());
    match inner.background() {
        Ok(background) => drop(background.spawn(async move {
            let attempt = pin!(connector.connect(request.clone()));
            match until_interrupted(&request.interrupt, attempt).await {
                Some(Ok(connection)) => pending.succeed(connection),
                Some(Err(error)) => pending.fail(&request, error),
                None => pending.end(&Failure::Interrupted),
            }
        })),
        Err(error) => pending.end(&Failure::Error(Error::from(error))),
    }
}

/// Awaits what uses or establishes a connection; `None` when it was interrupted first.
pub(crate) async fn until_interrupted<F: Future>(
    interrupt: &Interrupt,
    mut work: Pin<&mut F>,
) -> Option<F::Output> {
    poll_fn(|context| {
        if interrupt.is_fired() {
            return Poll::Ready(None);
        }
        match work.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => interrupt.poll_fired(context).map(|()| None),
        }
    })
    .await
}

/// The slot of a connection that is being established. It goes back to the pool, if there still is
/// one, also when the task is ended.
struct Pending<C: Connect> {
    pool: Weak<Inner<C>>,
    slot: Option<Slot>,
}

impl<C: Connect> Pending<C> {
    fn succeed(&mut self, connection: C::Connection) {
        let Some((pool, slot)) = self.take() else {
            return;
        };
        let service_id = connection.service_id();
        let now = clock::now();
        pool.change(|state| ((), state.established(slot, connection, service_id, now)));
    }

    fn fail(&mut self, request: &ConnectRequest, error: Error) {
        if let Some(pool) = self.pool.upgrade()
            && let Some(slot) = &self.slot
        {
            if request.is_background {
                let (id, error) = (request.id, error.clone());
                pool.message(move || tracing::warn!(id, %error, "a background connection failed"));
            }
            // The check-out that it was for learns this error, and those behind it that the pool
            // was cleared, if it is.
            pool.failing(slot);
            pool.connector().failed(request, &error);
        }
        self.end(&Failure::Error(error));
    }

    fn end(&mut self, failure: &Failure) {
        let Some((pool, slot)) = self.take() else {
            return;
        };
        let now = clock::now();
        pool.change(|state| ((), state.not_established(slot, failure, now)));
    }

    fn take(&mut self) -> Option<(Arc<Inner<C>>, Slot)> {
        self.pool.upgrade().zip(self.slot.take())
    }
}

impl<C: Connect> Drop for Pending<C> {
    fn drop(&mut self) {
        self.end(&Failure::Dropped);
    }
}
