//! The blocking collection handle.

use std::borrow::Borrow;

use motorcade::{
    Namespace,
    action::{
        Aggregate, CollectionBulkWrite, Count, CountDocuments, CreateIndex, CreateSearchIndex,
        Delete, Distinct, DropCollection, DropIndex, DropSearchIndex, EstimatedDocumentCount, Find,
        FindOne, FindOneAndDelete, FindOneAndReplace, FindOneAndUpdate, InsertMany, InsertOne,
        ListIndexes, ListNames, ListSearchIndexes, Multiple, RenameCollection, ReplaceOne, Single,
        Update, UpdateSearchIndex, Watch,
    },
    bson::Document,
    bulk::Write,
    error::Result,
    options::{
        IndexModel, InsertOneModel, ReadConcern, RenameTarget, ReplaceOneModel, SearchIndexModel,
        SelectionCriteria, UpdateModifications, WriteConcern,
    },
};
use serde::{Serialize, de::DeserializeOwned};

use crate::Client;

/// Like [`motorcade::Collection`], but blocking.
#[derive(Debug)]
pub struct Collection<T: Send + Sync> {
    inner: motorcade::Collection<T>,
}

impl<T: Send + Sync> Clone for Collection<T> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone())
    }
}

impl<T: Send + Sync> Collection<T> {
    pub(crate) fn new(inner: motorcade::Collection<T>) -> Self {
        Self { inner }
    }

    /// Like [`motorcade::Collection::clone_with_type`].
    pub fn clone_with_type<U: Send + Sync>(&self) -> Collection<U> {
        Collection::new(self.inner.clone_with_type())
    }

    /// Like [`motorcade::Collection::client`].
    pub fn client(&self) -> Client {
        self.inner.client().clone().into()
    }

    /// Like [`motorcade::Collection::name`].
    pub fn name(&self) -> &str {
        self.inner.name()
    }

    /// Like [`motorcade::Collection::namespace`].
    pub fn namespace(&self) -> Namespace {
        self.inner.namespace()
    }

    /// Like [`motorcade::Collection::selection_criteria`].
    pub fn selection_criteria(&self) -> Option<&SelectionCriteria> {
        self.inner.selection_criteria()
    }

    /// Like [`motorcade::Collection::read_concern`].
    pub fn read_concern(&self) -> Option<&ReadConcern> {
        self.inner.read_concern()
    }

    /// Like [`motorcade::Collection::write_concern`].
    pub fn write_concern(&self) -> Option<&WriteConcern> {
        self.inner.write_concern()
    }

    /// Like [`motorcade::Collection::find`].
    pub fn find(&self, filter: Document) -> Find<'_, T> {
        self.inner.find(filter)
    }

    /// Like [`motorcade::Collection::aggregate`].
    pub fn aggregate(&self, pipeline: impl IntoIterator<Item = Document>) -> Aggregate<'_> {
        self.inner.aggregate(pipeline)
    }

    /// Like [`motorcade::Collection::watch`].
    pub fn watch(&self) -> Watch<'_, T> {
        self.inner.watch()
    }

    /// Like [`motorcade::Collection::count_documents`].
    pub fn count_documents(&self, filter: Document) -> CountDocuments<'_> {
        self.inner.count_documents(filter)
    }

    /// Like [`motorcade::Collection::count`].
    pub fn count(&self, filter: Document) -> Count<'_> {
        self.inner.count(filter)
    }

    /// Like [`motorcade::Collection::estimated_document_count`].
    pub fn estimated_document_count(&self) -> EstimatedDocumentCount<'_> {
        self.inner.estimated_document_count()
    }

    /// Like [`motorcade::Collection::distinct`].
    pub fn distinct(&self, field_name: impl AsRef<str>, filter: Document) -> Distinct<'_> {
        self.inner.distinct(field_name, filter)
    }

    /// Like [`motorcade::Collection::update_one`].
    pub fn update_one(
        &self,
        query: Document,
        update: impl Into<UpdateModifications>,
    ) -> Update<'_> {
        self.inner.update_one(query, update)
    }

    /// Like [`motorcade::Collection::update_many`].
    pub fn update_many(
        &self,
        query: Document,
        update: impl Into<UpdateModifications>,
    ) -> Update<'_> {
        self.inner.update_many(query, update)
    }

    /// Like [`motorcade::Collection::delete_one`].
    pub fn delete_one(&self, query: Document) -> Delete<'_> {
        self.inner.delete_one(query)
    }

    /// Like [`motorcade::Collection::delete_many`].
    pub fn delete_many(&self, query: Document) -> Delete<'_> {
        self.inner.delete_many(query)
    }

    /// Like [`motorcade::Collection::create_index`].
    pub fn create_index(&self, index: IndexModel) -> CreateIndex<'_> {
        self.inner.create_index(index)
    }

    /// Like [`motorcade::Collection::create_indexes`].
    pub fn create_indexes(
        &self,
        indexes: impl IntoIterator<Item = IndexModel>,
    ) -> CreateIndex<'_, Multiple> {
        self.inner.create_indexes(indexes)
    }

    /// Like [`motorcade::Collection::drop_index`].
    pub fn drop_index(&self, name: impl AsRef<str>) -> DropIndex<'_> {
        self.inner.drop_index(name)
    }

    /// Like [`motorcade::Collection::drop_index_by_keys`].
    pub fn drop_index_by_keys(&self, keys: Document) -> DropIndex<'_> {
        self.inner.drop_index_by_keys(keys)
    }

    /// Like [`motorcade::Collection::drop_indexes`].
    pub fn drop_indexes(&self) -> DropIndex<'_> {
        self.inner.drop_indexes()
    }

    /// Like [`motorcade::Collection::list_indexes`].
    pub fn list_indexes(&self) -> ListIndexes<'_> {
        self.inner.list_indexes()
    }

    /// Like [`motorcade::Collection::list_index_names`].
    pub fn list_index_names(&self) -> ListIndexes<'_, ListNames> {
        self.inner.list_index_names()
    }

    /// Like [`motorcade::Collection::create_search_index`].
    pub fn create_search_index(&self, model: SearchIndexModel) -> CreateSearchIndex<'_, Single> {
        self.inner.create_search_index(model)
    }

    /// Like [`motorcade::Collection::create_search_indexes`].
    pub fn create_search_indexes(
        &self,
        models: impl IntoIterator<Item = SearchIndexModel>,
    ) -> CreateSearchIndex<'_, Multiple> {
        self.inner.create_search_indexes(models)
    }

    /// Like [`motorcade::Collection::update_search_index`].
    pub fn update_search_index(
        &self,
        name: impl Into<String>,
        definition: Document,
    ) -> UpdateSearchIndex<'_> {
        self.inner.update_search_index(name, definition)
    }

    /// Like [`motorcade::Collection::drop_search_index`].
    pub fn drop_search_index(&self, name: impl Into<String>) -> DropSearchIndex<'_> {
        self.inner.drop_search_index(name)
    }

    /// Like [`motorcade::Collection::list_search_indexes`].
    pub fn list_search_indexes(&self) -> ListSearchIndexes<'_> {
        self.inner.list_search_indexes()
    }

    /// Like [`motorcade::Collection::rename`].
    pub fn rename(&self, to: impl Into<RenameTarget>) -> RenameCollection<'_> {
        self.inner.rename(to)
    }

    /// Like [`motorcade::Collection::drop`].
    pub fn drop(&self) -> DropCollection<'_> {
        self.inner.drop()
    }
}

