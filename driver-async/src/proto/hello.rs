//! The hello command and what its reply says about a server.

use std::time::Duration;

use bson::{DateTime, RawDocumentBuf, oid::ObjectId};

use crate::{address::ServerAddress, options::TagSet};

/// How often a server's state has changed, so that two replies can be put in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopologyVersion {
    /// The run of the server process; versions of different runs cannot be compared.
    pub process_id: ObjectId,
    /// Grows with every change.
    pub counter: i64,
}

/// What a hello reply says about a server, in the driver's own types.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HelloReply {
    /// Whether the command succeeded.
    pub ok: bool,
    /// Whether the server knows the `hello` command.
    pub hello_ok: bool,
    /// Whether the server takes writes (`isWritablePrimary`, formerly `ismaster`).
    pub is_writable_primary: bool,
    /// Whether the server is a secondary.
    pub secondary: bool,
    /// Whether the server is an arbiter.
    pub arbiter_only: bool,
    /// Whether the member is hidden from clients.
    pub hidden: bool,
    /// Whether the server was started for a replica set but has no configuration yet.
    pub is_replica_set: bool,
    /// `isdbgrid` on a mongos.
    pub msg: Option<String>,
    /// The replica set's name.
    pub set_name: Option<String>,
    /// The version of the replica set's configuration.
    pub set_version: Option<i32>,
    /// The election that made this member primary.
    pub election_id: Option<ObjectId>,
    /// The primary as this member knows it.
    pub primary: Option<ServerAddress>,
    /// The members that hold data and can become primary.
    pub hosts: Vec<ServerAddress>,
    /// The members that hold data and cannot become primary.
    pub passives: Vec<ServerAddress>,
    /// The arbiters.
    pub arbiters: Vec<ServerAddress>,
    /// The server's own name in the configuration.
    pub me: Option<ServerAddress>,
    /// The member's tags.
    pub tags: TagSet,
    /// When the last write happened, for the estimate of staleness.
    pub last_write_date: Option<DateTime>,
    /// How long an unused session lives.
    pub logical_session_timeout: Option<Duration>,
    /// The largest document, in bytes.
    pub max_bson_object_size: Option<i32>,
    /// The largest message, in bytes.
    pub max_message_size_bytes: Option<i32>,
    /// The most writes in one command.
    pub max_write_batch_size: Option<i32>,
    /// The oldest wire version the server speaks.
    pub min_wire_version: i32,
    /// The newest wire version the server speaks.
    pub max_wire_version: i32,
    /// Orders this reply among others of the server.
    pub topology_version: Option<TopologyVersion>,
    /// The service behind a load balancer.
    pub service_id: Option<ObjectId>,
    /// The server's number for the connection.
    pub connection_id: Option<i64>,
    /// The compressors that the server accepts.
    pub compression: Vec<String>,
    /// The SCRAM mechanisms of the user that was asked about.
    pub sasl_supported_mechs: Option<Vec<String>>,
    /// The server's half of speculative authentication.
    pub speculative_authenticate: Option<RawDocumentBuf>,
    /// `$clusterTime`, to be gossiped.
    pub cluster_time: Option<RawDocumentBuf>,
}
