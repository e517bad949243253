//! The messages about the choice of servers ("Logging" section of the server selection
//! specification).

use std::{fmt::Display, time::Duration};

use super::{LogContext, SERVER_SELECTION, Whole, host};
use crate::{
    address::ServerAddress, description::TopologyDescription, error::Error, event::DeliveryThread,
};

/// A choice of a server that the log tells of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SelectionLog<'a> {
    pub(crate) context: &'a LogContext,
    /// Emits the messages of the background thread.
    pub(crate) delivery_thread: &'a DeliveryThread,
    /// The name of the command that the server is for.
    pub(crate) operation: &'a str,
    /// Needed only when messages are wanted.
    pub(crate) operation_id: Option<i64>,
}

/// A message with the fields that all have, and its own. They are built here, and emitted here or
/// on the delivery thread.
macro_rules! message {
    (
        $level:ident, $selection:ident, $selector:ident, $topology:ident, $text:literal
        $(, $field:ident = $value:expr)*
    ) => {{
        let topology_id = $selection.context.topology_id;
        let operation = $selection.operation.to_owned();
        let operation_id = $selection.operation_id;
        let selector = $selector.to_string();
        let topology = $topology.to_string();
        $selection.delivery_thread.run(move || tracing::$level!(
            target: SERVER_SELECTION,
            topologyId = topology_id.to_hex(),
            operation = operation,
            operationId = operation_id,
            selector = selector,
            topologyDescription = topology,
            $($field = $value,)*
            $text
        ));
    }};
}

/// Whether a subscriber wants any message about the choice of servers.
pub(crate) fn is_logged() -> bool {
    is_wanted!(SERVER_SELECTION, INFO)
}

/// Whether a subscriber wants all of them, also that of a choice without a wait.
pub(crate) fn is_logged_in_full() -> bool {
    is_wanted!(SERVER_SELECTION, DEBUG)
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
        if !is_logged() {
            return;
        }
        let whole = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let remaining = remaining.map(whole);
        message!(
            info,
            self,
            selector,
            topology,
            "Waiting for suitable server to become available",
            remainingTimeMS = remaining
        );
    }

    pub(crate) fn succeeded(
        &self,
        selector: impl Display,
        topology: &TopologyDescription,
        server: &ServerAddress,
    ) {
        let server = server.clone();
        message!(
            debug,
            self,
            selector,
            topology,
            "Server selection succeeded",
            serverHost = host(&server),
            serverPort = server.port()
        );
    }

    pub(crate) fn failed(
        &self,
        selector: impl Display,
        topology: &TopologyDescription,
        error: &Error,
    ) {
        let failure = Whole(error).to_string();
        message!(
            debug,
            self,
            selector,
            topology,
            "Server selection failed",
            failure = failure
        );
    }
}
