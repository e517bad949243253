//! The changes as they come, and the server's cursor, opened again whenever it is lost.

use std::{
    mem,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bson::{Document, RawDocument, RawDocumentBuf};

use crate::{
    clock,
    concerns::Concerns,
    cursor::{Answer, ServerEnd, Source, Walk},
    error::{Error, ErrorKind, Result},
    exec::{self, Executor, Hold, Origin, Session, Step},
    operation::{self, Scope, Watched},
    options::{ChangeStreamOptions, ResumeToken},
    proto::{
        cursor::{Batch, CursorState},
        resume::{self, Attempts, Progress, Start},
        split_event::{Fragments, Piece},
        timeout::Timeout,
    },
};

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

    /// Opens the stream again in place of a cursor that was lost. The step of which that is part
    /// has begun, and ends with it.
    async fn open_again(
        self: Arc<Self>,
        lost: Lost,
        start: Start,
        wait: Duration,
        timeout: Timeout,
    ) -> Resumed {
        let Lost { mut hold, mut old } = lost;
        // Its session is for the new cursor: it is closed in another one.
        if old.can_be_told() {
            old.close_within(timeout).await;
        }
        pause(wait, timeout).await;
        let outcome = match self.open(&mut hold, Some(start), timeout).await {
            Ok((state, origin)) => {
                // A server that has not answered may be out of reach, until it does.
                let has_answered = old.address() == Some(&origin.address);
                // Has the new cursor closed if nobody waits for the old one's end.
                let opened = self.opened(state, origin);
                if has_answered {
                    old.close_within(timeout).await;
                }
                Ok(opened)
            }
            Err(error) => Err(error),
        };
        hold.end_step();
        (hold, outcome)
    }

    fn opened(&self, mut state: CursorState, origin: Origin) -> Opened {
        let server = ServerEnd::new(self.executor.clone(), state.remote, origin);
        (server, state.batches.take_batch().unwrap_or_default())
    }
}

/// The changes as they come. Dropping it has the server's cursor closed.
pub(super) struct Tail {
    plan: Arc<Plan>,
    progress: Progress,
    attempts: Attempts,
    batch: Batch,
    fragments: Fragments,
    /// The current event, if it was made of fragments.
    joined: Option<RawDocumentBuf>,
    server: ServerEnd,
    /// Set while the server's end is lost and the stream is to go on.
    resumption: Option<Resumption>,
    call: Option<Timeout>,
}

enum Resumption {
    /// A call ran out of time. The next one opens a new cursor, in the session of the old one.
    Due(Box<Lost>),
    /// A new cursor is being opened.
    UnderWay {
        step: Step<Resumed>,
        /// That of the application in which the step goes on.
        session: Option<Session>,
        /// Whether the call that goes on has asked for a batch already.
        has_asked: bool,
    },
}

type Resumed = (Hold, Result<Opened>);

/// A cursor that was just opened, and its first batch.
type Opened = (ServerEnd, Batch);

/// What is left of a cursor that was lost.
struct Lost {
    hold: Hold,
    old: ServerEnd,
}

impl Tail {
    /// Opens a stream.
    pub(super) async fn open(plan: Plan, session: Option<Session>) -> Result<Self> {
        let mut hold = Hold::with_session(session);
        let (state, origin) = plan.open(&mut hold, None, plan.concerns.timeout).await?;
        let mut tail = Self {
            progress: Progress::new(&plan.options),
            plan: Arc::new(plan),
            attempts: Attempts::default(),
            batch: Batch::default(),
            fragments: Fragments::default(),
            joined: None,
            server: ServerEnd::default(),
            resumption: None,
            call: None,
        };
        tail.begin(tail.plan.opened(state, origin))?;
        Ok(tail)
    }

    pub(super) fn resume_token(&self) -> Option<&ResumeToken> {
        self.progress.token()
    }

