//! Finding documents.

use std::{marker::PhantomData, time::Duration};

use bson::{Bson, Document};
use serde::de::DeserializeOwned;

use super::{action, explainable, option_setters, raw_batches};
use crate::{
    collection::{Collection, CollectionHandle},
    cursor::Cursor,
    error::Result,
    exec, operation,
    options::{
        Collation, CursorType, FindOneOptions, FindOptions, Hint, ReadConcern, SelectionCriteria,
    },
};

/// Finds documents; see [`Collection::find`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct Find<'a, T> {
    collection: &'a CollectionHandle,
    filter: Document,
    options: FindOptions,
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
        }
    }
}

impl<'a, T> Find<'a, T> {
    option_setters! { FindOptions {
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

    fn operation(self) -> operation::Find<'a> {
        operation::Find::new(self.collection.scope(), self.filter, self.options)
    }
}

raw_batches! { impl['a, T] Find<'a, T> }

impl<'a, T> FindOne<'a, T> {
    option_setters! { FindOneOptions {
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
        operation::FindOne::new(self.collection.scope(), self.filter, self.options)
    }
}

explainable! { impl['a, T] Find<'a, T>, |self| self.collection.executor(), Ok(self.operation()) }
explainable! { impl['a, T] FindOne<'a, T>, |self| self.collection.executor(), Ok(self.operation()) }

action! { impl['a, T: Send + Sync + 'a] Find<'a, T> => Result<Cursor<T>>, |self| {
    let executor = self.collection.executor();
    let (state, origin) = exec::execute_cursor(executor, None, &mut self.operation()).await?;
    Ok(Cursor::new(executor.clone(), state, origin))
} }

action! { impl['a, T: DeserializeOwned + Send + Sync + 'a] FindOne<'a, T> => Result<Option<T>>, |self| {
    let executor = self.collection.executor();
    let mut batch = exec::execute(executor, &mut self.operation()).await?;
    if !batch.advance()? {
        return Ok(None);
    }
    let document = batch.current().map(|document| bson::deserialize_from_slice(document.as_bytes()));
    Ok(document.transpose()?)
} }
