//! What the driver decides: pure code that never waits and never reads a clock.

pub mod auth;
pub mod bulk_split;
pub mod cluster_time;
pub mod cursor;
pub mod hello;
pub mod pool_state;
pub mod retry;
pub mod selection;
pub mod session_pool;
pub mod topology;
pub mod wire;
