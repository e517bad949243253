//! What a file of the unified test format says.
//!
//! Values are read as Extended JSON, canonical or relaxed. A field that the format doesn't have is
//! an error, so that nothing a test demands is passed over in silence.

mod entity;
mod expectation;
mod operation;
mod requirement;

use bson::{Bson, Document};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

pub use entity::{
    BucketEntity, ClientEncryptionEntity, ClientEntity, CollectionEntity, CollectionOptions,
    DatabaseEntity, EntityDescription, ObservedLogs, ObservedTracing, ServerApiDescription,
    SessionEntity, StoredEvents, ThreadEntity,
};
pub use expectation::{
    Awaited, ChangedServer, ChangedTopology, EventType, ExpectedError, ExpectedEvent,
    ExpectedEvents, ExpectedFailed, ExpectedLogMessage, ExpectedLogMessages, ExpectedPoolCleared,
    ExpectedSpan, ExpectedStarted, ExpectedSucceeded, ExpectedTracingMessages, LogComponent,
    LogLevel, NoAssertion, ServerState, TopologyState, WithReason,
};
pub use operation::{Expectation, Operation};
pub use requirement::{Csfle, RunOnRequirement, ServerlessRule, TopologyName, Version};

/// The latest version of the format that this runner knows, as `(major, minor)`.
pub const LATEST_SCHEMA: (u32, u32) = (1, 28);

/// One file of tests.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields carry the format's own names and meaning"
)]
pub struct TestFile {
    pub description: String,
    pub schema_version: String,
    #[serde(default)]
    pub run_on_requirements: Vec<RunOnRequirement>,
    #[serde(default)]
    pub create_entities: Vec<EntityDescription>,
    #[serde(default)]
    pub initial_data: Vec<CollectionData>,
    pub tests: Vec<Test>,
    #[serde(default, rename = "_yamlAnchors")]
    #[expect(dead_code, reason = "it is allowed, and means nothing outside of YAML")]
    yaml_anchors: Option<Bson>,
}

/// One case of a file.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields carry the format's own names and meaning"
)]
pub struct Test {
    pub description: String,
    #[serde(default)]
    pub run_on_requirements: Vec<RunOnRequirement>,
    pub skip_reason: Option<String>,
    pub operations: Vec<Operation>,
    /// An empty list demands nothing.
    #[serde(default)]
    pub expect_events: Vec<ExpectedEvents>,
    #[serde(default)]
    pub expect_log_messages: Vec<ExpectedLogMessages>,
    #[serde(default)]
    pub expect_tracing_messages: Vec<ExpectedTracingMessages>,
    #[serde(default)]
    pub outcome: Vec<CollectionData>,
}

/// The documents of a collection, before a case (`initialData`) or after it (`outcome`).
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields carry the format's own names and meaning"
)]
pub struct CollectionData {
    pub collection_name: String,
    pub database_name: String,
    pub create_options: Option<Document>,
    pub documents: Vec<Document>,
}

impl TestFile {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// Fails when the file is of a version of the format that this runner does not know, or says
    /// something that the format does not have.
    pub fn parse(json: &Value) -> Result<Self, String> {
        check_version(json)?;
        let value = Bson::try_from(json.clone())
            .map_err(|error| format!("the file is not Extended JSON: {error}"))?;
        let file: Self = bson::deserialize_from_bson(value)
            .map_err(|error| format!("the file does not follow the unified format: {error}"))?;
        for test in &file.tests {
            test.check()
                .map_err(|error| format!("test \"{}\": {error}", test.description))?;
        }
        Ok(file)
    }
}

impl Test {
    fn check(&self) -> Result<(), String> {
        operation::check_all(&self.operations)?;
        self.expect_events
            .iter()
            .try_for_each(ExpectedEvents::check)
    }
}

fn check_version(json: &Value) -> Result<(), String> {
    let text = json["schemaVersion"]
        .as_str()
        .ok_or("the file has no schemaVersion")?;
    let version: Version = text.parse()?;
    let (major, minor) = LATEST_SCHEMA;
    if Version::from([1, 0, 0]) <= version && version <= Version::from([major, minor, 0]) {
        return Ok(());
    }
    Err(format!(
        "schemaVersion {text} is not supported: this runner knows 1.0 to {major}.{minor}"
    ))
}

/// Reads a field that may be null, and tells null from absence.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Bson>, D::Error> {
    Bson::deserialize(deserializer).map(Some)
}

/// Reads one structure of the format from arguments of an operation.
///
/// # Errors
///
/// Fails when the value is not such a structure; the text names what is wrong.
pub fn from_bson<T: for<'de> Deserialize<'de>>(value: Bson) -> Result<T, String> {
    bson::deserialize_from_bson(value).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn file(test: Value) -> Value {
        json!({ "description": "d", "schemaVersion": "1.0", "tests": [test] })
    }

    #[test]
    fn a_version_that_is_not_known_is_refused_before_anything_else() {
        for version in ["0.1", "1.29", "2.0"] {
            let json = json!({ "schemaVersion": version, "new": true, "tests": [] });
            let error = TestFile::parse(&json).unwrap_err();
            assert!(error.contains("is not supported"), "{version}: {error}");
        }
        for version in ["1.0", "1", "1.9.3", "1.28"] {
            let json = json!({ "description": "d", "schemaVersion": version, "tests": [] });
            TestFile::parse(&json).unwrap();
        }
    }

    #[test]
    fn an_unknown_field_is_an_error_that_names_it() {
        let error = TestFile::parse(&file(
            json!({ "description": "t", "operations": [], "extra": 1 }),
        ))
        .unwrap_err();
        assert!(error.contains("extra"), "{error}");
    }

    #[test]
    fn an_expected_null_is_not_the_absence_of_an_expectation() {
        let operations = json!([
            { "name": "findOne", "object": "c", "expectResult": null },
            { "name": "findOne", "object": "c" },
            { "name": "findOne", "object": "c", "expectResult": { "$numberLong": "1" } },
        ]);
        let parsed = TestFile::parse(&file(
            json!({ "description": "t", "operations": operations }),
        ))
        .unwrap();
        let results: Vec<_> = parsed.tests[0]
            .operations
            .iter()
            .map(|operation| operation.expect_result.clone())
            .collect();
        assert_eq!(results, [Some(Bson::Null), None, Some(Bson::Int64(1))]);
    }

    #[test]
    fn expectations_that_exclude_each_other_are_refused_wherever_they_stand() {
        let both = json!({
            "name": "find", "object": "c", "expectResult": 1, "expectError": { "isError": true },
        });
        let within = |name: &str, arguments| json!({ "name": name, "object": "testRunner", "arguments": arguments });
        for operation in [
            both.clone(),
            within("runOnThread", json!({ "operation": both })),
            within("loop", json!({ "operations": [both] })),
            within(
                "withTransaction",
                json!({ "callback": [within("loop", json!({ "operations": [both] }))] }),
            ),
        ] {
            let json = file(json!({ "description": "t", "operations": [operation] }));
            let error = TestFile::parse(&json).unwrap_err();
            assert!(error.contains("exclude each other"), "{json}: {error}");
        }
    }
}
