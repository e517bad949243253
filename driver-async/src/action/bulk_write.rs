//! Many writes at once: to one collection, or to any collections of the deployment.

use std::{borrow::Borrow, marker::PhantomData, time::Duration};

use bson::{Bson, Document, RawDocumentBuf};
use serde::Serialize;

use super::{
    action, option_setters,
    sessions::{handle, session_setter, within},
};
use crate::{
    bulk::Write,
    client::Client,
    clock,
    collection::{Collection, CollectionHandle},
    cursor::Cursor,
    error::Result,
    exec::{self, Executor},
    operation::{self, ClientBulkWrite, Detail, Ops, Progress, Statements},
    options::{
        BulkWriteOptions, CollectionBulkWriteOptions, InsertOneModel, ModelDocument,
        ReplaceOneModel, WriteConcern, WriteModel,
    },
    results::{CollectionBulkWriteResult, SummaryBulkWriteResult, VerboseBulkWriteResult},
    session::ClientSession,
};

/// Does many writes in any collections; see [`Client::bulk_write`].
///
/// `R` is what it gives: the counts, or with [`BulkWrite::verbose_results`] what each write did.
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct BulkWrite<'a, R> {
    client: &'a Client,
    ops: Result<Ops>,
    options: BulkWriteOptions,
    result: PhantomData<fn() -> R>,
    session: Option<&'a mut ClientSession>,
}

/// Does many writes in one collection; see [`Collection::bulk_write`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct CollectionBulkWrite<'a> {
    collection: &'a CollectionHandle,
    statements: Result<Statements>,
    options: CollectionBulkWriteOptions,
    session: Option<&'a mut ClientSession>,
}

impl Client {
    /// Does many writes in any collections of the deployment, with as few commands as the server's
    /// limits allow. Needs MongoDB 8.0; [`Collection::bulk_write`] works with every server.
    ///
    /// Each model names its collection. The writes are serialised here, once, and may be of any
    /// number: they are split into commands as the server's limits demand. A command without a
    /// write to many documents is retried as single writes are. Without acknowledgement
    /// (`w: 0`), the writes cannot be ordered. Follows the specification "Bulk Write".
    ///
    /// ```no_run
    /// # async fn example(client: motorcade::Client) -> motorcade::error::Result<()> {
    /// use motorcade::bson::doc;
    /// use motorcade::options::{DeleteManyModel, InsertOneModel, WriteModel};
    ///
    /// let models: [WriteModel; 2] = [
    ///     InsertOneModel::builder()
    ///         .namespace("town.people".parse::<motorcade::Namespace>()?)
    ///         .document(doc! { "name": "Ada" })
    ///         .build()
    ///         .into(),
    ///     DeleteManyModel::builder()
    ///         .namespace("town.guests".parse::<motorcade::Namespace>()?)
    ///         .filter(doc! { "left": true })
    ///         .build()
    ///         .into(),
    /// ];
    /// let done = client.bulk_write(models).ordered(false).verbose_results().await?;
    /// println!("{:?}", done.insert_results[&0].inserted_id);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// A [bulk-write error](crate::error::BulkWriteError) that tells which writes were refused and
    /// what was done nevertheless. An invalid-argument error, and nothing is sent, for no model at
    /// all, an update without operators, a replacement with one, and options that `w: 0` rules
    /// out; a BSON error for what cannot be serialised; an incompatible-server error for a server
    /// before 8.0. Otherwise those of selection and network.
    pub fn bulk_write(
        &self,
        models: impl IntoIterator<Item = impl Into<WriteModel>>,
    ) -> BulkWrite<'_, SummaryBulkWriteResult> {
        let mut ops = Ops::default();
        let pushed = models
            .into_iter()
            .try_for_each(|model| ops.push(model.into()));
        BulkWrite {
            client: self,
            ops: pushed.map(|()| ops),
            options: BulkWriteOptions::default(),
            session: None,
            result: PhantomData,
        }
    }
}

impl<'a> BulkWrite<'a, SummaryBulkWriteResult> {
    /// Asks for what each write did. The server then keeps and sends a result for every write.
    pub fn verbose_results(self) -> BulkWrite<'a, VerboseBulkWriteResult> {
        BulkWrite {
            client: self.client,
            ops: self.ops,
            options: self.options,
            session: self.session,
            result: PhantomData,
        }
    }
}

impl<'a, R> BulkWrite<'a, R> {
    session_setter! {}

    option_setters! { BulkWriteOptions {
        timeout: Duration,
        ordered: bool,
        bypass_document_validation: bool,
        let_vars: Document,
        write_concern: WriteConcern,
        raw_data: bool,
    } into { comment: Bson, } }

