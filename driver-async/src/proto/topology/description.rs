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
use crate::{
    address::ServerAddress,
    options::{ClientOptions, ReadPreference, SelectionCriteria},
    proto::selection::{Criteria, Wanted, suitable},
};

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

/// What the client was told of the deployment: its connection string, in the terms of discovery.
#[derive(Clone, Debug, Default)]
pub struct TopologySeed {
    /// The servers to ask first.
    pub addresses: Vec<ServerAddress>,
    /// `replicaSet`.
    pub set_name: Option<String>,
    /// `directConnection`.
    pub direct_connection: Option<bool>,
    /// `loadBalanced`.
    pub load_balanced: bool,
}

impl From<&ClientOptions> for TopologySeed {
    fn from(options: &ClientOptions) -> Self {
        Self {
            addresses: options.hosts.clone(),
            set_name: options.repl_set_name.clone(),
            direct_connection: options.direct_connection,
            load_balanced: options.load_balanced == Some(true),
        }
    }
}

impl TopologyDescription {
    /// What is known before the first check ("Initial TopologyDescription" section).
    pub fn new(seed: &TopologySeed) -> Self {
        let topology_type = if seed.load_balanced {
            TopologyType::LoadBalanced
        } else if seed.direct_connection == Some(true) {
            TopologyType::Single
        } else if seed.set_name.is_some() {
            TopologyType::ReplicaSetNoPrimary
        } else {
            TopologyType::Unknown
        };
        let servers: BTreeMap<_, _> = seed
            .addresses
            .iter()
            .map(|address| {
                let server = ServerDescription::unknown(address.clone());
                (address.clone(), Arc::new(server))
            })
            .collect();
        Self {
            topology_type,
            set_name: seed.set_name.clone(),
            seed_count: servers.len(),
            servers,
            ..Self::default()
        }
    }

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

    /// Whether an operation that reads would find a server now, by default the primary
    /// ("Determining If A Topology Has Readable/Writable Servers" section of the SDAM monitoring
    /// specification).
    ///
    /// A limit of staleness is judged as if servers were checked every 10 seconds, the default.
    pub fn has_readable_server(&self, selection_criteria: Option<SelectionCriteria>) -> bool {
        match self.topology_type {
            TopologyType::Unknown => false,
            TopologyType::LoadBalanced => true,
            TopologyType::Single | TopologyType::Sharded => self.has_available_server(),
            TopologyType::ReplicaSetNoPrimary | TopologyType::ReplicaSetWithPrimary => {
                let primary = SelectionCriteria::ReadPreference(ReadPreference::Primary);
                let criteria = Criteria {
                    wanted: Wanted::from(selection_criteria.as_ref().unwrap_or(&primary)),
                    local_threshold: Duration::ZERO,
                    heartbeat_frequency: ClientOptions::DEFAULT_HEARTBEAT_FREQUENCY,
                    deprioritized: &[],
                };
                suitable(self, &criteria).is_ok_and(|servers| !servers.is_empty())
            }
        }
    }

    /// Whether an operation that writes would find a server now ("Determining If A Topology Has
    /// Readable/Writable Servers" section of the SDAM monitoring specification).
    pub fn has_writable_server(&self) -> bool {
        match self.topology_type {
            TopologyType::Unknown | TopologyType::ReplicaSetNoPrimary => false,
            TopologyType::ReplicaSetWithPrimary | TopologyType::LoadBalanced => true,
            TopologyType::Single | TopologyType::Sharded => self.has_available_server(),
        }
    }

    /// Whether connections to the server are kept ready for operations ("Connection Pool
    /// Management" section): to data-bearing servers, and to any known server that the client
    /// was told to connect to directly.
    pub fn wants_pool(&self, server: &ServerDescription) -> bool {
        server.is_data_bearing()
            || (self.topology_type == TopologyType::Single && server.is_available())
    }

    fn has_available_server(&self) -> bool {
        self.servers.values().any(|server| server.is_available())
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

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::{options::ReadPreferenceOptions, proto::hello::HelloReply};

    #[test]
    fn a_set_without_a_primary_can_be_read_by_those_who_allow_it() {
        let address = ServerAddress::default();
        let mut topology = TopologyDescription::new(&TopologySeed {
            addresses: vec![address.clone()],
            ..TopologySeed::default()
        });
        let secondary = HelloReply {
            ok: true,
            secondary: true,
            set_name: Some("rs".to_owned()),
            max_wire_version: 17,
            ..HelloReply::default()
        };
        let anywhere = || {
            let options = ReadPreferenceOptions::default();
            Some(
                ReadPreference::Nearest {
                    options: Some(options),
                }
                .into(),
            )
        };
        assert!(!topology.has_readable_server(anywhere()));
        topology.apply(ServerDescription::from_hello(
            address,
            &secondary,
            None,
            Instant::now(),
        ));
        assert!(topology.has_readable_server(anywhere()));
        assert!(!topology.has_readable_server(None));
        assert!(!topology.has_writable_server());
    }
}
