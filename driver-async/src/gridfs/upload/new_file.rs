//! What an upload does on the server.

use std::sync::OnceLock;

use bson::{Bson, DateTime, Document, doc};

use crate::{
    error::{Error, ErrorKind, Result, WriteFailure},
    exec,
    gridfs::{GridFsBucket, task::Task},
    object_ids::ObjectIds,
    operation::InsertChunks,
    options::GridFsUploadOptions,
    proto::gridfs::{Chunks, equal},
};

/// What is known of a file before its content.
#[derive(Debug)]
pub(crate) struct NewFile {
    pub(super) bucket: GridFsBucket,
    pub(super) id: Bson,
    filename: String,
    pub(super) chunk_size: u32,
    options: GridFsUploadOptions,
    /// The document that makes the file exist, once an insert of it failed and may have worked
    /// nevertheless.
    doubtful: OnceLock<Document>,
}

/// Which of the chunks with the file's id are of this upload, as far as is known.
///
/// A unique index keeps the chunks of two files with one id apart: the chunks before the one that
/// it refused are ours, and from there on they are the other file's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ours {
    None,
    Below(i32),
    All,
}

pub(super) struct Inserted {
    pub(super) memory: Vec<u8>,
    pub(super) ours: Ours,
    pub(super) outcome: Result<()>,
}

/// How the closing or aborting ended, and which chunks are left of it.
pub(super) type Ended = (Ours, Result<()>);

impl NewFile {
    pub(crate) fn new(
        bucket: &GridFsBucket,
        id: Option<Bson>,
        filename: String,
        options: GridFsUploadOptions,
    ) -> Self {
        Self {
            bucket: bucket.clone(),
            id: id.unwrap_or_else(|| ObjectIds::of_this_process().make().into()),
            filename,
            chunk_size: options
                .chunk_size_bytes
                .unwrap_or_else(|| bucket.chunk_size_bytes()),
            options,
            doubtful: OnceLock::new(),
        }
    }

    /// Inserts chunks, and tells which chunks are ours then.
    pub(super) async fn insert(&self, chunks: &Chunks) -> (Ours, Result<()>) {
        if let Err(error) = self.bucket.ensure_indexes().await {
            let is_first = chunks.number_of(0) == 0;
            return (if is_first { Ours::None } else { Ours::All }, Err(error));
        }
        let handle = self.bucket.chunks().handle();
        let mut operation = InsertChunks::new(handle.scope(), chunks);
        let outcome = exec::execute(handle.executor(), &mut operation).await;
        let is_taken = outcome.as_ref().is_err_and(Error::is_duplicate_key);
        let ours = match operation.refused().filter(|_| is_taken) {
            None => Ours::All,
            Some(0) => Ours::None,
            Some(n) => Ours::Below(n),
        };
        (ours, outcome)
    }

    /// Inserts the document that makes the file exist.
    async fn complete(&self, length: u64) -> Result<()> {
        self.bucket.ensure_indexes().await?;
        let too_large = |_| Error::invalid_argument("the file is too large for GridFS");
        let mut document = doc! {
            "_id": &self.id,
            "length": i64::try_from(length).map_err(too_large)?,
            "chunkSize": i32::try_from(self.chunk_size).map_err(too_large)?,
            "uploadDate": DateTime::now(),
            "filename": &self.filename,
        };
        let options = &self.options;
        if let Some(content_type) = &options.content_type {
            document.insert("contentType", content_type);
        }
        if let Some(aliases) = &options.aliases {
            document.insert("aliases", aliases);
        }
        if let Some(metadata) = &options.metadata {
            document.insert("metadata", metadata);
        }
        let files = self.bucket.files().clone_with_type::<Document>();
        let outcome = files.insert_one(&document).await;
        outcome.map(drop).inspect_err(|error| {
            if !is_refusal(error) {
                // Closing is tried once, so this is the first and only one.
                drop(self.doubtful.set(document));
            }
        })
    }

    /// Makes sure that the file does not exist before its chunks go.
    async fn delete_doubtful(&self, bucket: &GridFsBucket) -> Result<()> {
        let Some(document) = self.doubtful.get() else {
            return Ok(());
        };
        // The date and length keep a file of somebody else with the same id, which may have been
        // the reason why ours was not stored.
        let mut filter = doc! { "_id": equal(&self.id) };
        for field in ["uploadDate", "length", "filename"] {
            if let Some(value) = document.get(field) {
                filter.insert(field, equal(value));
            }
        }
        bucket.files().delete_one(filter).await.map(drop)
    }

    async fn delete_chunks(&self, bucket: &GridFsBucket, ours: Ours) -> Result<()> {
        self.delete_doubtful(bucket).await?;
        let mut filter = doc! { "files_id": equal(&self.id) };
        match ours {
            Ours::None => return Ok(()),
            Ours::Below(n) => drop(filter.insert("n", doc! { "$lt": n })),
            Ours::All => {}
        }
        bucket.chunks().delete_many(filter).await.map(drop)
    }

    /// Inserts what is left, and makes the file exist.
    pub(super) async fn close(
        &self,
        inserting: Option<Task<Inserted>>,
        rest: Option<Chunks>,
        length: u64,
        mut ours: Ours,
    ) -> Ended {
        if let Some(inserting) = inserting {
            let inserted = inserted(inserting).await;
            if inserted.outcome.is_err() {
                return (inserted.ours, inserted.outcome);
            }
        }
        if let Some(chunks) = rest {
            let outcome;
            (ours, outcome) = self.insert(&chunks).await;
            if outcome.is_err() {
                return (ours, outcome);
            }
        }
        (ours, self.complete(length).await)
    }

    /// Deletes what was inserted, once nothing more of it is on its way.
    pub(super) async fn abort(&self, inserting: Option<Task<Inserted>>, mut ours: Ours) -> Ended {
        if let Some(inserting) = inserting {
            ours = inserted(inserting).await.ours;
        }
        (ours, self.delete_chunks(&self.bucket, ours).await)
    }

    /// Like [`NewFile::abort`], for an upload that was dropped: its time may be up, and its chunks
    /// are to go nevertheless.
    pub(super) async fn clean_up(
        &self,
        inserting: Option<Task<Inserted>>,
        ours: Ours,
    ) -> Result<()> {
        let ours = match inserting {
            Some(inserting) => inserted(inserting).await.ours,
            None => ours,
        };
        self.delete_chunks(&self.bucket.refreshed(), ours).await
    }
}

/// Whether the server said that it did not store the document.
fn is_refusal(error: &Error) -> bool {
    matches!(
        *error.kind,
        ErrorKind::Write(WriteFailure::WriteError(_)) | ErrorKind::InvalidArgument { .. }
    )
}

async fn inserted(inserting: Task<Inserted>) -> Inserted {
    inserting.await.unwrap_or_else(Inserted::unknown)
}

impl Inserted {
    /// What is known of an insert whose task was ended.
    pub(super) fn unknown(error: Error) -> Self {
        Self {
            memory: Vec::new(),
            ours: Ours::All,
            outcome: Err(error),
        }
    }
}
