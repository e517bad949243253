//! What the driver knows of a cursor: its batch, its place in it, and what to ask for next.

use std::{ops::Range, time::Duration};

use bson::{Bson, RawArray, RawBsonRef, RawDocument, spec::ElementType};
use bytes::Bytes;

use crate::{
    error::{Error, Result},
    namespace::Namespace,
    proto::wire::fields,
};

/// The documents of one reply, walked in the received buffer without a copy.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batch {
    /// The array of documents; empty before the first batch.
    array: Bytes,
    /// Where the next element starts.
    at: usize,
    current: Option<Range<usize>>,
}

impl Batch {
    /// The documents of an array that lies in `reply`.
    pub(crate) fn new(reply: &Bytes, array: &RawArray) -> Self {
        Self {
            array: reply.slice_ref(array.as_bytes()),
            at: 4,
            current: None,
        }
    }

    /// Steps to the next document; false at the end.
    ///
    /// # Errors
    /// An invalid-response error when the next element is no document or is cut off. The batch
    /// is at its end then.
    pub(crate) fn advance(&mut self) -> Result<bool> {
        self.current = None;
        if self.is_drained() {
            return Ok(false);
        }
        match self.next_document() {
            Some(range) => {
                self.at = range.end;
                self.current = Some(range);
                Ok(true)
            }
            None => {
                self.at = self.array.len();
                Err(Error::invalid_response(
                    "an element of a batch is no document or is cut off",
                ))
            }
        }
    }

    /// Whether no document follows the current one.
    pub(crate) fn is_drained(&self) -> bool {
        self.at + 1 >= self.array.len()
    }

    /// The document that the last step led to.
    pub(crate) fn current(&self) -> Option<&RawDocument> {
        let bytes = self.array.get(self.current.clone()?)?;
        RawDocument::from_bytes(bytes).ok()
    }

    /// Where the document lies in the element at `at`: a type, a key, the document.
    fn next_document(&self) -> Option<Range<usize>> {
        let element = self.array.get(self.at..self.array.len() - 1)?;
        let (kind, rest) = element.split_first()?;
        if *kind != ElementType::EmbeddedDocument as u8 {
            return None;
        }
        let key = rest.iter().position(|byte| *byte == 0)?;
        let document = rest.get(key + 1..)?;
        let length = i32::from_le_bytes(document.get(..4)?.try_into().ok()?);
        let length = usize::try_from(length).ok()?;
        RawDocument::from_bytes(document.get(..length)?).ok()?;
        let start = self.at + 1 + key + 1;
        Some(start..start + length)
    }
}

/// The `cursor` of a reply.
#[derive(Clone, Debug, Default)]
pub(crate) struct CursorReply {
    /// The server's number for the cursor; 0 when it is closed.
    pub(crate) id: i64,
    /// The namespace that further commands must name; only read while the cursor is open.
    pub(crate) namespace: Option<Namespace>,
    /// The first or next documents.
    pub(crate) batch: Batch,
}

impl CursorReply {
    /// Reads the cursor out of a whole reply document.
    ///
    /// # Errors
    /// An invalid-response error when a part is missing or of the wrong type.
    pub(crate) fn parse(reply: &Bytes) -> Result<Self> {
        let document = RawDocument::from_bytes(reply).map_err(invalid)?;
        let cursor = fields(document).find(|field| field.key == b"cursor");
        let Some(cursor) = cursor.and_then(|cursor| cursor.document()) else {
            return Err(Error::invalid_response("the reply has no cursor document"));
        };
        let (mut id, mut namespace, mut batch) = (None, None, None);
        for element in cursor {
            let (key, value) = element.map_err(invalid)?;
            match (key.as_str(), value) {
                ("id", RawBsonRef::Int64(value)) => id = Some(value),
                ("id", RawBsonRef::Int32(value)) => id = Some(value.into()),
                ("ns", RawBsonRef::String(value)) => namespace = Some(value),
                ("firstBatch" | "nextBatch", RawBsonRef::Array(array)) => {
                    batch = Some(Batch::new(reply, array));
                }
                ("id" | "ns" | "firstBatch" | "nextBatch", _) => {
                    return Err(Error::invalid_response(format!(
                        "the cursor's {:?} is of the wrong type",
                        key.as_str()
                    )));
                }
                _ => {}
            }
        }
        let missing = |what| Error::invalid_response(format!("the cursor has no {what}"));
        let id = id.ok_or_else(|| missing("id"))?;
        let namespace = match namespace {
            _ if id == 0 => None,
            None => return Err(missing("ns")),
            Some(text) => Some(text.parse().map_err(|error: Error| {
                Error::invalid_response("the cursor's ns is no namespace").with_source(error)
            })?),
        };
        Ok(Self {
            id,
            namespace,
            batch: batch.ok_or_else(|| missing("batch"))?,
        })
    }
}

