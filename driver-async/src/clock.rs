//! The one place that reads the time.

use std::time::Instant;

/// The time now, on the runtime's clock, which tests can pause.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
