//! Of several suitable servers, the near ones, and of these the less busy of two.

use std::{sync::Arc, time::Duration};

use crate::{address::ServerAddress, proto::topology::ServerDescription};

/// Keeps the servers whose average round trip is at most `local_threshold` longer than the
/// shortest among them.
///
/// A server whose round trip is not known stays: distance is no reason to leave it out.
pub fn in_latency_window(servers: &mut Vec<&Arc<ServerDescription>>, local_threshold: Duration) {
    let round_trips = servers.iter().filter_map(|s| s.average_round_trip_time);
    let Some(shortest) = round_trips.min() else {
        return;
    };
    let longest = shortest.saturating_add(local_threshold);
    servers.retain(|server| {
        server
            .average_round_trip_time
            .is_none_or(|round_trip| round_trip <= longest)
    });
}

/// Of two servers chosen by chance, the one that is executing fewer operations; `None` when there
/// is no server.
///
/// The better of two keeps slow servers from piling up work, and never sends everyone to the one
/// server that is idle just now. `random` holds two evenly distributed numbers.
pub fn choose<'t>(
    servers: &[&'t Arc<ServerDescription>],
    in_flight: impl Fn(&ServerAddress) -> usize,
    random: [u32; 2],
) -> Option<&'t Arc<ServerDescription>> {
    let first = scale(random[0], servers.len());
    let &one = servers.get(first)?;
    let mut second = scale(random[1], servers.len() - 1);
    if second >= first {
        second += 1;
    }
    match servers.get(second) {
        Some(&other) if in_flight(&other.address) < in_flight(&one.address) => Some(other),
        _ => Some(one),
    }
}

/// An index below `count`, all of them as likely as the numbers they come from.
fn scale(random: u32, count: usize) -> usize {
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    let scaled = (u128::from(random) * u128::from(count)) >> u32::BITS;
    usize::try_from(scaled).unwrap_or(0)
}
