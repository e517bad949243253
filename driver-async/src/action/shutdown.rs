//! Shutting a client down.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_core::future::BoxFuture;

use super::{Action, private};
use crate::{
    client::Client,
    clock,
    exec::{self, Executor},
    operation,
    proto::timeout::Timeout,
};

/// How long an operation without a timeout may go on, unless the caller says otherwise.
const GRACE_PERIOD: Duration = Duration::from_secs(10);

/// How long ending the sessions, and telling event handlers of the end, may each take beyond that.
const LAST_STEPS: Duration = Duration::from_secs(1);

/// How many sessions one `endSessions` command ends (driver sessions specification).
const SESSIONS_AT_ONCE: usize = 10_000;

/// Shuts a client down; see [`Client::shutdown`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct Shutdown {
    client: Client,
    immediate: bool,
    grace_period: Duration,
}

impl Client {
    /// Shuts the client down: ends the operations in progress and the sessions on the servers, closes
    /// every connection and stops every background task.
    ///
    /// From this call on, every new operation of the client and of all its handles fails with
    /// [`ErrorKind::Shutdown`], and so does every operation that waits: for a server to be
    /// selected, for a connection, or, as a change stream or a tailable cursor does, for data.
    /// Operations that are running may finish: until their own timeout, or without one for
    /// [`Shutdown::grace_period`], 10 seconds by default. A bulk write of several commands counts as
    /// one operation. Operations still running after that are ended with the same error.
    ///
    /// Cursors that were dropped before are closed on the servers, and transactions aborted, before
    /// this returns, if their servers answer in that time. The client does not reconnect afterwards.
    /// A second shutdown has no effect.
    ///
    /// [`ErrorKind::Shutdown`]: crate::error::ErrorKind::Shutdown
    pub fn shutdown(self) -> Shutdown {
        Shutdown {
            client: self,
            immediate: false,
            grace_period: GRACE_PERIOD,
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

    /// How long running operations that have no timeout may take to finish, 10 seconds by default.
    pub fn grace_period(mut self, value: Duration) -> Self {
        self.grace_period = value;
        self
    }
}

impl IntoFuture for Shutdown {
    type Output = ();
    type IntoFuture = BoxFuture<'static, ()>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let executor = self.client.executor();
            if executor.check_process().is_err() {
                return;
            }
            let until = clock::now().checked_add(self.grace_period);
            if !self.immediate && executor.topology().has_started() {
                executor.end_operations(until).await;
                let ending = end_sessions(executor, self.client.concerns().timeout);
                let _ = clock::timeout_at(or_a_moment(until), ending).await;
            }
            let servers = Arc::clone(&executor.topology().snapshot().servers);
            executor.topology().close();
            let delivered = executor.topology().delivered(&servers);
            let _ = clock::timeout_at(or_a_moment(until), delivered).await;
        })
    }
}

/// The end of the grace period, or a moment from now if operations have used that up: a server may
/// be out of reach, and an event handler may block.
fn or_a_moment(until: Option<Instant>) -> Option<Instant> {
    let moment = clock::now().checked_add(LAST_STEPS);
    until.zip(moment).map(|(until, moment)| until.max(moment))
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
