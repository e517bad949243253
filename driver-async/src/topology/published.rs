//! A value that many read while it is replaced.

use std::{pin::pin, sync::Arc};

// By the names that the module above gives them: tests/published.rs stands above it too, with
// primitives under which every order of events comes about.
use super::{ArcSwap, Guard, Mutex, MutexGuard, Notify};

/// A value that many read while it is replaced.
///
/// Readers take it without a lock. Writers take turns: whoever has the turn copies the value,
/// changes the copy and swaps it in.
#[derive(Debug)]
pub(super) struct Published<T> {
    current: ArcSwap<T>,
    turn: Mutex<()>,
    changed: Notify,
}

impl<T> Published<T> {
    pub(super) fn new(value: T) -> Self {
        Self {
            current: ArcSwap::from_pointee(value),
            turn: Mutex::new(()),
            changed: Notify::new(),
        }
    }

    /// The value now. Hold it only for one decision.
    pub(super) fn load(&self) -> Guard<Arc<T>> {
        self.current.load()
    }

    /// Like [`Published::load`], to be kept across an await.
    pub(super) fn load_full(&self) -> Arc<T> {
        self.current.load_full()
    }

    /// Keeps other writers from making a new value, so that no change is lost.
    pub(super) fn write(&self) -> MutexGuard<'_, ()> {
        self.turn.lock()
    }

    /// Swaps a new value in, then does what follows from it, then wakes those who wait. The caller
    /// has the writers' turn.
    ///
    /// What the old value offers is taken away in `then`, so whoever finds it gone and looks again
    /// sees the new value.
    pub(super) fn replace(&self, value: T, then: impl FnOnce(&Arc<T>)) {
        let value = Arc::new(value);
        self.current.store(Arc::clone(&value));
        then(&value);
        self.changed.notify_waiters();
    }

    /// Has those who wait look again.
    pub(super) fn wake(&self) {
        self.changed.notify_waiters();
    }

    /// What `look` finds, in this value or in one that comes.
    pub(super) async fn find<R>(&self, mut look: impl FnMut(&Arc<T>) -> Option<R>) -> R {
        loop {
            // Listen first: a change between the look and the wait must not be missed.
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if let Some(found) = look(&self.load_full()) {
                return found;
            }
            changed.await;
        }
    }
}
