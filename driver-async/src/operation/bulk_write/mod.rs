//! Bulk writes to one collection, as `insert`, `update` and `delete` commands.

mod insert_many;
mod statements;

use std::ops::Range;

use bson::RawDocument;

use self::statements::{PerKind, Run};
use super::{
    Operation, Retryability, Scope, Target, WIRE_4_2, WIRE_4_4,
    write_reply::{WriteReply, check_hint},
};
use crate::{
    error::{CollectionBulkWriteError, Error, ErrorKind, Result},
    options::{CollectionBulkWriteOptions, WriteConcern},
    proto::{
        bulk_split::BatchLimits,
        session::InSession,
        timeout::Timeout,
        wire::{DocumentWriter, Reply, Sequence, Sequences},
    },
    results::CollectionBulkWriteResult,
};

pub(super) use self::statements::{Kind, at};
pub(crate) use self::{insert_many::insert_many_result, statements::Statements};

/// Room in a message for what the executor adds to a command: the session, the cluster time with
/// its signature, the concerns and the header.
const RESERVE: usize = 16 * 1024;

/// Whether an operation of several commands is done.
#[derive(Debug)]
pub(crate) enum Progress<T> {
    /// The operation must be executed again, for the next batch.
    More,
    /// This is the operation's result.
    Done(Result<T>),
}

/// Writes to one collection, a batch with each command.
///
/// The caller executes it and hands each outcome to [`BulkWrite::take`], until that says that the
/// operation is done. Every batch is an operation of its own to the server, retried by itself.
#[derive(Debug)]
pub(crate) struct BulkWrite<'a> {
    scope: Scope<'a>,
    statements: Statements,
    options: CollectionBulkWriteOptions,
    operation_id: i64,
    /// How many statements of each kind earlier batches held.
    sent: PerKind<usize>,
    /// The statements that the next command may carry.
    run: Run,
    /// Those that it does carry, once it was written. Every attempt carries the same.
    batch: Option<Range<usize>>,
    /// What all batches have done, and what the server refused.
    total: CollectionBulkWriteError,
    /// The first refusal, which gives the error its labels and the server's reply.
    first_error: Option<Error>,
}

impl<'a> BulkWrite<'a> {
    /// `operation_id` is told to those who listen to the commands, since they are one operation.
    ///
    /// # Errors
    /// An invalid-argument error when there is no statement.
    pub(crate) fn new(
        scope: Scope<'a>,
        statements: Statements,
        options: CollectionBulkWriteOptions,
        operation_id: i64,
    ) -> Result<Self> {
        let sent = PerKind::default();
        let run = statements.next_run(&sent, is_ordered(&options));
        let run = run.ok_or_else(|| {
            Error::invalid_argument("a bulk write was given nothing to write; give one or more")
        })?;
        Ok(Self {
            scope,
            statements,
            options,
            operation_id,
            sent,
            run,
            batch: None,
            total: CollectionBulkWriteError::default(),
            first_error: None,
        })
    }

    fn is_ordered(&self) -> bool {
        is_ordered(&self.options)
    }

    /// The statements of the command written last.
    fn sent_run(&self) -> Run {
        let statements = self.batch.as_ref().unwrap_or(&self.run.statements);
        Run {
            kind: self.run.kind,
            statements: statements.clone(),
        }
    }

    /// Takes the outcome of the batch that was executed last.
    pub(crate) fn take(
        &mut self,
        outcome: Result<CollectionBulkWriteResult>,
    ) -> Progress<CollectionBulkWriteResult> {
        match outcome {
            Ok(batch) => self.total.partial_result.add(batch),
            Err(mut error) => match &mut *error.kind {
                ErrorKind::CollectionBulkWrite(batch) => {
                    let batch = std::mem::take(batch);
                    let stops = self.is_ordered() && !batch.write_errors.is_empty();
                    self.add_refusals(batch);
                    self.first_error.get_or_insert(error);
                    if stops {
                        return Progress::Done(Err(self.failure()));
                    }
                }
                _ => return Progress::Done(Err(self.interrupted(error))),
            },
        }
        *self.sent.of_mut(self.run.kind) = self.sent_run().statements.end;
        self.batch = None;
        if let Some(next) = self.statements.next_run(&self.sent, self.is_ordered()) {
            self.run = next;
            return Progress::More;
        }
        if self.first_error.is_some() {
            return Progress::Done(Err(self.failure()));
        }
        Progress::Done(Ok(std::mem::take(&mut self.total.partial_result)))
    }

    fn add_refusals(&mut self, batch: CollectionBulkWriteError) {
        let total = &mut self.total;
        total.partial_result.add(batch.partial_result);
        total.write_errors.extend(batch.write_errors);
        total
            .write_concern_errors
            .extend(batch.write_concern_errors);
    }

    /// All that was refused, as one error.
    fn failure(&mut self) -> Error {
        let kind = ErrorKind::CollectionBulkWrite(std::mem::take(&mut self.total));
        match self.first_error.take() {
            Some(mut error) => {
                *error.kind = kind;
                error
            }
            None => kind.into(),
        }
    }

    /// The error of a batch that could not be executed. It is given as it is, unless earlier
    /// batches did something that the caller must know of, or the network failed when the command
    /// was out: then it is unknown what the batch did, and told what is known to be done.
    fn interrupted(&mut self, error: Error) -> Error {
        let is_open = error.is_network() && self.batch.is_some();
        if self.first_error.is_none() && self.total.partial_result.is_empty() && !is_open {
            return error;
        }
        self.failure().ending_with(error)
    }
}

