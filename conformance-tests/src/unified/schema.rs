//! The format's own JSON schema, which lies among the specifications' tests.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jsonschema::Validator;
use serde_json::Value;

use crate::case::Case;
use crate::spec_files::{self, SpecFile, SpecFolder};

const SCHEMA: &str = "unified-test-format/schema-latest.json";

/// The one case of a file that breaks the format: the schema must refuse it.
pub fn invalid_cases(file: &SpecFile) -> Vec<Case> {
    let description = file.json["description"]
        .as_str()
        .unwrap_or("all")
        .to_owned();
    let (path, json) = (file.path.clone(), file.json.clone());
    vec![Case::check(file, description, move || {
        match schema_for(&path)?.validate(&json) {
            Err(_) => Ok(()),
            Ok(()) => Err("the schema should refuse the file, and accepts it".to_owned()),
        }
    })]
}

/// Fails when a file breaks the format's schema.
///
/// # Errors
///
/// The text says what the schema refuses and where; or that there is no schema.
pub fn validate(file: &SpecFile) -> Result<(), String> {
    schema_for(&file.path)?
        .validate(&file.json)
        .map_err(|error| format!("{}: at {}: {error}", file.name, error.instance_path()))
}

/// The schema that lies in the same folder of tests as the file, or in the one that the run uses.
fn schema_for(file: &Path) -> Result<Arc<Validator>, String> {
    static READ: Mutex<BTreeMap<PathBuf, Arc<Validator>>> = Mutex::new(BTreeMap::new());
    let beside = file.ancestors().map(|folder| folder.join(SCHEMA));
    let of_run = match spec_files::spec_folder() {
        SpecFolder::Found(folder) => Some(folder.join(SCHEMA)),
        SpecFolder::Absent(_) | SpecFolder::Misnamed(_) => None,
    };
    let path = beside
        .chain(of_run)
        .find(|path| path.is_file())
        .ok_or_else(|| format!("there is no {SCHEMA} among the specifications' tests"))?;
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(schema) = read.get(&path) {
        return Ok(Arc::clone(schema));
    }
    let schema = Arc::new(read_schema(&path).map_err(|why| format!("{}: {why}", path.display()))?);
    read.insert(path, Arc::clone(&schema));
    Ok(schema)
}

fn read_schema(path: &Path) -> Result<Validator, String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let schema: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    jsonschema::validator_for(&schema).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::case::{Context, Flavor, Outcome};
    use crate::deployments::Deployments;
    use crate::suites::Suite;

    const STRICT: &str = r#"{
        "$schema": "https://json-schema.org/draft/2019-09/schema#",
        "type": "object", "required": ["tests"], "additionalProperties": false,
        "properties": { "tests": { "type": "array", "minItems": 1 } }
    }"#;

    fn file(folder: &Path, json: Value) -> SpecFile {
        SpecFile {
            suite: Suite::UnifiedInvalid,
            path: folder.join("unified-test-format/tests/invalid/x.json"),
            name: "x.json".to_owned(),
            json,
        }
    }

    #[test]
    fn a_file_is_held_against_the_schema_that_lies_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let schema = folder.path().join(SCHEMA);
        fs::create_dir_all(schema.parent().unwrap()).unwrap();
        fs::write(&schema, STRICT).unwrap();
        let context = Context {
            flavor: Flavor::Async,
            deployments: Deployments::unstarted(),
        };
        let outcome = |json| {
            let mut cases = invalid_cases(&file(folder.path(), json));
            cases.remove(0).run(&context)
        };
        let (good, bad) = (json!({ "tests": [1] }), json!({ "tests": [] }));
        assert_eq!(outcome(bad.clone()), Outcome::Passed);
        assert!(matches!(outcome(good.clone()), Outcome::Failed(_)));
        assert_eq!(validate(&file(folder.path(), good)), Ok(()));
        let error = validate(&file(folder.path(), bad)).unwrap_err();
        assert!(error.starts_with("x.json: at /tests: "), "{error}");
    }
}
