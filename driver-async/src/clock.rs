//! The one place that reads the time, and where the driver waits for it.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use crate::background;

/// The time now. A clock that the application paused does not stop it: servers go on.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Waits for so long, on the background runtime's timer.
pub(crate) async fn sleep(duration: Duration) {
    match now().checked_add(duration) {
        Some(at) => background::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Awaits a future until then; `None` when it was not done.
pub(crate) async fn timeout_at<F: Future>(at: Instant, future: F) -> Option<F::Output> {
    background::timeout_at(at, future).await
}
