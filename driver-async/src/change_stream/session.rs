//! Change streams that take part in a session of the application.

use std::{fmt, time::Duration};

use bson::RawDocument;
use serde::{Deserialize, de::DeserializeOwned};

use super::{ChangeStream, event::ResumeToken};
use crate::{cursor::SessionOwner, error::Result, session::ClientSession};

/// A [`ChangeStream`] that takes part in a [`ClientSession`].
///
/// Each call borrows the session, so that nothing else happens in it meanwhile. When the future of a
/// call is dropped before it is done, the session's next use waits for its request to end.
///
/// ```no_run
/// # use motorcade::{Client, bson::Document};
/// # async fn example(client: Client) -> motorcade::error::Result<()> {
/// let orders = client.database("shop").collection::<Document>("orders");
/// let mut session = client.start_session().await?;
/// let mut changes = orders.watch().session(&mut session).await?;
/// while let Some(change) = changes.next(&mut session).await? {
///     println!("{:?}", change.operation_type);
/// }
/// # Ok(())
/// # }
/// ```
pub struct SessionChangeStream<T> {
    stream: ChangeStream<T>,
    owner: SessionOwner,
}

impl<T> SessionChangeStream<T> {
    pub(crate) fn new(stream: ChangeStream<T>, owner: SessionOwner) -> Self {
        Self { stream, owner }
    }

    /// Like [`ChangeStream::resume_token`].
    pub fn resume_token(&self) -> Option<ResumeToken> {
        self.stream.resume_token()
    }

    /// Like [`ChangeStream::is_alive`].
    pub fn is_alive(&self) -> bool {
        self.stream.is_alive()
    }

    /// Like [`ChangeStream::with_type`].
    pub fn with_type<D>(self) -> SessionChangeStream<D> {
        SessionChangeStream {
            stream: self.stream.with_type(),
            owner: self.owner,
        }
    }

    /// Like [`ChangeStream::advance`].
    ///
    /// # Errors
    /// As [`ChangeStream::advance`], and an invalid-argument error for another session than the
    /// stream's.
    pub async fn advance(&mut self, session: &mut ClientSession) -> Result<bool> {
        self.owner.check(session)?;
        self.stream.advance().await
    }

    /// Like [`ChangeStream::try_advance`].
    ///
    /// # Errors
    /// As [`SessionChangeStream::advance`].
    pub async fn try_advance(&mut self, session: &mut ClientSession) -> Result<bool> {
        self.owner.check(session)?;
        self.stream.try_advance().await
    }

    /// Like [`ChangeStream::current`].
    #[track_caller]
    pub fn current(&self) -> &RawDocument {
        self.stream.current()
    }

    /// Like [`ChangeStream::deserialize_current`].
    ///
    /// # Errors
    /// As [`ChangeStream::deserialize_current`].
    pub fn deserialize_current<'a>(&'a self) -> Result<T>
    where
        T: Deserialize<'a>,
    {
        self.stream.deserialize_current()
    }

    /// Like [`ChangeStream::close`].
    ///
    /// # Errors
    /// As [`ChangeStream::close`], and an invalid-argument error for another session than the
    /// stream's.
    pub async fn close(&mut self, session: &mut ClientSession) -> Result<()> {
        self.owner.check(session)?;
        self.stream.close().await
    }

    /// Like [`ChangeStream::close_within`].
    ///
    /// # Errors
    /// As [`ChangeStream::close_within`], and an invalid-argument error for another session than
    /// the stream's.
    pub async fn close_within(
        &mut self,
        session: &mut ClientSession,
        timeout: Duration,
    ) -> Result<()> {
        self.owner.check(session)?;
        self.stream.close_within(timeout).await
    }
}

impl<T: DeserializeOwned> SessionChangeStream<T> {
    /// Waits for the next event; `None` when the stream has ended.
    ///
    /// # Errors
    /// As [`SessionChangeStream::advance`], and a BSON error when the event is not of type `T`;
    /// the next call goes on after it.
    pub async fn next(&mut self, session: &mut ClientSession) -> Result<Option<T>> {
        match self.advance(session).await? {
            true => self.deserialize_current().map(Some),
            false => Ok(None),
        }
    }

    /// Like [`ChangeStream::next_if_any`].
    ///
    /// # Errors
    /// As [`ChangeStream::next_if_any`], and an invalid-argument error for another session than
    /// the stream's.
    pub async fn next_if_any(&mut self, session: &mut ClientSession) -> Result<Option<T>> {
        self.owner.check(session)?;
        self.stream.next_if_any().await
    }
}

impl<T> fmt::Debug for SessionChangeStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionChangeStream")
            .field("is_alive", &self.is_alive())
            .finish_non_exhaustive()
    }
}
