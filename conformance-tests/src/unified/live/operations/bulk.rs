//! Many writes of different kinds at once.

use bson::{Bson, Document};
use motorcade::bulk::Write;

use super::Perform;
use super::flavor::driver::Collection;
use super::flavor::driver::action::Action;
use super::flavor::go;
use super::{Failure, Returned};
use crate::unified::arguments::{Arguments, with_arguments};

/// The operation of that name.
pub(super) fn named(name: &str) -> Option<Perform<Collection<Document>>> {
    match name {
        "bulkWrite" => Some(bulk_write),
        _ => None,
    }
}

fn bulk_write(
    collection: &Collection<Document>,
    mut arguments: Arguments,
) -> Result<Returned, Failure> {
    let writes: Vec<Write> = arguments.need("requests")?;
    let action = with_arguments!(collection.bulk_write(writes), arguments, {
        "bypassDocumentValidation" => bypass_document_validation,
        "comment" => comment: Bson,
        "let" => let_vars,
        "ordered" => ordered,
        "rawData" => raw_data,
        "writeConcern" => write_concern,
    });
    Ok(Returned::result(&go!(action)?))
}
