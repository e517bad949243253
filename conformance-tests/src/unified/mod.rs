//! The unified test format, as far as no driver is needed: files, matching, requirements.
//!
//! [`mod@file`] holds what a test file says, [`matching`] the rules by which a value meets an expected
//! one. [`events`], [`errors`] and [`logs`] apply them to what a driver tells; both drivers tell it
//! in the very same types, so this is compiled once. [`requirements`] judges where a case can run.

pub mod arguments;
mod blocking;
mod cases;
pub mod connection_string;
pub mod errors;
pub mod events;
pub mod fail_point_needs;
pub mod file;
mod in_time;
pub mod logs;
pub mod matching;
pub mod missing;
mod non_blocking;
mod proof;
pub mod recorder;
pub mod requirements;
pub mod results;
pub mod schema;
mod write_models;

pub use cases::{cases, possible_cases};
