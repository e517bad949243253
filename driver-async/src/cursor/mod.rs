//! A cursor: the documents that a find, an aggregation or a listing gives.

use std::{
    fmt,
    future::poll_fn,
    marker::PhantomData,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bson::RawDocument;
use futures_core::{Stream, future::BoxFuture};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    address::ServerAddress,
    error::{Error, Result},
    exec::{self, Executor, ImplicitSession, Origin},
    operation::{GetMore, KillCursors},
    proto::cursor::{CursorReply, CursorState, Step},
};

/// The codes by which a server says that it has the cursor no more.
const CURSOR_IS_GONE: [i32; 2] = [43, 237];

/// The documents that a find, an aggregation or a listing gives.
///
/// A cursor is a [`Stream`] of documents of type `T`. It holds one batch and asks the server for
/// the next when that is used up. [`Cursor::advance`] with [`Cursor::deserialize_current`] gives
/// documents that borrow their strings from the batch, and [`Cursor::current`] the bytes as they
/// came.
///
/// A dropped cursor is closed on the server in the background; [`Cursor::close`] waits for that.
/// A future of a cursor may be dropped at any time: what was asked of the server is taken up by
/// the next call.
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
    inner: Inner,
    documents: PhantomData<fn() -> T>,
}

impl<T> Cursor<T> {
    pub(crate) fn new(executor: Executor, state: CursorState, origin: Origin) -> Self {
        let mut open = Box::new(Open {
            executor,
            state,
            address: origin.address,
            session: origin.session,
        });
        open.give_session_back_if_closed();
        Self {
            inner: Inner {
                phase: Phase::Holding(open),
            },
            documents: PhantomData,
        }
    }

    /// Steps to the next document, which [`Cursor::current`] then shows; false at the end.
    ///
    /// A tailable cursor waits until there is a document, or until the server closes it.
    ///
    /// # Errors
    /// The server's, and those of the network, from asking for the next batch. The cursor is at
    /// its end then.
    pub async fn advance(&mut self) -> Result<bool> {
        poll_fn(|context| self.inner.poll_advance(context)).await
    }

    /// The current document, in the batch that the server sent.
    ///
    /// # Panics
    /// Unless the last step of the cursor led to a document: call it after [`Cursor::advance`] has
    /// returned true.
    #[track_caller]
    pub fn current(&self) -> &RawDocument {
        let current = self.inner.current();
        current.expect("there is a current document only after advance has returned true")
    }

    /// Whether a further step may lead to a document. The server knows for sure only when asked
    /// for the next batch.
    pub fn has_next(&self) -> bool {
        match &self.inner.phase {
            Phase::Holding(open) => open.state.has_next(),
            Phase::Fetching { .. } => true,
            Phase::Abandoned { .. } | Phase::Ended => false,
        }
    }

    /// The current document as a value, which may borrow from the batch.
    ///
    /// # Errors
    /// A BSON error when the document is not of type `T`, and an invalid-argument error when there
    /// is no current document.
    pub fn deserialize_current<'a>(&'a self) -> Result<T>
    where
        T: Deserialize<'a>,
    {
        let current = self.inner.current().ok_or_else(|| {
            Error::invalid_argument(
                "the cursor has no current document; call advance until it returns true",
            )
        })?;
        Ok(bson::deserialize_from_slice(current.as_bytes())?)
    }

    /// The same cursor for documents of another type.
    pub fn with_type<D>(self) -> Cursor<D> {
        Cursor {
            inner: self.inner,
            documents: PhantomData,
        }
    }

    /// Closes the cursor on the server, unless it is closed already, and ends it.
    ///
    /// # Errors
    /// Those of the network. The cursor has ended nevertheless, and the server closes it by itself
    /// after 10 minutes without use.
    pub async fn close(&mut self) -> Result<()> {
        self.inner.abandon();
        let Phase::Abandoned {
            executor,
            kill,
            session,
        } = &mut self.inner.phase
        else {
            return Ok(());
        };
        let session = session.take();
        let outcome = exec::execute_last_of_session(executor, kill, session).await;
        self.inner.phase = Phase::Ended;
        outcome
    }
}

