//! What operations return.
