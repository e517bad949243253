//! Server selection, the choice within the latency window, round trip times and max staleness.
//!
//! A case describes a topology. Here it is built as the driver builds it: each known server's
//! hello reply is applied to the topology that the client was told of. Then the driver decides.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use motorcade::bson::DateTime;
use motorcade::internal::hello::HelloReply;
use motorcade::internal::selection::{self, Criteria, Wanted};
use motorcade::internal::topology::{
    RoundTripTimes, ServerDescription, ServerType, TopologyDescription, TopologySeed, TopologyType,
};
use motorcade::options::{ReadPreference, ServerAddress, TagSet};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::Suite;
use crate::case::Case;
use crate::spec_files::SpecFile;

/// `localThresholdMS`, which all cases leave at its default.
const LOCAL_THRESHOLD: Duration = Duration::from_millis(15);
/// `heartbeatFrequencyMS` unless a case names another.
const HEARTBEAT_FREQUENCY_MS: u64 = 10_000;
/// The wire version of servers that a case gives none: MongoDB 7.0's.
const WIRE_VERSION: i32 = 21;
/// How often the final choice is repeated where one choice shows nothing.
const CHOICES: usize = 100;

/// A file is one case.
pub(crate) fn cases(file: &SpecFile) -> Vec<Case> {
    let name = file.json["description"].as_str().unwrap_or("all");
    let json = file.json.clone();
    let check = match file.suite {
        Suite::InWindow => check_in_window,
        Suite::Rtt => check_rtt,
        _ => check_selection,
    };
    vec![Case::check(file, name.to_owned(), move || check(&json))]
}

fn parse<T: DeserializeOwned>(json: &Value) -> Result<T, String> {
    T::deserialize(json).map_err(|error| error.to_string())
}

/// A case of server selection or max staleness.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Selection {
    #[serde(rename = "description")]
    _description: Option<String>,
    topology_description: Topology,
    operation: Option<Operation>,
    read_preference: Option<Preference>,
    #[serde(rename = "heartbeatFrequencyMS")]
    heartbeat_frequency_ms: Option<u64>,
    #[serde(default)]
    deprioritized_servers: Vec<Server>,
    #[serde(default)]
    error: bool,
    suitable_servers: Option<Vec<Server>>,
    in_latency_window: Option<Vec<Server>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Operation {
    Read,
    Write,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Topology {
    #[serde(rename = "type")]
    topology_type: TopologyType,
    servers: Vec<Server>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Server {
    address: ServerAddress,
    #[serde(rename = "type")]
    server_type: ServerType,
    avg_rtt_ms: Option<f64>,
    #[serde(default)]
    tags: TagSet,
    #[serde(rename = "lastUpdateTime")]
    last_update_time: Option<u64>,
    #[serde(rename = "lastWrite")]
    last_write: Option<LastWrite>,
    #[serde(rename = "minWireVersion")]
    min_wire_version: Option<i32>,
    #[serde(rename = "maxWireVersion")]
    max_wire_version: Option<i32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LastWrite {
    #[serde(deserialize_with = "millis")]
    last_write_date: i64,
}

/// A read preference as the cases write it, before the driver takes it in.
#[derive(Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
struct Preference {
    #[serde(default = "primary")]
    mode: String,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    tag_sets: Value,
    #[serde(
        default,
        rename = "maxStalenessSeconds",
        skip_serializing_if = "Value::is_null"
    )]
    max_staleness_seconds: Value,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    hedge: Value,
}

fn primary() -> String {
    "primary".to_owned()
}

/// A number, or the `$numberLong` of Extended JSON.
fn millis<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let long = value["$numberLong"].as_str();
    long.and_then(|text| text.parse().ok())
        .or_else(|| value.as_i64())
        .ok_or_else(|| serde::de::Error::custom(format!("{value} is not a date in milliseconds")))
}

fn check_selection(json: &Value) -> Result<(), String> {
    let case: Selection = parse(json)?;
    let topology = case.topology_description.build()?;
    let deprioritized: Vec<_> = addresses(&case.deprioritized_servers).into_iter().collect();
    let heartbeat_ms = case.heartbeat_frequency_ms;
    let preference = case.read_preference.as_ref().map_or_else(
        || Ok(ReadPreference::primary()),
        |preference| serde_json::to_value(preference).and_then(ReadPreference::deserialize),
    );
    let preference = match preference {
        Err(_) if case.error => return Ok(()),
        other => other.map_err(|error| error.to_string())?,
    };
    let criteria = Criteria {
        wanted: match case.operation {
            Some(Operation::Write) => Wanted::Write,
            Some(Operation::Read) | None => Wanted::Read(&preference),
        },
        local_threshold: LOCAL_THRESHOLD,
        heartbeat_frequency: Duration::from_millis(heartbeat_ms.unwrap_or(HEARTBEAT_FREQUENCY_MS)),
        deprioritized: &deprioritized,
    };
    match (selection::suitable(&topology, &criteria), case.error) {
        (Err(_), true) => decides_on_nothing(&topology, &criteria),
        (Ok(_), true) => Err("expected an error, found none".to_owned()),
        (Err(error), false) => Err(format!("expected no error, found: {error}")),
        (Ok(_), false) => case.check_servers(&topology, &criteria),
    }
}

