//! Events that are delivered in the order they happened, outside of every lock.

use std::{
    collections::VecDeque,
    thread::{self, ThreadId},
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Listeners, listeners::Logged};

/// Events that are delivered in the order they happened.
///
/// They are pushed under the lock of what they are about and delivered after it is released, so
/// a listener may use the client. Whoever finds a delivery under way leaves its events to it.
#[derive(Debug)]
pub(crate) struct OrderedEvents<T> {
    listeners: Listeners<T>,
    queue: Mutex<Queue<T>>,
    /// Rings when a delivery ends.
    delivered: Notify,
}

#[derive(Debug)]
struct Queue<T> {
    events: VecDeque<T>,
    /// Who delivers now.
    delivering: Option<ThreadId>,
}

/// A delivery under way. It ends when dropped, also when a subscriber of the log panics.
struct Delivery<'a, T>(&'a OrderedEvents<T>);

impl<T: Logged + Send + Sync + 'static> OrderedEvents<T> {
    pub(crate) fn new(listeners: Listeners<T>) -> Self {
        let queue = Mutex::new(Queue {
            events: VecDeque::new(),
            delivering: None,
        });
        Self {
            listeners,
            queue,
            delivered: Notify::new(),
        }
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
        if queue.delivering.is_some() {
            return;
        }
        queue.delivering = Some(thread::current().id());
        drop(queue);
        let delivery = Delivery(self);
        while let Some(event) = delivery.next() {
            self.listeners.tell(event);
        }
    }

    /// Waits until another thread has delivered what it found to deliver. A listener does not wait
    /// for itself.
    pub(crate) async fn delivered(&self) {
        loop {
            let delivered = self.delivered.notified();
            tokio::pin!(delivered);
            delivered.as_mut().enable();
            let delivering = self.queue.lock().delivering;
            if delivering.is_none_or(|thread| thread == thread::current().id()) {
                return;
            }
            delivered.await;
        }
    }
}

impl<T> Delivery<'_, T> {
    /// The next event; at the end of them the delivery ends under the same lock as the look, so
    /// that no event is left behind.
    fn next(&self) -> Option<T> {
        let mut queue = self.0.queue.lock();
        let next = queue.events.pop_front();
        if next.is_none() {
            queue.delivering = None;
        }
        next
    }
}

impl<T> Drop for Delivery<'_, T> {
    fn drop(&mut self) {
        let mut queue = self.0.queue.lock();
        queue.delivering = queue.delivering.filter(|it| *it != thread::current().id());
        drop(queue);
        self.0.delivered.notify_waiters();
    }
}