    /// Whether a further step may lead to an event.
    pub(super) fn is_alive(&self) -> bool {
        !self.batch.is_drained() || self.server.is_open() || self.resumption.is_some()
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
            self.attempts.got_on();
            return Ok(true);
        }
        Ok(false)
    }

    /// The limit of the call that goes on.
    fn call_timeout(&mut self) -> Timeout {
        let timeout = self.plan.concerns.timeout;
        *self.call.get_or_insert_with(|| timeout.started(clock::now))
    }

    fn ask(&mut self, source: Box<Source>) -> Result<()> {
        // So that its buffer is free while the next one comes.
        self.batch = Batch::default();
        let size = source.remote.settings().batch_size;
        let size = size.filter(|size| *size > 0).map(i64::from);
        let timeout = self.call_timeout();
        self.server.ask(source, size, timeout)
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
    fn begin(&mut self, (server, first): Opened) -> Result<()> {
        self.server = server;
        self.receive(first)
    }

    /// Goes on after an error of a request for a batch, if that can be: at once, or with the next
    /// call when this one has run out of time.
    ///
    /// # Errors
    /// The same, when the stream does not go on at once.
    fn recover(&mut self, mut source: Source, error: Error) -> Result<()> {
        self.fragments.forget();
        let is_late = is_of_timeout(&error);
        let wait = match resume::is_resumable(&error, source.max_wire_version) {
            true if !is_late => self.attempts.next(rand::random()),
            _ => None,
        };
        if !is_late && wait.is_none() {
            self.server.fail(source, &error);
            return Err(error);
        }
        let lost = Lost {
            // The new cursor may get another connection; what is told to the server goes over this
            // one.
            hold: Hold::with_session(source.origin.hold.session.take()),
            old: ServerEnd::left_after(&error, source),
        };
        let Some(wait) = wait else {
            self.resumption = Some(Resumption::Due(Box::new(lost)));
            return Err(error);
        };
        self.plan.executor.message({
            let error = error.clone();
            move || tracing::debug!("a change stream is resumed after an error: {error}")
        });
        self.resume(lost, wait, true)
    }

    /// Goes on after a request whose task has ended without a result.
    ///
    /// # Errors
    /// The same, when the stream does not go on.
    fn recover_from_lost_task(
        &mut self,
        session: Option<Session>,
        has_asked: bool,
        error: Error,
    ) -> Result<()> {
        self.fragments.forget();
        let wait = match resume::is_resumable(&error, None) {
            true => self.attempts.next(rand::random()),
            false => None,
        };
        let Some(wait) = wait else {
            self.end();
            return Err(error);
        };
        self.plan.executor.message(move || {
            tracing::debug!("a change stream is resumed after an error: {error}");
        });
        let lost = Lost {
            hold: Hold::with_session(session),
            old: mem::take(&mut self.server),
        };
        self.resume(lost, wait, has_asked)
    }

    /// Opens the stream again where it has come to, in a task that goes on to its end whether or
    /// not somebody waits.
    ///
    /// # Errors
    /// An I/O error when there is no thread for it. The next call tries again.
    fn resume(&mut self, mut lost: Lost, wait: Duration, has_asked: bool) -> Result<()> {
        let detached = match self.plan.executor.detached() {
            Ok(detached) => detached,
            Err(error) => {
                self.resumption = Some(Resumption::Due(Box::new(lost)));
                return Err(error);
            }
        };
        let timeout = self.call_timeout();
        let plan = Arc::clone(&self.plan);
        let start = self.progress.start();
        let session = lost.hold.explicit_session();
        lost.hold.begin_step();
        let step = Step::start(detached, plan.open_again(lost, start, wait, timeout));
        self.resumption = Some(Resumption::UnderWay {
            step,
            session,
            has_asked,
        });
        Ok(())
    }

    fn resumed(&mut self, hold: Hold, outcome: Result<Opened>) -> Result<()> {
        match outcome {
            Ok(opened) => self.begin(opened),
            Err(error) => {
                if is_of_timeout(&error) {
                    self.resumption = Some(Resumption::Due(Box::new(Lost {
                        hold,
                        old: ServerEnd::default(),
                    })));
                }
                Err(error)
            }
        }
    }

    /// Checks that the stream is not one that the parent of this process opens again; then that is
    /// left to the parent.
    ///
    /// # Errors
    /// As [`Executor::check_process`].
    fn check_resumption(&mut self) -> Result<()> {
        if self.resumption.is_none() {
            return Ok(());
        }
        let checked = self.plan.executor.check_process();
        if checked.is_err() {
            mem::forget(self.resumption.take());
        }
        checked
    }

    /// Waits for a stream that is opened again, if it is; true when the call has what it asked for.
    fn poll_resumption(&mut self, context: &mut Context<'_>) -> Poll<Result<bool>> {
        self.check_resumption()?;
        loop {
            if let Some(Resumption::Due(lost)) = self
                .resumption
                .take_if(|it| matches!(it, Resumption::Due(_)))
            {
                self.resume(*lost, Duration::ZERO, false)?;
            }
            let Some(Resumption::UnderWay {
                step,
                session,
                has_asked,
            }) = &mut self.resumption
            else {
                return Poll::Ready(Ok(false));
            };
            let resumed = ready!(step.poll(context));
            let (session, has_asked) = (session.take(), *has_asked);
            self.resumption = None;
            match resumed {
                Ok((hold, outcome)) => {
                    self.resumed(hold, outcome)?;
                    return Poll::Ready(Ok(has_asked || !self.batch.is_drained()));
                }
                Err(error) => self.recover_from_lost_task(session, has_asked, error)?,
            }
        }
    }

    /// Ends the stream and waits until its cursor is closed on the server too, no longer than
    /// `timeout` or else the stream's own.
    pub(super) async fn close(&mut self, timeout: Option<Duration>) -> Result<()> {
        self.forget()?;
        self.server.close(timeout).await
    }

    /// Ends the stream, and has its cursor closed in the background.
    fn end(&mut self) {
        if self.forget().is_ok() {
            self.server.let_go();
        }
    }

    /// Leaves out what has come, and opens no new cursor for the one that was lost. One that is
    /// just being opened is closed by way of its session.
    ///
    /// # Errors
    /// As [`Tail::check_resumption`].
    fn forget(&mut self) -> Result<()> {
        self.batch = Batch::default();
        self.joined = None;
        self.fragments.forget();
        self.check_resumption()?;
        if let Some(Resumption::Due(lost)) = self.resumption.take() {
            self.server = lost.old;
        }
        Ok(())
    }
}

