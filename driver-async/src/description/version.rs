//! The order of a server's states.

use std::cmp::Ordering;

use bson::oid::ObjectId;

/// How often a server's state has changed, so that two replies can be put in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopologyVersion {
    /// The run of the server process; versions of different runs cannot be compared.
    pub process_id: ObjectId,
    /// Grows with every change.
    pub counter: i64,
}

impl TopologyVersion {
    /// How this version stands to another; `None` when they come from different runs of the
    /// server ("topologyVersion Comparison" section).
    pub fn order(&self, other: &Self) -> Option<Ordering> {
        (self.process_id == other.process_id).then(|| self.counter.cmp(&other.counter))
    }
}
