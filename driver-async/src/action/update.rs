//! Updating and replacing documents.

use std::{borrow::Borrow, time::Duration};

use bson::{Bson, Document, RawDocumentBuf};
use serde::Serialize;

use super::{
    action, explainable, option_setters,
    sessions::{handle, session_setter, within},
};
use crate::{
    collection::{Collection, CollectionHandle},
    error::{Error, Result},
    exec,
    operation::{self, Modification},
    options::{Collation, Hint, ReplaceOptions, UpdateModifications, UpdateOptions, WriteConcern},
    results::UpdateResult,
    session::ClientSession,
};

/// Updates documents; see [`Collection::update_one`] and [`Collection::update_many`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct Update<'a> {
    collection: &'a CollectionHandle,
    query: Document,
    modification: Modification,
    options: UpdateOptions,
    session: Option<&'a mut ClientSession>,
}

/// Replaces a document; see [`Collection::replace_one`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct ReplaceOne<'a> {
    collection: &'a CollectionHandle,
    query: Document,
    replacement: Result<RawDocumentBuf>,
    options: ReplaceOptions,
    session: Option<&'a mut ClientSession>,
}

impl<T: Send + Sync> Collection<T> {
    /// Updates the first document that matches a query.
    ///
    /// The update is a document of update operators, or a pipeline. See "update" among the
    /// database commands of the server's manual.
    ///
    /// # Errors
    /// An invalid-argument error for an update without operators (use
    /// [`Collection::replace_one`]), the server's write errors, those of selection and network.
    pub fn update_one(
        &self,
        query: Document,
        update: impl Into<UpdateModifications>,
    ) -> Update<'_> {
        Update::new(self.handle(), query, Modification::One(update.into()))
    }

    /// Updates every document that matches a query; otherwise like [`Collection::update_one`].
    ///
    /// # Errors
    /// As [`Collection::update_one`].
    pub fn update_many(
        &self,
        query: Document,
        update: impl Into<UpdateModifications>,
    ) -> Update<'_> {
        Update::new(self.handle(), query, Modification::Many(update.into()))
    }
}

impl<T: Serialize + Send + Sync> Collection<T> {
    /// Replaces the first document that matches a query, all but its `_id`.
    ///
    /// # Errors
    /// An invalid-argument error for a replacement that begins with an operator or is larger than
    /// the server takes (16 MiB), a BSON error for one that is no document, the server's write
    /// errors, those of selection and network.
    pub fn replace_one(&self, query: Document, replacement: impl Borrow<T>) -> ReplaceOne<'_> {
        let replacement = bson::serialize_to_raw_document_buf(replacement.borrow());
        ReplaceOne {
            collection: self.handle(),
            query,
            replacement: replacement.map_err(Error::from),
            options: ReplaceOptions::default(),
            session: None,
        }
    }
}

impl<'a> Update<'a> {
    fn new(collection: &'a CollectionHandle, query: Document, modification: Modification) -> Self {
        Self {
            collection,
            query,
            modification,
            options: UpdateOptions::default(),
            session: None,
        }
    }

    session_setter! {}

    option_setters! { UpdateOptions {
        timeout: Duration,
        bypass_document_validation: bool,
        upsert: bool,
        collation: Collation,
        hint: Hint,
        write_concern: WriteConcern,
        let_vars: Document,
        sort: Document,
        raw_data: bool,
    } into { comment: Bson, } each { array_filters: Document, } }

    fn operation(self) -> Result<operation::Update<'a>> {
        let scope = within(&self.session, self.collection.scope());
        operation::Update::new(scope, self.query, self.modification, self.options)
    }
}

impl<'a> ReplaceOne<'a> {
    session_setter! {}

    option_setters! { ReplaceOptions {
        timeout: Duration,
        bypass_document_validation: bool,
        upsert: bool,
        collation: Collation,
        hint: Hint,
        write_concern: WriteConcern,
        let_vars: Document,
        sort: Document,
        raw_data: bool,
    } into { comment: Bson, } }

    fn operation(self) -> Result<operation::Update<'a>> {
        let replacement = Modification::Replacement(self.replacement?);
        let scope = within(&self.session, self.collection.scope());
        operation::Update::new(scope, self.query, replacement, self.options.into())
    }
}

explainable! { impl['a] Update<'a>, |self| self.collection.executor(), self.operation() }
explainable! { impl['a] ReplaceOne<'a>, |self| self.collection.executor(), self.operation() }

action! { impl['a] Update<'a> => Result<UpdateResult>, |self| {
    let executor = self.collection.executor();
    let session = handle(&self.session);
    exec::execute_in(executor, session, &mut self.operation()?).await
} }

action! { impl['a] ReplaceOne<'a> => Result<UpdateResult>, |self| {
    let executor = self.collection.executor();
    let session = handle(&self.session);
    exec::execute_in(executor, session, &mut self.operation()?).await
} }
