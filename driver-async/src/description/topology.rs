//! What the driver knows of the whole deployment.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
    time::Duration,
};

use bson::oid::ObjectId;
use serde::{Deserialize, Serialize};

use super::ServerDescription;
use crate::address::ServerAddress;

/// What a deployment is, as the server discovery and monitoring specification defines it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum TopologyType {
    /// One server that is used whatever it is.
    Single,
    /// A replica set whose primary is not known.
    ReplicaSetNoPrimary,
    /// A replica set whose primary is known.
    ReplicaSetWithPrimary,
    /// A sharded cluster.
    Sharded,
    /// A deployment behind a load balancer.
    LoadBalanced,
    /// Nothing is known yet.
    #[default]
    Unknown,
}

/// What the driver knows of the whole deployment at one moment.
///
/// It is never changed once published; every change makes a new one.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct TopologyDescription {
    /// What the deployment is.
    pub(crate) topology_type: TopologyType,
    /// The set's name, as asked for or as learnt.
    pub(crate) set_name: Option<String>,
    /// The highest configuration version seen from a primary.
    pub(crate) max_set_version: Option<i32>,
    /// The latest election seen from a primary.
    pub(crate) max_election_id: Option<ObjectId>,
    /// Why no server of this deployment can be used with this driver.
    pub(crate) compatibility_error: Option<String>,
    /// How long an unused session lives: the least of the data-bearing servers.
    pub(crate) logical_session_timeout: Option<Duration>,
    /// Each server by its address.
    pub(crate) servers: BTreeMap<ServerAddress, Arc<ServerDescription>>,
    /// How many servers the client was told of at first: a standalone among several is removed.
    pub(crate) seed_count: usize,
}

impl TopologyDescription {
    /// What the deployment is.
    pub fn topology_type(&self) -> TopologyType {
        self.topology_type
    }

    /// The replica set's name, as asked for or as learnt.
    pub fn set_name(&self) -> Option<&String> {
        self.set_name.as_ref()
    }

    /// The highest version of the set's configuration that a primary has told.
    pub fn max_set_version(&self) -> Option<i32> {
        self.max_set_version
    }

    /// The latest election that a primary has told.
    pub fn max_election_id(&self) -> Option<ObjectId> {
        self.max_election_id
    }

    /// Why no server of this deployment can be used with this driver.
    pub fn compatibility_error(&self) -> Option<&String> {
        self.compatibility_error.as_ref()
    }

    /// How long an unused session lives: the least of the data-bearing servers; `None` when one
    /// of them has no sessions.
    pub fn logical_session_timeout(&self) -> Option<Duration> {
        self.logical_session_timeout
    }

    /// Each server by its address.
    pub fn servers(&self) -> HashMap<&ServerAddress, &ServerDescription> {
        self.servers
            .iter()
            .map(|(address, server)| (address, &**server))
            .collect()
    }
}

impl fmt::Display for TopologyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Single => "Single",
            Self::ReplicaSetNoPrimary => "ReplicaSetNoPrimary",
            Self::ReplicaSetWithPrimary => "ReplicaSetWithPrimary",
            Self::Sharded => "Sharded",
            Self::LoadBalanced => "LoadBalanced",
            Self::Unknown => "Unknown",
        })
    }
}

impl fmt::Display for TopologyDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.topology_type.fmt(f)?;
        if let Some(name) = &self.set_name {
            write!(f, " {name:?}")?;
        }
        f.write_str(" [")?;
        for (at, server) in self.servers.values().enumerate() {
            f.write_str(if at == 0 { "" } else { ", " })?;
            server.fmt(f)?;
        }
        f.write_str("]")
    }
}
