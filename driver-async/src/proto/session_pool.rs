//! The server sessions that are free to be used again.

use std::time::{Duration, Instant};

/// A session this close to its end on the server is not used any more.
const MARGIN: Duration = Duration::from_secs(60);

/// A session as the server knows it, by its id.
#[derive(Debug)]
pub(crate) struct ServerSession {
    id: [u8; 16],
    last_use: Instant,
    transaction_number: i64,
    dirty: bool,
    /// How many commands are out whose replies were not read to their end, or never will be.
    in_flight: u32,
}

impl ServerSession {
    /// A new session with a random id, which needs no word with the server.
    pub(crate) fn new(id: [u8; 16], now: Instant) -> Self {
        Self {
            id,
            last_use: now,
            transaction_number: 0,
            dirty: false,
            in_flight: 0,
        }
    }

    /// Takes the session out of a holder that ends. The server may still be at work for it if a
    /// reply is outstanding, so nobody else must get it then.
    pub(crate) fn take(&mut self) -> Self {
        Self {
            dirty: self.dirty || self.in_flight > 0,
            in_flight: 0,
            ..*self
        }
    }

    /// The id, the bytes of a version 4 UUID.
    pub(crate) fn id(&self) -> &[u8; 16] {
        &self.id
    }

    /// Notes that the session goes out with a command.
    pub(crate) fn touch(&mut self, now: Instant) {
        self.last_use = now;
    }

    /// The number of the newest retryable write or transaction.
    pub(crate) fn transaction_number(&self) -> i64 {
        self.transaction_number
    }

    /// Counts up to the number of the next retryable write or transaction.
    pub(crate) fn next_transaction_number(&mut self) -> i64 {
        self.transaction_number += 1;
        self.transaction_number
    }

    /// Notes that a network error left unknown what the server did with the session.
    pub(crate) fn mark_dirty(&mut self) {
        self.dirty = true;
    }

    pub(crate) fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Notes that a command goes out with the session.
    pub(crate) fn command_sent(&mut self) {
        self.in_flight = self.in_flight.saturating_add(1);
    }

    /// Notes that all there is to read for one of the commands was read.
    pub(crate) fn reply_read(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    fn expires_soon(&self, now: Instant, timeout: Option<Duration>) -> bool {
        let Some(timeout) = timeout else { return false };
        now.saturating_duration_since(self.last_use) + MARGIN >= timeout
    }
}

/// The server sessions that are free to be used again, the last used first.
///
/// Follows the driver sessions specification: the order lets unused ones age out, dirty ones and
/// those about to expire are thrown away.
#[derive(Debug, Default)]
pub(crate) struct SessionPool {
    free: Vec<ServerSession>,
}

impl SessionPool {
    /// The session returned last that does not expire soon; those that do are thrown away.
    /// `timeout` is how long the deployment keeps unused sessions; `None` when it does not say.
    pub(crate) fn take(
        &mut self,
        now: Instant,
        timeout: Option<Duration>,
    ) -> Option<ServerSession> {
        std::iter::from_fn(|| self.free.pop()).find(|session| !session.expires_soon(now, timeout))
    }

    /// Takes a session back, unless it is dirty or expires soon.
    pub(crate) fn put_back(
        &mut self,
        session: ServerSession,
        now: Instant,
        timeout: Option<Duration>,
    ) {
        let expired = self
            .free
            .iter()
            .take_while(|free| free.expires_soon(now, timeout))
            .count();
        self.free.drain(..expired);
        if !session.dirty && !session.expires_soon(now, timeout) {
            self.free.push(session);
        }
    }

    /// The ids of all free sessions, which are then forgotten; for `endSessions`.
    pub(crate) fn drain(&mut self) -> Vec<[u8; 16]> {
        self.free.drain(..).map(|session| session.id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Option<Duration> = Some(Duration::from_secs(30 * 60));

    fn pool_of(ids: &[u8], now: Instant) -> SessionPool {
        let mut pool = SessionPool::default();
        for id in ids {
            pool.put_back(ServerSession::new([*id; 16], now), now, TIMEOUT);
        }
        pool
    }

    #[test]
    fn the_session_used_last_is_taken_first() {
        let now = Instant::now();
        let mut pool = pool_of(&[1, 2], now);
        let ids: Vec<_> = std::iter::from_fn(|| pool.take(now, TIMEOUT))
            .map(|s| s.id[0])
            .collect();
        assert_eq!(ids, [2, 1]);
    }

    #[test]
    fn a_session_within_a_minute_of_its_end_is_thrown_away() {
        let start = Instant::now();
        let mut pool = pool_of(&[1], start);
        let late = start + Duration::from_secs(29 * 60);
        assert!(pool.take(late, TIMEOUT).is_none());
        assert!(pool.free.is_empty());
        let mut pool = pool_of(&[1], start);
        assert!(
            pool.take(late, None).is_some(),
            "a load-balanced deployment names no limit"
        );
    }

    /// A cursor may hold a session for long after its last use, and return it last.
    #[test]
    fn one_that_was_returned_late_does_not_cost_the_others() {
        let start = Instant::now();
        let soon = start + Duration::from_secs(60);
        let mut pool = pool_of(&[1], soon);
        pool.put_back(ServerSession::new([2; 16], start), soon, TIMEOUT);
        let late = start + Duration::from_secs(29 * 60);
        let taken = pool.take(late, TIMEOUT).map(|session| session.id[0]);
        assert_eq!(taken, Some(1));
    }

    #[test]
    fn a_dirty_session_is_thrown_away() {
        let now = Instant::now();
        let mut pool = SessionPool::default();
        let mut session = ServerSession::new([1; 16], now);
        session.mark_dirty();
        pool.put_back(session, now, TIMEOUT);
        assert_eq!(pool.free.len(), 0);
    }

    #[test]
    fn a_session_is_dirty_while_any_reply_is_outstanding() {
        let now = Instant::now();
        let mut session = ServerSession::new([1; 16], now);
        session.command_sent();
        session.command_sent();
        session.reply_read();
        assert!(session.take().is_dirty());
        session.reply_read();
        assert!(!session.take().is_dirty());
    }

    #[test]
    fn putting_one_back_lets_the_expired_go() {
        let start = Instant::now();
        let mut pool = pool_of(&[1, 2], start);
        let late = start + Duration::from_secs(29 * 60 + 30);
        pool.put_back(ServerSession::new([3; 16], late), late, TIMEOUT);
        assert_eq!(pool.drain(), [[3; 16]]);
    }
}
