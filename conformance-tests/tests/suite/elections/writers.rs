//! Writers whose every write leaves a trace.

use std::collections::BTreeMap;

use crate::flavor::driver::bson::{Document, doc};
use crate::flavor::driver::error::Result;
use crate::flavor::driver::options::ReadConcern;
use crate::flavor::driver::{Collection, Database};
use crate::flavor::{collect, go};

/// Each writer inserts numbered documents and counts up in a document of its own.
pub(super) struct Writers {
    pub(super) inserted: Collection<Document>,
    counted: Collection<Document>,
}

impl Writers {
    pub(super) fn of(database: &Database, writers: usize) -> Self {
        let counted = database.collection("counted");
        let zero = (0..writers).map(|number| doc! { "_id": id(number), "count": 0 });
        go!(counted.insert_many(zero)).expect("inserts");
        Self {
            inserted: database.collection("inserted"),
            counted,
        }
    }

    pub(super) fn write(&self, writer: usize, turn: i32) -> Result<()> {
        let writer = id(writer);
        if turn % 2 == 0 {
            let document = doc! { "writer": writer, "turn": turn };
            go!(self.inserted.insert_one(document)).map(drop)
        } else {
            let count = doc! { "$inc": { "count": 1 } };
            let updated = go!(self.counted.update_one(doc! { "_id": writer }, count))?;
            assert_eq!((updated.matched_count, updated.modified_count), (1, 1));
            Ok(())
        }
    }

    /// Checks that each of the first `done` turns of each writer took effect once, and nothing
    /// else did.
    pub(super) fn check(&self, done: &[usize]) {
        let mut found = BTreeMap::<i32, Vec<i32>>::new();
        for document in everything(&self.inserted) {
            let number = |key| document.get_i32(key).expect("is a number");
            found
                .entry(number("writer"))
                .or_default()
                .push(number("turn"));
        }
        let counts: BTreeMap<i32, i32> = everything(&self.counted)
            .iter()
            .map(|it| (it.get_i32("_id"), it.get_i32("count")))
            .map(|(writer, count)| (writer.expect("has an id"), count.expect("has a count")))
            .collect();
        for (writer, done) in done.iter().enumerate() {
            let (writer, done) = (id(writer), id(*done));
            let mut turns = found.remove(&writer).unwrap_or_default();
            turns.sort_unstable();
            let wanted: Vec<_> = (0..done).step_by(2).collect();
            assert!(
                turns == wanted,
                "writer {writer} inserted {turns:?} in {done} turns"
            );
            assert_eq!(counts[&writer], done / 2, "writer {writer} in {done} turns");
        }
        assert!(found.is_empty(), "nobody else writes: {found:?}");
    }
}

/// All documents that the majority has.
pub(super) fn everything(collection: &Collection<Document>) -> Vec<Document> {
    let all = collection
        .find(doc! {})
        .read_concern(ReadConcern::majority());
    collect!(go!(all).expect("finds")).expect("reads")
}

/// A worker's number as it stands in documents.
pub(super) fn id(number: usize) -> i32 {
    i32::try_from(number).expect("is small")
}
