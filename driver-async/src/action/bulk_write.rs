//! Many writes at once: to one collection, or to any collections of the deployment.

use bson::{Bson, Document};
use serde::Serialize;

use super::{action, option_setters};
use crate::{
    bulk::Write,
    collection::{Collection, CollectionHandle},
    error::Result,
    exec::{self, Executor},
    operation::{self, Progress, Statements},
    options::{CollectionBulkWriteOptions, WriteConcern},
    results::CollectionBulkWriteResult,
};

/// Does many writes in one collection; see [`Collection::bulk_write`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct CollectionBulkWrite<'a> {
    collection: &'a CollectionHandle,
    statements: Result<Statements>,
    options: CollectionBulkWriteOptions,
}

impl<T: Serialize + Send + Sync> Collection<T> {
    /// Does many writes in this collection, with as few commands as the server's limits allow.
    ///
    /// It works with every server. Writes of one kind (inserts; updates and replacements; deletes)
    /// that follow each other share a command; with
    /// [`ordered(false)`](CollectionBulkWrite::ordered), all of one kind do. The writes are
    /// serialised here, once. A command without a write to many documents is retried as single
    /// writes are. See "Bulk Write" in the CRUD specification.
    ///
    /// ```no_run
    /// # async fn example(people: motorcade::Collection<motorcade::bson::Document>)
    /// #     -> motorcade::error::Result<()> {
    /// use motorcade::bson::doc;
    /// use motorcade::bulk::{DeleteMany, InsertOne, UpdateOne};
    ///
    /// let writes = [
    ///     InsertOne::new(doc! { "name": "Ada" }).into(),
    ///     UpdateOne::new(doc! { "name": "Bob" }, doc! { "$inc": { "age": 1 } }).upsert(true).into(),
    ///     DeleteMany::new(doc! { "age": { "$lt": 18 } }).into(),
    /// ];
    /// let done = people.bulk_write(writes).ordered(false).await?;
    /// println!("{} in, {} out", done.inserted_count, done.deleted_count);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// A [collection-bulk-write error](crate::error::CollectionBulkWriteError) that tells which
    /// writes were refused and what was done nevertheless. An invalid-argument error, and nothing
    /// is sent, for no write at all, an update without operators, a replacement with one, and what
    /// is larger than the server takes; a BSON error for what cannot be serialised. Otherwise those
    /// of selection and network.
    pub fn bulk_write(
        &self,
        writes: impl IntoIterator<Item = Write<T>>,
    ) -> CollectionBulkWrite<'_> {
        let mut statements = Statements::default();
        let pushed = writes
            .into_iter()
            .try_for_each(|write| statements.push(write));
        CollectionBulkWrite {
            collection: self.handle(),
            statements: pushed.map(|()| statements),
            options: CollectionBulkWriteOptions::default(),
        }
    }
}

impl CollectionBulkWrite<'_> {
    option_setters! { CollectionBulkWriteOptions {
        ordered: bool,
        bypass_document_validation: bool,
        let_vars: Document,
        write_concern: WriteConcern,
        raw_data: bool,
    } into { comment: Bson, } }
}

action! { impl['a] CollectionBulkWrite<'a> => Result<CollectionBulkWriteResult>, |self| {
    let Self { collection, statements, options } = self;
    let id = exec::next_operation_id();
    let operation = operation::BulkWrite::new(collection.scope(), statements?, options, id)?;
    run(collection.executor(), operation).await
} }

/// Executes the batches one after the other.
pub(super) async fn run(
    executor: &Executor,
    mut operation: operation::BulkWrite<'_>,
) -> Result<CollectionBulkWriteResult> {
    loop {
        let outcome = exec::execute(executor, &mut operation).await;
        if let Progress::Done(result) = operation.take(outcome) {
            return result;
        }
    }
}
