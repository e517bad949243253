//! Every order in which readers, writers and a removal can meet, tried one after the other.
//!
//! The file under test is the driver's own. Here stand above it, under the same names, primitives
//! that promise what those of arc-swap, parking_lot and tokio promise, and no more.

#[path = "../src/topology/published.rs"]
mod published;

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use loom::{
    future::block_on,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};
use published::Published;

type Guard<T> = T;
type MutexGuard<'a, T> = loom::sync::MutexGuard<'a, T>;

#[derive(Debug)]
struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().expect("no thread panics with the lock")
    }
}

/// Loads and stores happen in one order for all threads.
#[derive(Debug)]
struct ArcSwap<T>(Mutex<Arc<T>>);

impl<T> ArcSwap<T> {
    fn from_pointee(value: T) -> Self {
        Self(Mutex::new(Arc::new(value)))
    }

    fn load(&self) -> Guard<Arc<T>> {
        self.load_full()
    }

    fn load_full(&self) -> Arc<T> {
        Arc::clone(&self.0.lock())
    }

    fn store(&self, value: Arc<T>) {
        *self.0.lock() = value;
    }
}

/// Wakes those who had begun to listen, and nobody who begins later.
#[derive(Debug)]
struct Notify(Mutex<Calls>);

#[derive(Debug, Default)]
struct Calls {
    count: usize,
    waiting: Vec<Waker>,
}

impl Notify {
    fn new() -> Self {
        Self(Mutex::new(Calls::default()))
    }

    fn notify_waiters(&self) {
        let mut calls = self.0.lock();
        calls.count += 1;
        let waiting = std::mem::take(&mut calls.waiting);
        drop(calls);
        waiting.into_iter().for_each(Waker::wake);
    }

    fn notified(&self) -> Notified<'_> {
        Notified {
            notify: self,
            heard: None,
        }
    }
}

/// Listens from when it is enabled or polled first: of what tokio promises, the least.
struct Notified<'a> {
    notify: &'a Notify,
    heard: Option<usize>,
}

impl Notified<'_> {
    fn enable(mut self: Pin<&mut Self>) {
        self.heard = Some(self.notify.0.lock().count);
    }
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut calls = self.notify.0.lock();
        let heard = self.heard.unwrap_or(calls.count);
        if calls.count != heard {
            return Poll::Ready(());
        }
        calls.waiting.push(context.waker().clone());
        drop(calls);
        self.heard = Some(heard);
        Poll::Pending
    }
}

/// Runs the model in every order of events in which threads are interrupted at most twice.
fn in_every_order(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(model);
}

/// Copies the value, changes the copy and swaps it in.
fn change<T: Clone>(published: &Published<T>, change: impl FnOnce(&mut T), then: impl FnOnce()) {
    let writing = published.write();
    let mut copy = T::clone(&published.load());
    change(&mut copy);
    published.replace(copy, |_| then());
    drop(writing);
}

#[test]
fn no_reader_sleeps_through_a_change_and_no_change_is_lost() {
    in_every_order(|| {
        let published = Arc::new(Published::new(Vec::new()));
        let writers: Vec<_> = [1, 2]
            .map(|news| {
                let published = Arc::clone(&published);
                thread::spawn(move || change(&published, |all| all.push(news), || ()))
            })
            .into();
        // The model fails when the reader waits and nobody is left to wake it.
        let both = |all: &Arc<Vec<i32>>| (all.len() == 2).then(|| all.iter().sum());
        let sum: i32 = block_on(published.find(both));
        assert_eq!(sum, 3);
        for writer in writers {
            writer.join().expect("does not panic");
        }
    });
}

/// What a server's pool is to those who found it in a snapshot.
#[derive(Debug)]
struct Server {
    name: &'static str,
    is_closed: AtomicBool,
}

impl Server {
    fn new(name: &'static str) -> Arc<Self> {
        Arc::new(Self {
            name,
            is_closed: AtomicBool::new(false),
        })
    }
}

#[test]
fn who_meets_a_removed_server_finds_its_successor_and_not_the_same_again() {
    in_every_order(|| {
        let (old, new) = (Server::new("old"), Server::new("new"));
        let published = Arc::new(Published::new(Some(Arc::clone(&old))));
        let writer = {
            let published = Arc::clone(&published);
            thread::spawn(move || {
                let close = || old.is_closed.store(true, Ordering::Release);
                change(&published, |server| *server = None, close);
                change(&published, |server| *server = Some(new), || ());
            })
        };
        let select = || block_on(published.find(|server| Option::clone(server)));
        let first = select();
        if first.is_closed.load(Ordering::Acquire) {
            assert_eq!(select().name, "new");
        }
        writer.join().expect("does not panic");
    });
}

#[test]
fn who_waits_looks_again_when_woken_without_a_change() {
    in_every_order(|| {
        let published = Arc::new(Published::new(()));
        let is_over = Arc::new(AtomicBool::new(false));
        let waking = {
            let (published, is_over) = (Arc::clone(&published), Arc::clone(&is_over));
            thread::spawn(move || {
                is_over.store(true, Ordering::Release);
                published.wake();
            })
        };
        block_on(published.find(|_| is_over.load(Ordering::Acquire).then_some(())));
        waking.join().expect("does not panic");
    });
}
