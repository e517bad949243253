//! The documents of one reply.

use std::ops::Range;

use bson::{RawArray, RawDocument, spec::ElementType};
use bytes::Bytes;

use crate::{
    error::{Error, Result},
    proto::wire::as_document,
};

/// The documents of one reply, walked in the received buffer without a copy.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batch {
    /// The whole reply document; empty when there was none.
    reply: Bytes,
    /// Where the next element starts.
    at: usize,
    /// Where the array of documents ends.
    end: usize,
    current: Option<Range<usize>>,
}

impl Batch {
    /// The documents of an array that lies in `reply`; of one that lies elsewhere, none.
    pub(crate) fn new(reply: &Bytes, array: &RawArray) -> Self {
        let array = array.as_bytes();
        let start = array.as_ptr().addr().checked_sub(reply.as_ptr().addr());
        let end = start.map(|start| start + array.len());
        match (start, end) {
            (Some(start), Some(end)) if end <= reply.len() => Self {
                reply: reply.clone(),
                at: start + 4,
                end,
                current: None,
            },
            _ => Self::default(),
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
        match self.document_at(self.at) {
            Some(range) => {
                self.at = range.end;
                self.current = Some(range);
                Ok(true)
            }
            None => {
                self.at = self.end;
                Err(no_document())
            }
        }
    }

    /// Whether no document follows the current one.
    pub(crate) fn is_drained(&self) -> bool {
        self.at + 1 >= self.end
    }

    /// Whether there never was a reply.
    pub(crate) fn is_blank(&self) -> bool {
        self.reply.is_empty()
    }

    /// The documents that follow the current one. Where an element is none, that is an error, and
    /// the last item.
    pub(crate) fn documents(&self) -> impl Iterator<Item = Result<&RawDocument>> {
        self.ranges().map(|range| {
            let document = range.and_then(|range| self.document(range));
            document.ok_or_else(no_document)
        })
    }

    /// How many documents follow the current one. Ends early where an element is no document.
    pub(crate) fn remaining(&self) -> usize {
        self.ranges().take_while(Option::is_some).count()
    }

    /// The document that the last step led to.
    pub(crate) fn current(&self) -> Option<&RawDocument> {
        self.document(self.current.clone()?)
    }

    /// The whole reply.
    pub(crate) fn reply(&self) -> &RawDocument {
        as_document(&self.reply)
    }

    fn document(&self, range: Range<usize>) -> Option<&RawDocument> {
        RawDocument::from_bytes(self.reply.get(range)?).ok()
    }

    /// Where the documents lie that follow the current one; ends after the first `None`.
    fn ranges(&self) -> impl Iterator<Item = Option<Range<usize>>> {
        let mut at = self.at;
        std::iter::from_fn(move || {
            if at + 1 >= self.end {
                return None;
            }
            let range = self.document_at(at);
            at = range.as_ref().map_or(self.end, |range| range.end);
            Some(range)
        })
    }

    /// Where the document lies in the element at `at`: a type, a key, the document.
    fn document_at(&self, at: usize) -> Option<Range<usize>> {
        let element = self.reply.get(at..self.end.checked_sub(1)?)?;
        let (kind, rest) = element.split_first()?;
        if *kind != ElementType::EmbeddedDocument as u8 {
            return None;
        }
        let key = rest.iter().position(|byte| *byte == 0)?;
        let document = rest.get(key + 1..)?;
        let length = i32::from_le_bytes(document.get(..4)?.try_into().ok()?);
        let length = usize::try_from(length).ok()?;
        let is_framed = length >= EMPTY_DOCUMENT && document.get(length - 1) == Some(&0);
        if !is_framed {
            return None;
        }
        let start = at + 1 + key + 1;
        Some(start..start + length)
    }
}

/// The length of a document without elements, in bytes.
const EMPTY_DOCUMENT: usize = 5;

fn no_document() -> Error {
    Error::invalid_response("an element of a batch is no document or is cut off")
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::*;

    #[test]
    fn documents_are_counted_without_stepping() {
        let reply: Bytes = rawdoc! { "x": 1, "batch": [{ "i": 1 }, { "i": 2 }, { "i": 3 }] }
            .into_bytes()
            .into();
        let document = RawDocument::from_bytes(&reply).unwrap();
        let mut batch = Batch::new(&reply, document.get_array("batch").unwrap());
        assert_eq!(batch.remaining(), 3);
        assert!(batch.advance().unwrap());
        assert_eq!(batch.remaining(), 2);
        assert_eq!(batch.current().unwrap().get_i32("i").unwrap(), 1);
        assert_eq!(batch.reply(), document);
        let rest: Vec<_> = batch
            .documents()
            .map(|document| document.unwrap().to_owned())
            .collect();
        assert_eq!(rest, [rawdoc! { "i": 2 }, rawdoc! { "i": 3 }]);
    }

    #[test]
    fn an_array_from_elsewhere_has_no_documents() {
        let reply: Bytes = rawdoc! { "batch": [{ "i": 1 }] }.into_bytes().into();
        let other = rawdoc! { "batch": [{ "i": 1 }, { "i": 2 }] };
        let mut batch = Batch::new(&reply, other.get_array("batch").unwrap());
        assert!(!batch.advance().unwrap());
        assert!(batch.is_blank());
    }
}
