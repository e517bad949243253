//! What a check of a server says about it.

use std::time::{Duration, Instant};

use super::{ServerDescription, ServerType, error_rules::topology_version};
use crate::{address::ServerAddress, error::Error, proto::hello::HelloReply};

impl ServerType {
    /// What a server is by its hello reply (the table of the "type" section).
    pub fn of(reply: &HelloReply) -> Self {
        if !reply.ok {
            Self::Unknown
        } else if reply.is_replica_set {
            Self::RsGhost
        } else if reply.set_name.is_some() {
            match reply {
                HelloReply { hidden: true, .. } => Self::RsOther,
                HelloReply {
                    is_writable_primary: true,
                    ..
                } => Self::RsPrimary,
                HelloReply {
                    secondary: true, ..
                } => Self::RsSecondary,
                HelloReply {
                    arbiter_only: true, ..
                } => Self::RsArbiter,
                _ => Self::RsOther,
            }
        } else if reply.msg.as_deref() == Some("isdbgrid") {
            Self::Mongos
        } else {
            Self::Standalone
        }
    }
}

impl ServerDescription {
    /// What a hello reply says about the server at `address`.
    ///
    /// A reply whose `ok` is not 1 says nothing but that the check failed.
    pub fn from_hello(
        address: ServerAddress,
        reply: &HelloReply,
        average_rtt: Option<Duration>,
        now: Instant,
    ) -> Self {
        if !reply.ok {
            let error = Error::invalid_response("hello did not succeed").with_address(&address);
            return Self::from_error(address, error, now);
        }
        Self {
            address,
            server_type: ServerType::of(reply),
            error: None,
            average_round_trip_time: average_rtt,
            last_update_time: Some(now),
            last_write_date: reply.last_write_date,
            min_wire_version: reply.min_wire_version,
            max_wire_version: reply.max_wire_version,
            me: reply.me.clone(),
            hosts: reply.hosts.clone(),
            passives: reply.passives.clone(),
            arbiters: reply.arbiters.clone(),
            tags: reply.tags.clone(),
            set_name: reply.set_name.clone(),
            set_version: reply.set_version,
            election_id: reply.election_id,
            primary: reply.primary.clone(),
            logical_session_timeout: reply.logical_session_timeout,
            topology_version: reply.topology_version,
        }
    }

    /// A server whose check, or an operation on it, failed.
    ///
    /// Everything known before is forgotten, the round trip time too. When the error tells of a
    /// change of state, its topology version is kept ("not writable primary" and "node is
    /// recovering" section), so that an older reply cannot bring the old state back.
    pub fn from_error(address: ServerAddress, error: Error, now: Instant) -> Self {
        Self {
            last_update_time: Some(now),
            topology_version: error.state_change().and_then(|_| topology_version(&error)),
            ..Self::failed(address, error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn primary(rtt: u64, now: Instant) -> ServerDescription {
        let reply = HelloReply {
            ok: true,
            is_writable_primary: true,
            set_name: Some("rs".to_owned()),
            ..HelloReply::default()
        };
        let rtt = Some(Duration::from_millis(rtt));
        ServerDescription::from_hello(ServerAddress::default(), &reply, rtt, now)
    }

    #[test]
    fn round_trip_and_update_time_are_no_part_of_the_state() {
        let now = Instant::now();
        let later = now + Duration::from_secs(10);
        assert!(primary(1, now).has_same_state(&primary(2, later)));
    }

    #[test]
    fn a_different_error_is_a_different_state() {
        let failed = |text: &str| {
            let error = Error::internal(text);
            ServerDescription::failed(ServerAddress::default(), error)
        };
        assert!(failed("a").has_same_state(&failed("a")));
        assert!(!failed("a").has_same_state(&failed("b")));
    }

    #[test]
    fn a_hidden_member_is_of_no_use_although_it_is_a_secondary() {
        let reply = HelloReply {
            ok: true,
            secondary: true,
            hidden: true,
            set_name: Some("rs".to_owned()),
            ..HelloReply::default()
        };
        assert_eq!(ServerType::of(&reply), ServerType::RsOther);
    }
}
