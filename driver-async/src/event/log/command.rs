//! The messages about commands ("Log Messages" section of the command logging and monitoring
//! specification).

use std::time::Duration;

use bson::{RawDocument, oid::ObjectId};

use super::{COMMAND, LogContext, Whole, host, milliseconds};
use crate::{
    error::Error,
    event::{ConnectionInfo, command::shown_failure, extended_json::extended_json},
};

/// A command that the log tells of. A sensitive one is shown empty, and so is its reply.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CommandLog<'a> {
    pub(crate) context: &'a LogContext,
    pub(crate) command_name: &'a str,
    pub(crate) db: &'a str,
    pub(crate) request_id: i32,
    pub(crate) operation_id: i64,
    pub(crate) connection: &'a ConnectionInfo,
    pub(crate) service_id: Option<ObjectId>,
    pub(crate) sensitive: bool,
}

/// A message with the fields that all have, and its own.
macro_rules! message {
    ($command:expr, $text:literal, $($field:ident = $value:expr),*) => {
        tracing::debug!(
            target: COMMAND,
            topologyId = $command.context.topology_id.to_hex(),
            commandName = $command.command_name,
            databaseName = $command.db,
            requestId = $command.request_id,
            operationId = $command.operation_id,
            driverConnectionId = $command.connection.id,
            serverHost = host(&$command.connection.address),
            serverPort = $command.connection.address.port(),
            serverConnectionId = $command.connection.server_id,
            serviceId = $command.service_id.map(|id| id.to_hex()),
            $($field = $value,)*
            $text
        )
    };
}

/// Whether a subscriber wants messages about commands.
pub(crate) fn is_logged() -> bool {
    tracing::enabled!(target: COMMAND, tracing::Level::DEBUG)
}

impl CommandLog<'_> {
    pub(crate) fn started<'s>(
        &self,
        command: &RawDocument,
        sequences: impl IntoIterator<Item = (&'s str, &'s [u8])>,
    ) {
        message!(
            self,
            "Command started",
            command = self.shown(command, sequences)
        );
    }

    pub(crate) fn succeeded(&self, reply: &RawDocument, duration: Duration) {
        message!(
            self,
            "Command succeeded",
            durationMS = milliseconds(duration),
            reply = self.shown(reply, [])
        );
    }

    pub(crate) fn failed(&self, error: &Error, duration: Duration) {
        message!(
            self,
            "Command failed",
            durationMS = milliseconds(duration),
            failure = Whole(&shown_failure(error, self.sensitive)).to_string()
        );
    }

    fn shown<'s>(
        &self,
        document: &RawDocument,
        sequences: impl IntoIterator<Item = (&'s str, &'s [u8])>,
    ) -> String {
        if self.sensitive {
            return "{}".to_owned();
        }
        extended_json(document, sequences, self.context.max_document_length)
    }
}
