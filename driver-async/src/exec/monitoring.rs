//! Tells listeners of each command that goes out and what became of it.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Instant,
};

use bson::{RawDocument, oid::ObjectId};

use super::call::Call;
use crate::{
    clock,
    conn::Connection,
    error::{Error, Result},
    event::{
        ConnectionInfo, EventHandler,
        command::{
            CommandEvent, CommandFailedEvent, CommandStartedEvent, CommandSucceededEvent,
            is_sensitive, shown_command, shown_failure, shown_reply,
        },
        log::{
            LogContext,
            command::{CommandLog, is_logged},
        },
    },
    operation::Operation,
    proto::wire::{Reply, Sequences},
};

/// A number for an operation of several commands, by which listeners know that they belong
/// together.
pub(crate) fn next_operation_id() -> i64 {
    static NEXT: AtomicI64 = AtomicI64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// One command under way that somebody may listen to. Costs two looks when nobody does.
///
/// Every start is followed by an end: a command whose operation is dropped has failed.
pub(super) struct Monitored<'a>(Option<Box<Started<'a>>>);

struct Started<'a> {
    handler: Option<&'a EventHandler<CommandEvent>>,
    context: &'a LogContext,
    command_name: String,
    db: String,
    request_id: i32,
    operation_id: i64,
    connection: ConnectionInfo,
    service_id: Option<ObjectId>,
    started: Instant,
    sensitive: bool,
}

impl<'a> Monitored<'a> {
    /// Publishes the start of the prepared command.
    pub(super) fn start<O: Operation>(
        call: &mut Call<'a, O>,
        connection: &Connection,
        request_id: i32,
    ) -> Self {
        let executor = call.executor;
        let handler = executor.settings().command_event_handler.as_ref();
        if handler.is_none() && !is_logged() {
            return Self(None);
        }
        let operation_id = call.operation_id();
        let command = connection.prepared_command();
        let name = call.operation.name();
        let facts = connection.facts();
        let started = Started {
            handler,
            context: executor.topology().log(),
            command_name: name.to_owned(),
            db: call.operation.database().to_owned(),
            request_id,
            operation_id,
            connection: ConnectionInfo {
                id: connection.id(),
                server_id: facts.server_connection_id,
                address: connection.address().clone(),
            },
            service_id: facts.service_id,
            started: clock::now(),
            sensitive: is_sensitive(name, command),
        };
        started.publish_start(command, &call.operation.sequences());
        Self(Some(Box::new(started)))
    }

    /// Publishes how the command ended.
    pub(super) fn end(mut self, outcome: Result<&Reply, &Error>) {
        let Some(started) = self.0.take() else { return };
        match outcome {
            Ok(reply) => started.publish_success(reply.document()),
            Err(error) => started.publish_failure(error),
        }
    }

    /// Publishes the end of a command that gets no reply.
    pub(super) fn end_unacknowledged(mut self, outcome: &Result<()>) {
        let Some(started) = self.0.take() else { return };
        match outcome {
            Ok(()) => started.publish_success(&bson::rawdoc! { "ok": 1 }),
            Err(error) => started.publish_failure(error),
        }
    }
}

impl Drop for Monitored<'_> {
    fn drop(&mut self) {
        if let Some(started) = self.0.take() {
            started.publish_failure(&Error::cancelled(
                "the operation was dropped before the reply came",
            ));
        }
    }
}

impl Started<'_> {
    fn publish_start(&self, command: &RawDocument, sequences: &Sequences<'_>) {
        let sequences = || sequences.iter().map(|it| (it.identifier, it.documents));
        self.log().started(command, sequences());
        let Some(handler) = self.handler else { return };
        handler.handle(CommandEvent::Started(CommandStartedEvent {
            command: shown_command(command, sequences(), self.sensitive),
            db: self.db.clone(),
            command_name: self.command_name.clone(),
            request_id: self.request_id,
            operation_id: self.operation_id,
            connection: self.connection.clone(),
            service_id: self.service_id,
        }));
    }

    fn publish_success(self, reply: &RawDocument) {
        let duration = clock::now().saturating_duration_since(self.started);
        self.log().succeeded(reply, duration);
        let Some(handler) = self.handler else { return };
        handler.handle(CommandEvent::Succeeded(CommandSucceededEvent {
            duration,
            reply: shown_reply(reply, self.sensitive),
            db: self.db,
            command_name: self.command_name,
            request_id: self.request_id,
            operation_id: self.operation_id,
            connection: self.connection,
            service_id: self.service_id,
        }));
    }

    fn publish_failure(self, error: &Error) {
        let duration = clock::now().saturating_duration_since(self.started);
        self.log().failed(error, duration);
        let Some(handler) = self.handler else { return };
        handler.handle(CommandEvent::Failed(CommandFailedEvent {
            duration,
            db: self.db,
            command_name: self.command_name,
            failure: shown_failure(error, self.sensitive),
            request_id: self.request_id,
            operation_id: self.operation_id,
            connection: self.connection,
            service_id: self.service_id,
        }));
    }

    fn log(&self) -> CommandLog<'_> {
        CommandLog {
            context: self.context,
            command_name: &self.command_name,
            db: &self.db,
            request_id: self.request_id,
            operation_id: self.operation_id,
            connection: &self.connection,
            service_id: self.service_id,
            sensitive: self.sensitive,
        }
    }
}
