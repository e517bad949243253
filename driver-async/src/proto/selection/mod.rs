//! Choosing the server of an operation.
//!
//! Follows the server selection and max staleness specifications. All of it is a pure function of
//! the topology as it is known, of what is wanted, and of two random numbers; waiting for a
//! better topology is the caller's part.

mod explain;
mod on_wire;
mod staleness;
mod suitable;
mod wanted;
mod window;

use std::sync::Arc;

pub(crate) use explain::explain;
pub use on_wire::{append_read_preference, read_preference_on_wire};
pub use suitable::{only, suitable};
pub use wanted::{Criteria, Wanted};
pub use window::{choose, in_latency_window};

use crate::{
    address::ServerAddress,
    error::Result,
    proto::topology::{ServerDescription, TopologyDescription},
};

/// The server for an operation; `None` when none is suitable for now.
///
/// `in_flight` tells how many operations a server is executing; `random` holds two numbers that
/// are evenly distributed. Where there is only one server to choose, as for writes to a replica
/// set, nothing is allocated.
///
/// # Errors
/// An error that waiting cannot mend; see [`suitable`].
pub fn decide<'t>(
    topology: &'t TopologyDescription,
    criteria: &Criteria<'_>,
    in_flight: impl Fn(&ServerAddress) -> usize,
    random: [u32; 2],
) -> Result<Option<&'t Arc<ServerDescription>>> {
    if let Some(server) = only(topology, criteria) {
        return Ok(Some(server));
    }
    let mut servers = suitable(topology, criteria)?;
    in_latency_window(&mut servers, criteria.local_threshold);
    Ok(choose(&servers, in_flight, random))
}
