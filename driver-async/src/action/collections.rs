//! Creating, dropping and listing collections.

use std::{marker::PhantomData, time::Duration};

use bson::{Bson, Document};

use super::{
    ListNames, ListSpecifications, action, option_setters, raw_batches,
    sessions::{ActionSession, ExplicitSession, ImplicitSession, handle, session_setter, within},
};
use crate::{
    collection::{Collection, CollectionHandle},
    cursor::{Cursor, SessionCursor},
    database::Database,
    error::Result,
    exec, operation,
    options::{
        ChangeStreamPreAndPostImages, ClusteredIndex, Collation, CreateCollectionOptions,
        CursorTimeoutMode, DropCollectionOptions, IndexOptionDefaults, ListCollectionsOptions,
        TimeseriesOptions, ValidationAction, ValidationLevel, WriteConcern,
    },
    results::CollectionSpecification,
    session::ClientSession,
};

/// Creates a collection or view; see [`Database::create_collection`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct CreateCollection<'a> {
    database: &'a Database,
    name: String,
    options: CreateCollectionOptions,
    session: Option<&'a mut ClientSession>,
}

/// Drops a collection; see [`Collection::drop`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct DropCollection<'a> {
    collection: &'a CollectionHandle,
    options: DropCollectionOptions,
    session: Option<&'a mut ClientSession>,
}

/// Lists collections; see [`Database::list_collections`] and
/// [`Database::list_collection_names`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct ListCollections<'a, M = ListSpecifications, S = ImplicitSession> {
    database: &'a Database,
    options: ListCollectionsOptions,
    mode: PhantomData<M>,
    session: S,
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
            session: None,
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
            session: ImplicitSession,
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
            session: ImplicitSession,
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
            session: None,
        }
    }
}

impl<'a> CreateCollection<'a> {
    session_setter! {}

    option_setters! { CreateCollectionOptions {
        timeout: Duration,
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

impl<'a> DropCollection<'a> {
    session_setter! {}

    option_setters! { DropCollectionOptions {
        timeout: Duration,
        write_concern: WriteConcern,
        encrypted_fields: Document,
    } into { comment: Bson, } }
}

impl<'a, M, S> ListCollections<'a, M, S> {
    option_setters! { ListCollectionsOptions {
        timeout: Duration,
        timeout_mode: CursorTimeoutMode,
        batch_size: u32,
        filter: Document,
        authorized_collections: bool,
        raw_data: bool,
    } into { comment: Bson, } }
}

impl<'a, M> ListCollections<'a, M, ImplicitSession> {
    /// Has the operation take part in a session.
    pub fn session<'s>(
        self,
        value: impl Into<&'s mut ClientSession>,
    ) -> ListCollections<'a, M, ExplicitSession<'s>> {
        ListCollections {
            database: self.database,
            options: self.options,
            mode: PhantomData,
            session: ExplicitSession(value.into()),
        }
    }
}

/// Opens the cursor of a listing.
async fn list(
    database: &Database,
    session: &Option<&mut ClientSession>,
    mut operation: operation::ListCollections<'_>,
) -> Result<Cursor<CollectionSpecification>> {
    let executor = database.client().executor();
    let (state, origin) = exec::execute_cursor(executor, handle(session), &mut operation).await?;
    Ok(Cursor::new(executor.clone(), state, origin))
}

raw_batches! { impl['a] ListCollections<'a, ListSpecifications> }
raw_batches! { impl['a] ListCollections<'a, ListSpecifications, ExplicitSession<'a>> }

action! { impl['a] CreateCollection<'a> => Result<()>, |self| {
    let Self { database, name, options, session } = self;
    let scope = within(&session, database.scope());
    let mut operation = operation::CreateCollection::new(scope, name, options)?;
    exec::execute_in(database.client().executor(), handle(&session), &mut operation).await
} }

action! { impl['a] DropCollection<'a> => Result<()>, |self| {
    let Self { collection, options, session } = self;
    let scope = within(&session, collection.scope());
    let mut operation = operation::DropCollection::new(scope, options)?;
    exec::execute_in(collection.executor(), handle(&session), &mut operation).await
} }

action! { impl['a] ListCollections<'a, ListSpecifications>
    => Result<Cursor<CollectionSpecification>>, |self| {
    let Self { database, options, .. } = self;
    let operation = operation::ListCollections::specifications(database.scope(), options);
    list(database, &None, operation).await
} }

action! { impl['a] ListCollections<'a, ListSpecifications, ExplicitSession<'a>>
    => Result<SessionCursor<CollectionSpecification>>, |self| {
    let Self { database, options, session: ExplicitSession(session), .. } = self;
    let operation = operation::ListCollections::specifications(database.scope(), options);
    let session = Some(session);
    let cursor = list(database, &session, operation).await?;
    Ok(SessionCursor::new(cursor, &session))
} }

action! { impl['a, S: ActionSession<'a> + Send + 'a] ListCollections<'a, ListNames, S>
    => Result<Vec<String>>, |self| {
    let Self { database, options, session, .. } = self;
    let operation = operation::ListCollections::names(database.scope(), options);
    let session = session.into_opt_session();
    let mut collections = list(database, &session, operation).await?;
    let mut names = Vec::new();
    while collections.advance().await? {
        names.push(operation::listed_name(collections.current())?);
    }
    Ok(names)
} }
