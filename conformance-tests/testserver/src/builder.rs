//! What is to be started: a standalone or a replica set, with its options.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::deployment::{Credentials, Deployment};
use crate::error::{Error, Result};
use crate::locate::{Mongod, Surroundings, locate};
use crate::member::Launch;
use crate::replica_set::ReplicaSetPlan;
use crate::tls::{TlsFiles, TlsMode, write_private};
use crate::watcher::Watcher;

/// The version to start where the program asks for none.
const VERSION: &str = "MOTORCADE_SERVER_VERSION";

/// A deployment to be started; made by [`Deployment::standalone`] and
/// [`Deployment::replica_set`].
#[derive(Clone, Debug)]
#[must_use = "nothing starts before `start` is called"]
pub struct Builder {
    set: Option<ReplicaSetPlan>,
    credentials: Option<Credentials>,
    tls: Option<TlsMode>,
    parameters: BTreeMap<String, String>,
    arguments: Vec<String>,
    version: Option<String>,
    mongod: Option<PathBuf>,
    uses_ipv6: bool,
    timeout: Duration,
}

impl Builder {
    pub(crate) fn new(set: Option<ReplicaSetPlan>) -> Self {
        let parameters = [
            ("enableTestCommands", "1"),
            ("diagnosticDataCollectionEnabled", "false"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            set,
            credentials: None,
            tls: None,
            parameters: parameters.into(),
            arguments: Vec::new(),
            version: None,
            mongod: None,
            uses_ipv6: false,
            timeout: Duration::from_secs(60),
        }
    }

    /// Turns access control on and creates this user, who may do everything, in `admin`.
    ///
    /// The members of a replica set authenticate to each other with a key file.
    pub fn auth_root(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.credentials = Some(Credentials {
            user: user.into(),
            password: password.into(),
        });
        self
    }

    /// Turns TLS on, with certificates made for this deployment: see [`Deployment::tls`].
    pub fn tls(mut self, mode: TlsMode) -> Self {
        self.tls = Some(mode);
        self
    }

    /// Sets a server parameter, as `--setParameter name=value` does.
    ///
    /// `enableTestCommands=1`, which fail points need, is set unless replaced this way; so is
    /// `acceptApiVersion2=true` on servers since 5.0, which the tests of the Stable API need.
    pub fn parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.parameters.insert(name.into(), value.into());
        self
    }

    /// Adds an argument to the command line of every `mongod`.
    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Asks for a version of `mongod`, such as `4.2.6`. Where nothing asks, the environment
    /// variable `MOTORCADE_SERVER_VERSION` does.
    ///
    /// Besides the default 6.0.5, the versions 4.2.6, 4.4.2, 5.0.4, 5.0.32 and 6.0.27 are obtained
    /// when they are not there; others must be what `MONGOD` or `PATH` gives.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Uses this `mongod`, whatever its version, instead of looking for one.
    pub fn mongod(mut self, program: impl Into<PathBuf>) -> Self {
        self.mongod = Some(program.into());
        self
    }

    /// Listens on `::1` besides `127.0.0.1`.
    pub fn ipv6(mut self) -> Self {
        self.uses_ipv6 = true;
        self
    }

    /// How long a server may take to answer, and a replica set to find its roles; 60 seconds
    /// unless set.
    pub fn start_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Names the replica set; `rs0` unless set. Means nothing for a standalone.
    pub fn replica_set_name(self, name: impl Into<String>) -> Self {
        self.change_set(|set| set.name = name.into())
    }

    /// Adds members that vote and have no data, after the others.
    pub fn arbiters(self, count: usize) -> Self {
        self.change_set(|set| set.arbiters = count)
    }

    /// Hides the last members that have data: they never become primary and clients don't see
    /// them.
    pub fn hidden(self, count: usize) -> Self {
        self.change_set(|set| set.hidden = count)
    }

    /// The members' priorities in elections, first member first; 1 for those not given.
    pub fn priorities(self, priorities: impl Into<Vec<f64>>) -> Self {
        self.change_set(|set| set.priorities = priorities.into())
    }

