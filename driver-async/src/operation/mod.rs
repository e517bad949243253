//! The commands: what each sends and what it makes of the reply.
//!
//! Everything here is pure. An operation writes its own fields; the executor adds those that
//! every command has (the database, session, concerns and read preference).

mod aggregate;
mod bulk_write;
mod client_bulk_write;
mod count;
mod create_collection;
mod create_indexes;
mod delete;
mod distinct;
mod drop;
mod drop_indexes;
mod end_sessions;
mod end_transaction;
mod explain;
mod fields;
mod find;
mod find_and_modify;
mod get_more;
mod insert;
mod insert_chunks;
mod kill_cursors;
mod kill_sessions;
mod list_collections;
mod list_databases;
mod list_indexes;
mod modify_collection;
mod rename_collection;
mod run_command;
mod run_cursor_command;
mod search_indexes;
mod update;
mod watch;
mod write_reply;

pub(crate) use aggregate::{Aggregate, Source};
pub(crate) use bulk_write::{BulkWrite, Progress, Statements, insert_many_result};
pub(crate) use client_bulk_write::{ClientBulkWrite, Detail, Ops};
pub(crate) use count::{Count, CountDocuments, EstimatedDocumentCount};
pub(crate) use create_collection::CreateCollection;
pub(crate) use create_indexes::CreateIndexes;
pub(crate) use delete::Delete;
pub(crate) use distinct::{Distinct, ReadValues, bson_values, typed_values};
pub(crate) use drop::{DropCollection, DropDatabase};
pub(crate) use drop_indexes::{DropIndexes, Dropped};
pub(crate) use end_sessions::EndSessions;
pub(crate) use end_transaction::EndTransaction;
pub(crate) use explain::{Explain, Explained};
pub(crate) use fields::listed_name;
pub(crate) use find::{Find, FindOne};
pub(crate) use find_and_modify::FindAndModify;
pub(crate) use get_more::GetMore;
pub(crate) use insert::InsertOne;
pub(crate) use insert_chunks::InsertChunks;
pub(crate) use kill_cursors::KillCursors;
pub(crate) use kill_sessions::KillSessions;
pub(crate) use list_collections::ListCollections;
pub(crate) use list_databases::ListDatabases;
pub(crate) use list_indexes::ListIndexes;
pub(crate) use modify_collection::ModifyCollection;
pub(crate) use rename_collection::RenameCollection;
pub(crate) use run_command::RunCommand;
pub(crate) use run_cursor_command::RunCursorCommand;
pub(crate) use search_indexes::{
    CreateSearchIndexes, DropSearchIndex, UpdateSearchIndex, list_search_indexes,
};
pub(crate) use update::{Modification, Update};
pub(crate) use watch::{Watched, watch};

use std::time::{Duration, Instant};

use crate::{
    address::ServerAddress,
    error::{Error, Result},
    options::{CursorTimeoutMode, ReadConcern, ReadPreference, SelectionCriteria, WriteConcern},
    proto::{
        selection::Wanted,
        session::InSession,
        timeout::Timeout,
        topology::ServerType,
        transaction::End,
        wire::{DocumentWriter, Reply, Sequences},
    },
};

/// A command and what becomes of its reply.
///
/// One value serves all attempts of one operation, so [`Operation::write`] and
/// [`Operation::reply`] may be called again after a failed attempt.
pub(crate) trait Operation {
    /// What the operation gives its caller.
    type Output;

    /// The command's name.
    fn name(&self) -> &str;

    /// The database that the command goes to.
    fn database(&self) -> &str;

    /// The number of the whole operation, when this is one of its several commands: those of one
    /// bulk write have the same. The executor numbers all others.
    fn operation_id(&self) -> Option<i64> {
        None
    }

    /// How long the operation may take as a whole, all attempts included.
    fn timeout(&self) -> Timeout {
        Timeout::default()
    }

    /// What of the cursor that the operation opens the timeout bounds.
    fn timeout_mode(&self) -> CursorTimeoutMode {
        CursorTimeoutMode::CursorLifetime
    }

