//! Uploading and downloading whole files.

use std::{future::poll_fn, time::Duration};

use bson::{Bson, Document};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::timeout_setter;
use crate::{
    action::{Action, action, option_setters},
    error::{Error, GridFsErrorKind, Result},
    gridfs::{
        FilesCollectionDocument, GridFsBucket, GridFsDownloadStream, GridFsProgress,
        GridFsUploadStream, ProgressCallback,
    },
    options::{GridFsDownloadByNameOptions, GridFsUploadOptions},
};

/// Uploads a file; see [`GridFsBucket::upload_from_reader`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct UploadFromReader<'a, R> {
    bucket: &'a GridFsBucket,
    filename: String,
    reader: R,
    id: Option<Bson>,
    options: GridFsUploadOptions,
    progress: ProgressCallback<'a>,
}

/// Downloads a file; see [`GridFsBucket::download_to_writer`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct DownloadToWriter<'a, W> {
    bucket: &'a GridFsBucket,
    id: Bson,
    writer: W,
    progress: ProgressCallback<'a>,
    timeout: Option<Duration>,
}

/// Downloads a file; see [`GridFsBucket::download_to_writer_by_name`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct DownloadToWriterByName<'a, W> {
    bucket: &'a GridFsBucket,
    filename: String,
    writer: W,
    options: GridFsDownloadByNameOptions,
    progress: ProgressCallback<'a>,
}

impl GridFsBucket {
    /// Uploads everything that a reader gives as a new file, and gives the file's id.
    ///
    /// Lend the reader as `&mut reader` to keep it; it is not closed. The next bytes are read
    /// while the server stores those before, and never more than a few MiB are held in memory. A
    /// timeout ends what the driver waits for, but not a reader that waits: with one that may, the
    /// upload can take longer.
    ///
    /// # Errors
    /// The reader's: what was uploaded is deleted again then, and an
    /// [`AbortError`](GridFsErrorKind::AbortError) with both errors tells that this failed too. The
    /// server's, those of selection and network: chunks that were stored stay then, as the GridFS
    /// specification wants it. An invalid-argument error for a chunk size that cannot be.
    ///
    /// ```no_run
    /// # use motorcade::gridfs::GridFsBucket;
    /// # async fn example(bucket: GridFsBucket) -> motorcade::error::Result<()> {
    /// let content = &b"an old silent pond"[..];
    /// let id = bucket
    ///     .upload_from_reader("haiku.txt", content)
    ///     .progress(|so_far| println!("{} bytes", so_far.transferred))
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn upload_from_reader<R>(
        &self,
        filename: impl AsRef<str>,
        reader: R,
    ) -> UploadFromReader<'_, R>
    where
        R: AsyncRead + Send + Unpin,
    {
        UploadFromReader {
            bucket: self,
            filename: filename.as_ref().to_owned(),
            reader,
            id: None,
            options: GridFsUploadOptions::default(),
            progress: ProgressCallback::none(),
        }
    }

    /// Downloads the file with this id to a writer, and gives the file's document.
    ///
    /// Lend the writer as `&mut writer` to keep it; it is flushed but not closed. The bytes are
    /// written as they came from the server, without a copy. A timeout ends what the driver waits
    /// for, but not a writer that waits: with one that may, the download can take longer.
    ///
    /// # Errors
    /// The writer's; otherwise as [`GridFsBucket::open_download_stream`].
    ///
    /// ```no_run
    /// # use motorcade::{bson::Bson, gridfs::GridFsBucket};
    /// # async fn example(bucket: GridFsBucket, id: Bson) -> motorcade::error::Result<()> {
    /// let mut content = Vec::new();
    /// let file = bucket.download_to_writer(id, &mut content).await?;
    /// assert_eq!(content.len() as u64, file.length);
    /// # Ok(())
    /// # }
    /// ```
    pub fn download_to_writer<W>(&self, id: Bson, writer: W) -> DownloadToWriter<'_, W>
    where
        W: AsyncWrite + Send + Unpin,
    {
        DownloadToWriter {
            bucket: self,
            id,
            writer,
            progress: ProgressCallback::none(),
            timeout: None,
        }
    }

