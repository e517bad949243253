//! Whether the chunks that the server sends are those of the file.

use bson::{RawBsonRef, RawDocument};

use super::Layout;
use crate::error::{Error, GridFsErrorKind, Result};

/// A chunk's document, as far as it counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FoundChunk<'a> {
    n: RawBsonRef<'a>,
    pub(crate) data: &'a [u8],
}

impl<'a> FoundChunk<'a> {
    /// # Errors
    /// An invalid-response error for a document that is no chunk.
    pub(crate) fn parse(document: &'a RawDocument) -> Result<Self> {
        let (mut n, mut data) = (None, None);
        for element in document {
            let (key, value) = element.map_err(|error| {
                Error::invalid_response("a chunk is no valid BSON").with_source(error.into())
            })?;
            match (key.as_str(), value) {
                ("n", RawBsonRef::Int32(_) | RawBsonRef::Int64(_) | RawBsonRef::Double(_)) => {
                    n = Some(value);
                }
                ("data", RawBsonRef::Binary(binary)) => data = Some(binary.bytes),
                _ => {}
            }
        }
        match (n, data) {
            (Some(n), Some(data)) => Ok(Self { n, data }),
            _ => Err(Error::invalid_response(
                "a chunk has no number n or no binary data",
            )),
        }
    }

    /// Whether it has this number. Shells and drivers differ in the numbers' types.
    fn is(&self, n: u32) -> bool {
        match self.n {
            RawBsonRef::Int32(found) => u32::try_from(found) == Ok(n),
            RawBsonRef::Int64(found) => u32::try_from(found) == Ok(n),
            RawBsonRef::Double(found) => found == f64::from(n),
            _ => false,
        }
    }
}

/// Expects a file's chunks one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChunkCheck {
    layout: Layout,
    next: u32,
}

impl ChunkCheck {
    /// Expects the chunks from `n` on.
    pub(crate) fn from(layout: Layout, n: u32) -> Self {
        Self { layout, next: n }
    }

    /// The number of the next chunk.
    pub(crate) fn next(&self) -> u32 {
        self.next
    }

    /// Takes the next chunk.
    ///
    /// # Errors
    /// When it is another one, or of the wrong size.
    pub(crate) fn accept(&mut self, found: &FoundChunk<'_>) -> Result<()> {
        let n = self.next;
        if n >= self.layout.count() {
            return self.accept_beyond_the_end(found);
        }
        if !found.is(n) {
            return Err(missing(n));
        }
        let expected_size = self.layout.size_of(n);
        if u32::try_from(found.data.len()) != Ok(expected_size) {
            let kind = GridFsErrorKind::WrongSizeChunk {
                actual_size: found.data.len(),
                expected_size,
                n,
            };
            return Err(kind.into());
        }
        self.next += 1;
        Ok(())
    }

    /// Old drivers left an empty chunk behind, which takes nothing from the file's content.
    fn accept_beyond_the_end(&self, found: &FoundChunk<'_>) -> Result<()> {
        if found.data.is_empty() {
            return Ok(());
        }
        let expected_number = self.layout.count();
        let kind = GridFsErrorKind::WrongNumberOfChunks {
            actual_number: expected_number.saturating_add(1),
            expected_number,
        };
        Err(kind.into())
    }

    /// Takes note that there are no further chunks.
    ///
    /// # Errors
    /// When there should be.
    pub(crate) fn end(&self) -> Result<()> {
        if self.next < self.layout.count() {
            return Err(missing(self.next));
        }
        Ok(())
    }
}

fn missing(n: u32) -> Error {
    GridFsErrorKind::MissingChunk { n }.into()
}

#[cfg(test)]
mod tests {
    use bson::{Binary, Bson, Document, doc, spec::BinarySubtype};

    use super::*;
    use crate::error::ErrorKind;

    fn chunk(n: impl Into<Bson>, size: usize) -> Document {
        let bytes = vec![7; size];
        let subtype = BinarySubtype::Generic;
        doc! { "_id": 1, "files_id": 2, "n": n.into(), "data": Binary { subtype, bytes } }
    }

    fn accept(check: &mut ChunkCheck, document: &Document) -> Result<()> {
        let raw = bson::serialize_to_raw_document_buf(document).unwrap();
        check.accept(&FoundChunk::parse(&raw)?)
    }

    /// Expects the chunks of a file of nine bytes in chunks of four.
    fn check(found: &[Document]) -> Result<()> {
        let mut check = ChunkCheck::from(Layout::new(9, 4).unwrap(), 0);
        for document in found {
            accept(&mut check, document)?;
        }
        check.end()
    }

    fn refusal(found: &[Document]) -> GridFsErrorKind {
        match *check(found).unwrap_err().kind {
            ErrorKind::GridFs(kind) => kind,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn whole_files_pass_whatever_type_their_numbers_have() {
        check(&[chunk(0, 4), chunk(1_i64, 4), chunk(2.0, 1)]).unwrap();
    }

    #[test]
    fn an_empty_chunk_beyond_the_end_passes() {
        check(&[chunk(0, 4), chunk(1, 4), chunk(2, 1), chunk(3, 0)]).unwrap();
    }

    #[test]
    fn a_gap_and_an_early_end_are_missing_chunks() {
        for (found, n) in [
            (vec![], 0),
            (vec![chunk(0, 4), chunk(1, 4)], 2),
            (vec![chunk(0, 4), chunk(2, 1)], 1),
            (vec![chunk(1, 4)], 0),
            (vec![chunk(0, 4), chunk(0, 4)], 1),
            (vec![chunk(-1, 4)], 0),
            (vec![chunk(0.5, 4)], 0),
        ] {
            match refusal(&found) {
                GridFsErrorKind::MissingChunk { n: missing } => assert_eq!(missing, n),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_chunk_of_the_wrong_size_is_told() {
        for (found, sizes) in [
            (vec![chunk(0, 3)], (3, 4, 0)),
            (vec![chunk(0, 4), chunk(1, 5)], (5, 4, 1)),
            (vec![chunk(0, 4), chunk(1, 4), chunk(2, 2)], (2, 1, 2)),
        ] {
            match refusal(&found) {
                GridFsErrorKind::WrongSizeChunk {
                    actual_size,
                    expected_size,
                    n,
                } => assert_eq!((actual_size, expected_size, n), sizes),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn more_chunks_than_the_file_has_are_told() {
        let found = [chunk(0, 4), chunk(1, 4), chunk(2, 1), chunk(3, 1)];
        assert!(matches!(
            refusal(&found),
            GridFsErrorKind::WrongNumberOfChunks {
                actual_number: 4,
                expected_number: 3
            }
        ));
    }

    #[test]
    fn a_document_that_is_no_chunk_is_refused() {
        for document in [
            doc! {},
            doc! { "n": 0 },
            doc! { "n": 0, "data": "text" },
            doc! { "n": "0", "data": Binary { subtype: BinarySubtype::Generic, bytes: vec![1] } },
            doc! { "data": Binary { subtype: BinarySubtype::Generic, bytes: vec![1] } },
        ] {
            let error = check(std::slice::from_ref(&document)).unwrap_err();
            assert!(
                matches!(*error.kind, ErrorKind::InvalidResponse { .. }),
                "{document}: {error:?}"
            );
        }
    }
}