/// What fails for the servers must fail for the decision.
fn decides_on_nothing(
    topology: &TopologyDescription,
    criteria: &Criteria<'_>,
) -> Result<(), String> {
    match selection::decide(topology, criteria, |_| 0, [0, 0]) {
        Err(_) => Ok(()),
        Ok(found) => Err(format!("expected an error, decided on {found:?}")),
    }
}

impl Selection {
    fn check_servers(
        &self,
        topology: &TopologyDescription,
        criteria: &Criteria<'_>,
    ) -> Result<(), String> {
        let mut found = selection::suitable(topology, criteria).map_err(|e| e.to_string())?;
        let of = |servers: &[&std::sync::Arc<ServerDescription>]| -> BTreeSet<ServerAddress> {
            servers.iter().map(|s| s.address().clone()).collect()
        };
        if let Some(expected) = &self.suitable_servers {
            same("suitable servers", &addresses(expected), &of(&found))?;
        }
        selection::in_latency_window(&mut found, criteria.local_threshold);
        let expected = self
            .in_latency_window
            .as_ref()
            .ok_or("the case has neither an error nor in_latency_window")?;
        let expected = addresses(expected);
        same("servers in the latency window", &expected, &of(&found))?;
        let mut random = Random::new();
        let chosen: BTreeSet<_> = (0..CHOICES)
            .filter_map(|_| selection::decide(topology, criteria, |_| 0, random.pair()).ok()?)
            .map(|server| server.address().clone())
            .collect();
        same("servers chosen", &expected, &chosen)
    }
}

fn same(
    what: &str,
    expected: &BTreeSet<ServerAddress>,
    found: &BTreeSet<ServerAddress>,
) -> Result<(), String> {
    if expected == found {
        return Ok(());
    }
    let list = |servers: &BTreeSet<ServerAddress>| {
        let texts: Vec<_> = servers.iter().map(ToString::to_string).collect();
        texts.join(", ")
    };
    Err(format!(
        "{what}: expected [{}], found [{}]",
        list(expected),
        list(found)
    ))
}

fn addresses(servers: &[Server]) -> BTreeSet<ServerAddress> {
    servers
        .iter()
        .map(|server| server.address.clone())
        .collect()
}

impl Topology {
    /// The topology that the driver makes of these servers' replies.
    fn build(&self) -> Result<TopologyDescription, String> {
        let members = self.servers.iter().filter(|server| server.is_member());
        let members: Vec<_> = members.map(|server| server.address.clone()).collect();
        let is_set = matches!(
            self.topology_type,
            TopologyType::ReplicaSetNoPrimary | TopologyType::ReplicaSetWithPrimary
        );
        let mut topology = TopologyDescription::new(&TopologySeed {
            addresses: addresses(&self.servers).into_iter().collect(),
            set_name: is_set.then(|| "set".to_owned()),
            direct_connection: Some(self.topology_type == TopologyType::Single),
            load_balanced: self.topology_type == TopologyType::LoadBalanced,
        });
        let start = Instant::now();
        for server in &self.servers {
            if let Some(description) = server.description(&members, start)? {
                topology.apply(description);
            }
        }
        if topology.topology_type() != self.topology_type {
            return Err(format!(
                "the servers make a topology of type {}, not of type {}",
                topology.topology_type(),
                self.topology_type
            ));
        }
        for server in &self.servers {
            let known = topology.servers().get(&server.address).copied().cloned();
            let found = known.map(|description| description.server_type());
            let is_right = match server.server_type {
                ServerType::PossiblePrimary => found == Some(ServerType::Unknown),
                wanted => found == Some(wanted),
            };
            if !is_right {
                return Err(format!("{} became {found:?}", server.address));
            }
        }
        Ok(topology)
    }
}

impl Server {
    /// Whether a set's configuration names the server, be it reachable or not.
    fn is_member(&self) -> bool {
        !matches!(
            self.server_type,
            ServerType::Standalone | ServerType::Mongos | ServerType::LoadBalancer
        )
    }

