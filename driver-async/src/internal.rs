//! The seam through which `motorcade-sync` and the conformance suite reach inside.

pub use crate::proto::{hello, selection, topology};

/// Values that each process has of its own.
pub mod process {
    pub use crate::process::PerProcess;
}

/// One server's connections, for the suite of the pool specification.
pub mod pool {
    use crate::{
        address::ServerAddress,
        error::Result,
        options::ClientOptions,
        topology::{Connector, Settings},
    };

    pub use crate::background::RuntimeId;
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

/// What the blocking driver runs callbacks with, and what only the suite of the sessions and
/// transactions specifications looks at.
pub mod session {
    use crate::{address::ServerAddress, session::ClientSession};

    pub use crate::session::TransactionRun;

    pub use crate::proto::transaction::TransactionState;

    /// Where the session's transaction stands.
    pub fn transaction_state(session: &ClientSession) -> TransactionState {
        session.inner().state().transaction.state()
    }

    /// Aborts the session's transaction if one is open. The session can be used on at once.
    pub fn abort_in_background(session: &ClientSession) {
        session.abort_in_background();
    }

    /// The router that the session's transaction is bound to.
    pub fn pinned(session: &ClientSession) -> Option<ServerAddress> {
        session.inner().state().transaction.pinned().cloned()
    }

    /// Whether a network error left unknown what a server did with the session.
    pub fn is_dirty(session: &ClientSession) -> bool {
        session.inner().state().server.is_dirty()
    }
}