    /// Whether the server is told how much of the timeout is left, as `maxTimeMS`. With commands
    /// that open a cursor it bounds all of the cursor's life.
    fn limits_server(&self) -> bool {
        self.timeout_mode() == CursorTimeoutMode::CursorLifetime
    }

    /// Refuses limits of time that contradict each other, before anything is done.
    ///
    /// # Errors
    /// An invalid-argument error that says what to change.
    fn check_limits(&self) -> Result<()> {
        Ok(())
    }

    /// Whether a failed attempt may be followed by another.
    fn retryability(&self) -> Retryability {
        Retryability::None
    }

    /// Which of the client's options lets the command be tried again after the server was too busy
    /// to begin with it. Whatever it does, that is safe.
    fn after_overload(&self) -> AfterOverload {
        match (self.retryability(), self.selection()) {
            (Retryability::Write, _) | (_, Selection::Primary | Selection::WriteStage(_)) => {
                AfterOverload::IfWritesRetry
            }
            _ => AfterOverload::IfReadsRetry,
        }
    }

    /// Which servers may run the command.
    fn selection(&self) -> Selection<'_> {
        Selection::Primary
    }

    /// The read concern to send; the executor leaves out what the server must not get.
    fn read_concern(&self) -> Option<&ReadConcern> {
        None
    }

    /// The write concern to send. An unacknowledged one means that no reply is awaited.
    fn write_concern(&self) -> Option<&WriteConcern> {
        None
    }

    /// Whether the command takes part in a session at all.
    fn needs_session(&self) -> bool {
        true
    }

    /// What the command is to an application's session.
    fn in_session(&self) -> InSession {
        InSession::Plain
    }

    /// Whether it ends what an earlier command began, so that it is run while the client is being
    /// shut down as well.
    fn cleans_up(&self) -> bool {
        matches!(
            self.in_session(),
            InSession::CleanUp | InSession::Ends(End::Abort, _)
        )
    }

    /// Whether the server may hold its reply back until there is something to tell.
    fn waits_for_data(&self) -> bool {
        false
    }

    /// Learns that an attempt failed, before it may be made again.
    fn failed(&mut self, _error: &Error) {}

    /// Writes the command's own fields, its name first.
    ///
    /// # Errors
    /// An invalid-argument error when the command cannot be sent to this server.
    fn write(&mut self, command: &mut DocumentWriter<'_>, target: &Target<'_>) -> Result<()>;

    /// The documents that go beside the command written last.
    fn sequences(&self) -> Sequences<'_> {
        Sequences::NONE
    }

    /// Whether the server may reply several times, each time as if it had been asked again.
    fn takes_several_replies(&self) -> bool {
        false
    }

    /// What the caller gets from a reply whose `ok` is 1.
    fn reply(&mut self, reply: &Reply, target: &Target<'_>) -> Result<Self::Output>;

    /// What the caller gets when the server refused the command and no attempt is left.
    fn refused(&mut self, error: Error) -> Result<Self::Output> {
        Err(error)
    }

    /// What the caller gets when the command was sent and no reply was asked for.
    fn unacknowledged(&mut self) -> Result<Self::Output> {
        Err(Error::internal(format!(
            "{} was sent without asking for its reply",
            self.name()
        )))
    }
}

/// Whether a failed attempt may be followed by another, by the retryable reads and retryable
/// writes specifications.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retryability {
    /// As a read.
    Read,
    /// As a write, with a transaction number, when the write is acknowledged and the deployment
    /// has sessions.
    Write,
    /// Not at all.
    None,
}

/// Which of the client's options lets a command be tried again after an overload, by the client
/// backpressure specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AfterOverload {
    /// `retryReads`.
    IfReadsRetry,
    /// `retryWrites`.
    IfWritesRetry,
    /// Both, since nobody knows what the command does.
    IfBothRetry,
    /// None: always.
    Always,
}

