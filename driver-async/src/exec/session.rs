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
}

impl ImplicitSession {
    /// A session from the client's pool, or a new one.
    pub(super) fn start(executor: &Executor) -> Self {
        Self {
            executor: executor.clone(),
            session: Some(executor.take_session()),
        }
    }

    /// The session to go out with a command now.
    pub(super) fn used(&mut self) -> Option<&mut ServerSession> {
        let session = self.session.as_mut()?;
        session.touch(clock::now());
        Some(session)
    }
}

impl Drop for ImplicitSession {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            self.executor.put_back_session(session);
        }
    }
}
