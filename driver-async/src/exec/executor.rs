//! What all operations of one client share.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use bson::RawDocument;
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    task::JoinHandle,
};

use super::clean_up::CleanUp;
use crate::{
    background::Background,
    clock,
    error::{Error, Result},
    proto::{
        cluster_time::ClusterClock,
        session_pool::{ServerSession, SessionPool},
        wire::fields,
    },
    topology::{Settings, Topology},
};

/// What all operations of one client share: the deployment, the sessions, the cluster's clock.
///
/// Cloning it is cheap. When the last clone is dropped, the topology is closed.
#[derive(Clone, Debug)]
pub(crate) struct Executor {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    topology: Arc<Topology>,
    sessions: Mutex<SessionPool>,
    cluster_time: ArcSwap<ClusterClock>,
    operations: AtomicUsize,
    idle: Notify,
    clean_up: CleanUp,
    /// How many more connections may linger that have left their pools.
    lingering: Arc<Semaphore>,
}

/// The most connections that linger at a time, as many as a pool has by default.
const MOST_LINGERING: usize = 100;

impl Executor {
    pub(crate) fn new(topology: Topology) -> Self {
        Self {
            inner: Arc::new(Inner {
                topology: Arc::new(topology),
                sessions: Mutex::default(),
                cluster_time: ArcSwap::default(),
                operations: AtomicUsize::new(0),
                idle: Notify::new(),
                clean_up: CleanUp::default(),
                lingering: Arc::new(Semaphore::new(MOST_LINGERING)),
            }),
        }
    }

    /// Runs a future in the background. A shutdown waits for it; after one, nothing is run. Never
    /// blocks.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        if let Some(background) = self.inner.topology.background()
            && !self.inner.topology.is_closed()
        {
            let in_progress = self.begin_background_operation();
            background.spawn(async move {
                future.await;
                drop(in_progress);
            });
        }
    }

    /// What runs futures to their end whether or not their callers wait for them.
    ///
    /// # Errors
    /// An I/O error when the operating system gives no thread for the background runtime.
    pub(crate) fn detached(&self) -> Result<Detached> {
        let background = match self.inner.topology.background() {
            Some(background) => Arc::clone(background),
            None => Background::get()?,
        };
        Ok(Detached {
            background,
            executor: self.clone(),
        })
    }

    /// What is to be cleaned up on servers.
    pub(super) fn clean_up(&self) -> &CleanUp {
        &self.inner.clean_up
    }

    /// A place for a connection that lingers although it has left its pool; `None` when there are
    /// too many.
    pub(super) fn place_to_linger(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.inner.lingering).try_acquire_owned().ok()
    }

    /// Whether both belong to one client.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
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

    /// Counts work of several operations in the background as in progress while the result
    /// exists, so that a shutdown waits for it also between them.
    pub(crate) fn begin_background_operation(&self) -> BackgroundOperation {
        self.inner.operations.fetch_add(1, Ordering::Relaxed);
        BackgroundOperation(self.clone())
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

    fn session_timeout(&self) -> Option<Duration> {
        self.inner
            .topology
            .snapshot()
            .description
            .logical_session_timeout()
    }

    /// Takes over the `$clusterTime` of a reply, if it is newer.
    pub(crate) fn advance_cluster_time(&self, reply: &RawDocument) {
        let time = fields(reply).find(|field| field.key == b"$clusterTime");
        let Some(time) = time.and_then(|time| time.document()) else {
            return;
        };
        loop {
            // Most replies bring nothing new, which costs one look.
            let current = self.inner.cluster_time.load();
            let Some(newer) = current.advanced(time) else {
                return;
            };
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
    pub(crate) fn cluster_time(&self) -> arc_swap::Guard<Arc<ClusterClock>> {
        self.inner.cluster_time.load()
    }
}

/// What runs futures to their end whether or not their callers wait for them.
#[derive(Debug)]
pub(crate) struct Detached {
    background: Arc<Background>,
    executor: Executor,
}

impl Detached {
    /// Runs a future to its end. A shutdown waits for it.
    pub(crate) fn spawn<F>(self, future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let background = Arc::clone(&self.background);
        let in_progress = self.executor.begin_background_operation();
        background.spawn_detached(async move {
            let output = future.await;
            // Both are kept until the end: the client, and the runtime even before a first
            // operation has started it for the client.
            drop((in_progress, self));
            output
        })
    }
}

/// An operation in progress, until dropped.
#[derive(Debug)]
pub(crate) struct InProgress<'a>(&'a Inner);

impl Drop for InProgress<'_> {
    fn drop(&mut self) {
        self.0.end_operation();
    }
}

/// Work in the background, until dropped.
#[derive(Debug)]
pub(crate) struct BackgroundOperation(Executor);

impl Drop for BackgroundOperation {
    fn drop(&mut self) {
        self.0.inner.end_operation();
    }
}

impl Inner {
    fn end_operation(&self) {
        if self.operations.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.idle.notify_waiters();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.topology.close();
    }
}
