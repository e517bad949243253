//! What feeds a cursor: the batches at hand, and the server's end while it is open.

use std::{
    future::{Future, poll_fn},
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bson::RawDocument;
use futures_core::future::BoxFuture;
use tokio::{
    runtime::Handle,
    task::{JoinHandle, coop},
};

use super::source::{Farewell, Fetched, Source};
use crate::{
    clock,
    error::{Error, ErrorKind, Result},
    exec::{Executor, Origin},
    proto::{
        cursor::{Batch, Batches, CursorReply, CursorState},
        timeout::Timeout,
    },
};

/// The codes by which a server says that it has the cursor no more.
const CURSOR_IS_GONE: [i32; 2] = [43, 237];

/// The batches at hand, and the server's end while it is open.
///
/// Dropping it has the server's cursor closed.
pub(crate) struct Feed {
    batches: Batches,
    prefetch: bool,
    phase: Phase,
    /// The limit of the call that is under way, once it had to ask for a batch.
    call: Option<Timeout>,
}

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

impl Feed {
    pub(crate) fn new(executor: Executor, state: CursorState, origin: Origin) -> Self {
        let phase = match state.remote {
            Some(remote) => Phase::Resting(Box::new(Source::new(executor, remote, origin))),
            // The session goes back here.
            None => Phase::Ended,
        };
        Self {
            batches: state.batches,
            prefetch: state.prefetch,
            phase,
            call: None,
        }
    }

    /// From now on has the next batch fetched while the current one is walked.
    pub(crate) fn prefetch_from_now_on(&mut self) {
        self.prefetch = true;
    }

    pub(crate) fn current(&self) -> Option<&RawDocument> {
        self.batches.current()
    }

    /// Whether a further step may lead to a document.
    pub(crate) fn has_next(&self) -> bool {
        !self.batches.is_drained() || self.may_ask()
    }

    /// Whether there may be a further batch, if batches are taken as a whole.
    pub(crate) fn has_next_batch(&self) -> bool {
        self.batches.has_batch() || self.may_ask()
    }

    fn may_ask(&self) -> bool {
        // A failure is still to be told: whoever asks whether that was all must not miss it.
        let is_open = matches!(
            self.phase,
            Phase::Resting(_) | Phase::Fetching { .. } | Phase::Failing { .. }
        );
        is_open && !self.batches.is_at_limit()
    }

    /// Steps to the next document at hand, without waiting; false when there is none.
    #[inline]
    pub(crate) fn step(&mut self) -> Result<bool> {
        let stepped = self.batches.advance();
        match &stepped {
            Ok(true) if matches!(self.phase, Phase::Resting(_)) => self.walk_on(),
            Ok(_) => {}
            Err(_) => self.end(),
        }
        stepped
    }

    /// What there is to do for an open cursor once a document was delivered.
    fn walk_on(&mut self) {
        if self.batches.is_at_limit() {
            self.let_go();
        } else if self.prefetch {
            self.fetch_ahead();
        }
    }

    /// Notes that a call begins, which may have a limit of time of its own.
    pub(crate) fn begin_call(&mut self) {
        self.call = None;
    }

    /// Steps to the next document, and asks for further batches until there is one.
    pub(crate) fn poll_advance(&mut self, context: &mut Context<'_>) -> Poll<Result<bool>> {
        ready!(poll_turn(context));
        let advanced = self.poll_advance_within(context);
        if advanced.is_ready() {
            self.call = None;
        }
        advanced
    }

    fn poll_advance_within(&mut self, context: &mut Context<'_>) -> Poll<Result<bool>> {
        loop {
            if self.step()? {
                return Poll::Ready(Ok(true));
            }
            if !ready!(self.poll_fetch(context))? {
                return Poll::Ready(Ok(false));
            }
        }
    }

    /// Gives the whole next batch; `None` at the end.
    pub(crate) fn poll_batch(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Batch>>> {
        let batch = self.poll_batch_within(context);
        if batch.is_ready() {
            self.call = None;
        }
        batch
    }

    fn poll_batch_within(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Batch>>> {
        loop {
            if let Some(batch) = self.batches.take_batch() {
                if matches!(self.phase, Phase::Resting(_)) {
                    self.walk_on();
                }
                return Poll::Ready(Ok(Some(batch)));
            }
            if !ready!(self.poll_fetch(context))? {
                return Poll::Ready(Ok(None));
            }
        }
    }

    /// Asks for one further batch and adds it to those at hand; false when there is none.
    pub(crate) fn poll_fetch(&mut self, context: &mut Context<'_>) -> Poll<Result<bool>> {
        loop {
            match &mut self.phase {
                Phase::Resting(_) => self.start_fetching(),
                Phase::Fetching { request, .. } => {
                    let fetched = ready!(request.poll(context));
                    if let Some(result) = self.take(fetched) {
                        return Poll::Ready(result);
                    }
                }
                Phase::Failing { closing, error, .. } => {
                    ready!(closing.as_mut().poll(context));
                    let error = error.clone();
                    self.phase = Phase::Ended;
                    return Poll::Ready(Err(error));
                }
                Phase::Abandoned(_) | Phase::Lost(_) | Phase::Ended => {
                    return Poll::Ready(Ok(false));
                }
            }
        }
    }

    fn start_fetching(&mut self) {
        self.batches.release();
        if let Some((source, batch_size)) = self.take_source() {
            let timeout = source.origin.timeout;
            let timeout = *self.call.get_or_insert_with(|| timeout.of_call(clock::now));
            self.phase = Phase::Fetching {
                farewell: source.farewell(),
                request: Request::Own(Box::pin(source.fetch(batch_size, timeout))),
            };
        }
    }

    /// Has the next batch fetched while the caller walks the ones at hand.
    ///
    /// In a task, because the caller may do other things in between: a future that nobody polls
    /// would keep the connection, or the turn to get one, from those who do.
    fn fetch_ahead(&mut self) {
        if let Ok(runtime) = Handle::try_current()
            && let Some((source, batch_size)) = self.take_source()
        {
            let timeout = source.origin.timeout.of_call(clock::now);
            self.phase = Phase::Fetching {
                farewell: source.farewell(),
                request: Request::Task(runtime.spawn(source.fetch(batch_size, timeout))),
            };
        }
    }

    /// A resting source, to ask it for so many documents, if the limit leaves any to ask for.
    fn take_source(&mut self) -> Option<(Box<Source>, Option<i64>)> {
        if self.batches.wanted() == Some(0) {
            self.let_go();
        }
        match mem::replace(&mut self.phase, Phase::Ended) {
            Phase::Resting(source) => {
                let batch_size = source.remote.settings().batch_size;
                Some((source, self.batches.next_batch_size(batch_size)))
            }
            other => {
                self.phase = other;
                None
            }
        }
    }

    /// Takes what was fetched; `None` when the server is to be told something first.
    fn take(&mut self, fetched: Result<Fetched>) -> Option<Result<bool>> {
        let (mut source, outcome) = match fetched {
            Ok(fetched) => fetched,
            Err(error) => {
                self.let_go();
                return Some(Err(error));
            }
        };
        self.phase = Phase::Ended;
        match outcome {
            Ok(CursorReply {
                id,
                namespace,
                batch,
            }) => {
                self.batches.push(batch);
                // Otherwise the session goes back here.
                if source.remote.continue_as(id, namespace) {
                    self.phase = Phase::Resting(source);
                }
                Some(Ok(true))
            }
            Err(error) => self.fail(*source, error).map(Err),
        }
    }

    /// Ends an open cursor after an error, which is given back unless the server is told first.
    fn fail(&mut self, source: Source, error: Error) -> Option<Error> {
        let is_io = matches!(*error.kind, ErrorKind::Io(_));
        match error.code() {
            Some(code) if CURSOR_IS_GONE.contains(&code) => {}
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
        self.batches.forget();
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

    /// Ends the cursor, and has it closed on the server in the background.
    fn end(&mut self) {
        self.batches.forget();
        self.let_go();
    }

    /// Has an open cursor closed on the server in the background. What has come stays.
    fn let_go(&mut self) {
        if matches!(self.phase, Phase::Lost(_)) {
            self.phase = Phase::Ended;
        } else if let Some(farewell) = self.abandon() {
            farewell.say_in_background();
        }
    }

    /// Lets go of the server's end and of a request on its way; gives what to tell the server.
    fn abandon(&mut self) -> Option<Farewell> {
        match mem::replace(&mut self.phase, Phase::Ended) {
            Phase::Resting(source) => Some(source.into_farewell()),
            // The session goes with the request: the server may be at work in it still.
            Phase::Fetching { farewell, .. }
            | Phase::Failing { farewell, .. }
            | Phase::Abandoned(farewell)
            | Phase::Lost(farewell) => Some(farewell),
            Phase::Ended => None,
        }
    }

    /// As many documents as are at hand, `at_most` of them, read by `read`. When one cannot be
    /// read, the cursor stays where it was.
    pub(crate) async fn read_held<T>(
        &mut self,
        at_most: usize,
        read: impl Fn(&RawDocument) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut batches = self.batches.clone();
        let mut found = Vec::with_capacity(at_most.min(batches.unread()));
        while found.len() < at_most && batches.advance()? {
            if let Some(document) = batches.current() {
                found.push(read(document)?);
            }
            poll_fn(poll_turn).await;
        }
        self.batches = batches;
        if matches!(self.phase, Phase::Resting(_)) {
            self.walk_on();
        }
        Ok(found)
    }

    /// Whether there are documents at hand. Cheaper than their number, which takes a walk.
    pub(crate) fn has_held(&self) -> bool {
        !self.batches.is_drained()
    }

    /// How many documents are at hand.
    pub(crate) fn held(&self) -> usize {
        self.batches.unread()
    }

    /// How many of them came with the newest batch.
    pub(crate) fn held_of_newest(&self) -> usize {
        self.batches.newest().remaining()
    }
}

/// Lets the other tasks of the thread have their turn now and then: the documents of a batch come
/// without waiting for anything, and to read many of them takes long.
#[inline]
fn poll_turn(context: &mut Context<'_>) -> Poll<()> {
    coop::poll_proceed(context).map(|turn| turn.made_progress())
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.let_go();
    }
}
