//! Makes one event again of the fragments that a server has split it into.
//!
//! Follows "$changeStreamSplitLargeEvent" in the server's manual: each fragment has some fields of
//! the event whole, a resume token of its own, and `splitEvent` with its number.

use bson::{RawDocument, RawDocumentBuf};

use crate::{
    error::{Error, Result},
    proto::wire::{Field, fields},
};

/// The fragments of an event that have come so far.
#[derive(Debug, Default)]
pub(crate) struct Fragments {
    /// How many there are.
    count: i64,
    /// Which number the last event had among them that are to make one.
    of: i64,
    /// Their fields but for `_id` and `splitEvent`, one after the other.
    fields: Vec<u8>,
}

/// What an event of a stream is.
#[derive(Debug, PartialEq)]
pub(crate) enum Piece {
    /// A whole event.
    Whole,
    /// A fragment that is not the last.
    Part,
    /// The last fragment, and the event made of all of them. Its token is the last fragment's.
    Last(RawDocumentBuf),
}

impl Fragments {
    /// Takes in the next event of the stream.
    ///
    /// # Errors
    /// An invalid-response error for a fragment that does not follow the one before.
    pub(crate) fn add(&mut self, event: &RawDocument) -> Result<Piece> {
        let Some((number, of)) = split(event)? else {
            return match self.count {
                0 => Ok(Piece::Whole),
                _ => Err(out_of_order("a whole event", self)),
            };
        };
        let follows = number == self.count + 1 && number <= of && (number == 1 || of == self.of);
        if !follows {
            return Err(out_of_order(&format!("fragment {number} of {of}"), self));
        }
        (self.count, self.of) = (number, of);
        let own = |field: &Field<'_>| field.key != b"_id" && field.key != b"splitEvent";
        for field in fields(event).filter(own) {
            append(&mut self.fields, &field);
        }
        if number < of {
            return Ok(Piece::Part);
        }
        let event = whole(event, &self.fields)?;
        self.forget();
        Ok(Piece::Last(event))
    }

    /// Whether some fragments of an event have come and others have not.
    pub(crate) fn are_open(&self) -> bool {
        self.count > 0
    }

    /// Leaves out what has come.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }
}

/// Which fragment of how many an event is; `None` for a whole event.
fn split(event: &RawDocument) -> Result<Option<(i64, i64)>> {
    let Some(split) = fields(event).find(|field| field.key == b"splitEvent") else {
        return Ok(None);
    };
    let number = |name: &[u8]| {
        let field = fields(split.document()?).find(|field| field.key == name)?;
        field.whole_number()
    };
    match (number(b"fragment"), number(b"of")) {
        (Some(fragment), Some(of)) => Ok(Some((fragment, of))),
        _ => Err(Error::invalid_response(
            "the splitEvent of an event has no numbers",
        )),
    }
}

fn out_of_order(what: &str, fragments: &Fragments) -> Error {
    let Fragments { count, of, .. } = fragments;
    Error::invalid_response(match count {
        0 => format!(
            "the stream begins with {what}, so a part of the event is missing; resume it after a \
             whole event"
        ),
        _ => format!("{what} of the stream follows fragment {count} of {of}"),
    })
}

fn append(buffer: &mut Vec<u8>, field: &Field<'_>) {
    buffer.push(field.element_type as u8);
    buffer.extend_from_slice(field.key);
    buffer.push(0);
    buffer.extend_from_slice(field.value);
}

/// The event of these fields, with the token of its last fragment.
fn whole(last: &RawDocument, body: &[u8]) -> Result<RawDocumentBuf> {
    let mut bytes = Vec::with_capacity(body.len() + 512);
    bytes.extend_from_slice(&[0; 4]);
    if let Some(id) = fields(last).find(|field| field.key == b"_id") {
        append(&mut bytes, &id);
    }
    bytes.extend_from_slice(body);
    bytes.push(0);
    let length = i32::try_from(bytes.len())
        .map_err(|_| Error::invalid_response("an event of several fragments has over 2 GiB"))?;
    if let Some(start) = bytes.first_chunk_mut() {
        *start = length.to_le_bytes();
    }
    Ok(RawDocumentBuf::from_bytes(bytes)?)
}

#[cfg(test)]
mod tests {
    use bson::{Document, doc};

    use super::*;

    fn fragment(number: i32, of: i32, own: Document) -> Document {
        let mut event = doc! { "_id": number, "splitEvent": { "fragment": number, "of": of } };
        event.extend(own);
        event
    }

    fn add(fragments: &mut Fragments, event: &Document) -> Result<Piece> {
        let bytes = event.to_vec().unwrap();
        fragments.add(RawDocument::from_bytes(&bytes).unwrap())
    }

    #[test]
    fn fragments_make_one_event_with_the_last_ones_token() {
        let mut fragments = Fragments::default();
        let events = [
            fragment(
                1,
                3,
                doc! { "operationType": "update", "ns": { "db": "d" } },
            ),
            fragment(
                2,
                3,
                doc! { "fullDocument": { "a": "é", "list": [1, null] } },
            ),
            fragment(3, 3, doc! { "fullDocumentBeforeChange": { "a": 1.5 } }),
        ];
        for event in &events[..2] {
            assert_eq!(add(&mut fragments, event).unwrap(), Piece::Part);
            assert!(fragments.are_open());
        }
        let Piece::Last(event) = add(&mut fragments, &events[2]).unwrap() else {
            panic!("the third of three is the last");
        };
        let wanted = doc! {
            "_id": 3, "operationType": "update", "ns": { "db": "d" },
            "fullDocument": { "a": "é", "list": [1, null] },
            "fullDocumentBeforeChange": { "a": 1.5 },
        };
        assert_eq!(Document::try_from(event).unwrap(), wanted);
        assert!(!fragments.are_open());
        let other = doc! { "_id": 4, "operationType": "insert" };
        assert_eq!(add(&mut fragments, &other).unwrap(), Piece::Whole);
    }

    #[test]
    fn fragments_that_do_not_follow_are_refused() {
        let first = fragment(1, 3, doc! {});
        for (begun, next) in [
            (None, fragment(2, 3, doc! {})),
            (None, fragment(2, 1, doc! {})),
            (Some(&first), fragment(1, 3, doc! {})),
            (Some(&first), fragment(3, 3, doc! {})),
            (Some(&first), fragment(2, 4, doc! {})),
            (Some(&first), doc! { "_id": 1 }),
            (None, doc! { "_id": 1, "splitEvent": 5 }),
            (None, doc! { "_id": 1, "splitEvent": { "fragment": 1 } }),
        ] {
            let mut fragments = Fragments::default();
            if let Some(first) = begun {
                add(&mut fragments, first).unwrap();
            }
            assert!(add(&mut fragments, &next).is_err(), "{next}");
        }
    }

    #[test]
    fn forgotten_fragments_can_come_again() {
        let mut fragments = Fragments::default();
        let first = fragment(1, 2, doc! { "a": 1 });
        add(&mut fragments, &first).unwrap();
        fragments.forget();
        add(&mut fragments, &first).unwrap();
        let piece = add(&mut fragments, &fragment(2, 2, doc! { "b": 2 })).unwrap();
        let Piece::Last(event) = piece else {
            panic!("the second of two is the last");
        };
        let event = Document::try_from(event).unwrap();
        assert_eq!(event, doc! { "_id": 2, "a": 1, "b": 2 });
    }
}
