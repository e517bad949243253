//! What cases need that the drivers don't have, told by reading a case before it is run.

use bson::{Bson, Document};
use serde_json::Value;

use super::file::{self, EntityDescription, Operation, Test, TestFile};

/// Why cases with client-side encryption fail.
pub const ENCRYPTION: &str = "the driver has no client-side encryption yet";
/// Why cases that look at tracing spans fail.
pub const TRACING: &str = "the runner does not look at tracing spans (expectTracingMessages) yet";

/// What a case needs and cannot have yet; `None` when it can be run. `json` is the case as it
/// stands in the file: entities that it doesn't name are none of its needs.
pub fn missing(file: &TestFile, test: &Test, json: &Value) -> Option<&'static str> {
    let of_test = (!test.expect_tracing_messages.is_empty()).then_some(TRACING);
    let named = |entity: &&EntityDescription| match entity {
        EntityDescription::Session(_) | EntityDescription::ClientEncryption(_) => {
            names(json, entity.id())
        }
        _ => true,
    };
    of_test
        .or_else(|| {
            file.create_entities
                .iter()
                .filter(named)
                .find_map(of_entity)
        })
        .or_else(|| test.operations.iter().find_map(of_operation))
}

/// Whether a text stands anywhere in a case.
fn names(json: &Value, id: &str) -> bool {
    match json {
        Value::String(text) => text == id,
        Value::Array(values) => values.iter().any(|value| names(value, id)),
        Value::Object(fields) => fields.values().any(|value| names(value, id)),
        _ => false,
    }
}

fn of_entity(entity: &EntityDescription) -> Option<&'static str> {
    match entity {
        EntityDescription::ClientEncryption(_) => Some(ENCRYPTION),
        EntityDescription::Client(client) if client.auto_encrypt_opts.is_some() => Some(ENCRYPTION),
        EntityDescription::Session(_)
        | EntityDescription::Client(_)
        | EntityDescription::Database(_)
        | EntityDescription::Collection(_)
        | EntityDescription::Bucket(_)
        | EntityDescription::Thread(_) => None,
    }
}

fn of_operation(operation: &Operation) -> Option<&'static str> {
    let arguments = &operation.arguments;
    match operation.name.as_str() {
        "withTransaction" => nested(arguments, "callback", |operation| of_operation(&operation)),
        "createEntities" => nested(arguments, "entities", |entity| of_entity(&entity)),
        "runOnThread" => {
            let operation = arguments.get("operation")?.clone();
            of_operation(&file::from_bson(operation).ok()?)
        }
        "loop" => nested(arguments, "operations", |operation| {
            of_operation(&operation)
        }),
        _ => None,
    }
}

fn nested<T: serde::de::DeserializeOwned>(
    arguments: &Document,
    name: &str,
    missing: impl Fn(T) -> Option<&'static str>,
) -> Option<&'static str> {
    let Some(Bson::Array(values)) = arguments.get(name) else {
        return None;
    };
    values
        .iter()
        .filter_map(|value| file::from_bson(value.clone()).ok())
        .find_map(missing)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn missing_in(
        entities: serde_json::Value,
        operation: serde_json::Value,
    ) -> Option<&'static str> {
        let json = json!({
            "description": "d",
            "schemaVersion": "1.9",
            "createEntities": entities,
            "tests": [{ "description": "t", "operations": [operation] }],
        });
        let file = TestFile::parse(&json).unwrap();
        missing(&file, &file.tests[0], &json["tests"][0])
    }

    #[test]
    fn what_a_case_needs_is_found_wherever_it_stands() {
        let client = json!([{ "client": { "id": "client0" } }]);
        let find = |arguments| json!({ "name": "find", "object": "c", "arguments": arguments });
        assert_eq!(
            missing_in(client.clone(), find(json!({ "filter": {} }))),
            None
        );
        let create = json!({
            "name": "createEntities",
            "object": "testRunner",
            "arguments": { "entities": [{ "clientEncryption": {
                "id": "e", "clientEncryptionOpts": {},
            } }] },
        });
        let of_thread = json!({
            "name": "runOnThread",
            "object": "testRunner",
            "arguments": { "thread": "t", "operation": create },
        });
        for operation in [of_thread, create] {
            assert_eq!(missing_in(client.clone(), operation), Some(ENCRYPTION));
        }
        let unused = json!([{ "clientEncryption": { "id": "e", "clientEncryptionOpts": {} } }]);
        assert_eq!(missing_in(unused, find(json!({}))), None);
    }
}
