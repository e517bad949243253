//! What the fail points of a case need of the servers, where its requirements leave that unsaid.

use bson::{Bson, Document};

use super::file::{Operation, Test, Version};

/// Why the fail points of a case cannot work on servers of that version. Behind stand-ins, routers
/// are told apart by the name of the application alone.
pub fn objection(test: &Test, version: Version, behind_stand_ins: bool) -> Option<String> {
    test.operations.iter().find_map(|operation| {
        let fail_point = operation.arguments.get_document("failPoint").ok()?;
        let data = fail_point.get_document("data").ok()?;
        let (least, what) = if data.contains_key("blockConnection") {
            ([4, 2, 9], "for fail points that hold a command back")
        } else if behind_stand_ins && is_of_one_routers_connections(operation, data) {
            ([4, 4, 0], "for fail points of one application alone")
        } else {
            return None;
        };
        let least = Version::from(least);
        (version < least).then(|| format!("needs server {least} or later {what}, has {version}"))
    })
}

/// Whether the fail point keeps clients from connecting to one router, and must leave others alone.
fn is_of_one_routers_connections(operation: &Operation, data: &Document) -> bool {
    let hits_greetings = data.get_array("failCommands").is_ok_and(|commands| {
        let mut names = commands.iter().filter_map(Bson::as_str);
        names.any(|name| ["hello", "isMaster"].contains(&name))
    });
    operation.name == "targetedFailPoint" && hits_greetings
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::unified::file::TestFile;

    fn objection_to(name: &str, data: &Value, version: &str) -> Option<String> {
        let arguments = json!({
            "failPoint": { "configureFailPoint": "failCommand", "data": data },
        });
        let operation = json!({ "name": name, "object": "testRunner", "arguments": arguments });
        let file = TestFile::parse(&json!({
            "description": "d",
            "schemaVersion": "1.9",
            "tests": [{ "description": "t", "operations": [operation] }],
        }));
        let file = file.unwrap();
        objection(&file.tests[0], version.parse().unwrap(), true)
    }

    #[test]
    fn fail_points_that_older_servers_lack_are_named() {
        let waiting = json!({ "failCommands": ["find"], "blockConnection": true });
        let why = objection_to("failPoint", &waiting, "4.2.6").unwrap();
        let expected =
            "needs server 4.2.9 or later for fail points that hold a command back, has 4.2.6";
        assert_eq!(why, expected);
        assert_eq!(objection_to("failPoint", &waiting, "4.2.9"), None);
        let greeting = json!({ "failCommands": ["insert", "hello"], "appName": "a" });
        assert!(objection_to("targetedFailPoint", &greeting, "4.2.9").is_some());
        assert_eq!(objection_to("targetedFailPoint", &greeting, "4.4.0"), None);
        assert_eq!(objection_to("failPoint", &greeting, "4.2.9"), None);
    }
}
