//! Makes the connections of one server's pool.

use std::{sync::Weak, time::Duration};

use bson::oid::ObjectId;

use super::{Settings, Topology};
use crate::{
    address::ServerAddress,
    conn::{Connection, RoundTripLimit},
    deadline::{Cause, Deadline},
    error::{Error, ErrorKind, Result},
    net,
    pool::{Connect, ConnectRequest, Generation, PoolMember},
    proto::topology::error_rules::labelled_as_overload,
};

/// Makes the connections of one server's pool: socket, encryption, handshake, authentication.
///
/// The pool tells it of every failure, those in the background too, and it tells the topology.
#[derive(Debug)]
pub(crate) struct Connector {
    pub(super) address: ServerAddress,
    pub(super) settings: std::sync::Arc<Settings>,
    pub(super) topology: Weak<Topology>,
}

impl Connector {
    /// A connector that reports to no topology, for a pool on its own.
    pub(crate) fn detached(address: ServerAddress, settings: Settings) -> Self {
        Self {
            address,
            settings: std::sync::Arc::new(settings),
            topology: Weak::new(),
        }
    }

    async fn establish(&self, request: &ConnectRequest) -> Result<Connection> {
        let limit = Deadline::after_optional(self.settings.connect_timeout, Cause::Connect);
        let deadline = limit.or_earlier(request.deadline);
        let stream = net::connect(&self.address, &self.settings.sockets, &deadline).await;
        let stream = stream.map_err(overload_labelled)?;
        let mut connection = Connection::new(stream, self.address.clone(), request.id);
        connection.limit_round_trips(self.round_trip_limit(request));
        let handshaker = &self.settings.handshaker;
        let hello = deadline.bound("the handshake", handshaker.greet(&mut connection));
        let greeted = hello.await.flatten().map_err(overload_labelled)?;
        let service = self.service_of(&connection);
        let authentication = handshaker.authenticate(&mut connection, greeted);
        let authentication = deadline.bound("authentication", authentication).await;
        authentication
            .flatten()
            .inspect_err(|error| self.failed_at(service, error))?;
        connection.limit_round_trips(RoundTripLimit::None);
        Ok(connection)
    }

    fn round_trip_limit(&self, request: &ConnectRequest) -> RoundTripLimit {
        let limit = self.settings.timeout.filter(|_| request.is_background);
        if limit.is_none() && !request.deadline.is_of_operation() {
            return RoundTripLimit::None;
        }
        let topology = self.topology.upgrade();
        let snapshot = topology.map(|topology| topology.snapshot_owned());
        let server = snapshot
            .as_ref()
            .and_then(|it| it.servers.get(&self.address));
        let round_trip = server.map_or(Duration::ZERO, |server| server.minimum_round_trip());
        match limit {
            Some(limit) => RoundTripLimit::Each { limit, round_trip },
            None => RoundTripLimit::All {
                until: request.deadline,
                round_trip,
            },
        }
    }

    /// Behind a load balancer, the generation of the service that it chose.
    fn service_of(&self, connection: &Connection) -> Option<Generation> {
        let service_id = connection.facts().service_id;
        if !self.settings.load_balanced || service_id.is_none() {
            return None;
        }
        let snapshot = self.topology.upgrade()?.snapshot_owned();
        let server = snapshot.servers.get(&self.address)?;
        Some(server.pool().generation(service_id))
    }

    /// Tells the topology of a failure at a service, which the pool does not know yet.
    fn failed_at(&self, service: Option<Generation>, error: &Error) {
        if let Some(service) = service.filter(|_| !is_of_hurry(error))
            && let Some(topology) = self.topology.upgrade()
        {
            topology.report_connect_error(&self.address, error, service);
        }
    }
}

impl Connect for Connector {
    type Connection = Connection;

    async fn connect(&self, request: ConnectRequest) -> Result<Connection> {
        // A client that was used on another runtime before comes by here first, as the connections
        // of one that was shut down are of no use.
        if let Some(topology) = self.topology.upgrade() {
            topology.revive_monitors();
        }
        let outcome = self.establish(&request).await;
        outcome.map_err(|error| error.with_address(&self.address))
    }

    fn failed(&self, request: &ConnectRequest, error: &Error) {
        if is_of_hurry(error) {
            return;
        }
        if let Some(topology) = self.topology.upgrade() {
            topology.report_connect_error(&self.address, error, request.generation);
        }
    }
}

/// Whether the error only says that somebody is in a hurry, an operation or with `timeoutMS` all of
/// the client. That says nothing about the server: `connectTimeoutMS` is what makes the end of a
/// wait an error of the network.
fn is_of_hurry(error: &Error) -> bool {
    matches!(*error.kind, ErrorKind::Timeout { .. }) || error.says_time_is_up()
}

/// Labels what may be a server turning new connections away (CMAP specification, backpressure).
fn overload_labelled(error: Error) -> Error {
    if net::can_be_overload(&error) {
        labelled_as_overload(error)
    } else {
        error
    }
}

impl PoolMember for Connection {
    fn is_reusable(&self) -> bool {
        self.is_reusable()
    }

    fn failure(&self) -> Option<Error> {
        self.failure().cloned()
    }

    fn has_hung_up(&self) -> bool {
        self.has_hung_up()
    }

    fn is_at_home(&self) -> bool {
        self.is_at_home()
    }

    fn is_forsaken(&self) -> bool {
        self.is_forsaken()
    }

    fn service_id(&self) -> Option<ObjectId> {
        self.facts().service_id
    }
}
