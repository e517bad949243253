//! The messages about discovery and monitoring ("Log Messages" section of the SDAM logging and
//! monitoring specification).

use bson::RawDocumentBuf;

use super::{LogContext, TOPOLOGY, Whole, host, milliseconds};
use crate::event::{
    extended_json::extended_json,
    listeners::Logged,
    sdam::{SdamEvent, ServerHeartbeatSucceededEvent},
};

/// A message about the whole topology.
macro_rules! message {
    ($context:ident, $text:literal $(, $field:ident = $value:expr)*) => {
        tracing::debug!(
            target: TOPOLOGY,
            topologyId = $context.topology_id.to_hex(),
            $($field = $value,)*
            $text
        )
    };
}

/// A message about one server.
macro_rules! server_message {
    ($context:ident, $address:expr, $text:literal $(, $field:ident = $value:expr)*) => {
        message!(
            $context,
            $text,
            serverHost = host(&$address),
            serverPort = $address.port()
            $(, $field = $value)*
        )
    };
}

/// A message about a check of a server.
macro_rules! heartbeat_message {
    ($context:ident, $event:ident, $text:literal $(, $field:ident = $value:expr)*) => {
        server_message!(
            $context,
            $event.server_address,
            $text,
            driverConnectionId = $event.driver_connection_id,
            serverConnectionId = $event.server_connection_id,
            awaited = $event.awaited
            $(, $field = $value)*
        )
    };
}

impl Logged for SdamEvent {
    fn is_logged() -> bool {
        is_wanted!(TOPOLOGY, DEBUG)
    }

    fn log(&self, context: &LogContext) {
        match self {
            // The message about the topology says all that one about the server could.
            Self::ServerDescriptionChanged(_) => {}
            Self::TopologyOpening(_) => message!(context, "Starting topology monitoring"),
            Self::TopologyClosed(_) => message!(context, "Stopped topology monitoring"),
            Self::TopologyDescriptionChanged(event) => message!(
                context,
                "Topology description changed",
                previousDescription = event.previous_description.to_string(),
                newDescription = event.new_description.to_string()
            ),
            Self::ServerOpening(event) => {
                server_message!(context, event.address, "Starting server monitoring");
            }
            Self::ServerClosed(event) => {
                server_message!(context, event.address, "Stopped server monitoring");
            }
            Self::ServerHeartbeatStarted(event) => {
                heartbeat_message!(context, event, "Server heartbeat started");
            }
            Self::ServerHeartbeatSucceeded(event) => heartbeat_message!(
                context,
                event,
                "Server heartbeat succeeded",
                durationMS = milliseconds(event.duration),
                reply = reply(event, context)
            ),
            Self::ServerHeartbeatFailed(event) => heartbeat_message!(
                context,
                event,
                "Server heartbeat failed",
                durationMS = milliseconds(event.duration),
                failure = Whole(&event.failure).to_string()
            ),
        }
    }
}

fn reply(event: &ServerHeartbeatSucceededEvent, context: &LogContext) -> Option<String> {
    let reply = RawDocumentBuf::try_from(&event.reply).ok()?;
    Some(extended_json(&reply, [], context.max_document_length))
}
