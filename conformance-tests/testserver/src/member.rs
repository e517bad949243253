//! One `mongod`: started, killed, paused, resumed, restarted, always on the same port and data.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bson::{Document, doc};
use rustix::process::{Pid, Signal, kill_process};

use crate::client::Endpoint;
use crate::error::{Error, Result};
use crate::locate::Mongod;
use crate::port::PortLease;
use crate::tls::TlsFiles;
use crate::watcher::Watcher;

/// The exit status of a `mongod` that can't bind its port.
const EXIT_PORT_TAKEN: i32 = 48;
const POLL: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(60);
const LOG_LINES: usize = 12;
const LOG_WIDTH: usize = 300;

/// What all members of a deployment have in common.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(crate) mongod: Mongod,
    pub(crate) arguments: Vec<String>,
    pub(crate) tls: Option<TlsFiles>,
    pub(crate) timeout: Duration,
    pub(crate) watcher: Watcher,
}

/// What a server says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// A server outside any replica set.
    Standalone,
    /// The writable member of a replica set.
    Primary,
    /// A readable member of a replica set.
    Secondary,
    /// A member that votes and has no data.
    Arbiter,
    /// A server that waits to be put into a replica set's configuration.
    Uninitiated,
    /// A member that starts, synchronizes, rolls back or was removed.
    Other,
}

/// One server of a deployment. It keeps its port and its data over restarts.
#[derive(Debug)]
pub struct Member {
    launch: Arc<Launch>,
    lease: PortLease,
    process: Mutex<Option<Child>>,
}

enum Startup {
    Answering,
    PortTaken,
}

impl Member {
    /// Starts a server on a port of its own and waits until it answers.
    pub(crate) fn start(launch: &Arc<Launch>) -> Result<Self> {
        for _ in 0..5 {
            let lease = PortLease::claim()?;
            let member = Self {
                launch: Arc::clone(launch),
                lease,
                process: Mutex::new(None),
            };
            let data = member.data_folder();
            fs::create_dir(&data).map_err(|error| Error::file("cannot create", &data, error))?;
            if let Startup::Answering = member.run_once()? {
                return Ok(member);
            }
        }
        Err(Error::new(
            "five ports in a row were taken by others before mongod could bind them",
        ))
    }

