//! Tells listeners of each command that goes out and what became of it.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Instant,
};

use bson::RawDocument;

use super::call::Call;
use crate::{
    background::Background,
    clock,
    conn::Connection,
    error::{Error, Result},
    event::{
        ConnectionInfo, DeliveryThread, EventHandler,
        command::{
            CommandEvent, CommandFailedEvent, CommandStartedEvent, CommandSucceededEvent,
            is_sensitive, shown_command, shown_failure, shown_reply,
        },
        log::command::{CommandLog, is_logged},
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
    /// Tells what happens on the background thread.
    delivery_thread: &'a DeliveryThread,
    /// Whether that thread tells of the start, so that it tells of the end as well.
    in_background: bool,
    command: CommandLog,
    started: Instant,
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
        let topology = executor.topology();
        let started = Started {
            handler,
            delivery_thread: topology.command_delivery(),
            in_background: Background::is_current_thread(),
            command: CommandLog {
                context: *topology.log(),
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
                sensitive: is_sensitive(name, command),
            },
            started: clock::now(),
        };
        started.publish_start(command, &call.operation.sequences());
        Self(Some(Box::new(started)))
    }

    /// Publishes how the command ended.
    pub(super) fn end(mut self, outcome: Result<&Reply, &Error>) -> Ended<'a> {
        self.end_with(|started| match outcome {
            Ok(reply) => started.publish_success(reply.document()),
            Err(error) => started.publish_failure(error),
        })
    }

    /// Publishes the end of a command that gets no reply.
    pub(super) fn end_unacknowledged(mut self, outcome: &Result<()>) -> Ended<'a> {
        self.end_with(|started| match outcome {
            Ok(()) => started.publish_success(&bson::rawdoc! { "ok": 1 }),
            Err(error) => started.publish_failure(error),
        })
    }

    fn end_with(&mut self, publish: impl FnOnce(&Started<'a>)) -> Ended<'a> {
        let started = self.0.take().inspect(|started| publish(started));
        let handed_over = started.filter(|started| started.is_handed_over());
        Ended(handed_over.map(|started| started.delivery_thread))
    }
}

/// The end of a command, published or handed over.
#[must_use = "the next command over the connection has to wait for it"]
pub(super) struct Ended<'a>(Option<&'a DeliveryThread>);

impl Ended<'_> {
    /// Waits until the event has been delivered; it has been already unless another thread delivers
    /// it. The connection is not free before, so that no later command on it is reported first.
    pub(super) async fn told(self) {
        if let Some(delivery_thread) = self.0 {
            Box::pin(delivery_thread.finished()).await;
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
        if is_logged() {
            let shown = self.command.shown(command, sequences());
            self.log(move |log| log.started(&shown));
        }
        let Some(handler) = self.handler else { return };
        let it = self.command.clone();
        let event = CommandEvent::Started(CommandStartedEvent {
            command: shown_command(command, sequences(), it.sensitive),
            db: it.db,
            command_name: it.command_name,
            request_id: it.request_id,
            operation_id: it.operation_id,
            connection: it.connection,
            service_id: it.service_id,
        });
        self.handle(handler, event);
    }

    fn publish_success(&self, reply: &RawDocument) {
        let duration = clock::now().saturating_duration_since(self.started);
        if is_logged() {
            let shown = self.command.shown(reply, []);
            self.log(move |log| log.succeeded(&shown, duration));
        }
        let Some(handler) = self.handler else { return };
        let it = self.command.clone();
        let event = CommandEvent::Succeeded(CommandSucceededEvent {
            duration,
            reply: shown_reply(reply, it.sensitive),
            db: it.db,
            command_name: it.command_name,
            request_id: it.request_id,
            operation_id: it.operation_id,
            connection: it.connection,
            service_id: it.service_id,
        });
        self.handle(handler, event);
    }

    fn publish_failure(&self, error: &Error) {
        let duration = clock::now().saturating_duration_since(self.started);
        if is_logged() {
            let error = error.clone();
            self.log(move |log| log.failed(&error, duration));
        }
        let Some(handler) = self.handler else { return };
        let it = self.command.clone();
        let event = CommandEvent::Failed(CommandFailedEvent {
            duration,
            db: it.db,
            command_name: it.command_name,
            failure: shown_failure(error, it.sensitive),
            request_id: it.request_id,
            operation_id: it.operation_id,
            connection: it.connection,
            service_id: it.service_id,
        });
        self.handle(handler, event);
    }

    fn log(&self, message: impl FnOnce(&CommandLog) + Send + 'static) {
        if self.is_handed_over() {
            let command = self.command.clone();
            self.delivery_thread.send(move || message(&command));
        } else {
            message(&self.command);
        }
    }

    fn handle(&self, handler: &EventHandler<CommandEvent>, event: CommandEvent) {
        if self.is_handed_over() {
            let handler = handler.clone();
            self.delivery_thread.send(move || handler.handle(event));
        } else {
            handler.handle(event);
        }
    }

    fn is_handed_over(&self) -> bool {
        self.in_background || Background::is_current_thread()
    }
}
