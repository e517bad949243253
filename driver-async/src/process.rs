//! What `fork()` must not tear apart.
//!
//! A forked child has a copy of its parent's memory and shares its sockets, but of its threads only
//! the one that forked is there. So what the parent was at never ends in the child, and a lock that
//! another thread held stays locked. And what the child did to a socket, or to the epoll instance
//! that the socket is registered with, would happen to the parent. **The rule:** the child uses
//! nothing that its parent used, and leaks it where it would be dropped.
//!
//! Finding out costs a system call, so it is done once per operation and where something ends, and
//! not for every document.

use std::{
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use arc_swap::ArcSwapOption;

use crate::error::{Error, Result};

/// No process has this number.
const NOBODY: u32 = 0;

/// The process in which something was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process(u32);

impl Process {
    /// The process that runs.
    pub(crate) fn current() -> Self {
        Self(process::id())
    }

    /// Checks that this is still the process that runs.
    ///
    /// # Errors
    /// An invalid-argument error in a forked child.
    pub(crate) fn check(self) -> Result<()> {
        if self == Self::current() {
            Ok(())
        } else {
            Err(Error::invalid_argument(
                "this client was used before fork(): create a new client in the child process",
            ))
        }
    }
}

/// The process that uses something, from its first use on.
#[derive(Debug, Default)]
pub(crate) struct Owner(AtomicU32);

impl Owner {
    /// Begins the use by the process that runs.
    ///
    /// # Errors
    /// As [`Owner::check`].
    pub(crate) fn claim(&self) -> Result<()> {
        let current = Process::current().0;
        match self
            .0
            .compare_exchange(NOBODY, current, Ordering::AcqRel, Ordering::Acquire)
        {
            Ok(_) => Ok(()),
            Err(owner) => Process(owner).check(),
        }
    }

    /// Checks that no other process has used it.
    ///
    /// # Errors
    /// An invalid-argument error in a child that was forked after the first use.
    pub(crate) fn check(&self) -> Result<()> {
        match self.0.load(Ordering::Acquire) {
            NOBODY => Ok(()),
            owner => Process(owner).check(),
        }
    }
}

/// A static value that each process has of its own. A child never sees its parent's, on which a
/// thread that is not there may have worked when the process was forked; so no lock guards it.
#[derive(Debug)]
pub struct PerProcess<T: 'static>(ArcSwapOption<(Process, &'static T)>);

impl<T: Default> PerProcess<T> {
    /// Makes nothing yet.
    pub const fn new() -> Self {
        Self(ArcSwapOption::const_empty())
    }

    /// The value of the process that runs, which is made if there is none.
    pub fn get(&self) -> &'static T {
        let process = Process::current();
        loop {
            let found = self.0.load();
            if let Some((owner, value)) = found.as_deref()
                && *owner == process
            {
                return value;
            }
            let made: &'static T = Box::leak(Box::default());
            let made = Some((process, made).into());
            drop(self.0.compare_and_swap(&found, made));
        }
    }

    /// The value that was made last, by this process or by one that it was forked from.
    pub fn latest(&self) -> Option<&'static T> {
        self.0.load().as_deref().map(|(_, value)| *value)
    }
}

impl<T: Default> Default for PerProcess<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_process_used_is_refused_and_says_what_to_do() {
        let owner = Owner::default();
        assert!(owner.check().is_ok());
        assert!(owner.claim().is_ok());
        assert!(owner.claim().and(owner.check()).is_ok());
        owner.0.fetch_add(1, Ordering::Relaxed);
        for refused in [owner.check(), owner.claim()] {
            let message = refused.unwrap_err().to_string();
            assert!(message.contains("create a new client"), "{message}");
        }
    }

    #[test]
    fn each_process_has_its_own_value() {
        let values = PerProcess::<AtomicU32>::new();
        assert!(values.latest().is_none());
        let parents: &AtomicU32 = values.get();
        assert!(std::ptr::eq(parents, values.get()));
        let parent = Process(process::id() + 1);
        values.0.store(Some((parent, parents).into()));
        assert!(std::ptr::eq(parents, values.latest().unwrap()));
        assert!(!std::ptr::eq(parents, values.get()));
    }
}
