//! The events of connection pools, as the CMAP specification defines them.

/// An event of a connection pool.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CmapEvent {}