/// Which servers may run a command.
#[derive(Clone, Debug)]
pub(crate) enum Selection<'a> {
    /// Those that take writes.
    Primary,
    /// Those that the criteria allow.
    Criteria(&'a SelectionCriteria),
    /// Those that the criteria allow, for a pipeline that ends in `$out` or `$merge`; while there
    /// is an available server older than 5.0, the primary alone.
    WriteStage(&'a SelectionCriteria),
    /// The server that an earlier command went to. The command carries no read preference.
    Pinned(&'a ServerAddress),
}

impl<'a> Selection<'a> {
    /// What to choose a server by; `None` when the server is given.
    pub(crate) fn wanted(&self) -> Option<Wanted<'a>> {
        match self {
            Self::Primary => Some(Wanted::Write),
            Self::Criteria(criteria) => Some(Wanted::from(*criteria)),
            Self::WriteStage(SelectionCriteria::ReadPreference(preference)) => {
                Some(Wanted::WriteStage(preference))
            }
            Self::WriteStage(criteria) => Some(Wanted::from(*criteria)),
            Self::Pinned(_) => None,
        }
    }

    /// The criteria of a read.
    pub(crate) fn criteria(&self) -> Option<&'a SelectionCriteria> {
        match self {
            Self::Criteria(criteria) | Self::WriteStage(criteria) => Some(criteria),
            Self::Primary | Self::Pinned(_) => None,
        }
    }

    /// Those for a read with these criteria.
    ///
    /// A read without any goes to the primary, too, but is no write: on a direct connection to
    /// another member the server must be told so, or it refuses.
    fn of(criteria: Option<&'a SelectionCriteria>) -> Self {
        Self::Criteria(criteria.unwrap_or(&PRIMARY))
    }

    /// Those for a read that only the primary of a set may answer, such as a listing.
    fn of_primary() -> Self {
        Self::Criteria(&PRIMARY)
    }
}

/// The server and connection that a command goes to.
#[derive(Clone, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) address: &'a ServerAddress,
    pub(crate) server_type: ServerType,
    pub(crate) max_wire_version: i32,
    /// The largest document, in bytes.
    pub(crate) max_bson_object_size: usize,
    /// The largest message, in bytes.
    pub(crate) max_message_size: usize,
    /// The most writes in one command.
    pub(crate) max_write_batch_size: usize,
    /// Whether the operation has a timeout, which puts a `maxTimeMS` of its options out of force.
    pub(crate) has_timeout: bool,
    /// What the timeout leaves for the server, if it is limited.
    pub(crate) time_left: Option<Duration>,
}

impl Target<'_> {
    /// Refuses a command, without the documents that follow it, which the server would not even
    /// parse: it would close the connection.
    ///
    /// # Errors
    /// An invalid-argument error that tells both sizes.
    pub(crate) fn check_command_size(&self, size: usize) -> Result<()> {
        let most = self.max_bson_object_size.saturating_add(COMMAND_MARGIN);
        if size > most {
            return Err(Error::invalid_argument(format!(
                "the command has {size} bytes and the server takes at most {most}; \
                 make its documents smaller"
            )));
        }
        Ok(())
    }
}

/// Where an operation works, and what it inherits from there.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scope<'a> {
    pub(crate) database: &'a str,
    /// Empty for operations on a whole database.
    pub(crate) collection: &'a str,
    pub(crate) selection_criteria: Option<&'a SelectionCriteria>,
    pub(crate) read_concern: Option<&'a ReadConcern>,
    pub(crate) write_concern: Option<&'a WriteConcern>,
    pub(crate) timeout: Timeout,
}

impl Scope<'_> {
    /// The same, with a timeout of the operation's own if there is one.
    pub(crate) fn limited(self, own: Option<Duration>) -> Self {
        Self {
            timeout: self.timeout.or_own(own),
            ..self
        }
    }

    /// The same, for an operation of several commands that begins now: they share its timeout,
    /// which may be one of its own.
    pub(crate) fn started(self, own: Option<Duration>, now: impl FnOnce() -> Instant) -> Self {
        Self {
            timeout: self.timeout.or_own(own).started(now),
            ..self
        }
    }
}

/// How much larger than a document a command may be, in bytes.
const COMMAND_MARGIN: usize = 16 * 1024;

static PRIMARY: SelectionCriteria = SelectionCriteria::ReadPreference(ReadPreference::Primary);

