//! The pool's one timer: it closes what was unused for too long, and tries again to have the least
//! number of connections.

use std::time::Instant;

use parking_lot::Mutex;
use tokio::task::AbortHandle;

use super::{Connect, inner::Inner};
use crate::clock;

/// The pool's one timer, a task of the background runtime while there is something to wait for.
#[derive(Default)]
pub(super) struct Alarm(Mutex<Option<Timer>>);

struct Timer {
    at: Instant,
    task: AbortHandle,
}

impl Alarm {
    /// Has the pool look again at this time, and no later. Two threads may set it in another order
    /// than the one in which the pool told them to, so the earlier time holds.
    pub(super) fn set<C: Connect>(&self, pool: &Inner<C>, at: Instant) {
        // Without a thread there are no connections either.
        let Ok(background) = pool.background() else {
            return;
        };
        let mut timer = self.0.lock();
        if timer.as_ref().is_some_and(|timer| timer.at <= at) {
            return;
        }
        let pool = pool.weak();
        let task = background.spawn(async move {
            tokio::time::sleep_until(at.into()).await;
            if let Some(pool) = pool.upgrade() {
                pool.alarm().ring(at);
                let now = clock::now();
                pool.change(|state| ((), state.turn(now)));
            }
        });
        let task = task.abort_handle();
        if let Some(later) = timer.replace(Timer { at, task }) {
            later.task.abort();
        }
    }

    /// It has rung, and can be set to a later time.
    fn ring(&self, at: Instant) {
        self.0.lock().take_if(|timer| timer.at == at);
    }

    /// Ends it.
    pub(super) fn cancel(&self) {
        if let Some(timer) = self.0.lock().take() {
            timer.task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        address::ServerAddress,
        pool::{ConnectRequest, Pool, PoolMember, PoolOptions, Result},
    };

    struct Never;

    impl PoolMember for Never {
        fn is_reusable(&self) -> bool {
            true
        }

        fn has_hung_up(&mut self) -> bool {
            false
        }
    }

    impl Connect for Never {
        type Connection = Self;

        async fn connect(&self, _request: ConnectRequest) -> Result<Self> {
            std::future::pending().await
        }
    }

    #[tokio::test]
    async fn the_earlier_of_two_times_holds_whichever_is_set_last() {
        let pool = Pool::new(
            ServerAddress::default(),
            PoolOptions::default(),
            Never,
            None,
        );
        let alarm = pool.inner.alarm();
        let soon = clock::now() + Duration::from_millis(10);
        alarm.set(&pool.inner, soon);
        alarm.set(&pool.inner, soon + Duration::from_secs(3_600));
        assert!(
            alarm
                .0
                .lock()
                .as_ref()
                .is_some_and(|timer| timer.at == soon)
        );
        while alarm.0.lock().is_some() {
            tokio::task::yield_now().await;
        }
    }
}
