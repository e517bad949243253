//! The options of a collection handle, and types that several commands share.

use std::time::Duration;

use bson::Document;
use serde::{Deserialize, Serialize};
use typed_builder::TypedBuilder;

use super::{ReadConcern, SelectionCriteria, WriteConcern};

/// What the operations of one [`Collection`](crate::Collection) handle inherit.
///
/// What is left out comes from the database.
#[derive(Clone, Debug, Default, Deserialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct CollectionOptions {
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

/// Which index the server should use.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Hint {
    /// The index of these keys.
    Keys(Document),
    /// The index of this name.
    Name(String),
}

/// What a cursor does at the end of its collection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum CursorType {
    /// It ends.
    #[default]
    NonTailable,
    /// It stays open and gives documents added later. Only for capped collections.
    Tailable,
    /// Like tailable, and the server waits a while for new documents before it answers.
    TailableAwait,
    /// It ends, and the server sends all batches after the first without being asked for each.
    ///
    /// The cursor keeps a connection for itself from the second batch to the last. One that is
    /// dropped in between costs that connection: use it to read everything, fast. It cannot have
    /// a limit, and sharded clusters do not support it; both are refused.
    Exhaust,
}

impl CursorType {
    pub(crate) fn is_tailable(self) -> bool {
        matches!(self, Self::Tailable | Self::TailableAwait)
    }

    /// What of such a cursor a timeout bounds, given what the caller asked for.
    pub(crate) fn timeout_mode(self, asked: Option<CursorTimeoutMode>) -> CursorTimeoutMode {
        match asked {
            Some(mode) => mode,
            None if self.is_tailable() => CursorTimeoutMode::Iteration,
            None => CursorTimeoutMode::CursorLifetime,
        }
    }

    /// Whether the server is told how long it may work on the command that opens such a cursor. It
    /// takes that for the limit of all batches, unless the cursor awaits data.
    pub(crate) fn limits_server(self, asked: Option<CursorTimeoutMode>) -> bool {
        self == Self::TailableAwait || self.timeout_mode(asked) == CursorTimeoutMode::CursorLifetime
    }
}

/// What of a cursor a [timeout](super::ClientOptions::timeout) bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum CursorTimeoutMode {
    /// All of its life: the command that opens it and every batch, however long the program takes
    /// in between. What has come is still given once the time is up.
    #[default]
    CursorLifetime,
    /// The command that opens it, and each call for the next document or batch on its own. The only
    /// mode of tailable cursors. A pipeline that writes its result cannot have it.
    Iteration,
}

/// What an update does: a document of update operators, or an aggregation pipeline.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum UpdateModifications {
    /// Update operators, such as `{ "$set": { "a": 1 } }`.
    Document(Document),
    /// Stages such as `$set`, `$unset` and `$replaceWith`.
    Pipeline(Vec<Document>),
}

impl From<Document> for UpdateModifications {
    fn from(update: Document) -> Self {
        Self::Document(update)
    }
}

impl From<Vec<Document>> for UpdateModifications {
    fn from(pipeline: Vec<Document>) -> Self {
        Self::Pipeline(pipeline)
    }
}
