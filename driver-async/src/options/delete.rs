//! The options of deletes.

use std::time::Duration;

use bson::{Bson, Document};
use serde::{Deserialize, Serialize};
use typed_builder::TypedBuilder;

use super::{Collation, Hint, WriteConcern};

/// Options of [`Collection::delete_one`](crate::Collection::delete_one) and
/// [`Collection::delete_many`](crate::Collection::delete_many).
///
/// See "delete" among the database commands of the server's manual. What is absent is not sent.
#[derive(Clone, Debug, Default, Deserialize, Serialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct DeleteOptions {
    /// How strings are compared; the collection's default when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collation: Option<Collation>,
    /// How many members must have the deletion; the collection's when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_concern: Option<WriteConcern>,
    /// Which index the server should use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<Hint>,
    /// Variables that expressions can use as `$$name`.
    #[serde(skip_serializing_if = "Option::is_none", rename = "let")]
    pub let_vars: Option<Document>,
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
