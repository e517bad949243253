//! The options of aggregations.

use std::time::Duration;

use bson::{Bson, Document};
use serde::{Deserialize, Serialize};
use typed_builder::TypedBuilder;

use super::{Collation, CursorTimeoutMode, Hint, ReadConcern, SelectionCriteria, WriteConcern};

/// Options of [`Collection::aggregate`](crate::Collection::aggregate) and
/// [`Database::aggregate`](crate::Database::aggregate).
///
/// See "aggregate" among the database commands of the server's manual. What is absent is not
/// sent.
#[derive(Clone, Debug, Default, Deserialize, Serialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct AggregateOptions {
    /// Whether stages may use the disk when they need more than the server's memory limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_disk_use: Option<bool>,
    /// How many documents the server sends at once; its own choice when absent. Not sent for a
    /// pipeline that ends in `$out` or `$merge`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<u32>,
    /// Whether `$out` and `$merge` leave out the target's validator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bypass_document_validation: Option<bool>,
    /// How strings are compared; the collection's default when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collation: Option<Collation>,
    /// Goes with the command, and those for further batches, into the server's logs and profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<Bson>,
    /// Which index the server should use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<Hint>,
    /// How long the server waits for new results before it answers with an empty batch; whole
    /// milliseconds. Only for pipelines whose cursor stays open, such as change streams.
    /// Must be shorter than a [timeout](super::ClientOptions::timeout).
    #[serde(
        skip_serializing_if = "Option::is_none",
        rename = "maxAwaitTimeMS",
        with = "crate::options::serde_shapes::millis"
    )]
    pub max_await_time: Option<Duration>,
    /// How long the server may work on the pipeline, over all batches; whole milliseconds, 0
    /// for no limit.
    /// A [timeout](super::ClientOptions::timeout) puts it out of force.
    #[serde(
        skip_serializing_if = "Option::is_none",
        rename = "maxTimeMS",
        alias = "maxTime",
        with = "crate::options::serde_shapes::millis"
    )]
    pub max_time: Option<Duration>,
    /// How settled the data must be; the collection's when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_concern: Option<ReadConcern>,
    /// Which servers may answer; the collection's when absent. A pipeline that writes runs on
    /// the primary while any server is older than 5.0.
    #[serde(skip_serializing, alias = "readPreference")]
    pub selection_criteria: Option<SelectionCriteria>,
    /// How many members must have what `$out` or `$merge` writes; the collection's when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_concern: Option<WriteConcern>,
    /// Variables that expressions can use as `$$name`.
    #[serde(skip_serializing_if = "Option::is_none", rename = "let")]
    pub let_vars: Option<Document>,
    /// Whether the next batch is asked for while the current one is read; off by default. See
    /// [`FindOptions::prefetch`](super::FindOptions::prefetch). Change streams are not affected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefetch: Option<bool>,
    /// Whether the command sees a time series collection's documents as they are stored, in
    /// buckets. Needs a server of version 8.2; not sent to older ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_data: Option<bool>,
    /// How long the operation may take as a whole; its handle's when absent, zero for no
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
