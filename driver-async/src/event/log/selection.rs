//! The messages about the choice of servers ("Logging" section of the server selection
//! specification).

use std::{fmt::Display, time::Duration};

use super::{LogContext, SERVER_SELECTION, Whole, host};
use crate::{address::ServerAddress, description::TopologyDescription, error::Error};

/// A choice of a server that the log tells of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SelectionLog<'a> {
    pub(crate) context: &'a LogContext,
    /// The name of the command that the server is for.
    pub(crate) operation: &'a str,
    /// Needed only when messages are wanted.
    pub(crate) operation_id: Option<i64>,
}

/// A message with the fields that all have, and its own.
macro_rules! message {
    (
        $level:ident, $selection:ident, $selector:ident, $topology:ident, $text:literal
        $(, $field:ident = $value:expr)*
    ) => {
        tracing::$level!(
            target: SERVER_SELECTION,
            topologyId = $selection.context.topology_id.to_hex(),
            operation = $selection.operation,
            operationId = $selection.operation_id,
            selector = $selector.to_string(),
            topologyDescription = $topology.to_string(),
            $($field = $value,)*
            $text
        )
    };
}

/// Whether a subscriber wants any message about the choice of servers.
pub(crate) fn is_logged() -> bool {
    tracing::enabled!(target: SERVER_SELECTION, tracing::Level::INFO)
}

/// Whether a subscriber wants all of them, also that of a choice without a wait.
pub(crate) fn is_logged_in_full() -> bool {
    tracing::enabled!(target: SERVER_SELECTION, tracing::Level::DEBUG)
}

impl SelectionLog<'_> {
    pub(crate) fn started(&self, selector: impl Display, topology: &TopologyDescription) {
        message!(debug, self, selector, topology, "Server selection started");
    }

    pub(crate) fn waiting(
        &self,
        selector: impl Display,
        topology: &TopologyDescription,
        remaining: Option<Duration>,
    ) {
        let whole = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        message!(
            info,
            self,
            selector,
            topology,
            "Waiting for suitable server to become available",
            remainingTimeMS = remaining.map(whole)
        );
    }

    pub(crate) fn succeeded(
        &self,
        selector: impl Display,
        topology: &TopologyDescription,
        server: &ServerAddress,
    ) {
        message!(
            debug,
            self,
            selector,
            topology,
            "Server selection succeeded",
            serverHost = host(server),
            serverPort = server.port()
        );
    }

    pub(crate) fn failed(
        &self,
        selector: impl Display,
        topology: &TopologyDescription,
        error: &Error,
    ) {
        message!(
            debug,
            self,
            selector,
            topology,
            "Server selection failed",
            failure = Whole(error).to_string()
        );
    }
}
