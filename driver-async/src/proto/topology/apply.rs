//! How a check's outcome changes what is known of the deployment.

use std::{cmp::Ordering, sync::Arc, time::Duration};

use super::{Effects, ServerDescription, ServerType, TopologyDescription, TopologyType};
use crate::{
    address::ServerAddress,
    error::{Error, ErrorKind},
};

impl TopologyDescription {
    /// Takes in a new description of one server ("Updating the TopologyDescription" section).
    ///
    /// Nothing changes when the server is no longer a part of the deployment, or when a newer
    /// description of it is known; [`Effects::applied`] tells.
    pub fn apply(&mut self, server: ServerDescription) -> Effects {
        let mut effects = Effects::default();
        let Some(known) = self.servers.get(&server.address) else {
            return effects;
        };
        if is_older(&server, known) {
            return effects;
        }
        let server = match self.topology_type {
            TopologyType::LoadBalanced if server.server_type != ServerType::LoadBalancer => {
                return effects;
            }
            TopologyType::Single => self.with_verified_set_name(server),
            _ => server,
        };
        let before = self.headline();
        effects.applied = true;
        let server = self.replace(server, &mut effects);
        self.act_on(&server, &mut effects);
        self.check_compatibility();
        self.logical_session_timeout = self.least_session_timeout();
        effects.left_empty = self.servers.is_empty() && !effects.closed.is_empty();
        effects.settle(before != self.headline());
        effects
    }

    /// Forgets all servers, as a client that closes must ("Client closing" section). Replies that
    /// arrive later are ignored.
    pub fn close(&mut self) -> Effects {
        let closed = std::mem::take(self).servers.into_keys().collect();
        Effects {
            applied: true,
            topology_changed: true,
            closed,
            ..Effects::default()
        }
    }

    /// The action for the new description (the "TopologyType table" section).
    fn act_on(&mut self, server: &Arc<ServerDescription>, effects: &mut Effects) {
        match self.topology_type {
            TopologyType::Single | TopologyType::LoadBalanced => {}
            TopologyType::Unknown => self.act_on_first_known(server, effects),
            TopologyType::Sharded => {
                if server.is_available() && server.server_type != ServerType::Mongos {
                    self.remove(&server.address, effects);
                }
            }
            TopologyType::ReplicaSetNoPrimary | TopologyType::ReplicaSetWithPrimary => {
                self.act_on_member(server, effects);
            }
        }
    }

    fn act_on_first_known(&mut self, server: &Arc<ServerDescription>, effects: &mut Effects) {
        match server.server_type {
            ServerType::Mongos => self.topology_type = TopologyType::Sharded,
            ServerType::Standalone if self.seed_count == 1 => {
                self.topology_type = TopologyType::Single;
            }
            // The seed list is that of a set or cluster, from which this server was taken out.
            ServerType::Standalone => self.remove(&server.address, effects),
            ServerType::RsPrimary
            | ServerType::RsSecondary
            | ServerType::RsArbiter
            | ServerType::RsOther => {
                self.topology_type = TopologyType::ReplicaSetNoPrimary;
                self.act_on_member(server, effects);
            }
            // A ghost does not tell the name of its set, so it does not tell what this is.
            ServerType::RsGhost
            | ServerType::LoadBalancer
            | ServerType::PossiblePrimary
            | ServerType::Unknown => {}
        }
    }

    /// Puts a description in the place of the server's former one.
    pub(super) fn replace(
        &mut self,
        server: ServerDescription,
        effects: &mut Effects,
    ) -> Arc<ServerDescription> {
        let server = Arc::new(server);
        let former = self
            .servers
            .insert(server.address.clone(), Arc::clone(&server));
        if let Some(former) = former {
            effects.replaced(former, Arc::clone(&server));
        }
        server
    }

