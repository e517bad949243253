//! What the driver knows of a deployment, and how it learns.
//!
//! Follows the server discovery and monitoring specification; its sections are named where a rule
//! comes from.

mod apply;
mod compatibility;
mod description;
mod effects;
pub mod error_rules;
mod replica_set;
mod rtt;
mod server;

pub use description::TopologySeed;
pub use effects::{Effects, ServerChange};
pub use rtt::RoundTripTimes;

pub use crate::description::{ServerDescription, ServerType, TopologyDescription, TopologyType};
