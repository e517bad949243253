//! What change streams tell.

use std::fmt;

use bson::{DateTime, Document, Timestamp, Uuid};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Visitor},
};

pub use crate::options::ResumeToken;

/// One change, as a [`ChangeStream`](super::ChangeStream) tells it.
///
/// See "Change Events" in the server's manual. A pipeline may change the shape of events; then use
/// [`ChangeStream::with_type`](super::ChangeStream::with_type) with a type of that shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ChangeStreamEvent<T> {
    /// The event's place in the stream. To go on after it in another stream, use
    /// [`ChangeStream::resume_token`](super::ChangeStream::resume_token), which may be newer.
    #[serde(rename = "_id")]
    pub id: ResumeToken,
    /// What was done.
    pub operation_type: OperationType,
    /// Where it was done.
    pub ns: Option<ChangeNamespace>,
    /// What kind of collection was created. Needs
    /// [`show_expanded_events`](crate::options::ChangeStreamOptions::show_expanded_events) and
    /// MongoDB 8.1.
    pub ns_type: Option<ChangeNamespaceType>,
    /// The new name of a collection that was renamed.
    pub to: Option<ChangeNamespace>,
    /// The session of the transaction that the change was part of.
    pub lsid: Option<Document>,
    /// The number of the transaction that the change was part of.
    pub txn_number: Option<i64>,
    /// The document's `_id`, and its shard key if the collection is sharded.
    pub document_key: Option<Document>,
    /// What an update has changed.
    pub update_description: Option<UpdateDescription>,
    /// When it was done, by the cluster's clock.
    pub cluster_time: Option<Timestamp>,
    /// When it was done, by the server's clock. From MongoDB 6.0 on.
    pub wall_time: Option<DateTime>,
    /// The whole document. Inserts and replacements have it, updates as
    /// [`full_document`](crate::options::ChangeStreamOptions::full_document) says; absent when it
    /// was deleted meanwhile.
    pub full_document: Option<T>,
    /// The document as it was before, as
    /// [`full_document_before_change`](crate::options::ChangeStreamOptions::full_document_before_change)
    /// says.
    pub full_document_before_change: Option<T>,
    /// What was done to a collection or its indexes. Needs
    /// [`show_expanded_events`](crate::options::ChangeStreamOptions::show_expanded_events).
    pub operation_description: Option<Document>,
    /// The collection's own id, which renaming does not change. Needs
    /// [`show_expanded_events`](crate::options::ChangeStreamOptions::show_expanded_events).
    #[serde(rename = "collectionUUID")]
    pub collection_uuid: Option<Uuid>,
}

/// What an update has changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct UpdateDescription {
    /// The fields that were set, with dots in the names of nested ones, and their new values.
    pub updated_fields: Document,
    /// The fields that were removed.
    pub removed_fields: Vec<String>,
    /// The arrays that were cut off, as far as `updated_fields` does not have them.
    pub truncated_arrays: Option<Vec<TruncatedArray>>,
    /// What names with dots stand for, where that is ambiguous. Needs
    /// [`show_expanded_events`](crate::options::ChangeStreamOptions::show_expanded_events) and
    /// MongoDB 6.1.
    pub disambiguated_paths: Option<Document>,
}

/// An array that was cut off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TruncatedArray {
    /// The array's name, with dots if it is nested.
    pub field: String,
    /// How many elements are left.
    pub new_size: i32,
}

/// What was done. Servers may tell of more than is listed here.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OperationType {
    /// A document was inserted.
    Insert,
    /// Fields of a document were changed.
    Update,
    /// A document was replaced.
    Replace,
    /// A document was deleted.
    Delete,
    /// A collection was dropped.
    Drop,
    /// A collection was renamed.
    Rename,
    /// A database was dropped.
    DropDatabase,
    /// What is watched is not there any more. The stream ends; another one can be opened with
    /// [`start_after`](crate::options::ChangeStreamOptions::start_after).
    Invalidate,
    /// Something else, in the server's words.
    Other(String),
}