    pub(super) fn add(&mut self, address: &ServerAddress, effects: &mut Effects) {
        if !self.servers.contains_key(address) {
            let server = ServerDescription::unknown(address.clone());
            self.servers.insert(address.clone(), Arc::new(server));
            effects.opened.push(address.clone());
        }
    }

    pub(super) fn remove(&mut self, address: &ServerAddress, effects: &mut Effects) {
        if self.servers.remove(address).is_some() {
            effects.closed.push(address.clone());
        }
    }

    /// "Verifying setName with TopologyType Single" section.
    fn with_verified_set_name(&self, server: ServerDescription) -> ServerDescription {
        let Some(wanted) = &self.set_name else {
            return server;
        };
        if !server.is_available() || server.set_name.as_ref() == Some(wanted) {
            return server;
        }
        let found = match &server.set_name {
            Some(name) => format!("belongs to replica set {name:?}"),
            None => "belongs to no replica set".to_owned(),
        };
        let error = Error::from(ErrorKind::InvalidArgument {
            message: format!("the server {found}, but replicaSet asks for {wanted:?}"),
        });
        ServerDescription {
            last_update_time: server.last_update_time,
            ..ServerDescription::failed(server.address, error)
        }
    }

    /// "Logical Session Timeout" section.
    fn least_session_timeout(&self) -> Option<Duration> {
        self.servers
            .values()
            .filter(|server| server.is_data_bearing())
            .map(|server| server.logical_session_timeout)
            .min()
            .flatten()
    }

    /// What listeners are told of beside the servers.
    fn headline(&self) -> impl PartialEq + use<> {
        (
            self.topology_type,
            self.set_name.clone(),
            self.max_set_version,
            self.max_election_id,
            self.compatibility_error.clone(),
            self.logical_session_timeout,
        )
    }
}

