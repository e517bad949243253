//! Making connections ahead of need.

use std::sync::Arc;

use super::{Snapshot, Topology};
use crate::deadline::{Cause, Deadline};

impl Topology {
    /// Begins discovery, and waits until the pool of each server has its least number of
    /// connections, or cannot have it.
    pub(crate) async fn warm(self: &Arc<Self>) {
        let has_minimum = self
            .settings
            .pool
            .min_pool_size
            .is_some_and(|size| size > 0);
        if self.check_process().is_err() || self.open().is_err() || !has_minimum {
            return;
        }
        let limit = self.settings.server_selection_timeout;
        let deadline = Deadline::after(limit, Cause::ServerSelection);
        // What is not there when the time is up is made in the background.
        let _ = deadline.bound("filling the pools", self.fill()).await;
    }

    async fn fill(&self) {
        let snapshot = self.discovered().await;
        for server in snapshot.servers.values() {
            server.pool.settled().await;
        }
    }

    /// The deployment once each server was checked, or it is closed.
    async fn discovered(&self) -> Arc<Snapshot> {
        let checked = |snapshot: &Arc<Snapshot>| {
            let mut servers = snapshot.description.servers.values();
            let is_done =
                self.is_closed() || servers.all(|it| it.is_available() || it.error.is_some());
            is_done.then(|| Arc::clone(snapshot))
        };
        self.published.find(checked).await
    }
}
