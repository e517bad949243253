//! Events that are delivered in the order they happened, outside of every lock.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{
    Listeners,
    delivery_thread::{Delivering, DeliveryThread, is_delivering},
    listeners::Logged,
};
use crate::background::Background;

/// How many events of others one thread delivers beside its own. With a listener that takes 400 us
/// an operation then takes 6 ms longer.
const SHARE: usize = 16;
/// How many events wait for a slow listener before operations wait as well.
const MOST_WAITING: usize = 1024;

/// Events that are delivered in the order they happened.
///
/// They are pushed under the lock of what they are about and delivered after it is released, so
/// a listener may use the client. Whoever finds a delivery under way leaves its events to it.
///
/// A thread delivers its own events and a share of others'; the rest is for the delivery thread. So
/// is everything that happens on the background thread. While many events wait, operations wait
/// before they begin: see [`OrderedEvents::room`].
#[derive(Debug)]
pub(crate) struct OrderedEvents<T> {
    shared: Arc<Shared<T>>,
}

#[derive(Debug)]
struct Shared<T> {
    listeners: Listeners<T>,
    queue: Mutex<Queue<T>>,
    /// Rings when events were delivered.
    delivered: Notify,
    /// Lets one operation begin, or all of them.
    room: Notify,
}

#[derive(Debug)]
struct Queue<T> {
    events: VecDeque<T>,
    /// How many events there were, ever.
    pushed: u64,
    /// How many of them listeners have been told.
    told: u64,
    is_delivering: bool,
    /// How many operations wait for room.
    waiting: usize,
}

/// A delivery under way. It ends when dropped, also when a subscriber of the log panics.
struct Delivery<'a, T: Logged + Send + Sync + 'static> {
    events: &'a OrderedEvents<T>,
    /// How many events may have been taken, ever, when the delivery ends.
    until: u64,
    is_over: bool,
    _delivering: Delivering,
}

impl<T> Queue<T> {
    fn push(&mut self, events: impl IntoIterator<Item = T>) {
        let before = self.events.len();
        self.events.extend(events);
        self.pushed += count(self.events.len() - before);
    }

    /// How many events were taken to be told, ever.
    fn taken(&self) -> u64 {
        self.pushed - count(self.events.len())
    }

