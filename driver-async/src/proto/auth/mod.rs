//! The conversations that prove who the client is.
