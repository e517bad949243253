//! Results of operations as the documents that test files expect.

use std::collections::HashMap;

use bson::{Bson, Document, doc};
use motorcade::error::PartialBulkWriteResult;
use motorcade::results::{
    CollectionBulkWriteResult, DeleteResult, InsertManyResult, InsertOneResult,
    SummaryBulkWriteResult, UpdateResult, VerboseBulkWriteResult,
};
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

impl ResultDocument for CollectionBulkWriteResult {
    fn document(&self) -> Document {
        doc! {
            "insertedCount": number(self.inserted_count),
            "matchedCount": number(self.matched_count),
            "modifiedCount": number(self.modified_count),
            "deletedCount": number(self.deleted_count),
            "upsertedCount": number(self.upserted_count),
            "insertedIds": by_index(&self.inserted_ids, Clone::clone),
            "upsertedIds": by_index(&self.upserted_ids, Clone::clone),
        }
    }
}

impl ResultDocument for SummaryBulkWriteResult {
    fn document(&self) -> Document {
        doc! {
            "insertedCount": self.inserted_count,
            "matchedCount": self.matched_count,
            "modifiedCount": self.modified_count,
            "deletedCount": self.deleted_count,
            "upsertedCount": self.upserted_count,
        }
    }
}

impl ResultDocument for VerboseBulkWriteResult {
    fn document(&self) -> Document {
        let update = |result: &UpdateResult| {
            let mut document = result.document();
            // The result of one of many updates has no such count.
            document.remove("upsertedCount");
            Bson::Document(document)
        };
        let mut document = self.summary.document();
        let inserts = by_index(&self.insert_results, |result| result.document().into());
        let deletes = by_index(&self.delete_results, |result| result.document().into());
        document.insert("insertResults", inserts);
        document.insert("updateResults", by_index(&self.update_results, update));
        document.insert("deleteResults", deletes);
        document
    }
}

impl ResultDocument for PartialBulkWriteResult {
    fn document(&self) -> Document {
        match self {
            Self::Summary(result) => result.document(),
            Self::Verbose(result) => result.document(),
        }
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
