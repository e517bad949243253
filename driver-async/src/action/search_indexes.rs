//! Creating, updating, dropping and listing search indexes.

use std::{marker::PhantomData, time::Duration};

use bson::Document;

use super::{Multiple, Single, action, option_setters, raw_batches};
use crate::{
    collection::{Collection, CollectionHandle},
    cursor::Cursor,
    error::{Error, Result},
    exec, operation,
    options::{
        AggregateOptions, CreateSearchIndexOptions, DropSearchIndexOptions, ListSearchIndexOptions,
        SearchIndexModel, UpdateSearchIndexOptions,
    },
};

/// Creates search indexes; see [`Collection::create_search_index`] and
/// [`Collection::create_search_indexes`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct CreateSearchIndex<'a, Mode = Single> {
    collection: &'a CollectionHandle,
    models: Vec<SearchIndexModel>,
    options: CreateSearchIndexOptions,
    mode: PhantomData<Mode>,
}

/// Updates a search index; see [`Collection::update_search_index`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct UpdateSearchIndex<'a> {
    collection: &'a CollectionHandle,
    name: String,
    definition: Document,
    options: UpdateSearchIndexOptions,
}

/// Drops a search index; see [`Collection::drop_search_index`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct DropSearchIndex<'a> {
    collection: &'a CollectionHandle,
    name: String,
    options: DropSearchIndexOptions,
}

/// Lists search indexes; see [`Collection::list_search_indexes`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct ListSearchIndexes<'a> {
    collection: &'a CollectionHandle,
    name: Option<String>,
    aggregate_options: AggregateOptions,
    options: ListSearchIndexOptions,
}

impl<T: Send + Sync> Collection<T> {
    /// Creates a search index, and gives its name.
    ///
    /// The server only takes note of it: [`Collection::list_search_indexes`] tells when the index
    /// can be queried. Needs a deployment with search, of version 7.0. Read and write concern do
    /// not apply; see "Search Indexes" in the index management specification.
    ///
    /// # Errors
    /// The server's, those of selection and network.
    ///
    /// ```no_run
    /// # use motorcade::{Collection, SearchIndexModel, bson::{Document, doc}};
    /// # async fn example(plots: Collection<Document>) -> motorcade::error::Result<()> {
    /// let everything = SearchIndexModel::builder()
    ///     .definition(doc! { "mappings": { "dynamic": true } })
    ///     .build();
    /// let name = plots.create_search_index(everything).await?;
    /// assert_eq!(name, "default");
    /// # Ok(())
    /// # }
    /// ```
    pub fn create_search_index(&self, model: SearchIndexModel) -> CreateSearchIndex<'_, Single> {
        CreateSearchIndex::new(self.handle(), vec![model])
    }

    /// Creates several search indexes with one command, and gives their names in the order given;
    /// otherwise like [`Collection::create_search_index`].
    ///
    /// # Errors
    /// As [`Collection::create_search_index`].
    pub fn create_search_indexes(
        &self,
        models: impl IntoIterator<Item = SearchIndexModel>,
    ) -> CreateSearchIndex<'_, Multiple> {
        CreateSearchIndex::new(self.handle(), models.into_iter().collect())
    }

    /// Gives the search index of this name another definition. The server only takes note of it.
    ///
    /// # Errors
    /// The server's, among them one for a name that it does not know; those of selection and
    /// network.
    pub fn update_search_index(
        &self,
        name: impl Into<String>,
        definition: Document,
    ) -> UpdateSearchIndex<'_> {
        UpdateSearchIndex {
            collection: self.handle(),
            name: name.into(),
            definition,
            options: UpdateSearchIndexOptions::default(),
        }
    }

    /// Drops the search index of this name. A collection that does not exist is no error. The
    /// server only takes note of it.
    ///
    /// # Errors
    /// The server's, those of selection and network.
    pub fn drop_search_index(&self, name: impl Into<String>) -> DropSearchIndex<'_> {
        DropSearchIndex {
            collection: self.handle(),
            name: name.into(),
            options: DropSearchIndexOptions::default(),
        }
    }

    /// Lists the search indexes: all, or with [`ListSearchIndexes::name`] the one of a name.
    ///
    /// # Errors
    /// The server's, those of selection and network.
    pub fn list_search_indexes(&self) -> ListSearchIndexes<'_> {
        ListSearchIndexes {
            collection: self.handle(),
            name: None,
            aggregate_options: AggregateOptions::default(),
            options: ListSearchIndexOptions::default(),
        }
    }
}

impl<'a, Mode> CreateSearchIndex<'a, Mode> {
    fn new(collection: &'a CollectionHandle, models: Vec<SearchIndexModel>) -> Self {
        Self {
            collection,
            models,
            options: CreateSearchIndexOptions::default(),
            mode: PhantomData,
        }
    }

    option_setters! { CreateSearchIndexOptions { timeout: Duration, } }

    async fn create(self) -> Result<Vec<String>> {
        let Self {
            collection,
            models,
            options,
            ..
        } = self;
        let scope = collection.scope().limited(options.timeout);
        let mut operation = operation::CreateSearchIndexes::new(scope, models);
        exec::execute(collection.executor(), &mut operation).await
    }
}

impl UpdateSearchIndex<'_> {
    option_setters! { UpdateSearchIndexOptions { timeout: Duration, } }
}

impl DropSearchIndex<'_> {
    option_setters! { DropSearchIndexOptions { timeout: Duration, } }
}

impl ListSearchIndexes<'_> {
    option_setters! { ListSearchIndexOptions { timeout: Duration, } }

    /// Lists only the index of this name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Options of the aggregation that lists the indexes. Its concerns do not apply.
    pub fn aggregate_options(mut self, value: AggregateOptions) -> Self {
        self.aggregate_options = value;
        self
    }
}

action! { impl['a] CreateSearchIndex<'a, Single> => Result<String>, |self| {
    let name = self.create().await?.pop();
    name.ok_or_else(|| Error::internal("a search index was created nameless"))
} }

action! { impl['a] CreateSearchIndex<'a, Multiple> => Result<Vec<String>>, |self| {
    self.create().await
} }

action! { impl['a] UpdateSearchIndex<'a> => Result<()>, |self| {
    let Self { collection, name, definition, options } = self;
    let scope = collection.scope().limited(options.timeout);
    let mut operation = operation::UpdateSearchIndex::new(scope, name, definition);
    exec::execute(collection.executor(), &mut operation).await
} }

action! { impl['a] DropSearchIndex<'a> => Result<()>, |self| {
    let Self { collection, name, options } = self;
    let scope = collection.scope().limited(options.timeout);
    let mut operation = operation::DropSearchIndex::new(scope, name);
    exec::execute(collection.executor(), &mut operation).await
} }

raw_batches! { impl['a] ListSearchIndexes<'a> }

action! { impl['a] ListSearchIndexes<'a> => Result<Cursor<Document>>, |self| {
    let Self { collection, name, mut aggregate_options, options } = self;
    aggregate_options.timeout = options.timeout.or(aggregate_options.timeout);
    let scope = collection.scope();
    let mut operation = operation::list_search_indexes(scope, name, aggregate_options);
    let (state, origin) = exec::execute_cursor(collection.executor(), None, &mut operation).await?;
    Ok(Cursor::new(collection.executor().clone(), state, origin))
} }
