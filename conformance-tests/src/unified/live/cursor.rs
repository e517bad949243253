//! Cursors and change streams that a case has opened.

use std::{sync::Arc, time::Duration};

use bson::Document;

use super::flavor::driver::change_stream::{ChangeStream, session::SessionChangeStream};
use super::flavor::driver::error::Result;
use super::flavor::driver::{Cursor, SessionCursor};
use super::flavor::wait;
use super::sessions::SessionEntity;

/// A cursor or change stream, and the session that it takes part in.
pub(super) enum CursorEntity {
    Free(Cursor<Document>),
    InSession(SessionCursor<Document>, Arc<SessionEntity>),
    Stream(ChangeStream<Document>),
    StreamInSession(SessionChangeStream<Document>, Arc<SessionEntity>),
}

impl CursorEntity {
    /// Goes to the next document, however long that takes; tells whether there is one.
    pub(super) fn advance(&mut self) -> std::result::Result<Result<bool>, String> {
        match self {
            Self::Free(cursor) => Ok(wait!(cursor.advance())),
            Self::InSession(cursor, session) => {
                session.lend(|session| wait!(cursor.advance(session)))
            }
            Self::Stream(stream) => Ok(wait!(stream.advance())),
            Self::StreamInSession(stream, session) => {
                session.lend(|session| wait!(stream.advance(session)))
            }
        }
    }

    /// Goes to the next document, asking the server once at most; tells whether there is one.
    pub(super) fn try_advance(&mut self) -> std::result::Result<Result<bool>, String> {
        match self {
            Self::Free(cursor) => Ok(wait!(cursor.try_advance())),
            Self::InSession(cursor, session) => {
                session.lend(|session| wait!(cursor.try_advance(session)))
            }
            Self::Stream(stream) => Ok(wait!(stream.try_advance())),
            Self::StreamInSession(stream, session) => {
                session.lend(|session| wait!(stream.try_advance(session)))
            }
        }
    }

    /// The document that the cursor has gone to.
    pub(super) fn current(&self) -> Result<Document> {
        match self {
            Self::Free(cursor) => cursor.deserialize_current(),
            Self::InSession(cursor, _) => cursor.deserialize_current(),
            Self::Stream(stream) => stream.deserialize_current(),
            Self::StreamInSession(stream, _) => stream.deserialize_current(),
        }
    }

    pub(super) fn close(
        &mut self,
        timeout: Option<Duration>,
    ) -> std::result::Result<Result<()>, String> {
        match (self, timeout) {
            (Self::Free(cursor), None) => Ok(wait!(cursor.close())),
            (Self::Free(cursor), Some(timeout)) => Ok(wait!(cursor.close_within(timeout))),
            (Self::InSession(cursor, session), None) => {
                session.lend(|session| wait!(cursor.close(session)))
            }
            (Self::InSession(cursor, session), Some(timeout)) => {
                session.lend(|session| wait!(cursor.close_within(session, timeout)))
            }
            (Self::Stream(stream), None) => Ok(wait!(stream.close())),
            (Self::Stream(stream), Some(timeout)) => Ok(wait!(stream.close_within(timeout))),
            (Self::StreamInSession(stream, session), None) => {
                session.lend(|session| wait!(stream.close(session)))
            }
            (Self::StreamInSession(stream, session), Some(timeout)) => {
                session.lend(|session| wait!(stream.close_within(session, timeout)))
            }
        }
    }
}
