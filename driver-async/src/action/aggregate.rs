//! Aggregation.

use std::{marker::PhantomData, time::Duration};

use bson::{Bson, Document};

use super::{
    action, explainable, option_setters, raw_batches,
    sessions::{ActionSession, ExplicitSession, ImplicitSession, handle, within},
};
use crate::{
    client::Client,
    collection::Collection,
    cursor::{Cursor, SessionCursor},
    database::Database,
    error::Result,
    exec,
    operation::{self, Scope, Source},
    options::{
        AggregateOptions, Collation, CursorTimeoutMode, Hint, ReadConcern, SelectionCriteria,
        WriteConcern,
    },
    session::ClientSession,
};

/// Runs an aggregation pipeline; see [`Collection::aggregate`] and [`Database::aggregate`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct Aggregate<'a, S = ImplicitSession, T = Document> {
    client: &'a Client,
    scope: Scope<'a>,
    source: Source,
    pipeline: Vec<Document>,
    options: AggregateOptions,
    session: S,
    documents: PhantomData<fn() -> T>,
}

impl<T: Send + Sync> Collection<T> {
    /// Runs an aggregation pipeline over the collection.
    ///
    /// Awaiting the action gives a [`Cursor`] over what comes out. See "aggregate" among the
    /// database commands of the server's manual.
    ///
    /// # Errors
    /// The server's, for a pipeline that it refuses; those of selection and network.
    pub fn aggregate(&self, pipeline: impl IntoIterator<Item = Document>) -> Aggregate<'_> {
        Aggregate::new(
            self.client(),
            self.handle().scope(),
            Source::Collection,
            pipeline,
        )
    }
}

impl Database {
    /// Runs an aggregation pipeline that begins with the database itself, such as one with
    /// `$currentOp` or `$documents`; otherwise like [`Collection::aggregate`].
    ///
    /// # Errors
    /// As [`Collection::aggregate`].
    pub fn aggregate(&self, pipeline: impl IntoIterator<Item = Document>) -> Aggregate<'_> {
        Aggregate::new(self.client(), self.scope(), Source::Database, pipeline)
    }
}

impl<'a> Aggregate<'a> {
    fn new(
        client: &'a Client,
        scope: Scope<'a>,
        source: Source,
        pipeline: impl IntoIterator<Item = Document>,
    ) -> Self {
        let pipeline = pipeline.into_iter().collect();
        let options = AggregateOptions::default();
        Self {
            client,
            scope,
            source,
            pipeline,
            options,
            session: ImplicitSession,
            documents: PhantomData,
        }
    }
}

impl<'a, S, T> Aggregate<'a, S, T> {
    option_setters! { AggregateOptions {
        timeout: Duration,
        timeout_mode: CursorTimeoutMode,
        allow_disk_use: bool,
        batch_size: u32,
        bypass_document_validation: bool,
        collation: Collation,
        hint: Hint,
        max_await_time: Duration,
        max_time: Duration,
        read_concern: ReadConcern,
        selection_criteria: SelectionCriteria,
        write_concern: WriteConcern,
        let_vars: Document,
        prefetch: bool,
        raw_data: bool,
    } into { comment: Bson, } }

    /// Gives the cursor's documents another type.
    pub fn with_type<U>(self) -> Aggregate<'a, S, U> {
        Aggregate {
            client: self.client,
            scope: self.scope,
            source: self.source,
            pipeline: self.pipeline,
            options: self.options,
            session: self.session,
            documents: PhantomData,
        }
    }
}

impl<'a, T> Aggregate<'a, ImplicitSession, T> {
    /// Has the operation take part in a session.
    pub fn session(
        self,
        value: impl Into<&'a mut ClientSession>,
    ) -> Aggregate<'a, ExplicitSession<'a>, T> {
        Aggregate {
            client: self.client,
            scope: self.scope,
            source: self.source,
            pipeline: self.pipeline,
            options: self.options,
            session: ExplicitSession(value.into()),
            documents: PhantomData,
        }
    }
}

impl<'a, S: ActionSession<'a>, T> Aggregate<'a, S, T> {
    /// The operation, and the session that it takes part in.
    fn prepare(self) -> (operation::Aggregate<'a>, Option<&'a mut ClientSession>) {
        let session = self.session.into_opt_session();
        let scope = within(&session, self.scope);
        let operation = operation::Aggregate::new(scope, self.source, self.pipeline, self.options);
        (operation, session)
    }

    async fn open(self) -> Result<(Cursor<T>, Option<&'a mut ClientSession>)> {
        let executor = self.client.executor();
        let (mut operation, session) = self.prepare();
        let (state, origin) =
            exec::execute_cursor(executor, handle(&session), &mut operation).await?;
        Ok((Cursor::new(executor.clone(), state, origin), session))
    }
}

explainable! {
    impl['a, S: ActionSession<'a>, T] Aggregate<'a, S, T>,
    |self| self.client.executor(), Ok(self.prepare().0)
}
raw_batches! { impl['a, T] Aggregate<'a, ImplicitSession, T> }
raw_batches! { impl['a, T] Aggregate<'a, ExplicitSession<'a>, T> }

action! { impl['a, T: 'a] Aggregate<'a, ImplicitSession, T> => Result<Cursor<T>>, |self| {
    Ok(self.open().await?.0)
} }

action! { impl['a, T: 'a] Aggregate<'a, ExplicitSession<'a>, T>
    => Result<SessionCursor<T>>, |self| {
    let (cursor, session) = self.open().await?;
    Ok(SessionCursor::new(cursor, &session))
} }
