//! Writing a file.

mod io;
mod new_file;

use std::{
    fmt,
    future::poll_fn,
    mem,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
};

use bson::Bson;
use tokio::io::{AsyncRead, AsyncReadExt};

use new_file::{Ended, Inserted, Ours};

pub(crate) use new_file::NewFile;

use super::task::Task;
use crate::{
    error::{Error, GridFsErrorKind, Result},
    proto::gridfs::ChunkBuffer,
};

/// A file that is being uploaded to a bucket.
///
/// Write the content through [`futures_io::AsyncWrite`] or [`tokio::io::AsyncWrite`], and then
/// [`close`](GridFsUploadStream::close) the stream (tokio calls it shutdown): only that makes the
/// file exist. [`abort`](GridFsUploadStream::abort) deletes what was uploaded so far; so does
/// dropping the stream, in the background.
///
/// Chunks are gathered to batches of about 2 MiB, and one batch is inserted in the background
/// while the next is gathered: an error may come with a later write, or with the closing. After an
/// error the chunks stay until the stream is aborted, as the GridFS specification wants it.
/// Flushing inserts every chunk that is complete, and waits for that.
///
/// Each future of a stream may be dropped at any time. What it has begun goes on in the
/// background, and the next call takes it up; a stream that is dropped while being closed is
/// closed still.
///
/// ```no_run
/// use tokio::io::AsyncWriteExt;
///
/// # async fn example(bucket: motorcade::gridfs::GridFsBucket) -> motorcade::error::Result<()> {
/// let mut upload = bucket.open_upload_stream("haiku.txt").await?;
/// upload.write_all(b"an old silent pond").await?;
/// upload.close().await?;
/// # Ok(())
/// # }
/// ```
pub struct GridFsUploadStream {
    file: Arc<NewFile>,
    state: State,
}

enum State {
    Writing(Box<Writing>),
    Ending(Ending, Task<Ended>),
    /// The file exists.
    Closed,
    /// The chunks are deleted.
    Aborted,
    Failed(Error, Ours),
}

struct Writing {
    buffer: ChunkBuffer,
    inserting: Option<Task<Inserted>>,
    /// Of chunks that were inserted, for the next.
    memory: Vec<u8>,
    ours: Ours,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Closing,
    Aborting,
}

impl State {
    fn writing(&mut self) -> Result<&mut Writing> {
        match self {
            Self::Writing(writing) => Ok(writing),
            Self::Failed(error, _) => Err(error.clone()),
            Self::Ending(..) | Self::Closed | Self::Aborted => Err(closed()),
        }
    }
}

impl GridFsUploadStream {
    /// # Errors
    /// An invalid-argument error for a chunk size that cannot be, or an id that cannot be written.
    pub(crate) fn new(file: NewFile) -> Result<Self> {
        let buffer = ChunkBuffer::new(&file.id, file.chunk_size)?;
        let writing = Writing {
            buffer,
            inserting: None,
            memory: Vec::new(),
            ours: Ours::None,
        };
        Ok(Self {
            file: Arc::new(file),
            state: State::Writing(Box::new(writing)),
        })
    }

    /// The file's `_id`: the one given, or the one made for it.
    pub fn id(&self) -> &Bson {
        &self.file.id
    }

    /// Stores what is left and makes the file exist. Closing again does nothing.
    ///
    /// # Errors
    /// Those of every insert that was still on its way, among them one for a
    /// [duplicate key](Error::is_duplicate_key) when the bucket has a file with this id;
    /// [`UploadStreamClosed`](GridFsErrorKind::UploadStreamClosed) when the stream was aborted.
    /// After an error the file does not exist, and its chunks stay until
    /// [`GridFsUploadStream::abort`] deletes them.
    pub async fn close(&mut self) -> Result<()> {
        poll_fn(|context| self.poll_complete(context)).await
    }

    /// Ends the upload and deletes what was stored of the file.
    ///
    /// # Errors
    /// The server's, those of selection and network: some chunks may be left then, and aborting
    /// again tries again. [`UploadStreamClosed`](GridFsErrorKind::UploadStreamClosed) after the
    /// stream was closed or aborted, and [`WriteInProgress`](GridFsErrorKind::WriteInProgress)
    /// while it is being closed.
    pub async fn abort(&mut self) -> Result<()> {
        poll_fn(|context| self.poll_abort(context)).await
    }

