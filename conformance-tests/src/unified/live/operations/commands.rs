//! Commands that the driver knows nothing of, and pipelines over a database.

use bson::{Bson, Document};

use super::Perform;
use super::flavor::driver::Database;
use super::flavor::driver::action::Action;
use super::flavor::go;
use super::{Arguments, CursorEntity, Entity, Failure, Returned, act, documents, open};
use crate::unified::arguments::with_arguments;

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

fn aggregate(database: &Database, mut arguments: Arguments<'_>) -> Result<Returned, Failure> {
    let pipeline: Vec<Document> = arguments.need("pipeline")?;
    Ok(documents!(database.aggregate(pipeline), arguments, {
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

fn run_command(database: &Database, mut arguments: Arguments<'_>) -> Result<Returned, Failure> {
    let command: Document = command(&mut arguments)?;
    let done = act!(database.run_command(command), arguments, {
        "timeoutMS" => timeout,
        "readPreference" => selection_criteria,
    });
    Ok(Returned::Value(done.into()))
}

/// Runs a command by one of the macros that open a cursor.
macro_rules! with_cursor_command {
    ($way:ident, $database:ident, $arguments:ident) => {{
        let command = command(&mut $arguments)?;
        $way!($database.run_cursor_command(command), $arguments, {
            "timeoutMS" => timeout,
            "timeoutMode" => timeout_mode,
            "batchSize" => batch_size,
            "comment" => comment: Bson,
            "cursorType" => cursor_type,
            "maxTimeMS" => max_time,
            "readPreference" => selection_criteria,
        })
    }};
}

fn run_cursor_command(
    database: &Database,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    Ok(with_cursor_command!(documents, database, arguments))
}

fn create_command_cursor(
    database: &Database,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    let cursor = with_cursor_command!(open, database, arguments);
    Ok(Returned::Entity(Entity::cursor(cursor)))
}

/// The command of an operation. Its name stands beside it for languages that do not keep the order
/// of fields; where it does, it must be that of the first field.
fn command(arguments: &mut Arguments<'_>) -> Result<Document, String> {
    let name: Option<String> = arguments.take("commandName")?;
    let command: Document = arguments.need("command")?;
    match name {
        Some(name) if command.keys().next() != Some(&name) => {
            Err(format!("the command's first field is not `{name}`"))
        }
        _ => Ok(command),
    }
}
