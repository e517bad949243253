//! Creating, dropping and listing collections.

use std::{marker::PhantomData, time::Duration};

use bson::{Bson, Document};

use super::{ListNames, ListSpecifications, action, option_setters, raw_batches};
use crate::{
    collection::{Collection, CollectionHandle},
    cursor::Cursor,
    database::Database,
    error::Result,
    exec, operation,
    options::{
        ChangeStreamPreAndPostImages, ClusteredIndex, Collation, CreateCollectionOptions,
        DropCollectionOptions, IndexOptionDefaults, ListCollectionsOptions, TimeseriesOptions,
        ValidationAction, ValidationLevel, WriteConcern,
    },
    results::CollectionSpecification,
};

/// Creates a collection or view; see [`Database::create_collection`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct CreateCollection<'a> {
    database: &'a Database,
    name: String,
    options: CreateCollectionOptions,
}

/// Drops a collection; see [`Collection::drop`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct DropCollection<'a> {
    collection: &'a CollectionHandle,
    options: DropCollectionOptions,
}

/// Lists collections; see [`Database::list_collections`] and
/// [`Database::list_collection_names`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct ListCollections<'a, M = ListSpecifications> {
    database: &'a Database,
    options: ListCollectionsOptions,
    mode: PhantomData<M>,
}

impl Database {
    /// Creates a collection or, with [`CreateCollection::view_on`], a view.
    ///
    /// There is no need to when the options are the defaults: the first insert does so.
    ///
    /// See "create" among the database commands of the server's manual.
    ///
    /// # Errors
    /// An invalid-argument error for encrypted fields; the server's, among them one for a name
    /// that is taken; those of selection and network.
    ///
    /// ```no_run
    /// # use motorcade::{Database, bson::doc};
    /// # async fn example(database: Database) -> motorcade::error::Result<()> {
    /// database.create_collection("log").capped(true).size(1 << 20).await?;
    /// let adults = [doc! { "$match": { "age": { "$gte": 18 } } }];
    /// database.create_collection("adults").view_on("people").pipeline(adults).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn create_collection(&self, name: impl Into<String>) -> CreateCollection<'_> {
        let options = CreateCollectionOptions::default();
        CreateCollection {
            database: self,
            name: name.into(),
            options,
        }
    }

    /// Lists the database's collections and views. The primary is asked, whatever the read
    /// preference is; follows the collection enumeration specification.
    ///
    /// # Errors
    /// The server's, those of selection and network.
    pub fn list_collections(&self) -> ListCollections<'_> {
        let options = ListCollectionsOptions::default();
        ListCollections {
            database: self,
            options,
            mode: PhantomData,
        }
    }

    /// Lists the names of the database's collections and views.
    ///
    /// # Errors
    /// As [`Database::list_collections`].
    pub fn list_collection_names(&self) -> ListCollections<'_, ListNames> {
        let options = ListCollectionsOptions::default();
        ListCollections {
            database: self,
            options,
            mode: PhantomData,
        }
    }
}

impl<T: Send + Sync> Collection<T> {
    /// Drops the collection with all its documents and indexes. One that does not exist is no
    /// error.
    ///
    /// # Errors
    /// An invalid-argument error for encrypted fields; the server's, those of selection and
    /// network.
    pub fn drop(&self) -> DropCollection<'_> {
        DropCollection {
            collection: self.handle(),
            options: DropCollectionOptions::default(),
        }
    }
}

impl CreateCollection<'_> {
    option_setters! { CreateCollectionOptions {
        capped: bool,
        size: u64,
        max: u64,
        storage_engine: Document,
        validator: Document,
        validation_level: ValidationLevel,
        validation_action: ValidationAction,
        collation: Collation,
        write_concern: WriteConcern,
        index_option_defaults: IndexOptionDefaults,
        timeseries: TimeseriesOptions,
        expire_after_seconds: Duration,
        change_stream_pre_and_post_images: ChangeStreamPreAndPostImages,
        clustered_index: ClusteredIndex,
        encrypted_fields: Document,
    } into { view_on: String, comment: Bson, } each { pipeline: Document, } }
}

impl DropCollection<'_> {
    option_setters! { DropCollectionOptions {
        write_concern: WriteConcern,
        encrypted_fields: Document,
    } into { comment: Bson, } }
}

impl<M> ListCollections<'_, M> {
    option_setters! { ListCollectionsOptions {
        batch_size: u32,
        filter: Document,
        authorized_collections: bool,
        raw_data: bool,
    } into { comment: Bson, } }

    async fn list(
        database: &Database,
        mut operation: operation::ListCollections<'_>,
    ) -> Result<Cursor<CollectionSpecification>> {
        let (state, origin) =
            exec::execute_cursor(database.client().executor(), None, &mut operation).await?;
        Ok(Cursor::new(
            database.client().executor().clone(),
            state,
            origin,
        ))
    }
}

raw_batches! { impl['a] ListCollections<'a, ListSpecifications> }

action! { impl['a] CreateCollection<'a> => Result<()>, |self| {
    let Self { database, name, options } = self;
    let mut operation = operation::CreateCollection::new(database.scope(), name, options)?;
    exec::execute(database.client().executor(), &mut operation).await
} }

action! { impl['a] DropCollection<'a> => Result<()>, |self| {
    let Self { collection, options } = self;
    let mut operation = operation::DropCollection::new(collection.scope(), options)?;
    exec::execute(collection.executor(), &mut operation).await
} }

action! { impl['a] ListCollections<'a, ListSpecifications>
    => Result<Cursor<CollectionSpecification>>, |self| {
    let Self { database, options, .. } = self;
    let operation = operation::ListCollections::specifications(database.scope(), options);
    Self::list(database, operation).await
} }

action! { impl['a] ListCollections<'a, ListNames> => Result<Vec<String>>, |self| {
    let Self { database, options, .. } = self;
    let operation = operation::ListCollections::names(database.scope(), options);
    let mut collections = Self::list(database, operation).await?;
    let mut names = Vec::new();
    while collections.advance().await? {
        names.push(operation::listed_name(collections.current())?);
    }
    Ok(names)
} }
