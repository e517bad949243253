//! The options of a database handle and of its commands.

use std::time::Duration;

use bson::{Bson, Document};
use serde::{Deserialize, Serialize};
use typed_builder::TypedBuilder;

use super::{CursorTimeoutMode, CursorType, ReadConcern, SelectionCriteria, WriteConcern};

/// What the operations and collections of one [`Database`](crate::Database) handle inherit.
///
/// What is left out comes from the client.
#[derive(Clone, Debug, Default, Deserialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct DatabaseOptions {
    /// Which servers serve reads.
    #[serde(alias = "readPreference")]
    pub selection_criteria: Option<SelectionCriteria>,
    /// How settled the data of reads must be.
    pub read_concern: Option<ReadConcern>,
    /// How many members must have a write before it is acknowledged.
    pub write_concern: Option<WriteConcern>,
    /// How long an operation may take as a whole; zero for no limit. See
    /// [`ClientOptions::timeout`](super::ClientOptions::timeout).
    #[serde(
        rename = "timeoutMS",
        alias = "timeout",
        with = "crate::options::serde_shapes::millis"
    )]
    pub timeout: Option<Duration>,
}

/// Options of [`Database::run_command`](crate::Database::run_command).
#[derive(Clone, Debug, Default, Deserialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct RunCommandOptions {
    /// Which servers may run the command; the primary unless given. The database's own criteria
    /// are not inherited, as the run command specification wants.
    #[serde(alias = "readPreference")]
    pub selection_criteria: Option<SelectionCriteria>,
    /// How long the operation may take as a whole; the database's when absent, zero for no
    /// limit. See [`ClientOptions::timeout`](super::ClientOptions::timeout).
    #[serde(
        rename = "timeoutMS",
        alias = "timeout",
        with = "crate::options::serde_shapes::millis"
    )]
    pub timeout: Option<Duration>,
}

/// Options of [`Database::run_cursor_command`](crate::Database::run_cursor_command).
///
/// All but the selection criteria are for further batches only: what the first one is like is
/// said in the command itself.
#[derive(Clone, Debug, Default, Deserialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct RunCursorCommandOptions {
    /// Which servers may run the command; the primary unless given. The database's own criteria
    /// are not inherited, as the run command specification wants.
    #[serde(alias = "readPreference")]
    pub selection_criteria: Option<SelectionCriteria>,
    /// What the cursor does at its end. The command itself must ask the server for a tailable
    /// cursor; what happens when the two differ is undefined. A cursor of any command can be
    /// [`CursorType::Exhaust`].
    pub cursor_type: Option<CursorType>,
    /// How many documents each further batch has; the server's own choice when absent or 0.
    pub batch_size: Option<u32>,
    /// How long the server may take for each further batch; whole milliseconds, 0 for no limit.
    /// For a cursor that awaits data it is how long the server waits for some; for others, servers
    /// may refuse it.
    #[serde(
        rename = "maxTimeMS",
        alias = "maxtime",
        alias = "maxTime",
        with = "crate::options::serde_shapes::millis"
    )]
    pub max_time: Option<Duration>,
    /// Goes with each request for a further batch into the server's logs and profile. Servers
    /// before 4.4 are not told.
    pub comment: Option<Bson>,
    /// How long the operation may take as a whole; the database's when absent, zero for no
    /// limit. What of its cursor that bounds is said by [`timeout_mode`](Self::timeout_mode). See
    /// [`ClientOptions::timeout`](super::ClientOptions::timeout).
    #[serde(
        rename = "timeoutMS",
        alias = "timeout",
        with = "crate::options::serde_shapes::millis"
    )]
    pub timeout: Option<Duration>,
    /// What of the cursor the timeout bounds: by default its whole lifetime. Refused when there is
    /// no timeout. A tailable cursor
    /// knows [`Iteration`](super::CursorTimeoutMode::Iteration) alone.
    pub timeout_mode: Option<CursorTimeoutMode>,
}

/// Options of [`Database::drop`](crate::Database::drop).
#[derive(Clone, Debug, Default, Deserialize, Serialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct DropDatabaseOptions {
    /// How many members must have done this before it is acknowledged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_concern: Option<WriteConcern>,
    /// Goes with the command into the server's logs and profile. Needs a server of version 4.4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<Bson>,
    /// How long the operation may take as a whole; the database's when absent, zero for no
    /// limit. See [`ClientOptions::timeout`](super::ClientOptions::timeout).
    #[serde(
        skip_serializing,
        rename = "timeoutMS",
        alias = "timeout",
        with = "crate::options::serde_shapes::millis"
    )]
    pub timeout: Option<Duration>,
}

/// Options of [`Collection::drop`](crate::Collection::drop).
#[derive(Clone, Debug, Default, Deserialize, Serialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct DropCollectionOptions {
    /// How many members must have done this before it is acknowledged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_concern: Option<WriteConcern>,
    /// Goes with the command into the server's logs and profile. Needs a server of version 4.4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<Bson>,
    /// The encrypted fields of the collection, whose helper collections would be dropped, too.
    /// Refused, as this version does not encrypt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encrypted_fields: Option<Document>,
    /// How long the operation may take as a whole; the collection's when absent, zero for no
    /// limit. See [`ClientOptions::timeout`](super::ClientOptions::timeout).
    #[serde(
        skip_serializing,
        rename = "timeoutMS",
        alias = "timeout",
        with = "crate::options::serde_shapes::millis"
    )]
    pub timeout: Option<Duration>,
}

/// Options of [`Database::list_collections`](crate::Database::list_collections).
#[derive(Clone, Debug, Default, Deserialize, Serialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct ListCollectionsOptions {
    /// How many collections the server sends at once; its own choice when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<u32>,
    /// Goes with the command into the server's logs and profile. Needs a server of version 4.4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<Bson>,
    /// Which collections are listed, by `name`, `type`, `options` or `info`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<Document>,
    /// Whether a user without the right to list all collections gets those that it may use.
    /// Servers grant that for [names only](crate::Database::list_collection_names).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorized_collections: Option<bool>,
    /// Whether time series collections are listed as they are stored. Servers before 8.2 are not
    /// told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_data: Option<bool>,
    /// How long the operation may take as a whole; the database's when absent, zero for no
    /// limit. What of its cursor that bounds is said by [`timeout_mode`](Self::timeout_mode). See
    /// [`ClientOptions::timeout`](super::ClientOptions::timeout).
    #[serde(
        skip_serializing,
        rename = "timeoutMS",
        alias = "timeout",
        with = "crate::options::serde_shapes::millis"
    )]
    pub timeout: Option<Duration>,
    /// What of the cursor the timeout bounds: by default its whole lifetime. Refused when there is
    /// no timeout.
    #[serde(skip_serializing)]
    pub timeout_mode: Option<CursorTimeoutMode>,
}

/// Options of [`Client::list_databases`](crate::Client::list_databases).
#[derive(Clone, Debug, Default, Deserialize, Serialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct ListDatabasesOptions {
    /// Whether only the databases are listed that the user may use. The server decides by the
    /// user's rights when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorized_databases: Option<bool>,
    /// Goes with the command into the server's logs and profile. Needs a server of version 4.4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<Bson>,
    /// Which databases are listed, by `name`, `sizeOnDisk`, `empty` or `shards`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<Document>,
    /// How long the operation may take as a whole; the client's when absent, zero for no
    /// limit. See [`ClientOptions::timeout`](super::ClientOptions::timeout).
    #[serde(
        skip_serializing,
        rename = "timeoutMS",
        alias = "timeout",
        with = "crate::options::serde_shapes::millis"
    )]
    pub timeout: Option<Duration>,
}
