//! Opening files as streams.

use std::time::Duration;

use bson::{Bson, Document, doc};

use super::timeout_setter;
use crate::{
    action::{action, option_setters},
    error::{GridFsErrorKind, GridFsFileIdentifier, Result},
    gridfs::{
        FilesCollectionDocument, GridFsBucket, GridFsDownloadStream, GridFsUploadStream, NewFile,
    },
    options::{GridFsDownloadByNameOptions, GridFsUploadOptions},
    proto::gridfs::{Revision, files_with_id},
};

/// The newest of the files of a name.
const NEWEST: i32 = -1;

/// Opens a new file for writing; see [`GridFsBucket::open_upload_stream`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct OpenUploadStream<'a> {
    bucket: &'a GridFsBucket,
    filename: String,
    id: Option<Bson>,
    options: GridFsUploadOptions,
}

/// Opens a file for reading; see [`GridFsBucket::open_download_stream`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct OpenDownloadStream<'a> {
    bucket: &'a GridFsBucket,
    id: Bson,
    timeout: Option<Duration>,
}

/// Opens a file for reading; see [`GridFsBucket::open_download_stream_by_name`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct OpenDownloadStreamByName<'a> {
    bucket: &'a GridFsBucket,
    filename: String,
    options: GridFsDownloadByNameOptions,
}

impl GridFsBucket {
    /// Opens a new file for writing.
    ///
    /// Opening does no I/O. The file exists once the stream is closed; see
    /// [`GridFsUploadStream`]. Names need not be unique: the files of one name are its revisions,
    /// by their upload dates.
    ///
    /// # Errors
    /// An invalid-argument error for a chunk size that cannot be.
    pub fn open_upload_stream(&self, filename: impl AsRef<str>) -> OpenUploadStream<'_> {
        OpenUploadStream {
            bucket: self,
            filename: filename.as_ref().to_owned(),
            id: None,
            options: GridFsUploadOptions::default(),
        }
    }

    /// Opens the file with this id for reading.
    ///
    /// # Errors
    /// [`FileNotFound`](GridFsErrorKind::FileNotFound) when there is no such file; an
    /// invalid-response or BSON error when its document says what cannot be; the server's, those
    /// of selection and network. A chunk that is not there or not whole is told when it is read:
    /// [`MissingChunk`](GridFsErrorKind::MissingChunk),
    /// [`WrongSizeChunk`](GridFsErrorKind::WrongSizeChunk) and
    /// [`WrongNumberOfChunks`](GridFsErrorKind::WrongNumberOfChunks).
    pub fn open_download_stream(&self, id: Bson) -> OpenDownloadStream<'_> {
        OpenDownloadStream {
            bucket: self,
            id,
            timeout: None,
        }
    }

    /// Opens the file with this name for reading: the newest, or another
    /// [`revision`](OpenDownloadStreamByName::revision).
    ///
    /// # Errors
    /// [`FileNotFound`](GridFsErrorKind::FileNotFound) when there is no file of that name,
    /// [`RevisionNotFound`](GridFsErrorKind::RevisionNotFound) when there are not enough; otherwise
    /// as [`GridFsBucket::open_download_stream`].
    ///
    /// ```no_run
    /// # use motorcade::gridfs::GridFsBucket;
    /// # async fn example(bucket: GridFsBucket) -> motorcade::error::Result<()> {
    /// let original = bucket.open_download_stream_by_name("report.pdf").revision(0).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn open_download_stream_by_name(
        &self,
        filename: impl Into<String>,
    ) -> OpenDownloadStreamByName<'_> {
        OpenDownloadStreamByName {
            bucket: self,
            filename: filename.into(),
            options: GridFsDownloadByNameOptions::default(),
        }
    }

    async fn file_with_id(&self, id: Bson) -> Result<FilesCollectionDocument> {
        let found = self.files().find_one(files_with_id(&id)).await?;
        found.ok_or_else(|| {
            let identifier = GridFsFileIdentifier::Id(id);
            GridFsErrorKind::FileNotFound { identifier }.into()
        })
    }

    async fn file_with_name(
        &self,
        filename: String,
        options: GridFsDownloadByNameOptions,
    ) -> Result<FilesCollectionDocument> {
        let revision = options.revision.unwrap_or(NEWEST);
        let Revision { order, skip } = revision.into();
        let filter = doc! { "filename": &filename };
        let find = self.files().find_one(filter.clone());
        let found = find.sort(doc! { "uploadDate": order }).skip(skip).await?;
        if let Some(file) = found {
            return Ok(file);
        }
        let any = if skip == 0 {
            None
        } else {
            let files = self.files().clone_with_type::<Document>();
            files.find_one(filter).projection(doc! { "_id": 1 }).await?
        };
        let kind = match any {
            Some(_) => GridFsErrorKind::RevisionNotFound { revision },
            None => GridFsErrorKind::FileNotFound {
                identifier: GridFsFileIdentifier::Filename(filename),
            },
        };
        Err(kind.into())
    }
}

impl OpenUploadStream<'_> {
    /// Gives the file this `_id`, which may be of any type, instead of a new object id.
    pub fn id(mut self, value: impl Into<Bson>) -> Self {
        self.id = Some(value.into());
        self
    }

    option_setters! { GridFsUploadOptions {
        timeout: Duration,
        chunk_size_bytes: u32,
        metadata: Document,
    } into { content_type: String, } each { aliases: String, } }
}

impl OpenDownloadStreamByName<'_> {
    option_setters! { GridFsDownloadByNameOptions { timeout: Duration, revision: i32, } }
}

timeout_setter! { impl['a] OpenDownloadStream<'a> }

action! { impl['a] OpenUploadStream<'a> => Result<GridFsUploadStream>, never waits, |self| {
    let Self { bucket, filename, id, options } = self;
    let bucket = bucket.started(options.timeout);
    GridFsUploadStream::new(NewFile::new(&bucket, id, filename, options))
} }

action! { impl['a] OpenDownloadStream<'a> => Result<GridFsDownloadStream>, |self| {
    let bucket = self.bucket.started(self.timeout);
    let file = bucket.file_with_id(self.id).await?;
    GridFsDownloadStream::new(&bucket, file)
} }

action! { impl['a] OpenDownloadStreamByName<'a> => Result<GridFsDownloadStream>, |self| {
    let bucket = self.bucket.started(self.options.timeout);
    let file = bucket.file_with_name(self.filename, self.options).await?;
    GridFsDownloadStream::new(&bucket, file)
} }
