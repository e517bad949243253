//! The documents of an insert, each with an `_id`.

use bson::{Bson, RawDocument, oid::ObjectId};
use serde::Serialize;

use super::Documents;
use crate::{
    error::{Error, Result},
    object_ids::ObjectIds,
};

/// The bytes of a generated `_id`: its type, its key with the end, and the object id.
const GENERATED_ID: usize = 1 + 4 + 12;
const LENGTH: usize = 4;

/// The documents of an insert. One without an `_id` gets an object id as its first field.
#[derive(Clone, Debug, Default)]
pub(crate) struct Payload {
    documents: Documents,
    ids: Vec<Bson>,
    filler: IdFiller,
}

impl Payload {
    /// Serialises a document to the end of the buffer.
    ///
    /// # Errors
    /// A BSON error when the value is no document. The documents before it stay.
    pub(crate) fn push<T: Serialize>(&mut self, document: &T) -> Result<()> {
        let filler = &mut self.filler;
        let id = self.documents.push_behind_gap(|bytes| {
            let base = bytes.len();
            let (generated, gap) = filler.append(document, bytes)?;
            let id = match generated {
                Some(id) => id.into(),
                None => id_of(bytes.get(base + gap..).unwrap_or_default())?,
            };
            Ok((id, gap))
        })?;
        self.ids.push(id);
        Ok(())
    }

    /// The documents.
    pub(crate) fn documents(&self) -> &Documents {
        &self.documents
    }

    /// The `_id` of each document.
    pub(crate) fn ids(&self) -> &[Bson] {
        &self.ids
    }

    /// Refuses documents larger than the server takes.
    ///
    /// # Errors
    /// An invalid-argument error that names the largest document's index and size.
    pub(crate) fn check_sizes(&self, max_document_size: usize) -> Result<()> {
        let (index, size) = self.documents.largest();
        check_size("document", index, size, max_document_size)
    }
}

/// Refuses what the server would refuse, before anything is sent.
///
/// # Errors
/// An invalid-argument error that names the index and the size of what is too large.
pub(crate) fn check_size(what: &str, index: usize, size: usize, most: usize) -> Result<()> {
    if size > most {
        return Err(Error::invalid_argument(format!(
            "the {what} at index {index} has {size} bytes and the server takes at most {most}; \
             nothing was written"
        )));
    }
    Ok(())
}

/// Serialises documents to insert, and gives an `_id` to those that have none.
///
/// The buffer gets a gap in front of a document that will probably need an `_id`: the `_id` then
/// fills the gap and only the length moves, however large the document is.
#[derive(Clone, Debug, Default)]
pub(crate) struct IdFiller {
    /// Whether the document before brought its own `_id`; the next is likely to do the same.
    expects_id: bool,
    /// From the first document on that has none.
    ids: Option<ObjectIds>,
}

impl IdFiller {
    /// Appends a document; gives the `_id` that it had to be given, and the size of the gap that is
    /// left in front of it.
    ///
    /// # Errors
    /// A BSON error when the value is no document. What was appended then is of no use.
    fn append<T: Serialize>(
        &mut self,
        document: &T,
        bytes: &mut Vec<u8>,
    ) -> Result<(Option<ObjectId>, usize)> {
        let base = bytes.len();
        let gap = if self.expects_id { 0 } else { GENERATED_ID };
        bytes.resize(base + gap, 0);
        bson::serialize_to_buffer(document, bytes)?;
        let written = RawDocument::from_bytes(bytes.get(base + gap..).unwrap_or_default())?;
        self.expects_id = written.get("_id")?.is_some();
        if self.expects_id {
            return Ok((None, gap));
        }
        if gap == 0 {
            bytes.splice(base..base, std::iter::repeat_n(0, GENERATED_ID));
        }
        let ids = self.ids.get_or_insert_with(ObjectIds::of_this_process);
        let id = ids.make();
        fill_gap(bytes, base, id)?;
        Ok((Some(id), 0))
    }

    /// Appends a document with nothing in front of it.
    ///
    /// # Errors
    /// As [`IdFiller::append`].
    pub(crate) fn append_closely<T: Serialize>(
        &mut self,
        document: &T,
        bytes: &mut Vec<u8>,
    ) -> Result<()> {
        let base = bytes.len();
        let (_, gap) = self.append(document, bytes)?;
        bytes.drain(base..base + gap);
        Ok(())
    }
}

/// The `_id` of a document that has one; null otherwise.
fn id_of(document: &[u8]) -> Result<Bson> {
    match RawDocument::from_bytes(document)?.get("_id")? {
        Some(id) => Ok(id.try_into()?),
        None => Ok(Bson::Null),
    }
}

/// Writes the length and the `_id` over the gap at `base` and the length that follows it.
fn fill_gap(bytes: &mut [u8], base: usize, id: ObjectId) -> Result<()> {
    let length = bytes.len() - base;
    let length = i32::try_from(length).map_err(|_| {
        Error::invalid_argument(format!(
            "a document of {length} bytes is too large for BSON"
        ))
    })?;
    let mut front = [0; LENGTH + GENERATED_ID];
    front[..4].copy_from_slice(&length.to_le_bytes());
    front[4..9].copy_from_slice(b"\x07_id\0");
    front[9..].copy_from_slice(&id.bytes());
    if let Some(place) = bytes.get_mut(base..base + front.len()) {
        place.copy_from_slice(&front);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bson::{Document, doc};

    use super::*;

    fn read(payload: &Payload) -> Vec<Document> {
        let documents = payload.documents();
        (0..documents.len())
            .map(|i| Document::from_reader(documents.bytes(&(i..i + 1))).unwrap())
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
    fn the_largest_document_is_named_when_it_is_too_large() {
        let mut payload = Payload::default();
        payload.push(&doc! { "_id": 1 }).unwrap();
        payload.push(&doc! { "_id": "x".repeat(100) }).unwrap();
        payload.push(&doc! { "_id": 1 }).unwrap();
        let size = payload.documents().size(1);
        assert!(payload.check_sizes(size).is_ok());
        let error = payload.check_sizes(size - 1).unwrap_err().to_string();
        assert!(
            error.contains("index 1") && error.contains(&size.to_string()),
            "{error}"
        );
    }
}
