//! The reply to an insert, update or delete.

use bson::{Bson, RawArray, RawBsonRef, RawDocument};

use super::{Target, fields::whole_number};
use crate::{
    error::{Error, ErrorKind, IndexedWriteError, Result, WriteConcernError, WriteFailure},
    options::WriteConcern,
};

/// The reply to an insert, update or delete.
#[derive(Debug, Default)]
pub(super) struct WriteReply {
    /// How many documents were inserted, matched (with those upserted) or deleted.
    pub(super) n: u64,
    /// How many documents were changed.
    pub(super) modified: u64,
    /// The place in the command of every write that upserted a document, and the document's `_id`.
    pub(super) upserted: Vec<(usize, Bson)>,
    pub(super) write_errors: Vec<IndexedWriteError>,
    pub(super) write_concern_error: Option<WriteConcernError>,
}

impl WriteReply {
    /// Reads the reply in one walk.
    ///
    /// # Errors
    /// An invalid-response error when a part is of the wrong type.
    pub(super) fn parse(reply: &RawDocument) -> Result<Self> {
        let mut parsed = Self::default();
        for element in reply {
            let (key, value) = element.map_err(|error| {
                Error::invalid_response("the reply is no valid BSON").with_source(error.into())
            })?;
            let understood = match (key.as_str(), value) {
                ("n", value) => store_count(&mut parsed.n, value),
                ("nModified", value) => store_count(&mut parsed.modified, value),
                ("upserted", RawBsonRef::Array(array)) => {
                    parsed.upserted = upserted(array)?;
                    true
                }
                ("writeErrors", RawBsonRef::Array(array)) => {
                    parsed.write_errors = write_errors(array)?;
                    true
                }
                ("writeConcernError", RawBsonRef::Document(error)) => {
                    parsed.write_concern_error = Some(WriteConcernError::from_document(error));
                    true
                }
                ("upserted" | "writeErrors" | "writeConcernError", _) => false,
                _ => true,
            };
            if !understood {
                return Err(wrong_type(key.as_str()));
            }
        }
        Ok(parsed)
    }

    /// Reports the error of a command that holds a single write.
    pub(super) fn check_single(&mut self, reply: &RawDocument) -> Result<()> {
        let failure = if !self.write_errors.is_empty() {
            WriteFailure::WriteError(self.write_errors.swap_remove(0).into())
        } else if let Some(error) = self.write_concern_error.take() {
            WriteFailure::WriteConcernError(error)
        } else {
            return Ok(());
        };
        Err(Error::from(ErrorKind::Write(failure))
            .with_labels_of(reply)
            .with_server_response(reply))
    }
}

/// Refuses a hint that an older server would ignore without a word, as nobody reads its reply.
pub(super) fn check_hint(
    concern: Option<&WriteConcern>,
    target: &Target<'_>,
    wire_version: i32,
) -> Result<()> {
    let acknowledged = concern.is_none_or(WriteConcern::is_acknowledged);
    if acknowledged || target.max_wire_version >= wire_version {
        return Ok(());
    }
    Err(Error::invalid_argument(
        "this server ignores the hint of an unacknowledged write; \
         leave out the hint, or use a write concern other than w: 0",
    ))
}

fn store_count(place: &mut u64, value: RawBsonRef<'_>) -> bool {
    match whole_number(value).and_then(|value| u64::try_from(value).ok()) {
        Some(count) => {
            *place = count;
            true
        }
        None => false,
    }
}

fn upserted(array: &RawArray) -> Result<Vec<(usize, Bson)>> {
    let upserts = array.into_iter().map(|element| {
        let upsert = element.ok().and_then(|element| element.as_document());
        upsert
            .and_then(upserted_one)
            .ok_or_else(|| wrong_type("upserted"))
    });
    upserts.collect()
}

fn upserted_one(upsert: &RawDocument) -> Option<(usize, Bson)> {
    let index = whole_number(upsert.get("index").ok()??)?;
    let id = Bson::try_from(upsert.get("_id").ok()??).ok()?;
    Some((usize::try_from(index).ok()?, id))
}

fn write_errors(array: &RawArray) -> Result<Vec<IndexedWriteError>> {
    let errors = array.into_iter().map(|element| match element {
        Ok(RawBsonRef::Document(error)) => Ok(IndexedWriteError::from_document(error)),
        _ => Err(wrong_type("writeErrors")),
    });
    errors.collect()
}

fn wrong_type(key: &str) -> Error {
    Error::invalid_response(format!("{key:?} is of the wrong type"))
}

#[cfg(test)]
mod tests {
    use bson::{Document, doc};

    use super::*;

    fn parse(reply: &Document) -> Result<WriteReply> {
        WriteReply::parse(&bson::serialize_to_raw_document_buf(reply).unwrap())
    }

    #[test]
    fn parts_of_the_wrong_type_are_refused() {
        for reply in [
            doc! { "n": "1" },
            doc! { "n": -1 },
            doc! { "nModified": 0.5 },
            doc! { "writeErrors": {} },
            doc! { "writeErrors": [1] },
            doc! { "writeConcernError": [] },
            doc! { "upserted": [{}] },
            doc! { "upserted": [{ "index": -1, "_id": 1 }] },
            doc! { "upserted": 1 },
        ] {
            assert!(parse(&reply).is_err(), "{reply}");
        }
    }

    #[test]
    fn a_refused_write_comes_before_its_write_concern() {
        let reply = doc! {
            "n": 0, "ok": 1, "errorLabels": ["A"],
            "writeErrors": [{ "index": 0, "code": 11000, "errmsg": "m", "errInfo": { "a": 1 } }],
            "writeConcernError": { "code": 64, "codeName": "WriteConcernFailed", "errmsg": "late" },
        };
        let raw = bson::serialize_to_raw_document_buf(&reply).unwrap();
        let error = parse(&reply).unwrap().check_single(&raw).unwrap_err();
        assert!(error.is_duplicate_key() && error.contains_label("A"));
        assert_eq!(error.server_response(), Some(&*raw));
        let ErrorKind::Write(WriteFailure::WriteError(write)) = &*error.kind else {
            panic!("{error:?}");
        };
        assert_eq!(write.details, Some(doc! { "a": 1 }));
    }

    #[test]
    fn an_unmet_write_concern_is_an_error_with_the_replys_labels() {
        let reply = doc! {
            "n": 1, "ok": 1, "errorLabels": ["RetryableWriteError"],
            "writeConcernError": { "code": 91, "errmsg": "shutting down" },
        };
        let raw = bson::serialize_to_raw_document_buf(&reply).unwrap();
        let error = parse(&reply).unwrap().check_single(&raw).unwrap_err();
        assert!(error.contains_label("RetryableWriteError"));
        assert_eq!(error.code(), Some(91));
    }
}
