//! Like [`motorcade::gridfs`], but blocking.

use std::{
    future::poll_fn,
    io::{self, BufRead, Read, Seek, SeekFrom, Write},
    pin::Pin,
    task::{Context, Poll, Waker},
};

use motorcade::{
    action::gridfs::{
        Delete, DeleteByName, DownloadToWriter, DownloadToWriterByName, Drop, Find, FindOne,
        OpenDownloadStream, OpenDownloadStreamByName, OpenUploadStream, Rename, RenameByName,
        UploadFromReader,
    },
    bson::{Bson, Document},
    error::Result,
    options::{ReadConcern, SelectionCriteria, WriteConcern},
};
use tokio::{
    io::{AsyncBufRead, AsyncRead, AsyncSeekExt, AsyncWrite, ReadBuf},
    task::block_in_place,
};

use crate::runtime;

pub use motorcade::gridfs::{FilesCollectionDocument, GridFsProgress};

/// Like [`motorcade::gridfs::GridFsBucket`], but blocking.
#[derive(Clone, Debug)]
pub struct GridFsBucket {
    inner: motorcade::gridfs::GridFsBucket,
}

impl GridFsBucket {
    pub(crate) fn new(inner: motorcade::gridfs::GridFsBucket) -> Self {
        Self { inner }
    }

    /// Like [`motorcade::gridfs::GridFsBucket::bucket_name`].
    pub fn bucket_name(&self) -> &str {
        self.inner.bucket_name()
    }

    /// Like [`motorcade::gridfs::GridFsBucket::chunk_size_bytes`].
    pub fn chunk_size_bytes(&self) -> u32 {
        self.inner.chunk_size_bytes()
    }

    /// Like [`motorcade::gridfs::GridFsBucket::selection_criteria`].
    pub fn selection_criteria(&self) -> Option<&SelectionCriteria> {
        self.inner.selection_criteria()
    }

    /// Like [`motorcade::gridfs::GridFsBucket::read_concern`].
    pub fn read_concern(&self) -> Option<&ReadConcern> {
        self.inner.read_concern()
    }

    /// Like [`motorcade::gridfs::GridFsBucket::write_concern`].
    pub fn write_concern(&self) -> Option<&WriteConcern> {
        self.inner.write_concern()
    }

    /// Like [`motorcade::gridfs::GridFsBucket::open_upload_stream`].
    pub fn open_upload_stream(&self, filename: impl AsRef<str>) -> OpenUploadStream<'_> {
        self.inner.open_upload_stream(filename)
    }

    /// Like [`motorcade::gridfs::GridFsBucket::open_download_stream`].
    pub fn open_download_stream(&self, id: Bson) -> OpenDownloadStream<'_> {
        self.inner.open_download_stream(id)
    }

    /// Like [`motorcade::gridfs::GridFsBucket::open_download_stream_by_name`].
    pub fn open_download_stream_by_name(
        &self,
        filename: impl Into<String>,
    ) -> OpenDownloadStreamByName<'_> {
        self.inner.open_download_stream_by_name(filename)
    }

    /// Like [`motorcade::gridfs::GridFsBucket::upload_from_reader`], from a blocking reader, which
    /// may be a file of a bucket.
    pub fn upload_from_reader<R>(
        &self,
        filename: impl AsRef<str>,
        reader: R,
    ) -> UploadFromReader<'_, Blocking<R>>
    where
        R: Read + Send,
    {
        self.inner.upload_from_reader(filename, Blocking(reader))
    }

    /// Like [`motorcade::gridfs::GridFsBucket::download_to_writer`], to a blocking writer, which
    /// may be a file of a bucket.
    pub fn download_to_writer<W>(&self, id: Bson, writer: W) -> DownloadToWriter<'_, Blocking<W>>
    where
        W: Write + Send,
    {
        self.inner.download_to_writer(id, Blocking(writer))
    }

    /// Like [`motorcade::gridfs::GridFsBucket::download_to_writer_by_name`], to a blocking writer,
    /// which may be a file of a bucket.
    pub fn download_to_writer_by_name<W>(
        &self,
        filename: impl Into<String>,
        writer: W,
    ) -> DownloadToWriterByName<'_, Blocking<W>>
    where
        W: Write + Send,
    {
        self.inner
            .download_to_writer_by_name(filename, Blocking(writer))
    }

    /// Like [`motorcade::gridfs::GridFsBucket::find`].
    pub fn find(&self, filter: Document) -> Find<'_> {
        self.inner.find(filter)
    }

    /// Like [`motorcade::gridfs::GridFsBucket::find_one`].
    pub fn find_one(&self, filter: Document) -> FindOne<'_> {
        self.inner.find_one(filter)
    }

    /// Like [`motorcade::gridfs::GridFsBucket::delete`].
    pub fn delete(&self, id: Bson) -> Delete<'_> {
        self.inner.delete(id)
    }

    /// Like [`motorcade::gridfs::GridFsBucket::delete_by_name`].
    pub fn delete_by_name(&self, filename: impl Into<String>) -> DeleteByName<'_> {
        self.inner.delete_by_name(filename)
    }

    /// Like [`motorcade::gridfs::GridFsBucket::rename`].
    pub fn rename(&self, id: Bson, new_filename: impl Into<String>) -> Rename<'_> {
        self.inner.rename(id, new_filename)
    }

    /// Like [`motorcade::gridfs::GridFsBucket::rename_by_name`].
    pub fn rename_by_name(
        &self,
        filename: impl Into<String>,
        new_filename: impl Into<String>,
    ) -> RenameByName<'_> {
        self.inner.rename_by_name(filename, new_filename)
    }

    /// Like [`motorcade::gridfs::GridFsBucket::drop`].
    pub fn drop(&self) -> Drop<'_> {
        self.inner.drop()
    }
}