    /// Takes as many bytes as there is room for, once there is some.
    fn poll_take(&mut self, context: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize>> {
        loop {
            let taken = self.state.writing()?.buffer.write(data)?;
            if taken > 0 || data.is_empty() {
                self.insert_ahead(context)?;
                return Poll::Ready(Ok(taken));
            }
            ready!(self.poll_insert(context))?;
        }
    }

    /// Takes what a reader has, without another copy; 0 bytes at its end. The inner error is the
    /// reader's.
    pub(crate) fn poll_fill<R: AsyncRead + Unpin>(
        &mut self,
        context: &mut Context<'_>,
        reader: &mut R,
    ) -> Poll<Result<std::io::Result<usize>>> {
        while self.state.writing()?.buffer.is_full() {
            ready!(self.poll_insert(context))?;
        }
        let buffer = &mut self.state.writing()?.buffer;
        let mut room = buffer.room()?;
        // The future holds nothing from one poll to the next.
        let read = pin!(reader.read_buf(&mut room));
        match ready!(read.poll(context)) {
            Ok(count) => {
                buffer.advance(count);
                self.insert_ahead(context)?;
                Poll::Ready(Ok(Ok(count)))
            }
            Err(error) => Poll::Ready(Ok(Err(error))),
        }
    }

    /// Inserts every whole chunk, and waits for that.
    fn poll_insert_whole(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        loop {
            let writing = self.state.writing()?;
            if writing.inserting.is_none() && !writing.buffer.has_whole_chunks() {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_insert(context))?;
        }
    }

    fn poll_complete(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        loop {
            match &mut self.state {
                State::Writing(_) => self.start_closing()?,
                State::Ending(..) => ready!(self.poll_end(context)),
                State::Closed => return Poll::Ready(Ok(())),
                State::Aborted => return Poll::Ready(Err(closed())),
                State::Failed(error, _) => return Poll::Ready(Err(error.clone())),
            }
        }
    }

    fn poll_abort(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        let mut is_begun = false;
        loop {
            match &mut self.state {
                State::Ending(Ending::Closing, task) if !task.is_finished() => {
                    return Poll::Ready(Err(GridFsErrorKind::WriteInProgress.into()));
                }
                State::Ending(ending, _) => {
                    is_begun |= *ending == Ending::Aborting;
                    ready!(self.poll_end(context));
                }
                State::Aborted if is_begun => return Poll::Ready(Ok(())),
                State::Failed(error, _) if is_begun => return Poll::Ready(Err(error.clone())),
                State::Closed | State::Aborted => return Poll::Ready(Err(closed())),
                State::Writing(_) | State::Failed(..) => self.start_aborting()?,
            }
        }
    }

    /// Has a full buffer inserted, if that needs no waiting.
    fn insert_ahead(&mut self, context: &mut Context<'_>) -> Result<()> {
        let writing = self.state.writing()?;
        let is_busy = writing
            .inserting
            .as_ref()
            .is_some_and(|it| !it.is_finished());
        if writing.buffer.is_full() && !is_busy {
            let _: Poll<()> = self.poll_insert(context)?;
        }
        Ok(())
    }

    /// Waits for the insert that is on its way, and starts the next.
    fn poll_insert(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        let detached = self.file.bucket.executor().detached()?;
        let writing = self.state.writing()?;
        if let Some(inserting) = &mut writing.inserting {
            let inserted = ready!(Pin::new(inserting).poll(context));
            writing.inserting = None;
            let inserted = inserted.unwrap_or_else(Inserted::unknown);
            if let Err(error) = inserted.outcome {
                self.state = State::Failed(error.clone(), inserted.ours);
                return Poll::Ready(Err(error));
            }
            writing.memory = inserted.memory;
        }
        if let Some(chunks) = writing.buffer.take_whole(mem::take(&mut writing.memory)) {
            writing.ours = Ours::All;
            let file = Arc::clone(&self.file);
            writing.inserting = Some(Task::start(detached, async move {
                let (ours, outcome) = file.insert(&chunks).await;
                let memory = chunks.into_memory();
                Inserted {
                    memory,
                    ours,
                    outcome,
                }
            }));
        }
        Poll::Ready(Ok(()))
    }

    fn start_closing(&mut self) -> Result<()> {
        let detached = self.file.bucket.executor().detached()?;
        let writing = self.state.writing()?;
        let rest = match writing.buffer.take_rest() {
            Ok(rest) => rest,
            Err(error) => {
                self.state = State::Failed(error.clone(), writing.ours);
                return Err(error);
            }
        };
        let (inserting, length) = (writing.inserting.take(), writing.buffer.length());
        let (file, ours) = (Arc::clone(&self.file), writing.ours);
        let task = Task::start(detached, async move {
            file.close(inserting, rest, length, ours).await
        });
        self.state = State::Ending(Ending::Closing, task);
        Ok(())
    }

    fn start_aborting(&mut self) -> Result<()> {
        let detached = self.file.bucket.executor().detached()?;
        let (inserting, ours) = match &mut self.state {
            State::Writing(writing) => (writing.inserting.take(), writing.ours),
            State::Failed(_, ours) => (None, *ours),
            _ => return Ok(()),
        };
        let file = Arc::clone(&self.file);
        let task = Task::start(detached, async move { file.abort(inserting, ours).await });
        self.state = State::Ending(Ending::Aborting, task);
        Ok(())
    }

    /// Waits for the end of the closing or aborting that has begun.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let State::Ending(ending, task) = &mut self.state else {
            return Poll::Ready(());
        };
        let ended = ready!(Pin::new(task).poll(context));
        let (ours, outcome) = ended.unwrap_or_else(|error| (Ours::All, Err(error)));
        self.state = match (outcome, *ending) {
            (Ok(()), Ending::Closing) => State::Closed,
            (Ok(()), Ending::Aborting) => State::Aborted,
            (Err(error), _) => State::Failed(error, ours),
        };
        Poll::Ready(())
    }
}

fn closed() -> Error {
    GridFsErrorKind::UploadStreamClosed.into()
}

impl Drop for GridFsUploadStream {
    fn drop(&mut self) {
        let State::Writing(writing) = &mut self.state else {
            return;
        };
        if writing.ours == Ours::None {
            return;
        }
        let (inserting, ours) = (writing.inserting.take(), writing.ours);
        let (file, executor) = (Arc::clone(&self.file), self.file.bucket.executor());
        executor.spawn(async move {
            if let Err(error) = file.clean_up(inserting, ours).await {
                file.bucket.executor().message(move || {
                    tracing::debug!("the chunks of a dropped upload could not be deleted: {error}")
                });
            }
        });
    }
}

impl fmt::Debug for GridFsUploadStream {
    // The buffer holds users' data, so it is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Writing(_) => "writing",
            State::Ending(Ending::Closing, _) => "closing",
            State::Ending(Ending::Aborting, _) => "aborting",
            State::Closed => "closed",
            State::Aborted => "aborted",
            State::Failed(..) => "failed",
        };
        f.debug_struct("GridFsUploadStream")
            .field("id", &self.file.id)
            .field("state", &state)
            .finish_non_exhaustive()
    }
}
