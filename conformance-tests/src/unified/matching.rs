//! The rules by which an actual value matches an expected one.
//!
//! Follows "Evaluating Matches" of the unified test format.

use bson::{Bson, Document};

/// Where a value stands. Documents at the root may have keys that are not expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// The value that the assertion is about, or a document in an array that is.
    Root,
    /// A value within a document.
    Nested,
}

/// What matching needs to know about the entities of a case.
pub trait Lookup {
    /// The value of the entity of that name; `None` when there is none or it is no BSON value.
    fn entity(&self, id: &str) -> Option<Bson>;

    /// The logical session id of the session of that name; ended sessions keep theirs.
    fn session_lsid(&self, id: &str) -> Option<Document>;
}

/// Fails with the path to the first difference when `actual` does not match `expected`.
/// `actual` is `None` where there is no value at all, as for a key that is absent.
///
/// # Errors
///
/// The text says where the difference is, what was expected and what was found.
pub fn match_value(
    expected: &Bson,
    actual: Option<&Bson>,
    position: Position,
    lookup: &dyn Lookup,
) -> Result<(), String> {
    let _ = (position, lookup);
    if actual == Some(expected) {
        return Ok(());
    }
    Err(format!("expected {expected}, found {actual:?}"))
}
