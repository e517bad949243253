//! A handle to one bucket.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use bson::RawDocumentBuf;

use super::FilesCollectionDocument;
use crate::{
    clock,
    collection::Collection,
    database::Database,
    exec::Executor,
    options::{
        CollectionOptions, GridFsBucketOptions, ReadConcern, SelectionCriteria, WriteConcern,
    },
    proto::timeout::Timeout,
};

const DEFAULT_NAME: &str = "fs";
const DEFAULT_CHUNK_SIZE: u32 = 255 * 1024;

/// A handle to one bucket of files. Cloning it is cheap.
///
/// Making one does no I/O, and the bucket need not exist: the first upload creates it, with the
/// two indexes that it needs. Files can be read and written as streams or as a whole, found,
/// renamed and deleted. Transactions have no part in GridFS.
///
/// ```no_run
/// # async fn example(database: motorcade::Database) -> motorcade::error::Result<()> {
/// use motorcade::{bson::doc, options::GridFsBucketOptions};
///
/// let options = GridFsBucketOptions::builder().bucket_name("photos".to_owned()).build();
/// let photos = database.gridfs_bucket(options);
/// let large = photos.find_one(doc! { "length": { "$gt": 1_000_000 } }).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct GridFsBucket {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    name: String,
    chunk_size: u32,
    files: Collection<FilesCollectionDocument>,
    chunks: Collection<RawDocumentBuf>,
    has_indexes: Arc<AtomicBool>,
}

impl Database {
    /// A handle to a bucket of files of this database, with the database's concerns where the
    /// options leave them out.
    pub fn gridfs_bucket(&self, options: impl Into<Option<GridFsBucketOptions>>) -> GridFsBucket {
        let options = options.into().unwrap_or_default();
        let name = options
            .bucket_name
            .unwrap_or_else(|| DEFAULT_NAME.to_owned());
        let concerns = CollectionOptions {
            selection_criteria: options.selection_criteria,
            read_concern: options.read_concern,
            write_concern: options.write_concern,
            timeout: options.timeout,
        };
        let files = self.collection_with_options(&format!("{name}.files"), concerns.clone());
        let chunks = self.collection_with_options(&format!("{name}.chunks"), concerns);
        GridFsBucket {
            inner: Arc::new(Inner {
                name,
                chunk_size: options.chunk_size_bytes.unwrap_or(DEFAULT_CHUNK_SIZE),
                files,
                chunks,
                has_indexes: Arc::default(),
            }),
        }
    }
}

impl GridFsBucket {
    /// What the names of the bucket's two collections begin with.
    pub fn bucket_name(&self) -> &str {
        &self.inner.name
    }

    /// How many bytes of a file go into one chunk, unless its upload says otherwise.
    pub fn chunk_size_bytes(&self) -> u32 {
        self.inner.chunk_size
    }

    /// Which servers may serve reads.
    pub fn selection_criteria(&self) -> Option<&SelectionCriteria> {
        self.inner.files.selection_criteria()
    }

    /// The read concern.
    pub fn read_concern(&self) -> Option<&ReadConcern> {
        self.inner.files.read_concern()
    }

    /// The write concern.
    pub fn write_concern(&self) -> Option<&WriteConcern> {
        self.inner.files.write_concern()
    }

    pub(crate) fn files(&self) -> &Collection<FilesCollectionDocument> {
        &self.inner.files
    }

    pub(crate) fn chunks(&self) -> &Collection<RawDocumentBuf> {
        &self.inner.chunks
    }

    pub(crate) fn executor(&self) -> &Executor {
        self.inner.files.handle().executor()
    }

    /// Whether the server tells what a write did.
    /// The same bucket for an operation of several commands, or a stream, that begins now: they
    /// share its timeout, which may be one of its own.
    pub(crate) fn started(&self, own: Option<Duration>) -> Self {
        let timeout = self.files().handle().concerns.timeout.or_own(own);
        if !timeout.is_set() {
            return self.clone();
        }
        self.with_timeout(timeout.started(clock::now))
    }

    /// The same bucket, whose next operation has the whole of a timeout again.
    pub(super) fn refreshed(&self) -> Self {
        let timeout = self.files().handle().concerns.timeout;
        if !timeout.is_set() {
            return self.clone();
        }
        self.with_timeout(timeout.refreshed())
    }

    fn with_timeout(&self, timeout: Timeout) -> Self {
        Self {
            inner: Arc::new(Inner {
                name: self.inner.name.clone(),
                chunk_size: self.inner.chunk_size,
                files: self.files().within(timeout),
                chunks: self.chunks().within(timeout),
                has_indexes: Arc::clone(&self.inner.has_indexes),
            }),
        }
    }

    pub(crate) fn is_acknowledged(&self) -> bool {
        self.write_concern()
            .is_none_or(WriteConcern::is_acknowledged)
    }

    /// Whether this handle or a clone has seen to the indexes.
    pub(super) fn has_indexes(&self) -> &AtomicBool {
        &self.inner.has_indexes
    }
}
