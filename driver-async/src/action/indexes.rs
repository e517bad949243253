//! Creating, dropping and listing indexes.

use std::{marker::PhantomData, time::Duration};

use bson::{Bson, Document};

use super::{
    ListNames, ListSpecifications, Multiple, Single, action, option_setters, raw_batches,
    sessions::{ActionSession, ExplicitSession, ImplicitSession, handle, session_setter, within},
};
use crate::{
    collection::{Collection, CollectionHandle},
    cursor::{Cursor, SessionCursor},
    error::{Error, Result},
    exec,
    operation::{self, Dropped},
    options::{
        CommitQuorum, CreateIndexOptions, CursorTimeoutMode, DropIndexOptions, IndexModel,
        ListIndexesOptions, WriteConcern,
    },
    results::{CreateIndexResult, CreateIndexesResult},
    session::ClientSession,
};

/// Creates indexes; see [`Collection::create_index`] and [`Collection::create_indexes`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct CreateIndex<'a, M = Single> {
    collection: &'a CollectionHandle,
    indexes: Vec<IndexModel>,
    options: CreateIndexOptions,
    mode: PhantomData<M>,
    session: Option<&'a mut ClientSession>,
}

/// Drops indexes; see [`Collection::drop_index`] and [`Collection::drop_indexes`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct DropIndex<'a> {
    collection: &'a CollectionHandle,
    dropped: Dropped,
    options: DropIndexOptions,
    session: Option<&'a mut ClientSession>,
}

/// Lists indexes; see [`Collection::list_indexes`] and [`Collection::list_index_names`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct ListIndexes<'a, M = ListSpecifications, S = ImplicitSession> {
    collection: &'a CollectionHandle,
    options: ListIndexesOptions,
    mode: PhantomData<M>,
    session: S,
}

impl<T: Send + Sync> Collection<T> {
    /// Creates an index, unless the same one exists. Its name is made of its keys when the model
    /// has none.
    ///
    /// # Errors
    /// An invalid-argument error for an index without keys, and for a commit quorum on a server
    /// older than 4.4; the server's, among them one for an index of the same name and other keys;
    /// those of selection and network.
    ///
    /// ```no_run
    /// # use motorcade::{Collection, IndexModel, bson::{Document, doc}, options::IndexOptions};
    /// # async fn example(people: Collection<Document>) -> motorcade::error::Result<()> {
    /// let unique = IndexOptions::builder().unique(true).build();
    /// let by_email = IndexModel::builder().keys(doc! { "email": 1 }).options(unique).build();
    /// let created = people.create_index(by_email).await?;
    /// assert_eq!(created.index_name, "email_1");
    /// # Ok(())
    /// # }
    /// ```
    pub fn create_index(&self, index: IndexModel) -> CreateIndex<'_> {
        CreateIndex::new(self.handle(), vec![index])
    }

    /// Creates several indexes with one command; otherwise like [`Collection::create_index`].
    ///
    /// # Errors
    /// As [`Collection::create_index`], and an invalid-argument error for no index at all.
    pub fn create_indexes(
        &self,
        indexes: impl IntoIterator<Item = IndexModel>,
    ) -> CreateIndex<'_, Multiple> {
        CreateIndex::new(self.handle(), indexes.into_iter().collect())
    }

    /// Drops the index of this name. A collection that does not exist is no error.
    ///
    /// # Errors
    /// An invalid-argument error for an empty name and for `*`, which means all (use
    /// [`Collection::drop_indexes`]); the server's, among them one for a name that it does not
    /// know; those of selection and network.
    pub fn drop_index(&self, name: impl AsRef<str>) -> DropIndex<'_> {
        let name = name.as_ref().to_owned();
        DropIndex::new(self.handle(), Dropped::Name(name))
    }

    /// Drops the index of these keys, such as `{ "age": 1 }`; otherwise like
    /// [`Collection::drop_index`].
    ///
    /// # Errors
    /// An invalid-argument error for no keys at all; the server's, among them one for keys of
    /// which it has no index or several; those of selection and network.
    pub fn drop_index_by_keys(&self, keys: Document) -> DropIndex<'_> {
        DropIndex::new(self.handle(), Dropped::Keys(keys))
    }

    /// Drops every index but the one on `_id`. A collection that does not exist is no error.
    ///
    /// # Errors
    /// The server's, those of selection and network.
    pub fn drop_indexes(&self) -> DropIndex<'_> {
        DropIndex::new(self.handle(), Dropped::All)
    }

    /// Lists the indexes; none for a collection that does not exist. The primary is asked, whatever
    /// the read preference is; follows the index management specification. For what a server may
    /// tell of an index beyond [`IndexModel`], ask the cursor for
    /// [documents](crate::Cursor::with_type).
    ///
    /// # Errors
    /// The server's, those of selection and network.
    pub fn list_indexes(&self) -> ListIndexes<'_> {
        ListIndexes {
            collection: self.handle(),
            options: ListIndexesOptions::default(),
            mode: PhantomData,
            session: ImplicitSession,
        }
    }

    /// Lists the names of the indexes; otherwise like [`Collection::list_indexes`].
    ///
    /// # Errors
    /// As [`Collection::list_indexes`].
    pub fn list_index_names(&self) -> ListIndexes<'_, ListNames> {
        ListIndexes {
            collection: self.handle(),
            options: ListIndexesOptions::default(),
            mode: PhantomData,
            session: ImplicitSession,
        }
    }
}

