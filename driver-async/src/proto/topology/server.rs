//! What the driver knows of one server.

use std::{
    fmt,
    time::{Duration, Instant},
};

use bson::{DateTime, oid::ObjectId};
use serde::{Deserialize, Serialize};

use crate::{address::ServerAddress, error::Error, options::TagSet, proto::hello::TopologyVersion};

/// What a server is, as the server discovery and monitoring specification defines it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ServerType {
    /// A server that belongs to no set.
    Standalone,
    /// A router of a sharded cluster.
    Mongos,
    /// The primary of a replica set.
    #[serde(rename = "RSPrimary")]
    RsPrimary,
    /// A secondary of a replica set.
    #[serde(rename = "RSSecondary")]
    RsSecondary,
    /// An arbiter of a replica set, which holds no data.
    #[serde(rename = "RSArbiter")]
    RsArbiter,
    /// A member that can serve nothing now: hidden, starting up or recovering.
    #[serde(rename = "RSOther")]
    RsOther,
    /// A server meant for a replica set that has no configuration yet.
    #[serde(rename = "RSGhost")]
    RsGhost,
    /// A load balancer.
    LoadBalancer,
    /// A replica set member that has not been checked but is named as the primary by another.
    PossiblePrimary,
    /// A server that was not checked yet, or whose last check failed.
    #[default]
    Unknown,
}

/// What the driver knows of one server from its last check.
///
/// It is never changed once made; every check makes a new one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerDescription {
    /// The server's address.
    pub(crate) address: ServerAddress,
    /// What the server is.
    pub(crate) server_type: ServerType,
    /// Why the last check, or an operation since, failed.
    pub(crate) error: Option<Error>,
    /// The moving average of the round trip time.
    pub(crate) average_round_trip_time: Option<Duration>,
    /// When the server was last checked.
    pub(crate) last_update_time: Option<Instant>,
    /// When the server's last write happened, by its own clock.
    pub(crate) last_write_date: Option<DateTime>,
    /// The oldest wire version the server speaks.
    pub(crate) min_wire_version: i32,
    /// The newest wire version the server speaks.
    pub(crate) max_wire_version: i32,
    /// The server's own name in its set's configuration.
    pub(crate) me: Option<ServerAddress>,
    /// The members that can become primary.
    pub(crate) hosts: Vec<ServerAddress>,
    /// The members that hold data and cannot become primary.
    pub(crate) passives: Vec<ServerAddress>,
    /// The arbiters.
    pub(crate) arbiters: Vec<ServerAddress>,
    /// The member's tags.
    pub(crate) tags: TagSet,
    /// The set's name.
    pub(crate) set_name: Option<String>,
    /// The version of the set's configuration.
    pub(crate) set_version: Option<i32>,
    /// The election that made this member primary.
    pub(crate) election_id: Option<ObjectId>,
    /// The primary as this member knows it.
    pub(crate) primary: Option<ServerAddress>,
    /// How long an unused session lives; `None` when the server has no sessions.
    pub(crate) logical_session_timeout: Option<Duration>,
    /// Orders this description among others of the server.
    pub(crate) topology_version: Option<TopologyVersion>,
}

impl fmt::Display for ServerType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Standalone => "Standalone",
            Self::Mongos => "Mongos",
            Self::RsPrimary => "RSPrimary",
            Self::RsSecondary => "RSSecondary",
            Self::RsArbiter => "RSArbiter",
            Self::RsOther => "RSOther",
            Self::RsGhost => "RSGhost",
            Self::LoadBalancer => "LoadBalancer",
            Self::PossiblePrimary => "PossiblePrimary",
            Self::Unknown => "Unknown",
        })
    }
}

impl ServerType {
    /// Whether a server of this type holds data and can serve operations.
    pub fn is_data_bearing(self) -> bool {
        matches!(
            self,
            Self::Standalone
                | Self::Mongos
                | Self::RsPrimary
                | Self::RsSecondary
                | Self::LoadBalancer
        )
    }
}

impl ServerDescription {
    /// A server that was not checked yet.
    pub fn unknown(address: ServerAddress) -> Self {
        Self {
            address,
            server_type: ServerType::Unknown,
            error: None,
            average_round_trip_time: None,
            last_update_time: None,
            last_write_date: None,
            min_wire_version: 0,
            max_wire_version: 0,
            me: None,
            hosts: Vec::new(),
            passives: Vec::new(),
            arbiters: Vec::new(),
            tags: TagSet::new(),
            set_name: None,
            set_version: None,
            election_id: None,
            primary: None,
            logical_session_timeout: None,
            topology_version: None,
        }
    }

    /// The server's address.
    pub fn address(&self) -> &ServerAddress {
        &self.address
    }

    /// What the server is.
    pub fn server_type(&self) -> ServerType {
        self.server_type
    }
}
