//! Commands that the driver knows nothing of, and pipelines over a database.

use std::sync::{Arc, Mutex};

use bson::{Bson, Document};

use super::Perform;
use super::flavor::driver::action::Action;
use super::flavor::driver::{Cursor, Database};
use super::flavor::go;
use super::reads::documents;
use super::{Entity, Failure, Returned};
use crate::unified::arguments::{Arguments, with_arguments};

/// The operation of that name.
pub(super) fn named(name: &str) -> Option<Perform<Database>> {
    Some(match name {
        "aggregate" => aggregate,
        "createCommandCursor" => create_command_cursor,
        "runCommand" => run_command,
        "runCursorCommand" => run_cursor_command,
        _ => return None,
    })
}

fn aggregate(database: &Database, mut arguments: Arguments) -> Result<Returned, Failure> {
    let pipeline: Vec<Document> = arguments.need("pipeline")?;
    let action = with_arguments!(database.aggregate(pipeline), arguments, {
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

fn run_command(database: &Database, mut arguments: Arguments) -> Result<Returned, Failure> {
    let command: Document = command(&mut arguments)?;
    let action = with_arguments!(database.run_command(command), arguments, {
        "readPreference" => selection_criteria,
    });
    Ok(Returned::Value(go!(action)?.into()))
}

fn run_cursor_command(database: &Database, arguments: Arguments) -> Result<Returned, Failure> {
    documents(open(database, arguments)?)
}

fn create_command_cursor(database: &Database, arguments: Arguments) -> Result<Returned, Failure> {
    let cursor = Mutex::new(open(database, arguments)?);
    Ok(Returned::Entity(Entity::Cursor(Arc::new(cursor))))
}

fn open(database: &Database, mut arguments: Arguments) -> Result<Cursor<Document>, Failure> {
    let command = command(&mut arguments)?;
    let action = with_arguments!(database.run_cursor_command(command), arguments, {
        "batchSize" => batch_size,
        "comment" => comment: Bson,
        "cursorType" => cursor_type,
        "maxTimeMS" => max_time,
        "readPreference" => selection_criteria,
    });
    Ok(go!(action)?)
}

/// The command of an operation, which must be of the name that is told beside it.
fn command(arguments: &mut Arguments) -> Result<Document, String> {
    let name: String = arguments.need("commandName")?;
    let command: Document = arguments.need("command")?;
    if command.keys().next() == Some(&name) {
        return Ok(command);
    }
    Err(format!("the command's first field is not `{name}`"))
}
