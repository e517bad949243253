//! Inserting documents.

use std::{borrow::Borrow, time::Duration};

use bson::Bson;
use serde::Serialize;

use super::{
    action, bulk_write, option_setters,
    sessions::{handle, session_setter, within},
};
use crate::{
    clock,
    collection::{Collection, CollectionHandle},
    error::Result,
    exec,
    operation::{self, BulkWrite, Statements, insert_many_result},
    options::{InsertManyOptions, InsertOneOptions, WriteConcern},
    proto::bulk_split::Payload,
    results::{InsertManyResult, InsertOneResult},
    session::ClientSession,
};

/// Inserts a document; see [`Collection::insert_one`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct InsertOne<'a> {
    collection: &'a CollectionHandle,
    document: Result<Payload>,
    options: InsertOneOptions,
    session: Option<&'a mut ClientSession>,
}

/// Inserts many documents; see [`Collection::insert_many`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct InsertMany<'a> {
    collection: &'a CollectionHandle,
    documents: Result<Statements>,
    options: InsertManyOptions,
    session: Option<&'a mut ClientSession>,
}

impl<T: Serialize + Send + Sync> Collection<T> {
    /// Inserts a document.
    ///
    /// A document without an `_id` gets an object id as its first field; the result names it. The
    /// document is serialised here, once. See "insert" among the database commands of the
    /// server's manual.
    ///
    /// # Errors
    /// A BSON error for a value that is no document, an invalid-argument error for one larger than
    /// the server takes (16 MiB), the server's write errors (such as one for a
    /// [duplicate key](crate::error::Error::is_duplicate_key)), those of selection and network.
    pub fn insert_one(&self, doc: impl Borrow<T>) -> InsertOne<'_> {
        let mut payload = Payload::default();
        InsertOne {
            collection: self.handle(),
            document: payload.push(doc.borrow()).map(|()| payload),
            options: InsertOneOptions::default(),
            session: None,
        }
    }

    /// Inserts many documents, with as few commands as the server's limits allow.
    ///
    /// With [`InsertMany::ordered`], the default, the first refused document ends the operation;
    /// otherwise the remaining ones are tried too. Documents without an `_id` get one, as with
    /// [`Collection::insert_one`].
    ///
    /// # Errors
    /// An insert-many error that tells which documents were refused and which are in, an
    /// invalid-argument error for no document at all; otherwise as [`Collection::insert_one`].
    pub fn insert_many(&self, docs: impl IntoIterator<Item = impl Borrow<T>>) -> InsertMany<'_> {
        let mut statements = Statements::default();
        let pushed = docs
            .into_iter()
            .try_for_each(|doc| statements.push_insert(doc.borrow()));
        InsertMany {
            collection: self.handle(),
            documents: pushed.map(|()| statements),
            options: InsertManyOptions::default(),
            session: None,
        }
    }
}

impl<'a> InsertOne<'a> {
    session_setter! {}

    option_setters! { InsertOneOptions {
        timeout: Duration,
        bypass_document_validation: bool,
        write_concern: WriteConcern,
        raw_data: bool,
    } into { comment: Bson, } }
}

impl<'a> InsertMany<'a> {
    session_setter! {}

    option_setters! { InsertManyOptions {
        timeout: Duration,
        bypass_document_validation: bool,
        ordered: bool,
        write_concern: WriteConcern,
        raw_data: bool,
    } into { comment: Bson, } }
}

action! { impl['a] InsertOne<'a> => Result<InsertOneResult>, |self| {
    let Self { collection, document, options, session } = self;
    let scope = within(&session, collection.scope());
    let mut operation = operation::InsertOne::new(scope, document?, options);
    exec::execute_in(collection.executor(), handle(&session), &mut operation).await
} }

action! { impl['a] InsertMany<'a> => Result<InsertManyResult>, |self| {
    let Self { collection, documents, options, session } = self;
    let scope = within(&session, collection.scope()).started(options.timeout, clock::now);
    let id = exec::next_operation_id();
    let operation = BulkWrite::insert_many(scope, documents?, options, id)?;
    let result = bulk_write::run(collection.executor(), &session, operation).await;
    insert_many_result(result).map_err(|error| scope.timeout.told(error))
} }
