//! One connection to a server.

mod auth;
mod connection;
mod environment;
mod handshake;
mod key_cache;
mod round_trip_limit;
mod spare;

pub(crate) use connection::{Connection, ServerFacts};
pub(crate) use handshake::{Handshaker, MonitorHello};
pub(crate) use round_trip_limit::RoundTripLimit;