    async fn run(self, detail: Detail) -> Result<VerboseBulkWriteResult> {
        let executor = self.client.executor();
        let session = self.session;
        let scope = within(&session, self.client.concerns().scope("", ""));
        let scope = scope.started(self.options.timeout, clock::now);
        let id = exec::next_operation_id();
        let mut operation = ClientBulkWrite::new(self.ops?, self.options, detail, scope, id)?;
        let batches = async {
            loop {
                if let Err(error) = run_batch(executor, &session, &mut operation).await {
                    break Err(operation.interrupted(error));
                }
                if let Progress::Done(result) = operation.finish() {
                    break result;
                }
            }
        };
        let result = executor.in_action(batches).await.flatten();
        result.map_err(|error| scope.timeout.told(error))
    }
}

/// Executes one command and reads all its results. A cursor that is not read to its end is closed
/// in the background.
async fn run_batch(
    executor: &Executor,
    session: &Option<&mut ClientSession>,
    operation: &mut ClientBulkWrite<'_>,
) -> Result<()> {
    let (reply, mut origin) = exec::execute_cursor(executor, handle(session), operation).await?;
    let Some((results, address)) = operation.begin(reply) else {
        return Ok(());
    };
    origin.address = address;
    let mut results = Cursor::<RawDocumentBuf>::new(executor.clone(), results, origin);
    while !operation.has_ended() && results.advance().await? {
        operation.take(results.current())?;
    }
    Ok(())
}

action! { impl['a] BulkWrite<'a, SummaryBulkWriteResult> => Result<SummaryBulkWriteResult>, |self| {
    Ok(self.run(Detail::Summary).await?.summary)
} }

action! { impl['a] BulkWrite<'a, VerboseBulkWriteResult> => Result<VerboseBulkWriteResult>, |self| {
    self.run(Detail::Verbose).await
} }

impl<T: Serialize + Send + Sync> Collection<T> {
    /// Inserts a document into this collection, as a model for [`Client::bulk_write`].
    ///
    /// # Errors
    /// A BSON error for a value that is no document.
    pub fn insert_one_model(&self, document: impl Borrow<T>) -> Result<InsertOneModel> {
        Ok(InsertOneModel {
            namespace: self.namespace(),
            document: ModelDocument::serialise(document.borrow())?,
        })
    }

    /// Replaces a document of this collection, as a model for [`Client::bulk_write`].
    ///
    /// # Errors
    /// A BSON error for a value that is no document.
    pub fn replace_one_model(
        &self,
        filter: Document,
        replacement: impl Borrow<T>,
    ) -> Result<ReplaceOneModel> {
        let replacement = ModelDocument::serialise(replacement.borrow())?;
        let model = ReplaceOneModel::builder()
            .namespace(self.namespace())
            .filter(filter);
        Ok(model.replacement(replacement).build())
    }

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
    /// writes were refused and what was done nevertheless, also when the network failed in between.
    /// An invalid-argument error, and nothing is sent, for no write at all, an update without
    /// operators, a replacement with one, and what is larger than the server takes; a BSON error
    /// for what cannot be serialised. Otherwise those of selection and network, and the server's
    /// for a command that was refused as a whole before anything was done.
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
            session: None,
        }
    }
}

impl<'a> CollectionBulkWrite<'a> {
    session_setter! {}

    option_setters! { CollectionBulkWriteOptions {
        timeout: Duration,
        ordered: bool,
        bypass_document_validation: bool,
        let_vars: Document,
        write_concern: WriteConcern,
        raw_data: bool,
    } into { comment: Bson, } }
}

action! { impl['a] CollectionBulkWrite<'a> => Result<CollectionBulkWriteResult>, |self| {
    let Self { collection, statements, options, session } = self;
    let scope = within(&session, collection.scope()).started(options.timeout, clock::now);
    let id = exec::next_operation_id();
    let operation = operation::BulkWrite::new(scope, statements?, options, id)?;
    let result = run(collection.executor(), &session, operation).await;
    result.map_err(|error| scope.timeout.told(error))
} }

/// Executes the batches one after the other.
pub(super) async fn run(
    executor: &Executor,
    session: &Option<&mut ClientSession>,
    mut operation: operation::BulkWrite<'_>,
) -> Result<CollectionBulkWriteResult> {
    let batches = async {
        loop {
            let outcome = exec::execute_in(executor, handle(session), &mut operation).await;
            if let Progress::Done(result) = operation.take(outcome) {
                break result;
            }
        }
    };
    executor.in_action(batches).await.flatten()
}
