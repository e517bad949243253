//! One socket: names, streams and encryption.

mod connect;
mod failure;
mod resolve;
mod socket;
mod stream;
#[cfg(feature = "rustls-tls")]
pub(crate) mod tls;
#[cfg(not(feature = "rustls-tls"))]
#[path = "tls/absent.rs"]
pub(crate) mod tls;

pub(crate) use connect::{Sockets, connect};
pub(crate) use failure::can_be_overload;
pub(crate) use stream::Stream;
