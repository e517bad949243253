//! What a client tells its listeners while a case runs.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bson::oid::ObjectId;
use bson::{Bson, Document};
use motorcade::TopologyDescription;
use motorcade::event::EventHandler;
use motorcade::event::cmap::CmapEvent;
use motorcade::event::command::CommandEvent;
use motorcade::event::sdam::{SdamEvent, ServerType};
use motorcade::options::{ClientOptions, ServerAddress};

use super::events::Event;
use super::file::ClientEntity;

/// Commands that the specification of command monitoring calls sensitive.
const SENSITIVE: [&str; 9] = [
    "authenticate",
    "saslstart",
    "saslcontinue",
    "getnonce",
    "createuser",
    "updateuser",
    "copydbgetnonce",
    "copydbsaslstart",
    "copydb",
];

/// Records what one client tells. Cloning gives another handle to the same record.
#[derive(Clone, Debug)]
pub struct Recorder {
    record: Arc<Record>,
}

#[derive(Debug)]
struct Record {
    filter: Filter,
    seen: Mutex<Seen>,
    arrival: Condvar,
}

#[derive(Debug, Default)]
struct Seen {
    is_over: bool,
    events: Vec<Event>,
    /// The names of all commands sent, whether or not the case observes them.
    commands: Vec<String>,
    /// The messages of those commands that are not to be observed.
    hidden: HashSet<i32>,
    stored: Vec<Stored>,
    checked_out: i64,
    ready: BTreeMap<ServerAddress, u64>,
    topology: TopologyDescription,
    topology_id: Option<ObjectId>,
    is_closed: bool,
    fail_point_server: Option<ServerAddress>,
}

#[derive(Debug)]
struct Stored {
    id: String,
    names: HashSet<String>,
    documents: Vec<Bson>,
}

/// Which events a case wants to see of a client.
#[derive(Debug)]
struct Filter {
    names: HashSet<String>,
    ignored_commands: HashSet<String>,
    sensitive_too: bool,
}

impl Recorder {
    /// A recorder for the client that the entity describes.
    pub fn new(entity: &ClientEntity) -> Self {
        let filter = Filter {
            names: entity.observe_events.iter().cloned().collect(),
            ignored_commands: entity
                .ignore_command_monitoring_events
                .iter()
                .cloned()
                .collect(),
            sensitive_too: entity.observe_sensitive_commands,
        };
        let stored = entity
            .store_events_as_entities
            .iter()
            .map(|stored| Stored {
                id: stored.id.clone(),
                names: stored.events.iter().cloned().collect(),
                documents: Vec::new(),
            })
            .collect();
        let seen = Seen {
            stored,
            ..Seen::default()
        };
        Self {
            record: Arc::new(Record {
                filter,
                seen: Mutex::new(seen),
                arrival: Condvar::new(),
            }),
        }
    }

    /// Records the events of the client that is made from these options.
    pub fn listen(&self, options: &mut ClientOptions) {
        let recorder = self.clone();
        options.command_event_handler = Some(EventHandler::callback(move |event| {
            recorder.push(Event::Command(event));
        }));
        let recorder = self.clone();
        options.cmap_event_handler = Some(EventHandler::callback(move |event| {
            recorder.push(Event::Cmap(event));
        }));
        let recorder = self.clone();
        options.sdam_event_handler = Some(EventHandler::callback(move |event| {
            recorder.push(Event::Sdam(event));
        }));
    }

    /// The events so far that the case wants to see.
    pub fn events(&self) -> Vec<Event> {
        self.seen().events.clone()
    }

    /// The names of all commands sent so far.
    pub fn commands(&self) -> Vec<String> {
        self.seen().commands.clone()
    }

    /// How many connections operations have now.
    pub fn checked_out(&self) -> i64 {
        self.seen().checked_out
    }

    /// What the client knows of the deployment now.
    pub fn topology(&self) -> TopologyDescription {
        self.seen().topology.clone()
    }

    /// The id that the client's log messages carry; none before it looks for its servers.
    pub fn topology_id(&self) -> Option<ObjectId> {
        self.seen().topology_id
    }

