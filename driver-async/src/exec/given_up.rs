//! Commands that were sent and whose replies nobody waits for any more.

use std::time::Duration;

use tokio::sync::watch;

use super::{Executor, Session};
use crate::{
    deadline::{Cause, Deadline},
    error::Result,
    pool::{Interrupt, PooledConnection, until_interrupted},
    proto::wire::{Reply, Sequences},
    topology::Connector,
};

/// How long what cleans up after a command waits for it. A server out of reach for longer may have
/// lost its place meanwhile, and then forgets by itself what there was to clean up.
const PATIENCE: Duration = Duration::from_secs(1);

/// A command that was sent and given up.
///
/// Its server may get it late, and later than what cleans up after it over another connection:
/// then it would open the transaction that it was just told to abort. So the connection is not just
/// closed. The server is told that nothing more comes, and closes its end when it has looked at all
/// that came.
///
/// The connection has left its pool by then: a server that is slow to answer would otherwise have
/// those who come next wait for a place. Only so many linger at a time; the others are just closed.
#[derive(Clone, Debug)]
pub(crate) struct GivenUp(watch::Receiver<()>);

impl GivenUp {
    pub(super) fn new(executor: &Executor, connection: PooledConnection<Connector>) -> Self {
        let (going_on, receiver) = watch::channel(());
        if let Some(mut connection) = connection.detach()
            && let Some(place) = executor.place_to_linger()
        {
            executor.spawn(async move {
                connection.end(&patience()).await;
                drop(connection);
                drop((going_on, place));
            });
        }
        Self(receiver)
    }

    pub(super) fn is_over(&self) -> bool {
        self.0.has_changed().is_err()
    }

    /// Waits until the server has looked at the command, or is out of reach.
    pub(super) async fn over(mut self) {
        // The socket may belong to a runtime that nobody drives, so this has a limit of its own.
        let limit = patience();
        // Nothing is ever sent: the sender goes away.
        let over = limit.bound("the end of a connection", self.0.changed());
        let _: Result<_> = over.await;
    }
}

fn patience() -> Deadline {
    Deadline::after(PATIENCE, Cause::Socket)
}

/// A command that is out, until its reply was read or the wait for it has failed.
pub(super) struct Outstanding<'c> {
    /// What cleans up if the wait is given up.
    session: Option<&'c mut Session>,
    connection: &'c mut PooledConnection<Connector>,
}

impl<'c> Outstanding<'c> {
    pub(super) fn new(
        session: Option<&'c mut Session>,
        connection: &'c mut PooledConnection<Connector>,
    ) -> Self {
        Self {
            session,
            connection,
        }
    }

    /// Sends the prepared command, unless its reply comes unasked, and awaits the reply.
    ///
    /// # Errors
    /// Those of the network, of the deadline, and the interruption of all of the pool's work.
    pub(super) async fn exchange(
        mut self,
        request_id: i32,
        sequences: &Sequences<'_>,
        deadline: &Deadline,
    ) -> Result<Reply> {
        let interrupt = self.connection.interrupt().clone();
        let exchange = async {
            if self.connection.is_streaming() {
                self.connection.next_reply(deadline).await
            } else {
                let exchange = self.connection.exchange(request_id, sequences, deadline);
                exchange.await
            }
        };
        let outcome = until_interrupted(&interrupt, exchange).await;
        self.session = None;
        outcome.unwrap_or_else(|| Err(Interrupt::error(self.connection.address())))
    }
}

impl Drop for Outstanding<'_> {
    fn drop(&mut self) {
        if let Some(session) = self.session.take()
            && self.connection.is_unanswered()
        {
            session.give_up(self.connection.take());
        }
    }
}
