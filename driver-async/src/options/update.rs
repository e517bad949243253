//! The options of updates and replacements.

use std::time::Duration;

use bson::{Bson, Document};
use serde::Deserialize;
use typed_builder::TypedBuilder;

use super::{Collation, Hint, WriteConcern};

/// Options of [`Collection::update_one`](crate::Collection::update_one) and
/// [`Collection::update_many`](crate::Collection::update_many).
///
/// See "update" among the database commands of the server's manual. What is absent is not sent.
#[derive(Clone, Debug, Default, Deserialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct UpdateOptions {
    /// Which elements of arrays the update's `$[name]` placeholders stand for.
    pub array_filters: Option<Vec<Document>>,
    /// Whether the collection's validator is left out.
    pub bypass_document_validation: Option<bool>,
    /// Whether a document is inserted when none matches. The server's default is no.
    pub upsert: Option<bool>,
    /// How strings are compared; the collection's default when absent.
    pub collation: Option<Collation>,
    /// Which index the server should use.
    pub hint: Option<Hint>,
    /// How many members must have the update; the collection's when absent.
    pub write_concern: Option<WriteConcern>,
    /// Variables that expressions can use as `$$name`.
    #[serde(rename = "let")]
    pub let_vars: Option<Document>,
    /// Goes with the command into the server's logs and profile.
    pub comment: Option<Bson>,
    /// The order in which the document to update is taken, by `update_one` only. Needs a server
    /// of version 8.0.
    pub sort: Option<Document>,
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

/// Options of [`Collection::replace_one`](crate::Collection::replace_one).
///
/// See "update" among the database commands of the server's manual. What is absent is not sent.
#[derive(Clone, Debug, Default, Deserialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct ReplaceOptions {
    /// Whether the collection's validator is left out.
    pub bypass_document_validation: Option<bool>,
    /// Whether the document is inserted when none matches. The server's default is no.
    pub upsert: Option<bool>,
    /// How strings are compared; the collection's default when absent.
    pub collation: Option<Collation>,
    /// Which index the server should use.
    pub hint: Option<Hint>,
    /// How many members must have the replacement; the collection's when absent.
    pub write_concern: Option<WriteConcern>,
    /// Variables that expressions can use as `$$name`.
    #[serde(rename = "let")]
    pub let_vars: Option<Document>,
    /// Goes with the command into the server's logs and profile.
    pub comment: Option<Bson>,
    /// The order in which the document to replace is taken. Needs a server of version 8.0.
    pub sort: Option<Document>,
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

impl From<ReplaceOptions> for UpdateOptions {
    fn from(options: ReplaceOptions) -> Self {
        Self {
            array_filters: None,
            bypass_document_validation: options.bypass_document_validation,
            upsert: options.upsert,
            collation: options.collation,
            hint: options.hint,
            write_concern: options.write_concern,
            let_vars: options.let_vars,
            comment: options.comment,
            sort: options.sort,
            raw_data: options.raw_data,
            timeout: options.timeout,
        }
    }
}