impl Walk for Tail {
    fn step(&mut self) -> Result<bool> {
        let stepped = self.step_or_fail();
        if stepped.is_err() {
            self.end();
        }
        stepped
    }

    /// Takes in one further batch, or opens the stream again where that fails.
    fn poll_fetch(&mut self, context: &mut Context<'_>) -> Poll<Result<bool>> {
        if self.server.is_open() || self.resumption.is_some() {
            exec::require_runtime()?;
        }
        loop {
            if ready!(self.poll_resumption(context))? {
                return Poll::Ready(Ok(true));
            }
            if let Some(source) = self.server.take_resting() {
                self.ask(source)?;
            }
            match ready!(self.server.poll(context)) {
                Answer::Batch(batch) => {
                    self.attempts.got_on();
                    return Poll::Ready(self.receive(batch).map(|()| true));
                }
                Answer::Refused(source, error) => self.recover(*source, error)?,
                Answer::Lost(session, error) => {
                    self.recover_from_lost_task(session, true, error)?
                }
                Answer::Nothing => return Poll::Ready(Ok(false)),
            }
        }
    }

    fn call(&mut self) -> &mut Option<Timeout> {
        &mut self.call
    }

    fn current(&self) -> Option<&RawDocument> {
        match &self.joined {
            Some(event) => Some(event),
            None => self.batch.current(),
        }
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.end();
    }
}

/// Waits, but no longer than there is time.
async fn pause(wait: Duration, timeout: Timeout) {
    let deadline = timeout.deadline(clock::now);
    let left = deadline.and_then(|deadline| deadline.remaining());
    let wait = left.map_or(wait, |left| left.min(wait));
    if !wait.is_zero() {
        clock::sleep(wait).await;
    }
}

/// Whether the error is that an operation's own time was up, and not some other limit.
fn is_of_timeout(error: &Error) -> bool {
    matches!(*error.kind, ErrorKind::OperationTimeout { .. })
}
