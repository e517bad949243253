//! The options of `insert_one` and `insert_many`.

use std::time::Duration;

use bson::Bson;
use serde::{Deserialize, Serialize};
use typed_builder::TypedBuilder;

use super::WriteConcern;

/// Options of [`Collection::insert_one`](crate::Collection::insert_one).
///
/// See "insert" among the database commands of the server's manual. What is absent is not sent.
#[derive(Clone, Debug, Default, Deserialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct InsertOneOptions {
    /// Whether the collection's validator is left out.
    pub bypass_document_validation: Option<bool>,
    /// How many members must have the document; the collection's when absent.
    pub write_concern: Option<WriteConcern>,
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

/// Options of [`Collection::insert_many`](crate::Collection::insert_many).
///
/// See "insert" among the database commands of the server's manual. What is absent is not sent.
#[derive(Clone, Debug, Default, Deserialize, Serialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct InsertManyOptions {
    /// Whether the collection's validator is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bypass_document_validation: Option<bool>,
    /// Whether the first refused document ends the operation, which is the default. Otherwise
    /// all are tried and every refusal is reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ordered: Option<bool>,
    /// How many members must have the documents; the collection's when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_concern: Option<WriteConcern>,
    /// Goes with the commands into the server's logs and profile.
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
