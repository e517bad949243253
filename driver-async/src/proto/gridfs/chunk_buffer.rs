//! Chunks on their way to the server.

use std::mem;

use bson::{Bson, oid::ObjectId};
use bytes::{BufMut, buf::Limit};

use crate::{
    error::{Error, Result},
    object_ids::ObjectIds,
    proto::wire::DocumentWriter,
};

/// How many bytes of chunks are inserted with one command.
const BATCH: usize = 2 * 1024 * 1024;
/// How many chunks are inserted with one command at most; no server takes fewer.
const MOST_CHUNKS: usize = 1000;
/// How much room is made at once for what a reader gives.
const READ_ROOM: usize = 1024 * 1024;

const LENGTH: usize = 4;
/// Behind the length, a type and the key `_id`.
const ID_AT: usize = LENGTH + 1 + 4;
/// A type, the key `data`, a length and the subtype.
const DATA_HEAD: usize = 1 + 5 + 4 + 1;
const SUBTYPE: usize = 1;

/// Takes a file's bytes and makes them the documents of its chunks, with one copy.
#[derive(Debug)]
pub(crate) struct ChunkBuffer {
    /// A chunk's document up to its data, for a full chunk.
    head: Vec<u8>,
    chunk_size: usize,
    /// Whole documents, and then that of the chunk being filled.
    bytes: Vec<u8>,
    /// Where the document of the chunk being filled starts.
    filling: Option<usize>,
    whole: Batch,
    /// The number of the next chunk.
    next: i32,
    length: u64,
}

/// What the whole documents at the front of the buffer are.
#[derive(Clone, Copy, Debug, Default)]
struct Batch {
    first: i32,
    count: usize,
    end: usize,
    largest: usize,
}

/// Chunks that one command inserts: their documents, one after the other.
#[derive(Debug)]
pub(crate) struct Chunks {
    bytes: Vec<u8>,
    first: i32,
    largest: usize,
}

impl Chunks {
    /// The documents' bytes.
    pub(crate) fn documents(&self) -> &[u8] {
        &self.bytes
    }

    /// The number of the chunk at that place.
    pub(crate) fn number_of(&self, index: usize) -> i32 {
        self.first
            .saturating_add(i32::try_from(index).unwrap_or(i32::MAX))
    }

    /// The size of the largest document.
    pub(crate) fn largest(&self) -> usize {
        self.largest
    }

    /// The memory, for further chunks.
    pub(crate) fn into_memory(self) -> Vec<u8> {
        self.bytes
    }
}

impl ChunkBuffer {
    /// For the file with this `_id`.
    ///
    /// # Errors
    /// An invalid-argument error for a chunk size that cannot be, or an id that cannot be written.
    pub(crate) fn new(files_id: &Bson, chunk_size: u32) -> Result<Self> {
        let size = i32::try_from(chunk_size).ok().filter(|size| *size > 0);
        let size = size.ok_or_else(|| {
            Error::invalid_argument(format!(
                "the chunk size is {chunk_size} bytes; use at least 1 and less than 16 MiB"
            ))
        })?;
        let mut head = Vec::new();
        let mut writer = DocumentWriter::begin(&mut head);
        writer.append_object_id("_id", ObjectId::from_bytes([0; 12]))?;
        writer.append_bson("files_id", files_id)?;
        writer.append_i32("n", 0)?;
        writer.append_binary("data", 0, &[])?;
        let chunk_size = usize::try_from(chunk_size).unwrap_or(usize::MAX);
        let document = head
            .len()
            .checked_add(chunk_size)
            .and_then(|length| i32::try_from(length.checked_add(1)?).ok());
        // A chunk that no document can hold may never become full, so it is refused when it does.
        let document = document.unwrap_or(i32::MAX);
        patch(&mut head, 0, &document.to_le_bytes());
        let data = head.len() - SUBTYPE - LENGTH;
        patch(&mut head, data, &size.to_le_bytes());
        Ok(Self {
            head,
            chunk_size,
            bytes: Vec::new(),
            filling: None,
            whole: Batch::default(),
            next: 0,
            length: 0,
        })
    }

    /// How many bytes of the file came so far.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Whether the chunks must be taken before further bytes can come.
    pub(crate) fn is_full(&self) -> bool {
        let Batch { count, end, .. } = self.whole;
        let next = end + self.head.len() + self.chunk_size + 1;
        self.filling.is_none() && count > 0 && (count >= MOST_CHUNKS || next > BATCH)
    }

    /// Whether there is a chunk that has all its bytes.
    pub(crate) fn has_whole_chunks(&self) -> bool {
        self.whole.count > 0
    }

    /// Takes as many bytes as there is room for; none when the buffer is full.
    ///
    /// # Errors
    /// An invalid-argument error when the file becomes too long for its chunks' numbers.
    pub(crate) fn write(&mut self, mut data: &[u8]) -> Result<usize> {
        let mut taken = 0;
        while !data.is_empty() && !self.is_full() {
            let room = self.begin_chunk()?;
            let (now, later) = data.split_at(room.min(data.len()));
            self.bytes.extend_from_slice(now);
            self.count_in(now.len());
            taken += now.len();
            data = later;
        }
        Ok(taken)
    }

