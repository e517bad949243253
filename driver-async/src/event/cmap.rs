//! The events of a connection pool, as the CMAP specification defines them.

use std::time::Duration;

use bson::oid::ObjectId;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{address::ServerAddress, error::Error};

/// A pool was created, in the paused state and without connections.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PoolCreatedEvent {
    /// The server that the pool connects to.
    pub address: ServerAddress,
    /// The options that were set.
    pub options: Option<ConnectionPoolOptions>,
}

/// The options of a pool, each `None` unless it was set.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct ConnectionPoolOptions {
    /// How long a connection may stay unused before it is closed.
    #[serde(
        rename = "maxIdleTimeMS",
        skip_serializing_if = "Option::is_none",
        serialize_with = "serialize_millis",
        deserialize_with = "deserialize_millis"
    )]
    pub max_idle_time: Option<Duration>,
    /// The most connections that the pool holds; 0 means no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_pool_size: Option<u32>,
    /// The number of connections that the pool keeps open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_pool_size: Option<u32>,
    /// The most connections that the pool establishes at the same time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_connecting: Option<u32>,
    /// How long an operation waits for a connection.
    #[serde(
        rename = "waitQueueTimeoutMS",
        skip_serializing_if = "Option::is_none",
        serialize_with = "serialize_millis",
        deserialize_with = "deserialize_millis"
    )]
    pub wait_queue_timeout: Option<Duration>,
}

/// A pool became ready to hand out connections.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PoolReadyEvent {
    /// The server that the pool connects to.
    pub address: ServerAddress,
}

/// A pool was cleared: every connection it had is closed when it is next touched.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PoolClearedEvent {
    /// The server that the pool connects to.
    pub address: ServerAddress,
    /// The service whose connections were cleared; only behind a load balancer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_id: Option<ObjectId>,
    /// Whether operations that were using a connection were interrupted.
    #[serde(default)]
    pub interrupt_in_use_connections: bool,
}

/// A pool was closed for good.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PoolClosedEvent {
    /// The server that the pool connected to.
    pub address: ServerAddress,
}

/// A connection was created. It cannot be used until it is ready.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ConnectionCreatedEvent {
    /// The server that the pool connects to.
    pub address: ServerAddress,
    /// The connection's number, unique in its pool.
    pub connection_id: u32,
}

/// A connection completed its handshake and authentication.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ConnectionReadyEvent {
    /// The server that the pool connects to.
    pub address: ServerAddress,
    /// The connection's number, unique in its pool.
    pub connection_id: u32,
    /// The time since the connection was created.
    pub duration: Duration,
}

/// A connection was closed and left the pool.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ConnectionClosedEvent {
    /// The server that the pool connects to.
    pub address: ServerAddress,
    /// The connection's number, unique in its pool.
    pub connection_id: u32,
    /// Why the connection was closed.
    pub reason: ConnectionClosedReason,
    /// The error that ended the connection, where one is known. Not compared or serialised.
    #[serde(skip)]
    pub error: Option<Error>,
}

impl PartialEq for ConnectionClosedEvent {
    fn eq(&self, other: &Self) -> bool {
        (&self.address, self.connection_id, self.reason)
            == (&other.address, other.connection_id, other.reason)
    }
}

/// Why a connection was closed.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum ConnectionClosedReason {
    /// The pool was cleared after the connection was created.
    Stale,
    /// The connection was unused for longer than `maxIdleTimeMS`.
    Idle,
    /// The connection failed, or was left in the middle of a message.
    Error,
    /// The task that was establishing the connection stopped doing so.
    Dropped,
    /// The pool was closed.
    PoolClosed,
}

/// An operation asked for a connection.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ConnectionCheckoutStartedEvent {
    /// The server that the pool connects to.
    pub address: ServerAddress,
}

/// An operation that asked for a connection got none.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ConnectionCheckoutFailedEvent {
    /// The server that the pool connects to.
    pub address: ServerAddress,
    /// Why there was no connection.
    pub reason: ConnectionCheckoutFailedReason,
    /// The error that the operation received. Not compared or serialised.
    #[serde(skip)]
    pub error: Option<Error>,
    /// The time since the operation asked.
    pub duration: Duration,
}

impl PartialEq for ConnectionCheckoutFailedEvent {
    fn eq(&self, other: &Self) -> bool {
        (&self.address, self.reason, self.duration)
            == (&other.address, other.reason, other.duration)
    }
}

/// Why an operation got no connection.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum ConnectionCheckoutFailedReason {
    /// None became available in time.
    Timeout,
    /// A new connection could not be established, or the pool was cleared.
    ConnectionError,
    /// The pool was closed.
    PoolClosed,
    /// The caller stopped waiting: its future was dropped.
    Dropped,
}

/// An operation received a connection.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ConnectionCheckedOutEvent {
    /// The server that the pool connects to.
    pub address: ServerAddress,
    /// The connection's number, unique in its pool.
    pub connection_id: u32,
    /// The time since the operation asked.
    pub duration: Duration,
}

/// An operation gave its connection back.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ConnectionCheckedInEvent {
    /// The server that the pool connects to.
    pub address: ServerAddress,
    /// The connection's number, unique in its pool.
    pub connection_id: u32,
}

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident($event:ident),)*) => {
        /// Something that happened in a connection pool.
        ///
        /// The events of one pool arrive in the order in which they happened.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum CmapEvent {
            $($(#[$doc])* $name($event),)*
        }

        $(impl From<$event> for CmapEvent {
            fn from(event: $event) -> Self {
                Self::$name(event)
            }
        })*
    };
}

events! {
    /// A pool was created.
    PoolCreated(PoolCreatedEvent),
    /// A pool became ready.
    PoolReady(PoolReadyEvent),
    /// A pool was cleared.
    PoolCleared(PoolClearedEvent),
    /// A pool was closed.
    PoolClosed(PoolClosedEvent),
    /// A connection was created.
    ConnectionCreated(ConnectionCreatedEvent),
    /// A connection can be used.
    ConnectionReady(ConnectionReadyEvent),
    /// A connection was closed.
    ConnectionClosed(ConnectionClosedEvent),
    /// An operation asked for a connection.
    ConnectionCheckoutStarted(ConnectionCheckoutStartedEvent),
    /// An operation got no connection.
    ConnectionCheckoutFailed(ConnectionCheckoutFailedEvent),
    /// An operation received a connection.
    ConnectionCheckedOut(ConnectionCheckedOutEvent),
    /// An operation gave its connection back.
    ConnectionCheckedIn(ConnectionCheckedInEvent),
}

fn serialize_millis<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    duration
        .map(|duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
        .serialize(serializer)
}

fn deserialize_millis<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pool_options_use_the_names_of_the_connection_string() {
        let options = ConnectionPoolOptions {
            max_idle_time: Some(Duration::from_millis(100)),
            max_pool_size: Some(50),
            ..ConnectionPoolOptions::default()
        };
        let json = serde_json::to_value(&options).unwrap();
        assert_eq!(
            json,
            serde_json::json!({ "maxIdleTimeMS": 100, "maxPoolSize": 50 })
        );
        let back: ConnectionPoolOptions = serde_json::from_value(json).unwrap();
        assert_eq!(back, options);
    }

    #[test]
    fn reasons_are_spelled_as_in_the_specification() {
        let reason = serde_json::to_value(ConnectionClosedReason::PoolClosed).unwrap();
        assert_eq!(reason, "poolClosed");
        let reason = serde_json::to_value(ConnectionCheckoutFailedReason::ConnectionError).unwrap();
        assert_eq!(reason, "connectionError");
    }
}
