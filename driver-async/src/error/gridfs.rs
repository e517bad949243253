//! What can go wrong with a file in GridFS.

use std::fmt;

use bson::Bson;

use super::Error;

/// What went wrong with a file in GridFS.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GridFsErrorKind {
    /// No file of the bucket has this id or name.
    #[error("the bucket has no file with {identifier}")]
    #[non_exhaustive]
    FileNotFound {
        /// What was looked for.
        identifier: GridFsFileIdentifier,
    },

    /// There are files of this name, but not as many as the revision asks for.
    #[error("the file has no revision {revision}")]
    #[non_exhaustive]
    RevisionNotFound {
        /// What was asked for: counted from 0 for the oldest, from -1 for the newest.
        revision: i32,
    },

    /// The next chunk of the file is not there: someone deletes the file, or did so in part.
    #[error("chunk {n} of the file is missing")]
    #[non_exhaustive]
    MissingChunk {
        /// The chunk's number, counted from 0.
        n: u32,
    },

    /// An upload was used after it was closed or aborted.
    #[error("the upload is closed; open another stream to write more")]
    UploadStreamClosed,

    /// A chunk does not hold as many bytes as the file's length and chunk size say.
    #[error("chunk {n} of the file has {actual_size} bytes instead of {expected_size}")]
    #[non_exhaustive]
    WrongSizeChunk {
        /// How many bytes the chunk has.
        actual_size: usize,
        /// How many bytes it should have.
        expected_size: u32,
        /// The chunk's number, counted from 0.
        n: u32,
    },

    /// The file has more chunks than its length and chunk size say.
    #[error("the file has {actual_number} chunks or more instead of {expected_number}")]
    #[non_exhaustive]
    WrongNumberOfChunks {
        /// How many chunks were seen.
        actual_number: u32,
        /// How many there should be.
        expected_number: u32,
    },

    /// What was uploaded could not be deleted again after its source had failed, so some chunks
    /// may be left over.
    #[error("the upload could not be undone: {delete_error}")]
    #[non_exhaustive]
    AbortError {
        /// Why the upload was aborted, when it was not asked for.
        original_error: Option<Error>,
        /// Why the chunks could not be deleted.
        #[source]
        delete_error: Error,
    },

    /// An upload cannot be aborted while it is being closed; await the closing first.
    #[error("the upload is being closed; await that before anything else")]
    WriteInProgress,
}

/// What a file in GridFS was looked up by.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum GridFsFileIdentifier {
    /// The file's name, which several files may have.
    Filename(String),
    /// The file's `_id`.
    Id(Bson),
}

impl fmt::Display for GridFsFileIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filename(name) => write!(f, "the name {name:?}"),
            Self::Id(id) => write!(f, "the id {id}"),
        }
    }
}
