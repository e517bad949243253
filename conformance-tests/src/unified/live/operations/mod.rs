//! Operations on entities, a file for each family.

mod bulk;
mod client;
mod collections;
mod commands;
mod cursors;
mod find_and_modify;
mod gridfs;
mod indexes;
mod reads;
mod search_indexes;
mod writes;

use std::sync::Arc;

use super::entities::{ClientEntity, Entity};
use super::flavor;
use super::operation::{Failure, Returned};
use super::state::CaseState;
use crate::unified::arguments::Arguments;
use crate::unified::file::Operation;

/// How an operation on a `T` is performed.
type Perform<T> = fn(&T, Arguments) -> Result<Returned, Failure>;

/// Performs an operation on an entity.
pub(super) fn perform(
    case: &Arc<CaseState>,
    operation: &Operation,
    arguments: Arguments,
) -> Result<Returned, Failure> {
    let name = operation.name.as_str();
    let entity = case.entities.get(&operation.object)?;
    let kind = entity.kind();
    let unknown = || Failure::from(format!("a {kind} has no operation `{name}`"));
    match entity {
        Entity::Client(client) => {
            let perform = client::named(name)
                .or_else(|| bulk::of_client(name))
                .ok_or_else(unknown)?;
            perform(&client, arguments)
        }
        Entity::Database(database) => {
            let perform = collections::named(name)
                .or_else(|| commands::named(name))
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
        Entity::Thread(_) | Entity::Topology(_) | Entity::Bson(_) => Err(unknown()),
    }
}
