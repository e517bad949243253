//! Iterating and closing cursors that were opened before.

use std::sync::{Arc, Mutex, PoisonError};

use super::Perform;
use super::{Arguments, CursorEntity, Failure, Returned};

type Shared = Arc<Mutex<CursorEntity>>;

/// The operation of that name.
pub(super) fn named(name: &str) -> Option<Perform<Shared>> {
    Some(match name {
        "close" => close,
        "iterateOnce" => iterate_once,
        "iterateUntilDocumentOrError" => iterate,
        _ => return None,
    })
}

fn iterate(cursor: &Shared, arguments: Arguments<'_>) -> Result<Returned, Failure> {
    arguments.finish()?;
    let mut cursor = cursor.lock().unwrap_or_else(PoisonError::into_inner);
    if !cursor.advance()?? {
        return Ok(Returned::Nothing);
    }
    Ok(Returned::document(Some(cursor.current()?)))
}

fn iterate_once(cursor: &Shared, arguments: Arguments<'_>) -> Result<Returned, Failure> {
    arguments.finish()?;
    let mut cursor = cursor.lock().unwrap_or_else(PoisonError::into_inner);
    if !cursor.try_advance()?? {
        return Ok(Returned::Nothing);
    }
    Ok(Returned::document(Some(cursor.current()?)))
}

/// Errors are passed over, by the format's rules: what `killCursors` came to is told by events.
fn close(cursor: &Shared, mut arguments: Arguments<'_>) -> Result<Returned, Failure> {
    let timeout = arguments.take("timeoutMS")?;
    arguments.finish()?;
    let mut cursor = cursor.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = cursor.close(timeout)?;
    Ok(Returned::Nothing)
}
