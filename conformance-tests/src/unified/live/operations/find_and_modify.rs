//! Changing or deleting a document and giving it back.

use bson::{Bson, Document};
use motorcade::options::UpdateModifications;

use super::Perform;
use super::flavor::driver::Collection;
use super::flavor::driver::action::Action;
use super::flavor::go;
use super::{Arguments, Failure, Returned, act};
use crate::unified::arguments::with_arguments;

/// The operation of that name.
pub(super) fn named(name: &str) -> Option<Perform<Collection<Document>>> {
    Some(match name {
        "findOneAndDelete" => find_one_and_delete,
        "findOneAndReplace" => find_one_and_replace,
        "findOneAndUpdate" => find_one_and_update,
        _ => return None,
    })
}

fn find_one_and_update(
    collection: &Collection<Document>,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    let filter = arguments.need("filter")?;
    let update: UpdateModifications = arguments.need("update")?;
    let done = act!(collection.find_one_and_update(filter, update), arguments, {
        "timeoutMS" => timeout,
        "arrayFilters" => array_filters: Vec<Document>,
        "bypassDocumentValidation" => bypass_document_validation,
        "collation" => collation,
        "comment" => comment: Bson,
        "hint" => hint,
        "let" => let_vars,
        "maxTimeMS" => max_time,
        "projection" => projection,
        "rawData" => raw_data,
        "returnDocument" => return_document,
        "sort" => sort,
        "upsert" => upsert,
        "writeConcern" => write_concern,
    });
    Ok(Returned::document(done))
}

fn find_one_and_replace(
    collection: &Collection<Document>,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    let filter = arguments.need("filter")?;
    let replacement: Document = arguments.need("replacement")?;
    let action = collection.find_one_and_replace(filter, replacement);
    let done = act!(action, arguments, {
        "timeoutMS" => timeout,
        "bypassDocumentValidation" => bypass_document_validation,
        "collation" => collation,
        "comment" => comment: Bson,
        "hint" => hint,
        "let" => let_vars,
        "maxTimeMS" => max_time,
        "projection" => projection,
        "rawData" => raw_data,
        "returnDocument" => return_document,
        "sort" => sort,
        "upsert" => upsert,
        "writeConcern" => write_concern,
    });
    Ok(Returned::document(done))
}

fn find_one_and_delete(
    collection: &Collection<Document>,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    let filter = arguments.need("filter")?;
    let done = act!(collection.find_one_and_delete(filter), arguments, {
        "timeoutMS" => timeout,
        "collation" => collation,
        "comment" => comment: Bson,
        "hint" => hint,
        "let" => let_vars,
        "maxTimeMS" => max_time,
        "projection" => projection,
        "rawData" => raw_data,
        "sort" => sort,
        "writeConcern" => write_concern,
    });
    Ok(Returned::document(done))
}
