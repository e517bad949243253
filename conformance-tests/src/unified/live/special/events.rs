//! Special operations about what a client has told.

use std::sync::Arc;

use super::{CaseState, PATIENCE};
use crate::unified::arguments::Arguments;
use crate::unified::events::event_matches;
use crate::unified::file::{self, ExpectedEvent};

pub(super) fn wait_for(case: &Arc<CaseState>, arguments: Arguments) -> Result<(), String> {
    let (client, event, count) = wanted(arguments)?;
    let client = case.entities.client(&client)?;
    let is_wanted = |actual: &_| event_matches(&event, actual, &case.entities);
    client
        .recorder
        .wait_for_count(count, PATIENCE, is_wanted)
        .map_err(|found| format!("{count} such events were awaited for {PATIENCE:?}, {found} came"))
}

pub(super) fn assert_count(case: &Arc<CaseState>, arguments: Arguments) -> Result<(), String> {
    let (client, event, count) = wanted(arguments)?;
    let client = case.entities.client(&client)?;
    let found = client
        .recorder
        .count(|actual| event_matches(&event, actual, &case.entities));
    if found == count {
        Ok(())
    } else {
        Err(format!("expected {count} such events, found {found}"))
    }
}

fn wanted(mut arguments: Arguments) -> Result<(String, ExpectedEvent, usize), String> {
    let client = arguments.need("client")?;
    let event = file::from_bson(arguments.need("event")?)?;
    let count = arguments.need("count")?;
    arguments.finish()?;
    Ok((client, event, count))
}

pub(super) fn assert_checked_out(
    case: &Arc<CaseState>,
    mut arguments: Arguments,
) -> Result<(), String> {
    let client: String = arguments.need("client")?;
    let expected: i64 = arguments.need("connections")?;
    arguments.finish()?;
    let found = case.entities.client(&client)?.recorder.checked_out();
    if found == expected {
        Ok(())
    } else {
        Err(format!(
            "expected {expected} connections in use, found {found}"
        ))
    }
}
