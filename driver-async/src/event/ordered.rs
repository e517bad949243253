//! Events that are delivered in the order they happened, outside of every lock.

use std::collections::VecDeque;

use parking_lot::Mutex;

use super::{Listeners, listeners::Logged};

/// Events that are delivered in the order they happened.
///
/// They are pushed under the lock of what they are about and delivered after it is released, so
/// a listener may use the client. Whoever finds a delivery under way leaves its events to it.
#[derive(Debug)]
pub(crate) struct OrderedEvents<T> {
    listeners: Listeners<T>,
    queue: Mutex<Queue<T>>,
}

#[derive(Debug)]
struct Queue<T> {
    events: VecDeque<T>,
    delivering: bool,
}

impl<T: Logged + Send + Sync + 'static> OrderedEvents<T> {
    pub(crate) fn new(listeners: Listeners<T>) -> Self {
        let queue = Mutex::new(Queue {
            events: VecDeque::new(),
            delivering: false,
        });
        Self { listeners, queue }
    }

    /// Whether anybody listens now. Ask before building an event.
    pub(crate) fn are_heard(&self) -> bool {
        self.listeners.are_there()
    }

    pub(crate) fn push(&self, event: T) {
        self.queue.lock().events.push_back(event);
    }

    /// Pushes the events that the function builds, if anybody listens.
    pub(crate) fn extend<I: IntoIterator<Item = T>>(&self, events: impl FnOnce() -> I) {
        if self.are_heard() {
            let events = events();
            self.queue.lock().events.extend(events);
        }
    }

    pub(crate) fn deliver(&self) {
        if !self.are_heard() {
            return;
        }
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
            self.listeners.tell(event);
        }
    }
}
