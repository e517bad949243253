//! The hello command and what its reply says about a server.

mod environment;
mod metadata;
mod reply;
mod request;

pub use environment::{Environment, OperatingSystem};
pub use metadata::ClientMetadata;
pub use reply::HelloReply;

pub use crate::description::TopologyVersion;
pub use request::{AwaitedChange, HelloName, HelloRequest, write_hello};
