//! Files in GridFS: how a file lies in its chunks, and the documents that hold them.

mod chunk_buffer;
mod chunk_check;
mod layout;
mod query;

pub(crate) use chunk_buffer::{ChunkBuffer, Chunks};
pub(crate) use chunk_check::{ChunkCheck, FoundChunk};
pub(crate) use layout::Layout;
pub(crate) use query::{Revision, chunk_keys, equal, file_keys, files_with_id, same_keys};
