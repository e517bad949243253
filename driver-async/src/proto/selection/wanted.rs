//! What an operation asks of its server.

use std::{fmt, time::Duration};

use crate::{
    address::ServerAddress,
    options::{Predicate, ReadPreference, SelectionCriteria},
    proto::topology::{ServerType, TopologyDescription},
};

/// The wire version of MongoDB 5.0, whose secondaries take pipelines that write.
const SECONDARIES_RUN_WRITE_STAGES: i32 = 13;

/// What an operation asks of its server.
#[derive(Clone, Copy)]
pub enum Wanted<'a> {
    /// A server that takes writes.
    Write,
    /// A server that this read preference allows.
    Read(&'a ReadPreference),
    /// A server for a pipeline that ends in `$out` or `$merge`, which servers older than 5.0 run
    /// on the primary alone.
    WriteStage(&'a ReadPreference),
    /// A server that the caller's own rule accepts, among those that hold data.
    Predicate(&'a Predicate),
}

/// What an operation asks of its server, with the client's settings that have a say in it.
#[derive(Clone, Copy, Debug)]
pub struct Criteria<'a> {
    /// What the operation asks for.
    pub wanted: Wanted<'a>,
    /// `localThresholdMS`: how much slower than the nearest server a server may be.
    pub local_threshold: Duration,
    /// `heartbeatFrequencyMS`: how often servers are checked, for the estimate of staleness.
    pub heartbeat_frequency: Duration,
    /// Servers to avoid where there is another: those on which the operation failed before.
    pub deprioritized: &'a [ServerAddress],
}

impl<'a> Wanted<'a> {
    /// What is asked for in the end, with this topology: never [`Wanted::WriteStage`].
    ///
    /// The CRUD specification ("Read preferences and server selection") puts the primary in place
    /// of a pipeline's read preference while any available server is older than 5.0. What goes
    /// to the server as `$readPreference` follows from the same answer.
    #[must_use]
    pub fn effective(self, topology: &TopologyDescription) -> Self {
        match self {
            Self::WriteStage(_) if has_server_before_5_0(topology) => {
                Self::Read(&ReadPreference::Primary)
            }
            Self::WriteStage(preference) => Self::Read(preference),
            other => other,
        }
    }
}

impl<'a> From<&'a SelectionCriteria> for Wanted<'a> {
    fn from(criteria: &'a SelectionCriteria) -> Self {
        match criteria {
            SelectionCriteria::ReadPreference(preference) => Self::Read(preference),
            SelectionCriteria::Predicate(predicate) => Self::Predicate(predicate),
        }
    }
}

impl fmt::Display for Wanted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write => f.write_str("writes"),
            Self::Read(preference) => write!(f, "read preference {preference}"),
            Self::WriteStage(preference) => {
                write!(f, "a pipeline that writes, read preference {preference}")
            }
            Self::Predicate(_) => f.write_str("a custom predicate"),
        }
    }
}

impl fmt::Debug for Wanted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Load balancers have no version; what stands behind them is 5.0 or newer.
fn has_server_before_5_0(topology: &TopologyDescription) -> bool {
    topology.servers.values().any(|server| {
        server.is_available()
            && server.server_type != ServerType::LoadBalancer
            && server.max_wire_version < SECONDARIES_RUN_WRITE_STAGES
    })
}
