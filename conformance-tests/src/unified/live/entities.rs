//! The entities of a case, each under its name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bson::oid::ObjectId;
use bson::{Bson, Document, Timestamp};
use motorcade::TopologyDescription;

use super::cursor::CursorEntity;
use super::flavor::driver::gridfs::GridFsBucket;
use super::flavor::driver::{Client, Collection, Database};
use super::flavor::go;
use super::sessions::SessionEntity;
use super::threads::Thread;
use crate::log_capture::LogCapture;
use crate::unified::file::{LogComponent, ObservedLogs};
use crate::unified::logs::LogMessage;
use crate::unified::matching::Lookup;
use crate::unified::recorder::Recorder;

/// Something that operations work on.
#[derive(Clone)]
pub(super) enum Entity {
    Client(Arc<ClientEntity>),
    Database(Database),
    Collection(Collection<Document>),
    Bucket(GridFsBucket),
    Session(Arc<SessionEntity>),
    Cursor(Arc<Mutex<CursorEntity>>),
    Thread(Arc<Thread>),
    Topology(Arc<TopologyDescription>),
    Bson(Bson),
    /// A list of events that this keeps.
    EventList(Recorder),
    /// One that the driver cannot make yet; the text says why. Cases may describe it and not use
    /// it.
    Missing(&'static str),
}

/// A client and what is watched of it.
pub(super) struct ClientEntity {
    client: Mutex<Option<Client>>,
    pub(super) recorder: Recorder,
    logs: Option<Logs>,
}

impl ClientEntity {
    pub(super) fn new(client: Client, recorder: Recorder, logs: Option<Logs>) -> Self {
        Self {
            client: Mutex::new(Some(client)),
            recorder,
            logs,
        }
    }

    /// The client, unless the case has closed it.
    pub(super) fn client(&self) -> Result<Client, String> {
        let client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        client
            .clone()
            .ok_or_else(|| "the client has been closed".to_owned())
    }

    /// The log messages so far that the case observes.
    pub(super) fn log_messages(&self) -> Vec<LogMessage> {
        let topology = self.recorder.topology_id();
        let captured = self.logs.as_ref().zip(topology);
        captured.map_or_else(Vec::new, |(logs, topology)| logs.messages(topology))
    }

    /// Closes the client as a user would; tells whether its last event came in time.
    pub(super) fn close(&self, patience: Duration) -> bool {
        let Some(client) = self.take() else {
            return true;
        };
        go!(client.shutdown());
        self.recorder.wait_for_end(patience)
    }

    /// Closes the client whatever goes on in it, so that operations that hang fail.
    pub(super) fn abandon(&self) {
        if let Some(client) = self.take() {
            go!(client.shutdown().immediate(true));
        }
    }

