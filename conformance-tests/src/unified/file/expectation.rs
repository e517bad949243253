//! What a case expects of errors, events and log messages.

use bson::{Bson, Document};
use serde::Deserialize;

use super::present;

/// What an error must be like.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields carry the format's own names and meaning"
)]
pub struct ExpectedError {
    pub is_error: Option<bool>,
    pub is_client_error: Option<bool>,
    pub is_timeout_error: Option<bool>,
    pub error_contains: Option<String>,
    pub error_code: Option<i32>,
    pub error_code_name: Option<String>,
    #[serde(default)]
    pub error_labels_contain: Vec<String>,
    #[serde(default)]
    pub error_labels_omit: Vec<String>,
    /// By the index of the write that failed, in decimal.
    pub write_errors: Option<Document>,
    pub write_concern_errors: Option<Vec<Document>>,
    pub error_response: Option<Document>,
    /// The partial result that the error carries.
    #[serde(default, deserialize_with = "present")]
    pub expect_result: Option<Bson>,
}

/// The events expected of one client.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields carry the format's own names and meaning"
)]
pub struct ExpectedEvents {
    pub client: String,
    #[serde(default)]
    pub event_type: EventType,
    pub events: Vec<ExpectedEvent>,
    #[serde(default)]
    pub ignore_extra_events: bool,
}

/// The specification that defines an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventType {
    /// Command monitoring.
    #[default]
    Command,
    /// Connection pools.
    Cmap,
    /// Discovery and monitoring of servers.
    Sdam,
}

/// One event, and what it must tell.
#[derive(Clone, Debug, Deserialize)]
#[expect(
    missing_docs,
    reason = "the variants carry the format's own names and meaning"
)]
pub enum ExpectedEvent {
    #[serde(rename = "commandStartedEvent")]
    CommandStarted(ExpectedStarted),
    #[serde(rename = "commandSucceededEvent")]
    CommandSucceeded(ExpectedSucceeded),
    #[serde(rename = "commandFailedEvent")]
    CommandFailed(ExpectedFailed),
    #[serde(rename = "poolCreatedEvent")]
    PoolCreated(NoAssertion),
    #[serde(rename = "poolReadyEvent")]
    PoolReady(NoAssertion),
    #[serde(rename = "poolClearedEvent")]
    PoolCleared(ExpectedPoolCleared),
    #[serde(rename = "poolClosedEvent")]
    PoolClosed(NoAssertion),
    #[serde(rename = "connectionCreatedEvent")]
    ConnectionCreated(NoAssertion),
    #[serde(rename = "connectionReadyEvent")]
    ConnectionReady(NoAssertion),
    #[serde(rename = "connectionClosedEvent")]
    ConnectionClosed(WithReason),
    #[serde(rename = "connectionCheckOutStartedEvent")]
    ConnectionCheckOutStarted(NoAssertion),
    #[serde(rename = "connectionCheckOutFailedEvent")]
    ConnectionCheckOutFailed(WithReason),
    #[serde(rename = "connectionCheckedOutEvent")]
    ConnectionCheckedOut(NoAssertion),
    #[serde(rename = "connectionCheckedInEvent")]
    ConnectionCheckedIn(NoAssertion),
    #[serde(rename = "serverDescriptionChangedEvent")]
    ServerDescriptionChanged(ChangedServer),
    #[serde(rename = "topologyDescriptionChangedEvent")]
    TopologyDescriptionChanged(ChangedTopology),
    #[serde(rename = "serverHeartbeatStartedEvent")]
    ServerHeartbeatStarted(Awaited),
    #[serde(rename = "serverHeartbeatSucceededEvent")]
    ServerHeartbeatSucceeded(Awaited),
    #[serde(rename = "serverHeartbeatFailedEvent")]
    ServerHeartbeatFailed(Awaited),
    #[serde(rename = "topologyOpeningEvent")]
    TopologyOpening(NoAssertion),
    #[serde(rename = "topologyClosedEvent")]
    TopologyClosed(NoAssertion),
}

/// An event of which only the happening matters.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoAssertion {}

/// The start of a command.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields carry the format's own names and meaning"
)]
pub struct ExpectedStarted {
    pub command: Option<Document>,
    pub command_name: Option<String>,
    pub database_name: Option<String>,
    pub has_service_id: Option<bool>,
    pub has_server_connection_id: Option<bool>,
}

/// The success of a command.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields carry the format's own names and meaning"
)]
pub struct ExpectedSucceeded {
    pub reply: Option<Document>,
    pub command_name: Option<String>,
    pub database_name: Option<String>,
    pub has_service_id: Option<bool>,
    pub has_server_connection_id: Option<bool>,
}

/// The failure of a command.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields carry the format's own names and meaning"
)]
pub struct ExpectedFailed {
    pub command_name: Option<String>,
    pub database_name: Option<String>,
    pub has_service_id: Option<bool>,
    pub has_server_connection_id: Option<bool>,
}

/// The clearing of a pool.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields carry the format's own names and meaning"
)]
pub struct ExpectedPoolCleared {
    pub has_service_id: Option<bool>,
    pub interrupt_in_use_connections: Option<bool>,
}

/// An event that tells why it happened.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields carry the format's own names and meaning"
)]
pub struct WithReason {
    pub reason: Option<String>,
}

/// A heartbeat.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields carry the format's own names and meaning"
)]
pub struct Awaited {
    pub awaited: Option<bool>,
}

/// A change of what is known of a server.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields carry the format's own names and meaning"
)]
pub struct ChangedServer {
    pub previous_description: Option<ServerState>,
    pub new_description: Option<ServerState>,
}

