//! One socket: names, streams and encryption.
