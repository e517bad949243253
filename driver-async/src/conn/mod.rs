//! One connection to a server.

mod auth;
mod connection;
mod environment;
mod handshake;
mod key_cache;

pub(crate) use connection::{Connection, ServerFacts};
pub(crate) use handshake::{Handshaker, MonitorHello};
