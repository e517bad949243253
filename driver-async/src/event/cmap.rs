//! The events of a connection pool, as the CMAP specification defines them.
