//! What all operations of one client share.

use std::{
    mem,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use bson::RawDocument;
use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinHandle,
};

use super::{
    clean_up::CleanUp,
    progress::{Begun, Bound, Progress},
};
use crate::{
    background::Background,
    clock,
    deadline::Deadline,
    error::{Error, Result},
    event::in_same_role,
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
    progress: Progress,
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
                progress: Progress::new(),
                clean_up: CleanUp::default(),
                lingering: Arc::new(Semaphore::new(MOST_LINGERING)),
            }),
        }
    }

    /// Runs a future in the background. A shutdown waits for it; after one, nothing is run. Never
    /// blocks. In a child of the process that uses the client, the future is leaked.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        if self.check_process().is_err() {
            mem::forget(future);
        } else if let Some(background) = self.inner.topology.background()
            && !self.inner.topology.is_closed()
        {
            let in_progress = self.begin_background_operation();
            background.spawn(Begun::CleanUp.scope(async move {
                future.await;
                drop(in_progress);
            }));
        }
    }

    /// What runs futures to their end whether or not their callers wait for them.
    ///
    /// # Errors
    /// An I/O error when the operating system gives no thread for the background runtime. As
    /// [`Executor::check_process`].
    pub(crate) fn detached(&self) -> Result<Detached> {
        self.check_process()?;
        let background = match self.inner.topology.background() {
            Some(background) => Arc::clone(background),
            None => Background::get()?,
        };
        Ok(Detached {
            background,
            executor: self.clone(),
        })
    }

    /// Emits a message: here, or on the delivery thread if this is the background thread.
    pub(crate) fn message(&self, emit: impl FnOnce() + Send + 'static) {
        self.inner.topology.command_delivery().run(emit);
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

    /// Checks that the client is not one that the parent of this process uses.
    ///
    /// # Errors
    /// An invalid-argument error in a child that was forked after the client's first operation.
    pub(crate) fn check_process(&self) -> Result<()> {
        self.inner.topology.check_process()
    }

    /// Counts an operation as in progress while the result exists. What cleans up begins while the
    /// client is being shut down as well.
    ///
    /// # Errors
    /// A shutdown error after a shutdown. As [`Executor::check_process`].
    pub(super) fn begin_operation(&self, cleans_up: bool) -> Result<InProgress<'_>> {
        self.check_process()?;
        if self.inner.topology.is_closed() {
            return Err(Error::shutdown());
        }
        let progress = &self.inner.progress;
        if cleans_up {
            progress.begin();
        } else if let Err(error) = progress.begin_if_open() {
            if Begun::current().is_none() {
                return Err(error);
            }
            progress.begin();
        }
        Ok(InProgress {
            progress,
            bound: Bound::None,
        })
    }

    /// Runs an action of several commands. A shutdown waits for it, also between two of them.
    ///
    /// # Errors
    /// A shutdown error when the client was shut down before.
    pub(crate) async fn in_action<T>(&self, action: impl Future<Output = T>) -> Result<T> {
        self.inner.progress.begin_if_open()?;
        let in_progress = BackgroundOperation(self.clone());
        let output = Begun::Action.scope(action).await;
        drop(in_progress);
        Ok(output)
    }

    /// Counts work of several operations in the background as in progress while the result
    /// exists, so that a shutdown waits for it also between them.
    pub(crate) fn begin_background_operation(&self) -> BackgroundOperation {
        self.inner.progress.begin();
        BackgroundOperation(self.clone())
    }

    /// Awaits a server or a connection.
    ///
    /// # Errors
    /// A shutdown error when the client is shut down meanwhile.
    pub(super) async fn unless_closing<F: Future>(&self, future: Pin<&mut F>) -> Result<F::Output> {
        let outcome = self.inner.progress.unless_closing(future).await;
        outcome.ok_or_else(Error::shutdown)
    }

    /// Awaits anything else that an operation waits for.
    ///
    /// # Errors
    /// As [`Executor::unless_closing`].
    pub(super) async fn unless_closed<F: Future>(&self, future: Pin<&mut F>) -> Result<F::Output> {
        let outcome = self.inner.progress.unless_closed(future).await;
        outcome.ok_or_else(Error::shutdown)
    }

    /// Begins the shutdown: no operation begins or waits from now on. Returns when none is in
    /// progress; one without a deadline may go on until `until`.
    pub(crate) async fn end_operations(&self, until: Option<Instant>) {
        self.inner.progress.close();
        self.inner.topology.wake_waiting();
        self.inner.progress.ended(until).await;
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
        let future = in_same_role(Begun::Action.scope(future));
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
pub(crate) struct InProgress<'a> {
    progress: &'a Progress,
    bound: Bound,
}

impl InProgress<'_> {
    /// Notes the operation's deadline, until which a shutdown waits for it.
    pub(super) fn bound(&mut self, deadline: Option<&Deadline>) {
        if let Some(deadline) = deadline {
            self.bound = self.progress.bound(deadline);
        }
    }
}

impl Drop for InProgress<'_> {
    fn drop(&mut self) {
        self.progress.end(self.bound);
    }
}

/// Work in the background, until dropped.
#[derive(Debug)]
pub(crate) struct BackgroundOperation(Executor);

impl Drop for BackgroundOperation {
    fn drop(&mut self) {
        self.0.inner.progress.end(Bound::None);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.topology.check_process().is_err() {
            mem::forget(Arc::clone(&self.topology));
        }
        self.topology.close();
    }
}
