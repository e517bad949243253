//! Many writes of different kinds at once.

use std::sync::Arc;

use bson::{Bson, Document};
use motorcade::{bulk::Write, options::WriteModel};

use super::Perform;
use super::flavor::driver::Collection;
use super::flavor::driver::action::Action;
use super::flavor::go;
use super::{Arguments, ClientEntity, Failure, Returned, act};
use crate::unified::arguments::with_arguments;

/// The operation of that name.
pub(super) fn named(name: &str) -> Option<Perform<Collection<Document>>> {
    match name {
        "bulkWrite" => Some(bulk_write),
        _ => None,
    }
}

/// The operation of a client of that name.
pub(super) fn of_client(name: &str) -> Option<Perform<Arc<ClientEntity>>> {
    match name {
        "clientBulkWrite" => Some(client_bulk_write),
        _ => None,
    }
}

fn client_bulk_write(
    client: &Arc<ClientEntity>,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    let client = client.client()?;
    let models: Vec<WriteModel> = arguments.need("models")?;
    let is_verbose = arguments.take::<bool>("verboseResults")?.unwrap_or(false);
    let session = arguments.session().map(|lent| lent.session);
    let action = with_arguments!(client.bulk_write(models), arguments, {
        "timeoutMS" => timeout,
        "bypassDocumentValidation" => bypass_document_validation,
        "comment" => comment: Bson,
        "let" => let_vars,
        "ordered" => ordered,
        "rawData" => raw_data,
        "writeConcern" => write_concern,
    });
    let action = action.optional(session, |action, session| action.session(session));
    if is_verbose {
        return Ok(Returned::result(&go!(action.verbose_results())?));
    }
    Ok(Returned::result(&go!(action)?))
}

fn bulk_write(
    collection: &Collection<Document>,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    let writes: Vec<Write> = arguments.need("requests")?;
    let done = act!(collection.bulk_write(writes), arguments, {
        "timeoutMS" => timeout,
        "bypassDocumentValidation" => bypass_document_validation,
        "comment" => comment: Bson,
        "let" => let_vars,
        "ordered" => ordered,
        "rawData" => raw_data,
        "writeConcern" => write_concern,
    });
    Ok(Returned::result(&done))
}
