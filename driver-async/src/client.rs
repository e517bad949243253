//! The client: one deployment, and everything that operations on it share.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use arc_swap::ArcSwap;
use bson::RawDocument;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{
    clock,
    concerns::Concerns,
    conn::Handshaker,
    database::Database,
    error::{Error, Result},
    net::tls,
    options::{
        ClientOptions, DatabaseOptions, DriverInfo, ReadConcern, SelectionCriteria, Tls,
        WriteConcern,
    },
    pool::PoolOptions,
    proto::{
        cluster_time::ClusterTime,
        session_pool::{ServerSession, SessionPool},
        topology::TopologySeed,
    },
    topology::{Settings, Topology},
};

/// A handle to one deployment. Cloning it is cheap, and all clones share the same connections.
///
/// Making a client does no I/O: servers are looked for when the first operation needs one. When
/// the last handle (client, database, collection or cursor) is dropped, every background task
/// ends and every connection is closed; [`Client::shutdown`] does so earlier, and tells the
/// servers that the sessions have ended.
///
/// ```no_run
/// # async fn example() -> motorcade::error::Result<()> {
/// use motorcade::{Client, bson::doc};
///
/// let client = Client::with_uri_str("mongodb://localhost:27017").await?;
/// client.database("admin").run_command(doc! { "ping": 1 }).await?;
/// client.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    topology: Arc<Topology>,
    default_database: Option<String>,
    concerns: Concerns,
    sessions: Mutex<SessionPool>,
    cluster_time: ArcSwap<ClusterTime>,
    operations: AtomicUsize,
    idle: Notify,
}

impl Client {
    /// A client for the deployment that a connection string names.
    ///
    /// # Errors
    /// An invalid-argument error that says what is wrong with the connection string.
    pub async fn with_uri_str(uri: impl AsRef<str>) -> Result<Self> {
        Self::with_options(ClientOptions::parse(uri.as_ref()).await?)
    }

