//! The cursors that operations may have left on servers, and whose numbers nobody learned.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::{
    Executor, execute,
    given_up::{self, GivenUp},
};
use crate::{address::ServerAddress, deadline::Deadline, operation::KillSessions};

/// The most sessions that one command names.
const SESSIONS_AT_ONCE: usize = 10_000;

/// The sessions that are to be ended on each server, and with them the cursors that they may have
/// left there. Servers would keep those for 10 minutes.
///
/// For each server there is one task and one command at a time, whatever number of operations was
/// given up: those who come next need the connections.
#[derive(Debug, Default)]
pub(super) struct CleanUp {
    /// A server is there while its task runs.
    abandoned: Mutex<HashMap<ServerAddress, Vec<AbandonedSession>>>,
}

/// A session that nobody uses again.
#[derive(Debug)]
pub(super) struct AbandonedSession {
    pub(super) id: [u8; 16],
    /// What the server has to look at before the session is ended.
    pub(super) commands: Vec<GivenUp>,
}

impl CleanUp {
    /// Adds a session; true when there is no task for the server yet.
    fn add(&self, address: &ServerAddress, session: AbandonedSession) -> bool {
        let mut abandoned = self.abandoned.lock();
        if let Some(sessions) = abandoned.get_mut(address) {
            sessions.push(session);
            return false;
        }
        abandoned.insert(address.clone(), vec![session]);
        true
    }

    /// The sessions that have come since the last call; with none, the task is to end.
    fn take(&self, address: &ServerAddress) -> Option<Vec<AbandonedSession>> {
        let mut abandoned = self.abandoned.lock();
        let sessions = abandoned.get_mut(address).map(std::mem::take);
        let sessions = sessions.filter(|sessions| !sessions.is_empty());
        if sessions.is_none() {
            abandoned.remove(address);
        }
        sessions
    }
}

/// Has a server end a session in the background.
pub(super) fn end_session(executor: &Executor, address: ServerAddress, session: AbandonedSession) {
    if executor.clean_up().add(&address, session) {
        let in_background = executor.clone();
        executor.spawn(async move { end_sessions(&in_background, &address).await });
    }
}

async fn end_sessions(executor: &Executor, address: &ServerAddress) {
    while let Some(sessions) = executor.clean_up().take(address) {
        let mut ids = Vec::with_capacity(sessions.len());
        for session in sessions {
            given_up::over(session.commands, &Deadline::NEVER).await;
            ids.push(session.id);
        }
        for ids in ids.chunks(SESSIONS_AT_ONCE) {
            let mut kill = KillSessions::new(ids.to_vec(), address.clone());
            if let Err(error) = execute(executor, &mut kill).await {
                executor.message(move || {
                    tracing::debug!(
                        "the cursors of dropped operations could not be closed: {error}"
                    );
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(id: u8) -> AbandonedSession {
        AbandonedSession {
            id: [id; 16],
            commands: Vec::new(),
        }
    }

    #[test]
    fn what_comes_while_a_server_cleans_up_is_for_the_same_task() {
        let clean_up = CleanUp::default();
        let address = ServerAddress::default();
        assert!(clean_up.add(&address, session(1)));
        assert!(!clean_up.add(&address, session(2)));
        assert_eq!(clean_up.take(&address).unwrap().len(), 2);
        assert!(!clean_up.add(&address, session(3)));
        assert_eq!(clean_up.take(&address).unwrap()[0].id, [3; 16]);
        assert!(clean_up.take(&address).is_none());
        assert!(clean_up.add(&address, session(4)), "the task has ended");
    }
}
