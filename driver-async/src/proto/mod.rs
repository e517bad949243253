//! What the driver decides: pure code that never waits and never reads a clock.

pub(crate) mod auth;
pub(crate) mod bulk_split;
pub(crate) mod cluster_time;
pub(crate) mod convenient_transaction;
pub(crate) mod cursor;
pub(crate) mod gridfs;
pub mod hello;
pub(crate) mod pool_state;
pub(crate) mod resume;
pub(crate) mod retry;
pub mod selection;
pub(crate) mod session;
pub(crate) mod session_pool;
pub(crate) mod split_event;
pub(crate) mod timeout;
pub mod topology;
pub(crate) mod transaction;
pub(crate) mod wire;
