//! Shutting a client down.

use std::sync::Arc;

use futures_core::future::BoxFuture;

use super::{Action, private};
use crate::{
    client::Client,
    exec::{self, Executor},
    operation,
    proto::timeout::Timeout,
};

/// How many sessions one `endSessions` command ends (driver sessions specification).
const SESSIONS_AT_ONCE: usize = 10_000;

/// Shuts a client down; see [`Client::shutdown`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct Shutdown {
    client: Client,
    immediate: bool,
}

impl Client {
    /// Ends the sessions on the servers, closes every connection and stops every background task.
    ///
    /// Waits for the operations in progress, among them those that close dropped cursors, unless
    /// [`Shutdown::immediate`] is set. Every handle that came from this client then fails with
    /// [`ErrorKind::Shutdown`]; nothing reconnects. Doing it again does nothing.
    ///
    /// An operation that is under way on a runtime without threads of its own goes on only while
    /// something waits for it there, and so does this wait.
    ///
    /// [`ErrorKind::Shutdown`]: crate::error::ErrorKind::Shutdown
    pub fn shutdown(self) -> Shutdown {
        Shutdown {
            client: self,
            immediate: false,
        }
    }
}

impl Shutdown {
    /// Whether to close at once: operations in progress then fail, and sessions are left to end
    /// on the servers by themselves after 30 minutes.
    pub fn immediate(mut self, value: bool) -> Self {
        self.immediate = value;
        self
    }
}

impl IntoFuture for Shutdown {
    type Output = ();
    type IntoFuture = BoxFuture<'static, ()>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let executor = self.client.executor();
            if !self.immediate && executor.topology().has_started() {
                executor.operations_ended().await;
                end_sessions(executor, self.client.concerns().timeout).await;
            }
            let servers = Arc::clone(&executor.topology().snapshot().servers);
            executor.topology().close();
            executor.topology().delivered(&servers).await;
        })
    }
}

impl private::Sealed for Shutdown {}

impl Action for Shutdown {}

/// Tells a server which sessions have ended, where one is known to be there. It is a courtesy:
/// failing is no reason to report anything.
async fn end_sessions(executor: &Executor, timeout: Timeout) {
    let ids = executor.drain_sessions();
    let snapshot = executor.topology().snapshot();
    // A load balancer tells nothing of itself, and behind it there are always sessions.
    let has_sessions = snapshot.description.logical_session_timeout().is_some()
        || executor.settings().load_balanced;
    if !has_sessions {
        return;
    }
    for ids in ids.chunks(SESSIONS_AT_ONCE) {
        let mut operation = operation::EndSessions::new(ids.to_vec(), timeout);
        if let Err(error) = exec::execute_if_selectable(executor, &mut operation).await {
            executor.message(move || tracing::debug!("the sessions could not be ended: {error}"));
            return;
        }
    }
}
