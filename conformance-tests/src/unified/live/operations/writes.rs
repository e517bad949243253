//! Writing single documents, or many with one update or delete.

use bson::{Bson, Document};
use motorcade::options::UpdateModifications;

use super::Perform;
use super::flavor::driver::Collection;
use super::flavor::driver::action::{Action, Delete, Update};
use super::flavor::go;
use super::{Arguments, Failure, Returned, act};
use crate::unified::arguments::with_arguments;

/// The operation of that name.
pub(super) fn named(name: &str) -> Option<Perform<Collection<Document>>> {
    Some(match name {
        "deleteMany" => delete_many,
        "deleteOne" => delete_one,
        "insertMany" => insert_many,
        "insertOne" => insert_one,
        "replaceOne" => replace_one,
        "updateMany" => update_many,
        "updateOne" => update_one,
        _ => return None,
    })
}

fn insert_one(
    collection: &Collection<Document>,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    let document: Document = arguments.need("document")?;
    let done = act!(collection.insert_one(document), arguments, {
        "timeoutMS" => timeout,
        "bypassDocumentValidation" => bypass_document_validation,
        "comment" => comment: Bson,
        "rawData" => raw_data,
        "writeConcern" => write_concern,
    });
    Ok(Returned::result(&done))
}

fn insert_many(
    collection: &Collection<Document>,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    let documents: Vec<Document> = arguments.need("documents")?;
    let done = act!(collection.insert_many(documents), arguments, {
        "timeoutMS" => timeout,
        "bypassDocumentValidation" => bypass_document_validation,
        "comment" => comment: Bson,
        "ordered" => ordered,
        "rawData" => raw_data,
        "writeConcern" => write_concern,
    });
    Ok(Returned::result(&done))
}

fn update_one(
    collection: &Collection<Document>,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    let filter = arguments.need("filter")?;
    let modifications: UpdateModifications = arguments.need("update")?;
    update(collection.update_one(filter, modifications), arguments)
}

fn update_many(
    collection: &Collection<Document>,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    let filter = arguments.need("filter")?;
    let modifications: UpdateModifications = arguments.need("update")?;
    update(collection.update_many(filter, modifications), arguments)
}

fn update(action: Update<'_>, mut arguments: Arguments<'_>) -> Result<Returned, Failure> {
    let done = act!(action, arguments, {
        "timeoutMS" => timeout,
        "arrayFilters" => array_filters: Vec<Document>,
        "bypassDocumentValidation" => bypass_document_validation,
        "collation" => collation,
        "comment" => comment: Bson,
        "hint" => hint,
        "let" => let_vars,
        "sort" => sort,
        "upsert" => upsert,
        "rawData" => raw_data,
        "writeConcern" => write_concern,
    });
    Ok(Returned::result(&done))
}

fn replace_one(
    collection: &Collection<Document>,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    let filter = arguments.need("filter")?;
    let replacement: Document = arguments.need("replacement")?;
    let done = act!(collection.replace_one(filter, replacement), arguments, {
        "timeoutMS" => timeout,
        "bypassDocumentValidation" => bypass_document_validation,
        "collation" => collation,
        "comment" => comment: Bson,
        "hint" => hint,
        "let" => let_vars,
        "sort" => sort,
        "upsert" => upsert,
        "rawData" => raw_data,
        "writeConcern" => write_concern,
    });
    Ok(Returned::result(&done))
}

fn delete_one(
    collection: &Collection<Document>,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    let filter = arguments.need("filter")?;
    delete(collection.delete_one(filter), arguments)
}

fn delete_many(
    collection: &Collection<Document>,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    let filter = arguments.need("filter")?;
    delete(collection.delete_many(filter), arguments)
}

fn delete(action: Delete<'_>, mut arguments: Arguments<'_>) -> Result<Returned, Failure> {
    let done = act!(action, arguments, {
        "timeoutMS" => timeout,
        "collation" => collation,
        "comment" => comment: Bson,
        "hint" => hint,
        "let" => let_vars,
        "rawData" => raw_data,
        "writeConcern" => write_concern,
    });
    Ok(Returned::result(&done))
}
