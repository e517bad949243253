//! Whether an error is the one a case expects.

use motorcade::error::Error;

use super::{file::ExpectedError, matching::Lookup};

/// Fails when an error is not like the one expected.
///
/// # Errors
///
/// The text names the field of `expectError` that does not hold, and the error.
pub fn match_error(
    expected: &ExpectedError,
    actual: &Error,
    lookup: &dyn Lookup,
) -> Result<(), String> {
    let _ = lookup;
    let text = actual.to_string().to_lowercase();
    match &expected.error_contains {
        Some(part) if !text.contains(&part.to_lowercase()) => {
            Err(format!("errorContains: {part:?} is not in: {actual}"))
        }
        _ => Ok(()),
    }
}