/// The newest wire version of server 4.2.
const WIRE_4_2: i32 = 8;
/// The newest wire version of server 4.4.
const WIRE_4_4: i32 = 9;
/// The newest wire version of server 8.0.
const WIRE_8_0: i32 = 25;
/// The newest wire version of server 8.2.
const WIRE_8_2: i32 = 27;

/// The server does not know the collection or database.
const NAMESPACE_NOT_FOUND: i32 = 26;

#[cfg(test)]
mod tests {
    use bson::Document;

    use super::*;
    use crate::proto::wire::{DEFAULT_MAX_MESSAGE_SIZE, Header, MessageFlags, MessageWriter};

    pub(super) static ADDRESS: ServerAddress = ServerAddress::Tcp {
        host: String::new(),
        port: None,
    };

    /// A server of version 6.0.
    pub(super) fn target() -> Target<'static> {
        Target {
            address: &ADDRESS,
            server_type: ServerType::RsPrimary,
            max_wire_version: 17,
            max_bson_object_size: 16 * 1024 * 1024,
            max_message_size: DEFAULT_MAX_MESSAGE_SIZE,
            max_write_batch_size: 100_000,
            has_timeout: false,
            time_left: None,
        }
    }

    /// A server of version 8.2, which knows every option.
    pub(super) fn newest() -> Target<'static> {
        Target {
            max_wire_version: WIRE_8_2,
            ..target()
        }
    }

    pub(super) fn scope() -> Scope<'static> {
        Scope {
            database: "d",
            collection: "c",
            ..Scope::default()
        }
    }

    #[test]
    fn a_command_may_be_a_little_larger_than_a_document() {
        let target = target();
        let most = target.max_bson_object_size + COMMAND_MARGIN;
        assert!(target.check_command_size(most).is_ok());
        assert!(target.check_command_size(most + 1).is_err());
    }

    /// The command as `operation` writes it for `target`.
    pub(super) fn written_for(
        operation: &mut impl Operation,
        target: &Target<'_>,
    ) -> Result<Document> {
        let mut buffer = Vec::new();
        let mut writer = DocumentWriter::begin(&mut buffer);
        operation.write(&mut writer, target)?;
        writer.end()?;
        let command = Document::from_reader(&*buffer).expect("a written command is BSON");
        let first = command.keys().next().expect("a command has fields");
        assert_eq!(first, operation.name(), "the name stands first");
        Ok(command)
    }

    pub(super) fn written(operation: &mut impl Operation) -> Document {
        written_for(operation, &target()).expect("the command can be written")
    }

    /// The command as the newest server gets it.
    pub(super) fn written_for_newest(operation: &mut impl Operation) -> Document {
        written_for(operation, &newest()).expect("the command can be written")
    }

    /// The reply that a server would send as `document`.
    pub(super) fn received(document: &Document) -> Reply {
        let mut buffer = Vec::new();
        let mut message = MessageWriter::begin(&mut buffer, MessageFlags::NONE);
        let mut body = message.body();
        for (key, value) in document {
            body.append_bson(key, value)
                .expect("a value can be written");
        }
        body.end().expect("a document ends");
        message
            .finish(1, DEFAULT_MAX_MESSAGE_SIZE)
            .expect("a reply is short");
        let start: [u8; 16] = buffer[..16].try_into().expect("a message has a header");
        let header = Header::parse(&start, DEFAULT_MAX_MESSAGE_SIZE).expect("a header is valid");
        Reply::parse(buffer.into(), &header).expect("a reply is valid")
    }

    #[test]
    fn a_read_without_criteria_wants_the_primary_and_is_no_write() {
        for selection in [Selection::of(None), Selection::of_primary()] {
            let wanted = selection.wanted();
            assert!(
                matches!(wanted, Some(Wanted::Read(&ReadPreference::Primary))),
                "{wanted:?}"
            );
        }
        let secondary = ReadPreference::secondary(None).into();
        let wanted = Selection::of(Some(&secondary)).wanted();
        assert!(
            matches!(wanted, Some(Wanted::Read(ReadPreference::Secondary { .. }))),
            "{wanted:?}"
        );
    }

    pub(super) fn replied<O: Operation>(
        operation: &mut O,
        document: &Document,
    ) -> Result<O::Output> {
        operation.reply(&received(document), &target())
    }
}
