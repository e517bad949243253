//! Follows every connection and every command of a client by its events.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use motorcade::{
    bson::{Bson, Document},
    error::ErrorKind,
    event::{
        EventHandler,
        cmap::{CmapEvent, ConnectionClosedReason},
        command::CommandEvent,
    },
    options::ClientOptions,
};
use tokio::sync::Notify;

/// How long a client may take to come to rest.
const REST_LIMIT: Duration = Duration::from_secs(10);

/// What a client did with its connections, as its events tell.
#[derive(Clone, Default)]
pub(crate) struct Ledger {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    book: Mutex<Book>,
    changed: Notify,
}

/// A connection by its server and its number in the server's pool.
type Key = (String, u32);

#[derive(Default)]
struct Book {
    connections: HashMap<Key, State>,
    waiting: i64,
    /// Commands that are under way or were given up, with the connection each went over.
    unanswered: HashMap<i32, Key>,
    /// How many connections were closed in the midst of a message, but between two replies to one
    /// command.
    cut_between_replies: usize,
    lsids: HashSet<Vec<u8>>,
    /// The sessions of commands without an answer, by the command.
    unanswered_lsids: HashMap<i32, Vec<u8>>,
    /// The sessions that the servers were told are not used any more.
    ended: Vec<Vec<u8>>,
    most_open: usize,
    faults: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Created,
    Idle,
    InUse,
    Closed,
}

/// How many connections there were and are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) created: usize,
    pub(crate) closed: usize,
    pub(crate) idle: usize,
}

impl Ledger {
    /// A ledger that listens to the client which is made with these options.
    pub(crate) fn of(options: &mut ClientOptions) -> Self {
        let ledger = Self::default();
        let (pools, commands) = (ledger.clone(), ledger.clone());
        options.cmap_event_handler = Some(EventHandler::callback(move |event| {
            pools.note(|book| book.pool_event(event));
        }));
        options.command_event_handler = Some(EventHandler::callback(move |event| {
            commands.note(|book| book.command_event(event));
        }));
        ledger
    }

    /// Waits until no operation has or wants a connection and none is kept in the midst of a
    /// message, and gives the counts of that moment.
    ///
    /// # Panics
    /// When that does not happen, or when a connection was used as it must not be.
    pub(crate) async fn at_rest(&self, case: &str) -> Counts {
        let resting = async {
            loop {
                let changed = self.shared.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if let Some(counts) = self.book().resting() {
                    return counts;
                }
                changed.await;
            }
        };
        let Ok(counts) = tokio::time::timeout(REST_LIMIT, resting).await else {
            let book = self.book();
            panic!(
                "{case}: {} wait, connections: {:?}",
                book.waiting, book.connections
            );
        };
        let book = self.book();
        assert!(book.faults.is_empty(), "{case}: {:?}", book.faults);
        assert_eq!(
            counts.created,
            counts.closed + counts.idle,
            "{case}: {counts:?}"
        );
        counts
    }

    /// How many commands went out whose reply nobody awaited to its end.
    pub(crate) fn interrupted(&self) -> usize {
        let book = self.book();
        book.unanswered.len() + book.cut_between_replies
    }

    /// How many sessions went out with commands.
    pub(crate) fn sessions(&self) -> usize {
        self.book().lsids.len()
    }

    /// Checks, after a shutdown, that the free sessions were all those whose every command was
    /// answered, and each was free once.
    pub(crate) fn check_free_sessions(&self) {
        let book = self.book();
        let dirty: HashSet<_> = book.unanswered_lsids.values().cloned().collect();
        let ended: HashSet<_> = book.ended.iter().cloned().collect();
        assert_eq!(ended.len(), book.ended.len(), "a session was free twice");
        assert_eq!(
            ended.intersection(&dirty).count(),
            0,
            "dirty ones were free"
        );
        let lost = book
            .lsids
            .difference(&dirty)
            .filter(|id| !ended.contains(*id));
        assert_eq!(lost.count(), 0, "clean sessions were not free");
    }

    /// The most connections that there were at the same time.
    pub(crate) fn most_open(&self) -> usize {
        self.book().most_open
    }

