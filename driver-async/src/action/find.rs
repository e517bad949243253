//! Finding documents.

use std::{marker::PhantomData, time::Duration};

use bson::{Bson, Document};
use serde::de::DeserializeOwned;

use super::{
    action, explainable, option_setters, raw_batches,
    sessions::{ActionSession, ExplicitSession, ImplicitSession, handle, session_setter, within},
};
use crate::{
    collection::{Collection, CollectionHandle},
    cursor::{Cursor, SessionCursor},
    error::Result,
    exec, operation,
    options::{
        Collation, CursorTimeoutMode, CursorType, FindOneOptions, FindOptions, Hint, ReadConcern,
        SelectionCriteria,
    },
    session::ClientSession,
};

/// Finds documents; see [`Collection::find`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct Find<'a, T, S = ImplicitSession> {
    collection: &'a CollectionHandle,
    filter: Document,
    options: FindOptions,
    session: S,
    documents: PhantomData<fn() -> T>,
}

/// Finds one document; see [`Collection::find_one`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct FindOne<'a, T> {
    collection: &'a CollectionHandle,
    filter: Document,
    options: FindOneOptions,
    document: PhantomData<fn() -> T>,
    session: Option<&'a mut ClientSession>,
}

impl<T: Send + Sync> Collection<T> {
    /// Finds the documents that match a filter.
    ///
    /// Awaiting the action gives a [`Cursor`] over them, with the first batch at hand. See "find"
    /// among the database commands of the server's manual.
    ///
    /// # Errors
    /// The server's, for a filter or option that it refuses; those of selection and network.
    ///
    /// ```no_run
    /// # use futures_util::TryStreamExt;
    /// # use motorcade::{Collection, bson::{Document, doc}};
    /// # async fn example(people: Collection<Document>) -> motorcade::error::Result<()> {
    /// let mut oldest = people.find(doc! {}).sort(doc! { "age": -1 }).limit(3).await?;
    /// while let Some(person) = oldest.try_next().await? {
    ///     println!("{person}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn find(&self, filter: Document) -> Find<'_, T> {
        Find {
            collection: self.handle(),
            filter,
            options: FindOptions::default(),
            session: ImplicitSession,
            documents: PhantomData,
        }
    }
}

impl<T: DeserializeOwned + Send + Sync> Collection<T> {
    /// Finds one document that matches a filter; `None` when there is none.
    ///
    /// # Errors
    /// As [`Collection::find`], and a BSON error when the document is not of type `T`.
    pub fn find_one(&self, filter: Document) -> FindOne<'_, T> {
        FindOne {
            collection: self.handle(),
            filter,
            options: FindOneOptions::default(),
            document: PhantomData,
            session: None,
        }
    }
}

impl<'a, T, S> Find<'a, T, S> {
    option_setters! { FindOptions {
        timeout: Duration,
        timeout_mode: CursorTimeoutMode,
        allow_disk_use: bool,
        allow_partial_results: bool,
        batch_size: u32,
        cursor_type: CursorType,
        hint: Hint,
        limit: i64,
        max: Document,
        max_await_time: Duration,
        max_time: Duration,
        min: Document,
        no_cursor_timeout: bool,
        projection: Document,
        read_concern: ReadConcern,
        return_key: bool,
        selection_criteria: SelectionCriteria,
        show_record_id: bool,
        skip: u64,
        sort: Document,
        collation: Collation,
        let_vars: Document,
        prefetch: bool,
        raw_data: bool,
    } into { comment: Bson, } }
}

impl<'a, T> Find<'a, T, ImplicitSession> {
    /// Has the operation take part in a session.
    pub fn session<'s>(
        self,
        value: impl Into<&'s mut ClientSession>,
    ) -> Find<'a, T, ExplicitSession<'s>> {
        Find {
            collection: self.collection,
            filter: self.filter,
            options: self.options,
            session: ExplicitSession(value.into()),
            documents: PhantomData,
        }
    }
}

impl<'a, T, S: ActionSession<'a>> Find<'a, T, S> {
    /// The operation, and the session that it takes part in.
    fn prepare(self) -> (operation::Find<'a>, Option<&'a mut ClientSession>) {
        let session = self.session.into_opt_session();
        let scope = within(&session, self.collection.scope());
        (
            operation::Find::new(scope, self.filter, self.options),
            session,
        )
    }

    async fn open(self) -> Result<(Cursor<T>, Option<&'a mut ClientSession>)> {
        let executor = self.collection.executor();
        let (mut operation, session) = self.prepare();
        let (state, origin) =
            exec::execute_cursor(executor, handle(&session), &mut operation).await?;
        Ok((Cursor::new(executor.clone(), state, origin), session))
    }
}

raw_batches! { impl['a, T] Find<'a, T> }
raw_batches! { impl['a, T] Find<'a, T, ExplicitSession<'a>> }

impl<'a, T> FindOne<'a, T> {
    session_setter! {}

    option_setters! { FindOneOptions {
        timeout: Duration,
        allow_disk_use: bool,
        allow_partial_results: bool,
        collation: Collation,
        hint: Hint,
        max: Document,
        max_time: Duration,
        min: Document,
        projection: Document,
        read_concern: ReadConcern,
        return_key: bool,
        selection_criteria: SelectionCriteria,
        show_record_id: bool,
        skip: u64,
        sort: Document,
        let_vars: Document,
        raw_data: bool,
    } into { comment: Bson, } }

    fn operation(self) -> operation::FindOne<'a> {
        let scope = within(&self.session, self.collection.scope());
        operation::FindOne::new(scope, self.filter, self.options)
    }
}

explainable! {
    impl['a, T, S: ActionSession<'a>] Find<'a, T, S>,
    |self| self.collection.executor(), Ok(self.prepare().0)
}
explainable! { impl['a, T] FindOne<'a, T>, |self| self.collection.executor(), Ok(self.operation()) }

action! { impl['a, T: Send + Sync + 'a] Find<'a, T> => Result<Cursor<T>>, |self| {
    Ok(self.open().await?.0)
} }

action! { impl['a, T: Send + Sync + 'a] Find<'a, T, ExplicitSession<'a>>
    => Result<SessionCursor<T>>, |self| {
    let (cursor, session) = self.open().await?;
    Ok(SessionCursor::new(cursor, &session))
} }

action! { impl['a, T: DeserializeOwned + Send + Sync + 'a] FindOne<'a, T> => Result<Option<T>>, |self| {
    let executor = self.collection.executor();
    let session = handle(&self.session);
    let mut batch = exec::execute_in(executor, session, &mut self.operation()).await?;
    if !batch.advance()? {
        return Ok(None);
    }
    let document = batch.current().map(|document| bson::deserialize_from_slice(document.as_bytes()));
    Ok(document.transpose()?)
} }
