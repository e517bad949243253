//! The executing half of the runner, compiled against the blocking driver.

use crate::flavor::blocking as flavor;

#[path = "live/mod.rs"]
mod live;

pub(super) use live::run;
