//! The two drivers under one set of names, so that a text can be compiled against either.
//!
//! Both modules have the same names in them: `driver` is the crate under test, and each macro
//! marks a point where the driver does I/O.

pub mod blocking;
pub mod non_blocking;
