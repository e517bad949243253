//! Why no server was found, in one line.

use std::fmt::{self, Write};

use super::Wanted;
use crate::{
    deadline::Deadline,
    error::{Error, ErrorKind},
    options::ReadPreference,
    proto::topology::{ServerDescription, ServerType, TopologyDescription, TopologyType},
};

/// The error for an operation that found no server until `deadline`: what it wanted, why there is
/// none, and each server with its last error.
pub(crate) fn explain(
    topology: &TopologyDescription,
    wanted: Wanted<'_>,
    deadline: &Deadline,
) -> Error {
    let mut message = format!(
        "no server for {} within {:?} ({}): {}",
        wanted.effective(topology),
        deadline.limit(),
        deadline.cause(),
        Diagnosis::of(topology, wanted.effective(topology)),
    );
    let mut separator = "; servers: ";
    for server in topology.servers.values() {
        message.push_str(separator);
        push_server(&mut message, server);
        separator = ", ";
    }
    // An error's text may come from a server, and a log wants one line.
    let message = message.replace(|c: char| c.is_control(), " ");
    ErrorKind::ServerSelection { message }.into()
}

/// What stands in the way, told from the topology.
#[derive(Debug, PartialEq, Eq)]
enum Diagnosis<'t> {
    /// The asked-for set has none of the servers.
    NoMember(&'t str),
    /// All servers turned out to be of another deployment.
    NoServer,
    /// The one server belongs to another set.
    OtherSet,
    /// No check has ended yet.
    NothingFoundYet,
    /// The members that a primary named are all out of reach.
    UnreachableMembers,
    /// No server answers.
    Unreachable,
    /// The set has no primary.
    NoPrimary,
    /// No member that may serve the read is there.
    NoSecondary,
    /// There are members to read from, but not with these tags and this freshness.
    NoneEligible,
    /// The caller's rule accepted none.
    NoneAccepted,
    /// Servers answer, but none tells what the deployment is.
    NoneUsable,
}

impl<'t> Diagnosis<'t> {
    fn of(topology: &'t TopologyDescription, wanted: Wanted<'_>) -> Self {
        let servers = || topology.servers.values();
        match &topology.set_name {
            Some(name) if topology.servers.is_empty() => return Self::NoMember(name),
            None if topology.servers.is_empty() => return Self::NoServer,
            _ => {}
        }
        if !servers().any(|server| server.is_available()) {
            return Self::of_unknown(topology);
        }
        match topology.topology_type {
            TopologyType::ReplicaSetNoPrimary | TopologyType::ReplicaSetWithPrimary => {
                Self::of_set(topology, wanted)
            }
            _ if matches!(wanted, Wanted::Predicate(_)) => Self::NoneAccepted,
            _ => Self::NoneUsable,
        }
    }

    /// Of a topology in which no server is known.
    fn of_unknown(topology: &TopologyDescription) -> Self {
        let mut errors = topology.servers.values().filter_map(|s| s.error.as_ref());
        let Some(first) = errors.next() else {
            return Self::NothingFoundYet;
        };
        // The single server's own check passed, or its error would come from the network.
        if topology.topology_type == TopologyType::Single
            && topology.set_name.is_some()
            && matches!(*first.kind, ErrorKind::InvalidArgument { .. })
        {
            return Self::OtherSet;
        }
        let has_had_primary =
            topology.max_set_version.is_some() || topology.max_election_id.is_some();
        let has_all_failed = topology.servers.values().all(|s| s.error.is_some());
        if has_had_primary && has_all_failed {
            return Self::UnreachableMembers;
        }
        Self::Unreachable
    }

    fn of_set(topology: &TopologyDescription, wanted: Wanted<'_>) -> Self {
        let preference = match wanted {
            Wanted::Predicate(_) => return Self::NoneAccepted,
            Wanted::Write => return Self::NoPrimary,
            Wanted::Read(preference) | Wanted::WriteStage(preference) => preference,
        };
        let has = |server_type| {
            let mut servers = topology.servers.values();
            servers.any(|server| server.server_type == server_type)
        };
        let has_candidate = match preference {
            ReadPreference::Primary => return Self::NoPrimary,
            ReadPreference::Nearest { .. } => {
                has(ServerType::RsSecondary) || has(ServerType::RsPrimary)
            }
            _ => has(ServerType::RsSecondary),
        };
        match has_candidate {
            true => Self::NoneEligible,
            false => Self::NoSecondary,
        }
    }
}

impl fmt::Display for Diagnosis<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoMember(name) => {
                return write!(
                    f,
                    "none of the servers is a member of replica set {name:?}, so check replicaSet \
                     and the addresses"
                );
            }
            Self::NoServer => {
                "the servers do not belong to one deployment, so check the addresses and replicaSet"
            }
            Self::OtherSet => "the server's replica set is not the one that replicaSet names",
            Self::NothingFoundYet => "no server has answered a check yet",
            Self::UnreachableMembers => {
                "the members are not reachable at the addresses in their replica set's \
                 configuration, which must resolve and be open from here"
            }
            Self::Unreachable => "no server is reachable",
            Self::NoPrimary => "the replica set has no primary",
            Self::NoSecondary => "the replica set has no member that this read preference allows",
            Self::NoneEligible => {
                "no member has the tags and is as fresh as the read preference asks"
            }
            Self::NoneAccepted => "the predicate accepts no available server",
            Self::NoneUsable => "no server can serve it",
        })
    }
}

fn push_server(message: &mut String, server: &ServerDescription) {
    // Writing to a string cannot fail.
    let _ = write!(message, "{} {}", server.address, server.server_type);
    if !server.tags.is_empty() {
        let mut tags: Vec<_> = server.tags.iter().collect();
        tags.sort_unstable();
        for (at, (key, value)) in tags.into_iter().enumerate() {
            let before = if at == 0 { " {" } else { ", " };
            let _ = write!(message, "{before}{key}: {value}");
        }
        message.push('}');
    }
    if let Some(error) = &server.error {
        // The kind alone, for the address stands before it already.
        let _ = write!(message, " ({})", error.kind);
    }
}
