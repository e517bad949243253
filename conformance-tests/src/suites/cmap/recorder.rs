//! The events of a pool, as the specification's tests write them.

use std::sync::{Arc, Mutex, PoisonError};

use motorcade::event::EventHandler;
use motorcade::event::cmap::CmapEvent;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::Notify;

#[derive(Default)]
pub(super) struct Recorder {
    events: Mutex<Vec<Value>>,
    changed: Notify,
}

impl Recorder {
    pub(super) fn handler(self: &Arc<Self>) -> EventHandler<CmapEvent> {
        let recorder = Arc::clone(self);
        EventHandler::callback(move |event: CmapEvent| {
            let mut events = recorder
                .events
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            events.push(as_json(&event));
            drop(events);
            recorder.changed.notify_waiters();
        })
    }

    pub(super) fn seen(&self) -> Vec<Value> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.clone()
    }

    /// Waits until an event has occurred so often, counted from the start of the case.
    pub(super) async fn wait_for(&self, name: &str, count: usize) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.count(name) >= count {
                return;
            }
            changed.await;
        }
    }

    pub(super) fn count(&self, name: &str) -> usize {
        let named = |event: &&Value| event["type"] == name;
        self.seen().iter().filter(named).count()
    }
}

fn as_json(event: &CmapEvent) -> Value {
    let (name, event) = match event {
        CmapEvent::PoolCreated(event) => ("ConnectionPoolCreated", value(event)),
        CmapEvent::PoolReady(event) => ("ConnectionPoolReady", value(event)),
        CmapEvent::PoolCleared(event) => ("ConnectionPoolCleared", value(event)),
        CmapEvent::PoolClosed(event) => ("ConnectionPoolClosed", value(event)),
        CmapEvent::ConnectionCreated(event) => ("ConnectionCreated", value(event)),
        CmapEvent::ConnectionReady(event) => ("ConnectionReady", value(event)),
        CmapEvent::ConnectionClosed(event) => ("ConnectionClosed", value(event)),
        CmapEvent::ConnectionCheckoutStarted(event) => ("ConnectionCheckOutStarted", value(event)),
        CmapEvent::ConnectionCheckoutFailed(event) => ("ConnectionCheckOutFailed", value(event)),
        CmapEvent::ConnectionCheckedOut(event) => ("ConnectionCheckedOut", value(event)),
        CmapEvent::ConnectionCheckedIn(event) => ("ConnectionCheckedIn", value(event)),
        _ => ("an event that this runner does not know", Value::Null),
    };
    let mut fields = event.as_object().cloned().unwrap_or_default();
    fields.insert("type".to_owned(), Value::from(name));
    Value::Object(fields)
}

fn value(event: &impl Serialize) -> Value {
    serde_json::to_value(event).unwrap_or_else(|error| Value::from(error.to_string()))
}

/// The specification's match function: `42` and `"42"` stand for anything that is there, and
/// objects may have more members than expected.
pub(super) fn matches(expected: &Value, found: Option<&Value>) -> Result<(), String> {
    let found = found.filter(|found| !found.is_null());
    let Some(found) = found else {
        return Err(format!("expected {expected}, found nothing"));
    };
    if *expected == 42 || *expected == "42" {
        return Ok(());
    }
    match (expected, found) {
        (Value::Object(expected), Value::Object(fields)) => {
            expected.iter().try_for_each(|(name, expected)| {
                matches(expected, fields.get(name)).map_err(|why| format!("{name}: {why}"))
            })
        }
        (Value::Array(expected), Value::Array(items)) => {
            expected.iter().enumerate().try_for_each(|(nth, expected)| {
                matches(expected, items.get(nth)).map_err(|why| format!("[{nth}]: {why}"))
            })
        }
        _ if expected == found => Ok(()),
        _ => Err(format!("expected {expected}, found {found}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_placeholder_matches_what_is_there_and_nothing_else() {
        assert!(matches(&json!({ "a": 42 }), Some(&json!({ "a": "x", "b": 1 }))).is_ok());
        assert!(matches(&json!({ "a": "42" }), Some(&json!({ "b": 1 }))).is_err());
        assert!(matches(&json!({ "a": "x" }), Some(&json!({ "a": "y" }))).is_err());
        assert!(matches(&json!([1]), Some(&json!([1, 2]))).is_ok());
        assert!(matches(&json!({}), None).is_err());
    }
}
