//! Iterating and closing cursors that were opened before.

use std::sync::{Arc, Mutex, PoisonError};

use bson::Document;

use super::Perform;
use super::flavor::driver::Cursor;
use super::flavor::wait;
use super::{Failure, Returned};
use crate::unified::arguments::Arguments;

type Shared = Arc<Mutex<Cursor<Document>>>;

/// The operation of that name.
pub(super) fn named(name: &str) -> Option<Perform<Shared>> {
    Some(match name {
        "close" => close,
        "iterateOnce" => iterate_once,
        "iterateUntilDocumentOrError" => iterate,
        _ => return None,
    })
}

fn iterate(cursor: &Shared, arguments: Arguments) -> Result<Returned, Failure> {
    arguments.finish()?;
    let mut cursor = cursor.lock().unwrap_or_else(PoisonError::into_inner);
    if !wait!(cursor.advance())? {
        return Ok(Returned::Nothing);
    }
    Ok(Returned::document(Some(cursor.deserialize_current()?)))
}

fn iterate_once(cursor: &Shared, arguments: Arguments) -> Result<Returned, Failure> {
    arguments.finish()?;
    let mut cursor = cursor.lock().unwrap_or_else(PoisonError::into_inner);
    if !wait!(cursor.try_advance())? {
        return Ok(Returned::Nothing);
    }
    Ok(Returned::document(Some(cursor.deserialize_current()?)))
}

/// Errors are passed over, by the format's rules: what `killCursors` came to is told by events.
fn close(cursor: &Shared, arguments: Arguments) -> Result<Returned, Failure> {
    arguments.finish()?;
    let mut cursor = cursor.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = wait!(cursor.close());
    Ok(Returned::Nothing)
}
