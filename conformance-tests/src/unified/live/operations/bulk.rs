//! Many writes of different kinds at once.

use bson::Document;

use super::Perform;
use super::flavor::driver::Collection;

/// The operation of that name.
pub(super) fn named(_: &str) -> Option<Perform<Collection<Document>>> {
    None
}
