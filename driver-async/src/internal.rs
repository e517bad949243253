//! The seam through which `motorcade-sync` and the conformance suite reach inside.

pub use crate::proto::{hello, selection, topology};