/// What is known of a server.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields carry the format's own names and meaning"
)]
pub struct ServerState {
    #[serde(rename = "type")]
    pub server_type: Option<String>,
}

/// A change of what is known of the deployment.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields carry the format's own names and meaning"
)]
pub struct ChangedTopology {
    pub previous_description: Option<TopologyState>,
    pub new_description: Option<TopologyState>,
}

/// What is known of the deployment.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields carry the format's own names and meaning"
)]
pub struct TopologyState {
    #[serde(rename = "type")]
    pub topology_type: Option<String>,
}

impl ExpectedEvent {
    /// The event's name, as the format spells it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::CommandStarted(_) => "commandStartedEvent",
            Self::CommandSucceeded(_) => "commandSucceededEvent",
            Self::CommandFailed(_) => "commandFailedEvent",
            Self::PoolCreated(_) => "poolCreatedEvent",
            Self::PoolReady(_) => "poolReadyEvent",
            Self::PoolCleared(_) => "poolClearedEvent",
            Self::PoolClosed(_) => "poolClosedEvent",
            Self::ConnectionCreated(_) => "connectionCreatedEvent",
            Self::ConnectionReady(_) => "connectionReadyEvent",
            Self::ConnectionClosed(_) => "connectionClosedEvent",
            Self::ConnectionCheckOutStarted(_) => "connectionCheckOutStartedEvent",
            Self::ConnectionCheckOutFailed(_) => "connectionCheckOutFailedEvent",
            Self::ConnectionCheckedOut(_) => "connectionCheckedOutEvent",
            Self::ConnectionCheckedIn(_) => "connectionCheckedInEvent",
            Self::ServerDescriptionChanged(_) => "serverDescriptionChangedEvent",
            Self::TopologyDescriptionChanged(_) => "topologyDescriptionChangedEvent",
            Self::ServerHeartbeatStarted(_) => "serverHeartbeatStartedEvent",
            Self::ServerHeartbeatSucceeded(_) => "serverHeartbeatSucceededEvent",
            Self::ServerHeartbeatFailed(_) => "serverHeartbeatFailedEvent",
            Self::TopologyOpening(_) => "topologyOpeningEvent",
            Self::TopologyClosed(_) => "topologyClosedEvent",
        }
    }

    /// The specification that defines the event.
    pub fn event_type(&self) -> EventType {
        match self {
            Self::CommandStarted(_) | Self::CommandSucceeded(_) | Self::CommandFailed(_) => {
                EventType::Command
            }
            Self::PoolCreated(_)
            | Self::PoolReady(_)
            | Self::PoolCleared(_)
            | Self::PoolClosed(_)
            | Self::ConnectionCreated(_)
            | Self::ConnectionReady(_)
            | Self::ConnectionClosed(_)
            | Self::ConnectionCheckOutStarted(_)
            | Self::ConnectionCheckOutFailed(_)
            | Self::ConnectionCheckedOut(_)
            | Self::ConnectionCheckedIn(_) => EventType::Cmap,
            Self::ServerDescriptionChanged(_)
            | Self::TopologyDescriptionChanged(_)
            | Self::ServerHeartbeatStarted(_)
            | Self::ServerHeartbeatSucceeded(_)
            | Self::ServerHeartbeatFailed(_)
            | Self::TopologyOpening(_)
            | Self::TopologyClosed(_) => EventType::Sdam,
        }
    }
}

impl ExpectedEvents {
    /// Refuses events that are not of the type that is watched.
    pub(super) fn check(&self) -> Result<(), String> {
        let stray = self
            .events
            .iter()
            .find(|event| event.event_type() != self.event_type);
        match stray {
            None => Ok(()),
            Some(event) => Err(format!(
                "expectEvents of {}: eventType is {:?}, and an event is of type {:?}",
                self.client,
                self.event_type,
                event.event_type()
            )),
        }
    }
}

/// The log messages expected of one client.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields carry the format's own names and meaning"
)]
pub struct ExpectedLogMessages {
    pub client: String,
    pub messages: Vec<ExpectedLogMessage>,
    #[serde(default)]
    pub ignore_extra_messages: bool,
    #[serde(default)]
    pub ignore_messages: Vec<ExpectedLogMessage>,
}

/// One log message, and what it must tell.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields carry the format's own names and meaning"
)]
pub struct ExpectedLogMessage {
    pub level: LogLevel,
    pub component: LogComponent,
    pub data: Document,
    pub failure_is_redacted: Option<bool>,
}

/// The part of the driver that a message comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    missing_docs,
    reason = "the variants carry the format's own names and meaning"
)]
pub enum LogComponent {
    Command,
    Topology,
    ServerSelection,
    Connection,
}

/// How severe a message is; the most severe comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    missing_docs,
    reason = "the variants carry the format's own names and meaning"
)]
pub enum LogLevel {
    Emergency,
    Alert,
    Critical,
    Error,
    Warning,
    Notice,
    Info,
    Debug,
    Trace,
}

/// The tracing spans expected of one client.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields carry the format's own names and meaning"
)]
pub struct ExpectedTracingMessages {
    pub client: String,
    #[serde(default)]
    pub ignore_extra_spans: bool,
    pub spans: Vec<ExpectedSpan>,
}

/// One span, and the spans within it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields carry the format's own names and meaning"
)]
pub struct ExpectedSpan {
    pub name: String,
    pub attributes: Document,
    #[serde(default)]
    pub nested: Vec<Self>,
}
