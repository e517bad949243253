//! One operation on its way, through all its attempts.

use std::{sync::Arc, time::Duration};

use super::{
    Executor, ExplicitSession, InProgress, Session, Turn, monitoring::next_operation_id, step,
};
use crate::{
    address::ServerAddress,
    clock,
    deadline::{Cause, Deadline},
    error::{Error, ErrorKind, Result, SYSTEM_OVERLOADED_ERROR},
    operation::{AfterOverload, Operation, Retryability},
    pool::PooledConnection,
    proto::{retry::Policy, session::InSession, timeout, topology::TopologyType},
    topology::Connector,
};

/// One operation on its way, through all its attempts.
pub(super) struct Call<'a, O> {
    pub(super) executor: &'a Executor,
    pub(super) operation: &'a mut O,
    pub(super) session: Option<Session>,
    /// The connection that the next attempt goes over, when it is given.
    pub(super) connection: Option<PooledConnection<Connector>>,
    /// The place of the step that the operation belongs to, among those who use the session.
    pub(super) turn: Option<&'a Turn>,
    /// Whether every attempt must go over the same connection, which a failed one leaves here.
    pub(super) is_bound: bool,
    /// How the operation may be tried again, as far as the options and the last server allow.
    pub(super) retryability: Retryability,
    /// The same for every attempt of a retryable write, so that the server does it once.
    pub(super) transaction_number: Option<i64>,
    /// Whether the server may keep a cursor for the operation.
    pub(super) opens_cursor: bool,
    /// Whether the newest attempt was the first command of its session's transaction.
    pub(super) started_transaction: bool,
    /// The operation's number, once somebody listened to one of its attempts.
    operation_id: Option<i64>,
    /// Stands below the session, so that it ends after that went back: who shuts down when no
    /// operation is in progress tells the servers of every session.
    pub(super) in_progress: Option<InProgress<'a>>,
    /// When the time of the whole operation is up, if it has a timeout.
    pub(super) deadline: Option<Deadline>,
    /// When the time is up that this attempt has to get its connection, if there is a timeout.
    pub(super) connects_until: Deadline,
    /// The least time that the way to the server and back takes, if there is a timeout.
    pub(super) round_trip: Duration,
}

impl<'a, O: Operation> Call<'a, O> {
    pub(super) fn new(
        executor: &'a Executor,
        operation: &'a mut O,
        session: Option<Session>,
    ) -> Self {
        let settings = executor.settings();
        let explicit = session.as_ref().and_then(Session::explicit);
        let ends = matches!(operation.in_session(), InSession::Ends(..));
        let retryability = match operation.retryability() {
            retryability if ends => retryability,
            _ if explicit.is_some_and(|session| session.is_in_transaction()) => Retryability::None,
            Retryability::Read if settings.retry_reads => Retryability::Read,
            Retryability::Write if settings.retry_writes => Retryability::Write,
            _ => Retryability::None,
        };
        Self {
            executor,
            operation,
            session,
            connection: None,
            turn: None,
            is_bound: false,
            retryability,
            transaction_number: None,
            opens_cursor: false,
            started_transaction: false,
            operation_id: None,
            in_progress: None,
            deadline: None,
            connects_until: Deadline::NEVER,
            round_trip: Duration::ZERO,
        }
    }

    /// When the time of the whole operation is up; `None` when it has no timeout.
    ///
    /// # Errors
    /// An invalid-argument error for limits that contradict each other.
    pub(super) fn limit(&self) -> Result<Option<Deadline>> {
        self.operation.check_limits()?;
        let outer = self
            .explicit_session()
            .and_then(|it| it.deadline(self.operation.in_session()));
        self.operation.timeout().within(outer, clock::now)
    }

    /// Waits until no step of a cursor goes on in the session of which its caller has stopped
    /// waiting: a session is for one command at a time.
    ///
    /// # Errors
    /// A timeout error when the operation's time is up before.
    pub(super) async fn turn_comes(&self) -> Result<()> {
        let deadline = self.deadline.unwrap_or(Deadline::NEVER);
        match (self.turn, self.explicit_session()) {
            (Some(turn), _) => deadline.bound(step::IN_SESSION, turn.comes()).await,
            (None, Some(session)) => session.steps_ended(&deadline).await,
            (None, None) => Ok(()),
        }
    }

    /// When the time is up to select a server for the next attempt: after `limit`, which holds for
    /// each attempt, as any of them may take longer than that; with a timeout, while time is left.
    /// Getting a connection counts in then.
    pub(super) fn selects_until(&mut self, limit: Duration) -> Deadline {
        let selection = Deadline::after(limit, Cause::ServerSelection);
        match self.deadline {
            None => selection,
            Some(deadline) => {
                self.connects_until = deadline.until_connected(selection);
                self.connects_until
            }
        }
    }

    /// The error as the caller is told: what the end of a shutdown has ended is shut down, and with
    /// a timeout, whatever a limit of time has ended is a timeout of the operation.
    pub(super) fn told(&self, error: Error) -> Error {
        match *error.kind {
            // They tell what was done, so whoever collects them judges the whole.
            ErrorKind::BulkWrite(_) | ErrorKind::CollectionBulkWrite(_) => error,
            ErrorKind::ConnectionPoolCleared { .. } if self.executor.topology().is_closed() => {
                Error::shutdown()
            }
            _ if self.deadline.is_some() => timeout::told(error),
            _ => error,
        }
    }

    pub(super) fn explicit_session(&self) -> Option<&Arc<ExplicitSession>> {
        self.session.as_ref().and_then(Session::explicit)
    }

    /// The router that the session's transaction is bound to.
    pub(super) fn pinned_to(&self) -> Option<ServerAddress> {
        let session = self.explicit_session()?;
        session.pinned_to(self.operation.in_session())
    }

    /// How the attempts may follow each other now.
    pub(super) fn policy(&self) -> Policy {
        let settings = self.executor.settings();
        let after_overload = match self.operation.after_overload() {
            AfterOverload::IfReadsRetry => settings.retry_reads,
            AfterOverload::IfWritesRetry => settings.retry_writes,
            AfterOverload::IfBothRetry => settings.retry_reads && settings.retry_writes,
            AfterOverload::Always => true,
        };
        Policy {
            retryability: self.retryability,
            after_overload,
            max_overload_retries: settings.overload_retries,
            time_left: self.deadline.as_ref().map(|deadline| {
                // A timeout of zero sets no limit, and is a timeout still.
                deadline.remaining().unwrap_or(Duration::MAX)
            }),
        }
    }

    /// Whether a further attempt after this error had better go to another server: any router
    /// will do, and any member if the client wants that after an overload.
    pub(super) fn wants_another_server(&self, error: &Error) -> bool {
        let is_overload = error.contains_label(SYSTEM_OVERLOADED_ERROR);
        let topology = self.executor.topology();
        topology.snapshot().description.topology_type() == TopologyType::Sharded
            || (is_overload && self.executor.settings().overload_retargeting)
    }

    /// Lets the session and the operation learn that an attempt failed.
    pub(super) fn failed(&mut self, error: &mut Error) {
        let rule = self.operation.in_session();
        if let Some(session) = self.explicit_session() {
            session.failed(rule, error);
        }
        self.operation.failed(error);
    }

    /// The number by which listeners know the attempts of the operation.
    pub(super) fn operation_id(&mut self) -> i64 {
        let given = self.operation_id.or_else(|| self.operation.operation_id());
        *self
            .operation_id
            .insert(given.unwrap_or_else(next_operation_id))
    }
}
