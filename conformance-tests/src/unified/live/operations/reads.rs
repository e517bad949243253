//! Reading the documents of a collection.

use std::sync::{Arc, Mutex};

use bson::{Bson, Document};

use super::Perform;
use super::flavor::driver::action::Action;
use super::flavor::driver::{Collection, Cursor};
use super::flavor::{collect, go};
use crate::unified::arguments::{Arguments, with_arguments};
use crate::unified::results::number;

use super::{Entity, Failure, Returned};

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
        _ => return None,
    })
}

fn aggregate(
    collection: &Collection<Document>,
    mut arguments: Arguments,
) -> Result<Returned, Failure> {
    let pipeline: Vec<Document> = arguments.need("pipeline")?;
    let action = with_arguments!(collection.aggregate(pipeline), arguments, {
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
    });
    documents(go!(action)?)
}

fn count_documents(
    collection: &Collection<Document>,
    mut arguments: Arguments,
) -> Result<Returned, Failure> {
    let filter = arguments.need("filter")?;
    let action = with_arguments!(collection.count_documents(filter), arguments, {
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
    Ok(Returned::Value(number(go!(action)?)))
}

fn count(collection: &Collection<Document>, mut arguments: Arguments) -> Result<Returned, Failure> {
    let filter = arguments.need("filter")?;
    let action = with_arguments!(collection.count(filter), arguments, {
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
    Ok(Returned::Value(number(go!(action)?)))
}

fn estimated_document_count(
    collection: &Collection<Document>,
    mut arguments: Arguments,
) -> Result<Returned, Failure> {
    let action = with_arguments!(collection.estimated_document_count(), arguments, {
        "comment" => comment: Bson,
        "maxTimeMS" => max_time,
        "rawData" => raw_data,
        "readConcern" => read_concern,
        "readPreference" => selection_criteria,
    });
    Ok(Returned::Value(number(go!(action)?)))
}

fn distinct(
    collection: &Collection<Document>,
    mut arguments: Arguments,
) -> Result<Returned, Failure> {
    let field: String = arguments.need("fieldName")?;
    let filter = arguments.need("filter")?;
    let action = with_arguments!(collection.distinct(field, filter), arguments, {
        "collation" => collation,
        "comment" => comment: Bson,
        "hint" => hint,
        "maxTimeMS" => max_time,
        "rawData" => raw_data,
        "readConcern" => read_concern,
        "readPreference" => selection_criteria,
    });
    Ok(Returned::Exact(Bson::Array(go!(action)?)))
}

fn find(collection: &Collection<Document>, arguments: Arguments) -> Result<Returned, Failure> {
    documents(open(collection, arguments)?)
}

fn create_find_cursor(
    collection: &Collection<Document>,
    arguments: Arguments,
) -> Result<Returned, Failure> {
    let cursor = Mutex::new(open(collection, arguments)?);
    Ok(Returned::Entity(Entity::Cursor(Arc::new(cursor))))
}

fn open(
    collection: &Collection<Document>,
    mut arguments: Arguments,
) -> Result<Cursor<Document>, Failure> {
    let filter = arguments.need("filter")?;
    let action = with_arguments!(collection.find(filter), arguments, {
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
    });
    Ok(go!(action)?)
}

fn find_one(
    collection: &Collection<Document>,
    mut arguments: Arguments,
) -> Result<Returned, Failure> {
    let filter = arguments.need("filter")?;
    let action = with_arguments!(collection.find_one(filter), arguments, {
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
    Ok(Returned::document(go!(action)?))
}

/// All documents of a cursor.
pub(super) fn documents(cursor: Cursor<Document>) -> Result<Returned, Failure> {
    let documents: Vec<Document> = collect!(cursor)?;
    Ok(Returned::Value(documents.into()))
}