    /// Room for a reader to put bytes into; then call [`ChunkBuffer::advance`]. There is none
    /// when the buffer is full.
    ///
    /// # Errors
    /// As [`ChunkBuffer::write`].
    pub(crate) fn room(&mut self) -> Result<Limit<&mut Vec<u8>>> {
        let room = if self.is_full() {
            0
        } else {
            self.begin_chunk()?
        };
        self.bytes.reserve(room.min(READ_ROOM) + 1);
        Ok((&mut self.bytes).limit(room))
    }

    /// Counts what a reader has put into the room.
    pub(crate) fn advance(&mut self, count: usize) {
        self.count_in(count);
    }

    /// Makes sure that a chunk is being filled, and gives how many bytes it can still take.
    fn begin_chunk(&mut self) -> Result<usize> {
        if let Some(start) = self.filling {
            return Ok(self.chunk_size - self.data_in(start));
        }
        if self.next == i32::MAX {
            return Err(Error::invalid_argument(
                "the file has more chunks than can be counted; use a larger chunk size",
            ));
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&self.head);
        let id = ObjectIds::of_this_process().make();
        patch(&mut self.bytes, start + ID_AT, &id.bytes());
        let n = start + self.head.len() - DATA_HEAD - 4;
        patch(&mut self.bytes, n, &self.next.to_le_bytes());
        self.filling = Some(start);
        Ok(self.chunk_size)
    }

    fn data_in(&self, start: usize) -> usize {
        self.bytes.len() - start - self.head.len()
    }

    fn count_in(&mut self, count: usize) {
        self.length = self
            .length
            .saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        if let Some(start) = self.filling
            && self.data_in(start) >= self.chunk_size
        {
            self.end_chunk(start);
        }
    }

    fn end_chunk(&mut self, start: usize) {
        self.bytes.push(0);
        self.filling = None;
        let size = self.bytes.len() - start;
        self.whole.count += 1;
        self.whole.end = self.bytes.len();
        self.whole.largest = self.whole.largest.max(size);
        self.next += 1;
        if self.whole.count == 1 && self.bytes.capacity() < BATCH {
            // More than one chunk means a file of some size, so the buffer need not grow for it
            // step by step.
            self.bytes.reserve(BATCH.saturating_sub(self.bytes.len()));
        }
    }

    /// Takes the chunks that have all their bytes; `memory` is used for what follows.
    pub(crate) fn take_whole(&mut self, mut memory: Vec<u8>) -> Option<Chunks> {
        let Batch {
            first,
            count,
            end,
            largest,
        } = self.whole;
        if count == 0 {
            return None;
        }
        memory.clear();
        memory.extend_from_slice(self.bytes.get(end..).unwrap_or_default());
        let mut bytes = mem::replace(&mut self.bytes, memory);
        bytes.truncate(end);
        self.filling = self.filling.map(|start| start - end);
        self.whole = Batch {
            first: self.next,
            ..Batch::default()
        };
        Some(Chunks {
            bytes,
            first,
            largest,
        })
    }

    /// Ends the file: takes all chunks, the last one with what bytes it has.
    pub(crate) fn take_rest(&mut self) -> Result<Option<Chunks>> {
        if let Some(start) = self.filling {
            let data = self.data_in(start);
            if data == 0 {
                self.bytes.truncate(start);
                self.filling = None;
            } else {
                let lengths = (
                    i32::try_from(self.head.len() + data + 1),
                    i32::try_from(data),
                );
                let (Ok(document), Ok(data)) = lengths else {
                    return Err(Error::invalid_argument(
                        "a chunk is larger than a document can be; use a smaller chunk size",
                    ));
                };
                patch(&mut self.bytes, start, &document.to_le_bytes());
                let length = start + self.head.len() - SUBTYPE - LENGTH;
                patch(&mut self.bytes, length, &data.to_le_bytes());
                self.end_chunk(start);
            }
        }
        Ok(self.take_whole(Vec::new()))
    }
}