    fn take(&self) -> Option<Client> {
        self.client
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

/// The log messages of a client, as far as a case observes them.
pub(super) struct Logs {
    observed: ObservedLogs,
    capture: LogCapture,
}

impl Logs {
    /// Begins to capture; to be called before the client is made.
    pub(super) fn begin(observed: ObservedLogs) -> Self {
        Self {
            observed,
            capture: LogCapture::begin(),
        }
    }

    fn messages(&self, topology: ObjectId) -> Vec<LogMessage> {
        let mut messages = self.capture.messages(topology);
        messages.retain(|message| self.observes(message));
        messages
    }

    fn observes(&self, message: &LogMessage) -> bool {
        let least = match message.component {
            LogComponent::Command => self.observed.command,
            LogComponent::Topology => self.observed.topology,
            LogComponent::ServerSelection => self.observed.server_selection,
            LogComponent::Connection => self.observed.connection,
        };
        // Levels are ordered by their numbers: the most severe is the least.
        least.is_some_and(|least| message.level <= least)
    }
}

/// The map of entities. Threads of a case share it.
#[derive(Default)]
pub(super) struct Entities {
    map: Mutex<HashMap<String, Entity>>,
}

impl Entities {
    /// Stores an entity under a name that must be new.
    pub(super) fn insert(&self, id: &str, entity: Entity) -> Result<(), String> {
        let mut map = self.lock();
        if map.contains_key(id) {
            return Err(format!("an entity `{id}` exists already"));
        }
        map.insert(id.to_owned(), entity);
        Ok(())
    }

    /// Stores a value under a name, in place of what is there.
    pub(super) fn replace(&self, id: &str, value: Bson) {
        self.lock().insert(id.to_owned(), Entity::Bson(value));
    }

    pub(super) fn get(&self, id: &str) -> Result<Entity, String> {
        self.find(id)
            .ok_or_else(|| format!("there is no entity `{id}`"))
    }

    pub(super) fn find(&self, id: &str) -> Option<Entity> {
        self.lock().get(id).cloned()
    }

    pub(super) fn client(&self, id: &str) -> Result<Arc<ClientEntity>, String> {
        match self.get(id)? {
            Entity::Client(client) => Ok(client),
            other => Err(other.is_no(id, "client")),
        }
    }

    pub(super) fn database(&self, id: &str) -> Result<Database, String> {
        match self.get(id)? {
            Entity::Database(database) => Ok(database),
            other => Err(other.is_no(id, "database")),
        }
    }

    pub(super) fn session(&self, id: &str) -> Result<Arc<SessionEntity>, String> {
        match self.get(id)? {
            Entity::Session(session) => Ok(session),
            other => Err(other.is_no(id, "session")),
        }
    }

    pub(super) fn timestamp(&self, id: &str) -> Result<Timestamp, String> {
        match self.get(id)? {
            Entity::Bson(Bson::Timestamp(time)) => Ok(time),
            other => Err(other.is_no(id, "timestamp")),
        }
    }

    pub(super) fn thread(&self, id: &str) -> Result<Arc<Thread>, String> {
        match self.get(id)? {
            Entity::Thread(thread) => Ok(thread),
            other => Err(other.is_no(id, "thread")),
        }
    }

    pub(super) fn topology(&self, id: &str) -> Result<Arc<TopologyDescription>, String> {
        match self.get(id)? {
            Entity::Topology(topology) => Ok(topology),
            other => Err(other.is_no(id, "topology description")),
        }
    }

    /// The clients with their names, sorted by these.
    pub(super) fn clients(&self) -> Vec<(String, Arc<ClientEntity>)> {
        let mut clients: Vec<_> = self
            .lock()
            .iter()
            .filter_map(|(id, entity)| match entity {
                Entity::Client(client) => Some((id.clone(), Arc::clone(client))),
                _ => None,
            })
            .collect();
        clients.sort_by(|(a, _), (b, _)| a.cmp(b));
        clients
    }

    /// All threads.
    pub(super) fn threads(&self) -> Vec<Arc<Thread>> {
        self.lock()
            .values()
            .filter_map(|entity| match entity {
                Entity::Thread(thread) => Some(Arc::clone(thread)),
                _ => None,
            })
            .collect()
    }

    /// Ends the sessions and closes the cursors; an error of that means nothing to the case.
    pub(super) fn end(&self) {
        let entities: Vec<Entity> = self.lock().values().cloned().collect();
        for entity in &entities {
            if let Entity::Cursor(cursor) = entity
                && let Ok(mut cursor) = cursor.try_lock()
            {
                let _ = cursor.close(None);
            }
        }
        for entity in &entities {
            if let Entity::Session(session) = entity {
                session.end();
            }
        }
    }

    /// Takes all entities out.
    pub(super) fn clear(&self) {
        let entities = std::mem::take(&mut *self.lock());
        drop(entities);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entity>> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entity {
    /// A cursor that has just been opened.
    pub(super) fn cursor(cursor: CursorEntity) -> Self {
        Self::Cursor(Arc::new(Mutex::new(cursor)))
    }

    /// What kind of entity it is, in the words of the format.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Client(_) => "client",
            Self::Database(_) => "database",
            Self::Collection(_) => "collection",
            Self::Bucket(_) => "bucket",
            Self::Session(_) => "session",
            Self::Cursor(_) => "cursor",
            Self::Thread(_) => "thread",
            Self::Topology(_) => "topology description",
            Self::Bson(_) => "BSON value",
            Self::EventList(_) => "event list",
            Self::Missing(_) => "missing entity",
        }
    }

    fn is_no(&self, id: &str, wanted: &str) -> String {
        if let Self::Missing(why) = self {
            return (*why).to_owned();
        }
        format!("entity `{id}` is a {}, and no {wanted}", self.kind())
    }
}

impl Lookup for Entities {
    fn entity(&self, id: &str) -> Option<Bson> {
        match self.find(id) {
            Some(Entity::Bson(value)) => Some(value),
            Some(Entity::EventList(recorder)) => recorder.stored(id),
            _ => None,
        }
    }

    fn session_lsid(&self, id: &str) -> Option<Document> {
        Some(self.session(id).ok()?.lsid().clone())
    }
}
