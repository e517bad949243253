//! Obtains SecantusDB and all that it needs, once, into the cache folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use super::Secantus;
use crate::error::{Error, Result};
use crate::locate::Surroundings;
use crate::obtain::{Workshop, lock, rename, run};

/// Each package with its version and checksum; pip refuses any other file.
const REQUIREMENTS: &str = include_str!("requirements.txt");
/// Says what an interpreter is and where.
const ASK: &str = "import sys; print(sys.implementation.name, \
                   '%d.%d' % sys.version_info[:2], sys.executable)";
const WANTED: &str = "cpython 3.11";

/// A SecantusDB that can be started.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Installed {
    pub(super) python: PathBuf,
    pub(super) folder: PathBuf,
}

impl Installed {
    /// What Python is to run.
    pub(super) fn program(&self) -> PathBuf {
        self.folder.join("bin/secantusd-py")
    }
}

/// Finds it in the cache folder, or obtains it and says so on standard error.
pub(super) fn find_or_obtain(around: &Surroundings) -> Result<Installed> {
    let python = interpreter(&["python3.11".into(), around.python.clone()])?;
    let Some(cache) = &around.cache else {
        return Err(Error::new(
            "there is no cache folder for SecantusDB, since HOME is not set",
        ));
    };
    let folder = cache.join(format!("secantus-{}", Secantus::VERSION));
    let installed = Installed { python, folder };
    if installed.program().is_file() {
        return Ok(installed);
    }
    if !around.has_wheels {
        return Err(Error::new(
            "SecantusDB can be fetched for Linux on x86-64 only",
        ));
    }
    obtain(cache, &installed).map_err(|error| {
        Error::new(format!(
            "SecantusDB {} could not be obtained: {error:?}. It needs pip for {} and a network",
            Secantus::VERSION,
            installed.python.display()
        ))
    })?;
    Ok(installed)
}

fn obtain(cache: &Path, wanted: &Installed) -> Result<()> {
    fs::create_dir_all(cache).map_err(|error| Error::file("cannot create", cache, error))?;
    let _lock = lock(cache)?;
    if wanted.program().is_file() {
        return Ok(());
    }
    let begin = Instant::now();
    let version = Secantus::VERSION;
    eprintln!(
        "motorcade-testserver: obtaining SecantusDB {version} (about 25 MB) into {} ...",
        cache.display()
    );
    let workshop = Workshop::open(cache, &wanted.python)?;
    let built = Installed {
        python: wanted.python.clone(),
        folder: workshop.subfolder("secantus")?,
    };
    let list = built.folder.with_extension("txt");
    fs::write(&list, REQUIREMENTS).map_err(|error| Error::file("cannot write", &list, error))?;
    let mut pip = Command::new(&wanted.python);
    pip.args(["-m", "pip", "install", "--quiet", "--no-input"])
        .args(["--disable-pip-version-check", "--no-deps"])
        .args(["--only-binary=:all:", "--require-hashes", "--target"])
        .arg(&built.folder)
        .arg("--requirement")
        .arg(&list);
    run(&mut pip, "python3.11 -m pip install")?;
    let mut check = Command::new(&wanted.python);
    check
        .arg(built.program())
        .arg("--help")
        .env("PYTHONPATH", &built.folder);
    run(&mut check, "the fetched SecantusDB")?;
    rename(&built.folder, &wanted.folder)?;
    eprintln!(
        "motorcade-testserver: SecantusDB {version} is ready after {:.1} s",
        begin.elapsed().as_secs_f64()
    );
    Ok(())
}

/// The first of the interpreters that the package was built for.
fn interpreter(candidates: &[PathBuf]) -> Result<PathBuf> {
    let mut found = Vec::new();
    for candidate in candidates {
        let answer = Command::new(candidate).args(["-c", ASK]).output();
        let text = answer.map_or_else(
            |error| error.to_string(),
            |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        );
        match text.strip_prefix(WANTED).map(str::trim) {
            Some(path) if !path.is_empty() => return Ok(path.into()),
            _ => found.push(format!("{}: {text}", candidate.display())),
        }
    }
    Err(Error::new(format!(
        "SecantusDB {} needs CPython 3.11, and none was found ({}). Install Python 3.11 with pip so \
         that python3.11 is on PATH",
        Secantus::VERSION,
        found.join("; ")
    )))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A Python that says of itself what is given, and fails to do anything else.
    fn python(folder: &Path, says: &str) -> PathBuf {
        let path = folder.join("python");
        let script = format!(
            "#!/bin/sh\n[ \"$1\" = -c ] && echo '{says}' && exit\necho 'No module named pip' >&2\nexit 1\n"
        );
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn an_interpreter_of_another_version_is_passed_over_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let other = python(folder.path(), "cpython 3.12 /usr/bin/python3.12");
        let absent = folder.path().join("absent");
        let text = interpreter(&[absent.clone(), other])
            .unwrap_err()
            .to_string();
        for part in ["absent: ", "cpython 3.12", "Install Python 3.11"] {
            assert!(text.contains(part), "{part:?} is not in: {text}");
        }
        let right = python(folder.path(), "cpython 3.11 /opt/python3.11");
        let found = interpreter(&[absent, right]).unwrap();
        assert_eq!(found, Path::new("/opt/python3.11"));
    }

    #[test]
    fn an_absent_pip_is_told_and_nothing_is_left_of_the_attempt() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("cache");
        let wanted = Installed {
            python: python(folder.path(), ""),
            folder: cache.join("secantus"),
        };
        let text = obtain(&cache, &wanted).unwrap_err().to_string();
        assert!(text.contains("No module named pip"), "{text}");
        let left: Vec<_> = fs::read_dir(&cache).unwrap().flatten().collect();
        assert_eq!(left.len(), 1, "only the lock stays: {left:?}");
    }

    #[test]
    fn every_requirement_is_pinned_with_its_checksum() {
        let lines = REQUIREMENTS.lines().filter(|line| !line.starts_with('#'));
        for line in lines.clone() {
            assert!(
                line.contains("==") && line.contains(" --hash=sha256:"),
                "{line}"
            );
        }
        let own = format!("secantusdb=={} ", Secantus::VERSION);
        assert_eq!(lines.filter(|line| line.starts_with(&own)).count(), 1);
    }
}
