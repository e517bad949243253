//! The server's end of a cursor: asked for one batch at a time, and told when no more is wanted.

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::task::JoinHandle;

use super::source::{Fetched, KillCursor, Source};
use crate::{
    address::ServerAddress,
    error::{Error, ErrorKind, Result},
    exec::{self, Executor, Origin, Session, Step},
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
    Fetching(Request),
    /// No batch is wanted any more, and the server has yet to be told.
    Abandoned(KillCursor),
    /// The server could not be asked, or did not answer in time. It is told when the cursor is
    /// closed, but not when it is dropped: it may be out of reach still, and notices by itself.
    Lost(KillCursor),
    /// The server is being told, in a task.
    Closing(JoinHandle<Result<()>>),
    /// The server has the cursor no more, as far as can be known.
    #[default]
    Ended,
}

/// A request for the next batch.
struct Request {
    step: Step<Fetched>,
    /// Whether it began before somebody waited for the batch.
    is_ahead: bool,
    /// Closes the cursor if nobody waits for the batch, or there is none to wait for.
    kill: KillCursor,
    /// That of the application in which the request goes on.
    session: Option<Session>,
}

/// What came of asking.
pub(crate) enum Answer {
    /// The next batch.
    Batch(Batch),
    /// None, and whoever asked decides what becomes of the cursor.
    Refused(Box<Source>, Error),
    /// None will come, but the server may have the cursor yet. What is left is the session, if that
    /// is one of the application.
    Lost(Option<Session>, Error),
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
            Some(_) => Phase::Abandoned(source.into_kill()),
            None => Phase::Lost(source.into_kill()),
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
            Phase::Abandoned(kill) | Phase::Lost(kill) => Some(kill.address()),
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
        matches!(self.phase, Phase::Resting(_) | Phase::Fetching(_))
    }

    fn executor(&self) -> Option<&Executor> {
        match &self.phase {
            Phase::Resting(source) => Some(&source.executor),
            Phase::Fetching(Request { kill, .. }) | Phase::Abandoned(kill) | Phase::Lost(kill) => {
                Some(kill.executor())
            }
            Phase::Closing(_) | Phase::Ended => None,
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

    /// Asks for the next batch, in a task that goes on to its end whether or not somebody waits.
    ///
    /// # Errors
    /// An I/O error when there is no thread for it. The cursor is resting then.
    pub(crate) fn ask(
        &mut self,
        mut source: Box<Source>,
        size: Option<i64>,
        timeout: Timeout,
    ) -> Result<()> {
        let detached = match source.executor.detached() {
            Ok(detached) => detached,
            Err(error) => {
                self.phase = Phase::Resting(source);
                return Err(error);
            }
        };
        let kill = source.kill();
        let session = source.origin.hold.explicit_session();
        source.origin.hold.begin_step();
        self.phase = Phase::Fetching(Request {
            step: Step::start(detached, source.fetch(size, timeout)),
            is_ahead: false,
            kill,
            session,
        });
        Ok(())
    }

    /// The same for a batch that nobody waits for yet. When the cursor is dropped, the request is
    /// not ended: closing the cursor makes the server answer, and the connection stays whole.
    ///
    /// # Errors
    /// As [`ServerEnd::ask`].
    pub(crate) fn ask_ahead(
        &mut self,
        source: Box<Source>,
        size: Option<i64>,
        timeout: Timeout,
    ) -> Result<()> {
        self.ask(source, size, timeout)?;
        if let Phase::Fetching(request) = &mut self.phase {
            request.is_ahead = true;
        }
        Ok(())
    }

    /// Waits for what was asked for.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Answer> {
        if let Err(error) = self.check_process() {
            return Poll::Ready(Answer::Lost(None, error));
        }
        let Phase::Fetching(request) = &mut self.phase else {
            return Poll::Ready(Answer::Nothing);
        };
        Poll::Ready(match ready!(request.step.poll(context)) {
            Ok((source, outcome)) => {
                self.phase = Phase::Ended;
                self.take(source, outcome)
            }
            Err(error) => {
                let session = request.session.take();
                if let Some(kill) = self.abandon() {
                    self.phase = Phase::Abandoned(kill);
                }
                Answer::Lost(session, error)
            }
        })
    }

    fn take(&mut self, mut source: Box<Source>, outcome: Result<CursorReply>) -> Answer {
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

    /// Ends an open cursor after an error. If it is to be closed, that happens in the background:
    /// the error does not wait for it.
    pub(crate) fn fail(&mut self, source: Source, error: &Error) {
        if source.executor.check_process().is_err() {
            mem::forget(source);
            return;
        }
        let is_io = matches!(*error.kind, ErrorKind::Io(_));
        match error.code() {
            Some(_) if is_gone(error) => {}
            // Behind a load balancer the connection stays with the cursor until it is closed.
            Some(_) if source.is_bound() => {
                self.phase = Phase::Abandoned(source.into_kill());
            }
            None if source.is_bound() && error.is_network() => {
                self.phase = Phase::Lost(source.into_kill());
            }
            // The request itself has had the cursor closed.
            None if matches!(*error.kind, ErrorKind::Shutdown) => {}
            // The server sees the connection end as well, and ends what was under way on it.
            None if is_io && !error.is_timeout() => {}
            None if error.is_timeout() || error.is_network() => {
                self.phase = Phase::Lost(source.into_kill());
            }
            // The server is there and the cursor as well.
            Some(_) | None => source.into_kill().send_in_background(),
        }
    }

    /// Ends the cursor and waits until it is closed on the server too, no longer than `timeout` or
    /// else the cursor's own. If the future is dropped, the server is told nevertheless.
    pub(crate) async fn close(&mut self, timeout: Option<Duration>) -> Result<()> {
        self.check_process()?;
        if let Some(mut kill) = self.abandon() {
            kill.limit(timeout);
            self.phase = Phase::Closing(kill.start()?);
        }
        let Phase::Closing(task) = &mut self.phase else {
            return Ok(());
        };
        let outcome = Pin::new(task).await;
        self.phase = Phase::Ended;
        outcome.unwrap_or_else(|error| Err(exec::task_error(error)))
    }

    /// Closes the cursor within the time of a call. If it cannot be closed, that is passed over.
    pub(crate) async fn close_within(&mut self, timeout: Timeout) {
        let Some(mut kill) = self.abandon() else {
            return;
        };
        let executor = kill.executor().clone();
        kill.share(timeout);
        // It stays there, as this future may be dropped.
        self.phase = Phase::Abandoned(kill);
        if let Phase::Abandoned(kill) = &mut self.phase
            && let Err(error) = kill.send().await
        {
            executor.message(move || tracing::debug!("a cursor could not be closed: {error}"));
        }
        self.phase = Phase::Ended;
    }

    /// Has an open cursor closed on the server in the background.
    pub(crate) fn let_go(&mut self) {
        if self.check_process().is_err() {
            return;
        }
        if matches!(self.phase, Phase::Lost(_)) {
            self.phase = Phase::Ended;
        } else if let Some(kill) = self.abandon() {
            kill.send_in_background();
        }
    }

    /// Lets go of the cursor and of a request on its way; gives what to tell the server.
    fn abandon(&mut self) -> Option<KillCursor> {
        match mem::take(&mut self.phase) {
            Phase::Resting(source) => Some(source.into_kill()),
            // The session goes with the request: the server may be at work in it still.
            Phase::Fetching(request) => {
                if request.is_ahead {
                    request.step.detach();
                }
                Some(request.kill)
            }
            Phase::Abandoned(kill) | Phase::Lost(kill) => Some(kill),
            closing @ Phase::Closing(_) => {
                self.phase = closing;
                None
            }
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
