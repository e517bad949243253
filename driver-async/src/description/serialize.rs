//! Descriptions as data, with the names that the specifications use.

use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{ServerDescription, TopologyDescription};

const SECONDS_IN_A_MINUTE: u64 = 60;

impl Serialize for ServerDescription {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("address", &self.address)?;
        map.serialize_entry("type", &self.server_type)?;
        map.serialize_entry("hosts", &self.hosts)?;
        map.serialize_entry("passives", &self.passives)?;
        map.serialize_entry("arbiters", &self.arbiters)?;
        optional(&mut map, "primary", &self.primary)?;
        optional(&mut map, "me", &self.me)?;
        optional(&mut map, "setName", &self.set_name)?;
        optional(&mut map, "setVersion", &self.set_version)?;
        optional(&mut map, "electionId", &self.election_id)?;
        optional(&mut map, "tags", &self.tags())?;
        optional(&mut map, "minWireVersion", &self.min_wire_version())?;
        optional(&mut map, "maxWireVersion", &self.max_wire_version())?;
        optional(
            &mut map,
            "logicalSessionTimeoutMinutes",
            &self
                .logical_session_timeout
                .map(|t| t.as_secs() / SECONDS_IN_A_MINUTE),
        )?;
        optional(
            &mut map,
            "topologyVersion",
            &self.topology_version.map(|version| Version {
                process_id: version.process_id,
                counter: version.counter,
            }),
        )?;
        optional(
            &mut map,
            "roundTripTimeMS",
            &self
                .average_round_trip_time
                .map(|rtt| rtt.as_secs_f64() * 1e3),
        )?;
        optional(
            &mut map,
            "error",
            &self.error.as_ref().map(ToString::to_string),
        )?;
        map.end()
    }
}

impl Serialize for TopologyDescription {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let servers: Vec<_> = self.servers.values().map(|server| &**server).collect();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("topologyType", &self.topology_type)?;
        optional(&mut map, "setName", &self.set_name)?;
        optional(&mut map, "maxSetVersion", &self.max_set_version)?;
        optional(&mut map, "maxElectionId", &self.max_election_id)?;
        optional(
            &mut map,
            "logicalSessionTimeoutMinutes",
            &self
                .logical_session_timeout
                .map(|t| t.as_secs() / SECONDS_IN_A_MINUTE),
        )?;
        map.serialize_entry("compatible", &self.compatibility_error.is_none())?;
        optional(&mut map, "compatibilityError", &self.compatibility_error)?;
        map.serialize_entry("servers", &servers)?;
        map.end()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    process_id: bson::oid::ObjectId,
    counter: i64,
}

fn optional<M: SerializeMap, T: Serialize>(
    map: &mut M,
    key: &'static str,
    value: &Option<T>,
) -> Result<(), M::Error> {
    match value {
        Some(value) => map.serialize_entry(key, value),
        None => Ok(()),
    }
}
