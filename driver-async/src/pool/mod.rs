//! One server's connections.
