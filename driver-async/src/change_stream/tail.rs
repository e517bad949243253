//! The changes as they come, and the server's cursor, opened again whenever it is lost.

use std::{
    mem,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bson::{Document, RawDocument, RawDocumentBuf};
use futures_core::future::BoxFuture;

use crate::{
    address::ServerAddress,
    clock,
    concerns::Concerns,
    cursor::{Farewell, Fetched, Source},
    error::{Error, ErrorKind, Result},
    exec::{self, Executor, Hold, Origin, Session},
    operation::{self, Scope, Watched},
    options::{ChangeStreamOptions, ResumeToken},
    proto::{
        cursor::{Batch, CursorReply, CursorState},
        resume::{self, Progress, Start},
        split_event::{Fragments, Piece},
        timeout::Timeout,
    },
};

/// The codes by which a server says that it has the cursor no more.
const CURSOR_IS_GONE: [i32; 2] = [43, 237];

/// What is watched and how: all that it takes to open a stream.
#[derive(Debug)]
pub(crate) struct Plan {
    executor: Executor,
    database: String,
    collection: String,
    concerns: Concerns,
    watched: Watched,
    pipeline: Vec<Document>,
    options: ChangeStreamOptions,
}

impl Plan {
    pub(crate) fn new(
        executor: &Executor,
        scope: Scope<'_>,
        watched: Watched,
        pipeline: Vec<Document>,
        options: ChangeStreamOptions,
    ) -> Self {
        let scope = scope.limited(options.timeout);
        Self {
            executor: executor.clone(),
            database: scope.database.to_owned(),
            collection: scope.collection.to_owned(),
            concerns: Concerns {
                selection_criteria: scope.selection_criteria.cloned(),
                read_concern: scope.read_concern.cloned(),
                write_concern: scope.write_concern.cloned(),
                timeout: scope.timeout,
            },
            watched,
            pipeline,
            options,
        }
    }

    fn scope(&self) -> Scope<'_> {
        self.concerns.scope(&self.database, &self.collection)
    }

    /// Opens the stream in the session that is held, which is there again after an error.
    async fn open(
        &self,
        hold: &mut Hold,
        start: Option<Start>,
        timeout: Timeout,
    ) -> Result<(CursorState, Origin)> {
        let scope = Scope {
            timeout,
            ..self.scope()
        };
        let mut operation =
            operation::watch(scope, self.watched, &self.pipeline, &self.options, start)?;
        exec::execute_cursor_with(&self.executor, &mut operation, hold).await
    }
}

/// The changes as they come. Dropping it has the server's cursor closed.
pub(super) struct Tail {
    plan: Arc<Plan>,
    progress: Progress,
    batch: Batch,
    fragments: Fragments,
    /// The current event, if it was made of fragments.
    joined: Option<RawDocumentBuf>,
    phase: Phase,
    /// The limit of the call that is under way, once it had to ask the server.
    call: Option<Timeout>,
}

enum Phase {
    /// The server has the cursor, and no request is under way.
    Resting(Box<Source>),
    /// The next batch was asked for.
    Fetching {
        request: BoxFuture<'static, Fetched>,
        /// Closes the cursor if nobody waits for the batch.
        farewell: Farewell,
    },
    /// The cursor was lost, and a new one is being opened.
    Resuming {
        request: BoxFuture<'static, Resumed>,
        /// Whether the call that goes on has asked for a batch already.
        has_asked: bool,
    },
    /// A call ran out of time. The next one opens a new cursor, in the session of the old one.
    Lost(Lost),
    /// The stream cannot go on, and the server is told that nobody will ask again.
    Failing {
        closing: BoxFuture<'static, ()>,
        /// Does the same again if that is dropped.
        farewell: Farewell,
        error: Error,
    },
    /// No event is wanted any more, and the server has yet to be told.
    Closing(Farewell),
    /// There is no cursor any more.
    Ended,
}

type Resumed = (Hold, Result<(CursorState, Origin)>);

/// What is left of a cursor that was lost.
struct Lost {
    hold: Hold,
    address: ServerAddress,
    /// Closes it, if the server may have it still.
    farewell: Option<Farewell>,
    /// Whether the server has answered, and so can be told.
    has_answered: bool,
}

impl Tail {
    /// Opens a stream.
    pub(super) async fn open(plan: Plan, session: Option<Session>) -> Result<Self> {
        let mut hold = Hold::with_session(session);
        let (state, origin) = plan.open(&mut hold, None, plan.concerns.timeout).await?;
        let mut tail = Self {
            progress: Progress::new(&plan.options),
            plan: Arc::new(plan),
            batch: Batch::default(),
            fragments: Fragments::default(),
            joined: None,
            phase: Phase::Ended,
            call: None,
        };
        tail.begin(state, origin)?;
        Ok(tail)
    }

