//! One socket: names, streams and encryption.

mod connect;
mod failure;
pub(crate) mod home;
mod resolve;
mod stream;
#[cfg(feature = "rustls-tls")]
pub(crate) mod tls;
#[cfg(not(feature = "rustls-tls"))]
#[path = "tls/absent.rs"]
pub(crate) mod tls;

pub(crate) use connect::{Sockets, connect};
pub(crate) use failure::can_be_overload;
pub(crate) use home::Home;
pub(crate) use stream::Stream;
