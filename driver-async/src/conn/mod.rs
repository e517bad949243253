//! One connection to a server.

mod connection;

pub(crate) use connection::{Connection, ServerFacts};