    pub(super) fn resume_token(&self) -> Option<&ResumeToken> {
        self.progress.token()
    }

    pub(super) fn current(&self) -> Option<&RawDocument> {
        match &self.joined {
            Some(event) => Some(event),
            None => self.batch.current(),
        }
    }

    /// Whether a further step may lead to an event.
    pub(super) fn is_alive(&self) -> bool {
        !self.batch.is_drained() || !matches!(self.phase, Phase::Closing(_) | Phase::Ended)
    }

    /// Notes that a call begins, which may have a limit of time of its own.
    pub(super) fn begin_call(&mut self) {
        self.call = None;
    }

    /// Steps to the next event at hand, without waiting; false when there is none.
    pub(super) fn step(&mut self) -> Result<bool> {
        let stepped = self.step_or_fail();
        if stepped.is_err() {
            self.end();
        }
        stepped
    }

    fn step_or_fail(&mut self) -> Result<bool> {
        self.joined = None;
        while self.batch.advance()? {
            if self.plan.options.split_large_events == Some(true)
                && let Some(event) = self.batch.current()
            {
                match self.fragments.add(event)? {
                    Piece::Whole => {}
                    // Until the event is whole, the stream would be resumed before it.
                    Piece::Part => continue,
                    Piece::Last(event) => self.joined = Some(event),
                }
            }
            self.progress.gives_current_of(&self.batch)?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Steps to the next event, and asks for further batches until there is one.
    pub(super) fn poll_advance(&mut self, context: &mut Context<'_>) -> Poll<Result<bool>> {
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

    /// Asks for one further batch, or opens the stream again where that fails; false when the
    /// stream has ended.
    pub(super) fn poll_fetch(&mut self, context: &mut Context<'_>) -> Poll<Result<bool>> {
        loop {
            match &mut self.phase {
                Phase::Resting(_) => self.ask(),
                Phase::Fetching { request, .. } => {
                    let (source, outcome) = ready!(request.as_mut().poll(context));
                    match outcome {
                        Ok(reply) => return Poll::Ready(self.take(source, reply)),
                        Err(error) => {
                            if let Some(error) = self.fail(*source, error) {
                                return Poll::Ready(Err(error));
                            }
                        }
                    }
                }
                Phase::Lost(_) => self.resume_late(),
                Phase::Resuming { request, has_asked } => {
                    let has_asked = *has_asked;
                    let (hold, outcome) = ready!(request.as_mut().poll(context));
                    self.resumed(hold, outcome)?;
                    if has_asked || !self.batch.is_drained() {
                        return Poll::Ready(Ok(true));
                    }
                }
                Phase::Failing { closing, error, .. } => {
                    ready!(closing.as_mut().poll(context));
                    let error = error.clone();
                    self.phase = Phase::Ended;
                    return Poll::Ready(Err(error));
                }
                Phase::Closing(_) | Phase::Ended => return Poll::Ready(Ok(false)),
            }
        }
    }

    /// The limit of the call that goes on.
    fn call_timeout(&mut self) -> Timeout {
        let timeout = self.plan.concerns.timeout;
        *self.call.get_or_insert_with(|| timeout.started(clock::now))
    }

    fn ask(&mut self) {
        let timeout = self.call_timeout();
        match mem::replace(&mut self.phase, Phase::Ended) {
            Phase::Resting(source) => {
                // So that its buffer is free while the next one comes.
                self.batch = Batch::default();
                let size = source.remote.settings().batch_size;
                let size = size.filter(|size| *size > 0).map(i64::from);
                self.phase = Phase::Fetching {
                    farewell: source.farewell(),
                    request: Box::pin(source.fetch(size, timeout)),
                };
            }
            other => self.phase = other,
        }
    }

    /// Takes in the batch that was asked for.
    fn take(&mut self, mut source: Box<Source>, reply: CursorReply) -> Result<bool> {
        let is_open = source.remote.continue_as(reply.id, reply.namespace);
        self.phase = match is_open {
            true => Phase::Resting(source),
            // The session goes back here.
            false => Phase::Ended,
        };
        self.receive(reply.batch)?;
        Ok(true)
    }

    fn receive(&mut self, batch: Batch) -> Result<()> {
        self.batch = batch;
        // A batch's own token would be one in the midst of the event.
        if self.fragments.are_open() {
            return Ok(());
        }
        let received = self.progress.received(&self.batch);
        if received.is_err() {
            self.end();
        }
        received
    }

    /// Begins with a cursor that was just opened.
    fn begin(&mut self, mut state: CursorState, origin: Origin) -> Result<()> {
        let executor = self.plan.executor.clone();
        self.phase = match state.remote {
            Some(remote) => Phase::Resting(Box::new(Source::new(executor, remote, origin))),
            None => Phase::Ended,
        };
        self.receive(state.batches.take_batch().unwrap_or_default())
    }

    /// Goes on after an error of a request for a batch, if that can be: at once, or with the next
    /// call when this one has run out of time.
    fn fail(&mut self, mut source: Source, error: Error) -> Option<Error> {
        self.fragments.forget();
        let is_resumable = resume::is_resumable(&error, source.max_wire_version);
        let code = error.code();
        let is_gone = code.is_some_and(|code| CURSOR_IS_GONE.contains(&code));
        let is_of_timeout = is_of_timeout(&error);
        if is_resumable || is_of_timeout {
            let lost = Lost {
                // The new cursor may get another connection; what is told to the server goes over
                // this one.
                hold: Hold::with_session(source.origin.hold.session.take()),
                address: source.origin.address.clone(),
                farewell: (!is_gone).then(|| source.into_farewell()),
                has_answered: code.is_some(),
            };
            if is_of_timeout {
                self.phase = Phase::Lost(lost);
                return Some(error);
            }
            tracing::debug!("a change stream is resumed after an error: {error}");
            self.resume(lost, true);
            return None;
        }
        self.phase = Phase::Ended;
        if is_gone {
            return Some(error);
        }
        if code.is_none() {
            source.into_farewell().say_in_background();
            return Some(error);
        }
        let (closing, farewell) = source.into_farewell().said();
        self.phase = Phase::Failing {
            closing,
            farewell,
            error,
        };
        None
    }

    /// Resumes where the call before ran out of time.
    fn resume_late(&mut self) {
        match mem::replace(&mut self.phase, Phase::Ended) {
            Phase::Lost(lost) => self.resume(lost, false),
            other => self.phase = other,
        }
    }

    /// Opens the stream again where it has come to.
    fn resume(&mut self, lost: Lost, has_asked: bool) {
        let timeout = self.call_timeout();
        let plan = Arc::clone(&self.plan);
        let start = self.progress.start();
        let request = Box::pin(async move {
            let Lost {
                mut hold,
                address,
                mut farewell,
                has_answered,
            } = lost;
            // Its session is for the new cursor: it is closed in another one.
            if has_answered && let Some(farewell) = farewell.take() {
                farewell.said_within(timeout).await;
            }
            let outcome = plan.open(&mut hold, Some(start), timeout).await;
            // A server that has not answered may be out of reach, until it does.
            if let (Some(farewell), Ok((_, origin))) = (farewell, &outcome)
                && origin.address == address
            {
                farewell.said_within(timeout).await;
            }
            (hold, outcome)
        });
        self.phase = Phase::Resuming { request, has_asked };
    }

    fn resumed(&mut self, hold: Hold, outcome: Result<(CursorState, Origin)>) -> Result<()> {
        match outcome {
            Ok((state, origin)) => self.begin(state, origin),
            Err(error) => {
                self.phase = match is_of_timeout(&error) {
                    true => Phase::Lost(Lost {
                        hold,
                        address: ServerAddress::default(),
                        farewell: None,
                        has_answered: false,
                    }),
                    false => Phase::Ended,
                };
                Err(error)
            }
        }
    }

    /// Ends the stream and waits until its cursor is closed on the server too, no longer than
    /// `timeout` or else the stream's own.
    pub(super) async fn close(&mut self, timeout: Option<Duration>) -> Result<()> {
        self.forget();
        if let Some(farewell) = self.abandon() {
            self.phase = Phase::Closing(farewell);
        }
        let Phase::Closing(farewell) = &mut self.phase else {
            return Ok(());
        };
        farewell.limit(timeout);
        let outcome = farewell.say().await;
        self.phase = Phase::Ended;
        outcome
    }

    /// Ends the stream, and has its cursor closed in the background.
    fn end(&mut self) {
        self.forget();
        if let Some(farewell) = self.abandon() {
            farewell.say_in_background();
        }
    }

    fn forget(&mut self) {
        self.batch = Batch::default();
        self.joined = None;
        self.fragments.forget();
    }

    /// Lets go of the server's end and of a request on its way; gives what to tell the server.
    fn abandon(&mut self) -> Option<Farewell> {
        match mem::replace(&mut self.phase, Phase::Ended) {
            Phase::Resting(source) => Some(source.into_farewell()),
            // The session goes with the request: the server may be at work in it still.
            Phase::Fetching { farewell, .. }
            | Phase::Failing { farewell, .. }
            | Phase::Closing(farewell) => Some(farewell),
            Phase::Lost(lost) => lost.farewell.filter(|_| lost.has_answered),
            // A cursor that is just being opened is closed by way of its session.
            Phase::Resuming { .. } | Phase::Ended => None,
        }
    }
}

/// Whether the error is that an operation's own time was up, and not some other limit.
fn is_of_timeout(error: &Error) -> bool {
    matches!(*error.kind, ErrorKind::OperationTimeout { .. })
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.end();
    }
}
