//! The runtime that a socket belongs to.

use std::future::pending;

use tokio::runtime::{Handle, Id, RuntimeFlavor};

/// The runtime that a socket belongs to: without it nobody is told when the socket has news.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Home(Option<Id>);

impl Home {
    /// The current runtime.
    pub(crate) fn here() -> Self {
        let here = Handle::try_current().ok();
        Self(here.as_ref().map(Handle::id))
    }

    /// Whether this is the current runtime.
    pub(crate) fn is_here(self) -> bool {
        self.0 == Self::here().0
    }
}

/// Whether the runtime goes on when nobody waits for one of its tasks. One without threads of its
/// own does not, so whoever waits elsewhere for what lives there may wait for ever.
pub(crate) fn is_always_driven(runtime: &Handle) -> bool {
    runtime.runtime_flavor() != RuntimeFlavor::CurrentThread
}

/// Whether the runtime was shut down.
pub(crate) fn is_gone(runtime: &Handle) -> bool {
    // Only there does a task end that waits for ever.
    let task = runtime.spawn(pending::<()>());
    let is_gone = task.is_finished();
    task.abort();
    is_gone
}

#[cfg(test)]
mod tests {
    use tokio::runtime::{Builder, Runtime};

    use super::*;

    fn single() -> Runtime {
        Builder::new_current_thread().build().unwrap()
    }

    #[test]
    fn a_runtime_is_known_again() {
        let (one, other) = (single(), Runtime::new().unwrap());
        let home = one.block_on(async { Home::here() });
        assert!(one.block_on(async { home.is_here() }));
        assert!(!other.block_on(async { home.is_here() }));
        assert!(!home.is_here());
        assert!(!is_always_driven(one.handle()));
        assert!(is_always_driven(other.handle()));
    }

    #[test]
    fn a_runtime_that_was_shut_down_is_gone() {
        for runtime in [single(), Runtime::new().unwrap()] {
            let handle = runtime.handle().clone();
            assert!(!is_gone(&handle));
            drop(runtime);
            assert!(is_gone(&handle));
        }
    }
}
