//! The pool's one timer: it closes what was unused for too long, and tries again to have the least
//! number of connections.

use std::time::Instant;

use parking_lot::Mutex;
use tokio::task::AbortHandle;

use super::{Connect, inner::Inner};
use crate::clock;

/// The pool's one timer, a task of the background runtime while there is something to wait for.
#[derive(Default)]
pub(super) struct Alarm(Mutex<Option<AbortHandle>>);

impl Alarm {
    /// Has the pool look again at this time, and no later.
    pub(super) fn set<C: Connect>(&self, pool: &Inner<C>, at: Instant) {
        // Without a thread there are no connections either.
        let Ok(background) = pool.background() else {
            return;
        };
        let pool = pool.weak();
        let task = background.spawn(async move {
            tokio::time::sleep_until(at.into()).await;
            if let Some(pool) = pool.upgrade() {
                let now = clock::now();
                pool.change(|state| ((), state.turn(now)));
            }
        });
        self.replace(Some(task.abort_handle()));
    }

    /// Ends it.
    pub(super) fn cancel(&self) {
        self.replace(None);
    }

    fn replace(&self, task: Option<AbortHandle>) {
        let before = std::mem::replace(&mut *self.0.lock(), task);
        if let Some(before) = before {
            before.abort();
        }
    }
}
