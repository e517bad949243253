//! What establishes the connections of a case's pool.

use std::sync::{Mutex, PoisonError};

use motorcade::error::{Error, Result};
use motorcade::internal::pool::{ClearCause, Connect, ConnectRequest, Pool, PoolMember};

/// Connections that reach nothing, for cases of style `unit`.
pub(super) struct Nowhere;

pub(super) struct Unconnected;

impl Connect for Nowhere {
    type Connection = Unconnected;

    async fn connect(&self, _request: ConnectRequest) -> Result<Unconnected> {
        // A real connection is never there at the first poll.
        tokio::task::yield_now().await;
        Ok(Unconnected)
    }
}

impl PoolMember for Unconnected {
    fn is_reusable(&self) -> bool {
        true
    }

    fn has_hung_up(&mut self) -> bool {
        false
    }
}

/// The driver's own connections. The pool has no topology, so its part in the cases, to clear the
/// pool when a connection in the background fails, is played here.
pub(super) struct Real<C: Connect> {
    connector: C,
    pool: Mutex<Option<Pool<Self>>>,
}

impl<C: Connect> Real<C> {
    pub(super) fn new(connector: C) -> Self {
        Self {
            connector,
            pool: Mutex::new(None),
        }
    }

    /// Names the pool that failures clear. To be undone with `None`: the pool owns this.
    pub(super) fn attach(&self, pool: Option<Pool<Self>>) {
        *self.pool.lock().unwrap_or_else(PoisonError::into_inner) = pool;
    }
}

impl<C: Connect> Connect for Real<C> {
    type Connection = C::Connection;

    async fn connect(&self, request: ConnectRequest) -> Result<C::Connection> {
        self.connector.connect(request).await
    }

    fn failed(&self, request: &ConnectRequest, error: &Error) {
        self.connector.failed(request, error);
        let pool = self
            .pool
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(pool) = pool
            && pool.generation(None) == request.generation
        {
            pool.clear(ClearCause::new(error.clone()));
        }
    }
}
