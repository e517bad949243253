//! A cursor: the documents that a find, an aggregation or a listing gives.

mod feed;
mod server_end;
mod session_cursor;
mod source;
mod walk;

use std::{
    fmt,
    future::poll_fn,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bson::RawDocument;
use futures_core::Stream;
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    error::Result,
    exec::{Executor, Origin},
    proto::cursor::CursorState,
    raw_batch_cursor::RawBatchCursor,
};
pub(crate) use feed::Feed;
pub(crate) use server_end::{Answer, ServerEnd};
pub(crate) use session_cursor::SessionOwner;
pub use session_cursor::{SessionCursor, SessionCursorStream};
pub(crate) use source::Source;
pub(crate) use walk::{Walk, advance, read_current, try_advance};

/// The documents that a find, an aggregation or a listing gives.
///
/// A cursor is a [`Stream`] of documents of type `T`. It holds one batch and asks the server for
/// the next when that is used up, or ahead of that with
/// [`FindOptions::prefetch`](crate::options::FindOptions::prefetch).
///
/// [`Cursor::advance`] with [`Cursor::deserialize_current`] gives documents that borrow their
/// strings from the batch, whatever kind of cursor it is, and [`Cursor::current`] the bytes as
/// they came. [`Cursor::next_many`] and [`Cursor::to_vec`] collect several documents. Whole batches
/// come from [`batch`](crate::action::Find::batch) on the action; see
/// [`raw_batch_cursor`](crate::raw_batch_cursor).
///
/// A dropped cursor is closed on the server in the background; [`Cursor::close`] waits for that.
/// A future of a cursor may be dropped at any time: a request that has begun runs to its end by
/// itself, and the next call takes up its result. A cursor that nobody polls keeps no connection
/// from others once the server has answered, except behind a load balancer and with
/// [`CursorType::Exhaust`](crate::options::CursorType::Exhaust).
///
/// Outside of a tokio runtime, a cursor gives the documents that it holds, and then an
/// invalid-argument error; it can go on inside one.
///
/// ```no_run
/// # use motorcade::{Collection, bson::doc};
/// # use serde::{Deserialize, Serialize};
/// #[derive(Deserialize)]
/// struct Name<'a> {
///     #[serde(borrow)]
///     name: &'a str,
/// }
///
/// # async fn example(people: Collection<Name<'static>>) -> motorcade::error::Result<()> {
/// let mut cursor = people.find(doc! { "age": { "$gte": 18 } }).await?;
/// while cursor.advance().await? {
///     let person: Name<'_> = cursor.deserialize_current()?;
///     println!("{}", person.name);
/// }
/// # Ok(())
/// # }
/// ```
pub struct Cursor<T> {
    feed: Feed,
    documents: PhantomData<fn() -> T>,
}

impl<T> Cursor<T> {
    pub(crate) fn new(executor: Executor, state: CursorState, origin: Origin) -> Self {
        Self {
            feed: Feed::new(executor, state, origin),
            documents: PhantomData,
        }
    }

    /// Steps to the next document, which [`Cursor::current`] then shows; false at the end.
    ///
    /// A tailable cursor waits until there is a document, or until the server closes it.
    ///
    /// # Errors
    /// A server error or a network error, from asking for the next batch. The cursor is at its end
    /// then. If it is still open on the server, it is closed in the background, for which the error
    /// does not wait. An invalid-argument error outside of a tokio runtime.
    pub async fn advance(&mut self) -> Result<bool> {
        advance(&mut self.feed).await
    }

    /// Steps to the next document, like [`Cursor::advance`], but asks the server for one batch at
    /// most; false when that brought no document.
    ///
    /// With a tailable cursor that is how to do something else whenever there is nothing new.
    /// [`Cursor::is_exhausted`] tells such a pause from the end.
    ///
    /// # Errors
    /// As [`Cursor::advance`].
    ///
    /// ```no_run
    /// # use motorcade::{Collection, bson::{Document, doc}, options::CursorType};
    /// # async fn example(log: Collection<Document>) -> motorcade::error::Result<()> {
    /// let mut lines = log.find(doc! {}).cursor_type(CursorType::TailableAwait).await?;
    /// while !lines.is_exhausted() {
    ///     if lines.try_advance().await? {
    ///         println!("{:?}", lines.current());
    ///     } else {
    ///         println!("nothing new");
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn try_advance(&mut self) -> Result<bool> {
        try_advance(&mut self.feed).await
    }