impl<T: DeserializeOwned> Stream for Cursor<T> {
    type Item = Result<T>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        let this = self.get_mut();
        match ready!(this.inner.poll_advance(context)) {
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

/// A cursor whatever its documents are. Dropping it has the server's cursor closed.
struct Inner {
    phase: Phase,
}

enum Phase {
    /// There is a batch.
    Holding(Box<Open>),
    /// The next batch was asked for.
    Fetching {
        future: BoxFuture<'static, (Box<Open>, Result<CursorReply>)>,
        executor: Executor,
        /// Closes the cursor if the future is dropped.
        kill: Option<KillCursors>,
    },
    /// No batch is wanted any more, and the server has yet to be told.
    Abandoned {
        executor: Executor,
        kill: KillCursors,
        session: Option<ImplicitSession>,
    },
    /// There is nothing left to give or to do.
    Ended,
}

struct Open {
    executor: Executor,
    state: CursorState,
    address: ServerAddress,
    session: Option<ImplicitSession>,
}

impl Open {
    /// What closes the cursor on the server, while it is open there.
    fn kill(&self) -> Option<KillCursors> {
        let (id, namespace) = self.state.handle()?;
        Some(KillCursors::new(
            id,
            namespace.clone(),
            self.address.clone(),
        ))
    }

    /// A cursor that the server has closed needs its session no more, whoever still reads it.
    fn give_session_back_if_closed(&mut self) {
        if !self.state.is_open() {
            self.session = None;
        }
    }

    async fn fetch(mut self: Box<Self>) -> (Box<Self>, Result<CursorReply>) {
        let Self {
            executor,
            state,
            address,
            session,
        } = &mut *self;
        let outcome = match GetMore::new(state, address) {
            Ok(mut operation) => exec::execute_in_session(executor, &mut operation, session).await,
            Err(error) => Err(error),
        };
        (self, outcome)
    }
}

impl Inner {
    fn current(&self) -> Option<&RawDocument> {
        match &self.phase {
            Phase::Holding(open) => open.state.current(),
            _ => None,
        }
    }

    /// Steps within the batch, and asks for the next batch at its end. Only that needs a box.
    fn poll_advance(&mut self, context: &mut Context<'_>) -> Poll<Result<bool>> {
        loop {
            match &mut self.phase {
                Phase::Holding(open) => match open.state.advance() {
                    Ok(Step::Document) => return Poll::Ready(Ok(true)),
                    Ok(Step::NeedsMore) => self.start_fetching(),
                    Ok(Step::Exhausted) => {
                        self.end();
                        return Poll::Ready(Ok(false));
                    }
                    Err(error) => {
                        self.end();
                        return Poll::Ready(Err(error));
                    }
                },
                Phase::Fetching { future, .. } => {
                    let (open, outcome) = ready!(future.as_mut().poll(context));
                    if let Err(error) = self.take_batch(open, outcome) {
                        return Poll::Ready(Err(error));
                    }
                }
                Phase::Abandoned { .. } | Phase::Ended => return Poll::Ready(Ok(false)),
            }
        }
    }

    fn start_fetching(&mut self) {
        if let Phase::Holding(open) = mem::replace(&mut self.phase, Phase::Ended) {
            self.phase = Phase::Fetching {
                executor: open.executor.clone(),
                kill: open.kill(),
                future: Box::pin(open.fetch()),
            };
        }
    }

    fn take_batch(&mut self, mut open: Box<Open>, outcome: Result<CursorReply>) -> Result<()> {
        match outcome {
            Ok(reply) => {
                open.state.continue_with(reply);
                open.give_session_back_if_closed();
                self.phase = Phase::Holding(open);
                Ok(())
            }
            Err(error) => {
                if error
                    .code()
                    .is_some_and(|code| CURSOR_IS_GONE.contains(&code))
                {
                    open.state.close();
                }
                self.phase = Phase::Holding(open);
                self.end();
                Err(error)
            }
        }
    }

    /// Lets go of the batch and of a request on its way.
    fn abandon(&mut self) {
        let (executor, kill, session) = match mem::replace(&mut self.phase, Phase::Ended) {
            Phase::Holding(open) => {
                let kill = open.kill();
                (open.executor, kill, open.session)
            }
            // The session goes with the future: the server may be at work in it still.
            Phase::Fetching { executor, kill, .. } => (executor, kill, None),
            Phase::Abandoned {
                executor,
                kill,
                session,
            } => (executor, Some(kill), session),
            Phase::Ended => return,
        };
        if let Some(kill) = kill {
            self.phase = Phase::Abandoned {
                executor,
                kill,
                session,
            };
        }
    }

    /// Ends the cursor, and has it closed on the server in the background if it is open there.
    fn end(&mut self) {
        self.abandon();
        let Phase::Abandoned {
            executor,
            mut kill,
            session,
        } = mem::replace(&mut self.phase, Phase::Ended)
        else {
            return;
        };
        executor.clone().spawn(async move {
            let outcome = exec::execute_last_of_session(&executor, &mut kill, session).await;
            if let Err(error) = outcome {
                tracing::debug!("a cursor could not be closed: {error}");
            }
        });
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use bson::{Document, doc};
    use futures_util::{FutureExt, StreamExt};

    use super::*;
    use crate::Client;
    use crate::{options::ClientOptions, proto::cursor::CursorSettings};

    /// A cursor that the server has closed already, so that no step needs the network.
    fn closed(batch: Vec<Document>) -> Cursor<Document> {
        let reply = doc! { "cursor": { "id": 0_i64, "ns": "d.c", "firstBatch": batch } };
        let reply = CursorReply::parse(&reply.to_vec().unwrap().into()).unwrap();
        let state = CursorState::new(reply, CursorSettings::default());
        let origin = Origin {
            address: ServerAddress::default(),
            session: None,
        };
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
