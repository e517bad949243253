//! Events that are delivered in the order they happened, outside of every lock.

use std::collections::VecDeque;

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
        let turn = Turn(&self.queue);
        loop {
            let mut queue = self.queue.lock();
            let Some(event) = queue.events.pop_front() else {
                // Under the same lock as the look, so that no event is left behind.
                queue.delivering = false;
                drop(queue);
                std::mem::forget(turn);
                return;
            };
            drop(queue);
            handler.handle(event);
        }
    }
}

/// Ends a delivery when a listener panics.
struct Turn<'a, T>(&'a Mutex<Queue<T>>);

impl<T> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        self.0.lock().delivering = false;
    }
}
