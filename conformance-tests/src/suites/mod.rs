//! The spec suites: which one a file belongs to, and who expands it into cases.

mod bson_corpus;
mod bson_vector;
mod cmap;
mod recognise;
mod sdam;
mod selection;
mod uri;

use std::collections::HashMap;

use crate::case::Case;
use crate::spec_files::SpecFile;
use crate::unified;

pub(crate) use recognise::{is_companion, is_specification, recognise};

/// A format of spec tests, named after the folder of the specification that defines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suite {
    /// `connection-string`: hosts, credentials and options of a URI.
    ConnectionString,
    /// `connection-string/tests/credential-disclosure`: what errors and output show of a URI.
    CredentialDisclosure,
    /// `uri-options`: the options of a URI.
    UriOptions,
    /// `auth/tests/legacy`: the credential that a URI describes.
    AuthUri,
    /// `read-write-concern/tests/connection-string`: the concerns that a URI describes.
    ReadWriteConcernUri,
    /// `read-write-concern/tests/document`: concerns as command documents.
    ReadWriteConcernDocument,
    /// `server-discovery-and-monitoring`: phases of server replies and the topology after each.
    Sdam,
    /// `server-selection/tests/server_selection`: suitable servers of a topology.
    ServerSelection,
    /// `server-selection/tests/in_window`: the choice by operation counts.
    InWindow,
    /// `server-selection/tests/rtt`: the moving average of round-trip times.
    Rtt,
    /// `max-staleness`: suitable servers by replication lag.
    MaxStaleness,
    /// `bson-corpus`: BSON and Extended JSON, there and back.
    BsonCorpus,
    /// `bson-binary-vector`: packed vectors in binary values.
    BsonBinaryVector,
    /// `connection-monitoring-and-pooling/tests/cmap-format`: operations on one pool.
    Cmap,
    /// `initial-dns-seedlist-discovery`: what `mongodb+srv` URIs resolve to.
    DnsSeedlist,
    /// The unified test format, which most live suites share; with the name of the specification.
    Unified(&'static str),
    /// `unified-test-format/tests/invalid`: files that the format's schema must refuse.
    UnifiedInvalid,
}

/// Expands one file of a suite into its cases.
type Expand = fn(&SpecFile) -> Vec<Case>;

/// Who runs a suite.
enum Runner {
    /// The suite's cases are run.
    Runs(Expand),
    /// The suite is known and not run by this release; each of its cases is reported as skipped.
    NotYet(&'static str),
}

fn runner(suite: Suite) -> Runner {
    match suite {
        Suite::ConnectionString
        | Suite::CredentialDisclosure
        | Suite::UriOptions
        | Suite::AuthUri
        | Suite::ReadWriteConcernUri
        | Suite::ReadWriteConcernDocument => Runner::Runs(uri::cases),
        Suite::Sdam => Runner::Runs(sdam::cases),
        Suite::ServerSelection | Suite::InWindow | Suite::Rtt | Suite::MaxStaleness => {
            Runner::Runs(selection::cases)
        }
        Suite::Cmap => Runner::Runs(cmap::cases),
        Suite::BsonCorpus => Runner::Runs(bson_corpus::cases),
        Suite::BsonBinaryVector => Runner::Runs(bson_vector::cases),
        Suite::DnsSeedlist => Runner::NotYet("SRV resolution is not part of this release"),
        Suite::Unified(specification) => unified_runner(specification),
        Suite::UnifiedInvalid => Runner::Runs(unified::schema::invalid_cases),
    }
}

/// How far the unified cases of a specification are part of this release.
fn unified_runner(specification: &str) -> Runner {
    match specification {
        "client-side-encryption" => {
            Runner::NotYet("client-side encryption is not part of this release")
        }
        "open-telemetry" => Runner::NotYet("tracing spans are not part of this release"),
        // Their cases are of this release as far as they need nothing of the next one.
        "client-side-operations-timeout"
        | "load-balancers"
        | "retryable-reads"
        | "retryable-writes"
        | "server-discovery-and-monitoring"
        | "server-selection" => Runner::Runs(unified::possible_cases),
        _ => Runner::Runs(unified::cases),
    }
}

impl Suite {
    /// True when the test binary runs the suite's cases one by one.
    pub fn is_run(self) -> bool {
        !matches!(runner(self), Runner::NotYet(_))
    }

    /// The folder of the specification that the suite is of.
    pub fn specification(self) -> &'static str {
        match self {
            Self::ConnectionString | Self::CredentialDisclosure => "connection-string",
            Self::UriOptions => "uri-options",
            Self::AuthUri => "auth",
            Self::ReadWriteConcernUri | Self::ReadWriteConcernDocument => "read-write-concern",
            Self::Sdam => "server-discovery-and-monitoring",
            Self::ServerSelection | Self::InWindow | Self::Rtt => "server-selection",
            Self::MaxStaleness => "max-staleness",
            Self::BsonCorpus => "bson-corpus",
            Self::BsonBinaryVector => "bson-binary-vector",
            Self::Cmap => "connection-monitoring-and-pooling",
            Self::DnsSeedlist => "initial-dns-seedlist-discovery",
            Self::Unified(specification) => specification,
            Self::UnifiedInvalid => "unified-test-format",
        }
    }

    /// True when a case goes through the public interface of one of the drivers, so that it is
    /// run with each.
    pub fn is_of_driver(self) -> bool {
        matches!(self, Self::Unified(_))
    }

    /// True when a case needs no server and gives the same outcome each time.
    pub fn is_pure(self) -> bool {
        !matches!(self, Self::Cmap | Self::Unified(_) | Self::DnsSeedlist)
    }
}

/// The cases of a file, with names that are unique within it; never none.
pub fn cases(file: &SpecFile) -> Vec<Case> {
    let mut cases = match runner(file.suite) {
        Runner::Runs(expand) => expand(file),
        Runner::NotYet(reason) => descriptions(file)
            .into_iter()
            .map(|description| Case::skipping(file, description, reason))
            .collect(),
    };
    if cases.is_empty() {
        cases.push(Case::failing(file, "all", "the file holds no case"));
    }
    tell_apart(&mut cases);
    cases
}

/// The descriptions in a file's `tests`; the file's own where it holds a single case.
fn descriptions(file: &SpecFile) -> Vec<String> {
    let own = || {
        file.json["description"]
            .as_str()
            .unwrap_or("all")
            .to_owned()
    };
    let Some(tests) = file.json["tests"].as_array() else {
        return vec![own()];
    };
    tests
        .iter()
        .map(|test| test["description"].as_str().map_or_else(own, str::to_owned))
        .collect()
}

fn tell_apart(cases: &mut [Case]) {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for case in cases {
        let nth = seen.entry(case.name()).or_insert(0);
        *nth += 1;
        if *nth > 1 {
            case.mark_repetition(*nth);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn repeated_descriptions_get_names_of_their_own() {
        let file = SpecFile {
            suite: Suite::DnsSeedlist,
            path: "x.json".into(),
            name: "x.json".to_owned(),
            json: json!({ "tests": [{ "description": "a" }, { "description": "a" }] }),
        };
        let names: Vec<_> = cases(&file).iter().map(Case::name).collect();
        assert_eq!(names, ["x.json: a", "x.json: a #2"]);
    }
}
