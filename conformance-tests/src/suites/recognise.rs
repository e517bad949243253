//! Tells the suite of a JSON file, by its content first and by its path where that is not enough.
//!
//! Content comes first because files may be copied anywhere. Only the suites whose cases are a URI
//! and what it means look alike; there the path decides when it names the specification.

use std::path::{Component, Path};

use serde_json::Value;

use super::Suite;

const SPECIFICATIONS: [&str; 32] = [
    "auth",
    "bson-binary-vector",
    "bson-corpus",
    "causal-consistency",
    "change-streams",
    "client-backpressure",
    "client-side-encryption",
    "client-side-operations-timeout",
    "collection-management",
    "command-logging-and-monitoring",
    "connection-monitoring-and-pooling",
    "connection-string",
    "crud",
    "gridfs",
    "index-management",
    "initial-dns-seedlist-discovery",
    "load-balancers",
    "max-staleness",
    "mongodb-handshake",
    "open-telemetry",
    "read-write-concern",
    "retryable-reads",
    "retryable-writes",
    "run-command",
    "server-discovery-and-monitoring",
    "server-selection",
    "sessions",
    "transactions",
    "transactions-convenient-api",
    "unified-test-format",
    "uri-options",
    "versioned-api",
];

/// True for the folder names of the driver specifications that have tests.
pub(crate) fn is_specification(folder: &str) -> bool {
    SPECIFICATIONS.contains(&folder)
}

/// True for JSON that lies among the tests and is none: a JSON schema or a list of files.
pub(crate) fn is_companion(json: &Value) -> bool {
    json.get("$schema").is_some() || json.get("files").is_some_and(Value::is_array)
}

/// The suite that a file belongs to, if any.
pub(crate) fn recognise(path: &Path, json: &Value) -> Option<Suite> {
    let shape = by_shape(json);
    if shape.is_none() && is_in_folder(path, "invalid") {
        return Some(Suite::UnifiedInvalid);
    }
    if json.get("schemaVersion").is_some() {
        return Some(Suite::Unified(specification(path)));
    }
    shape
        .or_else(|| by_path(path))
        .or_else(|| json["tests"].as_array().and_then(|tests| uri_suite(tests)))
}

/// True when the folder that holds the file has that name.
fn is_in_folder(path: &Path, name: &str) -> bool {
    let folder = path.parent().and_then(Path::file_name);
    folder.is_some_and(|folder| folder == name)
}

fn by_shape(json: &Value) -> Option<Suite> {
    let has = |key: &str| json.get(key).is_some();
    if has("bson_type") {
        Some(Suite::BsonCorpus)
    } else if has("phases") {
        Some(Suite::Sdam)
    } else if has("iterations") && has("mocked_topology_state") {
        Some(Suite::InWindow)
    } else if has("avg_rtt_ms") && has("new_rtt_ms") {
        Some(Suite::Rtt)
    } else if has("topology_description") && has("operation") {
        Some(Suite::ServerSelection)
    } else if has("topology_description") {
        Some(Suite::MaxStaleness)
    } else if has("style") && has("operations") {
        Some(Suite::Cmap)
    } else if has("test_key") && has("tests") {
        Some(Suite::BsonBinaryVector)
    } else if is_disclosure(json) {
        Some(Suite::CredentialDisclosure)
    } else if has("uri") && (has("hosts") || has("seeds") || has("numSeeds")) {
        Some(Suite::DnsSeedlist)
    } else {
        None
    }
}

/// Alone among the lists of URIs, those that must not be shown do not say which are valid.
fn is_disclosure(json: &Value) -> bool {
    json["tests"].as_array().is_some_and(|tests| {
        let is_bare = |test: &Value| test.get("uri").is_some() && test.get("valid").is_none();
        !tests.is_empty() && tests.iter().all(is_bare)
    })
}

fn by_path(path: &Path) -> Option<Suite> {
    let has = |folder: &str| {
        path.components()
            .any(|part| part == Component::Normal(folder.as_ref()))
    };
    if has("connection-string") && has("read-write-concern") {
        Some(Suite::ReadWriteConcernUri)
    } else if has("document") && has("read-write-concern") {
        Some(Suite::ReadWriteConcernDocument)
    } else if has("connection-string") {
        Some(Suite::ConnectionString)
    } else if has("uri-options") {
        Some(Suite::UriOptions)
    } else if has("auth") && has("legacy") {
        Some(Suite::AuthUri)
    } else if has("unified") || has("unified-test-format") {
        Some(Suite::Unified(specification(path)))
    } else {
        None
    }
}

