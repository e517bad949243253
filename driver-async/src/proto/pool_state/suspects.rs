//! Connections that the network may have forgotten, as it did another.

use std::time::{Duration, Instant};

use super::{Effects, Member, PROBE_AFTER, PoolState};
use crate::{error::Error, event::cmap::ConnectionClosedReason};

/// How long after one round of pings there is no other: operations that time out because the server
/// is slow must not add to its load, nor cost it its connections.
const SUSPICION_INTERVAL: Duration = Duration::from_secs(10);

impl<T, W> PoolState<T, W> {
    /// Takes idle connections out of reach until they have answered, after one of their kind did
    /// not. Those that were in use just now have answered.
    pub(crate) fn suspect_idle(&mut self, now: Instant) -> Effects<T, W> {
        let mut effects = Effects::default();
        let is_too_soon = |last| now.saturating_duration_since(last) < SUSPICION_INTERVAL;
        if self.last_suspicion.is_some_and(is_too_soon) {
            return effects;
        }
        self.last_suspicion = Some(now);
        for member in std::mem::take(&mut self.idle) {
            if now.saturating_duration_since(member.idle_since) < PROBE_AFTER {
                self.idle.push_back(member);
            } else {
                // It holds its place, so that the pool does not grow beyond its limit.
                self.in_use += 1;
                self.suspected.insert(member.id);
                effects.verify.push(member);
            }
        }
        effects
    }

    /// Takes a suspected connection back, with the reason why it is of no use if it has not
    /// answered.
    pub(crate) fn verified(
        &mut self,
        member: Box<Member<T>>,
        failure: Option<Error>,
        now: Instant,
    ) -> Effects<T, W> {
        let mut effects = Effects::default();
        self.suspected.remove(&member.id);
        if self.was_recalled(&member) {
            effects.closed.push(member);
            return effects;
        }
        self.in_use -= 1;
        let reason = self.reason_to_close(&member, failure.is_some());
        match reason.or_else(|| self.perished(&member, now)) {
            Some(reason) => self.remove(member, reason, failure, &mut effects),
            None => self.put_back(member),
        }
        self.finish(now, &mut effects);
        effects
    }

    /// Why a connection that comes back is closed, if it is.
    pub(super) fn reason_to_close(
        &self,
        member: &Member<T>,
        has_failed: bool,
    ) -> Option<ConnectionClosedReason> {
        if self.is_closed() {
            Some(ConnectionClosedReason::PoolClosed)
        } else if has_failed {
            Some(ConnectionClosedReason::Error)
        } else if self.generations.is_stale(member.generation) {
            Some(ConnectionClosedReason::Stale)
        } else {
            None
        }
    }
}