    /// What the driver knows of the server once it has replied; `None` when it has not.
    fn description(
        &self,
        members: &[ServerAddress],
        start: Instant,
    ) -> Result<Option<ServerDescription>, String> {
        let mut reply = HelloReply {
            ok: true,
            tags: self.tags.clone(),
            last_write_date: self
                .last_write
                .as_ref()
                .map(|last_write| DateTime::from_millis(last_write.last_write_date)),
            min_wire_version: self.min_wire_version.unwrap_or(0),
            max_wire_version: self.max_wire_version.unwrap_or(WIRE_VERSION),
            ..HelloReply::default()
        };
        match self.server_type {
            ServerType::Unknown | ServerType::PossiblePrimary => return Ok(None),
            ServerType::LoadBalancer => {
                let address = self.address.clone();
                return Ok(Some(ServerDescription::load_balancer(address)));
            }
            ServerType::Standalone => reply.is_writable_primary = true,
            ServerType::Mongos => reply.msg = Some("isdbgrid".to_owned()),
            ServerType::RsGhost => reply.is_replica_set = true,
            member => {
                reply.set_name = Some("set".to_owned());
                reply.hosts = members.to_vec();
                reply.is_writable_primary = member == ServerType::RsPrimary;
                reply.secondary = member == ServerType::RsSecondary;
                reply.arbiter_only = member == ServerType::RsArbiter;
            }
        }
        let average = self.avg_rtt_ms.map(from_millis).transpose()?;
        let checked = start + Duration::from_millis(self.last_update_time.unwrap_or(0));
        let address = self.address.clone();
        Ok(Some(ServerDescription::from_hello(
            address, &reply, average, checked,
        )))
    }
}

fn from_millis(millis: f64) -> Result<Duration, String> {
    Duration::try_from_secs_f64(millis / 1e3).map_err(|error| format!("{millis} ms: {error}"))
}

/// A case of the choice by operation counts.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InWindow {
    #[serde(rename = "description")]
    _description: String,
    topology_description: Topology,
    mocked_topology_state: Vec<State>,
    iterations: u32,
    outcome: Frequencies,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    address: ServerAddress,
    operation_count: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Frequencies {
    tolerance: f64,
    expected_frequencies: BTreeMap<ServerAddress, f64>,
}

fn check_in_window(json: &Value) -> Result<(), String> {
    let case: InWindow = parse(json)?;
    let topology = case.topology_description.build()?;
    let nearest = ReadPreference::nearest(None);
    let criteria = Criteria {
        wanted: Wanted::Read(&nearest),
        local_threshold: LOCAL_THRESHOLD,
        heartbeat_frequency: Duration::from_millis(HEARTBEAT_FREQUENCY_MS),
        deprioritized: &[],
    };
    let counts: BTreeMap<_, _> = case
        .mocked_topology_state
        .iter()
        .map(|state| (&state.address, state.operation_count))
        .collect();
    let in_flight = |address: &ServerAddress| counts.get(address).copied().unwrap_or(0);
    let mut chosen: BTreeMap<ServerAddress, u32> = BTreeMap::new();
    let mut random = Random::new();
    for _ in 0..case.iterations {
        let server = selection::decide(&topology, &criteria, in_flight, random.pair())
            .map_err(|error| error.to_string())?
            .ok_or("no server was chosen")?;
        *chosen.entry(server.address().clone()).or_default() += 1;
    }
    case.outcome.check(&chosen, case.iterations)
}

impl Frequencies {
    fn check(&self, chosen: &BTreeMap<ServerAddress, u32>, times: u32) -> Result<(), String> {
        if let Some(stranger) = chosen
            .keys()
            .find(|address| !self.expected_frequencies.contains_key(address))
        {
            return Err(format!("{stranger} was chosen and is not expected"));
        }
        for (address, expected) in &self.expected_frequencies {
            let found = f64::from(chosen.get(address).copied().unwrap_or(0)) / f64::from(times);
            // What is certain bears no tolerance.
            let tolerance = match *expected {
                0.0 | 1.0 => 0.0,
                _ => self.tolerance,
            };
            if (found - expected).abs() > tolerance {
                return Err(format!(
                    "{address}: expected a share of {expected} (± {tolerance}), found {found}"
                ));
            }
        }
        Ok(())
    }
}

/// A case of the moving average.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rtt {
    #[serde(rename = "description")]
    _description: Option<String>,
    avg_rtt_ms: Value,
    new_rtt_ms: f64,
    new_avg_rtt: f64,
}

fn check_rtt(json: &Value) -> Result<(), String> {
    /// Times are kept to the nanosecond.
    const TOLERANCE_MS: f64 = 1e-5;
    let case: Rtt = parse(json)?;
    let mut times = RoundTripTimes::new();
    match &case.avg_rtt_ms {
        Value::String(text) if text == "NULL" => {}
        Value::Null => {}
        average => {
            let average = average.as_f64().ok_or("avg_rtt_ms is not a number")?;
            times.record(from_millis(average)?);
        }
    }
    times.record(from_millis(case.new_rtt_ms)?);
    let found = times.average().ok_or("there is no average")?;
    let found = found.as_secs_f64() * 1e3;
    if (found - case.new_avg_rtt).abs() > TOLERANCE_MS {
        return Err(format!(
            "expected an average of {} ms, found {found} ms",
            case.new_avg_rtt
        ));
    }
    Ok(())
}

/// Evenly distributed numbers, the same in each run, so that a case's outcome is too (SplitMix64).
struct Random(u64);

impl Random {
    fn new() -> Self {
        Self(0)
    }

    fn pair(&mut self) -> [u32; 2] {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let [a, b, c, d, e, f, g, h] = mixed.to_le_bytes();
        [
            u32::from_le_bytes([a, b, c, d]),
            u32::from_le_bytes([e, f, g, h]),
        ]
    }
}
