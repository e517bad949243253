//! Reading a file.

mod io;

use std::{
    fmt,
    ops::Range,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bson::{RawDocumentBuf, doc};

use super::{FilesCollectionDocument, GridFsBucket, task::Task};
use crate::{
    cursor::Cursor,
    error::{Error, Result},
    proto::gridfs::{ChunkCheck, FoundChunk, Layout, equal},
};

/// The code by which a server says that it has the cursor no more.
const CURSOR_NOT_FOUND: i32 = 43;

/// A file of a bucket, open for reading.
///
/// Read it through the traits of [`futures_io`] or [`tokio::io`]: as a reader, as a buffered
/// reader, which hands out the bytes as they came from the server without a copy, and as something
/// to seek in. Seeking does no I/O by itself, and the next read asks for no chunk before the one
/// that it needs.
///
/// Chunks come in batches of about 2 MiB. Once a whole batch was read, the next is fetched in the
/// background while one is read, so a stream holds two of them in memory at most. Each chunk is
/// checked: it must be the next one and as long as the file's document says. A stream may be left
/// unread; what lies behind is not checked then.
///
/// Any future of a stream may be dropped at any time, and after an error a further read tries
/// again from the same place. A reader may take its time: when the server has given up the cursor
/// meanwhile, the next read makes another.
///
/// ```no_run
/// use std::io::SeekFrom;
///
/// use motorcade::bson::Bson;
/// use tokio::io::{AsyncReadExt, AsyncSeekExt};
///
/// # async fn example(bucket: motorcade::gridfs::GridFsBucket, id: Bson)
/// #     -> motorcade::error::Result<()> {
/// let mut file = bucket.open_download_stream(id).await?;
/// println!("{} bytes", file.file().length);
/// file.seek(SeekFrom::End(-10)).await?;
/// let mut end = Vec::new();
/// file.read_to_end(&mut end).await?;
/// # Ok(())
/// # }
/// ```
pub struct GridFsDownloadStream {
    bucket: GridFsBucket,
    file: FilesCollectionDocument,
    layout: Layout,
    position: u64,
    check: ChunkCheck,
    source: Source,
    /// Whether further batches are likely to be wanted.
    reads_on: bool,
    /// The chunk for which a second cursor was made because the server had lost the first.
    reopened_for: Option<u32>,
}

enum Source {
    None,
    /// In a task, so that the cursor is closed by whoever gets it, the stream or nobody: the
    /// server may have made it already when the stream is dropped.
    Opening(Task<Result<Cursor<RawDocumentBuf>>>),
    Reading {
        cursor: Box<Cursor<RawDocumentBuf>>,
        /// Where in the cursor's current document the data of its chunk lies. There is none before
        /// the first step.
        data: Option<Range<usize>>,
    },
}

impl GridFsDownloadStream {
    /// # Errors
    /// An invalid-response error when the file's document says what cannot be.
    pub(crate) fn new(bucket: &GridFsBucket, file: FilesCollectionDocument) -> Result<Self> {
        let layout = Layout::new(file.length, file.chunk_size_bytes)?;
        Ok(Self {
            bucket: bucket.clone(),
            file,
            layout,
            position: 0,
            check: ChunkCheck::from(layout, 0),
            source: Source::None,
            reads_on: false,
            reopened_for: None,
        })
    }

    /// The file's document: its id, length, name, metadata and so on.
    pub fn file(&self) -> &FilesCollectionDocument {
        &self.file
    }

    /// Notes that the whole file will be read.
    pub(crate) fn will_read_on(&mut self) {
        self.reads_on = true;
    }

    pub(crate) fn into_file(self) -> FilesCollectionDocument {
        self.file
    }

    /// Waits until there are bytes at the position, or the end of the file.
    pub(crate) fn poll_load(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        loop {
            let wanted = self.layout.place(self.position).map(|place| place.n);
            match (&mut self.source, wanted) {
                (Source::Reading { data: Some(_), .. }, Some(n)) if self.check.next() == n + 1 => {
                    return Poll::Ready(Ok(()));
                }
                (Source::Reading { cursor, .. }, Some(n)) => {
                    let next = self.check.next();
                    // Chunks that are here already are stepped over; others are not asked for.
                    if next == n || (next < n && cursor.has_held()) {
                        ready!(self.poll_step(context))?;
                    } else {
                        self.source = Source::None;
                        self.reads_on = false;
                    }
                }
                // Whoever has read everything learns of chunks that should not be.
                (Source::Reading { .. }, None) if self.check.next() == self.layout.count() => {
                    ready!(self.poll_step(context))?;
                }
                (_, None) => {
                    self.source = Source::None;
                    return Poll::Ready(Ok(()));
                }
                (Source::None, Some(n)) => self.open(n)?,
                (Source::Opening(opening), Some(_)) => {
                    let opened = ready!(Pin::new(opening).poll(context));
                    self.source = Source::None;
                    self.source = Source::Reading {
                        cursor: Box::new(opened.flatten()?),
                        data: None,
                    };
                }
            }
        }
    }

    /// The bytes at the position that are here; none at the end of the file and before loading.
    pub(crate) fn loaded(&self) -> &[u8] {
        let Source::Reading {
            cursor,
            data: Some(data),
        } = &self.source
        else {
            return &[];
        };
        let place = self.layout.place(self.position);
        let place = place.filter(|place| place.n + 1 == self.check.next());
        let bytes = place.and_then(|place| {
            let document = cursor.try_current()?.as_bytes();
            document.get(data.clone())?.get(place.offset..)
        });
        bytes.unwrap_or_default()
    }

    /// Moves the position on by bytes that were [`loaded`](Self::loaded).
    pub(crate) fn move_on(&mut self, count: usize) {
        let count = count.min(self.loaded().len());
        self.position += u64::try_from(count).unwrap_or(0);
    }

    fn open(&mut self, n: u32) -> Result<()> {
        let detached = self.bucket.executor().detached()?;
        let mut filter = doc! { "files_id": equal(&self.file.id) };
        if n > 0 {
            filter.insert("n", doc! { "$gte": i64::from(n) });
        }
        let chunks = self.bucket.chunks().clone();
        let (batch_size, reads_on) = (self.layout.batch_size(n), self.reads_on);
        self.check = ChunkCheck::from(self.layout, n);
        self.source = Source::Opening(Task::start(detached, async move {
            let find = chunks.find(filter).sort(doc! { "n": 1 });
            find.batch_size(batch_size).prefetch(reads_on).await
        }));
        Ok(())
    }

    /// Steps to the next chunk.
    fn poll_step(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        let Source::Reading { cursor, data } = &mut self.source else {
            return Poll::Ready(Ok(()));
        };
        *data = None;
        if !self.reads_on && !cursor.has_held() {
            self.reads_on = true;
            cursor.fetch_ahead();
        }
        let stepped = match ready!(cursor.poll_advance(context)) {
            Ok(true) => accept(&mut self.check, cursor).map(|range| *data = Some(range)),
            Ok(false) => {
                self.source = Source::None;
                self.check.end()
            }
            Err(error) => {
                let n = self.check.next();
                self.source = Source::None;
                if error.code() == Some(CURSOR_NOT_FOUND) && self.reopened_for != Some(n) {
                    self.reopened_for = Some(n);
                    Ok(())
                } else {
                    Err(error)
                }
            }
        };
        if stepped.is_err() {
            self.source = Source::None;
        }
        Poll::Ready(stepped)
    }
}

/// Checks the cursor's current chunk, and tells where its data lies.
fn accept(check: &mut ChunkCheck, cursor: &Cursor<RawDocumentBuf>) -> Result<Range<usize>> {
    let document = cursor.try_current();
    let document = document.ok_or_else(|| Error::internal("a step led to no document"))?;
    let found = FoundChunk::parse(document)?;
    check.accept(&found)?;
    let start = found.data.as_ptr().addr() - document.as_bytes().as_ptr().addr();
    Ok(start..start + found.data.len())
}

impl fmt::Debug for GridFsDownloadStream {
    // The batch holds users' data, so it is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GridFsDownloadStream")
            .field("id", &self.file.id)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}