impl<T: DeserializeOwned + Send + Sync> Collection<T> {
    /// Like [`motorcade::Collection::find_one`].
    pub fn find_one(&self, filter: Document) -> FindOne<'_, T> {
        self.inner.find_one(filter)
    }

    /// Like [`motorcade::Collection::find_one_and_update`].
    pub fn find_one_and_update(
        &self,
        filter: Document,
        update: impl Into<UpdateModifications>,
    ) -> FindOneAndUpdate<'_, T> {
        self.inner.find_one_and_update(filter, update)
    }

    /// Like [`motorcade::Collection::find_one_and_delete`].
    pub fn find_one_and_delete(&self, filter: Document) -> FindOneAndDelete<'_, T> {
        self.inner.find_one_and_delete(filter)
    }
}

impl<T: Serialize + DeserializeOwned + Send + Sync> Collection<T> {
    /// Like [`motorcade::Collection::find_one_and_replace`].
    pub fn find_one_and_replace(
        &self,
        filter: Document,
        replacement: impl Borrow<T>,
    ) -> FindOneAndReplace<'_, T> {
        self.inner.find_one_and_replace(filter, replacement)
    }
}

impl<T: Serialize + Send + Sync> Collection<T> {
    /// Like [`motorcade::Collection::insert_one`].
    pub fn insert_one(&self, doc: impl Borrow<T>) -> InsertOne<'_> {
        self.inner.insert_one(doc)
    }

    /// Like [`motorcade::Collection::insert_many`].
    pub fn insert_many(&self, docs: impl IntoIterator<Item = impl Borrow<T>>) -> InsertMany<'_> {
        self.inner.insert_many(docs)
    }

    /// Like [`motorcade::Collection::insert_one_model`].
    pub fn insert_one_model(&self, document: impl Borrow<T>) -> Result<InsertOneModel> {
        self.inner.insert_one_model(document)
    }

    /// Like [`motorcade::Collection::replace_one_model`].
    pub fn replace_one_model(
        &self,
        filter: Document,
        replacement: impl Borrow<T>,
    ) -> Result<ReplaceOneModel> {
        self.inner.replace_one_model(filter, replacement)
    }

    /// Like [`motorcade::Collection::bulk_write`].
    pub fn bulk_write(
        &self,
        writes: impl IntoIterator<Item = Write<T>>,
    ) -> CollectionBulkWrite<'_> {
        self.inner.bulk_write(writes)
    }

    /// Like [`motorcade::Collection::replace_one`].
    pub fn replace_one(&self, query: Document, replacement: impl Borrow<T>) -> ReplaceOne<'_> {
        self.inner.replace_one(query, replacement)
    }
}