impl<'a, M> CreateIndex<'a, M> {
    fn new(collection: &'a CollectionHandle, indexes: Vec<IndexModel>) -> Self {
        Self {
            collection,
            indexes,
            options: CreateIndexOptions::default(),
            session: None,
            mode: PhantomData,
        }
    }

    session_setter! {}

    option_setters! { CreateIndexOptions {
        timeout: Duration,
        commit_quorum: CommitQuorum,
        max_time: Duration,
        write_concern: WriteConcern,
        raw_data: bool,
    } into { comment: Bson, } }

    async fn create(self) -> Result<Vec<String>> {
        let Self {
            collection,
            indexes,
            options,
            session,
            ..
        } = self;
        let scope = within(&session, collection.scope());
        let mut operation = operation::CreateIndexes::new(scope, indexes, options)?;
        exec::execute_in(collection.executor(), handle(&session), &mut operation).await
    }
}

impl<'a> DropIndex<'a> {
    fn new(collection: &'a CollectionHandle, dropped: Dropped) -> Self {
        Self {
            collection,
            dropped,
            options: DropIndexOptions::default(),
            session: None,
        }
    }

    session_setter! {}

    option_setters! { DropIndexOptions {
        timeout: Duration,
        max_time: Duration,
        write_concern: WriteConcern,
        raw_data: bool,
    } into { comment: Bson, } }
}

impl<'a, M, S> ListIndexes<'a, M, S> {
    option_setters! { ListIndexesOptions {
        timeout: Duration,
        timeout_mode: CursorTimeoutMode,
        max_time: Duration,
        batch_size: u32,
        raw_data: bool,
    } into { comment: Bson, } }
}

impl<'a, M> ListIndexes<'a, M, ImplicitSession> {
    /// Has the operation take part in a session.
    pub fn session<'s>(
        self,
        value: impl Into<&'s mut ClientSession>,
    ) -> ListIndexes<'a, M, ExplicitSession<'s>> {
        ListIndexes {
            collection: self.collection,
            options: self.options,
            mode: PhantomData,
            session: ExplicitSession(value.into()),
        }
    }
}

/// Opens the cursor of a listing.
async fn list(
    collection: &CollectionHandle,
    session: &Option<&mut ClientSession>,
    options: ListIndexesOptions,
) -> Result<Cursor<IndexModel>> {
    let executor = collection.executor();
    let mut operation = operation::ListIndexes::new(collection.scope(), options);
    let (state, origin) = exec::execute_cursor(executor, handle(session), &mut operation).await?;
    Ok(Cursor::new(executor.clone(), state, origin))
}

raw_batches! { impl['a] ListIndexes<'a, ListSpecifications> }
raw_batches! { impl['a] ListIndexes<'a, ListSpecifications, ExplicitSession<'a>> }

action! { impl['a] CreateIndex<'a, Single> => Result<CreateIndexResult>, |self| {
    let index_name = self.create().await?.pop();
    let index_name = index_name.ok_or_else(|| Error::internal("an index was created nameless"))?;
    Ok(CreateIndexResult { index_name })
} }

action! { impl['a] CreateIndex<'a, Multiple> => Result<CreateIndexesResult>, |self| {
    Ok(CreateIndexesResult { index_names: self.create().await? })
} }

action! { impl['a] DropIndex<'a> => Result<()>, |self| {
    let Self { collection, dropped, options, session } = self;
    let scope = within(&session, collection.scope());
    let mut operation = operation::DropIndexes::new(scope, dropped, options)?;
    exec::execute_in(collection.executor(), handle(&session), &mut operation).await
} }

action! { impl['a] ListIndexes<'a, ListSpecifications> => Result<Cursor<IndexModel>>, |self| {
    list(self.collection, &None, self.options).await
} }

action! { impl['a] ListIndexes<'a, ListSpecifications, ExplicitSession<'a>>
    => Result<SessionCursor<IndexModel>>, |self| {
    let Self { collection, options, session: ExplicitSession(session), .. } = self;
    let session = Some(session);
    let cursor = list(collection, &session, options).await?;
    Ok(SessionCursor::new(cursor, &session))
} }

action! { impl['a, S: ActionSession<'a> + Send + 'a] ListIndexes<'a, ListNames, S>
    => Result<Vec<String>>, |self| {
    let session = self.session.into_opt_session();
    let mut indexes = list(self.collection, &session, self.options).await?;
    let mut names = Vec::new();
    while indexes.advance().await? {
        names.push(operation::listed_name(indexes.current())?);
    }
    Ok(names)
} }
