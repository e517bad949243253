//! A running deployment: a standalone or a replica set.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bson::{Document, doc};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::builder::Builder;
use crate::error::{Error, Result};
use crate::member::{Launch, Member};
use crate::replica_set::{ReplicaSetPlan, Survey};
use crate::tls::{TlsFiles, TlsMode};

const POLL: Duration = Duration::from_millis(50);
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// The user that a deployment with access control is started with.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) user: String,
    pub(crate) password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// A running standalone or replica set. Dropping it kills its servers and removes their data;
/// when a panic is on its way, the logs are kept first.
#[derive(Debug)]
pub struct Deployment {
    launch: Arc<Launch>,
    set: Option<ReplicaSetPlan>,
    credentials: Option<Credentials>,
    tls_mode: Option<TlsMode>,
    version: String,
    members: Mutex<Vec<Arc<Member>>>,
}

impl Deployment {
    /// A server of its own.
    pub fn standalone() -> Builder {
        Builder::new(None)
    }

    /// A replica set of this many members with data. The first is primary at the beginning, unless
    /// there is access control or [`Builder::priorities`] say otherwise.
    pub fn replica_set(members: usize) -> Builder {
        Builder::new(Some(ReplicaSetPlan::new(members.max(1))))
    }

    pub(crate) fn start(
        launch: Arc<Launch>,
        set: Option<ReplicaSetPlan>,
        credentials: Option<Credentials>,
        tls_mode: Option<TlsMode>,
    ) -> Result<Self> {
        let count = set.as_ref().map_or(1, ReplicaSetPlan::members);
        let started = start_members(&launch, count).and_then(|members| {
            let members = Mutex::new(members);
            let version = String::new();
            let launch = Arc::clone(&launch);
            let mut deployment = Self {
                launch,
                set,
                credentials,
                tls_mode,
                version,
                members,
            };
            deployment.prepare()?;
            Ok(deployment)
        });
        if started.is_err() {
            launch.watcher.keep_logs();
        }
        started
    }

    /// The connection string: all hosts, credentials, replica set name and TLS files as they apply.
    ///
    /// With TLS it asks for TLS, also where the servers accept connections without.
    pub fn uri(&self) -> String {
        let credentials = self
            .credentials
            .as_ref()
            .map_or_else(String::new, |credentials| {
                format!(
                    "{}:{}@",
                    encode(&credentials.user),
                    encode(&credentials.password)
                )
            });
        let mut options = Vec::new();
        if let Some(set) = &self.set {
            options.push(format!("replicaSet={}", encode(&set.name)));
        }
        if let (Some(files), Some(mode)) = (&self.launch.tls, self.tls_mode) {
            let path = |path: &Path| encode(&path.to_string_lossy());
            options.push(format!("tls=true&tlsCAFile={}", path(files.ca_file())));
            if mode == TlsMode::ClientCertificateRequired {
                let file = path(files.client_certificate_key_file());
                options.push(format!("tlsCertificateKeyFile={file}"));
            }
        }
        let question = if options.is_empty() { "" } else { "?" };
        let hosts = self.hosts().join(",");
        format!(
            "mongodb://{credentials}{hosts}/{question}{}",
            options.join("&")
        )
    }

    /// The addresses of all members, such as `127.0.0.1:24017`.
    pub fn hosts(&self) -> Vec<String> {
        self.members()
            .iter()
            .map(|member| member.address())
            .collect()
    }

