//! The events of discovery and monitoring, as the SDAM monitoring specification defines them.

/// An event of discovery and monitoring.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SdamEvent {}
