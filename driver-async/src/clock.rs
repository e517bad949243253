//! The one place that reads the time, and where the driver waits for it.

use std::{
    future::{Future, pending},
    time::{Duration, Instant},
};

use crate::background::{self, Timeout};

/// The time now. A clock that the application paused does not stop it: servers go on.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Waits for so long.
pub(crate) async fn sleep(duration: Duration) {
    let at = now().checked_add(duration);
    let _: Option<()> = background::timeout_at(at, pending()).await;
}

/// Awaits a future until then; `None` when it was not done. There may be no limit.
pub(crate) fn timeout_at<F: Future>(at: Option<Instant>, future: F) -> Timeout<F> {
    background::timeout_at(at, future)
}