    fn has_room(&self) -> bool {
        self.events.len() < MOST_WAITING
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

impl<T: Logged + Send + Sync + 'static> OrderedEvents<T> {
    pub(crate) fn new(listeners: Listeners<T>) -> Self {
        let queue = Mutex::new(Queue {
            events: VecDeque::new(),
            pushed: 0,
            told: 0,
            is_delivering: false,
            waiting: 0,
        });
        Self {
            shared: Arc::new(Shared {
                listeners,
                queue,
                delivered: Notify::new(),
                room: Notify::new(),
            }),
        }
    }

    /// Whether anybody listens now. Ask before building an event.
    pub(crate) fn are_heard(&self) -> bool {
        self.shared.listeners.are_there()
    }

    pub(crate) fn push(&self, event: T) {
        self.shared.queue.lock().push([event]);
    }

    /// Pushes the events that the function builds, if anybody listens.
    pub(crate) fn extend<I: IntoIterator<Item = T>>(&self, events: impl FnOnce() -> I) {
        if self.are_heard() {
            let events = events();
            self.shared.queue.lock().push(events);
        }
    }

    /// Delivers what was pushed, all of which counts as the caller's own.
    pub(crate) fn deliver(&self) {
        if self.are_heard() {
            self.deliver_own(usize::MAX);
        }
    }

    /// Delivers what was pushed, the last `own` events of which are the caller's.
    pub(crate) fn deliver_own(&self, own: usize) {
        let mut queue = self.shared.queue.lock();
        let waiting = queue.events.len();
        if waiting == 0 || queue.is_delivering {
            return;
        }
        let others = waiting - own.min(waiting);
        let share = SHARE.checked_sub(others);
        let Some(share) = share.filter(|_| !Background::is_current_thread()) else {
            let pushed = queue.pushed;
            drop(queue);
            self.hand_over(pushed);
            return;
        };
        queue.is_delivering = true;
        let until = queue.pushed + count(share);
        drop(queue);
        Delivery::new(self, until).run();
    }

    pub(crate) fn delivery_thread(&self) -> &DeliveryThread {
        self.shared.listeners.delivery_thread()
    }

    /// Has the delivery thread deliver the events up to that one.
    fn hand_over(&self, until: u64) {
        let events = self.clone();
        self.delivery_thread()
            .send(move || events.deliver_until(until));
    }

    fn deliver_until(&self, until: u64) {
        let mut queue = self.shared.queue.lock();
        if queue.is_delivering || queue.taken() >= until {
            return;
        }
        queue.is_delivering = true;
        drop(queue);
        Delivery::new(self, until).run();
    }

    /// Waits until listeners have been told all that was pushed until now. A listener does not
    /// wait, neither for itself nor for another.
    pub(crate) async fn delivered(&self) {
        let pushed = self.shared.queue.lock().pushed;
        self.deliver_own(usize::MAX);
        loop {
            let delivered = self.shared.delivered.notified();
            tokio::pin!(delivered);
            delivered.as_mut().enable();
            if is_delivering() || self.shared.queue.lock().told >= pushed {
                return;
            }
            delivered.await;
        }
    }

    /// Whether an operation may begin that makes events.
    pub(crate) fn has_room(&self) -> bool {
        !self.are_heard()
            || Background::is_current_thread()
            || is_delivering()
            || self.shared.queue.lock().has_room()
    }

    /// Waits while many events wait for a slow listener, so that there is an end to them.
    ///
    /// An operation waits here before it has anything that a listener which uses the client could
    /// need. What it adds later, its end among it, is always taken: the queue may outgrow its limit
    /// by that. A listener's own operations never wait, and neither does the background thread.
    pub(crate) async fn room(&self) {
        if self.has_room() {
            return;
        }
        let room = self.shared.room.notified();
        tokio::pin!(room);
        let waiting = {
            let mut queue = self.shared.queue.lock();
            if queue.has_room() {
                return;
            }
            // Under the lock: whoever makes room later finds that somebody waits.
            room.as_mut().enable();
            queue.waiting += 1;
            Waiting(&self.shared.queue)
        };
        room.await;
        drop(waiting);
    }
}

/// An operation that waits for room, in the queue's count.
struct Waiting<'a, T>(&'a Mutex<Queue<T>>);

impl<T> Drop for Waiting<'_, T> {
    fn drop(&mut self) {
        self.0.lock().waiting -= 1;
    }
}

impl<'a, T: Logged + Send + Sync + 'static> Delivery<'a, T> {
    fn new(events: &'a OrderedEvents<T>, until: u64) -> Self {
        Self {
            events,
            until,
            is_over: false,
            _delivering: Delivering::begin(),
        }
    }

    fn run(mut self) {
        while let Some(event) = self.next() {
            self.events.shared.listeners.tell(event);
        }
    }

    /// The next event; at the end of them the delivery ends under the same lock as the look, so
    /// that no event is left behind.
    fn next(&mut self) -> Option<T> {
        let shared = &self.events.shared;
        let mut queue = shared.queue.lock();
        queue.told = queue.taken();
        if queue.taken() >= self.until && !queue.events.is_empty() {
            return None;
        }
        let next = queue.events.pop_front();
        if next.is_none() {
            queue.is_delivering = false;
            self.is_over = true;
        }
        let (is_wanted, has_room) = (queue.waiting > 0, queue.has_room());
        drop(queue);
        shared.delivered.notify_waiters();
        match &next {
            Some(_) if is_wanted && has_room => shared.room.notify_one(),
            Some(_) => {}
            None => shared.room.notify_waiters(),
        }
        next
    }
}

impl<T: Logged + Send + Sync + 'static> Drop for Delivery<'_, T> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let mut queue = self.events.shared.queue.lock();
        queue.told = queue.taken();
        queue.is_delivering = false;
        let (pushed, is_rest) = (queue.pushed, !queue.events.is_empty());
        drop(queue);
        self.events.shared.delivered.notify_waiters();
        if is_rest {
            self.events.hand_over(pushed);
        } else {
            self.events.shared.room.notify_waiters();
        }
    }
}