impl OperationType {
    fn named(name: &str) -> Self {
        match name {
            "insert" => Self::Insert,
            "update" => Self::Update,
            "replace" => Self::Replace,
            "delete" => Self::Delete,
            "drop" => Self::Drop,
            "rename" => Self::Rename,
            "dropDatabase" => Self::DropDatabase,
            "invalidate" => Self::Invalidate,
            other => Self::Other(other.to_owned()),
        }
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Replace => "replace",
            Self::Delete => "delete",
            Self::Drop => "drop",
            Self::Rename => "rename",
            Self::DropDatabase => "dropDatabase",
            Self::Invalidate => "invalidate",
            Self::Other(other) => other,
        }
    }
}

impl<'de> Deserialize<'de> for OperationType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Named;

        impl Visitor<'_> for Named {
            type Value = OperationType;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of an operation")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<OperationType, E> {
                Ok(OperationType::named(name))
            }
        }

        deserializer.deserialize_str(Named)
    }
}

impl Serialize for OperationType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The place of a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChangeNamespace {
    /// The database.
    pub db: String,
    /// The collection, unless the whole database was changed.
    pub coll: Option<String>,
}

/// What kind of collection was created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum ChangeNamespaceType {
    /// A collection.
    Collection,
    /// A time series collection.
    Timeseries,
    /// A view.
    View,
    /// Something else, in the server's words.
    #[serde(untagged)]
    Other(String),
}

#[cfg(test)]
mod tests {
    use bson::{RawBson, doc, rawdoc};

    use super::*;

    #[test]
    fn events_of_every_kind_are_read_and_written_by_the_servers_names() {
        let uuid = Uuid::from_bytes([7; 16]);
        let event = doc! {
            "_id": { "_data": "82" }, "operationType": "update",
            "ns": { "db": "d", "coll": "c" }, "nsType": "timeseries",
            "to": { "db": "e", "coll": null }, "lsid": { "id": 1 }, "txnNumber": 5_i64,
            "documentKey": { "_id": 1 },
            "updateDescription": {
                "updatedFields": { "a.b": 1 }, "removedFields": ["c"],
                "truncatedArrays": [{ "field": "l", "newSize": 2 }],
                "disambiguatedPaths": { "a.b": ["a.b"] },
            },
            "clusterTime": Timestamp { time: 1, increment: 2 },
            "wallTime": DateTime::from_millis(3), "fullDocument": { "_id": 1 },
            "fullDocumentBeforeChange": { "_id": 1, "c": 2 },
            "operationDescription": { "v": 1 }, "collectionUUID": uuid,
        };
        let bytes = event.to_vec().unwrap();
        let read: ChangeStreamEvent<Document> = bson::deserialize_from_slice(&bytes).unwrap();
        assert_eq!(
            read.id,
            ResumeToken(RawBson::Document(rawdoc! { "_data": "82" }))
        );
        assert_eq!(read.operation_type, OperationType::Update);
        assert_eq!(read.ns_type, Some(ChangeNamespaceType::Timeseries));
        assert_eq!(read.collection_uuid, Some(uuid));
        assert_eq!(bson::serialize_to_document(&read).unwrap(), event);
    }

    #[test]
    fn what_is_unknown_or_absent_is_no_error() {
        let event = doc! {
            "_id": { "_data": "82" }, "operationType": "reshardCollection", "new": 1,
            "fullDocument": null, "nsType": "new",
        };
        let bytes = event.to_vec().unwrap();
        let read: ChangeStreamEvent<Document> = bson::deserialize_from_slice(&bytes).unwrap();
        assert_eq!(
            read.operation_type,
            OperationType::Other("reshardCollection".to_owned())
        );
        assert_eq!(
            read.ns_type,
            Some(ChangeNamespaceType::Other("new".to_owned()))
        );
        assert_eq!((read.full_document, read.ns), (None, None));
    }
}
