//! Choosing the server of an operation.
//!
//! Follows the server selection and max staleness specifications. All of it is a pure function of
//! the topology as it is known, of what is wanted, and of two random numbers; waiting for a
//! better topology is the caller's part.

mod explain;
mod on_wire;
mod staleness;
mod suitable;
mod wanted;
mod window;

use std::sync::Arc;

pub(crate) use explain::explain;
pub use on_wire::{append_read_preference, read_preference_on_wire};
pub use suitable::{only, suitable};
pub use wanted::{Criteria, Wanted};
pub use window::{choose, in_latency_window};

use crate::{
    address::ServerAddress,
    error::Result,
    proto::topology::{ServerDescription, TopologyDescription},
};

/// The server for an operation; `None` when none is suitable for now.
///
/// `in_flight` tells how many operations a server is executing; `random` holds two numbers that
/// are evenly distributed. Where there is only one server to choose, as for writes to a replica
/// set, nothing is allocated.
///
/// # Errors
/// An error that waiting cannot mend; see `suitable`.
pub fn decide<'t>(
    topology: &'t TopologyDescription,
    criteria: &Criteria<'_>,
    in_flight: impl Fn(&ServerAddress) -> usize,
    random: [u32; 2],
) -> Result<Option<&'t Arc<ServerDescription>>> {
    if let Some(server) = only(topology, criteria) {
        return Ok(Some(server));
    }
    let mut servers = suitable(topology, criteria)?;
    in_latency_window(&mut servers, criteria.local_threshold);
    Ok(choose(&servers, in_flight, random))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        error::ErrorKind,
        options::{Predicate, ReadPreference},
        proto::topology::{ServerType, TopologyType},
    };

    fn topology(
        topology_type: TopologyType,
        servers: &[(&str, ServerType)],
    ) -> TopologyDescription {
        let mut topology = TopologyDescription {
            topology_type,
            ..TopologyDescription::default()
        };
        for &(host, server_type) in servers {
            let address = ServerAddress::parse(host).unwrap();
            let server = ServerDescription {
                server_type,
                max_wire_version: 21,
                ..ServerDescription::unknown(address.clone())
            };
            topology.servers.insert(address, Arc::new(server));
        }
        topology
    }

    fn set() -> TopologyDescription {
        topology(
            TopologyType::ReplicaSetWithPrimary,
            &[
                ("arbiter", ServerType::RsArbiter),
                ("first", ServerType::RsPrimary),
                ("second", ServerType::RsSecondary),
            ],
        )
    }

    fn criteria(wanted: Wanted<'_>) -> Criteria<'_> {
        Criteria {
            wanted,
            local_threshold: Duration::from_millis(15),
            heartbeat_frequency: Duration::from_secs(10),
            deprioritized: &[],
        }
    }

    fn hosts(topology: &TopologyDescription, criteria: &Criteria<'_>) -> Vec<String> {
        let servers = suitable(topology, criteria).unwrap();
        let hosts = servers.iter().filter_map(|s| s.address.host());
        hosts.map(str::to_owned).collect()
    }

    #[test]
    fn a_predicate_is_asked_of_servers_that_hold_data() {
        let all: Predicate = Arc::new(|_| true);
        let wanted = criteria(Wanted::Predicate(&all));
        assert_eq!(hosts(&set(), &wanted), ["first", "second"]);
        let second: Predicate = Arc::new(|s| s.address().host() == Some("second"));
        let wanted = criteria(Wanted::Predicate(&second));
        assert_eq!(hosts(&set(), &wanted), ["second"]);
    }

    #[test]
    fn a_predicate_has_no_say_on_a_direct_connection() {
        let none: Predicate = Arc::new(|_| false);
        let single = topology(TopologyType::Single, &[("only", ServerType::RsArbiter)]);
        let wanted = criteria(Wanted::Predicate(&none));
        assert_eq!(hosts(&single, &wanted), ["only"]);
    }

    #[test]
    fn a_deprioritised_server_is_taken_when_a_predicate_accepts_no_other() {
        let second: Predicate = Arc::new(|s| s.address().host() == Some("second"));
        let avoided = [ServerAddress::parse("second").unwrap()];
        let wanted = Criteria {
            deprioritized: &avoided,
            ..criteria(Wanted::Predicate(&second))
        };
        assert_eq!(hosts(&set(), &wanted), ["second"]);
    }

    #[test]
    fn a_pipeline_that_writes_needs_the_primary_while_any_server_is_old() {
        let secondary = ReadPreference::secondary(None);
        let wanted = criteria(Wanted::WriteStage(&secondary));
        let mut set = set();
        assert_eq!(hosts(&set, &wanted), ["second"]);
        for server in set.servers.values_mut() {
            if server.server_type == ServerType::RsArbiter {
                Arc::make_mut(server).max_wire_version = 12;
            }
        }
        assert_eq!(hosts(&set, &wanted), ["first"]);
    }

    #[test]
    fn the_way_without_a_choice_leads_to_the_only_suitable_server() {
        for topology in [
            set(),
            topology(TopologyType::Single, &[("a", ServerType::Standalone)]),
            topology(TopologyType::Single, &[("a", ServerType::Unknown)]),
            topology(
                TopologyType::LoadBalanced,
                &[("a", ServerType::LoadBalancer)],
            ),
        ] {
            for wanted in [Wanted::Write, Wanted::Read(&ReadPreference::Primary)] {
                let criteria = criteria(wanted);
                let only: Vec<_> = only(&topology, &criteria).into_iter().collect();
                let all = suitable(&topology, &criteria).unwrap();
                let names = |servers: Vec<&Arc<ServerDescription>>| -> Vec<String> {
                    servers.iter().map(|s| s.address.to_string()).collect()
                };
                assert_eq!(names(only), names(all), "{wanted} of {topology}");
            }
        }
    }

    #[test]
    fn a_server_that_does_not_fit_this_driver_is_an_error_and_no_wait() {
        let mut set = set();
        set.compatibility_error = Some("too old".to_owned());
        let error = decide(&set, &criteria(Wanted::Write), |_| 0, [0, 0]).unwrap_err();
        assert!(matches!(*error.kind, ErrorKind::IncompatibleServer { .. }));
    }
}
