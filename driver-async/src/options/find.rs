//! The options of `find` and `find_one`.

use std::time::Duration;

use bson::{Bson, Document};
use serde::{Deserialize, Serialize};
use typed_builder::TypedBuilder;

use super::{Collation, CursorTimeoutMode, CursorType, Hint, ReadConcern, SelectionCriteria};

/// Options of [`Collection::find`](crate::Collection::find).
///
/// See "find" among the database commands of the server's manual. What is absent is not sent.
#[derive(Clone, Debug, Default, Deserialize, Serialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct FindOptions {
    /// Whether the server may use the disk for a sort that needs more than its memory limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_disk_use: Option<bool>,
    /// Whether a sharded cluster with unreachable shards answers with what it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_partial_results: Option<bool>,
    /// How many documents the server sends at once. The server sends 101 at first, and then as
    /// many as fit into 16 MiB. With 0 the first reply has no document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<u32>,
    /// Goes with the command, and those for further batches, into the server's logs and profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<Bson>,
    /// What the cursor does at the end of the collection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor_type: Option<CursorType>,
    /// Which index the server should use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<Hint>,
    /// How many documents are returned at most; 0 means all. A negative number means its
    /// absolute value, in a single batch whatever the batch size is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    /// The upper bound, exclusive, of the keys of the index that `hint` names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<Document>,
    /// How long the server waits for new documents before it answers with an empty batch. Only
    /// for [`CursorType::TailableAwait`]; whole milliseconds.
    /// Must be shorter than a [timeout](super::ClientOptions::timeout).
    #[serde(
        skip_serializing_if = "Option::is_none",
        rename = "maxAwaitTimeMS",
        with = "crate::options::serde_shapes::millis"
    )]
    pub max_await_time: Option<Duration>,
    /// How long the server may work on the query, over all batches; whole milliseconds, 0 for
    /// no limit.
    /// A [timeout](super::ClientOptions::timeout) puts it out of force.
    #[serde(
        skip_serializing_if = "Option::is_none",
        rename = "maxTimeMS",
        alias = "maxTime",
        with = "crate::options::serde_shapes::millis"
    )]
    pub max_time: Option<Duration>,
    /// The lower bound, inclusive, of the keys of the index that `hint` names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<Document>,
    /// Whether the server keeps an idle cursor for longer than its usual 10 minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_cursor_timeout: Option<bool>,
    /// Which fields are returned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub projection: Option<Document>,
    /// How settled the data must be; the collection's when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_concern: Option<ReadConcern>,
    /// Whether only the keys of the index are returned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_key: Option<bool>,
    /// Which servers may answer; the collection's when absent.
    #[serde(skip_serializing, alias = "readPreference")]
    pub selection_criteria: Option<SelectionCriteria>,
    /// Whether each document gets a field `$recordId`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub show_record_id: Option<bool>,
    /// How many documents are left out at the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip: Option<u64>,
    /// The order of the documents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort: Option<Document>,
    /// How strings are compared; the collection's default when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collation: Option<Collation>,
    /// Variables that expressions in the filter can use as `$$name`.
    #[serde(skip_serializing_if = "Option::is_none", rename = "let")]
    pub let_vars: Option<Document>,
    /// Whether the next batch is asked for while the current one is read; off by default.
    ///
    /// At most one batch is fetched ahead, in a task of its own, so up to two are in memory. It
    /// helps when the documents are worked on for about as long as the server needs for a batch.
    /// Tailable cursors are not affected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefetch: Option<bool>,
    /// Whether the command sees a time series collection's documents as they are stored, in
    /// buckets. Needs a server of version 8.2; not sent to older ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_data: Option<bool>,
    /// How long the operation may take as a whole; the collection's when absent, zero for no
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
    /// no timeout. A tailable cursor
    /// knows [`Iteration`](super::CursorTimeoutMode::Iteration) alone.
    #[serde(skip_serializing)]
    pub timeout_mode: Option<CursorTimeoutMode>,
}

/// Options of [`Collection::find_one`](crate::Collection::find_one).
///
/// See "find" among the database commands of the server's manual. What is absent is not sent.
#[derive(Clone, Debug, Default, Deserialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct FindOneOptions {
    /// Whether the server may use the disk for a sort that needs more than its memory limit.
    pub allow_disk_use: Option<bool>,
    /// Whether a sharded cluster with unreachable shards answers with what it has.
    pub allow_partial_results: Option<bool>,
    /// How strings are compared; the collection's default when absent.
    pub collation: Option<Collation>,
    /// Goes with the command into the server's logs and profile.
    pub comment: Option<Bson>,
    /// Which index the server should use.
    pub hint: Option<Hint>,
    /// The upper bound, exclusive, of the keys of the index that `hint` names.
    pub max: Option<Document>,
    /// How long the server may work on the query; whole milliseconds, 0 for no limit.
    /// A [timeout](super::ClientOptions::timeout) puts it out of force.
    #[serde(
        rename = "maxTimeMS",
        alias = "maxTime",
        with = "crate::options::serde_shapes::millis"
    )]
    pub max_time: Option<Duration>,
    /// The lower bound, inclusive, of the keys of the index that `hint` names.
    pub min: Option<Document>,
    /// Which fields are returned.
    pub projection: Option<Document>,
    /// How settled the data must be; the collection's when absent.
    pub read_concern: Option<ReadConcern>,
    /// Whether only the keys of the index are returned.
    pub return_key: Option<bool>,
    /// Which servers may answer; the collection's when absent.
    #[serde(alias = "readPreference")]
    pub selection_criteria: Option<SelectionCriteria>,
    /// Whether the document gets a field `$recordId`.
    pub show_record_id: Option<bool>,
    /// How many documents are left out at the start.
    pub skip: Option<u64>,
    /// The order in which the first document is taken.
    pub sort: Option<Document>,
    /// Variables that expressions in the filter can use as `$$name`.
    #[serde(rename = "let")]
    pub let_vars: Option<Document>,
    /// Whether the command sees a time series collection's documents as they are stored, in
    /// buckets. Needs a server of version 8.2; not sent to older ones.
    pub raw_data: Option<bool>,
    /// How long the operation may take as a whole; the collection's when absent, zero for no
    /// limit. See [`ClientOptions::timeout`](super::ClientOptions::timeout).
    #[serde(
        rename = "timeoutMS",
        alias = "timeout",
        with = "crate::options::serde_shapes::millis"
    )]
    pub timeout: Option<Duration>,
}

impl From<FindOneOptions> for FindOptions {
    /// The same options, with a limit that lets the server close the cursor at once.
    fn from(options: FindOneOptions) -> Self {
        Self {
            allow_disk_use: options.allow_disk_use,
            allow_partial_results: options.allow_partial_results,
            collation: options.collation,
            comment: options.comment,
            hint: options.hint,
            limit: Some(-1),
            max: options.max,
            max_time: options.max_time,
            min: options.min,
            projection: options.projection,
            read_concern: options.read_concern,
            return_key: options.return_key,
            selection_criteria: options.selection_criteria,
            show_record_id: options.show_record_id,
            skip: options.skip,
            sort: options.sort,
            let_vars: options.let_vars,
            raw_data: options.raw_data,
            timeout: options.timeout,
            ..Self::default()
        }
    }
}
