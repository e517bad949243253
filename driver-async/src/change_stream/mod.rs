//! Changes of a collection, a database or a deployment, as they happen.
//!
//! ```no_run
//! # use futures_util::TryStreamExt;
//! # use motorcade::{Collection, bson::Document, change_stream::event::OperationType};
//! # async fn example(orders: Collection<Document>) -> motorcade::error::Result<()> {
//! let mut changes = orders.watch().await?;
//! while let Some(change) = changes.try_next().await? {
//!     if change.operation_type == OperationType::Insert {
//!         println!("new: {:?}", change.full_document);
//!     }
//! }
//! # Ok(())
//! # }
//! ```

pub mod event;
pub mod session;
mod tail;

use std::{
    fmt,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bson::RawDocument;
use futures_core::Stream;
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    cursor::{self, Walk},
    error::Result,
    exec::Session,
    options::ResumeToken,
};
pub(crate) use tail::Plan;
use tail::Tail;

/// The changes of a collection, a database or a deployment, as they happen.
///
/// Made by [`Collection::watch`](crate::Collection::watch),
/// [`Database::watch`](crate::Database::watch) or [`Client::watch`](crate::Client::watch), and open
/// from then on: changes that happen before the first look at the stream are not missed. It is a
/// [`Stream`] that waits for the next change, and ends only when the server ends it, after
/// [`OperationType::Invalidate`](event::OperationType::Invalidate).
///
/// When the connection is lost or another server becomes the primary, the stream goes on by itself
/// after the event given last, on a server that the
/// [`selection_criteria`](crate::options::ChangeStreamOptions::selection_criteria) allow: no event
/// is lost and none is given twice. An error that is given means that this was not possible, and
/// the stream has ended then, unless it says that the operation's own
/// [`timeout`](crate::options::ChangeStreamOptions::timeout) was up. Follows the change streams
/// specification.
///
/// # Resume tokens
/// A program that is to go on after its own end keeps [`ChangeStream::resume_token`] as it goes, and
/// opens its next stream with
/// [`resume_after`](crate::options::ChangeStreamOptions::resume_after). The token also moves on
/// while nothing happens that the pipeline lets through, and a stale one may not be usable any more.
/// To see every token, use [`ChangeStream::next_if_any`], and look at the token after each call.
///
/// ```no_run
/// # use motorcade::{Collection, bson::Document, change_stream::event::ResumeToken};
/// # fn store(_: Option<ResumeToken>) {}
/// # fn process<T>(_: T) {}
/// # async fn example(orders: Collection<Document>, stored: Option<ResumeToken>)
/// #     -> motorcade::error::Result<()> {
/// let mut changes = orders.watch().resume_after(stored).await?;
/// while changes.is_alive() {
///     if let Some(change) = changes.next_if_any().await? {
///         process(change);
///     }
///     store(changes.resume_token());
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Cancellation
/// Any future of a stream may be dropped: a request that has begun, or the opening of a new cursor
/// after an error, runs to its end by itself, the next call takes up its result, and no event is
/// lost. A stream that is not polled holds no connection once the server has replied,
/// except behind a load balancer. A dropped stream is closed on the server in the background;
/// [`ChangeStream::close`] waits for that.
pub struct ChangeStream<T> {
    tail: Tail,
    events: PhantomData<fn() -> T>,
}

impl<T> ChangeStream<T> {
    pub(crate) async fn open(plan: Plan, session: Option<Session>) -> Result<Self> {
        Ok(Self {
            tail: Tail::open(plan, session).await?,
            events: PhantomData,
        })
    }

    /// The place after which the stream would be resumed: that of the event given last, or a newer
    /// one up to which nothing else happened. `None` when no event was given yet and the server
    /// has told none.
    ///
    /// Whoever stores tokens should store this one, and not the `_id` of events.
    pub fn resume_token(&self) -> Option<ResumeToken> {
        self.tail.resume_token().cloned()
    }

    /// Whether a further step may lead to an event. False once the server has ended the stream,
    /// after an error, or when it was closed here, and everything that came was given.
    pub fn is_alive(&self) -> bool {
        self.tail.is_alive()
    }