impl<T> Clone for OrderedEvents<T> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::mpsc,
        thread::{self, ThreadId},
    };

    use super::*;
    use crate::event::{EventHandler, log::LogContext};

    impl Logged for u32 {
        fn is_logged() -> bool {
            false
        }

        fn log(&self, _: &LogContext) {}
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(future)
    }

    /// While the first event is delivered, other threads add many.
    #[test]
    fn who_delivers_leaves_most_of_what_other_threads_add_to_the_listener() {
        const MANY: u32 = 200;
        let events: Arc<Mutex<Option<OrderedEvents<u32>>>> = Arc::default();
        let told: Arc<Mutex<Vec<(u32, ThreadId)>>> = Arc::default();
        let handler = EventHandler::callback({
            let (events, told) = (Arc::clone(&events), Arc::clone(&told));
            move |event| {
                told.lock().push((event, thread::current().id()));
                let events = events.lock().clone().filter(|_| event == 0);
                let Some(events) = events else { return };
                let adding = thread::spawn(move || {
                    for event in 1..=MANY {
                        events.push(event);
                        events.deliver();
                    }
                });
                adding.join().unwrap();
            }
        });
        let listeners = Listeners::from(Some(handler));
        let ordered = OrderedEvents::new(listeners);
        *events.lock() = Some(ordered.clone());
        ordered.push(0);
        ordered.deliver();
        let own = thread::current().id();
        let here = told.lock().iter().filter(|(_, by)| *by == own).count();
        assert!(here <= 1 + SHARE, "{here} events were delivered here");
        block_on(ordered.delivered());
        let order: Vec<_> = told.lock().iter().map(|(event, _)| *event).collect();
        assert_eq!(order, Vec::from_iter(0..=MANY));
    }

    /// The first event keeps the listener until many threads have added as much as they may.
    #[test]
    fn a_queue_takes_no_more_than_its_limit_and_what_operations_under_way_add() {
        const THREADS: usize = 8;
        const OPERATIONS: usize = MOST_WAITING;
        const EVENTS: usize = 3;
        let (release, released) = mpsc::channel::<()>();
        let released = Mutex::new(released);
        let told = Arc::new(Mutex::new(0));
        let counted = Arc::clone(&told);
        let handler = EventHandler::callback(move |_: u32| {
            // The sender never sends: it goes away.
            let _: Result<(), _> = released.lock().recv();
            *counted.lock() += 1;
        });
        let events = OrderedEvents::new(Listeners::from(Some(handler)));
        let (most, finished) = (Mutex::new(0), Mutex::new(0));
        let add = || {
            for _ in 0..OPERATIONS {
                block_on(events.room());
                for event in 0..EVENTS {
                    events.push(u32::try_from(event).unwrap());
                    let waiting = events.shared.queue.lock().events.len();
                    let mut most = most.lock();
                    *most = waiting.max(*most);
                }
                events.deliver();
            }
            *finished.lock() += 1;
        };
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(add);
            }
            // One of them is at the listener.
            while events.shared.queue.lock().waiting + *finished.lock() < THREADS - 1 {
                thread::yield_now();
            }
            drop(release);
        });
        block_on(events.delivered());
        assert_eq!(*told.lock(), THREADS * OPERATIONS * EVENTS);
        let most = *most.lock();
        let limit = MOST_WAITING + THREADS * EVENTS;
        assert!(most <= limit, "{most} events waited");
    }

    #[test]
    fn a_listener_that_uses_the_client_never_waits() {
        let events: Arc<Mutex<Option<OrderedEvents<u32>>>> = Arc::default();
        let reached = Arc::clone(&events);
        let handler = EventHandler::callback(move |event| {
            let Some(events) = reached.lock().clone().filter(|_| event == 0) else {
                return;
            };
            events.extend(|| (1..).take(2 * MOST_WAITING));
            block_on(events.room());
            block_on(events.delivered());
        });
        let ordered = OrderedEvents::new(Listeners::from(Some(handler)));
        *events.lock() = Some(ordered.clone());
        ordered.push(0);
        ordered.deliver();
        block_on(ordered.delivered());
        assert_eq!(
            ordered.shared.queue.lock().told,
            count(1 + 2 * MOST_WAITING)
        );
    }
}
