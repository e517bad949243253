//! What is known of a deployment and its servers, as data.
//!
//! Descriptions are part of the vocabulary: events, errors and callers' own selection rules speak
//! of them. How they are learnt stands in `proto/topology`.

mod serialize;
mod server;
mod topology;
mod version;

pub use server::{ServerDescription, ServerType};
pub use topology::{TopologyDescription, TopologyType};
pub use version::TopologyVersion;
