//! What the runner itself needs of a deployment: a client of its own, and the facts.

use std::sync::{Arc, Mutex, PoisonError};

use bson::{Bson, Document, doc};

use super::flavor::driver::error::Result;
use super::flavor::driver::options::{
    Acknowledgment, ClientOptions, DatabaseOptions, ReadPreference, SelectionCriteria,
    ServerAddress, WriteConcern,
};
use super::flavor::driver::{Client, ClusterTime, Database};
use super::flavor::go;
use crate::deployments::Running;
use crate::unified::file::{TopologyName, Version};
use crate::unified::requirements::DeploymentFacts;

/// Codes of `killAllSessions` failures that the format lets runners pass over: Interrupted,
/// Unauthorized, CommandNotFound.
const HARMLESS: [i32; 3] = [11601, 13, 59];

/// A deployment as the runner sees it.
pub(super) struct Environment {
    running: Arc<Running>,
    client: Client,
    facts: DeploymentFacts,
    /// The routers of a sharded cluster, each of which has sessions of its own.
    routers: Vec<ServerAddress>,
}

impl Environment {
    /// The environment on that deployment; its client is made once.
    pub(super) fn of(running: &Arc<Running>) -> std::result::Result<Arc<Self>, String> {
        static KNOWN: Mutex<Vec<Arc<Environment>>> = Mutex::new(Vec::new());
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known
            .iter()
            .find(|environment| Arc::ptr_eq(&environment.running, running));
        if let Some(environment) = found {
            return Ok(Arc::clone(environment));
        }
        let environment =
            Self::connect(running).map_err(|error| format!("the runner's own client: {error}"))?;
        let environment = Arc::new(environment);
        known.push(Arc::clone(&environment));
        Ok(environment)
    }

    fn connect(running: &Arc<Running>) -> Result<Self> {
        let options = go!(ClientOptions::parse(running.uri()))?;
        let auth = options.credential.is_some();
        let is_balanced = options.load_balanced == Some(true);
        let hosts = options.hosts.clone();
        let client = Client::with_options(options)?;
        let facts = facts(&client.database("admin"), auth, is_balanced)?;
        let is_sharded = facts.topology.is_sharded();
        let environment = Self {
            running: Arc::clone(running),
            client,
            facts,
            routers: if is_sharded { hosts } else { Vec::new() },
        };
        environment.kill_all_sessions()?;
        Ok(environment)
    }

    /// The connection string of the deployment.
    pub(super) fn uri(&self) -> &str {
        self.running.uri()
    }

    pub(super) fn running(&self) -> &Arc<Running> {
        &self.running
    }

    pub(super) fn facts(&self) -> &DeploymentFacts {
        &self.facts
    }

    /// A database whose writes wait for the majority and whose reads are from the primary.
    pub(super) fn database(&self, name: &str) -> Database {
        let options = DatabaseOptions::builder()
            .write_concern(WriteConcern::from(Acknowledgment::Majority))
            .selection_criteria(SelectionCriteria::from(ReadPreference::primary()))
            .build();
        self.client.database_with_options(name, options)
    }

    /// Runs a command on that very server.
    pub(super) fn run_on(&self, server: &ServerAddress, command: Document) -> Result<Document> {
        run_on(&self.client, server, command)
    }

    /// Ends the transactions that are open, because they may block what comes next.
    pub(super) fn kill_all_sessions(&self) -> Result<()> {
        let kill = doc! { "killAllSessions": [] };
        if self.routers.is_empty() {
            let admin = self.client.database("admin");
            return harmless(go!(admin.run_command(kill)));
        }
        let mut routers = self.routers.iter();
        routers.try_for_each(|router| harmless(self.run_on(router, kill.clone())))
    }

    /// The newest cluster time that the runner knows, which includes that of the initial data;
    /// none but on sharded clusters. There, sessions that know less may be refused a transaction
    /// by a router that has not heard of the data yet.
    pub(super) fn time_of_routers(&self) -> Result<Option<ClusterTime>> {
        if self.routers.is_empty() && self.facts.topology != TopologyName::LoadBalanced {
            return Ok(None);
        }
        let mut session = go!(self.client.start_session())?;
        let admin = self.client.database("admin");
        go!(admin.run_command(doc! { "ping": 1 }).session(&mut session))?;
        Ok(session.cluster_time())
    }
}

fn harmless(killed: Result<Document>) -> Result<()> {
    match killed {
        Err(error) if error.code().is_some_and(|code| HARMLESS.contains(&code)) => Ok(()),
        other => other.map(drop),
    }
}

/// Runs a command on that very server, by way of that client.
pub(super) fn run_on(
    client: &Client,
    server: &ServerAddress,
    command: Document,
) -> Result<Document> {
    let server = server.clone();
    let criteria = SelectionCriteria::Predicate(Arc::new(move |found| found.address() == &server));
    let admin = client.database("admin");
    go!(admin.run_command(command).selection_criteria(criteria))
}

fn facts(admin: &Database, auth: bool, is_balanced: bool) -> Result<DeploymentFacts> {
    let build = go!(admin.run_command(doc! { "buildInfo": 1 }))?;
    let hello = go!(admin.run_command(doc! { "isMaster": 1 }))?;
    let server_parameters = go!(admin.run_command(doc! { "getParameter": "*" }))?;
    let topology = if is_balanced {
        TopologyName::LoadBalanced
    } else if hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid") {
        // Servers since 3.6 let only replica sets be shards.
        TopologyName::ShardedReplicaSet
    } else if hello.contains_key("setName") {
        TopologyName::ReplicaSet
    } else {
        TopologyName::Single
    };
    Ok(DeploymentFacts {
        version: version(&build),
        topology,
        auth,
        server_parameters,
        serverless: false,
        csfle: false,
    })
}

/// The version in a `buildInfo` reply. Only the first three numbers of the array count.
fn version(build: &Document) -> Version {
    let mut numbers = build
        .get_array("versionArray")
        .into_iter()
        .flatten()
        .filter_map(Bson::as_i32)
        .filter_map(|number| u32::try_from(number).ok());
    Version::from(std::array::from_fn(|_| numbers.next().unwrap_or(0)))
}