    /// The same stream for events of another type, such as when the pipeline changes their shape.
    pub fn with_type<D>(self) -> ChangeStream<D> {
        ChangeStream {
            tail: self.tail,
            events: PhantomData,
        }
    }

    /// Waits for the next event, which [`ChangeStream::current`] then shows; false when the stream
    /// has ended.
    ///
    /// # Errors
    /// Server errors and network errors after which the stream cannot be resumed. A
    /// missing-resume-token error for an event whose `_id` the pipeline has removed. The stream has
    /// ended then. A timeout error, or outside of a tokio runtime an invalid-argument error, after
    /// which the next call goes on.
    pub async fn advance(&mut self) -> Result<bool> {
        cursor::advance(&mut self.tail).await
    }

    /// Steps to the next event like [`ChangeStream::advance`], but asks the server for one batch at
    /// most; false when that brought no event.
    ///
    /// # Errors
    /// As [`ChangeStream::advance`].
    pub async fn try_advance(&mut self) -> Result<bool> {
        cursor::try_advance(&mut self.tail).await
    }

    /// The current event, in the batch that the server sent.
    ///
    /// # Panics
    /// Unless the last step led to an event: call it after [`ChangeStream::advance`] has returned
    /// true.
    #[track_caller]
    pub fn current(&self) -> &RawDocument {
        let current = self.tail.current();
        current.expect("there is a current event only after advance has returned true")
    }

    /// The current event as a value, which may borrow from the batch.
    ///
    /// # Errors
    /// A BSON error when the event is not of type `T`; the stream can go on to the next one. An
    /// invalid-argument error when there is no current event.
    pub fn deserialize_current<'a>(&'a self) -> Result<T>
    where
        T: Deserialize<'a>,
    {
        cursor::read_current(&self.tail)
    }

    /// Closes the stream on the server, unless it is closed already, and ends it.
    ///
    /// # Errors
    /// Those of the network. The stream has ended nevertheless, and the server closes it by itself
    /// after 10 minutes without use.
    pub async fn close(&mut self) -> Result<()> {
        self.tail.close(None).await
    }

    /// Like [`ChangeStream::close`], in a given time, zero for no limit. Otherwise closing may take
    /// as long as the stream's [`timeout`](crate::options::ChangeStreamOptions::timeout).
    ///
    /// # Errors
    /// As [`ChangeStream::close`], and a timeout error.
    pub async fn close_within(&mut self, timeout: Duration) -> Result<()> {
        self.tail.close(Some(timeout)).await
    }
}

impl<T: DeserializeOwned> ChangeStream<T> {
    /// The next event if there is one, without waiting for one to happen: the server is asked once
    /// at most, which takes up to
    /// [`max_await_time`](crate::options::ChangeStreamOptions::max_await_time).
    ///
    /// `None` says that nothing has come; [`ChangeStream::is_alive`] tells such a pause from the
    /// end. [`ChangeStream::resume_token`] is up to date after each call.
    ///
    /// # Errors
    /// As [`ChangeStream::advance`], and a BSON error when the event is not of type `T`; the next
    /// call goes on after it.
    pub async fn next_if_any(&mut self) -> Result<Option<T>> {
        match self.try_advance().await? {
            true => self.deserialize_current().map(Some),
            false => Ok(None),
        }
    }
}

impl<T: DeserializeOwned> Stream for ChangeStream<T> {
    type Item = Result<T>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        let this = self.get_mut();
        match ready!(this.tail.poll_advance(context)) {
            Ok(true) => Poll::Ready(Some(this.deserialize_current())),
            Ok(false) => Poll::Ready(None),
            Err(error) => Poll::Ready(Some(Err(error))),
        }
    }
}

impl<T> fmt::Debug for ChangeStream<T> {
    // The batch holds users' documents, so it is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChangeStream")
            .field("is_alive", &self.is_alive())
            .field("resume_token", &self.tail.resume_token())
            .finish_non_exhaustive()
    }
}