fn is_older(new: &ServerDescription, known: &ServerDescription) -> bool {
    let (Some(new), Some(known)) = (&new.topology_version, &known.topology_version) else {
        return false;
    };
    new.order(known) == Some(Ordering::Less)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use bson::oid::ObjectId;

    use super::*;
    use crate::description::TopologyVersion;
    use crate::{
        event::sdam::SdamEvent,
        proto::{hello::HelloReply, topology::TopologySeed},
    };

    fn address(host: &str) -> ServerAddress {
        ServerAddress::parse(host).unwrap()
    }

    fn addresses(hosts: &str) -> Vec<ServerAddress> {
        hosts
            .chars()
            .map(|host| address(&host.to_string()))
            .collect()
    }

    /// A topology of one-letter hosts.
    fn topology(hosts: &str) -> TopologyDescription {
        TopologyDescription::new(&TopologySeed {
            addresses: addresses(hosts),
            ..TopologySeed::default()
        })
    }

    fn member(hosts: &str) -> HelloReply {
        HelloReply {
            ok: true,
            set_name: Some("rs".to_owned()),
            hosts: addresses(hosts),
            min_wire_version: 0,
            max_wire_version: 17,
            ..HelloReply::default()
        }
    }

    fn primary(host: &str, hosts: &str) -> ServerDescription {
        let reply = HelloReply {
            is_writable_primary: true,
            ..member(hosts)
        };
        described(host, &reply)
    }

    fn described(host: &str, reply: &HelloReply) -> ServerDescription {
        ServerDescription::from_hello(address(host), reply, None, Instant::now())
    }

    fn counted(counter: i64) -> HelloReply {
        HelloReply {
            topology_version: Some(TopologyVersion {
                process_id: ObjectId::from_bytes([1; 12]),
                counter,
            }),
            ..member("a")
        }
    }

    #[test]
    fn a_server_that_was_removed_does_not_come_back_by_a_late_reply() {
        let mut topology = topology("ab");
        topology.apply(primary("a", "a"));
        let late = topology.apply(primary("b", "ab"));
        assert!(!late.applied);
        assert_eq!(topology.servers.len(), 1);
        topology.close();
        assert!(!topology.apply(primary("a", "a")).applied);
        assert!(topology.servers.is_empty());
    }

    #[test]
    fn a_description_gives_way_only_to_one_that_is_not_older() {
        let mut topology = topology("a");
        assert!(topology.apply(described("a", &counted(5))).applied);
        assert!(!topology.apply(described("a", &counted(4))).applied);
        assert!(topology.apply(described("a", &counted(5))).applied);
    }

    #[test]
    fn a_reply_that_says_the_same_tells_listeners_nothing() {
        let mut topology = topology("a");
        topology.apply(primary("a", "a"));
        let before = topology.clone();
        let effects = topology.apply(primary("a", "a"));
        assert!(effects.applied);
        assert!(
            effects
                .events(ObjectId::from_bytes([0; 12]), &before, &topology)
                .is_empty()
        );
    }

    #[test]
    fn a_copy_keeps_what_it_said_when_the_original_moves_on() {
        let mut topology = topology("ab");
        let secondary = HelloReply {
            secondary: true,
            primary: Some(address("b")),
            ..member("ab")
        };
        let copy = topology.clone();
        topology.apply(described("a", &secondary));
        let type_of_b =
            |topology: &TopologyDescription| topology.servers[&address("b")].server_type;
        assert_eq!(type_of_b(&topology), ServerType::PossiblePrimary);
        assert_eq!(type_of_b(&copy), ServerType::Unknown);
    }

    #[test]
    fn events_tell_of_changes_then_openings_then_closings_then_the_whole() {
        let mut topology = topology("ab");
        topology.apply(primary("a", "ab"));
        let before = topology.clone();
        let effects = topology.apply(primary("b", "bc"));
        assert_eq!(effects.check_now, addresses("a"));
        let events = effects.events(ObjectId::from_bytes([0; 12]), &before, &topology);
        let told: Vec<_> = events
            .iter()
            .map(|event| match event {
                SdamEvent::ServerDescriptionChanged(event) => ("changed", event.address.host()),
                SdamEvent::ServerOpening(event) => ("opening", event.address.host()),
                SdamEvent::ServerClosed(event) => ("closed", event.address.host()),
                SdamEvent::TopologyDescriptionChanged(_) => ("topology", None),
                other => panic!("{other:?}"),
            })
            .collect();
        let wanted = [
            ("changed", Some("b")),
            ("changed", Some("a")),
            ("opening", Some("c")),
            ("closed", Some("a")),
            ("topology", None),
        ];
        assert_eq!(told, wanted);
    }

    #[test]
    fn a_pool_is_wanted_for_what_is_known_of_the_server_now() {
        let standalone = HelloReply {
            ok: true,
            max_wire_version: 17,
            ..HelloReply::default()
        };
        let elected = |host: &str, election: u8| HelloReply {
            is_writable_primary: true,
            set_version: Some(1),
            election_id: Some(ObjectId::from_bytes([election; 12])),
            ..member(host)
        };
        for (hosts, checks, wanted) in [
            ("a", vec![("a", standalone.clone())], true),
            ("ab", vec![("a", standalone)], false),
            ("ab", vec![("a", elected("ab", 1))], true),
            ("ab", vec![("a", elected("b", 1))], false),
            (
                "ab",
                vec![("b", elected("ab", 2)), ("a", elected("ab", 1))],
                false,
            ),
        ] {
            let mut topology = topology(hosts);
            for (host, reply) in &checks {
                assert!(topology.apply(described(host, reply)).applied);
            }
            let wants = topology.wants_pool(&address("a"));
            assert_eq!(wants, wanted, "{hosts}: {checks:?}");
        }
    }

    #[test]
    fn removing_the_last_server_is_told() {
        let mut topology = topology("a");
        let elsewhere = topology.apply(primary("a", "b"));
        assert!(!elsewhere.left_empty);
        let standalone = HelloReply {
            ok: true,
            ..HelloReply::default()
        };
        assert!(topology.apply(described("b", &standalone)).left_empty);
    }
}
