//! The server's end of a cursor: asked for one batch at a time, and told when no more is wanted.

use std::{
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_core::future::BoxFuture;
use tokio::{runtime::Handle, task::JoinHandle};

use super::source::{Farewell, Fetched, Source};
use crate::{
    address::ServerAddress,
    error::{Error, ErrorKind, Result},
    exec::{Executor, Origin},
    proto::{
        cursor::{Batch, CursorReply, Remote},
        timeout::Timeout,
    },
};

/// The codes by which a server says that it has the cursor no more.
const CURSOR_IS_GONE: [i32; 2] = [43, 237];

/// The server's end of a cursor. Dropping it has the cursor closed.
#[derive(Default)]
pub(crate) struct ServerEnd {
    phase: Phase,
}

#[derive(Default)]
enum Phase {
    /// The server has the cursor, and no request is under way.
    Resting(Box<Source>),
    /// The next batch was asked for.
    Fetching {
        request: Request,
        /// Closes the cursor if nobody waits for the batch.
        farewell: Farewell,
    },
    /// The server refused to go on, and is told that nobody will ask again.
    Failing {
        closing: BoxFuture<'static, ()>,
        /// Does the same again if that is dropped.
        farewell: Farewell,
        error: Error,
    },
    /// No batch is wanted any more, and the server has yet to be told.
    Abandoned(Farewell),
    /// The server could not be asked, or did not answer in time. It is told when the cursor is
    /// closed, but not when it is dropped: it may be out of reach still, and notices by itself.
    Lost(Farewell),
    /// The server has the cursor no more, as far as can be known.
    #[default]
    Ended,
}

/// A request for the next batch.
enum Request {
    /// Goes on while the caller waits.
    Own(BoxFuture<'static, Fetched>),
    /// Goes on by itself, to its end, whether or not the caller waits.
    Task(JoinHandle<Fetched>),
}

impl Request {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Fetched>> {
        match self {
            Self::Own(future) => future.as_mut().poll(context).map(Ok),
            Self::Task(task) => Pin::new(task).poll(context).map_err(|error| {
                Error::internal(format!(
                    "the task that fetches a batch ahead ended: {error}"
                ))
            }),
        }
    }
}

/// What came of asking.
pub(crate) enum Answer {
    /// The next batch.
    Batch(Batch),
    /// None, and whoever asked decides what becomes of the cursor.
    Refused(Box<Source>, Error),
    /// None, and the cursor has ended.
    Failed(Error),
    /// Nothing was asked: there is no cursor any more.
    Nothing,
}

impl ServerEnd {
    /// The end of a cursor as the command that opened it leaves it.
    pub(crate) fn new(executor: Executor, remote: Option<Remote>, origin: Origin) -> Self {
        let phase = match remote {
            Some(remote) => Phase::Resting(Box::new(Source::new(executor, remote, origin))),
            // The session goes back here.
            None => Phase::Ended,
        };
        Self { phase }
    }

    /// That of a cursor which nobody goes on with after this error.
    pub(crate) fn left_after(error: &Error, source: Source) -> Self {
        let phase = match error.code() {
            _ if is_gone(error) => Phase::Ended,
            Some(_) => Phase::Abandoned(source.into_farewell()),
            None => Phase::Lost(source.into_farewell()),
        };
        Self { phase }
    }

    /// Whether the server answers, as far as is known, and has yet to be told.
    pub(crate) fn can_be_told(&self) -> bool {
        matches!(self.phase, Phase::Abandoned(_))
    }

    /// The server that has yet to be told, whether or not it answers.
    pub(crate) fn address(&self) -> Option<&ServerAddress> {
        match &self.phase {
            Phase::Abandoned(farewell) | Phase::Lost(farewell) => Some(farewell.address()),
            _ => None,
        }
    }

    /// Whether the server has the cursor, and no request is under way.
    #[inline]
    pub(crate) fn is_resting(&self) -> bool {
        matches!(self.phase, Phase::Resting(_))
    }

    /// Whether asking leads to something.
    pub(crate) fn is_open(&self) -> bool {
        // A failure is still to be told: whoever asks whether that was all must not miss it.
        matches!(
            self.phase,
            Phase::Resting(_) | Phase::Fetching { .. } | Phase::Failing { .. }
        )
    }

    fn executor(&self) -> Option<&Executor> {
        match &self.phase {
            Phase::Resting(source) => Some(&source.executor),
            Phase::Fetching { farewell, .. }
            | Phase::Failing { farewell, .. }
            | Phase::Abandoned(farewell)
            | Phase::Lost(farewell) => Some(farewell.executor()),
            Phase::Ended => None,
        }
    }

    /// Whether a request for a batch can be made now, and not just when somebody waits for it.
    pub(crate) fn can_ask_ahead(&self) -> bool {
        match &self.phase {
            Phase::Resting(source) => source.executor.check_process().is_ok(),
            _ => false,
        }
    }

    /// Checks that the cursor is not one that the parent of this process goes on with; then it is
    /// left to the parent.
    ///
    /// # Errors
    /// As [`Executor::check_process`].
    fn check_process(&mut self) -> Result<()> {
        let checked = self.executor().map_or(Ok(()), Executor::check_process);
        if checked.is_err() {
            mem::forget(mem::take(&mut self.phase));
        }
        checked
    }

    /// A resting source, to begin a request with.
    pub(crate) fn take_resting(&mut self) -> Option<Box<Source>> {
        match mem::take(&mut self.phase) {
            Phase::Resting(source) => Some(source),
            other => {
                self.phase = other;
                None
            }
        }
    }

    /// Asks for the next batch, in the time of whoever waits for it.
    pub(crate) fn ask(&mut self, source: Box<Source>, size: Option<i64>, timeout: Timeout) {
        self.phase = Phase::Fetching {
            farewell: source.farewell(),
            request: Request::Own(Box::pin(source.fetch(size, timeout))),
        };
    }

    /// Asks for the next batch while the caller does other things.
    ///
    /// In a task: a future that nobody polls would keep the connection, or the turn to get one,
    /// from those who do.
    pub(crate) fn ask_ahead(
        &mut self,
        runtime: &Handle,
        source: Box<Source>,
        size: Option<i64>,
        timeout: Timeout,
    ) {
        self.phase = Phase::Fetching {
            farewell: source.farewell(),
            request: Request::Task(runtime.spawn(source.fetch(size, timeout))),
        };
    }

    /// Waits for what was asked for.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Answer> {
        if let Err(error) = self.check_process() {
            return Poll::Ready(Answer::Failed(error));
        }
        match &mut self.phase {
            Phase::Fetching { request, .. } => {
                let fetched = ready!(request.poll(context));
                Poll::Ready(self.take(fetched))
            }
            Phase::Failing { closing, error, .. } => {
                ready!(closing.as_mut().poll(context));
                let error = error.clone();
                self.phase = Phase::Ended;
                Poll::Ready(Answer::Failed(error))
            }
            Phase::Resting(_) | Phase::Abandoned(_) | Phase::Lost(_) | Phase::Ended => {
                Poll::Ready(Answer::Nothing)
            }
        }
    }

    fn take(&mut self, fetched: Result<Fetched>) -> Answer {
        let (mut source, outcome) = match fetched {
            Ok(fetched) => fetched,
            Err(error) => {
                self.let_go();
                return Answer::Failed(error);
            }
        };
        self.phase = Phase::Ended;
        match outcome {
            Ok(CursorReply {
                id,
                namespace,
                batch,
            }) => {
                // Otherwise the session goes back here.
                if source.remote.continue_as(id, namespace) {
                    self.phase = Phase::Resting(source);
                }
                Answer::Batch(batch)
            }
            Err(error) => Answer::Refused(source, error),
        }
    }

    /// Ends an open cursor after an error, which is given back unless the server is told first.
    pub(crate) fn fail(&mut self, source: Source, error: Error) -> Option<Error> {
        if let Err(error) = source.executor.check_process() {
            mem::forget(source);
            return Some(error);
        }
        let is_io = matches!(*error.kind, ErrorKind::Io(_));
        match error.code() {
            Some(_) if is_gone(&error) => {}
            // Behind a load balancer the connection stays with the cursor until it is closed.
            Some(_) if source.is_bound() => {
                self.phase = Phase::Abandoned(source.into_farewell());
            }
            None if source.is_bound() && error.is_network() => {
                self.phase = Phase::Lost(source.into_farewell());
            }
            // The server is there and the cursor as well. Whoever sees the error can rely on the
            // cursor being closed.
            Some(_) => {
                let (closing, farewell) = source.into_farewell().said();
                self.phase = Phase::Failing {
                    closing,
                    farewell,
                    error,
                };
                return None;
            }
            // The server sees the connection end as well, and ends what was under way on it.
            None if is_io && !error.is_timeout() => {}
            None if error.is_timeout() || error.is_network() => {
                self.phase = Phase::Lost(source.into_farewell());
            }
            None => source.into_farewell().say_in_background(),
        }
        Some(error)
    }

    /// Ends the cursor and waits until it is closed on the server too, no longer than `timeout` or
    /// else the cursor's own.
    pub(crate) async fn close(&mut self, timeout: Option<Duration>) -> Result<()> {
        self.check_process()?;
        if let Some(farewell) = self.abandon() {
            self.phase = Phase::Abandoned(farewell);
        }
        let Phase::Abandoned(farewell) = &mut self.phase else {
            return Ok(());
        };
        farewell.limit(timeout);
        let outcome = farewell.say().await;
        self.phase = Phase::Ended;
        outcome
    }

    /// Closes the cursor within the time of a call. If it cannot be closed, that is passed over.
    pub(crate) async fn close_within(&mut self, timeout: Timeout) {
        let Some(mut farewell) = self.abandon() else {
            return;
        };
        let executor = farewell.executor().clone();
        farewell.share(timeout);
        self.phase = Phase::Abandoned(farewell);
        if let Err(error) = self.close(None).await {
            executor.message(move || tracing::debug!("a cursor could not be closed: {error}"));
        }
    }

    /// Has an open cursor closed on the server in the background.
    pub(crate) fn let_go(&mut self) {
        if self.check_process().is_err() {
            return;
        }
        if matches!(self.phase, Phase::Lost(_)) {
            self.phase = Phase::Ended;
        } else if let Some(farewell) = self.abandon() {
            farewell.say_in_background();
        }
    }

    /// Lets go of the cursor and of a request on its way; gives what to tell the server.
    fn abandon(&mut self) -> Option<Farewell> {
        match mem::take(&mut self.phase) {
            Phase::Resting(source) => Some(source.into_farewell()),
            // The session goes with the request: the server may be at work in it still.
            Phase::Fetching { farewell, .. }
            | Phase::Failing { farewell, .. }
            | Phase::Abandoned(farewell)
            | Phase::Lost(farewell) => Some(farewell),
            Phase::Ended => None,
        }
    }
}

impl Drop for ServerEnd {
    fn drop(&mut self) {
        self.let_go();
    }
}

/// Whether a server says that it has the cursor no more.
fn is_gone(error: &Error) -> bool {
    error
        .code()
        .is_some_and(|code| CURSOR_IS_GONE.contains(&code))
}
