//! The options of the client and of every operation.

mod client;
mod compressor;
mod credential;
mod driver_info;
mod monitoring;
mod read_concern;
mod read_preference;
pub(crate) mod serde_shapes;
mod server_api;
mod socks5;
mod tls;
mod write_concern;

pub use client::ClientOptions;
pub(crate) use client::{MAX_APP_NAME_LENGTH, TopologyOptions, validate_topology};
pub use compressor::Compressor;
pub use credential::{AuthMechanism, Credential};
pub use driver_info::DriverInfo;
pub use monitoring::ServerMonitoringMode;
pub use read_concern::{ReadConcern, ReadConcernLevel};
pub use read_preference::{
    HedgedReadOptions, Predicate, ReadPreference, ReadPreferenceOptions, SelectionCriteria, TagSet,
};
pub use server_api::{ServerApi, ServerApiVersion};
pub use socks5::Socks5Proxy;
pub use tls::{Tls, TlsOptions};
pub use write_concern::{Acknowledgment, WriteConcern};

pub use crate::{
    address::ServerAddress,
    uri::{ConnectionString, HostInfo},
};
