//! The deployment as it is now, and the tasks that watch it.
//!
//! An immutable [`Snapshot`] hangs by one atomic reference. Readers take it without a lock that
//! anybody holds for long; writers copy it, change the copy and swap it in, one at a time. Only a
//! server's monitor checks that server; operations report errors and ask for a check.

mod connector;
mod errors;
mod heartbeat;
mod monitor;
mod published;
mod rtt;
mod select;
mod server;
mod settings;
mod warm;

use std::{
    collections::BTreeMap,
    mem,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, Ordering},
    },
};

use arc_swap::{ArcSwap, Guard};
use bson::oid::ObjectId;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use self::published::Published;
pub(crate) use connector::Connector;
pub(crate) use server::{Selected, Server};
pub(crate) use settings::Settings;

use crate::{
    address::ServerAddress,
    background::{Background, RuntimeId},
    error::{Error, Result},
    event::{DeliveryThread, Listeners, OrderedEvents, log::LogContext, sdam::SdamEvent},
    pool::Pool,
    process::Owner,
    proto::{
        selection::{self, Criteria, Wanted},
        topology::{Effects, ServerDescription, TopologyDescription, TopologySeed},
    },
};

/// The deployment at one moment. Never changed once published.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) description: TopologyDescription,
    pub(crate) servers: Arc<BTreeMap<ServerAddress, Arc<Server>>>,
    /// The one server that takes writes, when there is just one to choose from.
    pub(crate) writable: Option<Arc<Server>>,
}

/// The deployment as it is now.
#[derive(Debug)]
pub(crate) struct Topology {
    pub(crate) settings: Arc<Settings>,
    log: LogContext,
    seed: TopologySeed,
    published: Published<Snapshot>,
    phase: AtomicU8,
    owner: Owner,
    /// Where the monitors are, and what else goes on in the background; from the first operation on.
    background: OnceLock<Arc<Background>>,
    events: OrderedEvents<SdamEvent>,
    /// Tells the events of discovery and of pools that no operation tells, in their common order.
    event_delivery: DeliveryThread,
    /// Tells of commands and emits messages for the background thread. One of its own, because
    /// operations may wait for it.
    command_delivery: DeliveryThread,
    /// The pools that were changed under the writers' lock, and whose listeners are told when it
    /// is released: a listener may drop the last handle of the client, which takes the lock.
    untold: Mutex<Vec<Pool<Connector>>>,
}

/// What [`Topology::phase`] holds.
mod phase {
    pub(super) const NEW: u8 = 0;
    pub(super) const OPEN: u8 = 1;
    pub(super) const CLOSED: u8 = 2;
}

impl Topology {
    /// A deployment of which only the seeds are known. Does no I/O and starts nothing.
    pub(crate) fn new(settings: Settings, seed: TopologySeed) -> Self {
        let log = LogContext {
            topology_id: ObjectId::new(),
            max_document_length: settings.max_document_length,
        };
        let handler = settings.sdam_event_handler.clone();
        let event_delivery = DeliveryThread::new();
        let snapshot = Snapshot {
            description: TopologyDescription::new(&seed),
            servers: Arc::default(),
            writable: None,
        };
        Self {
            events: OrderedEvents::new(Listeners::new(handler, log, &event_delivery)),
            event_delivery,
            command_delivery: DeliveryThread::new(),
            settings: Arc::new(settings),
            log,
            seed,
            published: Published::new(snapshot),
            phase: AtomicU8::new(phase::NEW),
            owner: Owner::default(),
            background: OnceLock::new(),
            untold: Mutex::default(),
        }
    }

    /// Notes that a pool has events to deliver.
    fn tell_later(&self, pool: &Pool<Connector>) {
        self.untold.lock().push(pool.clone());
    }

    /// Delivers the events of a change, after the writers' lock was released.
    fn deliver(&self) {
        self.events.deliver();
        self.deliver_of_pools();
    }

    fn deliver_of_pools(&self) {
        let pools = mem::take(&mut *self.untold.lock());
        for pool in pools {
            pool.deliver();
        }
    }

    /// What the log messages of this client have in common.
    pub(crate) fn log(&self) -> &LogContext {
        &self.log
    }

    /// What tells of commands and emits messages for the background thread.
    pub(crate) fn command_delivery(&self) -> &DeliveryThread {
        &self.command_delivery
    }

    /// The deployment now. Hold it only for one decision.
    pub(crate) fn snapshot(&self) -> Guard<Arc<Snapshot>> {
        self.published.load()
    }

