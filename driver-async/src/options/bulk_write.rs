//! The options of bulk writes, and the writes that a client's bulk write takes.

use std::time::Duration;

use bson::{Array, Bson, Document, RawDocumentBuf};
use serde::{Deserialize, Serialize};
use typed_builder::TypedBuilder;

use super::{UpdateModifications, WriteConcern};
use crate::{error::Result, namespace::Namespace};

/// Options of [`Client::bulk_write`](crate::Client::bulk_write).
///
/// See "bulkWrite" among the database commands of the server's manual. What is absent is not sent.
#[derive(Clone, Debug, Default, Deserialize, Serialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct BulkWriteOptions {
    /// Whether the first refused write ends the operation, which is the default. Otherwise all
    /// are tried and every refusal is reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ordered: Option<bool>,
    /// Whether the collections' validators are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bypass_document_validation: Option<bool>,
    /// Goes with the commands into the server's logs and profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<Bson>,
    /// Variables that expressions can use as `$$name`.
    #[serde(skip_serializing_if = "Option::is_none", rename = "let")]
    pub let_vars: Option<Document>,
    /// How many members must have the writes; the client's when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_concern: Option<WriteConcern>,
    /// Whether the writes work on documents as they are stored, as with time series. Sent to
    /// servers of version 8.2 and newer only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_data: Option<bool>,
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

/// Options of [`Collection::bulk_write`](crate::Collection::bulk_write).
///
/// See "insert", "update" and "delete" among the database commands of the server's manual. What is
/// absent is not sent.
#[derive(Clone, Debug, Default, Deserialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct CollectionBulkWriteOptions {
    /// Whether the first refused write ends the operation, which is the default. Otherwise all
    /// are tried, grouped by their kind, and every refusal is reported.
    pub ordered: Option<bool>,
    /// Whether the collection's validator is left out.
    pub bypass_document_validation: Option<bool>,
    /// Goes with the commands into the server's logs and profile.
    pub comment: Option<Bson>,
    /// Variables that expressions of updates and deletes can use as `$$name`.
    #[serde(rename = "let")]
    pub let_vars: Option<Document>,
    /// How many members must have the writes; the collection's when absent.
    pub write_concern: Option<WriteConcern>,
    /// Whether the writes work on documents as they are stored, as with time series. Sent to
    /// servers of version 8.2 and newer only.
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

/// A whole document of a [`WriteModel`]: one to insert, or one that takes another's place.
///
/// It is made from a [`Document`] or, without such a detour, from BSON that exists already;
/// [`Collection::insert_one_model`](crate::Collection::insert_one_model) makes it from any type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum ModelDocument {
    /// As keys and values.
    Document(Document),
    /// As BSON.
    Raw(RawDocumentBuf),
}

impl ModelDocument {
    pub(crate) fn serialise(value: &impl Serialize) -> Result<Self> {
        Ok(Self::Raw(bson::serialize_to_raw_document_buf(value)?))
    }
}

impl Default for ModelDocument {
    fn default() -> Self {
        Self::Document(Document::new())
    }
}

impl From<Document> for ModelDocument {
    fn from(document: Document) -> Self {
        Self::Document(document)
    }
}

impl From<RawDocumentBuf> for ModelDocument {
    fn from(document: RawDocumentBuf) -> Self {
        Self::Raw(document)
    }
}

/// One write of [`Client::bulk_write`](crate::Client::bulk_write), with the collection that it is
/// for.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum WriteModel {
    /// Inserts a document.
    InsertOne(InsertOneModel),
    /// Updates the first document that matches.
    UpdateOne(UpdateOneModel),
    /// Updates every document that matches.
    UpdateMany(UpdateManyModel),
    /// Replaces the first document that matches.
    ReplaceOne(ReplaceOneModel),
    /// Deletes the first document that matches.
    DeleteOne(DeleteOneModel),
    /// Deletes every document that matches.
    DeleteMany(DeleteManyModel),
}

/// Inserts a document. One without an `_id` gets an object id as its first field.
#[derive(Clone, Debug, Serialize, Deserialize, TypedBuilder)]
#[builder(field_defaults(setter(into)))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct InsertOneModel {
    /// The collection.
    #[serde(skip_serializing)]
    pub namespace: Namespace,
    /// The document.
    pub document: ModelDocument,
}

