//! The sessions that commands go out with: the driver's own, and the application's.

use std::{mem, sync::Arc};

use bson::{RawDocument, Timestamp};
use parking_lot::{Mutex, MutexGuard};

use super::{
    clean_up::{AbandonedSession, end_session},
    given_up::{self, GivenUp},
    step::{self, Turn, Turns},
};
use crate::{
    address::ServerAddress,
    clock,
    conn::ServerFacts,
    deadline::Deadline,
    error::{Error, Result},
    exec::Executor,
    operation::{EndTransaction, Operation},
    options::SessionOptions,
    pool::{PooledConnection, Purpose},
    proto::{
        cluster_time::ClusterTime,
        session::{InSession, SessionState, Stamp},
        session_pool::ServerSession,
        timeout::Timeout,
        topology::ServerType,
        transaction::{End, OwnConcerns},
    },
    topology::Connector,
};

/// The session that a command goes out with.
#[derive(Debug)]
pub(crate) enum Session {
    /// One that the driver started for one operation and its cursor.
    Implicit(ImplicitSession),
    /// One that the application started, and goes on with.
    Explicit(Arc<ExplicitSession>),
}

impl Session {
    pub(super) fn explicit(&self) -> Option<&Arc<ExplicitSession>> {
        match self {
            Self::Implicit(_) => None,
            Self::Explicit(session) => Some(session),
        }
    }

    /// Begins a step that goes on although its caller may stop waiting for it. The driver's own
    /// sessions have no other users.
    pub(super) fn begin_step(&self) -> Option<Turn> {
        Some(self.explicit()?.turns.lock().begin())
    }

    /// The id to go out with a command now.
    pub(super) fn use_now(&mut self) -> [u8; 16] {
        self.with_server(|server| {
            server.touch(clock::now());
            *server.id()
        })
    }

    pub(super) fn next_transaction_number(&mut self) -> i64 {
        self.with_server(ServerSession::next_transaction_number)
    }

    pub(super) fn mark_dirty(&mut self) {
        self.with_server(ServerSession::mark_dirty);
    }

    /// Notes that a command goes out with the session.
    pub(super) fn command_sent(&mut self) {
        self.with_server(ServerSession::command_sent);
    }

    /// Notes that all there is to read for one of the commands was read.
    pub(super) fn reply_read(&mut self) {
        self.with_server(ServerSession::reply_read);
    }

    /// Notes that the command that goes out may leave a cursor on this server.
    pub(super) fn opens_cursor_on(&mut self, address: &ServerAddress) {
        match self {
            Self::Implicit(session) => session.opening = Some(address.clone()),
            Self::Explicit(session) => session.state().opening.push(address.clone()),
        }
    }

    /// Notes that somebody waited for that command.
    pub(super) fn opening_ended(&mut self) {
        match self {
            Self::Implicit(session) => session.opening = None,
            Self::Explicit(session) => drop(session.state().opening.pop()),
        }
    }

    /// Has what cleans up after the command that is out wait until its server has looked at it.
    pub(super) fn give_up(&mut self, connection: PooledConnection<Connector>) {
        match self {
            Self::Implicit(session) => {
                session.given_up = Some(GivenUp::new(&session.executor, connection));
            }
            Self::Explicit(session) => {
                let given_up = GivenUp::new(&session.executor, connection);
                let mut all = session.given_up.lock();
                all.retain(|it| !it.is_over());
                all.push(given_up);
            }
        }
    }

    fn with_server<T>(&mut self, f: impl FnOnce(&mut ServerSession) -> T) -> T {
        match self {
            Self::Implicit(session) => f(&mut session.server),
            Self::Explicit(session) => f(&mut session.state().server),
        }
    }
}

/// A session that the driver started for one operation and its cursor.
///
/// It is taken after a connection was checked out, so that waiting operations need none, and goes
/// back to the pool when dropped.
#[derive(Debug)]
pub(crate) struct ImplicitSession {
    executor: Executor,
    server: ServerSession,
    /// The server that may have made a cursor for the command that is out.
    opening: Option<ServerAddress>,
    given_up: Option<GivenUp>,
}

impl ImplicitSession {
    /// A session from the client's pool, or a new one.
    pub(super) fn start(executor: &Executor) -> Self {
        Self {
            executor: executor.clone(),
            server: executor.take_session(),
            opening: None,
            given_up: None,
        }
    }
}

impl Drop for ImplicitSession {
    fn drop(&mut self) {
        if let Some(address) = self.opening.take() {
            let given_up = self.given_up.take().into_iter().collect();
            kill(&self.executor, *self.server.id(), [address], given_up);
        }
        self.executor.put_back_session(self.server.take());
    }
}

