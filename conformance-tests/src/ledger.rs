//! What one driver did in the shared suite, written down, and compared with the other's record.
//!
//! A ledger carries a fingerprint of the sources it was made from. Two ledgers are compared only
//! when their fingerprints agree, so a record from before an edit is never held against a run
//! after it.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

use libtest_mimic::Arguments;
use serde::{Deserialize, Serialize};

use crate::case::{Flavor, Outcome};

/// How a case ended. The text of a failure is left out: addresses and times differ by nature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// The case passed.
    Passed,
    /// The case failed.
    Failed,
}

impl Ending {
    /// How a case ended; `None` for one that was not run.
    pub fn of(outcome: &Outcome) -> Option<Self> {
        match outcome {
            Outcome::Passed => Some(Self::Passed),
            Outcome::Failed(_) => Some(Self::Failed),
            Outcome::Skipped(_) => None,
        }
    }
}

/// One line of a ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// How the case ended.
    pub ending: Ending,
    /// What the case saw that both drivers must agree on, if it told anything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observations: Vec<String>,
}

/// What one driver did.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    fingerprint: String,
    cases: BTreeMap<String, Entry>,
}

impl Ledger {
    /// An empty ledger of a run of the sources with that fingerprint.
    pub fn new(fingerprint: String) -> Self {
        Self {
            fingerprint,
            cases: BTreeMap::new(),
        }
    }

    /// Writes down how a case ended.
    pub fn record(&mut self, case: String, entry: Entry) {
        self.cases.insert(case, entry);
    }

    /// Writes the ledger into the folder, in place of the flavour's older one.
    ///
    /// # Errors
    ///
    /// Fails when the folder cannot be written to.
    pub fn write(&self, folder: &Path, flavor: Flavor) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer_pretty(&mut file, self)?;
        file.persist(path(folder, flavor))?;
        Ok(())
    }

    /// The flavour's ledger in the folder; `None` when there is none that can be read.
    pub fn read(folder: &Path, flavor: Flavor) -> Option<Self> {
        serde_json::from_slice(&fs::read(path(folder, flavor)).ok()?).ok()
    }

    /// True when both ledgers were made from the same sources.
    pub fn is_comparable_with(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }

    /// The differences to another ledger, a line each; none when both drivers did the same.
    pub fn differences(&self, other: &Self, [own, others]: [Flavor; 2]) -> Vec<String> {
        let (own, others) = (own.name(), others.name());
        let mut lines = Vec::new();
        for (name, entry) in &self.cases {
            match other.cases.get(name) {
                None => lines.push(format!("{name}: only the {own} flavour has it")),
                Some(twin) if twin.ending != entry.ending => lines.push(format!(
                    "{name}: {own} {:?}, {others} {:?}",
                    entry.ending, twin.ending
                )),
                Some(twin) if twin.observations != entry.observations => lines.push(format!(
                    "{name}: {own} saw {:?}, {others} saw {:?}",
                    entry.observations, twin.observations
                )),
                Some(_) => {}
            }
        }
        let missing = other
            .cases
            .keys()
            .filter(|name| !self.cases.contains_key(*name));
        lines.extend(missing.map(|name| format!("{name}: only the {others} flavour has it")));
        lines
    }
}

/// True when the arguments of a test binary ask for all its cases, so that their ledger is whole.
pub fn is_whole(arguments: &Arguments) -> bool {
    arguments.filter.is_none() && arguments.skip.is_empty() && !arguments.ignored && !arguments.list
}

fn path(folder: &Path, flavor: Flavor) -> PathBuf {
    folder.join(format!("{}.ledger.json", flavor.name()))
}

/// A hash over the sources of both drivers, the suite and the servers' starter, as they lie in
/// the repository now; `cargo test` has just built them. The servers that the environment asks for
/// count too, because a run on other servers may well end otherwise.
///
/// # Errors
///
/// Fails when the sources cannot be read, as when the binary runs on another machine.
pub fn fingerprint_of_sources() -> io::Result<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = vec![root.join("Cargo.lock")];
    for folder in [
        "driver-async/src",
        "driver-sync/src",
        "conformance-tests/src",
        "conformance-tests/tests",
        "conformance-tests/testserver/src",
    ] {
        collect(&root.join(folder), &mut files)?;
    }
    files.sort();
    let mut hasher = DefaultHasher::new();
    for variable in ["MONGOD", "MOTORCADE_SERVER_VERSION"] {
        std::env::var_os(variable).hash(&mut hasher);
    }
    for file in files {
        file.hash(&mut hasher);
        fs::read(&file)?.hash(&mut hasher);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(entries: &[(&str, Ending, &str)]) -> Ledger {
        let mut ledger = Ledger::new("f".to_owned());
        for (name, ending, observation) in entries {
            let observations = vec![(*observation).to_owned()];
            ledger.record(
                (*name).to_owned(),
                Entry {
                    ending: *ending,
                    observations,
                },
            );
        }
        ledger
    }

    #[test]
    fn every_kind_of_difference_is_told() {
        use Ending::{Failed, Passed};
        let left = ledger(&[
            ("a", Passed, ""),
            ("b", Passed, ""),
            ("c", Passed, "find"),
            ("d", Passed, ""),
        ]);
        let right = ledger(&[
            ("a", Passed, ""),
            ("b", Failed, ""),
            ("c", Passed, "find, getMore"),
            ("e", Passed, ""),
        ]);
        assert_eq!(
            left.differences(&right, [Flavor::Async, Flavor::Sync]),
            [
                "b: async Passed, sync Failed",
                r#"c: async saw ["find"], sync saw ["find, getMore"]"#,
                "d: only the async flavour has it",
                "e: only the sync flavour has it",
            ]
        );
    }

    #[test]
    fn a_ledger_reads_back_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = ledger(&[("a", Ending::Failed, "find")]);
        ledger.write(folder.path(), Flavor::Sync).unwrap();
        assert_eq!(Ledger::read(folder.path(), Flavor::Sync), Some(ledger));
        assert_eq!(Ledger::read(folder.path(), Flavor::Async), None);
    }
}
