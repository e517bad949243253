//! The events of discovery and monitoring, as the SDAM monitoring specification defines them.