    /// The server that the last `configureFailPoint` went to.
    pub fn fail_point_server(&self) -> Option<ServerAddress> {
        self.seen().fail_point_server.clone()
    }

    /// The documents of the event list of that name, if the client keeps one.
    pub fn stored(&self, id: &str) -> Option<Bson> {
        let seen = self.seen();
        let stored = seen.stored.iter().find(|stored| stored.id == id)?;
        Some(Bson::Array(stored.documents.clone()))
    }

    /// Forgets the events so far.
    pub fn forget(&self) {
        let mut seen = self.seen();
        seen.events.clear();
        seen.commands.clear();
    }

    /// Lets nothing more into the record.
    pub fn end(&self) {
        self.seen().is_over = true;
    }

    /// How many of the events so far are of that kind.
    pub fn count(&self, is_wanted: impl Fn(&Event) -> bool) -> usize {
        self.seen()
            .events
            .iter()
            .filter(|event| is_wanted(event))
            .count()
    }

    /// Waits until that many events of a kind have come.
    ///
    /// # Errors
    ///
    /// Gives the number that has come when the time is over.
    pub fn wait_for_count(
        &self,
        count: usize,
        patience: Duration,
        is_wanted: impl Fn(&Event) -> bool,
    ) -> Result<(), usize> {
        let found = |seen: &Seen| seen.events.iter().filter(|event| is_wanted(event)).count();
        if self.wait_until(patience, |seen| found(seen) >= count) {
            return Ok(());
        }
        Err(found(&self.seen()))
    }

    /// Waits until the client knows a primary other than that one; tells whether it does in time.
    pub fn wait_for_primary_other_than(
        &self,
        prior: Option<&ServerAddress>,
        patience: Duration,
    ) -> bool {
        self.wait_until(patience, |seen| {
            primary(&seen.topology).is_some_and(|primary| Some(&primary) != prior)
        })
    }

    /// Waits until a client that has been shut down has told its last event: another thread may be
    /// at delivering it. A client that has not begun to look for servers has none.
    pub fn wait_for_end(&self, patience: Duration) -> bool {
        self.wait_until(patience, |seen| {
            seen.is_closed || seen.topology_id.is_none()
        })
    }

    /// Waits until the pool of each data-bearing server has that many connections ready; tells
    /// whether it is so in time.
    pub fn wait_for_pools(&self, connections: u64, patience: Duration) -> bool {
        self.wait_until(patience, |seen| {
            let servers = seen.topology.servers();
            let mut pools = servers
                .values()
                .filter(|server| bears_data(server.server_type()))
                .map(|server| seen.ready.get(server.address()).copied().unwrap_or(0))
                .peekable();
            pools.peek().is_some() && pools.all(|ready| ready >= connections)
        })
    }

