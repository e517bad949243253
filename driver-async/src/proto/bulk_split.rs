//! Many documents in one buffer, and how they are split into commands.

use std::ops::Range;

use bson::{Bson, RawDocument, oid::ObjectId};
use serde::Serialize;

use crate::error::{Error, Result};

/// The bytes of a generated `_id`: its type, its key with the end, and the object id.
const GENERATED_ID: usize = 1 + 4 + 12;
const LENGTH: usize = 4;
/// Room for a small document, so that the buffer need not grow for it step by step.
const FIRST_ROOM: usize = 512;

/// The documents of an insert, each serialised once, one after the other in one buffer.
///
/// A document without an `_id` gets an object id as its first field.
#[derive(Clone, Debug, Default)]
pub(crate) struct Payload {
    bytes: Vec<u8>,
    /// Where the first document starts.
    start: usize,
    /// Where each document ends.
    ends: Vec<usize>,
    ids: Vec<Bson>,
    /// The largest document's index and size.
    largest: (usize, usize),
    /// Whether the document before brought its own `_id`; the next is likely to do the same.
    expects_id: bool,
}

/// What one command can carry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchLimits {
    /// The most documents.
    pub(crate) documents: usize,
    /// The most bytes of documents.
    pub(crate) bytes: usize,
}

impl Payload {
    /// Serialises a document to the end of the buffer.
    ///
    /// The buffer gets a gap in front of a document that will probably need an `_id`: the `_id`
    /// then fills the gap and only the length moves, however large the document is.
    ///
    /// # Errors
    /// A BSON error when the value is no document. The documents before it stay.
    pub(crate) fn push<T: Serialize>(&mut self, document: &T) -> Result<()> {
        if self.bytes.capacity() == 0 {
            self.bytes.reserve(FIRST_ROOM);
        }
        let base = self.bytes.len();
        match self.try_push(document, base) {
            Ok(id) => {
                let from = self.ends.last().copied().unwrap_or(self.start);
                let size = self.bytes.len() - from;
                if size > self.largest.1 {
                    self.largest = (self.ends.len(), size);
                }
                self.ends.push(self.bytes.len());
                self.ids.push(id);
                Ok(())
            }
            Err(error) => {
                self.bytes.truncate(base);
                Err(error)
            }
        }
    }

    fn try_push<T: Serialize>(&mut self, document: &T, base: usize) -> Result<Bson> {
        let gap = if self.expects_id { 0 } else { GENERATED_ID };
        self.bytes.resize(base + gap, 0);
        bson::serialize_to_buffer(document, &mut self.bytes)?;
        let own = self.id_of(base + gap)?;
        self.expects_id = own.is_some();
        match own {
            Some(id) if gap == 0 => Ok(id),
            Some(id) if self.ends.is_empty() => {
                self.start = gap;
                Ok(id)
            }
            Some(id) => {
                self.bytes.drain(base..base + gap);
                Ok(id)
            }
            None => {
                if gap == 0 {
                    self.bytes
                        .splice(base..base, std::iter::repeat_n(0, GENERATED_ID));
                }
                let id = ObjectId::new();
                self.fill_gap(base, id)?;
                Ok(id.into())
            }
        }
    }

    fn id_of(&self, start: usize) -> Result<Option<Bson>> {
        let document = RawDocument::from_bytes(self.bytes.get(start..).unwrap_or_default())?;
        Ok(match document.get("_id")? {
            Some(id) => Some(id.try_into()?),
            None => None,
        })
    }

    /// Writes the length and the `_id` over the gap at `base` and the length that follows it.
    fn fill_gap(&mut self, base: usize, id: ObjectId) -> Result<()> {
        let length = self.bytes.len() - base;
        let length = i32::try_from(length).map_err(|_| {
            Error::invalid_argument(format!(
                "a document of {length} bytes is too large for BSON"
            ))
        })?;
        let mut front = [0; LENGTH + GENERATED_ID];
        front[..4].copy_from_slice(&length.to_le_bytes());
        front[4..9].copy_from_slice(b"\x07_id\0");
        front[9..].copy_from_slice(&id.bytes());
        if let Some(place) = self.bytes.get_mut(base..base + front.len()) {
            place.copy_from_slice(&front);
        }
        Ok(())
    }

    /// How many documents there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no document.
    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The `_id` of each document.
    pub(crate) fn ids(&self) -> &[Bson] {
        &self.ids
    }

    /// The bytes of these documents.
    pub(crate) fn documents(&self, range: &Range<usize>) -> &[u8] {
        let from = self.start_of(range.start);
        let to = self.start_of(range.end);
        self.bytes.get(from..to).unwrap_or_default()
    }

