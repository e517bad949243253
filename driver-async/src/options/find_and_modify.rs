//! The options of `find_one_and_update`, `find_one_and_replace` and `find_one_and_delete`.

use std::time::Duration;

use bson::{Bson, Document};
use serde::Deserialize;
use typed_builder::TypedBuilder;

use super::{Collation, Hint, WriteConcern};

/// Which state of a changed document is returned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum ReturnDocument {
    /// As it is after the change.
    #[serde(alias = "After")]
    After,
    /// As it was before the change; none for one that was inserted.
    #[default]
    #[serde(alias = "Before")]
    Before,
}

/// Options of [`Collection::find_one_and_delete`](crate::Collection::find_one_and_delete).
///
/// See "findAndModify" among the database commands of the server's manual. What is absent is not
/// sent.
#[derive(Clone, Debug, Default, Deserialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct FindOneAndDeleteOptions {
    /// How long the server may work; whole milliseconds, 0 for no limit.
    /// A [timeout](super::ClientOptions::timeout) puts it out of force.
    #[serde(
        rename = "maxTimeMS",
        alias = "maxTime",
        with = "crate::options::serde_shapes::millis"
    )]
    pub max_time: Option<Duration>,
    /// Which fields are returned.
    pub projection: Option<Document>,
    /// The order in which the document to delete is taken.
    pub sort: Option<Document>,
    /// How many members must have the deletion; the collection's when absent.
    pub write_concern: Option<WriteConcern>,
    /// How strings are compared; the collection's default when absent.
    pub collation: Option<Collation>,
    /// Which index the server should use. Needs a server of version 4.4.
    pub hint: Option<Hint>,
    /// Variables that expressions can use as `$$name`.
    #[serde(rename = "let")]
    pub let_vars: Option<Document>,
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

/// Options of [`Collection::find_one_and_replace`](crate::Collection::find_one_and_replace).
///
/// See "findAndModify" among the database commands of the server's manual. What is absent is not
/// sent.
#[derive(Clone, Debug, Default, Deserialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct FindOneAndReplaceOptions {
    /// Whether the collection's validator is left out.
    pub bypass_document_validation: Option<bool>,
    /// How long the server may work; whole milliseconds, 0 for no limit.
    /// A [timeout](super::ClientOptions::timeout) puts it out of force.
    #[serde(
        rename = "maxTimeMS",
        alias = "maxTime",
        with = "crate::options::serde_shapes::millis"
    )]
    pub max_time: Option<Duration>,
    /// Which fields are returned.
    pub projection: Option<Document>,
    /// Whether the old or the new document is returned. The server's default is the old one.
    pub return_document: Option<ReturnDocument>,
    /// The order in which the document to replace is taken.
    pub sort: Option<Document>,
    /// Whether the document is inserted when none matches. The server's default is no.
    pub upsert: Option<bool>,
    /// How many members must have the replacement; the collection's when absent.
    pub write_concern: Option<WriteConcern>,
    /// How strings are compared; the collection's default when absent.
    pub collation: Option<Collation>,
    /// Which index the server should use. Needs a server of version 4.4.
    pub hint: Option<Hint>,
    /// Variables that expressions can use as `$$name`.
    #[serde(rename = "let")]
    pub let_vars: Option<Document>,
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

/// Options of [`Collection::find_one_and_update`](crate::Collection::find_one_and_update).
///
/// See "findAndModify" among the database commands of the server's manual. What is absent is not
/// sent.
#[derive(Clone, Debug, Default, Deserialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct FindOneAndUpdateOptions {
    /// Which elements of arrays the update's `$[name]` placeholders stand for.
    pub array_filters: Option<Vec<Document>>,
    /// Whether the collection's validator is left out.
    pub bypass_document_validation: Option<bool>,
    /// How long the server may work; whole milliseconds, 0 for no limit.
    /// A [timeout](super::ClientOptions::timeout) puts it out of force.
    #[serde(
        rename = "maxTimeMS",
        alias = "maxTime",
        with = "crate::options::serde_shapes::millis"
    )]
    pub max_time: Option<Duration>,
    /// Which fields are returned.
    pub projection: Option<Document>,
    /// Whether the old or the new document is returned. The server's default is the old one.
    pub return_document: Option<ReturnDocument>,
    /// The order in which the document to update is taken.
    pub sort: Option<Document>,
    /// Whether a document is inserted when none matches. The server's default is no.
    pub upsert: Option<bool>,
    /// How many members must have the update; the collection's when absent.
    pub write_concern: Option<WriteConcern>,
    /// How strings are compared; the collection's default when absent.
    pub collation: Option<Collation>,
    /// Which index the server should use. Needs a server of version 4.4.
    pub hint: Option<Hint>,
    /// Variables that expressions can use as `$$name`.
    #[serde(rename = "let")]
    pub let_vars: Option<Document>,
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

impl From<FindOneAndDeleteOptions> for FindOneAndUpdateOptions {
    fn from(options: FindOneAndDeleteOptions) -> Self {
        Self {
            max_time: options.max_time,
            projection: options.projection,
            sort: options.sort,
            write_concern: options.write_concern,
            collation: options.collation,
            hint: options.hint,
            let_vars: options.let_vars,
            comment: options.comment,
            timeout: options.timeout,
            raw_data: options.raw_data,
            ..Self::default()
        }
    }
}

impl From<FindOneAndReplaceOptions> for FindOneAndUpdateOptions {
    fn from(options: FindOneAndReplaceOptions) -> Self {
        Self {
            array_filters: None,
            bypass_document_validation: options.bypass_document_validation,
            max_time: options.max_time,
            projection: options.projection,
            return_document: options.return_document,
            sort: options.sort,
            upsert: options.upsert,
            write_concern: options.write_concern,
            collation: options.collation,
            hint: options.hint,
            let_vars: options.let_vars,
            comment: options.comment,
            timeout: options.timeout,
            raw_data: options.raw_data,
        }
    }
}
