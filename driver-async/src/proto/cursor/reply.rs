//! The `cursor` of a reply.

use bson::{RawBsonRef, RawDocument};
use bytes::Bytes;

use super::Batch;
use crate::{
    error::{Error, Result},
    namespace::Namespace,
    proto::wire::fields,
};

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

#[cfg(test)]
mod tests {
    use bson::{Document, doc};

    use super::*;

    fn parse(reply: &Document) -> Result<CursorReply> {
        CursorReply::parse(&reply.to_vec().unwrap().into())
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
