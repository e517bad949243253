//! What a client tells its listeners: all events in one order, and waits for those to come.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::flavor::driver::bson::oid::ObjectId;
use crate::flavor::driver::event::EventHandler;
use crate::flavor::driver::event::cmap::CmapEvent;
use crate::flavor::driver::event::command::{CommandEvent, CommandStartedEvent};
use crate::flavor::driver::event::sdam::SdamEvent;
use crate::flavor::driver::options::ClientOptions;

/// How long a case waits for something that a working driver brings about much sooner.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// An event of any kind.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Command(Box<CommandEvent>),
    Cmap(CmapEvent),
    Sdam(Box<SdamEvent>),
}

impl Event {
    pub(crate) fn started(&self) -> Option<&CommandStartedEvent> {
        match self {
            Self::Command(event) => match &**event {
                CommandEvent::Started(started) => Some(started),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether a command of that name has ended well.
    pub(crate) fn is_success_of(&self, name: &str) -> bool {
        matches!(self, Self::Command(event)
            if matches!(&**event, CommandEvent::Succeeded(done) if done.command_name == name))
    }

    pub(crate) fn sdam(&self) -> Option<&SdamEvent> {
        match self {
            Self::Sdam(event) => Some(event),
            _ => None,
        }
    }

    pub(crate) fn is_heartbeat_success(&self) -> bool {
        matches!(self.sdam(), Some(SdamEvent::ServerHeartbeatSucceeded(_)))
    }

    pub(crate) fn is_pool_cleared(&self) -> bool {
        matches!(self, Self::Cmap(CmapEvent::PoolCleared(_)))
    }

    /// The service whose connections were cleared, if some were.
    pub(crate) fn cleared_service(&self) -> Option<Option<ObjectId>> {
        match self {
            Self::Cmap(CmapEvent::PoolCleared(event)) => Some(event.service_id),
            _ => None,
        }
    }

    /// The number of the connection that an operation received.
    pub(crate) fn checked_out(&self) -> Option<u32> {
        match self {
            Self::Cmap(CmapEvent::ConnectionCheckedOut(event)) => Some(event.connection_id),
            _ => None,
        }
    }

    pub(crate) fn is_checked_in(&self) -> bool {
        matches!(self, Self::Cmap(CmapEvent::ConnectionCheckedIn(_)))
    }

    pub(crate) fn is_connection_created(&self) -> bool {
        matches!(self, Self::Cmap(CmapEvent::ConnectionCreated(_)))
    }

    pub(crate) fn is_connection_ready(&self) -> bool {
        matches!(self, Self::Cmap(CmapEvent::ConnectionReady(_)))
    }

    pub(crate) fn is_connection_closed(&self) -> bool {
        matches!(self, Self::Cmap(CmapEvent::ConnectionClosed(_)))
    }
}

/// The events of one client, in the order in which they arrived.
#[derive(Clone, Default)]
pub(crate) struct Recorder {
    log: Arc<Log>,
}

#[derive(Default)]
struct Log {
    events: Mutex<Vec<Event>>,
    arrival: Condvar,
}

impl Recorder {
    /// Records all events of the clients that are built from these options.
    pub(crate) fn listen(&self, options: &mut ClientOptions) {
        let log = self.clone();
        options.command_event_handler = Some(EventHandler::callback(move |event| {
            log.push(Event::Command(Box::new(event)));
        }));
        let log = self.clone();
        options.cmap_event_handler = Some(EventHandler::callback(move |event| {
            log.push(Event::Cmap(event));
        }));
        let log = self.clone();
        options.sdam_event_handler = Some(EventHandler::callback(move |event| {
            log.push(Event::Sdam(Box::new(event)));
        }));
    }

    /// All events so far.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.lock().clone()
    }

    /// Forgets the events so far.
    pub(crate) fn forget(&self) {
        self.lock().clear();
    }

    pub(crate) fn count(&self, matches: impl Fn(&Event) -> bool) -> usize {
        self.lock().iter().filter(|event| matches(event)).count()
    }

    /// The first thing that `find` sees in the events, now or later.
    pub(crate) fn wait_for<T>(&self, what: &str, find: impl Fn(&[Event]) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut events = self.lock();
        loop {
            if let Some(found) = find(&events) {
                return found;
            }
            events = self.wait_for_arrival(events, what, deadline);
        }
    }

    /// Waits until at least `count` events match. As long as more of them arrive, none is late.
    pub(crate) fn wait_for_count(
        &self,
        what: &str,
        count: usize,
        matches: impl Fn(&Event) -> bool,
    ) {
        let mut deadline = Instant::now() + PATIENCE;
        let (mut seen, mut found) = (0, 0);
        let mut events = self.lock();
        loop {
            // Only the new ones: who records events waits meanwhile.
            let new = events.iter().skip(seen);
            let more = new.filter(|event| matches(event)).count();
            (seen, found) = (events.len(), found + more);
            if found >= count {
                return;
            }
            if more > 0 {
                deadline = Instant::now() + PATIENCE;
            }
            events = self.wait_for_arrival(events, what, deadline);
        }
    }

    #[track_caller]
    fn wait_for_arrival<'e>(
        &self,
        events: MutexGuard<'e, Vec<Event>>,
        what: &str,
        deadline: Instant,
    ) -> MutexGuard<'e, Vec<Event>> {
        let left = deadline.saturating_duration_since(Instant::now());
        assert!(
            !left.is_zero(),
            "no {what} within {PATIENCE:?}; the last events were {:#?}",
            events.iter().rev().take(8).collect::<Vec<_>>()
        );
        let waited = self.log.arrival.wait_timeout(events, left);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// The commands sent so far.
    pub(crate) fn commands(&self) -> Vec<CommandStartedEvent> {
        self.lock()
            .iter()
            .filter_map(Event::started)
            .cloned()
            .collect()
    }

    /// The commands sent so far that have this name.
    pub(crate) fn commands_named(&self, name: &str) -> Vec<CommandStartedEvent> {
        let mut commands = self.commands();
        commands.retain(|command| command.command_name == name);
        commands
    }

    /// The names of the commands sent so far, as `find, getMore`.
    pub(crate) fn command_names(&self) -> String {
        let names: Vec<_> = self
            .commands()
            .into_iter()
            .map(|command| command.command_name)
            .collect();
        names.join(", ")
    }

    /// The numbers of the connections that operations have received so far.
    pub(crate) fn checked_out(&self) -> Vec<u32> {
        self.lock().iter().filter_map(Event::checked_out).collect()
    }

    /// How long all commands of that name together took to fail.
    pub(crate) fn time_of_failed(&self, name: &str) -> Duration {
        let events = self.lock();
        let failed = events.iter().filter_map(|event| match event {
            Event::Command(event) => match &**event {
                CommandEvent::Failed(failed) => Some(failed),
                _ => None,
            },
            _ => None,
        });
        failed
            .filter(|failed| failed.command_name == name)
            .map(|failed| failed.duration)
            .sum()
    }

    /// The most of something that there was at a time, when it begins and ends with such events.
    pub(crate) fn most_at_once(
        &self,
        begins: impl Fn(&Event) -> bool,
        ends: impl Fn(&Event) -> bool,
    ) -> usize {
        let (mut now, mut most) = (0_usize, 0);
        for event in self.lock().iter() {
            if begins(event) {
                now += 1;
            } else if ends(event) {
                now = now.saturating_sub(1);
            }
            most = most.max(now);
        }
        most
    }

    fn push(&self, event: Event) {
        self.lock().push(event);
        self.log.arrival.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Event>> {
        self.log
            .events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