    fn wait_until(&self, patience: Duration, holds: impl Fn(&Seen) -> bool) -> bool {
        let deadline = Instant::now() + patience;
        let mut seen = self.seen();
        while !holds(&seen) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            seen = self
                .record
                .arrival
                .wait_timeout(seen, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }

    fn push(&self, event: Event) {
        let mut seen = self.seen();
        if !seen.is_over {
            seen.take(event, &self.record.filter);
        }
        self.record.arrival.notify_all();
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.record
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The address of the primary that a description knows.
pub fn primary(topology: &TopologyDescription) -> Option<ServerAddress> {
    topology
        .servers()
        .values()
        .find(|server| server.server_type() == ServerType::RsPrimary)
        .map(|server| server.address().clone())
}

fn bears_data(server_type: ServerType) -> bool {
    matches!(
        server_type,
        ServerType::Standalone
            | ServerType::Mongos
            | ServerType::RsPrimary
            | ServerType::RsSecondary
            | ServerType::LoadBalancer
    )
}

impl Seen {
    fn take(&mut self, event: Event, filter: &Filter) {
        self.keep_accounts(&event);
        self.store(&event);
        let is_hidden = match &event {
            Event::Command(event) => self.is_hidden(event, filter),
            _ => false,
        };
        if !is_hidden && filter.names.contains(event.name()) {
            self.events.push(event);
        }
    }

    fn keep_accounts(&mut self, event: &Event) {
        match event {
            Event::Command(CommandEvent::Started(event)) => {
                self.commands.push(event.command_name.clone());
                if event.command_name == "configureFailPoint" {
                    self.fail_point_server = Some(event.connection.address.clone());
                }
            }
            Event::Cmap(CmapEvent::ConnectionCheckedOut(_)) => self.checked_out += 1,
            Event::Cmap(CmapEvent::ConnectionCheckedIn(_)) => self.checked_out -= 1,
            Event::Cmap(CmapEvent::ConnectionReady(event)) => {
                *self.ready.entry(event.address.clone()).or_default() += 1;
            }
            Event::Sdam(SdamEvent::TopologyOpening(event)) => {
                self.topology_id = Some(event.topology_id);
            }
            Event::Sdam(SdamEvent::TopologyClosed(_)) => self.is_closed = true,
            Event::Sdam(SdamEvent::TopologyDescriptionChanged(event)) => {
                self.topology = event.new_description.clone();
            }
            _ => {}
        }
    }

    /// Whether a command and its outcome are none of the case's business.
    fn is_hidden(&mut self, event: &CommandEvent, filter: &Filter) -> bool {
        let CommandEvent::Started(started) = event else {
            return self.hidden.contains(&request_id(event));
        };
        let name = started.command_name.to_lowercase();
        // Only a hello that authenticates is sensitive, and such a one is shown empty.
        let is_sensitive = SENSITIVE.contains(&name.as_str())
            || (["hello", "ismaster"].contains(&name.as_str()) && started.command.is_empty());
        let is_hidden = name == "configurefailpoint"
            || filter.ignored_commands.contains(&started.command_name)
            || (is_sensitive && !filter.sensitive_too);
        if is_hidden {
            self.hidden.insert(started.request_id);
        }
        is_hidden
    }

    fn store(&mut self, event: &Event) {
        let name = capitalised(event.name());
        for stored in &mut self.stored {
            if stored.names.contains(&name) {
                stored.documents.push(document(&name, event).into());
            }
        }
    }
}

fn request_id(event: &CommandEvent) -> i32 {
    match event {
        CommandEvent::Started(event) => event.request_id,
        CommandEvent::Succeeded(event) => event.request_id,
        CommandEvent::Failed(event) => event.request_id,
        _ => 0,
    }
}

/// `poolCreatedEvent` is stored as `PoolCreatedEvent`.
fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// An event as a document of an event list. The fields are those that serde gives it; the commands
/// and replies themselves may be left out by the format's rules, and are.
fn document(name: &str, event: &Event) -> Document {
    let fields = match event {
        Event::Command(event) => bson::serialize_to_document(event),
        Event::Cmap(event) => cmap_document(event),
        Event::Sdam(event) => bson::serialize_to_document(event),
    };
    let mut document = fields.unwrap_or_default();
    document.remove("command");
    document.remove("reply");
    document.insert("name", name);
    document.insert("observedAt", seconds_since_epoch());
    document
}

fn cmap_document(event: &CmapEvent) -> Result<Document, bson::error::Error> {
    match event {
        CmapEvent::PoolCreated(event) => bson::serialize_to_document(event),
        CmapEvent::PoolReady(event) => bson::serialize_to_document(event),
        CmapEvent::PoolCleared(event) => bson::serialize_to_document(event),
        CmapEvent::PoolClosed(event) => bson::serialize_to_document(event),
        CmapEvent::ConnectionCreated(event) => bson::serialize_to_document(event),
        CmapEvent::ConnectionReady(event) => bson::serialize_to_document(event),
        CmapEvent::ConnectionClosed(event) => bson::serialize_to_document(event),
        CmapEvent::ConnectionCheckoutStarted(event) => bson::serialize_to_document(event),
        CmapEvent::ConnectionCheckoutFailed(event) => bson::serialize_to_document(event),
        CmapEvent::ConnectionCheckedOut(event) => bson::serialize_to_document(event),
        CmapEvent::ConnectionCheckedIn(event) => bson::serialize_to_document(event),
        _ => Ok(Document::new()),
    }
}

/// The time now as event lists and loops note it.
pub fn seconds_since_epoch() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |time| time.as_secs_f64())
}
