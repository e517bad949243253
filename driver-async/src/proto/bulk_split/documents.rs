//! Documents in one buffer, and the batches that commands can carry.

use std::ops::Range;

use crate::{error::Result, proto::wire::DEFAULT_MAX_MESSAGE_SIZE};

/// Room for a small document, so that the buffer need not grow for it step by step.
const FIRST_ROOM: usize = 512;

/// Documents, each serialised once, one after the other in one buffer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Documents {
    bytes: Vec<u8>,
    /// Where the first document starts.
    start: usize,
    /// Where each document ends.
    ends: Vec<usize>,
    /// The largest document's index and size.
    largest: (usize, usize),
}

/// What one command can carry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchLimits {
    /// The most documents.
    pub(crate) documents: usize,
    /// The most bytes of documents.
    pub(crate) bytes: usize,
}

impl BatchLimits {
    /// What no command goes beyond, whatever the server says. Before a server is known, this tells
    /// which documents the next command may carry.
    pub(crate) const MOST: Self = Self {
        documents: 100_000,
        bytes: DEFAULT_MAX_MESSAGE_SIZE,
    };

    /// The smaller of both limits.
    pub(crate) fn within(self, other: Self) -> Self {
        Self {
            documents: self.documents.min(other.documents),
            bytes: self.bytes.min(other.bytes),
        }
    }
}

impl Documents {
    /// Adds the document that `write` puts at the end of the buffer.
    ///
    /// # Errors
    /// Those of `write`. The documents before stay as they are.
    pub(crate) fn push_with<T>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<T>,
    ) -> Result<T> {
        self.push_behind_gap(|bytes| Ok((write(bytes)?, 0)))
    }

    /// Like [`Documents::push_with`], and `write` may leave a gap in front of the document, whose
    /// size it gives.
    pub(super) fn push_behind_gap<T>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(T, usize)>,
    ) -> Result<T> {
        if self.bytes.capacity() == 0 {
            self.bytes.reserve(FIRST_ROOM);
        }
        let base = self.bytes.len();
        let (written, gap) = match write(&mut self.bytes) {
            Ok(written) => written,
            Err(error) => {
                self.bytes.truncate(base);
                return Err(error);
            }
        };
        if self.is_empty() {
            // However large the first document is, it need not move.
            self.start = gap;
        } else if gap > 0 {
            self.bytes.drain(base..base + gap);
        }
        let index = self.len();
        self.ends.push(self.bytes.len());
        let size = self.size(index);
        if size > self.largest.1 {
            self.largest = (index, size);
        }
        Ok(written)
    }

    /// How many documents there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no document.
    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The bytes of these documents.
    pub(crate) fn bytes(&self, range: &Range<usize>) -> &[u8] {
        let place = self.place(range);
        self.bytes.get(place).unwrap_or_default()
    }

    /// The bytes of a document, to change fields of a fixed size in place.
    pub(crate) fn bytes_mut(&mut self, index: usize) -> &mut [u8] {
        let place = self.place(&(index..index + 1));
        self.bytes.get_mut(place).unwrap_or_default()
    }

    fn place(&self, range: &Range<usize>) -> Range<usize> {
        self.start_of(range.start)..self.start_of(range.end)
    }

    fn start_of(&self, index: usize) -> usize {
        index
            .checked_sub(1)
            .and_then(|before| self.ends.get(before).copied())
            .unwrap_or(self.start)
    }

    /// The size of a document, in bytes.
    pub(crate) fn size(&self, index: usize) -> usize {
        self.start_of(index + 1) - self.start_of(index)
    }

    /// The first of these documents that one command can carry; at least one, while there is one.
    pub(crate) fn batch(&self, candidates: &Range<usize>, limits: BatchLimits) -> Range<usize> {
        let from = candidates.start;
        let most = limits.documents.max(1);
        let end = candidates.end.min(from.saturating_add(most));
        let rest = self.ends.get(from..end).unwrap_or_default();
        let start = self.start_of(from);
        let fitting = rest.partition_point(|end| end - start <= limits.bytes);
        from..from + fitting.max(1).min(rest.len())
    }

    /// The largest document's index and size; 0 and 0 when there is none.
    pub(crate) fn largest(&self) -> (usize, usize) {
        self.largest
    }
}

#[cfg(test)]
mod tests {
    use bson::{Document, doc};

    use super::*;
    use crate::error::Error;

    fn documents(count: i32) -> Documents {
        let mut documents = Documents::default();
        for id in 0..count {
            push(&mut documents, &doc! { "_id": id }).unwrap();
        }
        documents
    }

    fn push(documents: &mut Documents, document: &Document) -> Result<()> {
        documents.push_with(|bytes| Ok(bson::serialize_to_buffer(document, bytes)?))
    }

    #[test]
    fn batches_keep_to_the_count_and_to_the_bytes() {
        let documents = documents(5);
        let size = documents.size(0);
        let split = |most, bytes| {
            let limits = BatchLimits {
                documents: most,
                bytes,
            };
            let mut from = 0;
            let mut ends = Vec::new();
            while from < documents.len() {
                let batch = documents.batch(&(from..documents.len()), limits);
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
        assert_eq!(documents.batch(&(1..3), BatchLimits::MOST), 1..3);
    }

    #[test]
    fn a_document_that_cannot_be_written_leaves_no_trace() {
        let mut documents = documents(1);
        let failed: Result<()> = documents.push_with(|bytes| {
            bytes.extend_from_slice(b"half");
            Err(Error::internal("no"))
        });
        assert!(failed.is_err());
        push(&mut documents, &doc! { "_id": "longer" }).unwrap();
        let second = Document::from_reader(documents.bytes(&(1..2))).unwrap();
        assert_eq!(second, doc! { "_id": "longer" });
        assert_eq!(documents.largest(), (1, documents.size(1)));
    }
}
