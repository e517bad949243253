//! Makes the connections of one server's pool.

use std::{sync::Weak, time::Duration};

use bson::oid::ObjectId;

use super::{Settings, Topology};
use crate::{
    address::ServerAddress,
    background::RuntimeId,
    conn::{Connection, RoundTripLimit},
    deadline::{Cause, Deadline},
    error::{Error, ErrorKind, Result},
    net,
    pool::{Connect, ConnectRequest, Generation, PoolMember},
    proto::topology::error_rules::labelled_as_overload,
};

/// How long an idle connection may take to show that the network still knows it. It is out of reach
/// for that long, so a slow server is given little: it costs a new connection.
const VERIFICATION: Duration = Duration::from_millis(500);

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

    /// Under `connectTimeoutMS` alone: an operation that waits for the connection has a limit of
    /// its own.
    async fn establish(&self, request: &ConnectRequest) -> Result<Connection> {
        let deadline = Deadline::after_optional(self.settings.connect_timeout, Cause::Connect);
        let stream = net::connect(&self.address, &self.settings.sockets, &deadline).await;
        let stream = stream.map_err(overload_labelled)?;
        let mut connection = Connection::new(stream, self.address.clone(), request.id);
        connection.limit_round_trips(self.round_trip_limit(request, deadline));
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

    /// With a `timeoutMS` servers learn how long each command may take (client side operations
    /// timeout specification): that long for a connection which no operation waits for, and else
    /// what `connectTimeoutMS` leaves.
    fn round_trip_limit(&self, request: &ConnectRequest, until: Deadline) -> RoundTripLimit {
        let Some(limit) = self.settings.timeout else {
            return RoundTripLimit::None;
        };
        let topology = self.topology.upgrade();
        let snapshot = topology.map(|topology| topology.snapshot_owned());
        let server = snapshot
            .as_ref()
            .and_then(|it| it.servers.get(&self.address));
        let round_trip = server.map_or(Duration::ZERO, |server| server.minimum_round_trip());
        match request.is_background {
            true => RoundTripLimit::Each { limit, round_trip },
            false => RoundTripLimit::All { until, round_trip },
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

/// Whether the error only says that the client is in a hurry, by its `timeoutMS`. That says nothing about the server: `connectTimeoutMS` is what makes the end of a
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

    fn has_hung_up(&mut self) -> bool {
        self.has_hung_up()
    }

    fn runtime(&self) -> RuntimeId {
        self.runtime()
    }

    fn move_to_current_runtime(&mut self) -> Result<()> {
        self.move_to_current_runtime()
    }

    async fn verify(&mut self) -> Result<()> {
        self.move_to_current_runtime()?;
        let deadline = Deadline::after(VERIFICATION, Cause::Socket);
        let ping = self.round_trip(|command| {
            command.append_i32("ping", 1)?;
            command.append_str("$db", "admin")
        });
        // Any answer will do.
        deadline.bound("a ping", ping).await?.map(drop)
    }

    fn service_id(&self) -> Option<ObjectId> {
        self.facts().service_id
    }
}
