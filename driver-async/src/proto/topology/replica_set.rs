//! The rules for members of a replica set.

use std::sync::Arc;

use super::{Effects, ServerDescription, ServerType, TopologyDescription, TopologyType};
use crate::{
    address::ServerAddress,
    error::{Error, ErrorKind},
};

/// The first wire version (MongoDB 6.0) whose elections come before configurations in the order
/// of primaries.
const ELECTION_BEFORE_CONFIGURATION: i32 = 17;

impl TopologyDescription {
    /// The columns of the "TopologyType table" for replica sets.
    pub(super) fn act_on_member(&mut self, server: &Arc<ServerDescription>, effects: &mut Effects) {
        match server.server_type {
            // A ghost may become a useful member, so it stays.
            ServerType::Unknown | ServerType::PossiblePrimary | ServerType::RsGhost => {}
            ServerType::Standalone | ServerType::Mongos | ServerType::LoadBalancer => {
                self.remove(&server.address, effects);
            }
            ServerType::RsPrimary => self.update_from_primary(server, effects),
            ServerType::RsSecondary | ServerType::RsArbiter | ServerType::RsOther => {
                if self.topology_type == TopologyType::ReplicaSetWithPrimary {
                    self.update_with_primary_from_member(server, effects);
                } else {
                    self.update_without_primary(server, effects);
                }
            }
        }
        self.check_if_has_primary();
    }

    /// "updateRSWithoutPrimary": a member's word adds servers, but removes none besides itself.
    fn update_without_primary(&mut self, member: &ServerDescription, effects: &mut Effects) {
        if !self.has_right_set_name(member) {
            self.remove(&member.address, effects);
            return;
        }
        for address in member.members() {
            self.add(address, effects);
        }
        self.note_possible_primary(member);
        if has_another_name(member) {
            self.remove(&member.address, effects);
        }
    }

    /// "updateRSWithPrimaryFromMember": only the primary's word on the members counts.
    fn update_with_primary_from_member(
        &mut self,
        member: &ServerDescription,
        effects: &mut Effects,
    ) {
        if !self.has_right_set_name(member) || has_another_name(member) {
            self.remove(&member.address, effects);
            return;
        }
        if !self.has_primary() {
            self.note_possible_primary(member);
        }
    }

    /// "updateRSFromPrimary": the primary's word on the members is final, if it is not outdated.
    fn update_from_primary(&mut self, primary: &ServerDescription, effects: &mut Effects) {
        if !self.has_right_set_name(primary) {
            self.remove(&primary.address, effects);
            return;
        }
        if !self.advance_election(primary) {
            let error = stale_primary("electionId/setVersion mismatch");
            let server = ServerDescription {
                last_update_time: primary.last_update_time,
                ..ServerDescription::failed(primary.address.clone(), error)
            };
            self.replace(server, effects);
            return;
        }
        self.depose_others(&primary.address, effects);
        for address in primary.members() {
            self.add(address, effects);
        }
        let strangers: Vec<_> = self
            .servers
            .keys()
            .filter(|address| !primary.members().any(|member| member == *address))
            .cloned()
            .collect();
        for address in &strangers {
            self.remove(address, effects);
        }
    }

    /// Moves the latest election and configuration on to those of a primary. False when the
    /// primary is outdated ("Using electionId and setVersion to detect stale primaries" section).
    fn advance_election(&mut self, primary: &ServerDescription) -> bool {
        if primary.max_wire_version >= ELECTION_BEFORE_CONFIGURATION {
            // An absent value orders before all others.
            let told = (primary.election_id, primary.set_version);
            if told < (self.max_election_id, self.max_set_version) {
                return false;
            }
            (self.max_election_id, self.max_set_version) = told;
            return true;
        }
        if let (Some(version), Some(election)) = (primary.set_version, primary.election_id) {
            if let (Some(max_version), Some(max_election)) =
                (self.max_set_version, self.max_election_id)
                && (version, election) < (max_version, max_election)
            {
                return false;
            }
            self.max_election_id = Some(election);
        }
        self.max_set_version = self.max_set_version.max(primary.set_version);
        true
    }

    /// Replaces a former primary by an unknown server that is to be checked at once.
    fn depose_others(&mut self, primary: &ServerAddress, effects: &mut Effects) {
        let former: Vec<_> = self
            .servers
            .values()
            .filter(|server| {
                server.server_type == ServerType::RsPrimary && server.address != *primary
            })
            .map(|server| server.address.clone())
            .collect();
        for address in former {
            let error = stale_primary("discovery of newer primary");
            effects.check_now.push(address.clone());
            self.replace(ServerDescription::failed(address, error), effects);
        }
    }

    /// Marks the server that a member takes for the primary, when nothing else is known of it.
    ///
    /// Listeners are not told: to a client that checks all servers at once it is still unknown.
    fn note_possible_primary(&mut self, member: &ServerDescription) {
        let Some(address) = &member.primary else {
            return;
        };
        if let Some(server) = self.servers.get_mut(address)
            && server.server_type == ServerType::Unknown
        {
            Arc::make_mut(server).server_type = ServerType::PossiblePrimary;
        }
    }

    /// Whether the member belongs to this set, whose name is learnt when it is not known.
    fn has_right_set_name(&mut self, member: &ServerDescription) -> bool {
        if self.set_name.is_none() {
            self.set_name.clone_from(&member.set_name);
        }
        self.set_name == member.set_name
    }

    fn has_primary(&self) -> bool {
        self.servers
            .values()
            .any(|server| server.server_type == ServerType::RsPrimary)
    }

    /// "checkIfHasPrimary".
    fn check_if_has_primary(&mut self) {
        self.topology_type = if self.has_primary() {
            TopologyType::ReplicaSetWithPrimary
        } else {
            TopologyType::ReplicaSetNoPrimary
        };
    }
}

/// Whether the set's configuration calls the member by another name than the client does.
fn has_another_name(member: &ServerDescription) -> bool {
    member.me.as_ref().is_some_and(|me| *me != member.address)
}

fn stale_primary(why: &str) -> Error {
    ErrorKind::StalePrimary {
        message: format!("primary marked stale due to {why}"),
    }
    .into()
}
