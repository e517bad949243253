//! One attempt of an operation on one server.

use std::{mem, pin::pin, time::Duration};

use super::{
    Session,
    call::Call,
    decorate::{Parts, decorate},
    given_up::Outstanding,
    monitoring::Monitored,
    session::ImplicitSession,
};
use crate::{
    address::ServerAddress,
    background::RuntimeId,
    conn::{Connection, ServerFacts},
    deadline::{Cause, Deadline},
    error::{Error, ErrorKind, Result},
    operation::{Operation, Retryability, Target},
    pool::{Interrupt, PooledConnection, until_interrupted},
    proto::{
        cluster_time::ClusterTime,
        retry,
        session::{InSession, Stamp},
        timeout,
        topology::{ServerType, error_rules},
        wire::{MessageFlags, Reply},
    },
    topology::{Connector, Selected},
};

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

impl<O: Operation> Call<'_, O> {
    /// Tries the operation once. Gives the connection along, which is still checked out.
    pub(super) async fn attempt(
        &mut self,
        server: &Selected,
    ) -> Result<(O::Output, PooledConnection<Connector>), Failure> {
        if self.deadline.is_some() {
            // Before any wait: the server may be found out of reach, and its times be forgotten.
            self.round_trip = server.minimum_round_trip();
        }
        let mut connection = match self.kept_connection() {
            Some(kept) => match here(kept) {
                Ok(kept) => kept,
                Err(error) => return Err(self.failure(server, error, None)),
            },
            None => match self.check_out(server).await {
                Ok(connection) => connection,
                Err(error) => return Err(self.failure(server, error, None)),
            },
        };
        let facts = *connection.facts();
        if let Err(error) = self.begin(&facts, server.address()) {
            return Err(self.failure(server, error, None));
        }
        match self.round_trip(server, &mut connection, &facts).await {
            Ok(output) => Ok((output, connection)),
            Err(error) => {
                self.judge(server, &connection, &error, &facts);
                if error.is_timeout() && !connection.is_reusable() {
                    server.pool().suspect_idle();
                }
                let connection = self.give_up(connection).and_then(|it| self.settle(it));
                self.connection = connection.filter(|_| self.is_bound);
                Err(self.failure(server, error, Some(&facts)))
            }
        }
    }

    async fn check_out(&self, server: &Selected) -> Result<PooledConnection<Connector>> {
        let checked_out = pin!(server.pool().check_out(&self.connects_until));
        match self.operation.cleans_up() {
            true => checked_out.await,
            false => self.executor.unless_closing(checked_out).await?,
        }
    }

    /// The connection that the operation must go over.
    fn kept_connection(&mut self) -> Option<PooledConnection<Connector>> {
        self.connection.take().or_else(|| {
            let session = self.explicit_session()?;
            session.take_connection(self.operation.in_session())
        })
    }

    /// Leaves the connection to the transaction that is bound to it, or else gives it back.
    pub(super) fn settle(
        &self,
        connection: PooledConnection<Connector>,
    ) -> Option<PooledConnection<Connector>> {
        match self.explicit_session() {
            Some(session) => session.keep_connection(self.operation.in_session(), connection),
            None => Some(connection),
        }
    }

    /// Whether there is something to clean up on the server if nobody learns of the command's reply.
    /// Routers behind a load balancer do so by themselves when the connection ends.
    fn is_to_be_undone(&self) -> bool {
        (self.opens_cursor || self.started_transaction) && !self.executor.settings().load_balanced
    }

    /// Leaves the connection of a failed attempt to the session if the transaction may begin by it
    /// yet.
    fn give_up(
        &mut self,
        connection: PooledConnection<Connector>,
    ) -> Option<PooledConnection<Connector>> {
        if self.started_transaction
            && self.is_to_be_undone()
            && connection.is_unanswered()
            && let Some(session) = &mut self.session
        {
            session.give_up(connection);
            return None;
        }
        Some(connection)
    }

    /// Takes a session and, for a retryable write, its number, once a server is known.
    fn begin(&mut self, facts: &ServerFacts, address: &ServerAddress) -> Result<()> {
        let has_sessions = facts.has_sessions || facts.server_type == ServerType::LoadBalancer;
        let acknowledged = self.is_acknowledged();
        let begins_session = self.session.is_none() && self.operation.needs_session();
        if acknowledged && has_sessions && begins_session {
            let session = ImplicitSession::start(self.executor);
            self.session = Some(Session::Implicit(session));
        }
        let started_transaction = mem::take(&mut self.started_transaction);
        if let Some(session) = self.explicit_session() {
            if !has_sessions {
                return Err(ErrorKind::SessionsNotSupported.into());
            }
            session.begin_attempt(facts, address, started_transaction);
        }
        let retries_writes =
            has_sessions && facts.server_type != ServerType::Standalone && acknowledged;
        if self.retryability == Retryability::Write && !retries_writes {
            self.retryability = Retryability::None;
            // What an earlier attempt failed with is reported then.
            if self.transaction_number.is_some() {
                return Err(Error::internal("the server cannot tell a repeated write"));
            }
        }
        let ends = matches!(self.operation.in_session(), InSession::Ends(..));
        if self.retryability == Retryability::Write && !ends && self.transaction_number.is_none() {
            let session = self.session.as_mut();
            self.transaction_number = session.map(Session::next_transaction_number);
        }
        Ok(())
    }

    async fn round_trip(
        &mut self,
        server: &Selected,
        connection: &mut PooledConnection<Connector>,
        facts: &ServerFacts,
    ) -> Result<O::Output> {
        let target = Target {
            has_timeout: self.deadline.is_some(),
            time_left: self.left_for_server()?,
            ..target(facts, server.address())
        };
        let request_id = self.prepare(connection, &target, facts);
        let request_id = request_id.map_err(|error| error.with_command(self.operation.name()))?;
        let deadline = match self.deadline {
            Some(deadline) => deadline,
            None => {
                Deadline::after_optional(self.executor.settings().socket_timeout, Cause::Socket)
            }
        };
        let monitored = Monitored::start(self, connection, request_id);
        // To write the command, and to tell of it, took time as well. A command that would come
        // too late would cost the connection.
        if let Err(error) = self.left_for_server() {
            connection.release_outgoing();
            monitored.end(Err(&error)).told().await;
            return Err(error);
        }
        let sequences = self.operation.sequences();
        if !self.is_acknowledged() {
            let interrupt = connection.interrupt().clone();
            let sent = {
                let sending = pin!(connection.send_unacknowledged(&sequences, &deadline));
                until_interrupted(&interrupt, sending).await
            };
            let sent = sent.unwrap_or_else(|| Err(Interrupt::error(server.address())));
            monitored.end_unacknowledged(&sent).told().await;
            sent.map_err(|error| error.with_command(self.operation.name()))?;
            return self.operation.unacknowledged();
        }
        if let Some(session) = &mut self.session {
            // What comes without being asked for belongs to a command that was counted.
            if !connection.is_streaming() {
                session.command_sent();
            }
            if self.opens_cursor {
                session.opens_cursor_on(server.address());
            }
        }
        let is_to_be_undone = self.is_to_be_undone();
        let session = self.session.as_mut().filter(|_| is_to_be_undone);
        let outstanding = Outstanding::new(session, connection);
        let outcome = {
            let exchange = pin!(outstanding.exchange(request_id, &sequences, &deadline));
            match self.operation.waits_for_data() {
                true => self.executor.unless_closed(exchange).await.flatten(),
                false => exchange.await,
            }
        };
        if outcome.is_ok()
            && !connection.is_streaming()
            && let Some(session) = &mut self.session
        {
            session.reply_read();
        }
        let outcome = outcome.and_then(|reply| {
            self.executor.advance_cluster_time(reply.document());
            if let Some(session) = self.explicit_session() {
                session.read_reply(self.operation.in_session(), reply.document());
            }
            match error_rules::command_error(reply.document()) {
                None => Ok(reply),
                Some(error) => Err(error.with_address(server.address())),
            }
        });
        monitored.end(outcome.as_ref()).told().await;
        if let Some(session) = self.session.as_mut().filter(|_| self.opens_cursor) {
            session.opening_ended();
        }
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
        let session_id = self.session.as_mut().map(Session::use_now);
        let explicit = self.session.as_ref().and_then(Session::explicit).cloned();
        let stamp = match &explicit {
            Some(session) => session.stamp(self.operation, facts)?,
            None => Stamp::default(),
        };
        let clock = self.executor.cluster_time();
        let own_time = explicit.as_ref().and_then(|session| session.cluster_time());
        let cluster_time = clock.newest().max(own_time.as_ref());
        let parts = Parts {
            session_id: session_id.filter(|_| acknowledged),
            stamp: &stamp,
            transaction_number: stamp.transaction_number.or(self.transaction_number),
            cluster_time: cluster_time
                .map(ClusterTime::document)
                .filter(|_| facts.gossips_cluster_time()),
            facts,
            has_timeout: self.deadline.is_some(),
            max_time: target.time_left.filter(|_| self.operation.limits_server()),
        };
        let operation = &mut *self.operation;
        let executor = self.executor;
        let prepared = connection.prepare(flags, |message| {
            let mut body = message.body();
            operation.write(&mut body, target)?;
            decorate(executor, operation, &mut body, &parts)?;
            target.check_command_size(body.written() + 1)?;
            body.end()?;
            message.sequences(&operation.sequences())
        })?;
        // Only now: a command that cannot be written leaves the transaction as it was.
        let ends = matches!(self.operation.in_session(), InSession::Ends(..));
        if let Some(session) = explicit.filter(|_| stamp.is_in_transaction() && !ends) {
            self.started_transaction = session.state().transaction.send();
        }
        Ok(prepared)
    }

    /// How long the server may work on a command that goes out now, if there is a limit.
    ///
    /// # Errors
    /// A timeout error when there is no time left for it; nothing is sent then.
    fn left_for_server(&self) -> Result<Option<Duration>> {
        let Some(deadline) = &self.deadline else {
            return Ok(None);
        };
        timeout::left_for_server(deadline, deadline.remaining(), self.round_trip)
            .map_err(|error| error.with_command(self.operation.name()))
    }

    /// Tells the topology and the session of what failed on an established connection.
    fn judge(
        &mut self,
        server: &Selected,
        connection: &PooledConnection<Connector>,
        error: &Error,
        facts: &ServerFacts,
    ) {
        if (error.is_network() || !connection.is_reusable())
            && let Some(session) = &mut self.session
        {
            session.mark_dirty();
        }
        // A write error in front may hide a write concern error that tells of the server's state.
        let told = error.server_response().and_then(error_rules::told_by);
        let error = told.as_ref().unwrap_or(error);
        // The end of a runtime is no fault of the server.
        let is_here = connection.runtime() == RuntimeId::current();
        if is_here && error.is_network() || error.state_change().is_some() {
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
            let server = facts.map(|facts| (facts.server_type, facts.max_wire_version));
            retry::label_write_error(&mut error, server);
        }
        if self.transaction_number.is_some() {
            retry::explain_refused_number(&mut error);
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

/// A connection that was kept, on the caller's runtime: the cursor or transaction that it was kept
/// for may have come from another.
fn here(mut kept: PooledConnection<Connector>) -> Result<PooledConnection<Connector>> {
    if kept.runtime() != RuntimeId::required()? {
        kept.move_to_current_runtime()?;
    }
    Ok(kept)
}

fn target<'a>(facts: &ServerFacts, address: &'a ServerAddress) -> Target<'a> {
    Target {
        address,
        server_type: facts.server_type,
        max_wire_version: facts.max_wire_version,
        max_bson_object_size: facts.max_bson_object_size,
        max_message_size: facts.max_message_size,
        max_write_batch_size: facts.max_write_batch_size,
        has_timeout: false,
        time_left: None,
    }
}
