//! Discovery and monitoring: phases of server replies and errors, and the topology after each.
//!
//! Each case is fed to the driver's own reducer. What a client adds to it is modelled here: a
//! pool is its generation alone, which grows whenever the driver decides to clear the pool.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::time::Instant;

use bson::oid::ObjectId;
use bson::{Bson, RawDocumentBuf};
use motorcade::error::Error;
use motorcade::event::sdam::{SdamEvent, ServerDescription, TopologyDescription};
use motorcade::internal::hello::HelloReply;
use motorcade::internal::topology::error_rules::{self, ErrorDecision, ServerError};
use motorcade::internal::topology::{Effects, TopologySeed};
use motorcade::options::{ClientOptions, ConnectionString, ServerAddress};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::case::Case;
use crate::spec_files::SpecFile;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Test {
    description: String,
    uri: String,
    phases: Vec<Phase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Phase {
    description: Option<String>,
    #[serde(default)]
    responses: Vec<(String, Value)>,
    #[serde(default)]
    application_errors: Vec<ApplicationError>,
    outcome: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ApplicationError {
    address: String,
    generation: Option<u32>,
    max_wire_version: i32,
    when: When,
    #[serde(rename = "type")]
    kind: ErrorType,
    response: Option<Value>,
}

#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "camelCase")]
enum When {
    BeforeHandshakeCompletes,
    AfterHandshakeCompletes,
}

#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "lowercase")]
enum ErrorType {
    Command,
    Network,
    Timeout,
}

/// Every file is one case.
pub(crate) fn cases(file: &SpecFile) -> Vec<Case> {
    let case = match Test::deserialize(&file.json) {
        Ok(test) => Case::check(file, test.description.clone(), move || check(&test)),
        Err(error) => Case::failing(file, "all", error.to_string()),
    };
    vec![case]
}

fn check(test: &Test) -> Result<(), String> {
    let mut client = Client::new(&test.uri)?;
    for (at, phase) in test.phases.iter().enumerate() {
        client
            .run(phase)
            .map_err(|error| match &phase.description {
                Some(description) => format!("phase {at} ({description}): {error}"),
                None => format!("phase {at}: {error}"),
            })?;
    }
    Ok(())
}

/// The parts of a client that discovery concerns.
struct Client {
    id: ObjectId,
    topology: TopologyDescription,
    load_balanced: bool,
    generations: BTreeMap<ServerAddress, u32>,
    events: Vec<SdamEvent>,
}

impl Client {
    fn new(uri: &str) -> Result<Self, String> {
        let options = ConnectionString::parse(uri)
            .and_then(ClientOptions::from_connection_string)
            .map_err(|error| error.to_string())?;
        let seed = TopologySeed::from(&options);
        let topology = TopologyDescription::new(&seed);
        let id = ObjectId::new();
        let mut client = Self {
            id,
            events: topology.opening_events(id, &seed),
            topology,
            load_balanced: seed.load_balanced,
            generations: BTreeMap::new(),
        };
        if seed.load_balanced {
            for address in seed.addresses {
                client.apply(ServerDescription::load_balancer(address))?;
            }
        }
        Ok(client)
    }

    fn run(&mut self, phase: &Phase) -> Result<(), String> {
        for (address, response) in &phase.responses {
            self.respond(parse_address(address)?, response)?;
        }
        for error in &phase.application_errors {
            self.fail(error)?;
        }
        let found = serde_json::to_value(&self.topology).map_err(|error| error.to_string())?;
        for (key, expected) in &phase.outcome {
            match key.as_str() {
                "events" => self.check_events(expected)?,
                "servers" => self.check_servers(expected)?,
                "topologyType"
                | "setName"
                | "logicalSessionTimeoutMinutes"
                | "compatible"
                | "maxSetVersion"
                | "maxElectionId" => same(key, expected, &found)?,
                _ => return Err(format!("unknown member {key} of outcome")),
            }
        }
        self.events.clear();
        Ok(())
    }

    /// A server's reply to its monitor; the empty document stands for a failed connection.
    fn respond(&mut self, address: ServerAddress, response: &Value) -> Result<(), String> {
        let now = Instant::now();
        let reply = raw(response)?;
        let failure = if reply.is_empty() {
            Some(lost_connection())
        } else {
            error_rules::told_by(&reply)
        };
        if let Some(error) = failure {
            let server = ServerDescription::from_error(address.clone(), error, now);
            if self.apply(server)?.applied {
                self.clear_pool(address);
            }
            return Ok(());
        }
        let reply = HelloReply::parse(&reply).map_err(|error| error.to_string())?;
        self.apply(ServerDescription::from_hello(address, &reply, None, now))?;
        Ok(())
    }

    /// An error that an application's operation met.
    fn fail(&mut self, failure: &ApplicationError) -> Result<(), String> {
        let address = parse_address(&failure.address)?;
        let Some(error) = failure.error()? else {
            return Ok(());
        };
        let servers = self.topology.servers();
        let server = servers
            .get(&address)
            .ok_or_else(|| format!("the error's server {address} is not known"))?;
        let generation = self.generation(&address);
        let decision = error_rules::decide(&ServerError {
            error: &error,
            completed_handshake: failure.when == When::AfterHandshakeCompletes,
            error_generation: failure.generation.unwrap_or(generation),
            current_generation: generation,
            max_wire_version: failure.max_wire_version,
            topology_version: server.topology_version(),
            load_balanced: self.load_balanced,
        });
        match decision {
            ErrorDecision::Ignore => {}
            ErrorDecision::ClearService => self.clear_pool(address),
            ErrorDecision::MarkUnknown { clear_pool, .. } => {
                let now = Instant::now();
                let server = ServerDescription::from_error(address.clone(), error, now);
                if self.apply(server)?.applied && clear_pool {
                    self.clear_pool(address);
                }
            }
        }
        Ok(())
    }

    fn apply(&mut self, server: ServerDescription) -> Result<Effects, String> {
        let before = self.topology.clone();
        let effects = self.topology.apply(server);
        for address in &effects.closed {
            self.generations.remove(address);
        }
        self.events
            .extend(effects.events(self.id, &before, &self.topology));
        check_members(&before, &effects, &self.topology)?;
        Ok(effects)
    }

    fn generation(&self, address: &ServerAddress) -> u32 {
        self.generations.get(address).copied().unwrap_or(0)
    }

    fn clear_pool(&mut self, address: ServerAddress) {
        *self.generations.entry(address).or_default() += 1;
    }

    fn check_servers(&self, expected: &Value) -> Result<(), String> {
        let expected = object("servers", expected)?;
        let servers = self.topology.servers();
        let wanted = expected
            .keys()
            .map(|address| parse_address(address))
            .collect::<Result<BTreeSet<_>, _>>()?;
        let found: BTreeSet<_> = servers.keys().map(|address| (*address).clone()).collect();
        if wanted != found {
            return Err(format!("expected servers {wanted:?}, found {found:?}"));
        }
        for (address, expected) in expected {
            let address = parse_address(address)?;
            self.check_server(servers[&address], expected)
                .map_err(|error| format!("{address}: {error}"))?;
        }
        Ok(())
    }

    fn check_server(&self, server: &ServerDescription, expected: &Value) -> Result<(), String> {
        let found = serde_json::to_value(server).map_err(|error| error.to_string())?;
        for (key, expected) in object("server", expected)? {
            match key.as_str() {
                "type"
                | "setName"
                | "setVersion"
                | "electionId"
                | "logicalSessionTimeoutMinutes"
                | "minWireVersion"
                | "maxWireVersion"
                | "topologyVersion" => same(key, expected, &found)?,
                "pool" => {
                    let found = json!({ "generation": self.generation(server.address()) });
                    if *expected != found {
                        return Err(format!("expected pool {expected}, found {found}"));
                    }
                }
                "error" => check_error(expected, &found["error"])?,
                _ => return Err(format!("unknown member {key} of a server")),
            }
        }
        Ok(())
    }

    fn check_events(&self, expected: &Value) -> Result<(), String> {
        let expected = expected.as_array().ok_or("events is not an array")?;
        let names: Vec<_> = self.events.iter().map(name_of).collect();
        if expected.len() != names.len() {
            let wanted: Vec<_> = expected
                .iter()
                .filter_map(|event| event.as_object()?.keys().next())
                .collect();
            return Err(format!("expected events {wanted:?}, found {names:?}"));
        }
        for (at, (expected, found)) in expected.iter().zip(&self.events).enumerate() {
            check_event(expected, found).map_err(|error| format!("event {at}: {error}"))?;
        }
        Ok(())
    }
}

impl ApplicationError {
    /// The error as the driver's layers below hand it over; none when the reply tells of none.
    fn error(&self) -> Result<Option<Error>, String> {
        if (self.kind == ErrorType::Command) != self.response.is_some() {
            return Err("a response belongs to a command error, and to no other".to_owned());
        }
        let error = match (self.kind, &self.response) {
            (_, Some(response)) => return Ok(error_rules::told_by(&raw(response)?)),
            (ErrorType::Timeout, _) => Error::from(io::Error::from(io::ErrorKind::TimedOut)),
            _ => lost_connection(),
        };
        // A connection that fails before or in its hello is what an overloaded server does.
        Ok(Some(match self.when {
            When::BeforeHandshakeCompletes => error_rules::labelled_as_overload(error),
            When::AfterHandshakeCompletes => error,
        }))
    }
}

/// The servers opened and closed must be those that appeared and went.
fn check_members(
    before: &TopologyDescription,
    effects: &Effects,
    after: &TopologyDescription,
) -> Result<(), String> {
    let (before, after) = (before.servers(), after.servers());
    let (before, after) = (addresses(&before), addresses(&after));
    let appeared: BTreeSet<_> = after.difference(&before).cloned().collect();
    let gone: BTreeSet<_> = before.difference(&after).cloned().collect();
    let opened: BTreeSet<_> = effects.opened.iter().cloned().collect();
    let closed: BTreeSet<_> = effects.closed.iter().cloned().collect();
    if opened != appeared || closed != gone {
        return Err(format!(
            "opened {opened:?} and closed {closed:?}, but {appeared:?} appeared and {gone:?} went"
        ));
    }
    Ok(())
}

fn addresses(servers: &HashMap<&ServerAddress, &ServerDescription>) -> BTreeSet<ServerAddress> {
    servers.keys().map(|address| (*address).clone()).collect()
}

fn check_event(expected: &Value, found: &SdamEvent) -> Result<(), String> {
    let expected = object("event", expected)?;
    let (name, body) = match expected.iter().collect::<Vec<_>>()[..] {
        [(name, body)] => (name, object(name, body)?),
        _ => return Err("an event has one name".to_owned()),
    };
    if name != name_of(found) {
        return Err(format!("expected {name}, found {}", name_of(found)));
    }
    let found = serde_json::to_value(found).map_err(|error| error.to_string())?;
    for (key, expected) in body {
        match key.as_str() {
            // The file's number stands for whatever identifies the topology.
            "topologyId" => {}
            "address" => same(key, expected, &found)?,
            "previousDescription" | "newDescription" => {
                check_description(expected, &found[key])
                    .map_err(|error| format!("{key}: {error}"))?;
            }
            _ => return Err(format!("unknown member {key} of {name}")),
        }
    }
    Ok(())
}

/// Compares a topology's or server's description in an event with the file's.
fn check_description(expected: &Value, found: &Value) -> Result<(), String> {
    let expected = object("description", expected)?;
    // These are always written when they are there, so their absence counts too.
    for key in ["setName", "primary"] {
        if !expected.contains_key(key) {
            same(key, &Value::Null, found)?;
        }
    }
    for (key, expected) in expected {
        match key.as_str() {
            "servers" => check_described_servers(expected, &found[key])?,
            "topologyType" | "setName" | "primary" | "address" | "arbiters" | "hosts"
            | "passives" | "type" => same(key, expected, found)?,
            _ => return Err(format!("unknown member {key} of a description")),
        }
    }
    Ok(())
}

fn check_described_servers(expected: &Value, found: &Value) -> Result<(), String> {
    let (Some(expected), Some(found)) = (expected.as_array(), found.as_array()) else {
        return Err("servers is not an array".to_owned());
    };
    if expected.len() != found.len() {
        return Err(format!("expected servers {expected:?}, found {found:?}"));
    }
    for expected in expected {
        let address = &expected["address"];
        let found = found
            .iter()
            .find(|found| found["address"] == *address)
            .ok_or_else(|| format!("there is no server {address}"))?;
        check_description(expected, found).map_err(|error| format!("{address}: {error}"))?;
    }
    Ok(())
}

fn name_of(event: &SdamEvent) -> &'static str {
    match event {
        SdamEvent::TopologyOpening(_) => "topology_opening_event",
        SdamEvent::TopologyClosed(_) => "topology_closed_event",
        SdamEvent::TopologyDescriptionChanged(_) => "topology_description_changed_event",
        SdamEvent::ServerOpening(_) => "server_opening_event",
        SdamEvent::ServerClosed(_) => "server_closed_event",
        SdamEvent::ServerDescriptionChanged(_) => "server_description_changed_event",
        _ => "an event of another kind",
    }
}

fn check_error(expected: &Value, found: &Value) -> Result<(), String> {
    let holds = match (expected.as_str(), found.as_str()) {
        (Some(expected), Some(found)) => found.contains(expected),
        (None, None) => expected.is_null(),
        _ => false,
    };
    if holds {
        Ok(())
    } else {
        Err(format!("expected an error with {expected}, found {found}"))
    }
}

/// Null in the file stands for what the driver leaves out.
fn same(key: &str, expected: &Value, found: &Value) -> Result<(), String> {
    let expected = relaxed(expected)?;
    let found = &found[key];
    if expected == *found {
        Ok(())
    } else {
        Err(format!("expected {key} {expected}, found {found}"))
    }
}

/// A value with its 64-bit numbers written plainly, as the driver's own descriptions are.
fn relaxed(value: &Value) -> Result<Value, String> {
    let value = Bson::try_from(value.clone()).map_err(|error| error.to_string())?;
    Ok(value.into_relaxed_extjson())
}

fn raw(value: &Value) -> Result<RawDocumentBuf, String> {
    let value = Bson::try_from(value.clone()).map_err(|error| error.to_string())?;
    let document = value.as_document().ok_or("a response is not a document")?;
    RawDocumentBuf::try_from(document).map_err(|error| error.to_string())
}

fn object<'a>(what: &str, value: &'a Value) -> Result<&'a Map<String, Value>, String> {
    value
        .as_object()
        .ok_or_else(|| format!("{what} is not an object"))
}

fn parse_address(address: &str) -> Result<ServerAddress, String> {
    ServerAddress::parse(address).map_err(|error| error.to_string())
}

fn lost_connection() -> Error {
    io::Error::from(io::ErrorKind::ConnectionReset).into()
}
