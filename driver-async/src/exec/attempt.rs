//! One attempt of an operation on one server.

use std::sync::Arc;

use super::{
    Executor, ImplicitSession, InProgress,
    decorate::{Parts, decorate},
    monitoring::{Monitored, next_operation_id},
};
use crate::{
    address::ServerAddress,
    conn::{Connection, ServerFacts},
    deadline::{Cause, Deadline},
    error::{Error, Result},
    operation::{Operation, Retryability, Target},
    pool::{Interrupt, PooledConnection, until_interrupted},
    proto::{
        retry,
        topology::{ServerType, error_rules},
        wire::{MessageFlags, Reply},
    },
    topology::{Connector, Selected},
};

/// One operation on its way, through all its attempts.
pub(super) struct Call<'a, O> {
    pub(super) executor: &'a Executor,
    pub(super) operation: &'a mut O,
    pub(super) session: Option<ImplicitSession>,
    /// The connection that the first attempt goes over, when it is given.
    pub(super) connection: Option<PooledConnection<Connector>>,
    /// How the operation may be tried again, as far as the options and the last server allow.
    pub(super) retryability: Retryability,
    /// The same for every attempt of a retryable write, so that the server does it once.
    transaction_number: Option<i64>,
    /// The operation's number, once somebody listened to one of its attempts.
    operation_id: Option<i64>,
    /// Stands below the session, so that it ends after that went back: who shuts down when no
    /// operation is in progress tells the servers of every session.
    pub(super) in_progress: Option<InProgress<'a>>,
}

/// Why an attempt failed.
pub(super) struct Failure {
    pub(super) error: Error,
    /// Whether a command went out to a server.
    pub(super) reached_server: bool,
    pub(super) address: Option<ServerAddress>,
}

impl Failure {
    pub(super) fn before_reaching_a_server(error: Error) -> Self {
        Self {
            error,
            reached_server: false,
            address: None,
        }
    }
}

impl<'a, O: Operation> Call<'a, O> {
    pub(super) fn new(
        executor: &'a Executor,
        operation: &'a mut O,
        session: Option<ImplicitSession>,
    ) -> Self {
        let settings = executor.settings();
        let retryability = match operation.retryability() {
            Retryability::Read if settings.retry_reads => Retryability::Read,
            Retryability::Write if settings.retry_writes => Retryability::Write,
            _ => Retryability::None,
        };
        Self {
            executor,
            operation,
            session,
            connection: None,
            retryability,
            transaction_number: None,
            operation_id: None,
            in_progress: None,
        }
    }

    /// The number by which listeners know the attempts of the operation.
    pub(super) fn operation_id(&mut self) -> i64 {
        let given = self.operation_id.or_else(|| self.operation.operation_id());
        *self
            .operation_id
            .insert(given.unwrap_or_else(next_operation_id))
    }

    /// Tries the operation once. Gives the connection along, which is still checked out.
    pub(super) async fn attempt(
        &mut self,
        server: &Selected,
    ) -> Result<(O::Output, PooledConnection<Connector>), Failure> {
        let mut connection = match self.connection.take() {
            Some(kept) => kept,
            None => match server.pool().check_out(&Deadline::NEVER).await {
                Ok(connection) => connection,
                Err(error) => return Err(self.failure(server, error, None)),
            },
        };
        let facts = *connection.facts();
        self.begin(&facts);
        match self.round_trip(server, &mut connection, &facts).await {
            Ok(output) => Ok((output, connection)),
            Err(error) => {
                self.judge(server, &connection, &error, &facts);
                Err(self.failure(server, error, Some(&facts)))
            }
        }
    }

    /// Takes a session and, for a retryable write, its number, once a server is known.
    fn begin(&mut self, facts: &ServerFacts) {
        let has_sessions = facts.has_sessions || facts.server_type == ServerType::LoadBalancer;
        if self.is_acknowledged() && has_sessions && self.session.is_none() {
            self.session = Some(ImplicitSession::start(self.executor));
        }
        let retries_writes =
            has_sessions && facts.server_type != ServerType::Standalone && self.is_acknowledged();
        if self.retryability == Retryability::Write && !retries_writes {
            self.retryability = Retryability::None;
        }
        if self.retryability == Retryability::Write && self.transaction_number.is_none() {
            let session = self.session.as_mut().and_then(ImplicitSession::used);
            self.transaction_number = session.map(|session| session.next_transaction_number());
        }
    }