    /// The current document, in the batch that the server sent.
    ///
    /// # Panics
    /// Unless the last step of the cursor led to a document: call it after [`Cursor::advance`] has
    /// returned true.
    #[track_caller]
    pub fn current(&self) -> &RawDocument {
        let current = self.feed.current();
        current.expect("there is a current document only after advance has returned true")
    }

    /// Whether a further step may lead to a document. The server knows for sure only when asked
    /// for the next batch.
    pub fn has_next(&self) -> bool {
        self.feed.has_next()
    }

    /// Whether no further step leads to a document: the server has closed the cursor, or it was
    /// closed here, and everything that came was delivered.
    pub fn is_exhausted(&self) -> bool {
        !self.has_next()
    }

    /// The current document as a value, which may borrow from the batch.
    ///
    /// # Errors
    /// A BSON error when the document is not of type `T`, or is not valid BSON within; the cursor
    /// can go on to the next one. An invalid-argument error when there is no current document.
    pub fn deserialize_current<'a>(&'a self) -> Result<T>
    where
        T: Deserialize<'a>,
    {
        read_current(&self.feed)
    }

    /// The same cursor for documents of another type.
    pub fn with_type<D>(self) -> Cursor<D> {
        Cursor {
            feed: self.feed,
            documents: PhantomData,
        }
    }

    /// Like [`Cursor::advance`], for streams that are made of a cursor.
    pub(crate) fn poll_advance(&mut self, context: &mut Context<'_>) -> Poll<Result<bool>> {
        self.feed.poll_advance(context)
    }

    /// Like [`Cursor::current`]; `None` unless the last step led to a document.
    pub(crate) fn try_current(&self) -> Option<&RawDocument> {
        self.feed.current()
    }

    /// Whether the next step needs no request.
    pub(crate) fn has_held(&self) -> bool {
        self.feed.has_held()
    }

    /// From now on has the next batch fetched while the current one is walked.
    pub(crate) fn fetch_ahead(&mut self) {
        self.feed.prefetch_from_now_on();
    }

    /// The same cursor, giving whole batches.
    pub(crate) fn into_raw_batches(self) -> RawBatchCursor {
        RawBatchCursor::new(self.feed)
    }

    /// Closes the cursor on the server, unless it is closed already, and ends it.
    ///
    /// # Errors
    /// Those of the network. The cursor has ended nevertheless, and the server closes it by itself
    /// after 10 minutes without use.
    pub async fn close(&mut self) -> Result<()> {
        self.feed.close(None).await
    }

    /// Like [`Cursor::close`], in a given time, zero for no limit. Otherwise closing may take as long
    /// as the timeout of the operation that opened the cursor, be it used up or not.
    ///
    /// # Errors
    /// As [`Cursor::close`], and a timeout error.
    pub async fn close_within(&mut self, timeout: Duration) -> Result<()> {
        self.feed.close(Some(timeout)).await
    }
}

impl<T: DeserializeOwned> Cursor<T> {
    /// All documents that are left. For raw ones, let `T` be
    /// [`RawDocumentBuf`](bson::RawDocumentBuf).
    ///
    /// Like [`Cursor::next_many`], nothing is lost when the future is dropped: until it is done,
    /// the documents are in the cursor.
    ///
    /// # Errors
    /// As [`Cursor::next_many`].
    pub async fn to_vec(&mut self) -> Result<Vec<T>> {
        self.next_many(usize::MAX).await
    }

    /// The next documents, `at_most` so many; fewer only at the end.
    ///
    /// The future may be dropped, and its documents are then given by the next call: until it is
    /// done, they are in the cursor, as they came. A tailable cursor waits for so many documents.
    ///
    /// # Errors
    /// Those of [`Cursor::advance`]; what came before the failure can still be read. A BSON error
    /// when a document is not of type `T`; the cursor stays where it was, so that
    /// [`Cursor::advance`] can step over the document.
    ///
    /// ```no_run
    /// # use motorcade::{Collection, bson::{Document, doc}};
    /// # async fn example(people: Collection<Document>) -> motorcade::error::Result<()> {
    /// let mut cursor = people.find(doc! {}).await?;
    /// let first_three = cursor.next_many(3).await?;
    /// let all_others = cursor.to_vec().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn next_many(&mut self, at_most: usize) -> Result<Vec<T>> {
        self.feed.begin_call();
        let mut held = self.feed.held();
        while held < at_most && poll_fn(|context| self.feed.poll_fetch(context)).await? {
            held += self.feed.held_of_newest();
        }
        let read = |document: &RawDocument| bson::deserialize_from_slice(document.as_bytes());
        self.feed
            .read_held(at_most, |document| Ok(read(document)?))
            .await
    }
}