    /// The address as a connection string names it, such as `127.0.0.1:24017`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port())
    }

    /// The TCP port, the same after a restart.
    pub fn port(&self) -> u16 {
        self.lease.port()
    }

    /// The Unix domain socket on which the server listens too.
    pub fn socket_path(&self) -> PathBuf {
        self.folder().join(format!("mongodb-{}.sock", self.port()))
    }

    /// The server's log; it goes on over restarts, and goes away with the deployment unless
    /// logs are kept.
    pub fn log_path(&self) -> PathBuf {
        self.folder().join(format!("{}.log", self.port()))
    }

    /// The process id, while the server runs or is paused.
    pub fn pid(&self) -> Option<u32> {
        let mut process = self.process();
        let child = process.as_mut()?;
        matches!(child.try_wait(), Ok(None)).then(|| child.id())
    }

    /// Ends the server at once (SIGKILL), as a crash would. Nothing happens when it has ended.
    pub fn kill(&self) {
        if let Some(mut child) = self.process().take() {
            // A child that was reaped before refuses the signal, which is what is wanted.
            let _ = child.kill();
            self.launch.watcher.forget(child.id());
            let _ = child.wait();
        }
    }

    /// Asks the server to shut down (SIGTERM) and waits until it has ended.
    ///
    /// A primary steps down first, and servers since 5.0 give clients up to 15 seconds to notice.
    ///
    /// # Errors
    /// When it still runs after the deployment's start timeout.
    pub fn shut_down(&self) -> Result<()> {
        let mut process = self.process();
        let Some(child) = process.as_mut() else {
            return Ok(());
        };
        signal(child, Signal::TERM)?;
        let deadline = Instant::now() + self.launch.timeout;
        while matches!(child.try_wait(), Ok(None)) {
            if Instant::now() >= deadline {
                return Err(self.trouble("did not shut down in time"));
            }
            std::thread::sleep(POLL);
        }
        self.launch.watcher.forget(child.id());
        *process = None;
        Ok(())
    }

    /// Stops the server's process (SIGSTOP): it keeps its sockets and answers nothing.
    ///
    /// # Errors
    /// When the server doesn't run.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets a paused server go on (SIGCONT).
    ///
    /// # Errors
    /// When the server doesn't run.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Starts the server again, on the same port and data, and waits until it answers.
    ///
    /// A server that still runs is killed first. A member of a replica set answers before it has
    /// found its role again: see [`Deployment::wait_until_ready`](crate::Deployment::wait_until_ready).
    ///
    /// # Errors
    /// When the server doesn't answer within the deployment's start timeout.
    pub fn restart(&self) -> Result<()> {
        self.kill();
        let deadline = Instant::now() + self.launch.timeout;
        while let Startup::PortTaken = self.run_once()? {
            if Instant::now() >= deadline {
                return Err(self.trouble("could not get its port back"));
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// Asks the server what it is.
    ///
    /// # Errors
    /// When it doesn't answer within two seconds.
    pub fn role(&self) -> Result<Role> {
        // The legacy name is the one that every version knows.
        let hello = self.endpoint().run(&doc! { "isMaster": 1 }, PATIENCE)?;
        Ok(role_of(&hello))
    }

    /// Runs a command on the `admin` database, or the one that `$db` names, without
    /// authentication, and gives the reply.
    ///
    /// # Errors
    /// When the server can't be reached, stays silent for a minute, or refuses the command.
    pub fn run_admin_command(&self, command: &Document) -> Result<Document> {
        self.endpoint().run(command, ANSWER)
    }

    /// An error about this server, with the end of its log.
    pub(crate) fn trouble(&self, what: &str) -> Error {
        let detail = end_of_logs(&[self.console_path(), self.log_path()]);
        let text = format!(
            "mongod on port {} {what}; its output ends with",
            self.port()
        );
        Error::new(text).with_detail(&detail)
    }

    fn run_once(&self) -> Result<Startup> {
        self.spawn()?;
        let deadline = Instant::now() + self.launch.timeout;
        loop {
            if self.role().is_ok() {
                return Ok(Startup::Answering);
            }
            if let Some(status) = self.exit_status() {
                self.kill();
                return match status.code() {
                    Some(EXIT_PORT_TAKEN) => Ok(Startup::PortTaken),
                    _ => Err(self.trouble(&format!("ended while it started ({status})"))),
                };
            }
            if Instant::now() >= deadline {
                let seconds = self.launch.timeout.as_secs_f64();
                return Err(self.trouble(&format!("did not answer within {seconds} s")));
            }
            std::thread::sleep(POLL);
        }
    }

    fn spawn(&self) -> Result<()> {
        let Launch {
            mongod,
            arguments,
            watcher,
            ..
        } = &*self.launch;
        let child = watcher.spawn(&mongod.program, &self.console_path(), |command| {
            command
                .args(arguments)
                .args(["--port", &self.port().to_string()])
                .arg("--dbpath")
                .arg(self.data_folder())
                .arg("--logpath")
                .arg(self.log_path())
                .arg("--logappend")
                .arg("--unixSocketPrefix")
                .arg(self.folder());
            mongod.lead(command);
        })?;
        *self.process() = Some(child);
        Ok(())
    }

    fn exit_status(&self) -> Option<ExitStatus> {
        self.process()
            .as_mut()
            .and_then(|child| child.try_wait().ok().flatten())
    }

    fn signal(&self, which: Signal) -> Result<()> {
        match self.process().as_mut() {
            Some(child) => signal(child, which),
            None => Err(Error::new(format!(
                "mongod on port {} does not run",
                self.port()
            ))),
        }
    }

    fn endpoint(&self) -> Endpoint {
        let tls = self
            .launch
            .tls
            .as_ref()
            .map(|files| Arc::clone(files.client_config()));
        Endpoint {
            port: self.port(),
            tls,
        }
    }

    fn process(&self) -> MutexGuard<'_, Option<Child>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn folder(&self) -> &Path {
        self.launch.watcher.folder()
    }

    fn data_folder(&self) -> PathBuf {
        self.folder().join(self.port().to_string())
    }

    fn console_path(&self) -> PathBuf {
        self.folder().join(format!("{}-console.log", self.port()))
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The last lines of each of these files, cut to a width that a terminal can show.
pub(crate) fn end_of_logs(paths: &[PathBuf]) -> String {
    let mut end = String::new();
    for path in paths {
        let text = fs::read(path).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        for line in lines.iter().skip(lines.len().saturating_sub(LOG_LINES)) {
            end.extend(line.chars().take(LOG_WIDTH));
            end.push('\n');
        }
    }
    end.trim_end().to_owned()
}

/// Sends a signal to a child, unless it has ended: its id may then be a stranger's.
fn signal(child: &mut Child, which: Signal) -> Result<()> {
    if let Ok(Some(status)) = child.try_wait() {
        return Err(Error::new(format!("mongod has ended ({status})")));
    }
    kill_process(Pid::from_child(child), which)
        .map_err(|error| Error::caused("cannot signal mongod", error))
}

fn role_of(hello: &Document) -> Role {
    let says = |key: &str| hello.get_bool(key).unwrap_or(false);
    let is_member = hello.contains_key("setName");
    match () {
        () if says("isreplicaset") => Role::Uninitiated,
        () if !is_member && says("ismaster") => Role::Standalone,
        () if says("ismaster") => Role::Primary,
        () if says("arbiterOnly") => Role::Arbiter,
        () if says("secondary") => Role::Secondary,
        () => Role::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_read_from_hello() {
        let member = |key: &str| doc! { "setName": "rs0", key: true };
        assert_eq!(role_of(&member("ismaster")), Role::Primary);
        assert_eq!(role_of(&member("secondary")), Role::Secondary);
        assert_eq!(role_of(&member("arbiterOnly")), Role::Arbiter);
        assert_eq!(role_of(&member("passive")), Role::Other);
        assert_eq!(role_of(&doc! { "ismaster": true }), Role::Standalone);
        assert_eq!(role_of(&doc! { "isreplicaset": true }), Role::Uninitiated);
    }
}