impl Operation for BulkWrite<'_> {
    type Output = CollectionBulkWriteResult;

    fn name(&self) -> &str {
        self.run.kind.command()
    }

    fn database(&self) -> &str {
        self.scope.database
    }

    fn timeout(&self) -> Timeout {
        self.scope.timeout
    }

    fn in_session(&self) -> InSession {
        InSession::Consistent
    }

    fn operation_id(&self) -> Option<i64> {
        Some(self.operation_id)
    }

    fn retryability(&self) -> Retryability {
        if self.statements.has_many(&self.run) {
            Retryability::None
        } else {
            Retryability::Write
        }
    }

    fn write_concern(&self) -> Option<&WriteConcern> {
        let own = self.options.write_concern.as_ref();
        own.or(self.scope.write_concern)
    }

    fn write(&mut self, command: &mut DocumentWriter<'_>, target: &Target<'_>) -> Result<()> {
        self.statements.check_sizes(target)?;
        for (kind, since) in [(Kind::Update, WIRE_4_2), (Kind::Delete, WIRE_4_4)] {
            if self.statements.has_hint(kind) {
                check_hint(self.write_concern(), target, since)?;
            }
        }
        let (kind, options) = (self.run.kind, &self.options);
        command.append_str(kind.command(), self.scope.collection)?;
        command.append_bool("ordered", self.is_ordered())?;
        if kind != Kind::Delete {
            let bypass = options.bypass_document_validation;
            command.optional_bool("bypassDocumentValidation", bypass)?;
        }
        if kind != Kind::Insert {
            command.optional_document("let", options.let_vars.as_ref())?;
        }
        command.optional_bson("comment", options.comment.as_ref())?;
        command.raw_data(options.raw_data, target)?;
        if self.batch.is_none() {
            let used = command.written() + RESERVE;
            let limits = BatchLimits {
                documents: target.max_write_batch_size,
                bytes: target.max_message_size.saturating_sub(used),
            };
            let candidates = &self.run.statements;
            self.batch = Some(self.statements.documents(kind).batch(candidates, limits));
        }
        Ok(())
    }

    fn sequences(&self) -> Sequences<'_> {
        let run = self.sent_run();
        let sequence = Sequence {
            identifier: run.kind.statements(),
            documents: self.statements.documents(run.kind).bytes(&run.statements),
        };
        [sequence].into()
    }

    fn reply(&mut self, reply: &Reply, _target: &Target<'_>) -> Result<CollectionBulkWriteResult> {
        let raw = reply.document();
        let parsed = WriteReply::parse(raw)?;
        let run = self.sent_run();
        let result = self.done(&run, &parsed);
        if parsed.write_errors.is_empty() && parsed.write_concern_error.is_none() {
            return Ok(result);
        }
        Err(self.refusal(&run, raw, parsed, result))
    }

    fn unacknowledged(&mut self) -> Result<CollectionBulkWriteResult> {
        let run = self.sent_run();
        let mut result = CollectionBulkWriteResult::default();
        let places = self.statements.places(&run).iter().copied();
        result.inserted_ids = places
            .zip(self.statements.ids(&run).iter().cloned())
            .collect();
        Ok(result)
    }
}

impl BulkWrite<'_> {
    /// What a batch has done.
    fn done(&self, run: &Run, reply: &WriteReply) -> CollectionBulkWriteResult {
        let mut result = CollectionBulkWriteResult {
            acknowledged: true,
            ..CollectionBulkWriteResult::default()
        };
        let places = self.statements.places(run);
        match run.kind {
            Kind::Insert => {
                result.inserted_count = reply.n;
                let mut refused: Vec<_> = reply.write_errors.iter().map(|e| e.index).collect();
                refused.sort_unstable();
                let all = match refused.first() {
                    Some(first) if self.is_ordered() => *first,
                    _ => places.len(),
                };
                let ids = places.iter().zip(self.statements.ids(run)).take(all);
                let inserted = ids
                    .enumerate()
                    .filter(|(statement, _)| refused.binary_search(statement).is_err());
                let inserted = inserted.map(|(_, (place, id))| (*place, id.clone()));
                result.inserted_ids = inserted.collect();
            }
            Kind::Update => {
                let upserted = reply.upserted.iter();
                let ids = upserted
                    .filter_map(|(statement, id)| Some((*places.get(*statement)?, id.clone())));
                result.upserted_ids = ids.collect();
                // The server counts an upserted document as one that matched.
                result.upserted_count = u64::try_from(reply.upserted.len()).unwrap_or(u64::MAX);
                result.matched_count = reply.n.saturating_sub(result.upserted_count);
                result.modified_count = reply.modified;
            }
            Kind::Delete => result.deleted_count = reply.n,
        }
        result
    }

    /// The error of one batch, its indexes counted among all writes.
    fn refusal(
        &self,
        run: &Run,
        reply: &RawDocument,
        parsed: WriteReply,
        partial_result: CollectionBulkWriteResult,
    ) -> Error {
        let places = self.statements.places(run);
        let refused = parsed.write_errors.into_iter().map(|error| {
            // A place that the command does not have is the server's fault, and still an error.
            let place = places.get(error.index).or(places.last());
            (place.copied().unwrap_or_default(), error.into())
        });
        let error = ErrorKind::CollectionBulkWrite(CollectionBulkWriteError {
            write_errors: refused.collect(),
            write_concern_errors: parsed.write_concern_error.into_iter().collect(),
            partial_result,
        });
        Error::from(error)
            .with_labels_of(reply)
            .with_server_response(reply)
    }
}

fn is_ordered(options: &CollectionBulkWriteOptions) -> bool {
    options.ordered.unwrap_or(true)
}

#[cfg(test)]
mod tests;
