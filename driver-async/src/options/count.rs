//! The options of counts.

use std::time::Duration;

use bson::Bson;
use serde::{Deserialize, Serialize};
use typed_builder::TypedBuilder;

use super::{Collation, Hint, ReadConcern, SelectionCriteria};

/// Options of [`Collection::count_documents`](crate::Collection::count_documents) and
/// [`Collection::count`](crate::Collection::count).
#[derive(Clone, Debug, Default, Deserialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct CountOptions {
    /// Which index the server should use.
    pub hint: Option<Hint>,
    /// The number at which counting ends; 0 for no end.
    pub limit: Option<u64>,
    /// How long the server may count; whole milliseconds, 0 for no limit.
    /// A [timeout](super::ClientOptions::timeout) puts it out of force.
    #[serde(
        rename = "maxTimeMS",
        alias = "maxTime",
        with = "crate::options::serde_shapes::millis"
    )]
    pub max_time: Option<Duration>,
    /// How many documents are left out before the count begins.
    pub skip: Option<u64>,
    /// How strings are compared; the collection's default when absent.
    pub collation: Option<Collation>,
    /// Which servers may answer; the collection's when absent.
    #[serde(alias = "readPreference")]
    pub selection_criteria: Option<SelectionCriteria>,
    /// How settled the data must be; the collection's when absent.
    pub read_concern: Option<ReadConcern>,
    /// Goes with the command into the server's logs and profile.
    pub comment: Option<Bson>,
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

/// Options of
/// [`Collection::estimated_document_count`](crate::Collection::estimated_document_count).
#[derive(Clone, Debug, Default, Deserialize, Serialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct EstimatedDocumentCountOptions {
    /// How long the server may take; whole milliseconds, 0 for no limit.
    /// A [timeout](super::ClientOptions::timeout) puts it out of force.
    #[serde(
        skip_serializing_if = "Option::is_none",
        rename = "maxTimeMS",
        alias = "maxTime",
        with = "crate::options::serde_shapes::millis"
    )]
    pub max_time: Option<Duration>,
    /// Which servers may answer; the collection's when absent.
    #[serde(skip_serializing, alias = "readPreference")]
    pub selection_criteria: Option<SelectionCriteria>,
    /// How settled the data must be; the collection's when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_concern: Option<ReadConcern>,
    /// Goes with the command into the server's logs and profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<Bson>,
    /// Whether the command sees a time series collection's documents as they are stored, in
    /// buckets. Needs a server of version 8.2; not sent to older ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_data: Option<bool>,
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
