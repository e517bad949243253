//! What operations return.

use std::collections::{BTreeMap, HashMap};

use bson::{Binary, Bson, Document};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::options::CreateCollectionOptions;

/// What [`Collection::insert_one`](crate::Collection::insert_one) did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct InsertOneResult {
    /// The document's `_id`: its own, or the one made for it.
    pub inserted_id: Bson,
}

/// What [`Collection::insert_many`](crate::Collection::insert_many) did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct InsertManyResult {
    /// The `_id` of each document, by its place, counted from 0, among those given.
    #[serde(serialize_with = "by_index")]
    pub inserted_ids: HashMap<usize, Bson>,
}

/// What an update or a replacement did. All is 0 when the write concern asked for no
/// acknowledgement.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct UpdateResult {
    /// How many documents matched.
    pub matched_count: u64,
    /// How many documents were changed; a match that is as wanted already is not.
    pub modified_count: u64,
    /// The `_id` of the document that was inserted because none matched.
    pub upserted_id: Option<Bson>,
}

/// What a delete did. The count is 0 when the write concern asked for no acknowledgement.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct DeleteResult {
    /// How many documents were deleted.
    pub deleted_count: u64,
}

/// What [`Client::bulk_write`](crate::Client::bulk_write) did, in numbers.
///
/// All is 0 when the write concern asked for no acknowledgement.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SummaryBulkWriteResult {
    /// Whether the servers acknowledged the writes, so that the numbers mean something.
    pub acknowledged: bool,
    /// How many documents were inserted.
    pub inserted_count: i64,
    /// How many documents matched updates and replacements.
    pub matched_count: i64,
    /// How many documents updates and replacements changed.
    pub modified_count: i64,
    /// How many documents were inserted because none matched an update or replacement.
    pub upserted_count: i64,
    /// How many documents were deleted.
    pub deleted_count: i64,
}

/// What [`Client::bulk_write`](crate::Client::bulk_write) did, and each of its writes.
///
/// The keys are the writes' places, counted from 0, among those given.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct VerboseBulkWriteResult {
    /// The numbers.
    #[serde(flatten)]
    pub summary: SummaryBulkWriteResult,
    /// What each successful insert did.
    #[serde(serialize_with = "by_index")]
    pub insert_results: HashMap<usize, InsertOneResult>,
    /// What each successful update or replacement did.
    #[serde(serialize_with = "by_index")]
    pub update_results: HashMap<usize, UpdateResult>,
    /// What each successful delete did.
    #[serde(serialize_with = "by_index")]
    pub delete_results: HashMap<usize, DeleteResult>,
}

/// What [`Collection::bulk_write`](crate::Collection::bulk_write) did.
///
/// The keys are the writes' places, counted from 0, among those given.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CollectionBulkWriteResult {
    /// Whether the server acknowledged the writes. Otherwise all numbers are 0, and the `_id`s
    /// are those that were sent.
    pub acknowledged: bool,
    /// How many documents were inserted.
    pub inserted_count: u64,
    /// How many documents matched updates and replacements.
    pub matched_count: u64,
    /// How many documents updates and replacements changed.
    pub modified_count: u64,
    /// How many documents were inserted because none matched an update or replacement.
    pub upserted_count: u64,
    /// How many documents were deleted.
    pub deleted_count: u64,
    /// The `_id` of each inserted document.
    #[serde(serialize_with = "by_index")]
    pub inserted_ids: HashMap<usize, Bson>,
    /// The `_id` of each document that was inserted because none matched.
    #[serde(serialize_with = "by_index")]
    pub upserted_ids: HashMap<usize, Bson>,
}

impl SummaryBulkWriteResult {
    /// Adds what a further command did.
    pub(crate) fn add(&mut self, batch: &Self) {
        self.acknowledged |= batch.acknowledged;
        for (total, more) in [
            (&mut self.inserted_count, batch.inserted_count),
            (&mut self.matched_count, batch.matched_count),
            (&mut self.modified_count, batch.modified_count),
            (&mut self.upserted_count, batch.upserted_count),
            (&mut self.deleted_count, batch.deleted_count),
        ] {
            *total = total.saturating_add(more);
        }
    }
}

impl CollectionBulkWriteResult {
    /// Adds what a further command did.
    pub(crate) fn add(&mut self, batch: Self) {
        self.acknowledged |= batch.acknowledged;
        self.inserted_count = self.inserted_count.saturating_add(batch.inserted_count);
        self.matched_count = self.matched_count.saturating_add(batch.matched_count);
        self.modified_count = self.modified_count.saturating_add(batch.modified_count);
        self.upserted_count = self.upserted_count.saturating_add(batch.upserted_count);
        self.deleted_count = self.deleted_count.saturating_add(batch.deleted_count);
        // Most bulk writes are one command, whose maps need not be filled again.
        if self.inserted_ids.is_empty() {
            self.inserted_ids = batch.inserted_ids;
        } else {
            self.inserted_ids.extend(batch.inserted_ids);
        }
        self.upserted_ids.extend(batch.upserted_ids);
    }

