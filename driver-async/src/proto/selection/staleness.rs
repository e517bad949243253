//! How far secondaries lag behind, as the max staleness specification estimates it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    error::{Error, Result},
    proto::topology::{ServerDescription, ServerType, TopologyDescription},
};

/// The least `maxStalenessSeconds`.
const SMALLEST_MAX_STALENESS: Duration = Duration::from_secs(90);

/// How often an idle primary writes, so that its secondaries do not seem stale.
const IDLE_WRITE_PERIOD: Duration = Duration::from_secs(10);

/// Checks that a healthy and idle secondary can be as fresh as is asked.
///
/// # Errors
/// An invalid-argument error that says what would be enough.
pub(super) fn check(max_staleness: Duration, heartbeat_frequency: Duration) -> Result<()> {
    let least = heartbeat_frequency
        .saturating_add(IDLE_WRITE_PERIOD)
        .max(SMALLEST_MAX_STALENESS);
    if max_staleness >= least {
        return Ok(());
    }
    Err(Error::invalid_argument(format!(
        "maxStalenessSeconds of {} is too small: it must be at least {} with a \
         heartbeatFrequencyMS of {}",
        max_staleness.as_secs_f64(),
        least.as_secs_f64(),
        heartbeat_frequency.as_millis(),
    )))
}

/// Keeps the servers of a replica set that lag at most `max_staleness` behind.
///
/// A primary is never stale; a secondary that does not tell when it last wrote always is.
pub(super) fn retain_fresh(
    servers: &mut Vec<&Arc<ServerDescription>>,
    topology: &TopologyDescription,
    max_staleness: Duration,
    heartbeat_frequency: Duration,
) {
    let estimate = Estimate::of(topology);
    let limit = millis(max_staleness).saturating_sub(millis(heartbeat_frequency));
    servers.retain(|server| {
        server.server_type != ServerType::RsSecondary
            || estimate.lag(server).is_some_and(|lag| lag <= limit)
    });
}

/// What secondaries are compared with.
enum Estimate<'t> {
    /// A primary, by the time from its last write to its last check.
    Primary(&'t ServerDescription),
    /// The newest write of any secondary, in milliseconds.
    NewestWrite(i64),
    /// Nothing is known of any write.
    Nothing,
}

impl<'t> Estimate<'t> {
    fn of(topology: &'t TopologyDescription) -> Self {
        let mut servers = topology.servers.values();
        if let Some(primary) = servers.find(|s| s.server_type == ServerType::RsPrimary) {
            return Self::Primary(primary);
        }
        topology
            .servers
            .values()
            .filter(|server| server.server_type == ServerType::RsSecondary)
            .filter_map(|server| last_write(server))
            .max()
            .map_or(Self::Nothing, Self::NewestWrite)
    }

    /// The lag of a secondary at its last check, in milliseconds; it may be negative.
    fn lag(&self, secondary: &ServerDescription) -> Option<i128> {
        let written = i128::from(last_write(secondary)?);
        match self {
            Self::Primary(primary) => {
                let checked =
                    millis_between(primary.last_update_time?, secondary.last_update_time?);
                let between_writes = written - i128::from(last_write(primary)?);
                Some(checked - between_writes)
            }
            Self::NewestWrite(newest) => Some(i128::from(*newest) - written),
            Self::Nothing => None,
        }
    }
}

fn last_write(server: &ServerDescription) -> Option<i64> {
    Some(server.last_write_date?.timestamp_millis())
}

/// The time from `earlier` to `later`, negative when they are the other way round.
fn millis_between(earlier: Instant, later: Instant) -> i128 {
    match later.checked_duration_since(earlier) {
        Some(ahead) => millis(ahead),
        None => -millis(earlier.saturating_duration_since(later)),
    }
}

fn millis(duration: Duration) -> i128 {
    i128::try_from(duration.as_millis()).unwrap_or(i128::MAX)
}
