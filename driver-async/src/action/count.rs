//! Counting documents.

use std::time::Duration;

use bson::{Bson, Document};

use super::{
    action, explainable, option_setters,
    sessions::{handle, session_setter, within},
};
use crate::{
    collection::{Collection, CollectionHandle},
    error::Result,
    exec, operation,
    options::{
        Collation, CountOptions, EstimatedDocumentCountOptions, Hint, ReadConcern,
        SelectionCriteria,
    },
    session::ClientSession,
};

/// Counts documents; see [`Collection::count_documents`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct CountDocuments<'a> {
    collection: &'a CollectionHandle,
    filter: Document,
    options: CountOptions,
    session: Option<&'a mut ClientSession>,
}

/// Counts documents by the `count` command; see [`Collection::count`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct Count<'a> {
    collection: &'a CollectionHandle,
    filter: Document,
    options: CountOptions,
    session: Option<&'a mut ClientSession>,
}

/// Estimates the number of documents; see [`Collection::estimated_document_count`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct EstimatedDocumentCount<'a> {
    collection: &'a CollectionHandle,
    options: EstimatedDocumentCountOptions,
    session: Option<&'a mut ClientSession>,
}

impl<T: Send + Sync> Collection<T> {
    /// Counts the documents that match a filter, exactly, by an aggregation.
    ///
    /// As the filter becomes a `$match` stage, it cannot hold what such a stage cannot: use
    /// `$expr` for `$where`, and `$geoWithin` with `$center` or `$centerSphere` for `$near` and
    /// `$nearSphere`. See "$match: restrictions" in the server's manual. Every document that
    /// matches is looked at, all of them for an empty filter;
    /// [`Collection::estimated_document_count`] is quicker then.
    ///
    /// # Errors
    /// The server's, for a filter that it refuses; those of selection and network.
    pub fn count_documents(&self, filter: Document) -> CountDocuments<'_> {
        CountDocuments {
            collection: self.handle(),
            filter,
            options: CountOptions::default(),
            session: None,
        }
    }

    /// Counts the documents that match a filter by the `count` command.
    ///
    /// Unlike [`Collection::count_documents`] it takes any filter, but on a sharded cluster it
    /// counts documents twice while they move between shards, and orphans too. See "count:
    /// behavior" in the server's manual.
    ///
    /// # Errors
    /// As [`Collection::count_documents`].
    pub fn count(&self, filter: Document) -> Count<'_> {
        Count {
            collection: self.handle(),
            filter,
            options: CountOptions::default(),
            session: None,
        }
    }

    /// The number of documents by the collection's own count, which is quick but may be wrong
    /// after an unclean shutdown and on sharded clusters.
    ///
    /// This is the `count` command without a query; see "count: behavior" in the server's manual.
    /// Servers 5.0.0 to 5.0.8 and 5.1.0 to 5.3.1 left the command out of the Stable API: with
    /// `strict` set, use a later version.
    ///
    /// # Errors
    /// The server's, those of selection and network.
    pub fn estimated_document_count(&self) -> EstimatedDocumentCount<'_> {
        EstimatedDocumentCount {
            collection: self.handle(),
            options: EstimatedDocumentCountOptions::default(),
            session: None,
        }
    }
}

impl<'a> CountDocuments<'a> {
    session_setter! {}

    option_setters! { CountOptions {
        timeout: Duration,
        hint: Hint,
        limit: u64,
        max_time: Duration,
        skip: u64,
        collation: Collation,
        selection_criteria: SelectionCriteria,
        read_concern: ReadConcern,
        raw_data: bool,
    } into { comment: Bson, } }

    fn operation(self) -> operation::CountDocuments<'a> {
        let scope = within(&self.session, self.collection.scope());
        operation::CountDocuments::new(scope, self.filter, self.options)
    }
}

impl<'a> Count<'a> {
    session_setter! {}

    option_setters! { CountOptions {
        timeout: Duration,
        hint: Hint,
        limit: u64,
        max_time: Duration,
        skip: u64,
        collation: Collation,
        selection_criteria: SelectionCriteria,
        read_concern: ReadConcern,
        raw_data: bool,
    } into { comment: Bson, } }

    fn operation(self) -> operation::Count<'a> {
        let scope = within(&self.session, self.collection.scope());
        operation::Count::new(scope, self.filter, self.options)
    }
}

impl<'a> EstimatedDocumentCount<'a> {
    session_setter! {}

    option_setters! { EstimatedDocumentCountOptions {
        timeout: Duration,
        max_time: Duration,
        selection_criteria: SelectionCriteria,
        read_concern: ReadConcern,
        raw_data: bool,
    } into { comment: Bson, } }

    fn operation(self) -> operation::EstimatedDocumentCount<'a> {
        let scope = within(&self.session, self.collection.scope());
        operation::EstimatedDocumentCount::new(scope, self.options)
    }
}

explainable! { impl['a] CountDocuments<'a>, |self| self.collection.executor(), Ok(self.operation()) }
explainable! { impl['a] Count<'a>, |self| self.collection.executor(), Ok(self.operation()) }
explainable! {
    impl['a] EstimatedDocumentCount<'a>, |self| self.collection.executor(), Ok(self.operation())
}

action! { impl['a] CountDocuments<'a> => Result<u64>, |self| {
    let executor = self.collection.executor();
    let session = handle(&self.session);
    exec::execute_in(executor, session, &mut self.operation()).await
} }

action! { impl['a] Count<'a> => Result<u64>, |self| {
    let executor = self.collection.executor();
    let session = handle(&self.session);
    exec::execute_in(executor, session, &mut self.operation()).await
} }

action! { impl['a] EstimatedDocumentCount<'a> => Result<u64>, |self| {
    let executor = self.collection.executor();
    let session = handle(&self.session);
    exec::execute_in(executor, session, &mut self.operation()).await
} }
