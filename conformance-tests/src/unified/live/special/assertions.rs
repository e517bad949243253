//! Special operations that look at the deployment, and at the sessions of commands.

use std::sync::Arc;

use bson::Document;
use motorcade::event::command::CommandEvent;

use super::CaseState;
use super::flavor::go;
use crate::unified::arguments::Arguments;
use crate::unified::events::Event;

pub(super) fn collection_exists(case: &Arc<CaseState>, arguments: Arguments) -> Result<(), String> {
    if has_collection(case, arguments)? {
        Ok(())
    } else {
        Err("the collection does not exist".to_owned())
    }
}

pub(super) fn collection_does_not_exist(
    case: &Arc<CaseState>,
    arguments: Arguments,
) -> Result<(), String> {
    if has_collection(case, arguments)? {
        Err("the collection exists".to_owned())
    } else {
        Ok(())
    }
}

fn has_collection(case: &CaseState, mut arguments: Arguments) -> Result<bool, String> {
    let database: String = arguments.need("databaseName")?;
    let collection: String = arguments.need("collectionName")?;
    arguments.finish()?;
    let database = case.environment.database(&database);
    let names = go!(database.list_collection_names()).map_err(|error| error.to_string())?;
    Ok(names.contains(&collection))
}

pub(super) fn index_exists(case: &Arc<CaseState>, arguments: Arguments) -> Result<(), String> {
    if has_index(case, arguments)? {
        Ok(())
    } else {
        Err("the index does not exist".to_owned())
    }
}

pub(super) fn index_does_not_exist(
    case: &Arc<CaseState>,
    arguments: Arguments,
) -> Result<(), String> {
    if has_index(case, arguments)? {
        Err("the index exists".to_owned())
    } else {
        Ok(())
    }
}

fn has_index(case: &CaseState, mut arguments: Arguments) -> Result<bool, String> {
    let database: String = arguments.need("databaseName")?;
    let collection: String = arguments.need("collectionName")?;
    let index: String = arguments.need("indexName")?;
    arguments.finish()?;
    let database = case.environment.database(&database);
    let collection = database.collection::<Document>(&collection);
    let names = go!(collection.list_index_names()).map_err(|error| error.to_string())?;
    Ok(names.contains(&index))
}

pub(super) fn sessions_are_the_same(
    case: &Arc<CaseState>,
    arguments: Arguments,
) -> Result<(), String> {
    let [first, second] = last_two_sessions(case, arguments)?;
    if first == second {
        Ok(())
    } else {
        Err(format!("the sessions differ: {first}, then {second}"))
    }
}

pub(super) fn sessions_differ(case: &Arc<CaseState>, arguments: Arguments) -> Result<(), String> {
    let [first, second] = last_two_sessions(case, arguments)?;
    if first == second {
        Err(format!("both commands are of the session {first}"))
    } else {
        Ok(())
    }
}

/// The sessions of the last two commands that a client has sent.
fn last_two_sessions(case: &CaseState, mut arguments: Arguments) -> Result<[Document; 2], String> {
    let client: String = arguments.need("client")?;
    arguments.finish()?;
    let events = case.entities.client(&client)?.recorder.events();
    let mut started = events.iter().rev().filter_map(|event| match event {
        Event::Command(CommandEvent::Started(event)) => Some(event),
        _ => None,
    });
    let (Some(last), Some(before)) = (started.next(), started.next()) else {
        return Err("the client has not sent two commands".to_owned());
    };
    let session = |command: &Document| {
        command
            .get_document("lsid")
            .cloned()
            .map_err(|_| "a command has no session".to_owned())
    };
    Ok([session(&before.command)?, session(&last.command)?])
}