    /// Whether nothing is known to have been done.
    pub(crate) fn is_empty(&self) -> bool {
        let counts = [
            self.inserted_count,
            self.matched_count,
            self.modified_count,
            self.upserted_count,
            self.deleted_count,
        ];
        counts == [0; 5] && self.inserted_ids.is_empty()
    }
}

/// BSON's keys are strings.
fn by_index<T: Serialize, S: Serializer>(
    map: &HashMap<usize, T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let sorted: BTreeMap<_, _> = map.iter().collect();
    serializer.collect_map(
        sorted
            .into_iter()
            .map(|(key, value)| (key.to_string(), value)),
    )
}

/// What [`Collection::create_index`](crate::Collection::create_index) did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreateIndexResult {
    /// The index's name.
    pub index_name: String,
}

/// What [`Collection::create_indexes`](crate::Collection::create_indexes) did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreateIndexesResult {
    /// The indexes' names, in the order given.
    pub index_names: Vec<String>,
}

/// What a listed collection is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum CollectionType {
    /// A view: a stored pipeline over a collection.
    View,
    /// A collection.
    #[default]
    Collection,
    /// A time series collection.
    Timeseries,
    /// A type that this driver does not name.
    #[serde(untagged)]
    Other(String),
}

/// What cannot be chosen about a collection.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CollectionSpecificationInfo {
    /// Whether writes are refused, as those to views are.
    #[serde(default)]
    pub read_only: bool,
    /// The collection's UUID; views have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<Binary>,
}

/// A collection as [`Database::list_collections`](crate::Database::list_collections) lists it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CollectionSpecification {
    /// The name.
    pub name: String,
    /// Whether it is a collection or a view.
    #[serde(rename = "type", default)]
    pub collection_type: CollectionType,
    /// The options that it was made with.
    #[serde(default)]
    pub options: CreateCollectionOptions,
    /// What cannot be chosen about it.
    #[serde(default)]
    pub info: CollectionSpecificationInfo,
    /// The index on `_id`; views have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_index: Option<Document>,
}

/// A database as [`Client::list_databases`](crate::Client::list_databases) lists it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct DatabaseSpecification {
    /// The name.
    pub name: String,
    /// How much room the database takes on disk, in bytes.
    #[serde(default, deserialize_with = "size")]
    pub size_on_disk: u64,
    /// Whether the database has no data.
    #[serde(default)]
    pub empty: bool,
    /// The size on each shard of a sharded cluster, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shards: Option<Document>,
}

/// Servers give sizes as any of BSON's number types.
fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Whole(u64),
        Double(f64),
    }
    match Number::deserialize(deserializer)? {
        Number::Whole(size) => Ok(size),
        Number::Double(size) => format!("{size:.0}")
            .parse()
            .map_err(|_| D::Error::custom("a size is no whole number of 0 or more")),
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    #[test]
    fn a_listed_collection_reads_back_with_what_is_known_of_it() {
        let listed = doc! {
            "name": "c", "type": "collection",
            "options": {
                "capped": true, "size": 4096.0, "max": 3_i64, "validationAction": "errorAndLog",
                "clusteredIndex": { "v": 2, "key": { "_id": 1 }, "name": "x", "unique": true },
                "encryptedFields": { "fields": [] }, "someDay": 1,
            },
            "info": { "readOnly": false, "uuid": bson::Uuid::new(), "someDay": 1 },
            "idIndex": { "v": 2, "key": { "_id": 1 }, "name": "_id_" }, "someDay": 1,
        };
        let read: CollectionSpecification =
            bson::deserialize_from_document(listed.clone()).unwrap();
        assert_eq!(read.collection_type, CollectionType::Collection);
        assert_eq!(read.options.size, Some(4096));
        assert_eq!(read.options.max, Some(3));
        assert_eq!(read.options.encrypted_fields, Some(doc! { "fields": [] }));
        assert!(read.info.uuid.is_some());
        assert_eq!(read.id_index.as_ref(), listed.get_document("idIndex").ok());
    }

    #[test]
    fn a_name_is_all_that_a_listing_needs() {
        let listed = doc! { "name": "c", "type": "someDay" };
        let read: CollectionSpecification = bson::deserialize_from_document(listed).unwrap();
        let other = CollectionType::Other("someDay".into());
        assert_eq!(read.collection_type, other);
        let view = doc! { "name": "v", "type": "view", "options": { "viewOn": "c" } };
        let read: CollectionSpecification = bson::deserialize_from_document(view).unwrap();
        assert_eq!(read.collection_type, CollectionType::View);
        assert!(bson::deserialize_from_document::<CollectionSpecification>(doc! {}).is_err());
    }
}
