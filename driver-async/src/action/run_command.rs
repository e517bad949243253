//! Running any command.

use bson::{Document, RawDocumentBuf};

use super::{action, option_setters};
use crate::{
    database::Database,
    error::{Error, Result},
    exec, operation,
    options::{RunCommandOptions, SelectionCriteria},
};

/// Runs a command; see [`Database::run_command`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct RunCommand<'a> {
    database: &'a Database,
    command: Result<RawDocumentBuf>,
    options: RunCommandOptions,
}

impl Database {
    /// Runs a command and gives the server's reply.
    ///
    /// The command goes out as it is: the concerns and the read preference of this handle do not
    /// apply, and it is not tried again. It goes to the primary unless
    /// [`RunCommand::selection_criteria`] is set. Follows the run command specification.
    ///
    /// A [declared server API](crate::options::ClientOptions::server_api) applies here too. What a
    /// command does that declares one itself is then undefined.
    ///
    /// # Errors
    /// A command error when the reply's `ok` is not 1, those of selection and network.
    ///
    /// ```no_run
    /// # use motorcade::{Client, bson::doc};
    /// # async fn example(client: Client) -> motorcade::error::Result<()> {
    /// client.database("admin").run_command(doc! { "ping": 1 }).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn run_command(&self, command: Document) -> RunCommand<'_> {
        let command = RawDocumentBuf::try_from(&command).map_err(Error::from);
        RunCommand {
            database: self,
            command,
            options: RunCommandOptions::default(),
        }
    }

    /// Like [`Database::run_command`], for a command that is BSON already.
    ///
    /// # Errors
    /// As [`Database::run_command`].
    pub fn run_raw_command(&self, command: RawDocumentBuf) -> RunCommand<'_> {
        let options = RunCommandOptions::default();
        RunCommand {
            database: self,
            command: Ok(command),
            options,
        }
    }
}

impl RunCommand<'_> {
    option_setters! { RunCommandOptions {
        selection_criteria: SelectionCriteria,
    } }
}

action! { impl['a] RunCommand<'a> => Result<Document>, |self| {
    let Self { database, command, options } = self;
    let mut operation = operation::RunCommand::new(database.name(), command?, options)?;
    exec::execute(database.client().executor(), &mut operation).await
} }
