//! Transactions that the driver runs from their start to their end.

use futures_core::future::BoxFuture;

use super::ClientSession;
use crate::{
    action::StartTransaction,
    clock,
    deadline::Deadline,
    error::Result,
    options::TransactionOptions,
    proto::{
        convenient_transaction::{Attempts, Step},
        transaction::End,
    },
};

impl StartTransaction<&mut ClientSession> {
    /// Starts the transaction, runs a callback in it, and commits; what fails in passing is tried
    /// again, for 120 s at most, or as long as the session's
    /// [`default_timeout`](crate::options::SessionOptions::default_timeout) allows. See "Convenient API for Transactions" in the specifications.
    ///
    /// The callback may run several times, each time in a new transaction, so what it does beside
    /// the operations of the transaction must bear repetition. It must not keep an operation's
    /// error to itself: the server may have aborted the transaction, and a commit would fail again
    /// and again. When it ends the transaction itself, nothing more is done. Errors of the
    /// application's own kind go out as they are in [`Error::custom`](crate::error::Error::custom).
    ///
    /// A timeout of the session or the client holds for all of it: the operations of the callback
    /// that use the session have what is left of it, and must not have a timeout of their own. Those
    /// that do not use the session are not bounded by it. What is to be aborted in the end is aborted
    /// in the same time once more.
    ///
    /// The callback gets `context` along, as it cannot borrow from around itself on each run; see
    /// [`and_run2`](Self::and_run2) for one that can. When the future is dropped, the transaction
    /// is aborted in the background.
    ///
    /// # Errors
    /// The callback's, those of
    /// [`commit_transaction`](ClientSession::commit_transaction), and a timeout error with the
    /// labels of the last failure when time ran out. Those of
    /// [`start_transaction`](ClientSession::start_transaction).
    ///
    /// ```no_run
    /// # use motorcade::{Collection, ClientSession, bson::{Document, doc}};
    /// # async fn example(people: Collection<Document>, mut session: ClientSession)
    /// #     -> motorcade::error::Result<()> {
    /// use futures_util::FutureExt;
    ///
    /// session
    ///     .start_transaction()
    ///     .and_run(&people, |session, people| {
    ///         async move {
    ///             people.insert_one(doc! { "name": "Ada" }).session(session).await?;
    ///             Ok(())
    ///         }
    ///         .boxed()
    ///     })
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn and_run<R, C, F>(self, mut context: C, mut callback: F) -> Result<R>
    where
        F: for<'b> FnMut(&'b mut ClientSession, &'b mut C) -> BoxFuture<'b, Result<R>>,
    {
        let (session, options) = self.into_parts();
        let mut run = TransactionRun::new(session, options);
        run.begin(session).await?;
        // When the future is dropped. Not before: another transaction may be open.
        let session = Guarded(session);
        loop {
            let outcome = callback(session.0, &mut context).await;
            if let Some(outcome) = run.conclude(session.0, outcome).await {
                return outcome;
            }
            run.begin(session.0).await?;
        }
    }

    /// Like [`and_run`](Self::and_run), with an async closure.
    ///
    /// # Errors
    /// As [`and_run`](Self::and_run).
    ///
    /// ```no_run
    /// # use motorcade::{Collection, ClientSession, bson::{Document, doc}};
    /// # async fn example(people: Collection<Document>, mut session: ClientSession)
    /// #     -> motorcade::error::Result<()> {
    /// session
    ///     .start_transaction()
    ///     .and_run2(async |session| {
    ///         people.insert_one(doc! { "name": "Ada" }).session(&mut *session).await?;
    ///         people.delete_one(doc! { "name": "Bob" }).session(session).await?;
    ///         Ok(())
    ///     })
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn and_run2<R, F>(self, mut callback: F) -> Result<R>
    where
        F: for<'b> AsyncFnMut(&'b mut ClientSession) -> Result<R>,
    {
        let (session, options) = self.into_parts();
        let mut run = TransactionRun::new(session, options);
        run.begin(session).await?;
        // When the future is dropped. Not before: another transaction may be open.
        let session = Guarded(session);
        loop {
            let outcome = callback(session.0).await;
            if let Some(outcome) = run.conclude(session.0, outcome).await {
                return outcome;
            }
            run.begin(session.0).await?;
        }
    }
}

/// The attempts at one transaction, and what each begins with.
#[derive(Debug)]
pub struct TransactionRun {
    options: TransactionOptions,
    attempts: Attempts,
    deadline: Option<Deadline>,
}

impl TransactionRun {
    /// The first attempt, which begins now.
    pub fn new(session: &ClientSession, options: TransactionOptions) -> Self {
        let now = clock::now();
        let timeout = session.inner().state().timeout_of(&options);
        Self {
            options,
            attempts: Attempts::new(now, timeout),
            deadline: timeout.deadline(|| now),
        }
    }

    /// Starts a transaction for the callback to work in.
    pub async fn begin(&self, session: &mut ClientSession) -> Result<()> {
        session.begin_transaction(self.options.clone()).await?;
        session.inner().state().deadline = self.deadline;
        Ok(())
    }

    /// Ends the transaction after the callback; `None` when all is to be done again, once that may
    /// help.
    pub async fn conclude<R>(
        &mut self,
        session: &mut ClientSession,
        outcome: Result<R>,
    ) -> Option<Result<R>> {
        let outcome = self.end_or_wait(session, outcome).await;
        session.inner().state().deadline = None;
        outcome
    }

    async fn end_or_wait<R>(
        &mut self,
        session: &mut ClientSession,
        outcome: Result<R>,
    ) -> Option<Result<R>> {
        let step = match outcome {
            // The callback has ended the transaction by itself.
            Ok(value) if !session.is_in_transaction() => return Some(Ok(value)),
            Ok(value) => loop {
                let Err(error) = session.end_transaction(End::Commit, None).await else {
                    return Some(Ok(value));
                };
                match self
                    .attempts
                    .commit_failed(error, clock::now(), rand::random())
                {
                    Step::RetryCommit => {}
                    step => break step,
                }
            },
            Err(error) => {
                if session.is_in_transaction()
                    && let Err(error) = session.end_transaction(End::Abort, None).await
                {
                    return Some(Err(error));
                }
                self.attempts
                    .callback_failed(error, clock::now(), rand::random())
            }
        };
        match step {
            Step::RetryTransaction(wait) => clock::sleep(wait).await,
            Step::RetryCommit => {}
            Step::Fail(error) => return Some(Err(error)),
        }
        None
    }
}

/// A session whose transaction ends when the future that runs it is dropped.
struct Guarded<'a>(&'a mut ClientSession);

impl Drop for Guarded<'_> {
    fn drop(&mut self) {
        self.0.abort_in_background();
    }
}