    /// Like [`Topology::snapshot`], to be kept across an await.
    pub(crate) fn snapshot_owned(&self) -> Arc<Snapshot> {
        self.published.load_full()
    }

    /// Whether the client was shut down or all its handles are gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.phase.load(Ordering::Acquire) == phase::CLOSED
    }

    /// Whether the first operation has started the monitors, and nothing has ended them.
    pub(crate) fn has_started(&self) -> bool {
        self.phase.load(Ordering::Acquire) == phase::OPEN
    }

    /// Checks that the client is not one that the parent of this process uses.
    ///
    /// # Errors
    /// An invalid-argument error in a child that was forked after the client's first operation.
    pub(crate) fn check_process(&self) -> Result<()> {
        self.owner.check()
    }

    /// Starts a monitor for every server, once.
    fn open(self: &Arc<Self>) -> Result<()> {
        match self.phase.load(Ordering::Acquire) {
            phase::OPEN => Ok(()),
            phase::CLOSED => Err(Error::shutdown()),
            _ => self.open_first(),
        }
    }

    fn ensure_open(&self) -> Result<()> {
        if self.is_closed() {
            Err(Error::shutdown())
        } else {
            Ok(())
        }
    }

    fn open_first(self: &Arc<Self>) -> Result<()> {
        RuntimeId::required()?;
        // Before the lock: a child could wait for it without end.
        self.owner.claim()?;
        let background = Background::get()?;
        let writing = self.published.write();
        if self.phase.load(Ordering::Acquire) != phase::NEW {
            drop(writing);
            return self.ensure_open();
        }
        self.background.get_or_init(|| background);
        self.event_delivery.adopt_runtime();
        self.command_delivery.adopt_runtime();
        let description = self.snapshot_owned().description.clone();
        self.events
            .extend(|| description.opening_events(self.log.topology_id, &self.seed));
        let opened = description.servers().into_keys().cloned().collect();
        self.publish(
            description,
            &Effects {
                opened,
                ..Effects::default()
            },
        );
        if self.settings.load_balanced {
            // Nobody checks a load balancer: it is known from the beginning.
            for address in self.snapshot_owned().servers.keys() {
                self.apply_locked(ServerDescription::load_balancer(address.clone()));
            }
        }
        self.phase.store(phase::OPEN, Ordering::Release);
        drop(writing);
        // Monitors deliver these before their first check. Were they delivered here, a check could
        // be over, and its pool's listener told, before the check itself is.
        if self.settings.load_balanced {
            self.events.deliver();
        }
        self.deliver_of_pools();
        Ok(())
    }

    /// Takes over what a check, or an operation's error, says about one server, and tells whether
    /// it was news. The caller holds the writers' lock, and delivers the events afterwards.
    fn apply_locked(self: &Arc<Self>, server: ServerDescription) -> bool {
        self.apply_with(server, |_| {})
    }

    /// As [`Topology::apply_locked`]; if it is news, `before` runs before anyone can see it.
    fn apply_with(
        self: &Arc<Self>,
        server: ServerDescription,
        before: impl FnOnce(&TopologyDescription),
    ) -> bool {
        if self.is_closed() {
            return false;
        }
        let current = self.snapshot_owned();
        let mut description = current.description.clone();
        let effects = description.apply(server);
        if !effects.applied {
            return false;
        }
        before(&description);
        for address in &effects.closed {
            if let Some(server) = current.servers.get(address) {
                server.heartbeats.close(&self.events);
            }
        }
        self.events
            .extend(|| effects.events(self.log.topology_id, &current.description, &description));
        if effects.left_empty {
            // Not here: a subscriber may use the client, whose writers' lock is held.
            self.command_delivery.send(|| {
                tracing::warn!(
                    "no server is left that belongs to this deployment: check replicaSet and the \
                     hosts of the connection string"
                );
            });
        }
        self.publish(description, &effects);
        true
    }

    /// Takes over a successful check. The pool is ready before anyone can select the server.
    fn apply_check(self: &Arc<Self>, server: &Server, checked: ServerDescription) {
        let writing = self.published.write();
        self.apply_with(checked, |description| {
            if description.wants_pool(&server.address) {
                server.pool.ready_quietly();
                self.tell_later(&server.pool);
            }
        });
        drop(writing);
        self.deliver();
    }

    /// Swaps the new snapshot in, then performs what follows from it, in order.
    fn publish(self: &Arc<Self>, description: TopologyDescription, effects: &Effects) {
        let current = self.snapshot_owned();
        let servers = if effects.opened.is_empty() && effects.closed.is_empty() {
            Arc::clone(&current.servers)
        } else {
            let mut servers = BTreeMap::clone(&current.servers);
            servers.retain(|address, _| !effects.closed.contains(address));
            for address in &effects.opened {
                servers.insert(address.clone(), Arc::new(self.make_server(address)));
            }
            Arc::new(servers)
        };
        let writable = selection::only(&description, &self.criteria(Wanted::Write, &[]))
            .and_then(|server| servers.get(server.address()))
            .map(Arc::clone);
        let snapshot = Snapshot {
            description,
            servers,
            writable,
        };
        self.published.replace(snapshot, |snapshot| {
            self.perform(effects, &current, snapshot)
        });
    }

    fn perform(self: &Arc<Self>, effects: &Effects, before: &Snapshot, now: &Snapshot) {
        for address in &effects.closed {
            if let Some(server) = before.servers.get(address) {
                server.close();
                self.tell_later(&server.pool);
            }
        }
        for address in &effects.opened {
            if let Some(server) = now.servers.get(address) {
                self.tell_later(&server.pool);
                self.start(server);
            }
        }
        for address in &effects.check_now {
            if let Some(server) = now.servers.get(address) {
                server.ask_for_check();
            }
        }
    }

    /// What an operation wants, with the client's settings that have a say in it.
    fn criteria<'a>(&self, wanted: Wanted<'a>, deprioritized: &'a [ServerAddress]) -> Criteria<'a> {
        Criteria {
            wanted,
            local_threshold: self.settings.local_threshold,
            heartbeat_frequency: self.settings.heartbeat_frequency,
            deprioritized,
        }
    }

    fn make_server(self: &Arc<Self>, address: &ServerAddress) -> Server {
        let connector = Connector {
            address: address.clone(),
            settings: Arc::clone(&self.settings),
            topology: Arc::downgrade(self),
        };
        let handler = self.settings.cmap_event_handler.clone();
        let listeners = Listeners::new(handler, self.log, &self.event_delivery);
        let options = self.settings.pool;
        let pool = Pool::with_listeners(address.clone(), options, connector, listeners);
        Server::new(address.clone(), pool)
    }

    fn start(self: &Arc<Self>, server: &Arc<Server>) {
        if self.settings.load_balanced {
            server.pool.ready_quietly();
        } else {
            self.watch(server);
        }
    }

    /// Starts the server's monitor.
    fn watch(self: &Arc<Self>, server: &Arc<Server>) {
        if let Some(background) = self.background() {
            let task = background.spawn(monitor::run(
                Arc::downgrade(self),
                Arc::clone(server),
                Arc::clone(&self.settings),
            ));
            server.keep_task(task.abort_handle());
        }
    }

    /// Where work in the background is done; `None` before the first operation.
    pub(crate) fn background(&self) -> Option<&Arc<Background>> {
        self.background.get()
    }

    /// Wakes those who wait for a server or a connection, to look whether they still do.
    pub(crate) fn wake_waiting(&self) {
        self.published.wake();
        for server in self.snapshot().servers.values() {
            server.pool.wake_waiting();
        }
    }

    /// Ends every background task and closes every pool. Repeating it does nothing, and so does the
    /// child of the process that uses the client.
    pub(crate) fn close(&self) {
        if self.check_process().is_err() {
            return;
        }
        let writing = self.published.write();
        let before = self.phase.swap(phase::CLOSED, Ordering::AcqRel);
        if before != phase::CLOSED {
            let current = self.snapshot_owned();
            let mut description = current.description.clone();
            let effects = description.close();
            for server in current.servers.values() {
                server.heartbeats.close(&self.events);
            }
            if before == phase::OPEN {
                let id = self.log.topology_id;
                self.events
                    .extend(|| effects.events(id, &current.description, &description));
                self.events
                    .extend(|| [TopologyDescription::closing_event(id)]);
            }
            let empty = Snapshot {
                description,
                servers: Arc::default(),
                writable: None,
            };
            self.published.replace(empty, |_| {
                for server in current.servers.values() {
                    server.close();
                    server.pool.interrupt_all();
                    self.tell_later(&server.pool);
                }
            });
        }
        drop(writing);
        self.deliver();
    }

    /// Waits until listeners have been told all events of the topology, of these servers' pools and
    /// of commands.
    pub(crate) async fn delivered(&self, servers: &BTreeMap<ServerAddress, Arc<Server>>) {
        self.events.delivered().await;
        for server in servers.values() {
            server.pool.delivered().await;
        }
        self.event_delivery.finished().await;
        self.command_delivery.finished().await;
    }
}

impl Drop for Topology {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests;
