//! The blocking database handle.

use motorcade::{
    action::{
        Aggregate, CreateCollection, DropDatabase, ListCollections, ListNames, ModifyCollection,
        RunCommand, RunCursorCommand, Watch,
    },
    bson::{Document, RawDocumentBuf},
    options::{
        CollectionOptions, GridFsBucketOptions, ReadConcern, SelectionCriteria, WriteConcern,
    },
};

use crate::{Client, Collection, gridfs::GridFsBucket};

/// Like [`motorcade::Database`], but blocking.
#[derive(Clone, Debug)]
pub struct Database {
    inner: motorcade::Database,
}

impl Database {
    pub(crate) fn new(inner: motorcade::Database) -> Self {
        Self { inner }
    }

    /// Like [`motorcade::Database::client`].
    pub fn client(&self) -> Client {
        self.inner.client().clone().into()
    }

    /// Like [`motorcade::Database::name`].
    pub fn name(&self) -> &str {
        self.inner.name()
    }

    /// Like [`motorcade::Database::selection_criteria`].
    pub fn selection_criteria(&self) -> Option<&SelectionCriteria> {
        self.inner.selection_criteria()
    }

    /// Like [`motorcade::Database::read_concern`].
    pub fn read_concern(&self) -> Option<&ReadConcern> {
        self.inner.read_concern()
    }

    /// Like [`motorcade::Database::write_concern`].
    pub fn write_concern(&self) -> Option<&WriteConcern> {
        self.inner.write_concern()
    }

    /// Like [`motorcade::Database::collection`].
    pub fn collection<T: Send + Sync>(&self, name: &str) -> Collection<T> {
        Collection::new(self.inner.collection(name))
    }

    /// Like [`motorcade::Database::collection_with_options`].
    pub fn collection_with_options<T: Send + Sync>(
        &self,
        name: &str,
        options: CollectionOptions,
    ) -> Collection<T> {
        Collection::new(self.inner.collection_with_options(name, options))
    }

    /// Like [`motorcade::Database::gridfs_bucket`].
    pub fn gridfs_bucket(&self, options: impl Into<Option<GridFsBucketOptions>>) -> GridFsBucket {
        GridFsBucket::new(self.inner.gridfs_bucket(options))
    }

    /// Like [`motorcade::Database::run_command`].
    pub fn run_command(&self, command: Document) -> RunCommand<'_> {
        self.inner.run_command(command)
    }

    /// Like [`motorcade::Database::run_raw_command`].
    pub fn run_raw_command(&self, command: RawDocumentBuf) -> RunCommand<'_> {
        self.inner.run_raw_command(command)
    }

    /// Like [`motorcade::Database::run_cursor_command`].
    pub fn run_cursor_command(&self, command: Document) -> RunCursorCommand<'_> {
        self.inner.run_cursor_command(command)
    }

    /// Like [`motorcade::Database::run_raw_cursor_command`].
    pub fn run_raw_cursor_command(&self, command: RawDocumentBuf) -> RunCursorCommand<'_> {
        self.inner.run_raw_cursor_command(command)
    }

    /// Like [`motorcade::Database::create_collection`].
    pub fn create_collection(&self, name: impl Into<String>) -> CreateCollection<'_> {
        self.inner.create_collection(name)
    }

    /// Like [`motorcade::Database::modify_collection`].
    pub fn modify_collection(&self, name: impl Into<String>) -> ModifyCollection<'_> {
        self.inner.modify_collection(name)
    }

    /// Like [`motorcade::Database::list_collections`].
    pub fn list_collections(&self) -> ListCollections<'_> {
        self.inner.list_collections()
    }

    /// Like [`motorcade::Database::list_collection_names`].
    pub fn list_collection_names(&self) -> ListCollections<'_, ListNames> {
        self.inner.list_collection_names()
    }

    /// Like [`motorcade::Database::drop`].
    pub fn drop(&self) -> DropDatabase<'_> {
        self.inner.drop()
    }

    /// Like [`motorcade::Database::watch`].
    pub fn watch(&self) -> Watch<'_> {
        self.inner.watch()
    }

    /// Like [`motorcade::Database::aggregate`].
    pub fn aggregate(&self, pipeline: impl IntoIterator<Item = Document>) -> Aggregate<'_> {
        self.inner.aggregate(pipeline)
    }
}