/// Has servers close the cursors whose numbers nobody will learn: the connections end unread, and
/// the session that the cursors belong to is not used again.
fn kill(
    executor: &Executor,
    id: [u8; 16],
    addresses: impl IntoIterator<Item = ServerAddress>,
    given_up: Vec<GivenUp>,
) {
    let api = executor.settings().server_api.as_ref();
    if api.is_some_and(|api| matches!(api.get_bool("apiStrict"), Ok(true))) {
        // The command is not part of the Stable API.
        return;
    }
    for address in addresses {
        let commands = given_up.clone();
        end_session(executor, address, AbandonedSession { id, commands });
    }
}

/// A session that the application started. It goes back to the pool when its last holder is
/// dropped: the application's handle, or a cursor.
#[derive(Debug)]
pub(crate) struct ExplicitSession {
    executor: Executor,
    /// Locked for moments only, never across an await.
    state: Mutex<SessionState>,
    /// The connection that alone leads to the server of the transaction, between two commands of
    /// it, behind a load balancer.
    connection: Mutex<Option<PooledConnection<Connector>>>,
    given_up: Mutex<Vec<GivenUp>>,
    turns: Mutex<Turns>,
}

impl ExplicitSession {
    /// # Errors
    /// An invalid-argument error for options that contradict each other.
    pub(crate) fn start(
        executor: &Executor,
        options: SessionOptions,
        inherited: Timeout,
    ) -> Result<Self> {
        let state = SessionState::new(|| executor.take_session(), options, inherited)?;
        Ok(Self {
            executor: executor.clone(),
            state: Mutex::new(state),
            connection: Mutex::default(),
            given_up: Mutex::default(),
            turns: Mutex::default(),
        })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, SessionState> {
        self.state.lock()
    }

    /// When the time of the call is up that runs a transaction in the session, for a command that is
    /// part of it. What cleans up after it has time of its own.
    pub(super) fn deadline(&self, rule: InSession) -> Option<Deadline> {
        match rule {
            InSession::CleanUp | InSession::Ends(End::Abort, _) => None,
            _ => self.state().deadline,
        }
    }

    pub(crate) fn executor(&self) -> &Executor {
        &self.executor
    }

    pub(crate) fn cluster_time(&self) -> Option<ClusterTime> {
        self.state().cluster_clock().newest().cloned()
    }

    pub(crate) fn operation_time(&self) -> Option<Timestamp> {
        self.state().operation_time()
    }

    /// Checks that an operation may use the session, and notes that it begins.
    ///
    /// # Errors
    /// An invalid-argument error for a session of another client or a write that nobody
    /// acknowledges; a transaction error for an operation whose own concerns or read preference
    /// contradict its transaction.
    pub(super) fn begin<O: Operation>(&self, executor: &Executor, operation: &O) -> Result<()> {
        if !self.executor.is_same(executor) {
            return Err(Error::invalid_argument(
                "the session was started by another client; start one from the client whose \
                 operation this is",
            ));
        }
        let rule = operation.in_session();
        if matches!(rule, InSession::CleanUp | InSession::Ends(..)) {
            return Ok(());
        }
        let _released;
        let mut state = self.state();
        state.transaction.begin_operation();
        _released = self.let_go(&state);
        if state.transaction.is_active() {
            return state.transaction.check(operation_concerns(operation));
        }
        let concern = operation.write_concern();
        if concern.is_some_and(|concern| !concern.is_acknowledged()) {
            return Err(Error::invalid_argument(
                "a session cannot be used for an unacknowledged write; use a write concern that \
                 asks for an acknowledgement, or no session",
            ));
        }
        Ok(())
    }

    /// The router that a command of the session must go to.
    pub(super) fn pinned_to(&self, rule: InSession) -> Option<ServerAddress> {
        let state = self.state();
        let is_bound = matches!(rule, InSession::Ends(..)) || state.transaction.is_active();
        state.transaction.pinned().filter(|_| is_bound).cloned()
    }

    /// Notes that an attempt is made on a server. `again` tells that the attempt before it was
    /// the first command of the transaction.
    pub(super) fn begin_attempt(&self, facts: &ServerFacts, address: &ServerAddress, again: bool) {
        let mut state = self.state();
        if again {
            state.transaction.send_first_again();
        }
        let is_router = matches!(
            facts.server_type,
            ServerType::Mongos | ServerType::LoadBalancer
        );
        if is_router && state.transaction.is_active() {
            state.transaction.pin(address);
        }
    }

    /// The connection that a command of the session must go over.
    pub(crate) fn take_connection(&self, rule: InSession) -> Option<PooledConnection<Connector>> {
        self.pinned_to(rule)?;
        self.connection.lock().take()
    }

    /// Waits until the steps have ended that go on in the session although their callers have
    /// stopped waiting for them.
    ///
    /// # Errors
    /// A timeout error when the deadline passes before.
    pub(crate) async fn steps_ended(&self, deadline: &Deadline) -> Result<()> {
        let end = self.turns.lock().end();
        match end {
            Some(end) => deadline.bound(step::IN_SESSION, end).await,
            None => Ok(()),
        }
    }

    /// Waits until servers have looked at the commands that were given up: a transaction that began
    /// after its end would stay open until the server's limit. The wait is a part of `ending` and of
    /// the time that it has.
    pub(crate) async fn given_up_are_over(&self, ending: &EndTransaction) {
        let timeout = || ending.timeout().deadline(clock::now);
        let deadline = self.deadline(ending.in_session()).or_else(timeout);
        // They stay there, as this future may be dropped.
        let given_up = self.given_up.lock().clone();
        given_up::over(given_up, &deadline.unwrap_or(Deadline::NEVER)).await;
    }

    /// Gives the connection back, if there is one.
    pub(crate) fn release_connection(&self) {
        let connection = self.connection.lock().take();
        drop(connection);
    }

    /// Whether there is a connection that a command must go over.
    pub(super) fn has_connection(&self) -> bool {
        self.connection.lock().is_some()
    }

    /// Keeps the connection that a command went over for the rest of the transaction, or gives it
    /// back when it is not bound to one.
    pub(super) fn keep_connection(
        &self,
        rule: InSession,
        mut connection: PooledConnection<Connector>,
    ) -> Option<PooledConnection<Connector>> {
        let is_balanced = self.executor.settings().load_balanced;
        if !is_balanced
            || matches!(rule, InSession::Ends(End::Abort, _))
            || self.pinned_to(rule).is_none()
        {
            return Some(connection);
        }
        connection.keep_for(Purpose::Transaction);
        self.connection.lock().replace(connection)
    }

    /// Unbinds the transaction from its router, and gives its connection back.
    pub(crate) fn unpin(&self) {
        let mut state = self.state();
        state.transaction.unpin();
        let released = self.let_go(&state);
        drop(state);
        drop(released);
    }

    /// Lets go of the connection unless the transaction is bound to it. It is for the caller to
    /// drop, after the state is unlocked: listeners hear of it.
    #[must_use]
    pub(crate) fn let_go(&self, state: &SessionState) -> Option<PooledConnection<Connector>> {
        match state.transaction.pinned() {
            Some(_) => None,
            None => self.connection.lock().take(),
        }
    }

    pub(super) fn stamp<O: Operation>(&self, operation: &O, facts: &ServerFacts) -> Result<Stamp> {
        self.state().stamp(
            operation.in_session(),
            operation.read_concern(),
            facts.max_wire_version,
            facts.gossips_cluster_time(),
        )
    }

    pub(super) fn read_reply(&self, rule: InSession, reply: &RawDocument) {
        self.state().read_reply(rule, reply);
    }

    pub(super) fn is_in_transaction(&self) -> bool {
        self.state().transaction.is_active()
    }

    /// Labels the error of an attempt, if it was part of a transaction.
    pub(super) fn failed(&self, rule: InSession, error: &mut Error) {
        let _released;
        let mut state = self.state();
        let end = match rule {
            InSession::Ends(end, number) if number == state.server.transaction_number() => {
                Some(end)
            }
            InSession::Ends(..) => return,
            InSession::CleanUp => return,
            _ if state.transaction.is_active() => None,
            _ => return,
        };
        state.transaction.failed(end, error);
        _released = self.let_go(&state);
    }
}

/// What an operation was given of its own: what it inherits is left out inside a transaction.
fn operation_concerns<O: Operation>(operation: &O) -> OwnConcerns<'_> {
    OwnConcerns {
        has_read_concern: operation.read_concern().is_some(),
        has_write_concern: operation.write_concern().is_some(),
        read_from: operation.selection().criteria(),
    }
}

impl Drop for ExplicitSession {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        // Not before: until now it was the application's, and its other cursors with it.
        let opening = mem::take(&mut state.opening);
        let given_up = mem::take(self.given_up.get_mut());
        kill(&self.executor, *state.server.id(), opening, given_up);
        self.executor.put_back_session(state.server.take());
    }
}
