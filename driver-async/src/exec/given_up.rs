//! Commands that were sent and whose replies nobody waits for any more.

use std::{pin::pin, time::Duration};

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
                // Its own runtime may be gone, or stand still.
                let _: Result<()> = connection.move_to_current_runtime();
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
}

/// Waits until servers have looked at the commands, or are out of reach; no longer than half of the
/// time that is left until the deadline, as a command is to follow.
pub(super) async fn over(commands: impl IntoIterator<Item = GivenUp>, deadline: &Deadline) {
    // All have begun, so one limit is enough for all.
    let left = deadline.remaining().map(|left| left / 2);
    let limit = Deadline::after_optional(left, Cause::Operation).or_earlier(patience());
    let all_over = async {
        for mut command in commands {
            // Nothing is ever sent: the sender goes away.
            let _ = command.0.changed().await;
        }
    };
    let _: Result<_> = limit.bound("the end of a connection", all_over).await;
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
        let outcome = {
            let exchange = pin!(async {
                if self.connection.is_streaming() {
                    self.connection.next_reply(deadline).await
                } else {
                    let exchange = self.connection.exchange(request_id, sequences, deadline);
                    exchange.await
                }
            });
            until_interrupted(&interrupt, exchange).await
        };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[tokio::test]
    async fn nobody_waits_longer_than_there_is_time_however_many_were_given_up() {
        let (_going_on, receiver) = watch::channel(());
        let given_up = vec![GivenUp(receiver); 3];
        let short = Duration::from_millis(10);
        for (limit, wanted) in [(Some(2 * short), short), (None, PATIENCE)] {
            let begun = clock::now();
            let deadline = Deadline::after_optional(limit, Cause::Operation);
            over(given_up.clone(), &deadline).await;
            let waited = begun.elapsed();
            assert!(waited >= wanted, "{waited:?} of {wanted:?}");
            assert!(waited < 2 * PATIENCE, "{waited:?} of {wanted:?}");
        }
    }
}