    /// All members: those with data, then arbiters, then those of [`Deployment::spawn_member`].
    pub fn members(&self) -> Vec<Arc<Member>> {
        self.members
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The member with this index, from 0; a standalone has only the first.
    ///
    /// # Panics
    /// When there is no such member.
    #[track_caller]
    pub fn member(&self, index: usize) -> Arc<Member> {
        let members = self.members();
        let count = members.len();
        match members.into_iter().nth(index) {
            Some(member) => member,
            None => panic!("the deployment has {count} members, and no member {index}"),
        }
    }

    /// The version of the servers, such as `6.0.5`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The replica set's name; a standalone has none.
    pub fn replica_set_name(&self) -> Option<&str> {
        self.set.as_ref().map(|set| set.name.as_str())
    }

    /// The root user's name and password, when access control is on.
    pub fn credentials(&self) -> Option<(&str, &str)> {
        self.credentials
            .as_ref()
            .map(|credentials| (credentials.user.as_str(), credentials.password.as_str()))
    }

    /// The certificates, when TLS is on.
    pub fn tls(&self) -> Option<&TlsFiles> {
        self.launch.tls.as_ref()
    }

    /// Asks the members which of them is primary now.
    pub fn primary_index(&self) -> Option<usize> {
        Survey::take(self.members().iter().map(AsRef::as_ref)).primary()
    }

    /// Waits until one of the running members is primary, and gives its index.
    ///
    /// # Errors
    /// When there is none within the start timeout.
    pub fn wait_for_primary(&self) -> Result<usize> {
        let deadline = Instant::now() + self.launch.timeout;
        loop {
            if let Some(index) = self.primary_index() {
                return Ok(index);
            }
            self.pause_until(deadline, "no member became primary")?;
        }
    }

    /// Waits until every running member that was part of the set at its start is primary,
    /// secondary or arbiter again, and exactly one is primary. A standalone is always ready.
    ///
    /// # Errors
    /// When it doesn't come to that within the start timeout.
    pub fn wait_until_ready(&self) -> Result<()> {
        let Some(set) = &self.set else { return Ok(()) };
        let deadline = Instant::now() + self.launch.timeout;
        loop {
            let mut members = self.members();
            members.truncate(set.members());
            members.retain(|member| member.pid().is_some());
            let survey = Survey::take(members.iter().map(AsRef::as_ref));
            if survey.is_ready() {
                return Ok(());
            }
            self.pause_until(
                deadline,
                &format!("the replica set did not settle: {survey:?}"),
            )?;
        }
    }

    /// Starts one more server for this replica set that is not in its configuration yet; a
    /// `replSetReconfig` on the primary brings it in.
    ///
    /// # Errors
    /// When this is a standalone, or the server doesn't start.
    pub fn spawn_member(&self) -> Result<Arc<Member>> {
        if self.set.is_none() {
            return Err(Error::new("a standalone has no further members"));
        }
        let member = Arc::new(Member::start(&self.launch)?);
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.push(Arc::clone(&member));
        Ok(member)
    }

    /// Runs a command on the `admin` database of one member, or the database that `$db` names,
    /// without authentication.
    ///
    /// # Errors
    /// When the server can't be reached, stays silent for a minute, or refuses the command;
    /// [`Error::code`] then says why.
    ///
    /// # Panics
    /// When there is no such member.
    #[track_caller]
    pub fn run_admin_command(&self, member: usize, command: &Document) -> Result<Document> {
        self.member(member).run_admin_command(command)
    }

    /// Keeps the logs when the deployment ends, and gives the folder in which they will be then.
    ///
    /// A panic that unwinds through the owner of the deployment does this by itself. A harness
    /// that catches panics elsewhere calls this when a test has failed.
    pub fn keep_logs(&self) -> &Path {
        self.launch.watcher.keep_logs()
    }

    /// Makes started servers usable: roles first, then the root user.
    fn prepare(&mut self) -> Result<()> {
        let first = self.member(0);
        let build = first.run_admin_command(&doc! { "buildInfo": 1 })?;
        self.version = build.get_str("version").unwrap_or_default().to_owned();
        if let Some(set) = &self.set {
            let initiate = doc! { "replSetInitiate": set.config(&self.hosts()) };
            first.run_admin_command(&initiate)?;
            self.elect_first(set)?;
            self.wait_until_ready()?;
        }
        self.create_root()
    }

    /// Asks the first member to stand for election until it is primary, which also saves waiting
    /// for the election timeout. With access control the request is refused and time decides; with
    /// priorities, the members would fight over it.
    fn elect_first(&self, set: &ReplicaSetPlan) -> Result<()> {
        let insists = self.credentials.is_none() && set.has_equal_members();
        let deadline = Instant::now() + self.launch.timeout;
        loop {
            let primary = self.primary_index();
            if primary == Some(0) || (primary.is_some() && !insists) {
                return Ok(());
            }
            let _ = self.run_admin_command(0, &doc! { "replSetStepUp": 1 });
            self.pause_until(deadline, "no member became primary")?;
        }
    }

    /// Creates the root user under the localhost exception, on all members with data.
    fn create_root(&self) -> Result<()> {
        let Some(Credentials { user, password }) = &self.credentials else {
            return Ok(());
        };
        let mut command = doc! { "createUser": user, "pwd": password, "roles": ["root"] };
        let mut primary = 0;
        if let Some(set) = &self.set {
            let copies = i32::try_from(set.data_members).unwrap_or(i32::MAX);
            command.insert("writeConcern", doc! { "w": copies, "wtimeout": 30_000 });
            primary = self.wait_for_primary()?;
        }
        self.run_admin_command(primary, &command)?;
        Ok(())
    }

    fn pause_until(&self, deadline: Instant, what: &str) -> Result<()> {
        if Instant::now() >= deadline {
            let what = format!("{what} within {:?}", self.launch.timeout);
            let first = self.member(0);
            return Err(first.trouble(&format!("belongs to a set in trouble: {what}")));
        }
        std::thread::sleep(POLL);
        Ok(())
    }
}

impl Drop for Deployment {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.launch.watcher.keep_logs();
        }
        for member in self.members() {
            member.kill();
        }
    }
}

/// Starts members side by side.
fn start_members(launch: &Arc<Launch>, count: usize) -> Result<Vec<Arc<Member>>> {
    std::thread::scope(|scope| {
        let starts: Vec<_> = (0..count)
            .map(|_| scope.spawn(|| Member::start(launch).map(Arc::new)))
            .collect();
        starts
            .into_iter()
            .map(|start| {
                start
                    .join()
                    .unwrap_or_else(|_| Err(Error::new("a starting thread panicked")))
            })
            .collect()
    })
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}
