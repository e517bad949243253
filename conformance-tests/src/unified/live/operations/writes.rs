//! Writing single documents, or many with one update or delete.

use bson::{Bson, Document};
use motorcade::options::UpdateModifications;

use super::Perform;
use super::flavor::driver::Collection;
use super::flavor::driver::action::{Action, Delete, Update};
use super::flavor::go;
use super::{Failure, Returned};
use crate::unified::arguments::{Arguments, with_arguments};

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
    mut arguments: Arguments,
) -> Result<Returned, Failure> {
    let document: Document = arguments.need("document")?;
    let action = with_arguments!(collection.insert_one(document), arguments, {
        "bypassDocumentValidation" => bypass_document_validation,
        "comment" => comment: Bson,
        "rawData" => raw_data,
        "writeConcern" => write_concern,
    });
    Ok(Returned::result(&go!(action)?))
}

fn insert_many(
    collection: &Collection<Document>,
    mut arguments: Arguments,
) -> Result<Returned, Failure> {
    let documents: Vec<Document> = arguments.need("documents")?;
    let action = with_arguments!(collection.insert_many(documents), arguments, {
        "bypassDocumentValidation" => bypass_document_validation,
        "comment" => comment: Bson,
        "ordered" => ordered,
        "rawData" => raw_data,
        "writeConcern" => write_concern,
    });
    Ok(Returned::result(&go!(action)?))
}

fn update_one(
    collection: &Collection<Document>,
    mut arguments: Arguments,
) -> Result<Returned, Failure> {
    let filter = arguments.need("filter")?;
    let modifications: UpdateModifications = arguments.need("update")?;
    update(collection.update_one(filter, modifications), arguments)
}

fn update_many(
    collection: &Collection<Document>,
    mut arguments: Arguments,
) -> Result<Returned, Failure> {
    let filter = arguments.need("filter")?;
    let modifications: UpdateModifications = arguments.need("update")?;
    update(collection.update_many(filter, modifications), arguments)
}

fn update(action: Update<'_>, mut arguments: Arguments) -> Result<Returned, Failure> {
    let action = with_arguments!(action, arguments, {
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
    Ok(Returned::result(&go!(action)?))
}

fn replace_one(
    collection: &Collection<Document>,
    mut arguments: Arguments,
) -> Result<Returned, Failure> {
    let filter = arguments.need("filter")?;
    let replacement: Document = arguments.need("replacement")?;
    let action = with_arguments!(collection.replace_one(filter, replacement), arguments, {
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
    Ok(Returned::result(&go!(action)?))
}

fn delete_one(
    collection: &Collection<Document>,
    mut arguments: Arguments,
) -> Result<Returned, Failure> {
    let filter = arguments.need("filter")?;
    delete(collection.delete_one(filter), arguments)
}

fn delete_many(
    collection: &Collection<Document>,
    mut arguments: Arguments,
) -> Result<Returned, Failure> {
    let filter = arguments.need("filter")?;
    delete(collection.delete_many(filter), arguments)
}

fn delete(action: Delete<'_>, mut arguments: Arguments) -> Result<Returned, Failure> {
    let action = with_arguments!(action, arguments, {
        "collation" => collation,
        "comment" => comment: Bson,
        "hint" => hint,
        "let" => let_vars,
        "rawData" => raw_data,
        "writeConcern" => write_concern,
    });
    Ok(Returned::result(&go!(action)?))
}
