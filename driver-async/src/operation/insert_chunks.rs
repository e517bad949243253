//! `insert`, of a file's chunks.

use super::{Operation, Retryability, Scope, Target, write_reply::WriteReply};
use crate::{
    error::{Error, Result},
    options::WriteConcern,
    proto::{
        gridfs::Chunks,
        timeout::Timeout,
        wire::{DocumentWriter, Reply, Sequence, Sequences},
    },
};

/// Inserts chunks of a file in GridFS, one after the other until one is refused.
///
/// They go to the socket from the buffer in which they were made. A general insert would keep the
/// `_id` of each, which nobody asks for.
#[derive(Debug)]
pub(crate) struct InsertChunks<'a> {
    scope: Scope<'a>,
    chunks: &'a Chunks,
    refused: Option<i32>,
}

impl<'a> InsertChunks<'a> {
    pub(crate) fn new(scope: Scope<'a>, chunks: &'a Chunks) -> Self {
        Self {
            scope,
            chunks,
            refused: None,
        }
    }

    /// The number of the chunk that the server refused; those before it are in.
    pub(crate) fn refused(&self) -> Option<i32> {
        self.refused
    }
}

impl Operation for InsertChunks<'_> {
    type Output = ();

    fn name(&self) -> &str {
        "insert"
    }

    fn database(&self) -> &str {
        self.scope.database
    }

    fn timeout(&self) -> Timeout {
        self.scope.timeout
    }

    fn retryability(&self) -> Retryability {
        Retryability::Write
    }

    fn write_concern(&self) -> Option<&WriteConcern> {
        self.scope.write_concern
    }

    fn write(&mut self, command: &mut DocumentWriter<'_>, target: &Target<'_>) -> Result<()> {
        let largest = self.chunks.largest();
        if largest > target.max_bson_object_size {
            return Err(Error::invalid_argument(format!(
                "a chunk's document has {largest} bytes and the server takes at most {}; use a \
                 smaller chunk size",
                target.max_bson_object_size
            )));
        }
        command.append_str("insert", self.scope.collection)?;
        command.append_bool("ordered", true)
    }

    fn sequences(&self) -> Sequences<'_> {
        let chunks = Sequence {
            identifier: "documents",
            documents: self.chunks.documents(),
        };
        [chunks].into()
    }

    fn reply(&mut self, reply: &Reply, _target: &Target<'_>) -> Result<()> {
        let reply = reply.document();
        let mut parsed = WriteReply::parse(reply)?;
        let refused = parsed.write_errors.first();
        self.refused = refused.map(|error| self.chunks.number_of(error.index));
        parsed.check_single(reply)
    }

    fn unacknowledged(&mut self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bson::{Bson, Document, doc};

    use super::*;
    use crate::{
        operation::tests::{replied, scope, target, written, written_for},
        proto::gridfs::ChunkBuffer,
    };

    /// Chunks 2 and 3 of a file.
    fn chunks() -> Chunks {
        let mut buffer = ChunkBuffer::new(&Bson::Int32(1), 4).unwrap();
        buffer.write(b"abcdefgh").unwrap();
        buffer.take_whole(Vec::new()).unwrap();
        buffer.write(b"ijklm").unwrap();
        buffer.take_rest().unwrap().unwrap()
    }

    #[test]
    fn the_chunks_follow_the_command() {
        let chunks = chunks();
        let mut insert = InsertChunks::new(scope(), &chunks);
        assert_eq!(
            written(&mut insert),
            doc! { "insert": "c", "ordered": true }
        );
        let sequences: Vec<_> = insert.sequences().iter().copied().collect();
        assert_eq!(sequences.len(), 1);
        let mut documents = sequences[0].documents;
        for n in [2, 3] {
            let document = Document::from_reader(&mut documents).unwrap();
            assert_eq!(document.get_i32("n").unwrap(), n);
        }
    }

    #[test]
    fn the_refused_chunk_is_known_by_its_number() {
        let chunks = chunks();
        let mut insert = InsertChunks::new(scope(), &chunks);
        let error = doc! { "index": 1, "code": 11000, "errmsg": "dup" };
        let reply = doc! { "ok": 1, "n": 1, "writeErrors": [error] };
        let error = replied(&mut insert, &reply).unwrap_err();
        assert!(error.is_duplicate_key());
        assert_eq!(insert.refused(), Some(3));
        replied(&mut insert, &doc! { "ok": 1, "n": 2 }).unwrap();
        assert_eq!(insert.refused(), None);
    }

    #[test]
    fn a_chunk_that_no_document_can_hold_is_not_sent() {
        let chunks = chunks();
        let small = Target {
            max_bson_object_size: chunks.largest() - 1,
            ..target()
        };
        let error = written_for(&mut InsertChunks::new(scope(), &chunks), &small).unwrap_err();
        assert!(error.to_string().contains("smaller chunk size"), "{error}");
    }
}
