//! A deployment as one case sees it.

use std::sync::{Arc, Mutex, PoisonError};

use crate::deployments::{DeploymentKind, Running};

/// The deployment that a case runs on, with names that no other case of the run uses.
#[derive(Debug)]
pub struct Deployment {
    running: Arc<Running>,
    label: String,
    observations: Mutex<Vec<String>>,
}

impl Deployment {
    pub(super) fn new(running: Arc<Running>, label: String) -> Self {
        Self {
            running,
            label,
            observations: Mutex::default(),
        }
    }

    /// The shape of the deployment.
    pub fn kind(&self) -> DeploymentKind {
        self.running.kind()
    }

    /// The connection string of the deployment, with the case's application name.
    pub fn uri(&self) -> String {
        self.uri_with("")
    }

    /// The same with more options: `maxPoolSize=2&retryWrites=false`.
    pub fn uri_with(&self, options: &str) -> String {
        let base = self.running.uri();
        let separator = match base.split_once("://").map_or(base, |(_, rest)| rest) {
            rest if rest.contains('?') => "&",
            rest if rest.contains('/') => "?",
            _ => "/?",
        };
        let more = if options.is_empty() {
            String::new()
        } else {
            format!("&{options}")
        };
        format!("{base}{separator}appName={}{more}", self.label)
    }

    /// The servers themselves, for cases that disturb them or look at them from outside.
    pub fn servers(&self) -> &motorcade_testserver::Deployment {
        self.running
            .servers()
            .expect("behaviours run on servers that this run has started")
    }

    /// A database for this case alone; empty when the case starts on a fresh deployment.
    pub fn database_name(&self) -> &str {
        &self.label
    }

    /// The application name in [`uri`](Self::uri): fail points and `currentOp` are told by it.
    pub fn app_name(&self) -> &str {
        &self.label
    }

    /// Writes down something that must be the same for both drivers, such as the names of the
    /// commands sent: no times, addresses or identifiers.
    pub fn observe(&self, what: impl Into<String>) {
        self.observations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(what.into());
    }

    pub(super) fn into_observations(self) -> Vec<String> {
        self.observations
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
