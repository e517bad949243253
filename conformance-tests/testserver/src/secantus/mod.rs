//! A stand-in for servers that cannot be had: SecantusDB, obtained and started on request.

mod install;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bson::doc;

use crate::client::Endpoint;
use crate::error::{Error, Result};
use crate::locate::Surroundings;
use crate::member::end_of_logs;
use crate::port::PortLease;
use crate::watcher::Watcher;
use install::Installed;

const POLL: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(2);
const START: Duration = Duration::from_secs(60);
const SET_NAME: &str = "secantus";

/// A running SecantusDB, which speaks the commands of MongoDB 8.2 over one node.
///
/// It is an independent implementation and not MongoDB: that something works with it is a hint,
/// not a proof. Its data are gone when it is dropped or its process ends.
///
/// It is obtained with pip for CPython 3.11 when the cache folder has it not, checked against
/// pinned checksums. It is licensed under the GPL 2.0, and only ever started as a program.
#[derive(Debug)]
pub struct Secantus {
    shape: Shape,
    lease: PortLease,
    process: Mutex<Child>,
    watcher: Watcher,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Standalone,
    ReplicaSet,
}

impl Secantus {
    /// The version that is obtained.
    pub const VERSION: &'static str = "0.7.0b3";

    /// Starts one that says it is a standalone, and waits until it answers.
    ///
    /// # Errors
    /// When it cannot be obtained (the message says what to install), or doesn't answer within a
    /// minute (the message ends with its output).
    pub fn standalone() -> Result<Self> {
        Self::start(Shape::Standalone)
    }

    /// Starts one that says it is the primary of a replica set without further members.
    ///
    /// # Errors
    /// As [`standalone`](Self::standalone).
    pub fn replica_set() -> Result<Self> {
        Self::start(Shape::ReplicaSet)
    }

    fn start(shape: Shape) -> Result<Self> {
        let installed = install::find_or_obtain(&Surroundings::of_process())?;
        let watcher = Watcher::over_new_folder()?;
        let lease = PortLease::claim()?;
        let settings = watcher.folder().join("settings.toml");
        fs::write(&settings, "").map_err(|error| Error::file("cannot write", &settings, error))?;
        let console = console(&watcher, lease.port());
        let child = watcher.spawn(&installed.python, &console, |command| {
            complete(command, &installed, watcher.folder());
            command.args(arguments(lease.port(), &settings, shape));
        })?;
        let started = Self {
            shape,
            lease,
            process: Mutex::new(child),
            watcher,
        };
        started.wait_until_it_answers()?;
        Ok(started)
    }

    /// The connection string.
    pub fn uri(&self) -> String {
        let port = self.lease.port();
        match self.shape {
            Shape::Standalone => format!("mongodb://127.0.0.1:{port}/"),
            Shape::ReplicaSet => format!("mongodb://127.0.0.1:{port}/?replicaSet={SET_NAME}"),
        }
    }

    /// The process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(process.try_wait(), Ok(None)).then(|| process.id())
    }

    fn wait_until_it_answers(&self) -> Result<()> {
        let endpoint = Endpoint {
            port: self.lease.port(),
            tls: None,
        };
        let deadline = Instant::now() + START;
        while endpoint.run(&doc! { "hello": 1 }, PATIENCE).is_err() {
            if self.pid().is_none() {
                return Err(self.trouble("ended while it started"));
            }
            if Instant::now() >= deadline {
                return Err(self.trouble("did not answer within a minute"));
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    fn trouble(&self, what: &str) -> Error {
        let port = self.lease.port();
        let console = console(&self.watcher, port);
        Error::new(format!(
            "SecantusDB on port {port} {what}; its output ends with"
        ))
        .with_detail(&end_of_logs(&[console]))
    }
}

impl Drop for Secantus {
    fn drop(&mut self) {
        let process = self
            .process
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        let _ = process.kill();
        self.watcher.forget(process.id());
        let _ = process.wait();
    }
}

fn console(watcher: &Watcher, port: u16) -> PathBuf {
    watcher.folder().join(format!("{port}-console.log"))
}

/// What Python needs to run it. Data "in memory" are files in a temporary folder, which a killed
/// process leaves behind: it gets the watched folder, which is removed.
fn complete(command: &mut Command, installed: &Installed, folder: &Path) {
    command
        .arg(installed.program())
        .env("PYTHONPATH", &installed.folder)
        .env("PYTHONNOUSERSITE", "1")
        .env("TMPDIR", folder);
}

/// The settings file is empty and stands there so that none is found in the user's folders.
fn arguments(port: u16, settings: &Path, shape: Shape) -> Vec<String> {
    let port = port.to_string();
    let settings = settings.to_string_lossy();
    let mut arguments = vec!["--config", &settings, "--port", &port];
    arguments.extend(["--storage-path", ":memory:", "--log-level", "WARNING"]);
    arguments.push("--enable-test-commands");
    if shape == Shape::Standalone {
        arguments.push("--standalone");
    }
    arguments.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_standalone_is_told_to_be_one_and_neither_keeps_data() {
        let settings = Path::new("/f/settings.toml");
        let set = arguments(24017, settings, Shape::ReplicaSet);
        let single = arguments(24017, settings, Shape::Standalone);
        assert!(set.contains(&"24017".to_owned()) && set.contains(&":memory:".to_owned()));
        assert_eq!(single[..set.len()], set);
        assert_eq!(single[set.len()..], ["--standalone"]);
    }
}
