//! Results of operations as the documents that test files expect.

use std::collections::HashMap;

use bson::{Bson, Document, doc};
use motorcade::results::{DeleteResult, InsertManyResult, InsertOneResult, UpdateResult};
use serde::Serialize;

/// A result as a document with the names of the specifications.
pub trait ResultDocument {
    /// The document.
    fn document(&self) -> Document;
}

impl ResultDocument for InsertOneResult {
    fn document(&self) -> Document {
        doc! { "insertedId": self.inserted_id.clone() }
    }
}

impl ResultDocument for InsertManyResult {
    fn document(&self) -> Document {
        doc! {
            "insertedCount": count(self.inserted_ids.len()),
            "insertedIds": by_index(&self.inserted_ids, Clone::clone),
        }
    }
}

impl ResultDocument for UpdateResult {
    fn document(&self) -> Document {
        let mut document = doc! {
            "matchedCount": number(self.matched_count),
            "modifiedCount": number(self.modified_count),
            "upsertedCount": i32::from(self.upserted_id.is_some()),
        };
        if let Some(id) = &self.upserted_id {
            document.insert("upsertedId", id.clone());
        }
        document
    }
}

impl ResultDocument for DeleteResult {
    fn document(&self) -> Document {
        doc! { "deletedCount": number(self.deleted_count) }
    }
}

/// A map from the place of a model to something about it, with decimal keys in their order.
pub fn by_index<T>(map: &HashMap<usize, T>, value: impl Fn(&T) -> Bson) -> Document {
    let mut indexes: Vec<_> = map.keys().copied().collect();
    indexes.sort_unstable();
    indexes
        .into_iter()
        .filter_map(|index| Some((index.to_string(), value(map.get(&index)?))))
        .collect()
}

/// What a listing gives, as a document.
///
/// # Errors
///
/// Fails when the value is not one that BSON can hold.
pub fn specification(value: &impl Serialize) -> Result<Bson, String> {
    bson::serialize_to_bson(value).map_err(|error| error.to_string())
}

/// A count as BSON.
pub fn number(value: u64) -> Bson {
    i64::try_from(value).map_or(Bson::Null, Bson::Int64)
}

fn count(value: usize) -> Bson {
    i64::try_from(value).map_or(Bson::Null, Bson::Int64)
}
