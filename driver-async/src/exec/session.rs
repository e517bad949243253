//! Sessions that the driver starts for operations on its own.

use crate::{clock, exec::Executor, proto::session_pool::ServerSession};

/// A session that the driver started for one operation and its cursor.
///
/// It is taken after a connection was checked out, so that waiting operations need none, and goes
/// back to the pool when dropped.
#[derive(Debug)]
pub(crate) struct ImplicitSession {
    executor: Executor,
    /// `None` only while being dropped.
    session: Option<ServerSession>,
    /// Whether a command is out whose reply was not read yet.
    in_flight: bool,
}

impl ImplicitSession {
    /// A session from the client's pool, or a new one.
    pub(super) fn start(executor: &Executor) -> Self {
        Self {
            executor: executor.clone(),
            session: Some(executor.take_session()),
            in_flight: false,
        }
    }

    /// The session to go out with a command now.
    pub(super) fn used(&mut self) -> Option<&mut ServerSession> {
        let session = self.session.as_mut()?;
        session.touch(clock::now());
        Some(session)
    }

    /// Notes that a command goes out with the session, or that its reply was read.
    pub(super) fn set_in_flight(&mut self, in_flight: bool) {
        self.in_flight = in_flight;
    }
}

impl Drop for ImplicitSession {
    fn drop(&mut self) {
        if let Some(mut session) = self.session.take() {
            if self.in_flight {
                // The server may still be at work in it, so nobody else must get it.
                session.mark_dirty();
            }
            self.executor.put_back_session(session);
        }
    }
}
