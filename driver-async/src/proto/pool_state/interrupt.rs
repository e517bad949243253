//! How a cleared pool reaches the operations that are using its connections.

use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll},
};

use futures_util::task::AtomicWaker;

use crate::{
    address::ServerAddress,
    error::{Error, ErrorKind},
};

/// A one-way signal to whoever is using or establishing a connection: stop, the server is gone.
///
/// One per connection, made when the connection is created. It holds one waker, because a
/// connection has one user at a time.
#[derive(Default)]
pub struct Interrupt {
    fired: AtomicBool,
    user: AtomicWaker,
}

impl Interrupt {
    /// Signals the connection's user.
    pub fn fire(&self) {
        self.fired.store(true, Ordering::Release);
        self.user.wake();
    }

    /// Whether the signal was given.
    pub fn is_fired(&self) -> bool {
        self.fired.load(Ordering::Acquire)
    }

    /// Ready once the signal was given. To be polled beside the I/O of the connection, and only
    /// when that is pending.
    pub fn poll_fired(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.is_fired() {
            return Poll::Ready(());
        }
        self.user.register(context.waker());
        // The signal may have come between the first look and the registration.
        if self.is_fired() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// The error for an operation whose connection was interrupted.
    pub fn error(address: &ServerAddress) -> Error {
        Error::from(ErrorKind::ConnectionPoolCleared {
            message: format!("connection to {address} interrupted due to server monitor timeout"),
        })
    }
}

impl fmt::Debug for Interrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Interrupt").field(&self.is_fired()).finish()
    }
}
