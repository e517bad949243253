//! A cursor that takes part in a session of the application.

use std::{
    fmt,
    marker::PhantomData,
    pin::Pin,
    sync::Weak,
    task::{Context, Poll},
    time::Duration,
};

use bson::RawDocument;
use futures_core::Stream;
use serde::{Deserialize, de::DeserializeOwned};

use super::Cursor;
use crate::{
    error::{Error, Result},
    exec::ExplicitSession,
    raw_batch_cursor::{RawBatchCursor, SessionRawBatchCursor},
    session::ClientSession,
};

/// A [`Cursor`] that takes part in a [`ClientSession`].
///
/// Each call borrows the session, so that nothing else happens in it meanwhile. When the future of a
/// call is dropped before it is done, the session's next use waits for its request to end. A dropped
/// cursor is closed on the server in the background, in the session, before the session's next use.
///
/// ```no_run
/// # use motorcade::{Client, bson::{Document, doc}};
/// # async fn example(client: Client) -> motorcade::error::Result<()> {
/// let people = client.database("town").collection::<Document>("people");
/// let mut session = client.start_session().await?;
/// let mut cursor = people.find(doc! {}).session(&mut session).await?;
/// while let Some(person) = cursor.next(&mut session).await.transpose()? {
///     people.delete_one(doc! { "_id": person.get("_id") }).session(&mut session).await?;
/// }
/// # Ok(())
/// # }
/// ```
pub struct SessionCursor<T> {
    cursor: Cursor<T>,
    owner: SessionOwner,
}

/// The session that a cursor belongs to.
#[derive(Clone, Debug)]
pub(crate) struct SessionOwner(Weak<ExplicitSession>);

impl SessionOwner {
    pub(crate) fn new(session: Option<&ClientSession>) -> Self {
        Self(session.map(ClientSession::downgrade).unwrap_or_default())
    }

    /// # Errors
    /// An invalid-argument error for another session.
    pub(crate) fn check(&self, session: &ClientSession) -> Result<()> {
        if Weak::ptr_eq(&self.0, &session.downgrade()) {
            return Ok(());
        }
        Err(Error::invalid_argument(
            "the cursor belongs to another session; use the one that it was opened with",
        ))
    }
}

impl<T> SessionCursor<T> {
    pub(crate) fn new(cursor: Cursor<T>, session: &Option<&mut ClientSession>) -> Self {
        Self {
            cursor,
            owner: SessionOwner::new(session.as_deref()),
        }
    }

    /// The documents as a stream, for as long as the session is lent to it.
    ///
    /// An item is an invalid-argument error when the session is another one than the cursor's.
    pub fn stream<'session>(
        &mut self,
        session: &'session mut ClientSession,
    ) -> SessionCursorStream<'_, 'session, T> {
        let refusal = self.owner.check(session).err();
        SessionCursorStream {
            cursor: &mut self.cursor,
            refusal,
            session: PhantomData,
        }
    }

    /// Like [`Cursor::advance`].
    ///
    /// # Errors
    /// As [`Cursor::advance`], and an invalid-argument error for another session than the
    /// cursor's.
    pub async fn advance(&mut self, session: &mut ClientSession) -> Result<bool> {
        self.owner.check(session)?;
        self.cursor.advance().await
    }

    /// Like [`Cursor::try_advance`].
    ///
    /// # Errors
    /// As [`SessionCursor::advance`].
    pub async fn try_advance(&mut self, session: &mut ClientSession) -> Result<bool> {
        self.owner.check(session)?;
        self.cursor.try_advance().await
    }

    /// Like [`Cursor::current`].
    pub fn current(&self) -> &RawDocument {
        self.cursor.current()
    }

    /// Like [`Cursor::has_next`].
    pub fn has_next(&self) -> bool {
        self.cursor.has_next()
    }

    /// Like [`Cursor::is_exhausted`].
    pub fn is_exhausted(&self) -> bool {
        self.cursor.is_exhausted()
    }

    /// Like [`Cursor::deserialize_current`].
    ///
    /// # Errors
    /// As [`Cursor::deserialize_current`].
    pub fn deserialize_current<'a>(&'a self) -> Result<T>
    where
        T: Deserialize<'a>,
    {
        self.cursor.deserialize_current()
    }

    /// Like [`Cursor::with_type`].
    pub fn with_type<D>(self) -> SessionCursor<D> {
        SessionCursor {
            cursor: self.cursor.with_type(),
            owner: self.owner,
        }
    }

    /// Like [`Cursor::close`].
    ///
    /// # Errors
    /// As [`Cursor::close`], and an invalid-argument error for another session than the cursor's.
    pub async fn close(&mut self, session: &mut ClientSession) -> Result<()> {
        self.owner.check(session)?;
        self.cursor.close().await
    }

    /// Like [`Cursor::close_within`].
    ///
    /// # Errors
    /// As [`Cursor::close_within`], and an invalid-argument error for another session than the
    /// cursor's.
    pub async fn close_within(
        &mut self,
        session: &mut ClientSession,
        timeout: Duration,
    ) -> Result<()> {
        self.owner.check(session)?;
        self.cursor.close_within(timeout).await
    }

    pub(crate) fn into_raw_batches(self) -> SessionRawBatchCursor {
        let batches: RawBatchCursor = self.cursor.into_raw_batches();
        SessionRawBatchCursor::new(batches, self.owner)
    }
}

impl<T: DeserializeOwned> SessionCursor<T> {
    /// The next document; `None` at the end.
    ///
    /// # Errors
    /// As [`SessionCursor::advance`], and a BSON error when the document is not of type `T`; the
    /// next call goes on after it.
    pub async fn next(&mut self, session: &mut ClientSession) -> Option<Result<T>> {
        match self.advance(session).await {
            Ok(true) => Some(self.deserialize_current()),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    }

    /// Like [`Cursor::to_vec`].
    ///
    /// # Errors
    /// As [`Cursor::to_vec`], and an invalid-argument error for another session than the cursor's.
    pub async fn to_vec(&mut self, session: &mut ClientSession) -> Result<Vec<T>> {
        self.owner.check(session)?;
        self.cursor.to_vec().await
    }

    /// Like [`Cursor::next_many`].
    ///
    /// # Errors
    /// As [`Cursor::next_many`], and an invalid-argument error for another session than the
    /// cursor's.
    pub async fn next_many(
        &mut self,
        session: &mut ClientSession,
        at_most: usize,
    ) -> Result<Vec<T>> {
        self.owner.check(session)?;
        self.cursor.next_many(at_most).await
    }
}

impl<T> fmt::Debug for SessionCursor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionCursor")
            .field("has_next", &self.has_next())
            .finish_non_exhaustive()
    }
}

/// A stream of the documents of a [`SessionCursor`].
pub struct SessionCursorStream<'cursor, 'session, T = bson::Document> {
    cursor: &'cursor mut Cursor<T>,
    /// Why the session is not the right one; given once.
    refusal: Option<Error>,
    session: PhantomData<&'session mut ClientSession>,
}

impl<T: DeserializeOwned> Stream for SessionCursorStream<'_, '_, T> {
    type Item = Result<T>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        let this = self.get_mut();
        match this.refusal.take() {
            Some(refusal) => Poll::Ready(Some(Err(refusal))),
            None => Pin::new(&mut *this.cursor).poll_next(context),
        }
    }
}

impl<T> fmt::Debug for SessionCursorStream<'_, '_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionCursorStream")
            .finish_non_exhaustive()
    }
}
