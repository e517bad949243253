//! The seam through which `motorcade-sync` and the conformance suite reach inside.

pub use crate::proto::{hello, selection, topology};

/// One server's connections, for the suite of the pool specification.
pub mod pool {
    use crate::{
        address::ServerAddress,
        error::Result,
        options::ClientOptions,
        topology::{Connector, Settings},
    };

    pub use crate::pool::{
        ClearCause, Connect, ConnectRequest, Deadline, Generation, Interrupt, Pool, PoolCounts,
        PoolMember, PoolOptions, PooledConnection,
    };

    /// Makes a client's connections to one server, for a pool that no topology watches.
    ///
    /// # Errors
    /// The options cannot be used.
    pub fn connector(address: ServerAddress, options: &ClientOptions) -> Result<impl Connect> {
        let settings = Settings::new(options)?;
        Ok(Connector::detached(address, settings))
    }
}
