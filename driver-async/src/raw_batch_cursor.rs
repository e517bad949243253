//! Whole batches, as the server sent them.
//!
//! ```no_run
//! # use futures_util::TryStreamExt;
//! # use motorcade::{Collection, bson::{Document, doc}};
//! # async fn example(people: Collection<Document>) -> motorcade::error::Result<()> {
//! let mut batches = people.find(doc! {}).batch().await?;
//! while let Some(batch) = batches.try_next().await? {
//!     for document in batch.documents() {
//!         println!("{} bytes", document?.as_bytes().len());
//!     }
//! }
//! # Ok(())
//! # }
//! ```

use std::{
    fmt,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bson::{RawArray, RawDocument};
use futures_core::Stream;

use crate::{
    cursor::{Feed, SessionOwner},
    error::{Error, Result},
    proto::cursor::Batch,
    session::ClientSession,
};

/// One batch of a cursor: the server's reply in the buffer that it was received in.
///
/// Cloning it copies no document.
#[derive(Clone)]
pub struct RawBatch {
    batch: Batch,
}

impl RawBatch {
    /// The batch's array of documents, in the reply's buffer.
    ///
    /// # Errors
    /// An invalid-response error when the reply has no batch.
    pub fn doc_slices(&self) -> Result<&RawArray> {
        let cursor = self.as_raw_document().get_document("cursor")?;
        let array = cursor
            .get_array("firstBatch")
            .or_else(|_| cursor.get_array("nextBatch"));
        array.map_err(|error| {
            Error::invalid_response("the cursor has no batch").with_source(error.into())
        })
    }

    /// The batch's documents one by one, in the reply's buffer. It costs less than a look at each
    /// element of [`RawBatch::doc_slices`].
    ///
    /// An item is an invalid-response error where the server sent something else, and the last
    /// one then.
    pub fn documents(&self) -> impl Iterator<Item = Result<&RawDocument>> {
        self.batch.documents()
    }

    /// The server's whole reply.
    pub fn as_raw_document(&self) -> &RawDocument {
        self.batch.reply()
    }
}

impl fmt::Debug for RawBatch {
    // The batch holds users' documents, so they are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawBatch")
            .field("documents", &self.batch.remaining())
            .finish_non_exhaustive()
    }
}

/// The batches that a find, an aggregation or a listing gives, each as the server sent it.
///
/// The stream gives every batch, those without documents too: such as the replies of a tailable
/// cursor that has nothing new. Like a [`Cursor`](crate::Cursor), it is closed on the server in
/// the background when it is dropped, and its futures may be dropped at any time.
pub struct RawBatchCursor {
    feed: Feed,
}

impl RawBatchCursor {
    pub(crate) fn new(feed: Feed) -> Self {
        Self { feed }
    }

    /// Whether there may be a further batch. The server knows for sure only when asked for it.
    pub fn has_next(&self) -> bool {
        self.feed.has_next_batch()
    }

    /// Whether every batch was given, and the server has closed the cursor or it was closed here.
    pub fn is_exhausted(&self) -> bool {
        !self.has_next()
    }

    /// Like [`Cursor::close`](crate::Cursor::close).
    ///
    /// # Errors
    /// As [`Cursor::close`](crate::Cursor::close).
    pub async fn close(&mut self) -> Result<()> {
        self.feed.close(None).await
    }

    /// Like [`Cursor::close_within`](crate::Cursor::close_within).
    ///
    /// # Errors
    /// As [`Cursor::close_within`](crate::Cursor::close_within).
    pub async fn close_within(&mut self, timeout: Duration) -> Result<()> {
        self.feed.close(Some(timeout)).await
    }
}

impl Stream for RawBatchCursor {
    type Item = Result<RawBatch>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let batch = ready!(self.get_mut().feed.poll_batch(context));
        Poll::Ready(
            batch
                .transpose()
                .map(|batch| Ok(RawBatch { batch: batch? })),
        )
    }
}

impl fmt::Debug for RawBatchCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawBatchCursor")
            .field("has_next", &self.has_next())
            .finish_non_exhaustive()
    }
}

/// The batches of a cursor that takes part in a [`ClientSession`]; otherwise like
/// [`RawBatchCursor`].
#[derive(Debug)]
pub struct SessionRawBatchCursor {
    cursor: RawBatchCursor,
    owner: SessionOwner,
}

impl SessionRawBatchCursor {
    pub(crate) fn new(cursor: RawBatchCursor, owner: SessionOwner) -> Self {
        Self { cursor, owner }
    }

    /// The batches as a stream, for as long as the session is lent to it.
    ///
    /// An item is an invalid-argument error, and the last one, when the session is another one
    /// than the cursor's.
    pub fn stream<'session>(
        &mut self,
        session: &'session mut ClientSession,
    ) -> SessionRawBatchCursorStream<'_, 'session> {
        let refusal = self.owner.check(session).err();
        SessionRawBatchCursorStream {
            cursor: &mut self.cursor,
            refusal,
            session: PhantomData,
        }
    }

    /// Like [`RawBatchCursor::has_next`].
    pub fn has_next(&self) -> bool {
        self.cursor.has_next()
    }

    /// Like [`RawBatchCursor::is_exhausted`].
    pub fn is_exhausted(&self) -> bool {
        self.cursor.is_exhausted()
    }

    /// Like [`Cursor::close`](crate::Cursor::close).
    ///
    /// # Errors
    /// As [`Cursor::close`](crate::Cursor::close), and an invalid-argument error for another
    /// session than the cursor's.
    pub async fn close(&mut self, session: &mut ClientSession) -> Result<()> {
        self.owner.check(session)?;
        self.cursor.close().await
    }

    /// Like [`Cursor::close_within`](crate::Cursor::close_within).
    ///
    /// # Errors
    /// As [`Cursor::close_within`](crate::Cursor::close_within), and an invalid-argument error for
    /// another session than the cursor's.
    pub async fn close_within(
        &mut self,
        session: &mut ClientSession,
        timeout: Duration,
    ) -> Result<()> {
        self.owner.check(session)?;
        self.cursor.close_within(timeout).await
    }
}

/// A stream of the batches of a [`SessionRawBatchCursor`].
#[derive(Debug)]
pub struct SessionRawBatchCursorStream<'cursor, 'session> {
    cursor: &'cursor mut RawBatchCursor,
    /// Why the session is not the right one; given once.
    refusal: Option<Error>,
    session: PhantomData<&'session mut ClientSession>,
}

impl Stream for SessionRawBatchCursorStream<'_, '_> {
    type Item = Result<RawBatch>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        match this.refusal.take() {
            Some(refusal) => Poll::Ready(Some(Err(refusal))),
            None => Pin::new(&mut *this.cursor).poll_next(context),
        }
    }
}