    /// Downloads the file with this name to a writer: the newest, or another
    /// [`revision`](DownloadToWriterByName::revision). Otherwise like
    /// [`GridFsBucket::download_to_writer`].
    ///
    /// # Errors
    /// The writer's; otherwise as [`GridFsBucket::open_download_stream_by_name`].
    pub fn download_to_writer_by_name<W>(
        &self,
        filename: impl Into<String>,
        writer: W,
    ) -> DownloadToWriterByName<'_, W>
    where
        W: AsyncWrite + Send + Unpin,
    {
        DownloadToWriterByName {
            bucket: self,
            filename: filename.into(),
            writer,
            options: GridFsDownloadByNameOptions::default(),
            progress: ProgressCallback::none(),
        }
    }
}

/// Writes the setter of the callback.
macro_rules! progress_setter {
    () => {
        /// Has a function called whenever some more of the file has been handed over.
        ///
        /// It is called in between, by whoever drives the operation, so it must not block.
        pub fn progress(mut self, callback: impl FnMut(GridFsProgress) + Send + 'a) -> Self {
            self.progress = ProgressCallback::new(callback);
            self
        }
    };
}

impl<'a, R> UploadFromReader<'a, R> {
    /// Gives the file this `_id`, which may be of any type, instead of a new object id.
    pub fn id(mut self, value: impl Into<Bson>) -> Self {
        self.id = Some(value.into());
        self
    }

    progress_setter! {}

    option_setters! { GridFsUploadOptions {
        timeout: Duration,
        chunk_size_bytes: u32,
        metadata: Document,
    } into { content_type: String, } each { aliases: String, } }
}

impl<'a, W> DownloadToWriter<'a, W> {
    progress_setter! {}
}

impl<'a, W> DownloadToWriterByName<'a, W> {
    progress_setter! {}

    option_setters! { GridFsDownloadByNameOptions { timeout: Duration, revision: i32, } }
}

timeout_setter! { impl['a, W] DownloadToWriter<'a, W> }

action! { impl['a, R: AsyncRead + Send + Unpin + 'a] UploadFromReader<'a, R> => Result<Bson>, |self| {
    let Self { bucket, filename, mut reader, id, options, mut progress } = self;
    let mut open = bucket.open_upload_stream(filename).with_options(options);
    if let Some(id) = id {
        open = open.id(id);
    }
    let mut upload = open.await?;
    loop {
        match poll_fn(|context| upload.poll_fill(context, &mut reader)).await? {
            Ok(0) => break,
            Ok(count) => progress.advance(count, None),
            Err(error) => return Err(undone(&mut upload, error.into()).await),
        }
    }
    upload.close().await?;
    Ok(upload.id().clone())
} }

/// The error to report once an upload was aborted because its reader failed.
async fn undone(upload: &mut GridFsUploadStream, error: Error) -> Error {
    match upload.abort().await {
        Ok(()) => error,
        Err(delete_error) => GridFsErrorKind::AbortError {
            original_error: Some(error),
            delete_error,
        }
        .into(),
    }
}

action! { impl['a, W: AsyncWrite + Send + Unpin + 'a] DownloadToWriter<'a, W>
    => Result<FilesCollectionDocument>, |self|
{
    let open = self.bucket.open_download_stream(self.id);
    let open = open.optional(self.timeout, |open, timeout| open.timeout(timeout));
    let stream = open.await?;
    download(stream, self.writer, self.progress).await
} }

action! { impl['a, W: AsyncWrite + Send + Unpin + 'a] DownloadToWriterByName<'a, W>
    => Result<FilesCollectionDocument>, |self|
{
    let open = self.bucket.open_download_stream_by_name(self.filename);
    let stream = open.with_options(self.options).await?;
    download(stream, self.writer, self.progress).await
} }

async fn download<W: AsyncWrite + Unpin>(
    mut stream: GridFsDownloadStream,
    mut writer: W,
    mut progress: ProgressCallback<'_>,
) -> Result<FilesCollectionDocument> {
    let length = stream.file().length;
    stream.will_read_on();
    loop {
        poll_fn(|context| stream.poll_load(context)).await?;
        let loaded = stream.loaded();
        if loaded.is_empty() {
            break;
        }
        let count = loaded.len();
        writer.write_all(loaded).await?;
        stream.move_on(count);
        progress.advance(count, Some(length));
    }
    writer.flush().await?;
    Ok(stream.into_file())
}