fn patch(bytes: &mut [u8], at: usize, with: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + with.len()) {
        place.copy_from_slice(with);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use bson::{Document, doc};

    use super::*;

    /// The chunks' documents of a file that was written in pieces, and the size of each batch.
    fn documents(size: usize, chunk_size: u32, piece: usize) -> (Vec<Document>, Vec<usize>) {
        let content: Vec<u8> = (0..size).map(|at| at as u8).collect();
        let mut buffer = ChunkBuffer::new(&Bson::Int32(5), chunk_size).unwrap();
        let (mut found, mut batches) = (Vec::new(), Vec::new());
        let mut take = |chunks: &Chunks| {
            let mut rest = chunks.documents();
            let before = found.len();
            assert_eq!(chunks.number_of(0), before as i32);
            while !rest.is_empty() {
                found.push(Document::from_reader(&mut rest).unwrap());
            }
            batches.push(found.len() - before);
            let largest = found[before..].iter().map(|it| it.to_vec().unwrap().len());
            assert_eq!(largest.max(), Some(chunks.largest()));
        };
        for mut piece in content.chunks(piece) {
            while !piece.is_empty() {
                let taken = buffer.write(piece).unwrap();
                piece = &piece[taken..];
                if buffer.is_full() {
                    take(&buffer.take_whole(Vec::new()).unwrap());
                }
                assert!(taken > 0 || piece.is_empty() || !buffer.is_full());
            }
        }
        if let Some(chunks) = buffer.take_rest().unwrap() {
            take(&chunks);
        }
        assert_eq!(buffer.length(), size as u64);
        let data: Vec<u8> = found.iter().flat_map(data).collect();
        assert!(data == content, "{size} bytes in {chunk_size}, by {piece}");
        (found, batches)
    }

    fn data(document: &Document) -> Vec<u8> {
        document.get_binary_generic("data").unwrap().clone()
    }

    #[test]
    fn the_documents_are_the_files_bytes_in_order() {
        for size in [0, 1, 3, 4, 5, 7, 8, 9, 40] {
            for piece in [1, 3, 4, 5, 100] {
                let (found, _) = documents(size, 4, piece);
                assert_eq!(found.len(), size.div_ceil(4));
                for (n, document) in found.iter().enumerate() {
                    let keys: Vec<_> = document.keys().map(String::as_str).collect();
                    assert_eq!(keys, ["_id", "files_id", "n", "data"]);
                    assert_eq!(document.get_i32("n").unwrap(), n as i32);
                    assert_eq!(document.get_i32("files_id").unwrap(), 5);
                    let wanted = if n + 1 == found.len() {
                        size - 4 * n
                    } else {
                        4
                    };
                    assert_eq!(data(document).len(), wanted);
                }
                let ids: HashSet<_> = found
                    .iter()
                    .map(|it| it.get_object_id("_id").unwrap())
                    .collect();
                assert_eq!(ids.len(), found.len());
            }
        }
    }

    #[test]
    fn batches_keep_to_the_bytes_and_to_the_count() {
        let (_, batches) = documents(20 * 261_120 + 1, 261_120, 100_000);
        assert_eq!(batches, [8, 8, 5]);
        let (_, batches) = documents(2_500, 1, 2_500);
        assert_eq!(batches, [1000, 1000, 500]);
        let (_, batches) = documents(7_000_000, 3_000_000, 1_000_000);
        assert_eq!(batches, [1, 1, 1]);
    }

    #[test]
    fn whole_chunks_can_be_taken_before_the_buffer_is_full() {
        let mut buffer = ChunkBuffer::new(&Bson::Null, 4).unwrap();
        assert!(buffer.take_whole(Vec::new()).is_none());
        assert_eq!(buffer.write(b"abcdefghij").unwrap(), 10);
        let first = buffer.take_whole(vec![1, 2, 3]).unwrap();
        assert_eq!((first.number_of(0), first.number_of(1)), (0, 1));
        assert!(!buffer.has_whole_chunks());
        assert_eq!(buffer.write(b"kl").unwrap(), 2);
        let second = buffer.take_rest().unwrap().unwrap();
        assert_eq!(second.number_of(0), 2);
        let document = Document::from_reader(second.documents()).unwrap();
        assert_eq!(data(&document), b"ijkl");
        assert!(buffer.take_rest().unwrap().is_none());
    }

    #[test]
    fn a_reader_fills_the_same_chunks() {
        let mut buffer = ChunkBuffer::new(&Bson::String("x".into()), 4).unwrap();
        let mut left = &b"abcdefghi"[..];
        while !left.is_empty() {
            let mut room = buffer.room().unwrap();
            let count = room.remaining_mut().min(left.len());
            room.put_slice(&left[..count]);
            buffer.advance(count);
            left = &left[count..];
        }
        // The end of a file is found with room for more.
        buffer.room().unwrap();
        let chunks = buffer.take_rest().unwrap().unwrap();
        let mut bytes = chunks.documents();
        for wanted in [&b"abcd"[..], b"efgh", b"i"] {
            let document = Document::from_reader(&mut bytes).unwrap();
            assert_eq!(data(&document), wanted);
        }
        assert!(bytes.is_empty());
    }

    #[test]
    fn chunk_sizes_that_cannot_be_are_refused() {
        for size in [0, 1 << 31, u32::MAX] {
            assert!(ChunkBuffer::new(&Bson::Null, size).is_err(), "{size}");
        }
        let mut largest = ChunkBuffer::new(&Bson::Null, i32::MAX.unsigned_abs()).unwrap();
        assert_eq!(largest.write(b"ab").unwrap(), 2);
        assert!(largest.take_rest().unwrap().is_some());
        assert!(ChunkBuffer::new(&doc! { "a\0": 1 }.into(), 4).is_err());
    }
}
