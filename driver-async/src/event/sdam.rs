//! The events of discovery and monitoring, as the SDAM monitoring specification defines them.

use std::time::Duration;

use bson::{Document, oid::ObjectId};
use serde::{Deserialize, Serialize, Serializer};

pub use crate::description::{ServerDescription, ServerType, TopologyDescription, TopologyType};
use crate::{address::ServerAddress, error::Error};

/// A server's description has changed, in more than its times.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ServerDescriptionChangedEvent {
    /// The server.
    pub address: ServerAddress,
    /// The topology, unique to each client.
    pub topology_id: ObjectId,
    /// What was known.
    pub previous_description: ServerDescription,
    /// What is known now; of a server that is removed, what it is removed for.
    pub new_description: ServerDescription,
}

/// A server was found, and is going to be monitored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ServerOpeningEvent {
    /// The server.
    pub address: ServerAddress,
    /// The topology, unique to each client.
    #[serde(skip, default = "ObjectId::new")]
    pub topology_id: ObjectId,
}

/// A server has left, and is no longer monitored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ServerClosedEvent {
    /// The server.
    pub address: ServerAddress,
    /// The topology, unique to each client.
    #[serde(skip, default = "ObjectId::new")]
    pub topology_id: ObjectId,
}

/// The description of the deployment has changed, in more than its servers' times.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TopologyDescriptionChangedEvent {
    /// The topology, unique to each client.
    pub topology_id: ObjectId,
    /// What was known; before the first, an unknown topology without servers.
    pub previous_description: TopologyDescription,
    /// What is known now.
    pub new_description: TopologyDescription,
}

/// A client begins to discover its deployment. It is always the first of these events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TopologyOpeningEvent {
    /// The topology, unique to each client.
    #[serde(skip, default = "ObjectId::new")]
    pub topology_id: ObjectId,
}

/// A client has shut down. It is always the last of these events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TopologyClosedEvent {
    /// The topology, unique to each client.
    #[serde(skip, default = "ObjectId::new")]
    pub topology_id: ObjectId,
}

/// A check of a server begins: its hello is about to be sent, or its connection to be made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ServerHeartbeatStartedEvent {
    /// The server.
    pub server_address: ServerAddress,
    /// Whether the server answers only when its state changes or a time has passed.
    pub awaited: bool,
    /// The driver's number for the monitoring connection.
    pub driver_connection_id: u32,
    /// The server's number for the monitoring connection, once known.
    pub server_connection_id: Option<i64>,
}

/// A check of a server has succeeded.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ServerHeartbeatSucceededEvent {
    /// How long the check took. When it was awaited, this is no measure of the round trip.
    pub duration: Duration,
    /// The server's reply.
    pub reply: Document,
    /// The server.
    pub server_address: ServerAddress,
    /// Whether the server answers only when its state changes or a time has passed.
    pub awaited: bool,
    /// The driver's number for the monitoring connection.
    pub driver_connection_id: u32,
    /// The server's number for the monitoring connection, once known.
    pub server_connection_id: Option<i64>,
}

/// A check of a server has failed: the connection did, or the reply's `ok` is not 1.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ServerHeartbeatFailedEvent {
    /// How long the check took.
    pub duration: Duration,
    /// Why it failed.
    #[serde(serialize_with = "as_text")]
    pub failure: Error,
    /// The server.
    pub server_address: ServerAddress,
    /// Whether the server answers only when its state changes or a time has passed.
    pub awaited: bool,
    /// The driver's number for the monitoring connection.
    pub driver_connection_id: u32,
    /// The server's number for the monitoring connection, once known.
    pub server_connection_id: Option<i64>,
}

/// Any event of discovery and monitoring.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum SdamEvent {
    /// See [`ServerDescriptionChangedEvent`].
    ServerDescriptionChanged(Box<ServerDescriptionChangedEvent>),
    /// See [`ServerOpeningEvent`].
    ServerOpening(ServerOpeningEvent),
    /// See [`ServerClosedEvent`].
    ServerClosed(ServerClosedEvent),
    /// See [`TopologyDescriptionChangedEvent`].
    TopologyDescriptionChanged(Box<TopologyDescriptionChangedEvent>),
    /// See [`TopologyOpeningEvent`].
    TopologyOpening(TopologyOpeningEvent),
    /// See [`TopologyClosedEvent`].
    TopologyClosed(TopologyClosedEvent),
    /// See [`ServerHeartbeatStartedEvent`].
    ServerHeartbeatStarted(ServerHeartbeatStartedEvent),
    /// See [`ServerHeartbeatSucceededEvent`].
    ServerHeartbeatSucceeded(ServerHeartbeatSucceededEvent),
    /// See [`ServerHeartbeatFailedEvent`].
    ServerHeartbeatFailed(ServerHeartbeatFailedEvent),
}

fn as_text<S: Serializer>(error: &Error, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(error)
}
