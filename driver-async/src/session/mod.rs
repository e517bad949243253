//! Sessions that the application starts.

mod transaction;

use std::{
    borrow::Borrow,
    mem,
    sync::{Arc, Weak},
    time::Duration,
};

use bson::{Binary, Document, Timestamp, doc, spec::BinarySubtype};

use crate::{
    client::Client,
    clock,
    deadline::Deadline,
    error::Result,
    exec::{self, ExplicitSession, Session},
    operation::{EndTransaction, Operation},
    options::{SessionOptions, TransactionOptions},
    pool::PooledConnection,
    proto::{
        cluster_time::ClusterTime,
        session::SessionState,
        timeout::Timeout,
        transaction::{End, EndCommand},
    },
    topology::Connector,
};
pub use transaction::TransactionRun;

/// A series of operations that belong together: each sees the effects of those before it, and
/// several can be one transaction.
///
/// Made by [`Client::start_session`]. An operation takes part when it is given the session by the
/// `session` method of its action. A session is for one operation at a time, which the borrow
/// checker sees to. When it is dropped, a transaction that is still open is aborted in the
/// background, and the server's part of the session is kept for the next one. Follows the driver
/// sessions, causal consistency, snapshot reads and transactions specifications.
///
/// After an operation's future was dropped before it was done, the server may still be at work on
/// it; whether it took effect is unknown then, as after a network error. Inside a transaction,
/// abort it. A request of a cursor or a change stream goes on by itself: the next operation of the
/// session waits until it has ended, as do the start and the end of a transaction, each no longer
/// than its timeout.
///
/// ```no_run
/// # use motorcade::{Client, bson::{Document, doc}};
/// # async fn example(client: Client) -> motorcade::error::Result<()> {
/// let people = client.database("town").collection::<Document>("people");
/// let mut session = client.start_session().await?;
/// session.start_transaction().await?;
/// people.insert_one(doc! { "name": "Ada" }).session(&mut session).await?;
/// people.delete_one(doc! { "name": "Bob" }).session(&mut session).await?;
/// session.commit_transaction().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ClientSession {
    client: Client,
    id: Document,
    inner: Arc<ExplicitSession>,
}

impl ClientSession {
    pub(crate) fn start(client: Client, options: SessionOptions) -> Result<Self> {
        client.executor().check_process()?;
        let timeout = client.concerns().timeout;
        let inner = Arc::new(ExplicitSession::start(client.executor(), options, timeout)?);
        let id = Binary {
            subtype: BinarySubtype::Uuid,
            bytes: inner.state().server.id().to_vec(),
        };
        Ok(Self {
            client,
            id: doc! { "id": id },
            inner,
        })
    }

    /// The client that started the session.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The id by which servers know the session, as they get it as `lsid`.
    pub fn id(&self) -> &Document {
        &self.id
    }

    /// The newest cluster time that an operation of the session, or
    /// [`ClientSession::advance_cluster_time`], has brought.
    pub fn cluster_time(&self) -> Option<ClusterTime> {
        self.inner.cluster_time()
    }

    /// Takes over the cluster time of another session, if it is newer. Together with
    /// [`ClientSession::advance_operation_time`] it makes this session see what happened there.
    pub fn advance_cluster_time(&mut self, to: impl Borrow<ClusterTime>) {
        let document = to.borrow().document();
        self.inner.state().advance_cluster_time(document);
    }

    /// When, by the cluster's clock, the newest operation of the session took place; `None` before
    /// the first, and on a standalone server.
    pub fn operation_time(&self) -> Option<Timestamp> {
        self.inner.operation_time()
    }

    /// Takes over the operation time of another session, if it is newer: what happened there is
    /// then seen here.
    pub fn advance_operation_time(&mut self, ts: Timestamp) {
        self.inner.state().advance_operation_time(ts);
    }

    /// The moment whose data all reads see, in a session with
    /// [`SessionOptions::snapshot`]; `None` until the first read.
    pub fn snapshot_time(&self) -> Option<Timestamp> {
        self.inner.state().snapshot_time()
    }

    /// What an operation that takes part in the session goes out with.
    pub(crate) fn handle(&self) -> Session {
        Session::Explicit(Arc::clone(&self.inner))
    }

    /// By what a cursor knows the session that it belongs to.
    pub(crate) fn downgrade(&self) -> Weak<ExplicitSession> {
        Arc::downgrade(&self.inner)
    }

    pub(crate) fn inner(&self) -> &ExplicitSession {
        &self.inner
    }

    /// Whether operations are part of a transaction now, so that they must not bring concerns
    /// that they inherited.
    pub(crate) fn is_in_transaction(&self) -> bool {
        self.inner.state().transaction.is_active()
    }

    /// Starts a transaction, once the session does nothing else.
    pub(crate) async fn begin_transaction(&mut self, options: TransactionOptions) -> Result<()> {
        self.client.executor().check_process()?;
        let timeout = self.inner.state().timeout_of(&options);
        self.steps_ended(timeout).await?;
        let concerns = self.client.concerns();
        let inherited = TransactionOptions {
            read_concern: concerns.read_concern.clone(),
            write_concern: concerns.write_concern.clone(),
            selection_criteria: concerns.selection_criteria.clone(),
            max_commit_time: None,
            timeout: None,
        };
        let _released;
        let mut state = self.inner.state();
        let started = state.start_transaction(options, &inherited);
        _released = self.inner.let_go(&state);
        started
    }

