//! One operation: performing it, and holding what came of it against what was expected.

use std::sync::{Arc, PoisonError};

use bson::{Bson, Document};

use super::entities::Entity;
use super::flavor::driver::error::Error;
use super::flavor::driver::{ClientSession, Cursor, SessionCursor};
use super::flavor::{collect, wait};
use super::sessions::Within;
use super::state::CaseState;
use super::{operations, special};
use crate::unified::errors::match_error;
use crate::unified::file::{Expectation, Operation};
use crate::unified::matching::{Position, match_value};
use crate::unified::results::ResultDocument;

/// What an operation gave.
pub(super) enum Returned {
    /// Nothing at all.
    Nothing,
    /// A value; documents in it, or in an array that it is, may have more keys than expected.
    Value(Bson),
    /// An array of values that must match exactly, as `distinct` gives it.
    Exact(Bson),
    /// Something that only later operations can use.
    Entity(Entity),
}

/// Why an operation gave nothing.
pub(super) enum Failure {
    /// The driver said so, which a case may well expect.
    Driver(Error),
    /// The runner cannot perform the operation, which no case expects.
    Runner(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Driver(error)
    }
}

impl From<String> for Failure {
    fn from(why: String) -> Self {
        Self::Runner(why)
    }
}

/// Performs an operation of a case and checks what it expects.
pub(super) fn perform(case: &Arc<CaseState>, operation: &Operation) -> Result<(), String> {
    perform_within(case, operation, None).map(drop)
}

/// The same, in the callback of a transaction where a session is lent. Gives the driver's error,
/// however well it was expected: it is the transaction's error too.
pub(super) fn perform_within(
    case: &Arc<CaseState>,
    operation: &Operation,
    within: Option<Within<'_>>,
) -> Result<Option<Error>, String> {
    let name = format!("{} on {}", operation.name, operation.object);
    case.begin(&name)?;
    let checked = if operation.object == "testRunner" {
        special::perform(case, operation, within).map(|()| None)
    } else {
        check(
            case,
            operation,
            operations::perform(case, operation, within),
        )
    };
    checked.map_err(|why| format!("{name}: {why}"))
}

fn check(
    case: &CaseState,
    operation: &Operation,
    outcome: Result<Returned, Failure>,
) -> Result<Option<Error>, String> {
    let outcome = match outcome {
        Ok(returned) => Ok(returned),
        Err(Failure::Driver(error)) => Err(error),
        Err(Failure::Runner(why)) => return Err(why),
    };
    let error = outcome.as_ref().err().cloned();
    held_against(case, operation, outcome)?;
    Ok(error)
}

fn held_against(
    case: &CaseState,
    operation: &Operation,
    outcome: Result<Returned, Error>,
) -> Result<(), String> {
    match (operation.expectation(), outcome) {
        (Expectation::Ignored, _) => Ok(()),
        (Expectation::Error(expected), Err(error)) => match_error(expected, &error, &case.entities),
        (Expectation::Error(_), Ok(_)) => Err("expected an error, and it succeeded".to_owned()),
        (Expectation::Success { .. }, Err(error)) => Err(describe(&error)),
        (Expectation::Success { matching, saved_as }, Ok(returned)) => {
            if let Some(expected) = matching {
                returned.check(expected, case)?;
            }
            match saved_as {
                Some(id) => case.entities.insert(id, returned.into_entity()?),
                None => {
                    returned.discard();
                    Ok(())
                }
            }
        }
    }
}

/// An error with all its causes.
fn describe(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

impl Returned {
    /// A document, or null where there is none.
    pub(super) fn document(document: Option<Document>) -> Self {
        Self::Value(document.map_or(Bson::Null, Bson::Document))
    }

    /// All documents of a cursor. Whatever these are, they are given as the server told them.
    pub(super) fn all<T>(cursor: Cursor<T>) -> Result<Self, Error> {
        let documents: Vec<Document> = collect!(cursor.with_type())?;
        Ok(Self::Value(documents.into()))
    }

    /// Like [`all`](Self::all), for the cursor of a session.
    pub(super) fn all_in_session<T>(
        cursor: SessionCursor<T>,
        session: &mut ClientSession,
    ) -> Result<Self, Error> {
        let mut cursor = cursor.with_type::<Document>();
        Ok(Self::Value(wait!(cursor.to_vec(session))?.into()))
    }

    /// A result that the specifications describe as a document.
    pub(super) fn result(result: &impl ResultDocument) -> Self {
        Self::Value(result.document().into())
    }

    fn check(&self, expected: &Bson, case: &CaseState) -> Result<(), String> {
        let (actual, position) = match self {
            Self::Nothing | Self::Entity(_) => (None, Position::Root),
            Self::Value(value) => (Some(value), Position::Root),
            Self::Exact(value) => (Some(value), Position::Nested),
        };
        match_value(expected, actual, position, &case.entities)
            .map_err(|why| format!("its result: {why}"))
    }

    /// Lets go of what nobody wants. A cursor is closed here, and not some time in the background,
    /// so that both drivers are seen to do the same.
    fn discard(self) {
        if let Self::Entity(Entity::Cursor(cursor)) = self {
            let mut cursor = cursor.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = cursor.close(None);
        }
    }

    fn into_entity(self) -> Result<Entity, String> {
        match self {
            Self::Nothing => Err("it gives no result that could be saved".to_owned()),
            Self::Value(value) | Self::Exact(value) => Ok(Entity::Bson(value)),
            Self::Entity(entity) => Ok(entity),
        }
    }
}
