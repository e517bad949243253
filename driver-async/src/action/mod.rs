//! Operations as data: what to do, with which options.

mod parse_connection_string;

pub use parse_connection_string::ParseConnectionString;
