//! Change streams.

use std::{marker::PhantomData, time::Duration};

use bson::{Bson, Document, Timestamp};

use super::{
    action, option_setters,
    sessions::{ActionSession, ExplicitSession, ImplicitSession, handle, within},
};
use crate::{
    change_stream::{
        ChangeStream, Plan,
        event::{ChangeStreamEvent, ResumeToken},
        session::SessionChangeStream,
    },
    client::Client,
    collection::Collection,
    cursor::SessionOwner,
    database::Database,
    error::Result,
    operation::{Scope, Watched},
    options::{
        ChangeStreamOptions, Collation, FullDocumentBeforeChangeType, FullDocumentType,
        ReadConcern, SelectionCriteria,
    },
    session::ClientSession,
};

/// Opens a change stream; see [`Collection::watch`], [`Database::watch`] and [`Client::watch`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct Watch<'a, T = Document, S = ImplicitSession> {
    client: &'a Client,
    scope: Scope<'a>,
    watched: Watched,
    pipeline: Vec<Document>,
    options: ChangeStreamOptions,
    session: S,
    documents: PhantomData<fn() -> T>,
}

impl<T: Send + Sync> Collection<T> {
    /// Watches the collection: awaiting the action gives a [`ChangeStream`] of what changes in it
    /// from then on.
    ///
    /// It is to be preferred to an aggregation with a `$changeStream` stage, which would not be
    /// resumed after a failure. Needs a replica set or a sharded cluster, and the read concern
    /// `majority` or none. Follows the change streams specification.
    ///
    /// # Errors
    /// The server's, for a pipeline or options that it refuses and on a standalone server; those
    /// of selection and network.
    ///
    /// ```no_run
    /// # use motorcade::{Collection, bson::{Document, doc}, options::FullDocumentType};
    /// # async fn example(orders: Collection<Document>) -> motorcade::error::Result<()> {
    /// let mut changes = orders
    ///     .watch()
    ///     .pipeline([doc! { "$match": { "operationType": "update" } }])
    ///     .full_document(FullDocumentType::UpdateLookup)
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn watch(&self) -> Watch<'_, T> {
        Watch::new(self.client(), self.handle().scope(), Watched::Collection)
    }
}

impl Database {
    /// Watches all collections of the database but the system's; otherwise like
    /// [`Collection::watch`].
    ///
    /// # Errors
    /// As [`Collection::watch`].
    pub fn watch(&self) -> Watch<'_> {
        Watch::new(self.client(), self.scope(), Watched::Database)
    }
}

impl Client {
    /// Watches all collections of all databases but `admin`, `config` and `local`; otherwise like
    /// [`Collection::watch`].
    ///
    /// # Errors
    /// As [`Collection::watch`].
    pub fn watch(&self) -> Watch<'_> {
        let scope = self.concerns().scope("admin", "");
        Watch::new(self, scope, Watched::Deployment)
    }
}

impl<'a, T> Watch<'a, T> {
    fn new(client: &'a Client, scope: Scope<'a>, watched: Watched) -> Self {
        Self {
            client,
            scope,
            watched,
            pipeline: Vec::new(),
            options: ChangeStreamOptions::default(),
            session: ImplicitSession,
            documents: PhantomData,
        }
    }

    /// Has the stream take part in a session.
    pub fn session<'s>(
        self,
        session: impl Into<&'s mut ClientSession>,
    ) -> Watch<'a, T, ExplicitSession<'s>> {
        Watch {
            client: self.client,
            scope: self.scope,
            watched: self.watched,
            pipeline: self.pipeline,
            options: self.options,
            session: ExplicitSession(session.into()),
            documents: PhantomData,
        }
    }
}

impl<T, S> Watch<'_, T, S> {
    option_setters! { ChangeStreamOptions {
        timeout: Duration,
        full_document: FullDocumentType,
        full_document_before_change: FullDocumentBeforeChangeType,
        start_at_operation_time: Timestamp,
        start_after: ResumeToken,
        max_await_time: Duration,
        batch_size: u32,
        collation: Collation,
        read_concern: ReadConcern,
        selection_criteria: SelectionCriteria,
        show_expanded_events: bool,
        split_large_events: bool,
    } into { comment: Bson, } }

    /// Sets the stages that the events go through, of those that the server allows here, such as
    /// `$match`, `$project` and `$addFields`. They must leave `_id` as it is.
    pub fn pipeline(mut self, value: impl IntoIterator<Item = Document>) -> Self {
        self.pipeline = value.into_iter().collect();
        self
    }

    /// Sets [`ChangeStreamOptions::resume_after`](crate::options::ChangeStreamOptions::resume_after),
    /// or unsets it with `None`.
    pub fn resume_after(mut self, value: impl Into<Option<ResumeToken>>) -> Self {
        self.options.resume_after = value.into();
        self
    }
}

impl<'a, T, S> Watch<'a, T, S> {
    async fn open<'s>(self) -> Result<(ChangeStream<ChangeStreamEvent<T>>, SessionOwner)>
    where
        S: ActionSession<'s>,
    {
        let scope = within(&self.session, self.scope);
        let executor = self.client.executor();
        let plan = Plan::new(executor, scope, self.watched, self.pipeline, self.options);
        let stream = ChangeStream::open(plan, handle(&self.session)).await?;
        Ok((stream, SessionOwner::new(self.session.opt_session())))
    }
}

action! { impl['a, T: 'a] Watch<'a, T> => Result<ChangeStream<ChangeStreamEvent<T>>>, |self| {
    Ok(self.open().await?.0)
} }

action! { impl['a, T: 'a] Watch<'a, T, ExplicitSession<'a>>
    => Result<SessionChangeStream<ChangeStreamEvent<T>>>, |self| {
    let (stream, owner) = self.open().await?;
    Ok(SessionChangeStream::new(stream, owner))
} }