/// The specification that a path names; the format's own where it names none.
fn specification(path: &Path) -> &'static str {
    let mut parts = path.components().rev();
    parts
        .find_map(|part| {
            SPECIFICATIONS
                .into_iter()
                .find(|name| part == Component::Normal(name.as_ref()))
        })
        .unwrap_or("unified-test-format")
}

/// The suite of a list of URI cases: the members that any of them has tell it.
fn uri_suite(tests: &[Value]) -> Option<Suite> {
    let any_has = |key: &str| tests.iter().any(|test| test.get(key).is_some());
    if any_has("readConcernDocument") || any_has("writeConcernDocument") {
        Some(Suite::ReadWriteConcernDocument)
    } else if !any_has("uri") {
        None
    } else if any_has("credential") {
        Some(Suite::AuthUri)
    } else if any_has("readConcern") || any_has("writeConcern") {
        Some(Suite::ReadWriteConcernUri)
    } else {
        Some(Suite::ConnectionString)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn suite(path: &str, json: &Value) -> Option<Suite> {
        recognise(Path::new(path), json)
    }

    #[test]
    fn content_tells_the_suite_of_a_file_in_any_folder() {
        let uri_case =
            |key: &str| json!({ "tests": [{ "uri": "mongodb://a", "valid": true, key: {} }] });
        for (json, expected) in [
            (uri_case("credential"), Suite::AuthUri),
            (uri_case("writeConcern"), Suite::ReadWriteConcernUri),
            (uri_case("options"), Suite::ConnectionString),
            (
                json!({ "tests": [{ "description": "d", "uri": "mongodb://a:SENTINEL" }] }),
                Suite::CredentialDisclosure,
            ),
            (
                json!({ "tests": [{ "readConcernDocument": {} }] }),
                Suite::ReadWriteConcernDocument,
            ),
            (json!({ "uri": "mongodb://a", "phases": [] }), Suite::Sdam),
            (
                json!({ "topology_description": {}, "operation": "read" }),
                Suite::ServerSelection,
            ),
            (
                json!({ "topology_description": {}, "error": true }),
                Suite::MaxStaleness,
            ),
            (json!({ "style": "unit", "operations": [] }), Suite::Cmap),
            (
                json!({ "schemaVersion": "1.0", "tests": [] }),
                Suite::Unified("unified-test-format"),
            ),
        ] {
            assert_eq!(suite("/tmp/held/x.json", &json), Some(expected), "{json}");
        }
        assert_eq!(suite("/tmp/held/x.json", &json!({ "a": 1 })), None);
    }

    #[test]
    fn files_that_break_the_unified_format_are_known_by_their_folder() {
        for json in [json!({ "schemaVersion": 1 }), json!({ "tests": [] })] {
            let found = suite("/tmp/held/invalid/x.json", &json);
            assert_eq!(found, Some(Suite::UnifiedInvalid), "{json}");
        }
        let other = json!({ "bson_type": "0x01" });
        assert_eq!(
            suite("/tmp/held/invalid/x.json", &other),
            Some(Suite::BsonCorpus)
        );
    }

    #[test]
    fn the_path_decides_between_suites_of_one_shape() {
        let unified = json!({ "schemaVersion": "1.0", "tests": [] });
        assert_eq!(
            suite("s/crud/tests/unified/x.json", &unified),
            Some(Suite::Unified("crud"))
        );
        let json = json!({ "tests": [{ "uri": "mongodb://a", "valid": true, "options": {} }] });
        for (path, expected) in [
            ("s/uri-options/tests/x.json", Suite::UriOptions),
            ("s/connection-string/tests/x.json", Suite::ConnectionString),
            (
                "s/read-write-concern/tests/connection-string/x.json",
                Suite::ReadWriteConcernUri,
            ),
            ("s/auth/tests/legacy/x.json", Suite::AuthUri),
        ] {
            assert_eq!(suite(path, &json), Some(expected), "{path}");
        }
    }
}
