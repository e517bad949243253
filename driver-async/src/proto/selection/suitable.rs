//! The servers that may serve an operation.

use std::{sync::Arc, time::Duration};

use super::{Criteria, Wanted, staleness};
use crate::{
    error::{ErrorKind, Result},
    options::{ReadPreference, TagSet},
    proto::topology::{ServerDescription, ServerType, TopologyDescription, TopologyType},
};

type Servers<'t> = Vec<&'t Arc<ServerDescription>>;

/// All servers that may serve an operation, in the order of their addresses.
///
/// Deprioritised servers are among them only when there is no other.
///
/// # Errors
/// What waiting cannot mend: a server that does not fit this driver, or a `maxStalenessSeconds`
/// too small for a replica set.
pub fn suitable<'t>(
    topology: &'t TopologyDescription,
    criteria: &Criteria<'_>,
) -> Result<Servers<'t>> {
    if let Some(message) = &topology.compatibility_error {
        return Err(ErrorKind::IncompatibleServer {
            message: message.clone(),
        }
        .into());
    }
    let search = Search {
        topology,
        wanted: criteria.wanted.effective(topology),
        heartbeat_frequency: criteria.heartbeat_frequency,
    };
    search.check_max_staleness()?;
    let is_preferred =
        |server: &&Arc<ServerDescription>| !criteria.deprioritized.contains(&server.address);
    let preferred = search.among(topology.servers.values().filter(is_preferred));
    if preferred.is_empty() && !criteria.deprioritized.is_empty() {
        return Ok(search.among(topology.servers.values()));
    }
    Ok(preferred)
}

/// The server for an operation that leaves no choice, found without allocating.
///
/// `None` says nothing: [`suitable`] must then be asked.
pub fn only<'t>(
    topology: &'t TopologyDescription,
    criteria: &Criteria<'_>,
) -> Option<&'t Arc<ServerDescription>> {
    if topology.compatibility_error.is_some() {
        return None;
    }
    let server_type = match (topology.topology_type, criteria.wanted) {
        (TopologyType::Single, _) => {
            return topology
                .servers
                .values()
                .find(|server| server.is_available());
        }
        (TopologyType::LoadBalanced, _) => ServerType::LoadBalancer,
        (
            TopologyType::ReplicaSetWithPrimary,
            Wanted::Write | Wanted::Read(ReadPreference::Primary),
        ) => ServerType::RsPrimary,
        _ => return None,
    };
    of_type(topology.servers.values(), server_type).next()
}

/// One look through the servers of a topology.
struct Search<'t, 'w> {
    topology: &'t TopologyDescription,
    wanted: Wanted<'w>,
    heartbeat_frequency: Duration,
}

impl<'t> Search<'t, '_> {
    fn among(
        &self,
        servers: impl Iterator<Item = &'t Arc<ServerDescription>> + Clone,
    ) -> Servers<'t> {
        match self.topology.topology_type {
            TopologyType::Unknown => Vec::new(),
            TopologyType::Single => servers.filter(|server| server.is_available()).collect(),
            TopologyType::LoadBalanced => of_type(servers, ServerType::LoadBalancer).collect(),
            TopologyType::Sharded => of_type(servers, ServerType::Mongos)
                .filter(|server| self.is_accepted(server))
                .collect(),
            TopologyType::ReplicaSetNoPrimary | TopologyType::ReplicaSetWithPrimary => {
                self.members(servers)
            }
        }
    }

    fn members(
        &self,
        servers: impl Iterator<Item = &'t Arc<ServerDescription>> + Clone,
    ) -> Servers<'t> {
        let primary = || of_type(servers.clone(), ServerType::RsPrimary).collect::<Vec<_>>();
        let secondaries = || of_type(servers.clone(), ServerType::RsSecondary);
        let or = |first: Servers<'t>, second: &dyn Fn() -> Servers<'t>| match first.is_empty() {
            true => second(),
            false => first,
        };
        let preference = match self.wanted {
            Wanted::Write => return primary(),
            Wanted::Predicate(_) => {
                return servers
                    .filter(|s| s.is_data_bearing() && self.is_accepted(s))
                    .collect();
            }
            Wanted::Read(preference) | Wanted::WriteStage(preference) => preference,
        };
        let eligible = |candidates| self.eligible(candidates, preference);
        match preference {
            ReadPreference::Primary => primary(),
            ReadPreference::Secondary { .. } => eligible(secondaries().collect()),
            ReadPreference::PrimaryPreferred { .. } => {
                or(primary(), &|| eligible(secondaries().collect()))
            }
            ReadPreference::SecondaryPreferred { .. } => {
                or(eligible(secondaries().collect()), &primary)
            }
            ReadPreference::Nearest { .. } => {
                let mut candidates = primary();
                candidates.extend(secondaries());
                eligible(candidates)
            }
        }
    }

    /// The candidates that are fresh enough and, of these, those that have the tags.
    fn eligible(&self, mut candidates: Servers<'t>, preference: &ReadPreference) -> Servers<'t> {
        if let Some(max_staleness) = preference.max_staleness() {
            staleness::retain_fresh(
                &mut candidates,
                self.topology,
                max_staleness,
                self.heartbeat_frequency,
            );
        }
        retain_tagged(&mut candidates, preference.tag_sets());
        candidates
    }

    fn is_accepted(&self, server: &ServerDescription) -> bool {
        match self.wanted {
            Wanted::Predicate(predicate) => predicate(server),
            _ => true,
        }
    }

    fn check_max_staleness(&self) -> Result<()> {
        let Wanted::Read(preference) = self.wanted else {
            return Ok(());
        };
        match (self.topology.topology_type, preference.max_staleness()) {
            (
                TopologyType::ReplicaSetNoPrimary | TopologyType::ReplicaSetWithPrimary,
                Some(max_staleness),
            ) => staleness::check(max_staleness, self.heartbeat_frequency),
            _ => Ok(()),
        }
    }
}

/// Keeps the candidates that have the first set of tags that any of them has.
fn retain_tagged(candidates: &mut Servers<'_>, tag_sets: &[TagSet]) {
    if tag_sets.is_empty() {
        return;
    }
    let has = |server: &ServerDescription, tags: &TagSet| {
        tags.iter()
            .all(|(key, value)| server.tags.get(key) == Some(value))
    };
    let found = tag_sets
        .iter()
        .find(|tags| candidates.iter().any(|server| has(server, tags)));
    match found {
        Some(tags) => candidates.retain(|server| has(server, tags)),
        None => candidates.clear(),
    }
}

fn of_type<'t>(
    servers: impl Iterator<Item = &'t Arc<ServerDescription>>,
    server_type: ServerType,
) -> impl Iterator<Item = &'t Arc<ServerDescription>> {
    servers.filter(move |server| server.server_type == server_type)
}
