//! Starting sessions, and the transactions in them.

use std::time::Duration;

use super::{action, option_setters};
use crate::{
    client::Client,
    error::Result,
    exec::Session,
    operation::Scope,
    options::{ReadConcern, SelectionCriteria, SessionOptions, TransactionOptions, WriteConcern},
    proto::transaction::End,
    session::ClientSession,
};

/// Marks an action that works in no session of the application.
#[derive(Clone, Copy, Debug)]
pub struct ImplicitSession;

/// Marks an action that takes part in a [`ClientSession`].
#[derive(Debug)]
pub struct ExplicitSession<'a>(pub(super) &'a mut ClientSession);

/// Whether an action takes part in a [`ClientSession`].
pub trait ActionSession<'a>: super::private::Sealed {
    /// The session that the action takes part in.
    fn opt_session(&self) -> Option<&ClientSession>;

    /// The session that the action takes part in, for what comes of it.
    fn into_opt_session(self) -> Option<&'a mut ClientSession>;
}

impl super::private::Sealed for ImplicitSession {}

impl<'a> ActionSession<'a> for ImplicitSession {
    fn opt_session(&self) -> Option<&ClientSession> {
        None
    }

    fn into_opt_session(self) -> Option<&'a mut ClientSession> {
        None
    }
}

impl super::private::Sealed for ExplicitSession<'_> {}

impl<'a> ActionSession<'a> for ExplicitSession<'a> {
    fn opt_session(&self) -> Option<&ClientSession> {
        Some(self.0)
    }

    fn into_opt_session(self) -> Option<&'a mut ClientSession> {
        Some(self.0)
    }
}

impl super::private::Sealed for Option<&mut ClientSession> {}

impl<'a> ActionSession<'a> for Option<&'a mut ClientSession> {
    fn opt_session(&self) -> Option<&ClientSession> {
        self.as_deref()
    }

    fn into_opt_session(self) -> Self {
        self
    }
}

/// What an action's operations go out with.
pub(super) fn handle<'a>(session: &impl ActionSession<'a>) -> Option<Session> {
    session.opt_session().map(ClientSession::handle)
}

/// What an action's operations inherit: inside a transaction, no concerns but the transaction's.
pub(super) fn within<'a, 's>(session: &impl ActionSession<'s>, scope: Scope<'a>) -> Scope<'a> {
    let in_transaction = session.opt_session().map(ClientSession::is_in_transaction);
    match in_transaction {
        Some(true) => Scope {
            selection_criteria: None,
            read_concern: None,
            write_concern: None,
            ..scope
        },
        _ => scope,
    }
}

/// Gives an action the method `session`.
macro_rules! session_setter {
    () => {
        /// Has the operation take part in a session.
        pub fn session(mut self, value: impl Into<&'a mut $crate::session::ClientSession>) -> Self {
            self.session = Some(value.into());
            self
        }
    };
}

pub(super) use session_setter;

/// Starts a session; see [`Client::start_session`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct StartSession<'a> {
    client: &'a Client,
    options: SessionOptions,
}

/// Starts a transaction; see [`ClientSession::start_transaction`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct StartTransaction<S> {
    session: S,
    options: TransactionOptions,
}

/// Commits a transaction; see [`ClientSession::commit_transaction`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct CommitTransaction<'a> {
    session: &'a mut ClientSession,
    timeout: Option<Duration>,
}

/// Aborts a transaction; see [`ClientSession::abort_transaction`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct AbortTransaction<'a> {
    session: &'a mut ClientSession,
    timeout: Option<Duration>,
}

impl Client {
    /// Starts a session. Does no I/O: whether the deployment has sessions shows with the first
    /// operation.
    ///
    /// Use it soon, and at least once every 29 minutes: servers end a session that was not used for
    /// 30 minutes (`logicalSessionTimeoutMinutes`). A new one may be the server's part of an earlier
    /// one with as little as a minute left to its first use; what comes later may fail.
    ///
    /// Operations without a session get one from the driver, which they return at their end; only
    /// unacknowledged writes go out without any, and are refused in a session that is given.
    ///
    /// # Errors
    /// An invalid-argument error for options that contradict each other.
    pub fn start_session(&self) -> StartSession<'_> {
        StartSession {
            client: self,
            options: SessionOptions::default(),
        }
    }
}

