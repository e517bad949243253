//! Special operations that look at a session, or at the router that its transaction is bound to.

use bson::Document;
use motorcade::internal::session::{self, TransactionState};

use super::super::sessions::InSession;
use super::CaseState;
use crate::unified::arguments::Arguments;

/// How a special operation on a session is performed.
pub(super) type Special = fn(&CaseState, InSession<'_>, Arguments) -> Result<(), String>;

/// The special operation of that name.
pub(super) fn named(name: &str) -> Option<Special> {
    Some(match name {
        "assertSessionDirty" => is_dirty,
        "assertSessionNotDirty" => is_not_dirty,
        "assertSessionPinned" => is_pinned,
        "assertSessionTransactionState" => has_transaction_state,
        "assertSessionUnpinned" => is_unpinned,
        "targetedFailPoint" => targeted_fail_point,
        _ => return None,
    })
}

fn is_dirty(_: &CaseState, lent: InSession<'_>, arguments: Arguments) -> Result<(), String> {
    arguments.finish()?;
    claim(
        session::is_dirty(inside(lent.session)),
        "the session is not dirty",
    )
}

fn is_not_dirty(_: &CaseState, lent: InSession<'_>, arguments: Arguments) -> Result<(), String> {
    arguments.finish()?;
    claim(
        !session::is_dirty(inside(lent.session)),
        "the session is dirty",
    )
}

fn is_pinned(_: &CaseState, lent: InSession<'_>, arguments: Arguments) -> Result<(), String> {
    arguments.finish()?;
    let pinned = session::pinned(inside(lent.session));
    claim(pinned.is_some(), "the session is not pinned")
}

fn is_unpinned(_: &CaseState, lent: InSession<'_>, arguments: Arguments) -> Result<(), String> {
    arguments.finish()?;
    let pinned = session::pinned(inside(lent.session));
    claim(pinned.is_none(), "the session is pinned")
}

fn claim(holds: bool, otherwise: &str) -> Result<(), String> {
    if holds {
        Ok(())
    } else {
        Err(otherwise.to_owned())
    }
}

fn has_transaction_state(
    _: &CaseState,
    lent: InSession<'_>,
    mut arguments: Arguments,
) -> Result<(), String> {
    let wanted: String = arguments.need("state")?;
    arguments.finish()?;
    let found = match session::transaction_state(inside(lent.session)) {
        TransactionState::None => "none",
        TransactionState::Starting => "starting",
        TransactionState::InProgress => "in_progress",
        TransactionState::Committed => "committed",
        TransactionState::Aborted => "aborted",
    };
    if wanted == found {
        Ok(())
    } else {
        Err(format!("expected the state {wanted}, found {found}"))
    }
}

fn targeted_fail_point(
    case: &CaseState,
    lent: InSession<'_>,
    mut arguments: Arguments,
) -> Result<(), String> {
    let command: Document = arguments.need("failPoint")?;
    arguments.finish()?;
    let client = lent.session.client();
    let server = session::pinned(inside(lent.session))
        .ok_or("the session is not pinned to a router that the fail point could be set on")?;
    case.fail_points.set_on(&client, server, command)
}

/// The session of the non-blocking driver, which is what the blocking one's sessions are made of.
fn inside<'a>(
    session: impl Into<&'a mut motorcade::ClientSession>,
) -> &'a motorcade::ClientSession {
    session.into()
}
