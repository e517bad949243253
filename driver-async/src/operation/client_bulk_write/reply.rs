//! The reply to `bulkWrite`, and the results in its cursor.

use bson::{Bson, RawBsonRef, RawDocument};

use crate::{
    address::ServerAddress,
    error::{Error, IndexedWriteError, Result, WriteConcernError, WriteError},
    operation::fields::count,
    proto::{
        cursor::CursorReply,
        wire::{Reply, fields},
    },
    results::SummaryBulkWriteResult,
};

/// The reply to a `bulkWrite`.
#[derive(Debug)]
pub(crate) struct BulkWriteReply {
    /// The results of single writes, or those that are errors alone.
    pub(super) cursor: CursorReply,
    /// The server that has the cursor.
    pub(super) address: ServerAddress,
    pub(super) summary: SummaryBulkWriteResult,
    /// How many writes were refused.
    pub(super) refused: u64,
    /// The error of the write concern.
    pub(super) unmet: Option<WriteConcernError>,
}

impl BulkWriteReply {
    /// # Errors
    /// An invalid-response error when a part is missing or of the wrong type.
    pub(super) fn parse(reply: &Reply, address: &ServerAddress) -> Result<Self> {
        let document = reply.document();
        let number = |key| {
            i64::try_from(count(document, key)?)
                .map_err(|_| Error::invalid_response(format!("{key:?} is too large")))
        };
        let unmet = match document.get("writeConcernError") {
            Ok(Some(RawBsonRef::Document(error))) => Some(WriteConcernError::from_document(error)),
            Ok(None) => None,
            _ => {
                return Err(Error::invalid_response("writeConcernError is no document"));
            }
        };
        Ok(Self {
            cursor: CursorReply::parse(&reply.document_bytes())?,
            address: address.clone(),
            summary: SummaryBulkWriteResult {
                acknowledged: true,
                inserted_count: number("nInserted")?,
                matched_count: number("nMatched")?,
                modified_count: number("nModified")?,
                upserted_count: number("nUpserted")?,
                deleted_count: number("nDeleted")?,
            },
            refused: count(document, "nErrors")?,
            unmet,
        })
    }
}

/// What became of one write.
#[derive(Debug)]
pub(super) struct WriteResult {
    /// The write's place in the command.
    pub(super) index: usize,
    pub(super) outcome: Result<Done, WriteError>,
}

/// What one write did.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// How many documents were inserted, matched (with those upserted) or deleted.
    pub(super) n: u64,
    pub(super) modified: u64,
    pub(super) upserted_id: Option<Bson>,
}

impl WriteResult {
    /// Reads a document of the cursor.
    ///
    /// # Errors
    /// An invalid-response error when a part is missing or of the wrong type.
    pub(super) fn parse(document: &RawDocument) -> Result<Self> {
        let (mut index, mut is_ok) = (None, None);
        let mut done = Done::default();
        for field in fields(document) {
            let number = || field.whole_number().and_then(|n| u64::try_from(n).ok());
            match field.key {
                b"ok" => is_ok = field.number().map(|ok| ok == 1.0),
                b"idx" => index = number().and_then(|index| usize::try_from(index).ok()),
                b"n" => done.n = number().ok_or_else(|| wrong("n"))?,
                b"nModified" => done.modified = number().ok_or_else(|| wrong("nModified"))?,
                b"upserted" => {
                    let id = field.document().and_then(id_of);
                    done.upserted_id = Some(id.ok_or_else(|| wrong("upserted"))?);
                }
                _ => {}
            }
        }
        let outcome = match is_ok.ok_or_else(|| wrong("ok"))? {
            true => Ok(done),
            false => Err(IndexedWriteError::from_document(document).into()),
        };
        Ok(Self {
            index: index.ok_or_else(|| wrong("idx"))?,
            outcome,
        })
    }
}

fn id_of(upsert: &RawDocument) -> Option<Bson> {
    Bson::try_from(upsert.get("_id").ok()??).ok()
}

fn wrong(key: &str) -> Error {
    Error::invalid_response(format!(
        "{key:?} of a write's result is missing or of the wrong type"
    ))
}