    fn note(&self, change: impl FnOnce(&mut Book)) {
        change(&mut self.book());
        self.shared.changed.notify_waiters();
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.shared
            .book
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn pool_event(&mut self, event: CmapEvent) {
        match event {
            CmapEvent::ConnectionCreated(it) => {
                let key = (it.address.to_string(), it.connection_id);
                if self.connections.insert(key, State::Created).is_some() {
                    self.fault(format!("connection {} was created twice", it.connection_id));
                }
                self.most_open = self
                    .most_open
                    .max(self.count(|state| state != State::Closed));
            }
            CmapEvent::ConnectionReady(it) => {
                self.step(
                    (it.address.to_string(), it.connection_id),
                    &[State::Created],
                    State::Idle,
                );
            }
            CmapEvent::ConnectionCheckedOut(it) => {
                self.waiting -= 1;
                let key = (it.address.to_string(), it.connection_id);
                self.step(key, &[State::Idle], State::InUse);
            }
            CmapEvent::ConnectionCheckedIn(it) => {
                self.step(
                    (it.address.to_string(), it.connection_id),
                    &[State::InUse],
                    State::Idle,
                );
            }
            CmapEvent::ConnectionClosed(it) => {
                let key = (it.address.to_string(), it.connection_id);
                if it.reason == ConnectionClosedReason::Error && !self.is_in_mid_message(&key) {
                    self.cut_between_replies += 1;
                }
                self.step(key, &[State::Created, State::Idle], State::Closed);
            }
            CmapEvent::ConnectionCheckoutStarted(_) => self.waiting += 1,
            CmapEvent::ConnectionCheckoutFailed(_) => self.waiting -= 1,
            _ => {}
        }
    }

    fn command_event(&mut self, event: CommandEvent) {
        match event {
            CommandEvent::Started(it) => {
                if let Ok(ids) = it.command.get_array("endSessions") {
                    self.ended.extend(
                        ids.iter()
                            .filter_map(Bson::as_document)
                            .filter_map(session_id),
                    );
                } else if let Some(id) = it.command.get_document("lsid").ok().and_then(session_id) {
                    self.lsids.insert(id.clone());
                    self.unanswered_lsids.insert(it.request_id, id);
                }
                let key = (it.connection.address.to_string(), it.connection.id);
                // Pool events may be delivered a little later, by another thread, so the look is
                // at the command itself.
                if self.is_in_mid_message(&key) {
                    self.fault(format!("{key:?} was used again with an unread reply"));
                }
                self.unanswered.insert(it.request_id, key);
            }
            CommandEvent::Succeeded(it) => {
                self.unanswered.remove(&it.request_id);
                self.unanswered_lsids.remove(&it.request_id);
            }
            // The reply to a command that was given up may still arrive.
            CommandEvent::Failed(it)
                if !matches!(*it.failure.kind, ErrorKind::Cancelled { .. }) =>
            {
                self.unanswered.remove(&it.request_id);
                if !it.failure.is_network() {
                    self.unanswered_lsids.remove(&it.request_id);
                }
            }
            _ => {}
        }
    }

    fn step(&mut self, key: Key, from: &[State], to: State) {
        match self.connections.get_mut(&key) {
            Some(state) if from.contains(state) => *state = to,
            found => {
                let fault = format!("{key:?} went from {found:?} to {to:?}");
                self.fault(fault);
            }
        }
    }

    /// Whether a reply was never read that may still arrive on the connection.
    fn is_in_mid_message(&self, key: &Key) -> bool {
        self.unanswered.values().any(|other| other == key)
    }

    fn fault(&mut self, fault: String) {
        self.faults.push(fault);
    }

    fn count(&self, is_counted: impl Fn(State) -> bool) -> usize {
        let states = self.connections.values();
        states.filter(|state| is_counted(**state)).count()
    }

    /// The counts, unless something is still to happen. A connection in the midst of a message
    /// that was given back is about to be closed.
    fn resting(&self) -> Option<Counts> {
        let in_motion = self.connections.iter().any(|(key, state)| match state {
            State::Created | State::InUse => true,
            State::Idle => self.is_in_mid_message(key),
            State::Closed => false,
        });
        (self.waiting == 0 && !in_motion).then(|| Counts {
            created: self.connections.len(),
            closed: self.count(|state| state == State::Closed),
            idle: self.count(|state| state == State::Idle),
        })
    }
}

fn session_id(lsid: &Document) -> Option<Vec<u8>> {
    match lsid.get("id") {
        Some(Bson::Binary(id)) => Some(id.bytes.clone()),
        _ => None,
    }
}