fn invalid(error: impl Into<Error>) -> Error {
    Error::invalid_response("the cursor's reply is no valid BSON").with_source(error.into())
}

/// What a caller wants of a cursor beyond its first batch.
#[derive(Clone, Debug, Default)]
pub(crate) struct CursorSettings {
    /// How many documents the server should send at once.
    pub(crate) batch_size: Option<u32>,
    /// How many documents are delivered at most.
    pub(crate) limit: Option<u64>,
    /// How long the server waits for documents; set only for cursors that wait.
    pub(crate) max_await_time: Option<Duration>,
    /// Goes with every command of the cursor.
    pub(crate) comment: Option<Bson>,
}

/// What a step of a cursor led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// There is a current document.
    Document,
    /// The batch is used up, and the server has the cursor still.
    NeedsMore,
    /// There is no further document.
    Exhausted,
}

/// A cursor: the batch, the place in it, and what the server was asked for.
#[derive(Clone, Debug)]
pub(crate) struct CursorState {
    reply: CursorReply,
    settings: CursorSettings,
    delivered: u64,
}

impl CursorState {
    /// A cursor at the start of its first batch.
    pub(crate) fn new(reply: CursorReply, settings: CursorSettings) -> Self {
        Self {
            reply,
            settings,
            delivered: 0,
        }
    }

    /// Steps to the next document of the batch.
    ///
    /// # Errors
    /// An invalid-response error when the server's batch holds something else.
    pub(crate) fn advance(&mut self) -> Result<Step> {
        if self.is_at_limit() {
            self.reply.batch = Batch::default();
            return Ok(Step::Exhausted);
        }
        if self.reply.batch.advance()? {
            self.delivered += 1;
            return Ok(Step::Document);
        }
        Ok(if self.is_open() {
            Step::NeedsMore
        } else {
            Step::Exhausted
        })
    }

    /// The document that the last step led to.
    pub(crate) fn current(&self) -> Option<&RawDocument> {
        self.reply.batch.current()
    }

    /// Whether a further step may lead to a document.
    pub(crate) fn has_next(&self) -> bool {
        !self.is_at_limit() && (self.is_open() || !self.reply.batch.is_drained())
    }

    /// Whether the server has the cursor still.
    pub(crate) fn is_open(&self) -> bool {
        self.reply.id != 0
    }

    /// Takes over the reply that [`Step::NeedsMore`] asked for.
    pub(crate) fn continue_with(&mut self, reply: CursorReply) {
        let namespace = self.reply.namespace.take();
        self.reply = reply;
        // The namespace of the first reply stays the one to name.
        if self.is_open() {
            self.reply.namespace = namespace;
        }
    }

    /// Notes that the server has the cursor no more, or will be told so, and forgets the batch.
    pub(crate) fn close(&mut self) {
        self.reply.id = 0;
        self.reply.batch = Batch::default();
    }

    /// The server's number for the cursor and its namespace, while it is open.
    pub(crate) fn handle(&self) -> Option<(i64, &Namespace)> {
        let namespace = self.reply.namespace.as_ref()?;
        self.is_open().then_some((self.reply.id, namespace))
    }

    /// The batch size to ask for next: never more than the limit leaves.
    pub(crate) fn next_batch_size(&self) -> Option<i64> {
        let size = u64::from(self.settings.batch_size.filter(|size| *size > 0)?);
        let left = self
            .settings
            .limit
            .map(|limit| limit.saturating_sub(self.delivered));
        i64::try_from(left.map_or(size, |left| left.min(size))).ok()
    }

    /// What the caller wants of the cursor.
    pub(crate) fn settings(&self) -> &CursorSettings {
        &self.settings
    }

    fn is_at_limit(&self) -> bool {
        let limit = self.settings.limit;
        limit.is_some_and(|limit| self.delivered >= limit)
    }
}

#[cfg(test)]
mod tests {
    use bson::{Document, doc};

    use super::*;

    fn parse(reply: &Document) -> Result<CursorReply> {
        CursorReply::parse(&reply.to_vec().unwrap().into())
    }

    fn reply(id: i64, batch: &[i32]) -> CursorReply {
        let batch: Vec<_> = batch.iter().map(|i| doc! { "i": i }).collect();
        parse(&doc! { "ok": 1, "cursor": { "id": id, "ns": "d.c.e", "nextBatch": batch } }).unwrap()
    }