/// Updates the first document that matches.
#[derive(Clone, Debug, Serialize, Deserialize, TypedBuilder)]
#[builder(field_defaults(setter(into)))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct UpdateOneModel {
    /// The collection.
    #[serde(skip_serializing)]
    pub namespace: Namespace,
    /// Which document.
    pub filter: Document,
    /// What to do with it.
    #[serde(rename(serialize = "updateMods"))]
    pub update: UpdateModifications,
    /// Which elements of arrays the update's `$[name]` placeholders stand for.
    #[builder(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub array_filters: Option<Array>,
    /// How strings are compared; the collection's default when absent.
    #[builder(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collation: Option<Document>,
    /// Which index the server should use: its name, or its keys.
    #[builder(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<Bson>,
    /// Whether a document is inserted when none matches. The server's default is no.
    #[builder(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upsert: Option<bool>,
    /// The order in which the document is taken.
    #[builder(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort: Option<Document>,
}

/// Updates every document that matches. A command that holds such a write is not retried.
#[derive(Clone, Debug, Serialize, Deserialize, TypedBuilder)]
#[builder(field_defaults(setter(into)))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct UpdateManyModel {
    /// The collection.
    #[serde(skip_serializing)]
    pub namespace: Namespace,
    /// Which documents.
    pub filter: Document,
    /// What to do with them.
    #[serde(rename(serialize = "updateMods"))]
    pub update: UpdateModifications,
    /// Which elements of arrays the update's `$[name]` placeholders stand for.
    #[builder(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub array_filters: Option<Array>,
    /// How strings are compared; the collection's default when absent.
    #[builder(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collation: Option<Document>,
    /// Which index the server should use: its name, or its keys.
    #[builder(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<Bson>,
    /// Whether a document is inserted when none matches. The server's default is no.
    #[builder(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upsert: Option<bool>,
}

/// Replaces the first document that matches, all but its `_id`.
#[derive(Clone, Debug, Serialize, Deserialize, TypedBuilder)]
#[builder(field_defaults(setter(into)))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ReplaceOneModel {
    /// The collection.
    #[serde(skip_serializing)]
    pub namespace: Namespace,
    /// Which document.
    pub filter: Document,
    /// What to put in its place.
    #[serde(rename(serialize = "updateMods"))]
    pub replacement: ModelDocument,
    /// How strings are compared; the collection's default when absent.
    #[builder(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collation: Option<Document>,
    /// Which index the server should use: its name, or its keys.
    #[builder(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<Bson>,
    /// Whether the document is inserted when none matches. The server's default is no.
    #[builder(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upsert: Option<bool>,
    /// The order in which the document is taken.
    #[builder(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort: Option<Document>,
}

/// Deletes the first document that matches.
#[derive(Clone, Debug, Serialize, Deserialize, TypedBuilder)]
#[builder(field_defaults(setter(into)))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct DeleteOneModel {
    /// The collection.
    #[serde(skip_serializing)]
    pub namespace: Namespace,
    /// Which document.
    pub filter: Document,
    /// How strings are compared; the collection's default when absent.
    #[builder(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collation: Option<Document>,
    /// Which index the server should use: its name, or its keys.
    #[builder(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<Bson>,
}

/// Deletes every document that matches. A command that holds such a write is not retried.
#[derive(Clone, Debug, Serialize, Deserialize, TypedBuilder)]
#[builder(field_defaults(setter(into)))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct DeleteManyModel {
    /// The collection.
    #[serde(skip_serializing)]
    pub namespace: Namespace,
    /// Which documents; all when nothing is said.
    #[builder(default)]
    pub filter: Document,
    /// How strings are compared; the collection's default when absent.
    #[builder(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collation: Option<Document>,
    /// Which index the server should use: its name, or its keys.
    #[builder(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<Bson>,
}

macro_rules! into_model {
    ($($kind:ident: $type:ty,)*) => {
        $(impl From<$type> for WriteModel {
            fn from(model: $type) -> Self {
                Self::$kind(model)
            }
        })*
    };
}

into_model! {
    InsertOne: InsertOneModel,
    UpdateOne: UpdateOneModel,
    UpdateMany: UpdateManyModel,
    ReplaceOne: ReplaceOneModel,
    DeleteOne: DeleteOneModel,
    DeleteMany: DeleteManyModel,
}
