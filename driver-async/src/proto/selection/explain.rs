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

#[cfg(test)]
mod tests {
    use std::{io, sync::Arc, time::Duration};

    use super::*;
    use crate::{address::ServerAddress, deadline::Cause, options::Predicate};

    fn topology(
        topology_type: TopologyType,
        servers: &[(&str, ServerType, Option<io::ErrorKind>)],
    ) -> TopologyDescription {
        let mut topology = TopologyDescription {
            topology_type,
            set_name: Some("rs0".to_owned()),
            ..TopologyDescription::default()
        };
        for &(host, server_type, error) in servers {
            let address = ServerAddress::parse(host).unwrap();
            let server = ServerDescription {
                server_type,
                error: error.map(|kind| Error::from(kind).with_address(&address)),
                ..ServerDescription::unknown(address.clone())
            };
            topology.servers.insert(address, Arc::new(server));
        }
        topology
    }

    fn text(topology: &TopologyDescription, wanted: Wanted<'_>) -> String {
        let deadline = Deadline::after(Duration::from_secs(30), Cause::ServerSelection);
        let error = explain(topology, wanted, &deadline);
        assert!(error.is_timeout());
        error.to_string()
    }

    #[test]
    fn the_text_names_what_was_wanted_the_limit_and_each_servers_last_error() {
        let refused = Some(io::ErrorKind::ConnectionRefused);
        let mut set = topology(
            TopologyType::ReplicaSetNoPrimary,
            &[
                ("a", ServerType::RsSecondary, None),
                ("b", ServerType::Unknown, refused),
            ],
        );
        if let Some(server) = set.servers.values_mut().next() {
            let tags = [("rack", "1"), ("dc", "ny")];
            let tags = tags.map(|(key, value)| (key.to_owned(), value.to_owned()));
            Arc::make_mut(server).tags = tags.into();
        }
        assert_eq!(
            text(&set, Wanted::Write),
            "no server for writes within 30s (serverSelectionTimeoutMS): the replica set has no \
             primary; servers: a:27017 RSSecondary {dc: ny, rack: 1}, b:27017 Unknown (connection \
             refused)"
        );
    }

    #[test]
    fn each_cause_is_told_apart() {
        use ServerType::{RsPrimary, RsSecondary, Unknown};
        use TopologyType::{ReplicaSetNoPrimary, ReplicaSetWithPrimary};
        let refused = Some(io::ErrorKind::ConnectionRefused);
        let mut left = topology(ReplicaSetNoPrimary, &[("a", Unknown, refused)]);
        left.max_set_version = Some(1);
        let none: Predicate = Arc::new(|_| false);
        let secondary = ReadPreference::secondary(None);
        let read = Wanted::Read(&secondary);
        let waiting = topology(ReplicaSetNoPrimary, &[("a", Unknown, None)]);
        let down = topology(ReplicaSetNoPrimary, &[("a", Unknown, refused)]);
        let alone = topology(ReplicaSetWithPrimary, &[("a", RsPrimary, None)]);
        let lagging = topology(ReplicaSetNoPrimary, &[("a", RsSecondary, None)]);
        for (topology, wanted, told) in [
            (&waiting, read, Diagnosis::NothingFoundYet),
            (&down, read, Diagnosis::Unreachable),
            (&left, read, Diagnosis::UnreachableMembers),
            (&lagging, Wanted::Write, Diagnosis::NoPrimary),
            (&alone, read, Diagnosis::NoSecondary),
            (&lagging, read, Diagnosis::NoneEligible),
            (&alone, Wanted::Predicate(&none), Diagnosis::NoneAccepted),
            (
                &topology(ReplicaSetNoPrimary, &[]),
                read,
                Diagnosis::NoMember("rs0"),
            ),
        ] {
            assert_eq!(Diagnosis::of(topology, wanted), told);
            let text = text(topology, wanted);
            assert!(text.contains(&told.to_string()), "{text}");
        }
    }

    #[test]
    fn a_server_of_another_set_is_told_as_such() {
        let mut single = topology(TopologyType::Single, &[("a", ServerType::Unknown, None)]);
        for server in single.servers.values_mut() {
            let error = Error::invalid_argument("the server belongs to rs1");
            Arc::make_mut(server).error = Some(error);
        }
        assert_eq!(Diagnosis::of(&single, Wanted::Write), Diagnosis::OtherSet);
    }

    #[test]
    fn a_text_from_the_server_cannot_break_the_line() {
        let mut single = topology(TopologyType::Single, &[("a", ServerType::Unknown, None)]);
        for server in single.servers.values_mut() {
            Arc::make_mut(server).error = Some(Error::invalid_response("one\ntwo"));
        }
        assert!(text(&single, Wanted::Write).contains("one two"));
    }
}
