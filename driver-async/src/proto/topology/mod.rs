//! What the driver knows of a deployment, and how it learns.

mod description;
mod rtt;
mod server;

pub use description::{TopologyDescription, TopologyType};
pub use rtt::RoundTripTimes;
pub use server::{ServerDescription, ServerType};
