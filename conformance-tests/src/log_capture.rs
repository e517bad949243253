//! Receives the driver's log messages, for the whole process, and tells them apart by client.
//!
//! A process has one subscriber, and clients of several cases live in it at the same time. What
//! tells their messages apart is the field `topologyId`, which [`motorcade::event::log`] promises
//! on each; a client's id comes with its first discovery event, so that a case looks its messages
//! up by that afterwards.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, Once, PoisonError};

use bson::oid::ObjectId;
use bson::{Bson, Document};
use motorcade::event::log;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, span};

use crate::unified::file::{LogComponent, LogLevel};
use crate::unified::logs::LogMessage;

/// How many captures there are; without one, no message is built.
static CAPTURES: AtomicUsize = AtomicUsize::new(0);
/// The messages by the id of their client's topology.
static MESSAGES: LazyLock<Mutex<HashMap<String, Vec<LogMessage>>>> = LazyLock::new(Mutex::default);

/// Keeps messages coming while it lives. Begin one before the client is built.
#[derive(Debug)]
#[must_use = "messages are captured while this lives"]
pub struct LogCapture(());

impl LogCapture {
    /// Begins to receive the messages of all clients.
    ///
    /// # Panics
    /// When the process has another subscriber.
    pub fn begin() -> Self {
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(|| {
            tracing::subscriber::set_global_default(Capturing)
                .expect("the suite's subscriber is the only one of the process");
        });
        CAPTURES.fetch_add(1, Ordering::AcqRel);
        Self(())
    }

    /// The messages of the client with this topology so far, in their order.
    pub fn messages(&self, topology_id: ObjectId) -> Vec<LogMessage> {
        messages()
            .get(&topology_id.to_hex())
            .cloned()
            .unwrap_or_default()
    }
}

impl Drop for LogCapture {
    fn drop(&mut self) {
        if CAPTURES.fetch_sub(1, Ordering::AcqRel) == 1 {
            messages().clear();
        }
    }
}

struct Capturing;

impl Subscriber for Capturing {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        CAPTURES.load(Ordering::Acquire) > 0 && component(metadata.target()).is_some()
    }

    // Captures come and go, so the answer of one moment is not to be remembered.
    fn register_callsite(
        &self,
        metadata: &'static Metadata<'static>,
    ) -> tracing::subscriber::Interest {
        match component(metadata.target()) {
            Some(_) => tracing::subscriber::Interest::sometimes(),
            None => tracing::subscriber::Interest::never(),
        }
    }

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let Some(component) = component(metadata.target()) else {
            return;
        };
        let mut fields = Fields::default();
        event.record(&mut fields);
        let Fields(data) = fields;
        let topology_id = data.get_str("topologyId").unwrap_or_default().to_owned();
        let failure = data.get_str("failure").unwrap_or_default();
        let message = LogMessage {
            level: level(*metadata.level()),
            component,
            failure_is_redacted: failure.contains("REDACTED"),
            data,
        };
        messages().entry(topology_id).or_default().push(message);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// The fields of one message.
#[derive(Default)]
struct Fields(Document);

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Bson>) {
        self.0.insert(field.name(), value);
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, i64::try_from(value).unwrap_or(i64::MAX));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

fn component(target: &str) -> Option<LogComponent> {
    match target {
        log::COMMAND => Some(LogComponent::Command),
        log::CONNECTION => Some(LogComponent::Connection),
        log::TOPOLOGY => Some(LogComponent::Topology),
        log::SERVER_SELECTION => Some(LogComponent::ServerSelection),
        _ => None,
    }
}

fn level(level: Level) -> LogLevel {
    match level {
        Level::ERROR => LogLevel::Error,
        Level::WARN => LogLevel::Warning,
        Level::INFO => LogLevel::Info,
        Level::DEBUG => LogLevel::Debug,
        Level::TRACE => LogLevel::Trace,
    }
}

fn messages() -> MutexGuard<'static, HashMap<String, Vec<LogMessage>>> {
    MESSAGES.lock().unwrap_or_else(PoisonError::into_inner)
}