    /// Commits or aborts the transaction.
    pub(crate) async fn end_transaction(
        &mut self,
        end: End,
        timeout: Option<Duration>,
    ) -> Result<()> {
        self.client.executor().check_process()?;
        let timeout = {
            let state = self.inner.state();
            let inherited = state.timeout_of(state.transaction.options());
            let timeout = inherited.or_own(timeout);
            match end {
                End::Commit => timeout.started(clock::now),
                // Its time begins when it is sent: a wait must not leave the transaction open.
                End::Abort => timeout,
            }
        };
        let is_to_abort = end == End::Abort && self.is_in_transaction();
        let aborting = is_to_abort.then(|| Aborting(self));
        match self.steps_ended(timeout).await {
            Err(error) if end == End::Commit => return Err(error),
            // An abort cannot fail: what takes too long is left to the server.
            _ => {}
        }
        let Some(operation) = begin_end(&self.inner, end, timeout)? else {
            // A command that could not be sent may have bound it already.
            self.inner.unpin();
            return Ok(());
        };
        match end {
            End::Commit => {
                let mut operation = operation.started(clock::now);
                self.inner.given_up_are_over(&operation).await;
                let executor = self.inner.executor();
                let outcome = exec::execute_in(executor, Some(self.handle()), &mut operation).await;
                self.inner.state().transaction.end_told();
                outcome
            }
            End::Abort => {
                let connection = self.inner.take_connection(operation.in_session());
                tell_abort(&self.inner, connection, operation).await;
                self.inner.unpin();
                self.inner.state().transaction.end_told();
                drop(aborting);
                Ok(())
            }
        }
    }

    /// Waits until the requests of cursors have ended that go on in the session.
    async fn steps_ended(&self, timeout: Timeout) -> Result<()> {
        let outer = self.inner.state().deadline;
        let deadline = outer.or_else(|| timeout.deadline(clock::now));
        let deadline = deadline.unwrap_or(Deadline::NEVER);
        let ended = self.inner.steps_ended(&deadline).await;
        ended.map_err(|error| timeout.told(error))
    }

    /// Ends a run of transactions that nobody waits for any more. The session can be used on at
    /// once.
    pub(crate) fn abort_in_background(&self) {
        if self.client.executor().check_process().is_err() {
            return;
        }
        self.inner.state().deadline = None;
        self.abandon_transaction();
    }

    /// Aborts the transaction in the background if it is open, or may be.
    fn abandon_transaction(&self) {
        let mut state = self.inner.state();
        let Some(command) = state.abandon_transaction() else {
            return;
        };
        let timeout = state.timeout_of(state.transaction.options());
        let operation = end_with(&state, command, timeout);
        drop(state);
        let session = Arc::clone(&self.inner);
        let executor = session.executor().clone();
        // The session may be used for something else before the task runs.
        let connection = session.take_connection(operation.in_session());
        executor.spawn(async move {
            // The session goes back before a shutdown that waits tells the servers of it.
            tell_abort(&session, connection, operation).await;
            drop(session);
        });
    }
}

/// A session whose transaction is aborted also when nobody waits for that.
struct Aborting<'a>(&'a ClientSession);

impl Drop for Aborting<'_> {
    fn drop(&mut self) {
        self.0.abandon_transaction();
    }
}

/// Moves the transaction on to its end; gives what tells the server, if there is anything to tell.
fn begin_end(
    session: &ExplicitSession,
    end: End,
    timeout: Timeout,
) -> Result<Option<EndTransaction>> {
    let mut state = session.state();
    let command = state.end_transaction(end)?;
    Ok(command.map(|command| end_with(&state, command, timeout)))
}

fn end_with(state: &SessionState, command: EndCommand, timeout: Timeout) -> EndTransaction {
    let token = state.transaction.recovery_token().map(ToOwned::to_owned);
    EndTransaction::new(command, token).within(timeout)
}

/// Tells the server to abort. That it cannot be told is no error: in the end it aborts the
/// transaction by itself.
async fn tell_abort(
    session: &Arc<ExplicitSession>,
    connection: Option<PooledConnection<Connector>>,
    operation: EndTransaction,
) {
    let mut operation = operation.started(clock::now);
    session.given_up_are_over(&operation).await;
    let handle = Session::Explicit(Arc::clone(session));
    let executor = session.executor();
    let told = exec::execute_over(executor, handle, connection, &mut operation).await;
    if let Err(error) = told {
        executor.message(move || tracing::debug!("a transaction could not be aborted: {error}"));
    }
}

impl Drop for ClientSession {
    fn drop(&mut self) {
        if self.client.executor().check_process().is_err() {
            mem::forget(Arc::clone(&self.inner));
            return;
        }
        self.abort_in_background();
        // A cursor may keep the rest of the session for longer.
        self.inner.release_connection();
    }
}
