//! What the driver knows of one server.

use std::{
    fmt,
    time::{Duration, Instant},
};

use bson::{DateTime, oid::ObjectId};
use serde::{Deserialize, Serialize};

use super::TopologyVersion;
use crate::{address::ServerAddress, error::Error, options::TagSet};

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
    /// Whether the last check of a server of this type succeeded.
    pub fn is_known(self) -> bool {
        !matches!(self, Self::Unknown | Self::PossiblePrimary)
    }

    /// For clients that check all servers at once, a possible primary is merely unknown.
    fn is_synonym_of(self, other: Self) -> bool {
        self == other || !(self.is_known() || other.is_known())
    }

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

    /// A load balancer, which is never checked (load balancer specification).
    pub fn load_balancer(address: ServerAddress) -> Self {
        Self {
            server_type: ServerType::LoadBalancer,
            ..Self::unknown(address)
        }
    }

    /// A server that the rules of the topology put out of use, without a check of its own.
    pub(crate) fn failed(address: ServerAddress, error: Error) -> Self {
        Self {
            error: Some(error),
            ..Self::unknown(address)
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

    /// The moving average of the round trip time; `None` while the server is unknown.
    pub fn average_round_trip_time(&self) -> Option<Duration> {
        self.average_round_trip_time
    }

    /// When the server was last checked; `None` before the first check.
    pub fn last_update_time(&self) -> Option<Instant> {
        self.last_update_time
    }

    /// The newest wire version the server speaks; `None` while the server is unknown.
    pub fn max_wire_version(&self) -> Option<i32> {
        self.has_replied().then_some(self.max_wire_version)
    }

    /// The oldest wire version the server speaks; `None` while the server is unknown.
    pub fn min_wire_version(&self) -> Option<i32> {
        self.has_replied().then_some(self.min_wire_version)
    }

    /// The name of the server's replica set.
    pub fn replica_set_name(&self) -> Option<&str> {
        self.set_name.as_deref()
    }

    /// The version of the replica set's configuration.
    pub fn replica_set_version(&self) -> Option<i32> {
        self.set_version
    }

    /// The member's tags; `None` while the server is unknown.
    pub fn tags(&self) -> Option<&TagSet> {
        self.has_replied().then_some(&self.tags)
    }

    /// Orders this description among others of the server.
    pub fn topology_version(&self) -> Option<TopologyVersion> {
        self.topology_version
    }

    /// Why the last check, or an operation since, failed.
    pub fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }

    /// Whether the server is known to be there, whatever it is.
    pub fn is_available(&self) -> bool {
        self.server_type.is_known()
    }

    /// Whether the server holds data and can serve operations.
    pub fn is_data_bearing(&self) -> bool {
        self.server_type.is_data_bearing()
    }

    /// Whether the server says the same as before ("Server Description Equality" section).
    ///
    /// What changes with every check is left out: times, the round trip, the last write.
    pub fn has_same_state(&self, other: &Self) -> bool {
        self.address == other.address
            && self.server_type.is_synonym_of(other.server_type)
            && text_of(&self.error) == text_of(&other.error)
            && self.min_wire_version == other.min_wire_version
            && self.max_wire_version == other.max_wire_version
            && self.me == other.me
            && is_same_set(&self.hosts, &other.hosts)
            && is_same_set(&self.passives, &other.passives)
            && is_same_set(&self.arbiters, &other.arbiters)
            && self.tags == other.tags
            && self.set_name == other.set_name
            && self.set_version == other.set_version
            && self.election_id == other.election_id
            && self.primary == other.primary
            && self.logical_session_timeout == other.logical_session_timeout
            && self.topology_version == other.topology_version
    }

    /// Every member of the set that this server names.
    pub(crate) fn members(&self) -> impl Iterator<Item = &ServerAddress> {
        self.hosts
            .iter()
            .chain(&self.passives)
            .chain(&self.arbiters)
    }

    fn has_replied(&self) -> bool {
        self.is_available() && self.server_type != ServerType::LoadBalancer
    }
}

impl fmt::Display for ServerDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}", self.address, self.server_type)?;
        if let Some(rtt) = self.average_round_trip_time {
            write!(f, ", round trip {rtt:?}")?;
        }
        if let Some(error) = &self.error {
            write!(f, ", error: {error}")?;
        }
        f.write_str(")")
    }
}

/// Members are a set: their order says nothing.
fn is_same_set(some: &[ServerAddress], other: &[ServerAddress]) -> bool {
    some.iter().all(|address| other.contains(address))
        && other.iter().all(|address| some.contains(address))
}

fn text_of(error: &Option<Error>) -> Option<String> {
    error.as_ref().map(Error::to_string)
}