    /// How long the members miss a primary before they elect another; 3 seconds unless set.
    pub fn election_timeout(self, timeout: Duration) -> Self {
        self.change_set(|set| set.election_timeout = timeout)
    }

    /// Starts the deployment and waits until it is usable: a standalone answers; a replica set
    /// has a primary, its other members are secondaries, and the root user exists everywhere.
    ///
    /// # Errors
    /// When no `mongod` is found or can be had (the message says what to install or set), or one
    /// doesn't start in time (the message ends with its log).
    pub fn start(mut self) -> Result<Deployment> {
        let mongod = self.find_mongod()?;
        // Older servers refuse to start with a parameter that they don't know.
        if mongod.major_version().is_some_and(|major| major >= 5) {
            let value = self.parameters.entry("acceptApiVersion2".to_owned());
            value.or_insert_with(|| "true".to_owned());
        }
        let watcher = Watcher::over_new_folder()?;
        let folder = watcher.folder().to_owned();
        let tls = self.tls.map(|_| TlsFiles::create(&folder)).transpose()?;
        let arguments = self.arguments(&folder, tls.as_ref())?;
        let launch = Launch {
            mongod,
            arguments,
            tls,
            timeout: self.timeout,
            watcher,
        };
        Deployment::start(Arc::new(launch), self.set, self.credentials, self.tls)
    }

    fn change_set(mut self, change: impl FnOnce(&mut ReplicaSetPlan)) -> Self {
        if let Some(set) = &mut self.set {
            change(set);
        }
        self
    }

    fn find_mongod(&self) -> Result<Mongod> {
        let Some(program) = &self.mongod else {
            let surrounding = std::env::var(VERSION).ok().filter(|name| !name.is_empty());
            let version = self.version.clone().or(surrounding);
            return locate(&Surroundings::of_process(), version.as_deref());
        };
        if !program.is_file() {
            return Err(Error::new(format!(
                "there is no mongod at {}",
                program.display()
            )));
        }
        Ok(Mongod::at(program.clone()))
    }

    fn arguments(&self, folder: &Path, tls: Option<&TlsFiles>) -> Result<Vec<String>> {
        let mut arguments: Vec<String> = Vec::new();
        let mut add =
            |parts: &[&str]| arguments.extend(parts.iter().map(|part| (*part).to_owned()));
        if self.uses_ipv6 {
            add(&["--ipv6", "--bind_ip", "127.0.0.1,::1"]);
        } else {
            add(&["--bind_ip", "127.0.0.1"]);
        }
        add(&["--wiredTigerCacheSizeGB", "0.25"]);
        for (name, value) in &self.parameters {
            add(&["--setParameter", &format!("{name}={value}")]);
        }
        if let Some(set) = &self.set {
            add(&["--replSet", &set.name, "--oplogSize", "64"]);
        }
        if self.credentials.is_some() {
            add(&["--auth"]);
            if self.set.is_some() {
                let key = folder.join("keyfile");
                write_private(&key, random_key()?.as_bytes())?;
                add(&["--keyFile", text(&key)?]);
            }
        }
        if let (Some(mode), Some(files)) = (self.tls, tls) {
            let tls_mode = if mode == TlsMode::Preferred {
                "preferTLS"
            } else {
                "requireTLS"
            };
            add(&["--tlsMode", tls_mode, "--tlsCAFile", text(files.ca_file())?]);
            add(&[
                "--tlsCertificateKeyFile",
                text(files.server_certificate_key_file())?,
            ]);
            if mode != TlsMode::ClientCertificateRequired {
                add(&["--tlsAllowConnectionsWithoutCertificates"]);
            }
        }
        arguments.extend(self.arguments.iter().cloned());
        Ok(arguments)
    }
}

fn text(path: &Path) -> Result<&str> {
    path.to_str()
        .ok_or_else(|| Error::new("the temporary folder's path is not UTF-8"))
}

/// The shared secret of a replica set's members.
fn random_key() -> Result<String> {
    let mut bytes = [0; 48];
    fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| Error::caused("cannot read /dev/urandom", error))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
