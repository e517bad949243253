//! Tells listeners of each command that goes out and what became of it.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Instant,
};

use bson::{Document, RawDocument};

use super::attempt::Call;
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
    },
    operation::Operation,
    proto::wire::Reply,
};

/// A number for an operation of several commands, by which listeners know that they belong
/// together.
pub(crate) fn next_operation_id() -> i64 {
    static NEXT: AtomicI64 = AtomicI64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// One command under way that somebody listens to. Costs one look when nobody does.
pub(super) struct Monitored(Option<Started>);

struct Started {
    handler: EventHandler<CommandEvent>,
    command_name: String,
    db: String,
    request_id: i32,
    operation_id: i64,
    connection: ConnectionInfo,
    service_id: Option<bson::oid::ObjectId>,
    started: Instant,
    sensitive: bool,
}

impl Monitored {
    /// Publishes the started event of the prepared command.
    pub(super) fn start<O: Operation>(
        call: &mut Call<'_, O>,
        connection: &Connection,
        request_id: i32,
    ) -> Self {
        let Some(handler) = &call.executor.settings().command_event_handler else {
            return Self(None);
        };
        let handler = handler.clone();
        let operation_id = call.operation_id();
        let command = connection.prepared_command();
        let name = call.operation.name();
        let facts = connection.facts();
        let info = ConnectionInfo {
            id: connection.id(),
            server_id: facts.server_connection_id,
            address: connection.address().clone(),
        };
        let started = Started {
            handler,
            command_name: name.to_owned(),
            db: call.operation.database().to_owned(),
            request_id,
            operation_id,
            connection: info,
            service_id: facts.service_id,
            started: clock::now(),
            sensitive: is_sensitive(name, command),
        };
        let sequences = call.operation.sequences();
        let sequences = sequences.iter().map(|s| (s.identifier, s.documents));
        started.publish_start(shown_command(name, command, sequences));
        Self(Some(started))
    }

    /// Publishes how the command ended.
    pub(super) fn end(self, outcome: Result<&Reply, &Error>) {
        let Some(started) = self.0 else { return };
        match outcome {
            Ok(reply) => started.publish_success(reply.document()),
            Err(error) => started.publish_failure(error),
        }
    }

    /// Publishes the end of a command that gets no reply.
    pub(super) fn end_unacknowledged(self, outcome: &Result<()>) {
        let Some(started) = self.0 else { return };
        match outcome {
            Ok(()) => started.publish_success(&bson::rawdoc! { "ok": 1 }),
            Err(error) => started.publish_failure(error),
        }
    }
}

impl Started {
    fn publish_start(&self, command: Document) {
        self.handler
            .handle(CommandEvent::Started(CommandStartedEvent {
                command,
                db: self.db.clone(),
                command_name: self.command_name.clone(),
                request_id: self.request_id,
                operation_id: self.operation_id,
                connection: self.connection.clone(),
                service_id: self.service_id,
            }));
    }

    fn publish_success(self, reply: &RawDocument) {
        self.handler
            .handle(CommandEvent::Succeeded(CommandSucceededEvent {
                duration: clock::now().saturating_duration_since(self.started),
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
        self.handler
            .handle(CommandEvent::Failed(CommandFailedEvent {
                duration: clock::now().saturating_duration_since(self.started),
                db: self.db,
                command_name: self.command_name,
                failure: shown_failure(error, self.sensitive),
                request_id: self.request_id,
                operation_id: self.operation_id,
                connection: self.connection,
                service_id: self.service_id,
            }));
    }
}
