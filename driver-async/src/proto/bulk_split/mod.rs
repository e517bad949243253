//! Many documents in one buffer, and how they are split into commands.

mod documents;
mod payload;

pub(crate) use documents::{BatchLimits, Documents};
pub(crate) use payload::{IdFiller, Payload, check_size};