/// Like [`motorcade::gridfs::GridFsUploadStream`], but a [`Write`].
#[derive(Debug)]
pub struct GridFsUploadStream {
    inner: motorcade::gridfs::GridFsUploadStream,
}

impl GridFsUploadStream {
    pub(crate) fn new(inner: motorcade::gridfs::GridFsUploadStream) -> Self {
        Self { inner }
    }

    /// Like [`motorcade::gridfs::GridFsUploadStream::id`].
    pub fn id(&self) -> &Bson {
        self.inner.id()
    }

    /// Like [`motorcade::gridfs::GridFsUploadStream::close`].
    #[track_caller]
    pub fn close(&mut self) -> Result<()> {
        runtime::begin_and_block_on_unless_ready(self.inner.close())?
    }

    /// Like [`motorcade::gridfs::GridFsUploadStream::abort`].
    #[track_caller]
    pub fn abort(&mut self) -> Result<()> {
        runtime::begin_and_block_on_unless_ready(self.inner.abort())?
    }
}

impl Write for GridFsUploadStream {
    #[track_caller]
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let write = poll_fn(|context| Pin::new(&mut self.inner).poll_write(context, data));
        runtime::begin_and_block_on_unless_ready(write)?
    }

    #[track_caller]
    fn flush(&mut self) -> io::Result<()> {
        let flush = poll_fn(|context| Pin::new(&mut self.inner).poll_flush(context));
        runtime::begin_and_block_on_unless_ready(flush)?
    }
}

/// Like [`motorcade::gridfs::GridFsDownloadStream`], but a [`Read`], [`BufRead`] and [`Seek`].
#[derive(Debug)]
pub struct GridFsDownloadStream {
    inner: motorcade::gridfs::GridFsDownloadStream,
}

impl GridFsDownloadStream {
    pub(crate) fn new(inner: motorcade::gridfs::GridFsDownloadStream) -> Self {
        Self { inner }
    }

    /// Like [`motorcade::gridfs::GridFsDownloadStream::file`].
    pub fn file(&self) -> &FilesCollectionDocument {
        self.inner.file()
    }
}

impl Read for GridFsDownloadStream {
    #[track_caller]
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        let mut target = ReadBuf::new(target);
        let read = poll_fn(|context| Pin::new(&mut self.inner).poll_read(context, &mut target));
        runtime::block_on_unless_ready(read)??;
        Ok(target.filled().len())
    }
}

impl BufRead for GridFsDownloadStream {
    #[track_caller]
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let fill = poll_fn(|context| {
            let filled = Pin::new(&mut self.inner).poll_fill_buf(context);
            filled.map_ok(|_| ())
        });
        runtime::block_on_unless_ready(fill)??;
        // The bytes are there now; they could not leave the future that borrowed the stream.
        let mut context = Context::from_waker(Waker::noop());
        match Pin::new(&mut self.inner).poll_fill_buf(&mut context) {
            Poll::Ready(filled) => filled,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn consume(&mut self, count: usize) {
        Pin::new(&mut self.inner).consume(count);
    }
}

impl Seek for GridFsDownloadStream {
    #[track_caller]
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        runtime::block_on_unless_ready(self.inner.seek(to))?
    }
}

/// A blocking reader or writer, for operations of [`motorcade`] that the caller's thread drives.
///
/// It may block that thread, which waits for nothing else, and may itself use this crate: the
/// work of the driver that goes on meanwhile has its own thread.
#[derive(Debug)]
pub struct Blocking<T>(T);

impl<T> Unpin for Blocking<T> {}

impl<R: Read> AsyncRead for Blocking<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        target: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = uninterrupted(|| self.0.read(target.initialize_unfilled()));
        Poll::Ready(read.map(|count| target.advance(count)))
    }
}

impl<W: Write> AsyncWrite for Blocking<W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(uninterrupted(|| self.0.write(data)))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(uninterrupted(|| self.0.flush()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}

fn uninterrupted<T>(mut work: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    block_in_place(|| {
        loop {
            match work() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => return outcome,
            }
        }
    })
}
