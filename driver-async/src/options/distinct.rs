//! The options of `distinct`.

use std::time::Duration;

use bson::Bson;
use serde::{Deserialize, Serialize};
use typed_builder::TypedBuilder;

use super::{Collation, Hint, ReadConcern, SelectionCriteria};

/// Options of [`Collection::distinct`](crate::Collection::distinct).
///
/// See "distinct" among the database commands of the server's manual. What is absent is not
/// sent.
#[derive(Clone, Debug, Default, Deserialize, Serialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct DistinctOptions {
    /// How long the server may work; whole milliseconds, 0 for no limit.
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
    /// How strings are compared; the collection's default when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collation: Option<Collation>,
    /// Goes with the command into the server's logs and profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<Bson>,
    /// Which index the server should use. Needs a server of version 7.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<Hint>,
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
