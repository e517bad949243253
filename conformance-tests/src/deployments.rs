//! The servers of a run: started when the first case asks, shared by all cases, stopped at the end.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use motorcade_testserver as testserver;

use crate::behaviour::is_older;
use crate::router_shim::RouterShim;

/// The shape of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeploymentKind {
    /// One server on its own.
    Standalone,
    /// A replica set of three members.
    ReplicaSet,
    /// One server on its own, whose users must log in.
    StandaloneWithLogin,
    /// A replica set of one member, whose users must log in.
    ReplicaSetWithLogin,
    /// Two stand-ins for routers before a replica set of one member; see [`RouterShim`].
    Routers,
    /// A stand-in for a load balancer before the same; see [`RouterShim`].
    Balancer,
}

const MEMBERS: usize = 3;
const ROUTERS: usize = 2;

/// Who may do everything where users must log in.
const ROOT: (&str, &str) = ("root", "secret");

impl DeploymentKind {
    /// All kinds, in the order in which cases that tell where they can run try them.
    pub const ALL: [Self; 6] = [
        Self::ReplicaSet,
        Self::Standalone,
        Self::ReplicaSetWithLogin,
        Self::StandaloneWithLogin,
        Self::Routers,
        Self::Balancer,
    ];

    /// The name that case names start with.
    pub fn name(self) -> &'static str {
        match self {
            Self::Standalone => "standalone",
            Self::ReplicaSet => "replica_set",
            Self::StandaloneWithLogin => "standalone_with_login",
            Self::ReplicaSetWithLogin => "replica_set_with_login",
            Self::Routers => "routers",
            Self::Balancer => "balancer",
        }
    }

    /// What the servers are that stand in for others; results stand under its name.
    pub fn stand_in(self) -> Option<&'static str> {
        matches!(self, Self::Routers | Self::Balancer).then_some("router shim")
    }
}

/// A deployment that answers.
#[derive(Debug)]
pub struct Running {
    kind: DeploymentKind,
    uri: String,
    /// The connection string of the stand-in that clients of one router must use.
    single_router_uri: Option<String>,
    /// Above the servers, so that they end after what stands before them.
    _shims: Vec<RouterShim>,
    servers: Option<testserver::Deployment>,
    /// Held so that it runs as long as this does.
    _stand_in: Option<testserver::Secantus>,
    turn: Mutex<()>,
}

impl Running {
    fn at(kind: DeploymentKind, uri: String) -> Self {
        Self {
            kind,
            uri,
            single_router_uri: None,
            _shims: Vec::new(),
            servers: None,
            _stand_in: None,
            turn: Mutex::default(),
        }
    }

    fn behind(mut self, shims: Vec<RouterShim>) -> Self {
        self._shims = shims;
        self
    }

    /// The shape of the deployment.
    pub fn kind(&self) -> DeploymentKind {
        self.kind
    }

    /// Why no client can reach these servers, if none can: behind a load balancer it greets with
    /// `hello` alone, which mongods before 4.4 do not know.
    pub fn objection(&self) -> Option<String> {
        let version = self.servers.as_ref()?.version();
        let is_out_of_reach = self.kind == DeploymentKind::Balancer && is_older(version, [4, 4, 0]);
        is_out_of_reach
            .then(|| format!("needs server 4.4 or later behind a load balancer, has {version}"))
    }

    /// The connection string that reaches every member.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// The connection string for clients that want the load balancer of one router.
    pub fn single_router_uri(&self) -> Option<&str> {
        self.single_router_uri.as_deref()
    }

    /// Waits for the turn of one who needs the deployment for itself, as long as the guard lives.
    pub fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The servers, to look at or to disturb; none when somebody else started them.
    pub fn servers(&self) -> Option<&testserver::Deployment> {
        self.servers.as_ref()
    }
}

type Start = fn(DeploymentKind) -> Result<Running, String>;
type Slot = Mutex<Option<Arc<Running>>>;

/// At most one deployment of each kind.
pub struct Deployments {
    source: Source,
    preferred: DeploymentKind,
    /// The kinds that a case may choose from, the best first.
    kinds: Vec<DeploymentKind>,
    slots: BTreeMap<DeploymentKind, Slot>,
}

enum Source {
    Start(Start),
    At(String),
}

impl Deployments {
    /// Starts nothing and refuses to: for runs of suites without I/O.
    pub fn unstarted() -> Self {
        let refuse = |kind: DeploymentKind| {
            Err(format!(
                "needs a {} deployment, and this run has none",
                kind.name()
            ))
        };
        Self::from_source(DeploymentKind::Standalone, Source::Start(refuse))
    }

    /// Starts real servers when the first case asks. `preferred` is the kind that
    /// [`preferred`](Self::preferred) gives.
    pub fn started_on_demand(preferred: DeploymentKind) -> Self {
        Self::from_source(preferred, Source::Start(start))
    }

    /// Starts a stand-in for servers that cannot be had when the first case asks; see
    /// [`testserver::Secantus`].
    pub fn stood_in_for(preferred: DeploymentKind) -> Self {
        Self::from_source(preferred, Source::Start(start_stand_in))
    }

