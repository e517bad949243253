//! The executing half of the runner, compiled against the non-blocking driver.

use crate::flavor::non_blocking as flavor;

#[path = "live/mod.rs"]
mod live;

pub(super) use live::run;
