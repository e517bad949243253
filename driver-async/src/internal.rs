//! The seam through which `motorcade-sync` and the conformance suite reach inside.

pub use crate::proto::{hello, selection, topology};

/// One server's connections, for the suite of the pool specification.
pub mod pool {
    pub use crate::pool::{
        ClearCause, Connect, ConnectRequest, Deadline, Generation, Interrupt, Pool, PoolCounts,
        PoolMember, PoolOptions, PooledConnection,
    };
}