    /// Uses a deployment that somebody else started, of the kind given.
    pub fn at(kind: DeploymentKind, uri: String) -> Self {
        Self::from_source(kind, Source::At(uri))
    }

    fn from_source(preferred: DeploymentKind, source: Source) -> Self {
        Self {
            source,
            preferred,
            kinds: vec![preferred],
            slots: DeploymentKind::ALL
                .into_iter()
                .map(|kind| (kind, Slot::default()))
                .collect(),
        }
    }

    /// Lets cases that tell where they can run choose among these kinds, the best first, instead of
    /// being held to the preferred one.
    #[must_use]
    pub fn choosing_from(mut self, kinds: impl Into<Vec<DeploymentKind>>) -> Self {
        self.kinds = kinds.into();
        self
    }

    /// The kinds that a case which tells where it can run may choose from, the best first.
    pub fn kinds(&self) -> &[DeploymentKind] {
        &self.kinds
    }

    /// The deployment for cases that run on either kind.
    ///
    /// # Errors
    ///
    /// Fails as [`of_kind`](Self::of_kind) does.
    pub fn preferred(&self) -> Result<Arc<Running>, String> {
        self.of_kind(self.preferred)
    }

    /// The deployment of that kind; started now when it is not yet there.
    ///
    /// # Errors
    ///
    /// Fails when the servers cannot be started, or are of another kind; says what to do.
    pub fn of_kind(&self, kind: DeploymentKind) -> Result<Arc<Running>, String> {
        let slot = self.slots.get(&kind);
        let slot = slot.ok_or_else(|| format!("there is no kind {}", kind.name()))?;
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = &*slot {
            return Ok(Arc::clone(running));
        }
        let running = match &self.source {
            Source::Start(start) => start(kind)?,
            Source::At(uri) if self.preferred == kind => Running::at(kind, uri.clone()),
            Source::At(_) => {
                let given = self.preferred.name();
                return Err(format!(
                    "needs a {} deployment, was given a {given}",
                    kind.name()
                ));
            }
        };
        Ok(Arc::clone(slot.insert(Arc::new(running))))
    }

    /// Forgets the deployment of that kind, so that the next case gets a fresh one.
    pub fn discard(&self, kind: DeploymentKind) {
        if let Some(slot) = self.slots.get(&kind) {
            let running = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
            drop(running);
        }
    }

    /// Stops every server that this run started.
    pub fn stop_all(&self) {
        for kind in DeploymentKind::ALL {
            self.discard(kind);
        }
    }
}

fn start(kind: DeploymentKind) -> Result<Running, String> {
    let (user, password) = ROOT;
    let builder = match kind {
        DeploymentKind::Routers | DeploymentKind::Balancer => return startshims(kind),
        DeploymentKind::Standalone => testserver::Deployment::standalone(),
        DeploymentKind::ReplicaSet => testserver::Deployment::replica_set(MEMBERS),
        DeploymentKind::StandaloneWithLogin => {
            testserver::Deployment::standalone().auth_root(user, password)
        }
        DeploymentKind::ReplicaSetWithLogin => {
            testserver::Deployment::replica_set(1).auth_root(user, password)
        }
    };
    let servers = builder.start().map_err(|error| error.to_string())?;
    let uri = servers.uri();
    Ok(Running {
        servers: Some(servers),
        ..Running::at(kind, uri)
    })
}

fn startshims(kind: DeploymentKind) -> Result<Running, String> {
    let servers = testserver::Deployment::replica_set(1).start();
    let servers = servers.map_err(|error| error.to_string())?;
    let server = servers.member(0).address();
    let failed = |error: std::io::Error| format!("the router shim: {error}");
    if kind == DeploymentKind::Routers {
        let routers = RouterShim::routers(server, ROUTERS).map_err(failed)?;
        let uri = format!("mongodb://{}/", routers.hosts().join(","));
        return Ok(Running {
            servers: Some(servers),
            ..Running::at(kind, uri)
        }
        .behind(vec![routers]));
    }
    let several = RouterShim::balancer(server.clone(), ROUTERS).map_err(failed)?;
    let single = RouterShim::balancer(server, 1).map_err(failed)?;
    let uri = |shim: &RouterShim| {
        let hosts = shim.hosts().join(",");
        format!("mongodb://{hosts}/?loadBalanced=true")
    };
    Ok(Running {
        single_router_uri: Some(uri(&single)),
        servers: Some(servers),
        ..Running::at(kind, uri(&several))
    }
    .behind(vec![several, single]))
}

fn start_stand_in(kind: DeploymentKind) -> Result<Running, String> {
    let started = match kind {
        DeploymentKind::Standalone => testserver::Secantus::standalone(),
        DeploymentKind::ReplicaSet => testserver::Secantus::replica_set(),
        _ => return Err(format!("the stand-in is no {}", kind.name())),
    };
    let stand_in = started.map_err(|error| error.to_string())?;
    let uri = stand_in.uri();
    Ok(Running {
        _stand_in: Some(stand_in),
        ..Running::at(kind, uri)
    })
}

impl fmt::Debug for Deployments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deployments")
            .field("slots", &self.slots)
            .finish_non_exhaustive()
    }
}
