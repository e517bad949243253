//! Waiting for a server that can serve an operation.

use std::sync::Arc;

use rand::Rng;

use super::{Selected, Server, Snapshot, Topology};
use crate::{
    address::ServerAddress,
    background::RuntimeId,
    deadline::Deadline,
    error::{ErrorKind, Result},
    event::log::selection::{SelectionLog, is_logged_in_full},
    options::ReadPreference,
    proto::selection::{self, Wanted},
};

impl Topology {
    /// The one server that takes writes, if that is wanted and nobody has to wait for it or hear of
    /// it. This is the usual case, and costs one atomic load and no allocation.
    pub(crate) fn select_at_once(&self, wanted: Wanted<'_>) -> Option<Selected> {
        let takes_writable = matches!(
            wanted,
            Wanted::Write | Wanted::Read(ReadPreference::Primary)
        );
        if !takes_writable || !self.has_started() || is_logged_in_full() {
            return None;
        }
        let snapshot = self.snapshot();
        let server = snapshot.writable.as_ref();
        server.map(|server| Selected::new(Arc::clone(server)))
    }

    /// A server that can serve what is wanted, as soon as there is one.
    ///
    /// # Errors
    /// A server-selection error at the deadline, at once when what is wanted cannot be met by any
    /// server, and a shutdown error once the client is shut down.
    pub(crate) async fn select(
        self: &Arc<Self>,
        wanted: Wanted<'_>,
        deprioritized: &[ServerAddress],
        deadline: &Deadline,
        log: &SelectionLog<'_>,
    ) -> Result<Selected> {
        self.open()?;
        if is_logged_in_full() {
            log.started(wanted, &self.snapshot().description);
            let outcome = self.find(wanted, deprioritized, deadline, log).await;
            let snapshot = self.snapshot();
            match &outcome {
                Ok(server) => log.succeeded(wanted, &snapshot.description, server.address()),
                Err(error) => log.failed(wanted, &snapshot.description, error),
            }
            return outcome;
        }
        self.find(wanted, deprioritized, deadline, log).await
    }

    async fn find(
        self: &Arc<Self>,
        wanted: Wanted<'_>,
        deprioritized: &[ServerAddress],
        deadline: &Deadline,
        log: &SelectionLog<'_>,
    ) -> Result<Selected> {
        let snapshot = self.snapshot_owned();
        if let Some(server) = self.choose(&snapshot, wanted, deprioritized)? {
            return Ok(Selected::new(server));
        }
        if deadline.has_passed() {
            return Err(selection::explain(&snapshot.description, wanted, deadline));
        }
        RuntimeId::required()?;
        log.waiting(wanted, &snapshot.description, deadline.remaining());
        drop(snapshot);
        let found = self
            .published
            .find(|snapshot| self.look(snapshot, wanted, deprioritized).transpose());
        match deadline.bound("server selection", found).await {
            Ok(server) => server.map(Selected::new),
            Err(_) => {
                let description = &self.snapshot().description;
                Err(selection::explain(description, wanted, deadline))
            }
        }
    }

    /// As [`Topology::choose`], for those who wait: if there is no suitable server they ask every
    /// server's monitor for a check.
    fn look(
        self: &Arc<Self>,
        snapshot: &Snapshot,
        wanted: Wanted<'_>,
        deprioritized: &[ServerAddress],
    ) -> Result<Option<Arc<Server>>> {
        self.ensure_open()?;
        let chosen = self.choose(snapshot, wanted, deprioritized)?;
        if chosen.is_none() {
            for server in snapshot.servers.values() {
                server.ask_for_check();
            }
        }
        Ok(chosen)
    }

    /// The server at this address, whatever is known of it; for what is pinned to it.
    ///
    /// # Errors
    /// A server-selection error when it has left the deployment, and a shutdown error.
    pub(crate) fn select_pinned(self: &Arc<Self>, address: &ServerAddress) -> Result<Selected> {
        self.open()?;
        match self.snapshot().servers.get(address) {
            Some(server) => Ok(Selected::new(Arc::clone(server))),
            None => Err(ErrorKind::ServerSelection {
                message: format!("server {address} is no longer part of the deployment"),
            }
            .into()),
        }
    }

    fn choose(
        &self,
        snapshot: &Snapshot,
        wanted: Wanted<'_>,
        deprioritized: &[ServerAddress],
    ) -> Result<Option<Arc<Server>>> {
        let in_flight = |address: &ServerAddress| {
            snapshot
                .servers
                .get(address)
                .map_or(0, |server| server.operation_count())
        };
        let random = {
            let mut random = rand::rng();
            [random.random(), random.random()]
        };
        let criteria = self.criteria(wanted, deprioritized);
        let chosen = selection::decide(&snapshot.description, &criteria, in_flight, random)?;
        Ok(chosen
            .and_then(|description| snapshot.servers.get(description.address()))
            .cloned())
    }
}
