//! The watcher: a small shell process that outlives us by a moment and cleans up.
//!
//! Nothing of a deployment survives the process that started it, however that process ends. The
//! kernel closes all files of a process that ends, also of one that got SIGKILL; the watcher reads
//! from a pipe whose only write end we hold, so it sees the end of the file, kills the servers
//! and removes their folder. A parent-death signal would need `unsafe`, exists on Linux alone and
//! fires when the starting *thread* ends, which in a test is sooner than wanted.
//!
//! A server is watched before it exists: it is first started as a shell that waits for a line on
//! its standard input, and that line is sent after the watcher knows the process id. The shell
//! then becomes `mongod` by `exec`, which keeps the id; if we are gone by then, it just ends.
//!
//! Watcher and servers have process groups of their own, so that Ctrl-C in a terminal reaches
//! only us. The way is the same for an ordinary end: dropping the watcher closes the pipe.

use std::fmt;
use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Result};

const SCRIPT: &str = include_str!("watcher.sh");
/// Becomes the server once the watcher knows its process id.
const GATE: &str = r#"read -r go && exec "$@" </dev/null"#;
/// Set to anything, it keeps the logs of every deployment.
const KEEP_LOGS: &str = "MOTORCADE_KEEP_LOGS";
/// A Unix socket's path has at most 107 bytes; ours adds up to 40 to the temporary folder.
const LONGEST_BASE: usize = 64;

/// The shell process that ends the servers and removes the folder of one deployment.
pub(crate) struct Watcher {
    folder: PathBuf,
    logs: PathBuf,
    keeps_logs: AtomicBool,
    pipe: Mutex<Option<ChildStdin>>,
    process: Mutex<Child>,
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl Watcher {
    /// Starts a watcher over a new folder of its own.
    pub(crate) fn over_new_folder() -> Result<Self> {
        let folder = temporary_folder()?;
        let watcher = Self::start(folder.clone(), logs_folder(&folder))?;
        if std::env::var_os(KEEP_LOGS).is_some() {
            watcher.keep_logs();
        }
        Ok(watcher)
    }

    /// Starts a watcher over `folder`, which from now on belongs to it.
    fn start(folder: PathBuf, logs: PathBuf) -> Result<Self> {
        let mut process = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "motorcade-testserver-watcher"])
            .args([&folder, &logs])
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|error| Error::caused("cannot start /bin/sh as a watcher", error))?;
        let pipe = process.stdin.take();
        Ok(Self {
            folder,
            logs,
            keeps_logs: AtomicBool::new(false),
            pipe: Mutex::new(pipe),
            process: Mutex::new(process),
        })
    }

    /// The folder that goes away with the deployment.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Starts a server in the folder, its output appended to the file `console`; it is killed when
    /// we end. `complete` adds arguments and variables.
    pub(crate) fn spawn(
        &self,
        program: &Path,
        console: &Path,
        complete: impl FnOnce(&mut Command),
    ) -> Result<Child> {
        let unwritable = |error| Error::file("cannot write", console, error);
        let output = File::options()
            .create(true)
            .append(true)
            .open(console)
            .map_err(unwritable)?;
        let errors = output.try_clone().map_err(unwritable)?;
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", GATE, "motorcade-testserver"])
            .arg(program)
            .current_dir(&self.folder)
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            .process_group(0);
        complete(&mut command);
        let mut child = command
            .spawn()
            .map_err(|error| Error::caused("cannot start /bin/sh", error))?;
        let gate = child.stdin.take();
        let opened = self.watch(child.id()).and_then(|()| {
            gate.map_or(Ok(()), |mut gate| gate.write_all(b"go\n"))
                .map_err(|error| Error::caused("the shell that becomes a server has gone", error))
        });
        if let Err(error) = opened {
            let _ = child.kill();
            self.forget(child.id());
            let _ = child.wait();
            return Err(error);
        }
        Ok(child)
    }

    /// The process with this id is killed when we end.
    fn watch(&self, pid: u32) -> Result<()> {
        self.tell(&format!("watch {pid}\n"))
            .map_err(|error| Error::caused("the watcher of the servers has gone", error))
    }

    /// The process with this id has ended or is certain to.
    pub(crate) fn forget(&self, pid: u32) {
        // Without a watcher there is nothing that could kill a stranger with this id.
        let _ = self.tell(&format!("forget {pid}\n"));
    }

    /// The logs are moved out of the folder before it is removed; says where on standard error.
    pub(crate) fn keep_logs(&self) -> &Path {
        if !self.keeps_logs.swap(true, Ordering::Relaxed) && self.tell("keep\n").is_ok() {
            eprintln!(
                "motorcade-testserver: keeping the logs in {}",
                self.logs.display()
            );
        }
        &self.logs
    }

    fn tell(&self, line: &str) -> std::io::Result<()> {
        let mut pipe = self.pipe.lock().unwrap_or_else(PoisonError::into_inner);
        match pipe.as_mut() {
            Some(pipe) => pipe.write_all(line.as_bytes()),
            None => Err(std::io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        drop(
            self.pipe
                .get_mut()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        let _ = self
            .process
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .wait();
    }
}

/// A new folder with a short path, since Unix sockets lie in it.
fn temporary_folder() -> Result<PathBuf> {
    let base = Some(std::env::temp_dir())
        .filter(|base| base.as_os_str().len() <= LONGEST_BASE)
        .unwrap_or_else(|| PathBuf::from("/tmp"));
    let folder = tempfile::Builder::new()
        .prefix("mtcd-")
        .tempdir_in(&base)
        .map_err(|error| Error::file("cannot create a folder in", &base, error))?;
    // The watcher removes it, since it outlives this process.
    Ok(folder.keep())
}

/// `motorcade-logs/<test>-<process id>-<suffix>` in the system's temporary folder.
///
/// Test harnesses name a test's thread after the test.
fn logs_folder(folder: &Path) -> PathBuf {
    let thread = std::thread::current();
    let test = thread
        .name()
        .unwrap_or("servers")
        .replace(|c: char| !c.is_alphanumeric(), "-");
    let suffix = folder.file_name().unwrap_or_default().to_string_lossy();
    std::env::temp_dir()
        .join("motorcade-logs")
        .join(format!("{test}-{}-{suffix}", std::process::id()))
}
