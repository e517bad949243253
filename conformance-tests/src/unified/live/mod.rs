//! Executes cases of the unified test format against one driver, through its public API.
//!
//! This text is compiled twice, each time beside one flavour, which each module takes its driver
//! and its I/O macros from. What does not depend on the driver stands outside of this folder.

mod arguments;
mod case_run;
mod create;
mod cursor;
mod data;
mod entities;
mod environment;
mod fail_points;
mod operation;
mod operations;
mod sessions;
mod special;
mod state;
mod threads;

use super::flavor;

pub(crate) use case_run::run;
