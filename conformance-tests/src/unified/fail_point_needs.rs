//! What the fail points of a case need of the servers, where its requirements leave that unsaid.

use bson::{Bson, Document};

use super::file::{Test, Version};

/// Why the fail points of a case cannot work on servers of that version.
pub fn objection(test: &Test, version: Version) -> Option<String> {
    test.operations.iter().find_map(|operation| {
        let fail_point = operation.arguments.get_document("failPoint").ok()?;
        objection_to(fail_point, version)
    })
}

/// The same for the command that sets a fail point.
pub fn objection_to(fail_point: &Document, version: Version) -> Option<String> {
    let data = fail_point.get_document("data").ok()?;
    let (least, what) = if data.contains_key("appName") && fails_greetings(data) {
        // By the specifications' cases, which name SERVER-49336.
        (
            [4, 4, 7],
            "for fail points that know whose first hello it is",
        )
    } else if data.contains_key("blockConnection") {
        ([4, 2, 9], "for fail points that hold a command back")
    } else {
        return None;
    };
    let least = Version::from(least);
    (version < least).then(|| format!("needs server {least} or later {what}, has {version}"))
}

fn fails_greetings(data: &Document) -> bool {
    data.get_array("failCommands").is_ok_and(|commands| {
        let mut names = commands.iter().filter_map(Bson::as_str);
        names.any(|name| ["hello", "isMaster"].contains(&name))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::unified::file::TestFile;

    fn objection_to(data: &Value, version: &str) -> Option<String> {
        let arguments = json!({
            "failPoint": { "configureFailPoint": "failCommand", "data": data },
        });
        let file = TestFile::parse(&json!({
            "description": "d",
            "schemaVersion": "1.9",
            "tests": [{ "description": "t", "operations": [
                { "name": "failPoint", "object": "testRunner", "arguments": arguments },
            ] }],
        }));
        objection(&file.unwrap().tests[0], version.parse().unwrap())
    }

    #[test]
    fn fail_points_that_older_servers_lack_are_named() {
        let waiting = json!({ "failCommands": ["find"], "blockConnection": true });
        let why = objection_to(&waiting, "4.2.6").unwrap();
        let expected =
            "needs server 4.2.9 or later for fail points that hold a command back, has 4.2.6";
        assert_eq!(why, expected);
        assert_eq!(objection_to(&waiting, "4.2.9"), None);
        let greeting = |name: &str| json!({ "failCommands": ["insert", name], "appName": "a" });
        for name in ["hello", "isMaster"] {
            assert!(objection_to(&greeting(name), "4.4.6").is_some());
            assert_eq!(objection_to(&greeting(name), "4.4.7"), None);
        }
        assert_eq!(objection_to(&greeting("find"), "4.2.6"), None);
    }
}
