//! The operations of the runner itself.

mod assertions;
mod events;
mod loops;
mod sessions;
mod topology;

use std::sync::Arc;
use std::time::Duration;

use bson::Document;

use super::sessions::{Within, in_session};
use super::state::CaseState;
use super::{create, flavor, operation};
use crate::unified::arguments::Arguments;
use crate::unified::file::{self, EntityDescription, Expectation, Operation};

/// How a special operation is performed.
type Special = fn(&Arc<CaseState>, Arguments) -> Result<(), String>;

/// How long operations wait for something, by the format's rules.
const PATIENCE: Duration = Duration::from_secs(10);

/// Performs a special operation.
pub(super) fn perform(
    case: &Arc<CaseState>,
    operation: &Operation,
    within: Option<Within<'_>>,
) -> Result<(), String> {
    let expectation = operation.expectation();
    if !matches!(
        expectation,
        Expectation::Success {
            matching: None,
            saved_as: None
        }
    ) {
        return Err("special operations give no result and no error".to_owned());
    }
    let mut arguments = Arguments::new(&operation.name, operation.arguments.clone());
    if let Some(special) = sessions::named(&operation.name) {
        let id: String = arguments.need("session")?;
        return in_session(case, &id, within, |session| {
            special(case, session, arguments)
        });
    }
    let special = named(&operation.name)
        .ok_or_else(|| format!("there is no special operation `{}`", operation.name))?;
    special(case, arguments)
}

fn named(name: &str) -> Option<Special> {
    Some(match name {
        "assertCollectionExists" => assertions::collection_exists,
        "assertCollectionNotExists" => assertions::collection_does_not_exist,
        "assertDifferentLsidOnLastTwoCommands" => assertions::sessions_differ,
        "assertEventCount" => events::assert_count,
        "assertIndexExists" => assertions::index_exists,
        "assertIndexNotExists" => assertions::index_does_not_exist,
        "assertNumberConnectionsCheckedOut" => events::assert_checked_out,
        "assertSameLsidOnLastTwoCommands" => assertions::sessions_are_the_same,
        "assertTopologyType" => topology::assert_type,
        "createEntities" => create_entities,
        "failPoint" => fail_point,
        "loop" => loops::perform,
        "recordTopologyDescription" => topology::record,
        "runOnThread" => run_on_thread,
        "wait" => wait,
        "waitForEvent" => events::wait_for,
        "waitForPrimaryChange" => topology::wait_for_primary_change,
        "waitForThread" => wait_for_thread,
        _ => return None,
    })
}

fn create_entities(case: &Arc<CaseState>, mut arguments: Arguments) -> Result<(), String> {
    let descriptions: Vec<EntityDescription> = file::from_bson(arguments.need("entities")?)?;
    arguments.finish()?;
    create::create(case, &descriptions)
}

fn fail_point(case: &Arc<CaseState>, mut arguments: Arguments) -> Result<(), String> {
    let client: String = arguments.need("client")?;
    let command: Document = arguments.need("failPoint")?;
    // Some cases name a session too, which setting a fail point has no part in.
    if let Some(session) = arguments.take::<String>("session")? {
        case.entities.session(&session)?;
    }
    arguments.finish()?;
    let client = case.entities.client(&client)?;
    case.fail_points.set(&client, command)
}

fn run_on_thread(case: &Arc<CaseState>, mut arguments: Arguments) -> Result<(), String> {
    let thread: String = arguments.need("thread")?;
    let operation: Operation = file::from_bson(arguments.need("operation")?)?;
    arguments.finish()?;
    case.entities.thread(&thread)?.give(operation)
}

fn wait_for_thread(case: &Arc<CaseState>, mut arguments: Arguments) -> Result<(), String> {
    let thread: String = arguments.need("thread")?;
    arguments.finish()?;
    case.entities.thread(&thread)?.wait()
}

fn wait(_: &Arc<CaseState>, mut arguments: Arguments) -> Result<(), String> {
    let time: Duration = arguments.need("ms")?;
    arguments.finish()?;
    std::thread::sleep(time);
    Ok(())
}
