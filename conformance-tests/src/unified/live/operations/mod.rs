//! Operations on entities, a file for each family.

mod bulk;
mod change_streams;
mod client;
mod collections;
mod commands;
mod cursors;
mod find_and_modify;
mod gridfs;
mod indexes;
mod reads;
mod search_indexes;
mod sessions;
mod writes;

use std::sync::Arc;

use super::arguments::{Arguments, act, documents, open};
use super::cursor::CursorEntity;
use super::entities::{ClientEntity, Entity};
use super::flavor;
use super::operation::{Failure, Returned};
use super::sessions::{SessionEntity, Within, in_session};
use super::state::CaseState;
use crate::unified::arguments as plain;
use crate::unified::file::Operation;

/// How an operation on a `T` is performed.
type Perform<T> = fn(&T, Arguments<'_>) -> Result<Returned, Failure>;

/// Performs an operation on an entity, in the session that its arguments name.
pub(super) fn perform(
    case: &Arc<CaseState>,
    operation: &Operation,
    within: Option<Within<'_>>,
) -> Result<Returned, Failure> {
    let name = operation.name.as_str();
    let mut arguments = plain::Arguments::new(name, operation.arguments.clone());
    let entity = case.entities.get(&operation.object)?;
    if let Entity::Session(session) = &entity {
        return sessions::perform(case, operation, session, within);
    }
    let Some(id) = arguments.take::<String>("session")? else {
        return on_entity(entity, name, Arguments::new(arguments, None));
    };
    in_session(case, &id, within, |session| {
        on_entity(entity, name, Arguments::new(arguments, Some(session)))
    })
}

fn on_entity(entity: Entity, name: &str, arguments: Arguments<'_>) -> Result<Returned, Failure> {
    let kind = entity.kind();
    let unknown = || Failure::from(format!("a {kind} has no operation `{name}`"));
    match entity {
        Entity::Client(client) => {
            let perform = client::named(name)
                .or_else(|| bulk::of_client(name))
                .or_else(|| change_streams::of_client(name))
                .ok_or_else(unknown)?;
            perform(&client, arguments)
        }
        Entity::Database(database) => {
            let perform = collections::named(name)
                .or_else(|| commands::named(name))
                .or_else(|| change_streams::of_database(name))
                .ok_or_else(unknown)?;
            perform(&database, arguments)
        }
        Entity::Collection(collection) => {
            let perform = reads::named(name)
                .or_else(|| writes::named(name))
                .or_else(|| find_and_modify::named(name))
                .or_else(|| bulk::named(name))
                .or_else(|| indexes::named(name))
                .or_else(|| search_indexes::named(name))
                .or_else(|| change_streams::of_collection(name))
                .ok_or_else(unknown)?;
            perform(&collection, arguments)
        }
        Entity::Bucket(bucket) => {
            let perform = gridfs::named(name).ok_or_else(unknown)?;
            perform(&bucket, arguments)
        }
        Entity::Cursor(cursor) => {
            let perform = cursors::named(name).ok_or_else(unknown)?;
            perform(&cursor, arguments)
        }
        Entity::Missing(why) => Err(why.to_owned().into()),
        Entity::Session(_)
        | Entity::Thread(_)
        | Entity::Topology(_)
        | Entity::Bson(_)
        | Entity::EventList(_) => Err(unknown()),
    }
}
