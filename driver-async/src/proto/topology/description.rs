//! A topology's beginning, and what it can serve.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{ServerDescription, TopologyDescription, TopologyType};
use crate::{
    address::ServerAddress,
    options::{ClientOptions, ReadPreference, SelectionCriteria},
    proto::selection::{Criteria, Wanted, suitable},
};

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
    /// was told to connect to directly. What counts is what is known of it now: a check may just
    /// have led to its removal, or been refused as that of a stale primary.
    pub fn wants_pool(&self, address: &ServerAddress) -> bool {
        let is_single = self.topology_type == TopologyType::Single;
        let server = self.servers.get(address);
        server.is_some_and(|it| it.is_data_bearing() || (is_single && it.is_available()))
    }

    fn has_available_server(&self) -> bool {
        self.servers.values().any(|server| server.is_available())
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
