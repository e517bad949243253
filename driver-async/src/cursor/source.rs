//! An open cursor on its server: asking for more, and closing it.

use std::{mem, time::Duration};

use tokio::task::JoinHandle;

use crate::{
    address::ServerAddress,
    error::{ErrorKind, Result},
    exec::{self, Executor, Hold, Origin},
    operation::{GetMore, KillCursors},
    proto::{
        cursor::{CursorReply, Remote},
        timeout::Timeout,
    },
};

/// A cursor that is open on the server, and all that it takes to go on with it.
pub(crate) struct Source {
    pub(crate) executor: Executor,
    pub(crate) remote: Remote,
    pub(crate) origin: Origin,
    /// The newest wire version of the server that was asked last, if a request went out.
    pub(crate) max_wire_version: Option<i32>,
}

/// The next batch, and the source that gave it.
pub(crate) type Fetched = (Box<Source>, Result<CursorReply>);

impl Source {
    /// A cursor as the command that opened it leaves it.
    pub(crate) fn new(executor: Executor, remote: Remote, origin: Origin) -> Self {
        Self {
            executor,
            remote,
            origin,
            max_wire_version: None,
        }
    }

    /// Asks for the next batch, of at most that many documents. The step of which that is part has
    /// begun, and ends with it.
    pub(crate) async fn fetch(
        mut self: Box<Self>,
        batch_size: Option<i64>,
        timeout: Timeout,
    ) -> Fetched {
        let Self {
            executor,
            remote,
            origin,
            max_wire_version,
        } = &mut *self;
        let mut operation = GetMore::new(remote, batch_size, &origin.address, timeout);
        let outcome = exec::execute_with(executor, &mut operation, &mut origin.hold).await;
        *max_wire_version = operation.max_wire_version();
        origin.hold.end_step();
        // From here, as the client may be closed before the cursor learns of it.
        if matches!(&outcome, Err(error) if matches!(*error.kind, ErrorKind::Shutdown)) {
            self.kill().send_in_background();
        }
        (self, outcome)
    }

    /// What closes the cursor on the server while somebody else has the source.
    pub(crate) fn kill(&self) -> KillCursor {
        KillCursor {
            executor: self.executor.clone(),
            command: KillCursors::new(
                self.remote.id(),
                self.remote.namespace().clone(),
                self.origin.address.clone(),
                self.origin.timeout.of_close(),
            ),
            hold: Hold::default(),
        }
    }

    /// Whether only one connection leads to the cursor, which is kept until the cursor is closed.
    pub(super) fn is_bound(&self) -> bool {
        self.executor.settings().load_balanced
    }

    /// What closes the cursor on the server, in the cursor's session.
    pub(crate) fn into_kill(self) -> KillCursor {
        KillCursor {
            hold: self.origin.hold.released(),
            command: KillCursors::new(
                self.remote.id(),
                self.remote.namespace().clone(),
                self.origin.address,
                self.origin.timeout.of_close(),
            ),
            executor: self.executor,
        }
    }
}

/// What closes a cursor on its server.
pub(crate) struct KillCursor {
    executor: Executor,
    command: KillCursors,
    /// What the cursor held.
    hold: Hold,
}

impl KillCursor {
    pub(crate) fn executor(&self) -> &Executor {
        &self.executor
    }

    /// The server that has the cursor.
    pub(crate) fn address(&self) -> &ServerAddress {
        self.command.address()
    }

    /// Sets how long it may take, if a limit is given.
    pub(crate) fn limit(&mut self, timeout: Option<Duration>) {
        self.command.limit(timeout);
    }

    /// Has closing share the time of a call.
    pub(crate) fn share(&mut self, timeout: Timeout) {
        self.command.share(timeout);
    }

    /// Closes the cursor. If the future is dropped, it can be sent again, in another session.
    pub(crate) async fn send(&mut self) -> Result<()> {
        let hold = mem::take(&mut self.hold);
        exec::execute_last(&self.executor, hold, &mut self.command).await?;
        Ok(())
    }

    /// Closes the cursor, whether or not the caller waits for that.
    ///
    /// # Errors
    /// An I/O error when the operating system gives no thread for the background runtime.
    pub(crate) fn start(mut self) -> Result<JoinHandle<Result<()>>> {
        let detached = self.executor.detached()?;
        self.hold.begin_step();
        Ok(detached.spawn(async move { self.send().await }))
    }

    /// Closes the cursor in the background.
    pub(crate) fn send_in_background(mut self) {
        // A connection that it shares with a transaction is wanted there. What is left of the
        // cursor ends with the transaction.
        if self.executor.settings().load_balanced && self.hold.is_shared() {
            return;
        }
        let executor = self.executor.clone();
        self.hold.begin_step();
        executor.spawn(async move {
            if let Err(error) = self.send().await {
                self.executor
                    .message(move || tracing::debug!("a cursor could not be closed: {error}"));
            }
        });
    }
}