    /// A client with these options.
    ///
    /// # Errors
    /// An invalid-argument error for options that contradict each other, and an
    /// invalid-TLS-configuration error for certificates that cannot be read.
    pub fn with_options(options: ClientOptions) -> Result<Self> {
        options.validate()?;
        options.log_warnings();
        let seed = TopologySeed::from(&options);
        let topology = Arc::new(Topology::new(settings(&options)?, seed));
        let inner = Inner {
            topology,
            default_database: options.default_database,
            concerns: Concerns {
                selection_criteria: options.selection_criteria,
                read_concern: options.read_concern,
                write_concern: options.write_concern,
            },
            sessions: Mutex::default(),
            cluster_time: ArcSwap::default(),
            operations: AtomicUsize::new(0),
            idle: Notify::new(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// A handle to a database, with this client's concerns and read preference.
    pub fn database(&self, name: &str) -> Database {
        self.database_with_options(name, DatabaseOptions::default())
    }

    /// A handle to a database, with its own options where they are set.
    pub fn database_with_options(&self, name: &str, options: DatabaseOptions) -> Database {
        Database::new(self.clone(), name, options)
    }

    /// A handle to the database that the connection string names; `None` when it names none.
    pub fn default_database(&self) -> Option<Database> {
        let name = self.inner.default_database.as_deref();
        name.map(|name| self.database(name))
    }

    /// Which servers may serve reads, unless a database, collection or operation says otherwise.
    pub fn selection_criteria(&self) -> Option<&SelectionCriteria> {
        self.inner.concerns.selection_criteria.as_ref()
    }

    /// The read concern, unless a database, collection or operation says otherwise.
    pub fn read_concern(&self) -> Option<&ReadConcern> {
        self.inner.concerns.read_concern.as_ref()
    }

    /// The write concern, unless a database, collection or operation says otherwise.
    pub fn write_concern(&self) -> Option<&WriteConcern> {
        self.inner.concerns.write_concern.as_ref()
    }

    /// Adds to what servers are told about this client, for libraries built on top of it.
    ///
    /// Connections made from now on say so; see the handshake specification. The same
    /// information is added only once.
    ///
    /// # Errors
    /// An invalid-argument error for text that cannot be sent.
    pub fn append_metadata(&self, driver_info: DriverInfo) -> Result<()> {
        self.settings().handshaker.append_metadata(&driver_info)
    }

    pub(crate) fn concerns(&self) -> &Concerns {
        &self.inner.concerns
    }

    /// Runs a future in the background, on the runtime of the first operation. Does nothing after
    /// the client was shut down; never blocks.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = self.inner.topology.runtime()
            && !self.inner.topology.is_closed()
        {
            runtime.spawn(future);
        }
    }

    pub(crate) fn topology(&self) -> &Arc<Topology> {
        &self.inner.topology
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.inner.topology.settings
    }

    /// Counts an operation as in progress while the result exists.
    pub(crate) fn begin_operation(&self) -> Result<InProgress<'_>> {
        if self.inner.topology.is_closed() {
            return Err(Error::shutdown());
        }
        self.inner.operations.fetch_add(1, Ordering::Relaxed);
        Ok(InProgress(&self.inner))
    }

    /// Waits until no operation is in progress.
    pub(crate) async fn operations_ended(&self) {
        loop {
            let idle = self.inner.idle.notified();
            tokio::pin!(idle);
            idle.as_mut().enable();
            if self.inner.operations.load(Ordering::Acquire) == 0 {
                return;
            }
            idle.await;
        }
    }

    pub(crate) fn take_session(&self) -> ServerSession {
        let now = clock::now();
        let timeout = self.session_timeout();
        let pooled = self.inner.sessions.lock().take(now, timeout);
        pooled.unwrap_or_else(|| ServerSession::new(bson::Uuid::new().bytes(), now))
    }

    pub(crate) fn put_back_session(&self, session: ServerSession) {
        let timeout = self.session_timeout();
        self.inner
            .sessions
            .lock()
            .put_back(session, clock::now(), timeout);
    }

    /// The ids of all free sessions, which are then forgotten.
    pub(crate) fn drain_sessions(&self) -> Vec<[u8; 16]> {
        self.inner.sessions.lock().drain()
    }

    fn session_timeout(&self) -> Option<std::time::Duration> {
        self.inner
            .topology
            .snapshot()
            .description
            .logical_session_timeout()
    }

    /// Takes over the `$clusterTime` of a reply, if it is newer.
    pub(crate) fn advance_cluster_time(&self, reply: &RawDocument) {
        let Ok(Some(time)) = reply.get("$clusterTime") else {
            return;
        };
        let Some(time) = time.as_document() else {
            return;
        };
        loop {
            // Most replies bring nothing new, which costs one look.
            let current = self.inner.cluster_time.load();
            if !current.is_behind(time) {
                return;
            }
            let mut newer = ClusterTime::clone(&current);
            newer.advance(time);
            let found = self
                .inner
                .cluster_time
                .compare_and_swap(&current, Arc::new(newer));
            if Arc::ptr_eq(&found, &current) {
                return;
            }
        }
    }

    /// The newest `$clusterTime` seen.
    pub(crate) fn cluster_time(&self) -> arc_swap::Guard<Arc<ClusterTime>> {
        self.inner.cluster_time.load()
    }
}

/// An operation in progress, until dropped.
#[derive(Debug)]
pub(crate) struct InProgress<'a>(&'a Inner);

impl Drop for InProgress<'_> {
    fn drop(&mut self) {
        if self.0.operations.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.topology.close();
    }
}

/// The options as the layers below the client use them.
pub(crate) fn settings(options: &ClientOptions) -> Result<Settings> {
    let tls = match &options.tls {
        Some(Tls::Enabled(options)) => Some(tls::Config::new(options)?),
        Some(Tls::Disabled) | None => None,
    };
    let server_api = options
        .server_api
        .as_ref()
        .map(bson::serialize_to_raw_document_buf);
    Ok(Settings {
        connect_timeout: options.connect_limit(),
        socket_timeout: options.socket_limit(),
        server_selection_timeout: options.selection_limit(),
        heartbeat_frequency: options.heartbeat_frequency(),
        local_threshold: options.latency_window(),
        monitoring_mode: options.monitoring_mode(),
        retry_reads: options.retries_reads(),
        retry_writes: options.retries_writes(),
        load_balanced: options.is_load_balanced(),
        server_api: server_api.transpose()?,
        tls,
        handshaker: Handshaker::new(options)?,
        pool: pool_options(options),
        cmap_event_handler: options.cmap_event_handler.clone(),
        command_event_handler: options.command_event_handler.clone(),
        sdam_event_handler: options.sdam_event_handler.clone(),
    })
}

fn pool_options(options: &ClientOptions) -> PoolOptions {
    PoolOptions {
        max_pool_size: options.max_pool_size,
        min_pool_size: options.min_pool_size,
        max_idle_time: options.idle_limit(),
        max_connecting: options.max_connecting,
        wait_queue_timeout: options.wait_queue_limit(),
        load_balanced: options.is_load_balanced(),
        ..PoolOptions::default()
    }
}