impl ClientSession {
    /// Starts a transaction: the operations of this session are part of it until it is committed
    /// or aborted. Does no I/O, the server learns of it with the first operation. Needs a replica
    /// set or a sharded cluster.
    ///
    /// Operations inside it use the transaction's concerns and read preference in place of those
    /// of their collection, and must not bring concerns of their own. When one of them fails, the
    /// server may have aborted the transaction; a commit then fails.
    /// [`StartTransaction::and_run`] does all of this.
    ///
    /// # Errors
    /// A transaction error when one is in progress, in a snapshot session, and for an
    /// unacknowledged write concern.
    pub fn start_transaction(&mut self) -> StartTransaction<&mut Self> {
        StartTransaction {
            session: self,
            options: TransactionOptions::default(),
        }
    }

    /// Commits the transaction. After an error the commit can be repeated, which is safe.
    ///
    /// Where a further attempt may help it was made, whatever
    /// [`ClientOptions::retry_writes`](crate::options::ClientOptions::retry_writes) says; repeated
    /// commits wait for the majority.
    ///
    /// # Errors
    /// A transaction error when there is none to commit; the server's, those of selection and
    /// network. With the label
    /// [`UNKNOWN_TRANSACTION_COMMIT_RESULT`](crate::error::UNKNOWN_TRANSACTION_COMMIT_RESULT) it is
    /// not known whether the transaction is committed; repeat the commit. With the label
    /// [`TRANSIENT_TRANSACTION_ERROR`](crate::error::TRANSIENT_TRANSACTION_ERROR) it is not, and
    /// the whole transaction can be tried again.
    pub fn commit_transaction(&mut self) -> CommitTransaction<'_> {
        CommitTransaction {
            session: self,
            timeout: None,
        }
    }

    /// Aborts the transaction. That the server could not be told is no error: it aborts the
    /// transaction by itself.
    ///
    /// When the reply to the transaction's first command was given up, the server may not have seen
    /// that command yet. It is then waited for, for a second at most, before the server is told.
    ///
    /// # Errors
    /// A transaction error when there is none to abort.
    pub fn abort_transaction(&mut self) -> AbortTransaction<'_> {
        AbortTransaction {
            session: self,
            timeout: None,
        }
    }
}

impl StartSession<'_> {
    option_setters! { SessionOptions {
        default_transaction_options: TransactionOptions,
        causal_consistency: bool,
        snapshot: bool,
        snapshot_time: bson::Timestamp,
        default_timeout: Duration,
    } }
}

impl<S> StartTransaction<S> {
    pub(crate) fn into_parts(self) -> (S, TransactionOptions) {
        (self.session, self.options)
    }

    option_setters! { TransactionOptions {
        read_concern: ReadConcern,
        write_concern: WriteConcern,
        selection_criteria: SelectionCriteria,
        max_commit_time: Duration,
        timeout: Duration,
    } }
}

impl CommitTransaction<'_> {
    /// How long the commit may take as a whole, in place of the session's
    /// [`default_timeout`](SessionOptions::default_timeout); zero for no limit.
    pub fn timeout(mut self, value: Duration) -> Self {
        self.timeout = Some(value);
        self
    }
}

impl AbortTransaction<'_> {
    /// How long it may take as a whole to tell the server, in place of the session's
    /// [`default_timeout`](SessionOptions::default_timeout); zero for no limit.
    pub fn timeout(mut self, value: Duration) -> Self {
        self.timeout = Some(value);
        self
    }
}

action! { impl['a] StartSession<'a> => Result<ClientSession>, never waits, |self| {
    ClientSession::start(self.client.clone(), self.options)
} }

action! { impl['a] StartTransaction<&'a mut ClientSession> => Result<()>, |self| {
    self.session.begin_transaction(self.options).await
} }

action! { impl['a] CommitTransaction<'a> => Result<()>, |self| {
    self.session.end_transaction(End::Commit, self.timeout).await
} }

action! { impl['a] AbortTransaction<'a> => Result<()>, |self| {
    self.session.end_transaction(End::Abort, self.timeout).await
} }
