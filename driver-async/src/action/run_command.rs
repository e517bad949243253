//! Running commands that the caller writes.

use std::time::Duration;

use bson::{Bson, Document, RawDocumentBuf};

use super::{
    action, option_setters, raw_batches,
    sessions::{ActionSession, ExplicitSession, ImplicitSession, handle, session_setter},
};
use crate::{
    cursor::{Cursor, SessionCursor},
    database::Database,
    error::{Error, Result},
    exec,
    operation::{self, Scope},
    options::{
        CursorTimeoutMode, CursorType, RunCommandOptions, RunCursorCommandOptions,
        SelectionCriteria,
    },
    session::ClientSession,
};

/// Runs a command; see [`Database::run_command`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct RunCommand<'a> {
    database: &'a Database,
    command: Result<RawDocumentBuf>,
    options: RunCommandOptions,
    session: Option<&'a mut ClientSession>,
}

/// Runs a command that gives a cursor; see [`Database::run_cursor_command`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct RunCursorCommand<'a, S = ImplicitSession> {
    database: &'a Database,
    command: Result<RawDocumentBuf>,
    options: RunCursorCommandOptions,
    session: S,
}

impl Database {
    /// Runs a command and gives the server's reply.
    ///
    /// The command goes out as it is: the concerns and the read preference of this handle do not
    /// apply, and it is not tried again. It goes to the primary unless
    /// [`RunCommand::selection_criteria`] is set. Follows the run command specification.
    ///
    /// The driver adds what every command has: `$db`, `lsid`, `$clusterTime`, `$readPreference` and a
    /// [declared server API](crate::options::ClientOptions::server_api); with a
    /// [timeout](crate::options::ClientOptions::timeout) also `maxTimeMS`. What a command does that
    /// has one of these fields already is undefined: servers refuse a second `maxTimeMS`.
    ///
    /// # Errors
    /// An invalid-argument error for an empty command, a command error when the reply's `ok` is
    /// not 1, those of selection and network.
    ///
    /// ```no_run
    /// # use motorcade::{Client, bson::doc};
    /// # async fn example(client: Client) -> motorcade::error::Result<()> {
    /// client.database("admin").run_command(doc! { "ping": 1 }).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn run_command(&self, command: Document) -> RunCommand<'_> {
        RunCommand {
            database: self,
            command: raw(&command),
            options: RunCommandOptions::default(),
            session: None,
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
            session: None,
        }
    }

    /// Runs a command that gives a cursor, and gives the cursor.
    ///
    /// The command goes out as with [`Database::run_command`]. Further batches are asked for as
    /// the options say, of the same server. Whoever asks for a tailable cursor writes that into
    /// the command. Follows the run command specification.
    ///
    /// # Errors
    /// As [`Database::run_command`], and an invalid-response error when the reply has no cursor.
    ///
    /// ```no_run
    /// # use motorcade::{Database, bson::doc};
    /// # async fn example(database: Database) -> motorcade::error::Result<()> {
    /// let command = doc! { "find": "people", "batchSize": 10 };
    /// let mut people = database.run_cursor_command(command).batch_size(1_000).await?;
    /// while people.advance().await? {
    ///     println!("{:?}", people.current().get_str("name")?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn run_cursor_command(&self, command: Document) -> RunCursorCommand<'_> {
        RunCursorCommand {
            database: self,
            command: raw(&command),
            options: RunCursorCommandOptions::default(),
            session: ImplicitSession,
        }
    }

    /// Like [`Database::run_cursor_command`], for a command that is BSON already.
    ///
    /// # Errors
    /// As [`Database::run_cursor_command`].
    pub fn run_raw_cursor_command(&self, command: RawDocumentBuf) -> RunCursorCommand<'_> {
        RunCursorCommand {
            database: self,
            command: Ok(command),
            options: RunCursorCommandOptions::default(),
            session: ImplicitSession,
        }
    }
}

fn raw(command: &Document) -> Result<RawDocumentBuf> {
    RawDocumentBuf::try_from(command).map_err(Error::from)
}

impl<'a> RunCommand<'a> {
    session_setter! {}

    option_setters! { RunCommandOptions {
        timeout: Duration,
        selection_criteria: SelectionCriteria,
    } }
}

impl<'a, S> RunCursorCommand<'a, S> {
    option_setters! { RunCursorCommandOptions {
        timeout: Duration,
        timeout_mode: CursorTimeoutMode,
        selection_criteria: SelectionCriteria,
        cursor_type: CursorType,
        batch_size: u32,
        max_time: Duration,
    } into { comment: Bson, } }
}

impl<'a> RunCursorCommand<'a, ImplicitSession> {
    /// Has the operation take part in a session.
    pub fn session(
        self,
        value: impl Into<&'a mut ClientSession>,
    ) -> RunCursorCommand<'a, ExplicitSession<'a>> {
        RunCursorCommand {
            database: self.database,
            command: self.command,
            options: self.options,
            session: ExplicitSession(value.into()),
        }
    }
}

impl<'a, S: ActionSession<'a>> RunCursorCommand<'a, S> {
    /// Runs the command, and gives the session along that it takes part in.
    async fn open(self) -> Result<(Cursor<Document>, Option<&'a mut ClientSession>)> {
        let session = self.session.into_opt_session();
        let executor = self.database.client().executor();
        let Scope {
            database, timeout, ..
        } = self.database.scope();
        let mut operation =
            operation::RunCursorCommand::new(database, self.command?, self.options, timeout)?;
        let (state, origin) =
            exec::execute_cursor(executor, handle(&session), &mut operation).await?;
        Ok((Cursor::new(executor.clone(), state, origin), session))
    }
}

raw_batches! { impl['a] RunCursorCommand<'a> }
raw_batches! { impl['a] RunCursorCommand<'a, ExplicitSession<'a>> }

action! { impl['a] RunCommand<'a> => Result<Document>, |self| {
    let Self { database, command, options, session } = self;
    let Scope { database: name, timeout, .. } = database.scope();
    let mut operation = operation::RunCommand::new(name, command?, options, timeout)?;
    exec::execute_in(database.client().executor(), handle(&session), &mut operation).await
} }

action! { impl['a] RunCursorCommand<'a> => Result<Cursor<Document>>, |self| {
    Ok(self.open().await?.0)
} }

action! { impl['a] RunCursorCommand<'a, ExplicitSession<'a>>
    => Result<SessionCursor<Document>>, |self| {
    let (cursor, session) = self.open().await?;
    Ok(SessionCursor::new(cursor, &session))
} }
