//! The runtime of the monitors, and their move to another.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::Topology;
use crate::net::home::{is_always_driven, is_gone};

impl Topology {
    /// Where work in the background is done: where the monitors are, if that goes on by itself, or
    /// else here. `None` before the first operation, outside of a runtime.
    pub(crate) fn runtime(&self) -> Option<Handle> {
        let home = self.runtime.load_full().map(|home| Handle::clone(&home));
        match home {
            Some(home) if is_always_driven(&home) => Some(home),
            home => Handle::try_current().ok().or(home),
        }
    }

    /// Starts the monitors again on the current runtime if theirs was shut down.
    pub(super) fn revive_monitors(self: &Arc<Self>) {
        self.move_monitors(is_gone);
    }

    /// As [`Topology::revive_monitors`], for those who wait for a check: they fetch the monitors
    /// from a runtime as well that is driven only while its own thread waits for something.
    pub(super) fn fetch_monitors(self: &Arc<Self>) {
        self.move_monitors(|home| !is_always_driven(home) || is_gone(home));
    }

    fn move_monitors(self: &Arc<Self>, is_left: impl Fn(&Handle) -> bool) {
        let Ok(here) = Handle::try_current() else {
            return;
        };
        let is_left = || {
            let home = self.runtime.load();
            home.as_ref()
                .is_some_and(|home| home.id() != here.id() && is_left(home))
        };
        if !is_left() {
            return;
        }
        let writing = self.published.write();
        if is_left() && self.has_started() {
            self.runtime.store(Some(Arc::new(here.clone())));
            for server in self.snapshot().servers.values() {
                server.abandon_tasks(&self.events);
                self.watch(server);
            }
        }
        drop(writing);
        self.deliver();
    }
}
