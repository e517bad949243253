//! The steps from one document to the next, which all kinds of cursors take in the same way.

use std::{
    future::poll_fn,
    task::{Context, Poll, ready},
};

use bson::RawDocument;
use serde::Deserialize;
use tokio::task::coop;

use crate::{
    error::{Error, Result},
    proto::timeout::Timeout,
};

/// What is walked document by document, and asks for further batches on the way.
pub(crate) trait Walk {
    /// Steps to the next document at hand, without waiting; false when there is none.
    ///
    /// # Errors
    /// An invalid-response error when what has come cannot be read.
    fn step(&mut self) -> Result<bool>;

    /// Asks for one further batch; false when there is none to come.
    fn poll_fetch(&mut self, context: &mut Context<'_>) -> Poll<Result<bool>>;

    /// The limit of the call that is under way, once it had to ask for a batch.
    fn call(&mut self) -> &mut Option<Timeout>;

    /// The document that the last step led to.
    fn current(&self) -> Option<&RawDocument>;

    /// Notes that a call begins, which may have a limit of time of its own.
    fn begin_call(&mut self) {
        *self.call() = None;
    }

    /// Steps to the next document, and asks for further batches until there is one; false at the
    /// end.
    fn poll_advance(&mut self, context: &mut Context<'_>) -> Poll<Result<bool>> {
        ready!(poll_turn(context));
        let advanced = loop {
            match self.step() {
                Ok(false) => {}
                stepped => break stepped,
            }
            match ready!(self.poll_fetch(context)) {
                Ok(true) => {}
                ended => break ended,
            }
        };
        self.begin_call();
        Poll::Ready(advanced)
    }
}

/// Steps to the next document, in a call of its own; false at the end.
///
/// # Errors
/// Those of asking for a batch, and of [`Walk::step`].
pub(crate) async fn advance(walk: &mut impl Walk) -> Result<bool> {
    walk.begin_call();
    poll_fn(|context| walk.poll_advance(context)).await
}

/// Steps to the next document, but asks for one batch at most; false when that brought none.
///
/// # Errors
/// As [`advance`].
pub(crate) async fn try_advance(walk: &mut impl Walk) -> Result<bool> {
    if walk.step()? {
        return Ok(true);
    }
    walk.begin_call();
    poll_fn(|context| walk.poll_fetch(context)).await?;
    walk.step()
}

/// The current document as a value, which may borrow from the batch.
///
/// # Errors
/// A BSON error when the document is not of type `T`, an invalid-argument error when there is
/// none.
pub(crate) fn read_current<'a, T: Deserialize<'a>>(walk: &'a impl Walk) -> Result<T> {
    let current = walk.current().ok_or_else(|| {
        Error::invalid_argument("there is no current document; call advance until it returns true")
    })?;
    Ok(bson::deserialize_from_slice(current.as_bytes())?)
}

/// Lets the other tasks of the thread have their turn now and then: the documents of a batch come
/// without waiting for anything, and to read many of them takes long.
#[inline]
pub(super) fn poll_turn(context: &mut Context<'_>) -> Poll<()> {
    coop::poll_proceed(context).map(|turn| turn.made_progress())
}
