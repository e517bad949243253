//! Events that are delivered in the order they happened, outside of every lock.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
};

use parking_lot::Mutex;

use super::EventHandler;

/// Events that are delivered in the order they happened.
///
/// They are pushed under the lock of what they are about and delivered after it is released, so
/// a listener may use the client. Whoever finds a delivery under way leaves its events to it.
#[derive(Debug)]
pub(crate) struct OrderedEvents<T> {
    handler: Option<EventHandler<T>>,
    queue: Mutex<Queue<T>>,
}

#[derive(Debug)]
struct Queue<T> {
    events: VecDeque<T>,
    delivering: bool,
}

impl<T: Send + Sync + 'static> OrderedEvents<T> {
    pub(crate) fn new(handler: Option<EventHandler<T>>) -> Self {
        let queue = Mutex::new(Queue {
            events: VecDeque::new(),
            delivering: false,
        });
        Self { handler, queue }
    }

    pub(crate) fn push(&self, event: T) {
        if self.handler.is_some() {
            self.queue.lock().events.push_back(event);
        }
    }

    pub(crate) fn deliver(&self) {
        let Some(handler) = &self.handler else { return };
        let mut queue = self.queue.lock();
        if std::mem::replace(&mut queue.delivering, true) {
            return;
        }
        drop(queue);
        loop {
            let mut queue = self.queue.lock();
            let Some(event) = queue.events.pop_front() else {
                // Under the same lock as the look, so that no event is left behind.
                queue.delivering = false;
                return;
            };
            drop(queue);
            // Deliveries happen in destructors too, which a listener's panic must not leave.
            if catch_unwind(AssertUnwindSafe(|| handler.handle(event))).is_err() {
                tracing::error!("a listener panicked; the event counts as delivered");
            }
        }
    }
}
