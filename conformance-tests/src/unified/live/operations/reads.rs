//! Reading the documents of a collection.

use bson::{Bson, Document, doc};

use super::Perform;
use super::flavor::driver::Collection;
use super::flavor::driver::action::Action;
use super::flavor::go;
use crate::unified::arguments::with_arguments;
use crate::unified::results::number;

use super::{Arguments, CursorEntity, Entity, Failure, Returned, act, documents, open};

/// The operation of that name.
pub(super) fn named(name: &str) -> Option<Perform<Collection<Document>>> {
    Some(match name {
        "aggregate" => aggregate,
        "count" => count,
        "countDocuments" => count_documents,
        "createFindCursor" => create_find_cursor,
        "distinct" => distinct,
        "estimatedDocumentCount" => estimated_document_count,
        "find" => find,
        "findOne" => find_one,
        "mapReduce" => map_reduce,
        _ => return None,
    })
}

fn aggregate(
    collection: &Collection<Document>,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    let pipeline: Vec<Document> = arguments.need("pipeline")?;
    Ok(documents!(collection.aggregate(pipeline), arguments, {
        "timeoutMS" => timeout,
        "timeoutMode" => timeout_mode,
        "allowDiskUse" => allow_disk_use,
        "batchSize" => batch_size,
        "bypassDocumentValidation" => bypass_document_validation,
        "collation" => collation,
        "comment" => comment: Bson,
        "hint" => hint,
        "let" => let_vars,
        "maxAwaitTimeMS" => max_await_time,
        "maxTimeMS" => max_time,
        "rawData" => raw_data,
        "readConcern" => read_concern,
        "readPreference" => selection_criteria,
    }))
}

fn count_documents(
    collection: &Collection<Document>,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    let filter = arguments.need("filter")?;
    let done = act!(collection.count_documents(filter), arguments, {
        "timeoutMS" => timeout,
        "collation" => collation,
        "comment" => comment: Bson,
        "hint" => hint,
        "limit" => limit,
        "maxTimeMS" => max_time,
        "skip" => skip,
        "rawData" => raw_data,
        "readConcern" => read_concern,
        "readPreference" => selection_criteria,
    });
    Ok(Returned::Value(number(done)))
}

fn count(
    collection: &Collection<Document>,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    let filter = arguments.need("filter")?;
    let done = act!(collection.count(filter), arguments, {
        "timeoutMS" => timeout,
        "collation" => collation,
        "comment" => comment: Bson,
        "hint" => hint,
        "limit" => limit,
        "maxTimeMS" => max_time,
        "rawData" => raw_data,
        "readConcern" => read_concern,
        "readPreference" => selection_criteria,
        "skip" => skip,
    });
    Ok(Returned::Value(number(done)))
}

fn estimated_document_count(
    collection: &Collection<Document>,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    let done = act!(collection.estimated_document_count(), arguments, {
        "timeoutMS" => timeout,
        "comment" => comment: Bson,
        "maxTimeMS" => max_time,
        "rawData" => raw_data,
        "readConcern" => read_concern,
        "readPreference" => selection_criteria,
    });
    Ok(Returned::Value(number(done)))
}

fn distinct(
    collection: &Collection<Document>,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    let field: String = arguments.need("fieldName")?;
    let filter = arguments.need("filter")?;
    let done = act!(collection.distinct(field, filter), arguments, {
        "timeoutMS" => timeout,
        "collation" => collation,
        "comment" => comment: Bson,
        "hint" => hint,
        "maxTimeMS" => max_time,
        "rawData" => raw_data,
        "readConcern" => read_concern,
        "readPreference" => selection_criteria,
    });
    Ok(Returned::Exact(Bson::Array(done)))
}

/// Finds documents by one of the macros that open a cursor.
macro_rules! with_find {
    ($way:ident, $collection:ident, $arguments:ident) => {{
        let filter = $arguments.need("filter")?;
        $way!($collection.find(filter), $arguments, {
            "timeoutMS" => timeout,
            "timeoutMode" => timeout_mode,
            "allowDiskUse" => allow_disk_use,
            "allowPartialResults" => allow_partial_results,
            "batchSize" => batch_size,
            "collation" => collation,
            "comment" => comment: Bson,
            "cursorType" => cursor_type,
            "hint" => hint,
            "let" => let_vars,
            "limit" => limit,
            "max" => max,
            "maxAwaitTimeMS" => max_await_time,
            "maxTimeMS" => max_time,
            "min" => min,
            "noCursorTimeout" => no_cursor_timeout,
            "projection" => projection,
            "returnKey" => return_key,
            "showRecordId" => show_record_id,
            "skip" => skip,
            "sort" => sort,
            "rawData" => raw_data,
            "readConcern" => read_concern,
            "readPreference" => selection_criteria,
        })
    }};
}

fn find(
    collection: &Collection<Document>,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    Ok(with_find!(documents, collection, arguments))
}

fn create_find_cursor(
    collection: &Collection<Document>,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    let cursor = with_find!(open, collection, arguments);
    Ok(Returned::Entity(Entity::cursor(cursor)))
}

fn find_one(
    collection: &Collection<Document>,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    let filter = arguments.need("filter")?;
    let done = act!(collection.find_one(filter), arguments, {
        "timeoutMS" => timeout,
        "allowPartialResults" => allow_partial_results,
        "collation" => collation,
        "comment" => comment: Bson,
        "hint" => hint,
        "let" => let_vars,
        "max" => max,
        "maxTimeMS" => max_time,
        "min" => min,
        "projection" => projection,
        "returnKey" => return_key,
        "showRecordId" => show_record_id,
        "skip" => skip,
        "sort" => sort,
        "rawData" => raw_data,
        "readConcern" => read_concern,
        "readPreference" => selection_criteria,
    });
    Ok(Returned::document(done))
}

/// The driver has no verb for it, since the server has deprecated it: users run the command.
fn map_reduce(
    collection: &Collection<Document>,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    let namespace = collection.namespace();
    let mut command = doc! { "mapReduce": namespace.coll };
    for name in ["map", "reduce", "out"] {
        command.insert(name, arguments.need::<Bson>(name)?);
    }
    let database = collection.client().database(&namespace.db);
    let mut reply = act!(database.run_command(command), arguments, {
        "timeoutMS" => timeout,
        "readPreference" => selection_criteria,
    });
    let results = reply.remove("results");
    Ok(Returned::Value(results.unwrap_or(Bson::Null)))
}
