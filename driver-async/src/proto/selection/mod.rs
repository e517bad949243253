//! Choosing the server of an operation.