    fn rest(cursor: &mut CursorState) -> (Vec<i32>, Step) {
        let mut found = Vec::new();
        loop {
            match cursor.advance().unwrap() {
                Step::Document => found.push(cursor.current().unwrap().get_i32("i").unwrap()),
                end => return (found, end),
            }
        }
    }

    #[test]
    fn batches_are_walked_one_after_the_other() {
        let mut cursor = CursorState::new(reply(7, &[1, 2]), CursorSettings::default());
        assert!(cursor.current().is_none());
        assert_eq!(rest(&mut cursor), (vec![1, 2], Step::NeedsMore));
        assert_eq!(cursor.handle(), Some((7, &Namespace::new("d", "c.e"))));
        cursor.continue_with(reply(7, &[]));
        assert_eq!(rest(&mut cursor), (vec![], Step::NeedsMore));
        assert!(cursor.has_next());
        cursor.continue_with(reply(0, &[3]));
        assert!(cursor.has_next());
        assert_eq!(cursor.advance().unwrap(), Step::Document);
        assert!(!cursor.has_next(), "the last document was delivered");
        assert_eq!(cursor.advance().unwrap(), Step::Exhausted);
        assert_eq!(cursor.handle(), None);
    }

    #[test]
    fn the_limit_bounds_what_is_delivered_and_what_is_asked_for() {
        let settings = CursorSettings {
            batch_size: Some(2),
            limit: Some(3),
            ..CursorSettings::default()
        };
        let mut cursor = CursorState::new(reply(7, &[1, 2]), settings);
        assert_eq!(rest(&mut cursor), (vec![1, 2], Step::NeedsMore));
        assert_eq!(cursor.next_batch_size(), Some(1));
        cursor.continue_with(reply(7, &[3, 4]));
        assert_eq!(rest(&mut cursor), (vec![3], Step::Exhausted));
        assert!(!cursor.has_next());
        assert!(cursor.is_open(), "the caller still has to kill it");
    }

    #[test]
    fn replies_that_break_the_protocol_are_refused() {
        for (what, cursor) in [
            ("not there", doc! {}),
            ("no document", doc! { "cursor": 1 }),
            (
                "no id",
                doc! { "cursor": { "ns": "a.b", "firstBatch": [] } },
            ),
            (
                "id of a wrong type",
                doc! { "cursor": { "id": "1", "ns": "a.b", "firstBatch": [] } },
            ),
            ("no batch", doc! { "cursor": { "id": 0_i64, "ns": "a.b" } }),
            (
                "batch of a wrong type",
                doc! { "cursor": { "id": 0_i64, "ns": "a.b", "firstBatch": {} } },
            ),
            (
                "open without a namespace",
                doc! { "cursor": { "id": 1_i64, "firstBatch": [] } },
            ),
            (
                "namespace without a dot",
                doc! { "cursor": { "id": 1_i64, "ns": "a", "firstBatch": [] } },
            ),
        ] {
            let error = parse(&cursor).expect_err(what);
            assert!(
                error.to_string().contains("reply is invalid"),
                "{what}: {error}"
            );
        }
    }

    #[test]
    fn an_element_that_is_no_document_ends_the_batch_with_an_error() {
        let document =
            doc! { "cursor": { "id": 0_i64, "firstBatch": [{ "i": 1 }, 5, { "i": 2 }] } };
        let mut cursor = CursorState::new(parse(&document).unwrap(), CursorSettings::default());
        assert_eq!(cursor.advance().unwrap(), Step::Document);
        assert!(cursor.advance().is_err());
        assert!(cursor.current().is_none());
        assert_eq!(cursor.advance().unwrap(), Step::Exhausted);
    }

    #[test]
    fn no_change_of_a_byte_makes_walking_panic() {
        let good =
            doc! { "cursor": { "id": 1_i64, "ns": "a.b", "firstBatch": [{ "i": 1 }, { "i": 2 }] } }
                .to_vec()
                .unwrap();
        let mut refused = 0;
        for place in 0..good.len() {
            for value in [0, 1, 3, 4, 127, 255] {
                let mut bytes = good.clone();
                bytes[place] = value;
                let Ok(mut reply) = CursorReply::parse(&bytes.into()) else {
                    refused += 1;
                    continue;
                };
                while let Ok(true) = reply.batch.advance() {
                    assert!(reply.batch.current().is_some());
                }
            }
        }
        assert!(refused > good.len(), "only {refused} were refused");
    }
}