    fn start_of(&self, index: usize) -> usize {
        index
            .checked_sub(1)
            .and_then(|before| self.ends.get(before).copied())
            .unwrap_or(self.start)
    }

    /// The documents from `from` on that one command can carry; at least one, while there is one.
    pub(crate) fn batch(&self, from: usize, limits: BatchLimits) -> Range<usize> {
        let most = limits.documents.max(1);
        let end = self.len().min(from.saturating_add(most));
        let rest = self.ends.get(from..end).unwrap_or_default();
        let start = self.start_of(from);
        let fitting = rest.partition_point(|end| end - start <= limits.bytes);
        from..from + fitting.max(1).min(rest.len())
    }

    /// Refuses documents larger than the server takes.
    ///
    /// # Errors
    /// An invalid-argument error that names the largest document's index and size.
    pub(crate) fn check_sizes(&self, max_document_size: usize) -> Result<()> {
        let (index, size) = self.largest;
        if size > max_document_size {
            return Err(Error::invalid_argument(format!(
                "the document at index {index} has {size} bytes and the server takes at most \
                 {max_document_size}; nothing was inserted"
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bson::{Document, doc};

    use super::*;

    fn read(payload: &Payload) -> Vec<Document> {
        (0..payload.len())
            .map(|i| Document::from_reader(payload.documents(&(i..i + 1))).unwrap())
            .collect()
    }

    #[test]
    fn a_missing_id_is_put_first_and_an_own_id_is_kept() {
        // Every order of present and missing takes another way through the gap.
        for pattern in 0..16_u32 {
            let mut payload = Payload::default();
            for place in 0..4 {
                let own = doc! { "x": "y".repeat(place), "_id": place as i32 };
                let missing = doc! { "x": "y".repeat(place) };
                let has = pattern & (1 << place) != 0;
                payload.push(if has { &own } else { &missing }).unwrap();
            }
            for (place, document) in read(&payload).iter().enumerate() {
                let own = pattern & (1 << place) != 0;
                let mut keys: Vec<_> = document.keys().map(String::as_str).collect();
                if own {
                    keys.reverse();
                }
                assert_eq!(keys, ["_id", "x"], "pattern {pattern:#b}, document {place}");
                assert_eq!(document.get_str("x").unwrap().len(), place);
                assert_eq!(document.get("_id"), payload.ids().get(place));
                assert_eq!(payload.ids()[place].as_object_id().is_none(), own);
            }
        }
    }

    #[test]
    fn a_value_that_is_no_document_leaves_the_others_whole() {
        let mut payload = Payload::default();
        payload.push(&doc! { "_id": 1 }).unwrap();
        assert!(payload.push(&5).is_err());
        payload.push(&doc! { "_id": 2 }).unwrap();
        assert_eq!(read(&payload), [doc! { "_id": 1 }, doc! { "_id": 2 }]);
    }

    #[test]
    fn batches_keep_to_the_count_and_to_the_bytes() {
        let mut payload = Payload::default();
        for id in 0..5 {
            payload.push(&doc! { "_id": id }).unwrap();
        }
        let size = payload.documents(&(0..1)).len();
        let split = |documents, bytes| {
            let mut from = 0;
            let mut ends = Vec::new();
            while from < payload.len() {
                let batch = payload.batch(from, BatchLimits { documents, bytes });
                assert_eq!(batch.start, from);
                from = batch.end;
                ends.push(from);
            }
            ends
        };
        assert_eq!(split(2, usize::MAX), [2, 4, 5]);
        assert_eq!(split(100, 3 * size), [3, 5]);
        assert_eq!(split(100, 3 * size - 1), [2, 4, 5]);
        // What fits nowhere goes alone, so that the server or the message limit refuses it.
        assert_eq!(split(100, 1), [1, 2, 3, 4, 5]);
        assert_eq!(split(0, usize::MAX), [1, 2, 3, 4, 5]);
        assert_eq!(split(100, 5 * size), [5]);
    }

    #[test]
    fn the_largest_document_is_named_when_it_is_too_large() {
        let mut payload = Payload::default();
        payload.push(&doc! { "_id": 1 }).unwrap();
        payload.push(&doc! { "_id": "x".repeat(100) }).unwrap();
        payload.push(&doc! { "_id": 1 }).unwrap();
        let size = payload.documents(&(1..2)).len();
        assert!(payload.check_sizes(size).is_ok());
        let error = payload.check_sizes(size - 1).unwrap_err().to_string();
        assert!(
            error.contains("index 1") && error.contains(&size.to_string()),
            "{error}"
        );
    }
}
