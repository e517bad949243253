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
#[derive(Clone, Debug)]
pub(crate) struct CommandLog {
    pub(crate) context: LogContext,
    pub(crate) command_name: String,
    pub(crate) db: String,
    pub(crate) request_id: i32,
    pub(crate) operation_id: i64,
    pub(crate) connection: ConnectionInfo,
    pub(crate) service_id: Option<ObjectId>,
    pub(crate) sensitive: bool,
}

/// A message with the fields that all have, and its own.
macro_rules! message {
    ($command:expr, $text:literal, $($field:ident = $value:expr),*) => {
        tracing::debug!(
            target: COMMAND,
            topologyId = $command.context.topology_id.to_hex(),
            commandName = $command.command_name.as_str(),
            databaseName = $command.db.as_str(),
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
    is_wanted!(COMMAND, DEBUG)
}

impl CommandLog {
    /// `command` is as [`CommandLog::shown`] gives it.
    pub(crate) fn started(&self, command: &str) {
        message!(self, "Command started", command = command);
    }

    /// `reply` is as [`CommandLog::shown`] gives it.
    pub(crate) fn succeeded(&self, reply: &str, duration: Duration) {
        message!(
            self,
            "Command succeeded",
            durationMS = milliseconds(duration),
            reply = reply
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

    /// The text of a document, as far as it is shown.
    pub(crate) fn shown<'s>(
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
