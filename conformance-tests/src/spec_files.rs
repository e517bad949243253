//! Finds the spec tests folder and reads JSON files from it or from anywhere else.

use std::fs;
use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use crate::suites::{self, Suite};

/// One JSON file of a spec suite.
#[derive(Clone, Debug)]
pub struct SpecFile {
    /// The suite whose runner understands the file.
    pub suite: Suite,
    /// Where the file was read from.
    pub path: PathBuf,
    /// How the file is called in case names: its path below the spec folder where that is known.
    pub name: String,
    /// The file's content.
    pub json: Value,
}

/// Where the spec tests are, or why they are not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpecFolder {
    /// The folder exists.
    Found(PathBuf),
    /// Nobody named a folder, and there is none beside the repository.
    Absent(String),
    /// `SPEC_TESTS` names something that is not a folder.
    Misnamed(String),
}

/// Finds the spec tests folder: `SPEC_TESTS`, else `../shared/spec-tests` beside the repository.
pub fn spec_folder() -> SpecFolder {
    let named = std::env::var_os("SPEC_TESTS").filter(|value| !value.is_empty());
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/spec-tests");
    find_folder(named.map(PathBuf::from), &beside)
}

fn find_folder(named: Option<PathBuf>, beside: &Path) -> SpecFolder {
    if let Some(folder) = named {
        return match folder.canonicalize() {
            Ok(folder) if folder.is_dir() => SpecFolder::Found(folder),
            _ => SpecFolder::Misnamed(format!(
                "SPEC_TESTS is set to {}, which is not a folder: set it to the folder that holds \
                 the specifications' tests, or unset it",
                folder.display()
            )),
        };
    }
    match beside.canonicalize() {
        Ok(folder) if folder.is_dir() => SpecFolder::Found(folder),
        _ => SpecFolder::Absent(format!(
            "the specifications' tests are absent: neither is SPEC_TESTS set, nor is there a \
             folder {}",
            beside.display()
        )),
    }
}

/// All JSON files at `path`, which is a file or a folder, in a stable order.
///
/// # Errors
///
/// Fails when the path does not exist or cannot be read.
pub fn json_files(path: &Path) -> Result<Vec<PathBuf>, String> {
    let kind = fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
    if !kind.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    walk(path, &mut found)?;
    found.sort();
    Ok(found)
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), String> {
    let describe = |error: std::io::Error| format!("{}: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(describe)? {
        let path = entry.map_err(describe)?.path();
        if path.is_dir() {
            walk(&path, found)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            found.push(path);
        }
    }
    Ok(())
}

/// Reads one file; `None` when it is JSON that accompanies the tests but holds none (a manifest,
/// a JSON schema).
///
/// # Errors
///
/// Fails when the file cannot be read, is not JSON, or is of no suite known.
pub fn read(path: &Path) -> Result<Option<SpecFile>, String> {
    let name = name_of(path);
    let text = fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    let json: Value = serde_json::from_str(&text).map_err(|error| format!("{name}: {error}"))?;
    if suites::is_companion(&json) {
        return Ok(None);
    }
    let suite = suites::recognise(path, &json)
        .ok_or_else(|| format!("{name}: neither the path nor the content tells the spec suite"))?;
    Ok(Some(SpecFile {
        suite,
        path: path.to_owned(),
        name,
        json,
    }))
}

/// The part of a path from the specification's folder on (`uri-options/tests/x.json`), wherever
/// that folder stands; the whole path when no component of it names a specification.
fn name_of(path: &Path) -> String {
    let parts: Vec<&str> = path
        .components()
        .filter_map(|component| match component {
            Component::Normal(part) => part.to_str(),
            _ => None,
        })
        .collect();
    parts
        .windows(2)
        .rposition(|pair| pair[1] == "tests" && suites::is_specification(pair[0]))
        .map_or_else(
            || path.display().to_string(),
            |start| parts[start..].join("/"),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_start_at_the_specification_wherever_it_stands() {
        let name = |path: &str| name_of(Path::new(path));
        assert_eq!(
            name("/tmp/a/uri-options/tests/auth.json"),
            "uri-options/tests/auth.json"
        );
        assert_eq!(
            name("transactions/tests/unified/x.json"),
            "transactions/tests/unified/x.json"
        );
        assert_eq!(name("/tmp/held/x.json"), "/tmp/held/x.json");
    }

    #[test]
    fn a_named_folder_that_is_absent_is_not_replaced_by_another() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let absent = here.join("no such folder");
        assert!(matches!(
            find_folder(Some(absent.clone()), here),
            SpecFolder::Misnamed(_)
        ));
        assert!(matches!(find_folder(None, &absent), SpecFolder::Absent(_)));
        assert!(matches!(find_folder(None, here), SpecFolder::Found(_)));
    }

    #[test]
    fn a_path_that_does_not_exist_is_an_error() {
        let error = json_files(Path::new("/no/such/folder")).unwrap_err();
        assert!(error.starts_with("/no/such/folder: "), "{error}");
    }
}
