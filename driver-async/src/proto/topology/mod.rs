//! What the driver knows of a deployment, and how it learns.

mod description;
mod server;

pub use description::{TopologyDescription, TopologyType};
pub use server::{ServerDescription, ServerType};
