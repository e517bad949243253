//! What listeners are told of a server's checks.

use std::time::{Duration, Instant};

use bson::{Document, RawDocument};
use parking_lot::Mutex;

use crate::{
    address::ServerAddress,
    clock,
    error::Error,
    event::{
        OrderedEvents,
        sdam::{
            SdamEvent, ServerHeartbeatFailedEvent, ServerHeartbeatStartedEvent,
            ServerHeartbeatSucceededEvent,
        },
    },
};

/// The check of a server that listeners know to be under way.
///
/// Whoever takes it tells how it ended, and nobody else does: the monitor, or those who close the
/// server and with it end the monitor at any await. Nothing is told of a server after it was
/// closed.
#[derive(Debug, Default)]
pub(super) struct Heartbeats {
    /// Held while events are pushed, so that none follows those of the closing.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    AtRest,
    UnderWay(Heartbeat),
    Closed,
}

/// A check that has begun.
#[derive(Clone, Debug)]
pub(super) struct Heartbeat {
    pub(super) server_address: ServerAddress,
    pub(super) awaited: bool,
    pub(super) driver_connection_id: u32,
    /// As far as it is known when the check begins.
    pub(super) server_connection_id: Option<i64>,
    pub(super) started: Instant,
}

impl Heartbeats {
    /// Tells that a check begins.
    pub(super) fn begin(
        &self,
        events: &OrderedEvents<SdamEvent>,
        heartbeat: impl FnOnce() -> Heartbeat,
    ) {
        if !events.are_heard() {
            return;
        }
        let mut state = self.state.lock();
        if !matches!(*state, State::Closed) {
            let heartbeat = heartbeat();
            events.push(heartbeat.started());
            *state = State::UnderWay(heartbeat);
        }
        drop(state);
        events.deliver();
    }

    /// Tells that the check under way has succeeded; `round_trip` is the time that it measured.
    pub(super) fn succeed(
        &self,
        events: &OrderedEvents<SdamEvent>,
        reply: &RawDocument,
        round_trip: Option<Duration>,
        server_connection_id: Option<i64>,
    ) {
        self.end(events, |heartbeat| {
            heartbeat.succeeded(reply, round_trip, server_connection_id)
        });
    }

    /// Tells that the check under way has failed.
    pub(super) fn fail(&self, events: &OrderedEvents<SdamEvent>, failure: &Error) {
        self.end(events, |heartbeat| heartbeat.failed(failure.clone()));
    }

    /// Tells that the check under way is given up, and leaves it to the caller to deliver that.
    /// No other follows.
    pub(super) fn close(&self, events: &OrderedEvents<SdamEvent>) {
        let mut state = self.state.lock();
        let last = std::mem::replace(&mut *state, State::Closed);
        if let State::UnderWay(heartbeat) = last {
            events.push(heartbeat.failed(Error::cancelled(
                "the check was given up because the server is no longer monitored",
            )));
        }
    }

    fn end(&self, events: &OrderedEvents<SdamEvent>, event: impl FnOnce(Heartbeat) -> SdamEvent) {
        let mut state = self.state.lock();
        match std::mem::take(&mut *state) {
            State::UnderWay(heartbeat) => events.push(event(heartbeat)),
            other => {
                *state = other;
                return;
            }
        }
        drop(state);
        events.deliver();
    }
}

impl Heartbeat {
    fn started(&self) -> SdamEvent {
        SdamEvent::ServerHeartbeatStarted(ServerHeartbeatStartedEvent {
            server_address: self.server_address.clone(),
            awaited: self.awaited,
            driver_connection_id: self.driver_connection_id,
            server_connection_id: self.server_connection_id,
        })
    }

    fn succeeded(
        self,
        reply: &RawDocument,
        round_trip: Option<Duration>,
        server_connection_id: Option<i64>,
    ) -> SdamEvent {
        SdamEvent::ServerHeartbeatSucceeded(ServerHeartbeatSucceededEvent {
            duration: round_trip.unwrap_or_else(|| self.elapsed()),
            reply: Document::try_from(reply).unwrap_or_default(),
            server_address: self.server_address,
            awaited: self.awaited,
            driver_connection_id: self.driver_connection_id,
            server_connection_id,
        })
    }

    fn failed(self, failure: Error) -> SdamEvent {
        SdamEvent::ServerHeartbeatFailed(ServerHeartbeatFailedEvent {
            duration: self.elapsed(),
            failure,
            server_address: self.server_address,
            awaited: self.awaited,
            driver_connection_id: self.driver_connection_id,
            server_connection_id: self.server_connection_id,
        })
    }

    fn elapsed(&self) -> Duration {
        clock::now().saturating_duration_since(self.started)
    }
}
