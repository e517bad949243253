//! Making, dropping and listing collections.

use bson::{Bson, Document};

use super::Perform;
use super::flavor::driver::Database;
use super::flavor::driver::action::Action;
use super::flavor::driver::options::Expiry;
use super::flavor::go;
use super::{Arguments, Entity, Failure, Returned, act, documents};
use crate::unified::arguments::{Seconds, with_arguments};

/// The operation of that name.
pub(super) fn named(name: &str) -> Option<Perform<Database>> {
    Some(match name {
        "createCollection" => create_collection,
        "dropCollection" => drop_collection,
        "listCollectionNames" => list_collection_names,
        "modifyCollection" => modify_collection,
        "listCollections" | "listCollectionObjects" => list_collections,
        _ => return None,
    })
}

fn create_collection(
    database: &Database,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    let name: String = arguments.need("collection")?;
    let expiry = arguments.take::<Seconds>("expireAfterSeconds")?;
    let action = database
        .create_collection(&name)
        .optional(expiry, |action, Seconds(value)| {
            action.expire_after_seconds(value)
        });
    act!(action, arguments, {
        "timeoutMS" => timeout,
        "capped" => capped,
        "changeStreamPreAndPostImages" => change_stream_pre_and_post_images,
        "clusteredIndex" => clustered_index,
        "collation" => collation,
        "encryptedFields" => encrypted_fields,
        "comment" => comment: Bson,
        "indexOptionDefaults" => index_option_defaults,
        "max" => max,
        "pipeline" => pipeline: Vec<Document>,
        "size" => size,
        "storageEngine" => storage_engine,
        "timeseries" => timeseries,
        "validationAction" => validation_action,
        "validationLevel" => validation_level,
        "validator" => validator,
        "viewOn" => view_on: String,
        "writeConcern" => write_concern,
    });
    Ok(Returned::Entity(Entity::Collection(
        database.collection(&name),
    )))
}

fn modify_collection(
    database: &Database,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    let name: String = arguments.need("collection")?;
    let done = act!(database.modify_collection(name), arguments, {
        "timeoutMS" => timeout,
        "cappedMax" => capped_max,
        "cappedSize" => capped_size,
        "changeStreamPreAndPostImages" => change_stream_pre_and_post_images,
        "comment" => comment: Bson,
        "dryRun" => dry_run,
        "expireAfterSeconds" => expire_after_seconds: Expiry,
        "index" => index,
        "pipeline" => pipeline: Vec<Document>,
        "timeseries" => timeseries,
        "validationAction" => validation_action,
        "validationLevel" => validation_level,
        "validator" => validator,
        "viewOn" => view_on: String,
        "writeConcern" => write_concern,
    });
    Ok(Returned::Value(done.into()))
}

fn drop_collection(database: &Database, mut arguments: Arguments<'_>) -> Result<Returned, Failure> {
    let name: String = arguments.need("collection")?;
    let collection = database.collection::<Document>(&name);
    act!(collection.drop(), arguments, {
        "timeoutMS" => timeout,
        "writeConcern" => write_concern,
        "comment" => comment: Bson,
        "encryptedFields" => encrypted_fields,
    });
    Ok(Returned::Nothing)
}

fn list_collections(
    database: &Database,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    // As documents, because a specification\'s type need not know each of the server\'s fields.
    Ok(documents!(database.list_collections(), arguments, {
        "timeoutMS" => timeout,
        "timeoutMode" => timeout_mode,
        "authorizedCollections" => authorized_collections,
        "batchSize" => batch_size,
        "comment" => comment: Bson,
        "filter" => filter,
        "rawData" => raw_data,
    }))
}

fn list_collection_names(
    database: &Database,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    let done = act!(database.list_collection_names(), arguments, {
        "timeoutMS" => timeout,
        "authorizedCollections" => authorized_collections,
        "batchSize" => batch_size,
        "comment" => comment: Bson,
        "filter" => filter,
        "rawData" => raw_data,
    });
    Ok(Returned::Value(done.into()))
}
