//! Deleting documents.

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
    options::{Collation, DeleteOptions, Hint, WriteConcern},
    results::DeleteResult,
    session::ClientSession,
};

/// Deletes documents; see [`Collection::delete_one`] and [`Collection::delete_many`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct Delete<'a> {
    collection: &'a CollectionHandle,
    query: Document,
    multi: bool,
    options: DeleteOptions,
    session: Option<&'a mut ClientSession>,
}

impl<T: Send + Sync> Collection<T> {
    /// Deletes the first document that matches a query.
    ///
    /// See "delete" among the database commands of the server's manual.
    ///
    /// # Errors
    /// The server's write errors, those of selection and network.
    pub fn delete_one(&self, query: Document) -> Delete<'_> {
        self.delete(query, false)
    }

    /// Deletes every document that matches a query.
    ///
    /// # Errors
    /// As [`Collection::delete_one`].
    pub fn delete_many(&self, query: Document) -> Delete<'_> {
        self.delete(query, true)
    }

    fn delete(&self, query: Document, multi: bool) -> Delete<'_> {
        Delete {
            collection: self.handle(),
            query,
            multi,
            options: DeleteOptions::default(),
            session: None,
        }
    }
}

impl<'a> Delete<'a> {
    session_setter! {}

    option_setters! { DeleteOptions {
        timeout: Duration,
        collation: Collation,
        write_concern: WriteConcern,
        hint: Hint,
        let_vars: Document,
        raw_data: bool,
    } into { comment: Bson, } }

    fn operation(self) -> operation::Delete<'a> {
        let scope = within(&self.session, self.collection.scope());
        if self.multi {
            operation::Delete::many(scope, self.query, self.options)
        } else {
            operation::Delete::one(scope, self.query, self.options)
        }
    }
}

explainable! { impl['a] Delete<'a>, |self| self.collection.executor(), Ok(self.operation()) }

action! { impl['a] Delete<'a> => Result<DeleteResult>, |self| {
    let executor = self.collection.executor();
    let session = handle(&self.session);
    exec::execute_in(executor, session, &mut self.operation()).await
} }