impl<T: DeserializeOwned> Stream for Cursor<T> {
    type Item = Result<T>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        let this = self.get_mut();
        match ready!(this.feed.poll_advance(context)) {
            Ok(true) => Poll::Ready(Some(this.deserialize_current())),
            Ok(false) => Poll::Ready(None),
            Err(error) => Poll::Ready(Some(Err(error))),
        }
    }
}

impl<T> fmt::Debug for Cursor<T> {
    // The batch holds users' documents, so it is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor")
            .field("has_next", &self.has_next())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use bson::{Document, doc};
    use futures_util::{FutureExt, StreamExt};

    use super::*;
    use crate::Client;
    use crate::{
        options::ClientOptions,
        proto::cursor::{CursorReply, CursorSettings},
    };

    /// A cursor that the server has closed already, so that no step needs the network.
    fn closed(batch: Vec<Document>) -> Cursor<Document> {
        let reply = doc! { "cursor": { "id": 0_i64, "ns": "d.c", "firstBatch": batch } };
        let reply = CursorReply::parse(&reply.to_vec().unwrap().into()).unwrap();
        let state = CursorState::new(reply, CursorSettings::default());
        let origin = Origin::default();
        let client = Client::with_options(ClientOptions::default()).unwrap();
        let executor = client.executor().clone();
        Cursor::new(executor, state, origin)
    }

    #[test]
    fn a_batch_is_walked_without_waiting() {
        let documents = vec![doc! { "a": 1 }, doc! { "a": 2 }];
        let mut cursor = closed(documents.clone());
        let mut found = Vec::new();
        while cursor.advance().now_or_never().unwrap().unwrap() {
            assert_eq!(
                cursor.current().get_i32("a").unwrap(),
                found.len() as i32 + 1
            );
            found.push(cursor.deserialize_current().unwrap());
        }
        assert_eq!(found, documents);
        assert!(!cursor.has_next());
        assert!(!cursor.advance().now_or_never().unwrap().unwrap());
        assert!(cursor.deserialize_current().is_err());
        let streamed: Vec<_> = closed(documents.clone()).collect().now_or_never().unwrap();
        let streamed: Vec<_> = streamed.into_iter().map(Result::unwrap).collect();
        assert_eq!(streamed, documents);
    }

    #[test]
    fn documents_borrow_from_the_batch() {
        #[derive(Deserialize)]
        struct Named<'a> {
            name: &'a str,
        }
        let mut cursor = closed(vec![doc! { "name": "x" }]).with_type::<Named<'_>>();
        assert!(cursor.advance().now_or_never().unwrap().unwrap());
        let name = cursor.deserialize_current().unwrap().name;
        assert!(
            cursor
                .current()
                .as_bytes()
                .as_ptr_range()
                .contains(&name.as_ptr())
        );
    }

    #[test]
    fn a_document_of_another_type_is_an_error_and_the_next_one_comes() {
        #[derive(Debug, PartialEq, Deserialize)]
        struct Row {
            a: i32,
        }
        let cursor = closed(vec![doc! { "a": "x" }, doc! { "a": 2 }]).with_type::<Row>();
        let rows: Vec<_> = cursor.collect().now_or_never().unwrap();
        assert!(rows[0].is_err());
        assert_eq!(rows[1].as_ref().unwrap(), &Row { a: 2 });
        assert_eq!(rows.len(), 2);
    }

    #[test]
    fn an_ended_cursor_has_nothing_to_close() {
        let mut cursor = closed(vec![doc! { "a": 1 }]);
        cursor.close().now_or_never().unwrap().unwrap();
        cursor.close().now_or_never().unwrap().unwrap();
        assert!(!cursor.has_next());
        assert!(!cursor.advance().now_or_never().unwrap().unwrap());
    }

    #[test]
    fn a_cursor_and_its_futures_cross_threads() {
        fn crosses<T: Send>(_: &T) {}
        let mut cursor = closed(vec![]);
        crosses(&cursor);
        crosses(&cursor.advance());
        crosses(&cursor.close());
    }
}
