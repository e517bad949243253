//! The accounting of one server's connection pool.
