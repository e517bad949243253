//! Operations on a session.

use std::sync::Arc;

use super::super::operation::perform_within;
use super::super::sessions::{InSession, Within, in_session, transaction_options};
use super::flavor::driver::ClientSession;
use super::flavor::driver::action::Action;
use super::flavor::driver::error::Error;
use super::flavor::{go, run_in_transaction};
use super::{CaseState, Failure, Returned, SessionEntity};
use crate::unified::arguments::{Arguments, with_arguments};
use crate::unified::file::{self, Operation};

/// Performs an operation on a session.
pub(super) fn perform(
    case: &Arc<CaseState>,
    operation: &Operation,
    entity: &SessionEntity,
    within: Option<Within<'_>>,
) -> Result<Returned, Failure> {
    let name = operation.name.as_str();
    let arguments = Arguments::new(name, operation.arguments.clone());
    if name == "endSession" {
        arguments.finish()?;
        entity.end();
        return Ok(Returned::Nothing);
    }
    let id = operation.object.as_str();
    in_session(case, id, within, |InSession { session, .. }| match name {
        "abortTransaction" => abort_transaction(session, arguments),
        "commitTransaction" => commit_transaction(session, arguments),
        "getSnapshotTime" => snapshot_time(session, arguments),
        "startTransaction" => start_transaction(session, arguments),
        "withTransaction" => with_transaction(case, Within { id, session }, arguments),
        _ => Err(format!("a session has no operation `{name}`").into()),
    })
}

fn start_transaction(
    session: &mut ClientSession,
    arguments: Arguments,
) -> Result<Returned, Failure> {
    let options = transaction_options(arguments)?;
    go!(session.start_transaction().with_options(options))?;
    Ok(Returned::Nothing)
}

fn commit_transaction(
    session: &mut ClientSession,
    mut arguments: Arguments,
) -> Result<Returned, Failure> {
    let action =
        with_arguments!(session.commit_transaction(), arguments, { "timeoutMS" => timeout });
    go!(action)?;
    Ok(Returned::Nothing)
}

fn abort_transaction(
    session: &mut ClientSession,
    mut arguments: Arguments,
) -> Result<Returned, Failure> {
    let action =
        with_arguments!(session.abort_transaction(), arguments, { "timeoutMS" => timeout });
    go!(action)?;
    Ok(Returned::Nothing)
}

fn snapshot_time(session: &mut ClientSession, arguments: Arguments) -> Result<Returned, Failure> {
    arguments.finish()?;
    Ok(match session.snapshot_time() {
        Some(time) => Returned::Value(time.into()),
        None => Returned::Nothing,
    })
}

fn with_transaction(
    case: &Arc<CaseState>,
    lent: Within<'_>,
    mut arguments: Arguments,
) -> Result<Returned, Failure> {
    let callback: Vec<Operation> = file::from_bson(arguments.need("callback")?)?;
    let options = transaction_options(arguments)?;
    let Within { id, session } = lent;
    let mut broken = None;
    let start = session.start_transaction().with_options(options);
    let outcome = run_in_transaction!(start, |session| {
        let done = perform_all(case, &callback, Within { id, session });
        done.unwrap_or_else(|why| {
            broken = Some(why);
            Err(Error::custom("the case is broken"))
        })
    });
    if let Some(why) = broken {
        return Err(Failure::Runner(why));
    }
    outcome?;
    Ok(Returned::Nothing)
}

/// Performs operations in a session that is lent, until the driver gives an error.
fn perform_all(
    case: &Arc<CaseState>,
    operations: &[Operation],
    lent: Within<'_>,
) -> Result<Result<(), Error>, String> {
    let Within { id, session } = lent;
    for operation in operations {
        let within = Within { id, session };
        if let Some(error) = perform_within(case, operation, Some(within))? {
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}