    async fn round_trip(
        &mut self,
        server: &Selected,
        connection: &mut PooledConnection<Connector>,
        facts: &ServerFacts,
    ) -> Result<O::Output> {
        let target = target(facts, server.address());
        let request_id = self.prepare(connection, &target, facts);
        let request_id = request_id.map_err(|error| error.with_command(self.operation.name()))?;
        let deadline =
            Deadline::after_optional(self.executor.settings().socket_timeout, Cause::Socket);
        let monitored = Monitored::start(self, connection, request_id);
        let sequences = self.operation.sequences();
        if !self.is_acknowledged() {
            let sent = connection.send_unacknowledged(&sequences, &deadline).await;
            monitored.end_unacknowledged(&sent);
            sent.map_err(|error| error.with_command(self.operation.name()))?;
            return self.operation.unacknowledged();
        }
        let interrupt = Arc::clone(connection.interrupt());
        self.session
            .iter_mut()
            .for_each(|session| session.set_in_flight(true));
        let exchange = async {
            if connection.is_streaming() {
                connection.next_reply(&deadline).await
            } else {
                connection.exchange(request_id, &sequences, &deadline).await
            }
        };
        let outcome = until_interrupted(&interrupt, exchange).await;
        self.session
            .iter_mut()
            .for_each(|session| session.set_in_flight(connection.is_streaming()));
        let outcome = outcome.unwrap_or_else(|| Err(Interrupt::error(server.address())));
        let outcome = outcome.and_then(|reply| {
            self.executor.advance_cluster_time(reply.document());
            match error_rules::command_error(reply.document()) {
                None => Ok(reply),
                Some(error) => Err(error.with_address(server.address())),
            }
        });
        monitored.end(outcome.as_ref());
        outcome
            .and_then(|reply| self.read(&reply, &target))
            .map_err(|error| error.with_command(self.operation.name()))
    }

    fn read(&mut self, reply: &Reply, target: &Target<'_>) -> Result<O::Output> {
        let output = self.operation.reply(reply, target);
        output.map_err(|error| error.with_address(target.address))
    }

    /// Writes the command, once, into the connection's buffer. While the server sends replies
    /// without being asked, it stays there: listeners are told what each reply answers.
    fn prepare(
        &mut self,
        connection: &mut Connection,
        target: &Target<'_>,
        facts: &ServerFacts,
    ) -> Result<i32> {
        let acknowledged = self.is_acknowledged();
        let flags = match (acknowledged, self.operation.takes_several_replies()) {
            (true, true) => MessageFlags::EXHAUST_ALLOWED,
            (true, false) => MessageFlags::NONE,
            (false, _) => MessageFlags::MORE_TO_COME,
        };
        let session = self.session.as_mut().and_then(ImplicitSession::used);
        let session_id = session.map(|session| *session.id());
        let cluster_time = self.executor.cluster_time();
        let parts = Parts {
            session_id: session_id.filter(|_| acknowledged),
            transaction_number: self.transaction_number,
            cluster_time: cluster_time
                .document()
                .filter(|_| facts.gossips_cluster_time()),
            facts,
        };
        let operation = &mut *self.operation;
        let executor = self.executor;
        connection.prepare(flags, |message| {
            let mut body = message.body();
            operation.write(&mut body, target)?;
            decorate(executor, operation, &mut body, &parts)?;
            target.check_command_size(body.written() + 1)?;
            body.end()?;
            message.sequences(&operation.sequences())
        })
    }

    /// Tells the topology and the session of what failed on an established connection.
    fn judge(
        &mut self,
        server: &Selected,
        connection: &PooledConnection<Connector>,
        error: &Error,
        facts: &ServerFacts,
    ) {
        if error.is_network()
            && let Some(session) = self.session.as_mut().and_then(ImplicitSession::used)
        {
            session.mark_dirty();
        }
        // A write error in front may hide a write concern error that tells of the server's state.
        let told = error.server_response().and_then(error_rules::told_by);
        let error = told.as_ref().unwrap_or(error);
        if error.is_network() || error.state_change().is_some() {
            self.executor.topology().report_operation_error(
                server,
                error,
                connection.generation(),
                facts.max_wire_version,
            );
        }
    }

    /// The failure of an attempt; `facts` of the connection when there was one.
    fn failure(&self, server: &Selected, error: Error, facts: Option<&ServerFacts>) -> Failure {
        let mut error = error.with_address(server.address());
        if self.retryability == Retryability::Write {
            retry::label_write_error(&mut error, facts.map(|facts| facts.max_wire_version));
        }
        Failure {
            error,
            reached_server: facts.is_some(),
            address: Some(server.address().clone()),
        }
    }

    fn is_acknowledged(&self) -> bool {
        self.operation
            .write_concern()
            .is_none_or(|concern| concern.is_acknowledged())
    }
}

fn target<'a>(facts: &ServerFacts, address: &'a ServerAddress) -> Target<'a> {
    Target {
        address,
        server_type: facts.server_type,
        max_wire_version: facts.max_wire_version,
        max_bson_object_size: facts.max_bson_object_size,
        max_message_size: facts.max_message_size,
        max_write_batch_size: facts.max_write_batch_size,
    }
}
