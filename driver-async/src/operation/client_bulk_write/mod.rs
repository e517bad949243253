//! `bulkWrite`: writes to any collections of the deployment.

mod ops;
mod reply;

use bson::RawDocument;

use self::{
    ops::Batch,
    reply::{Done, WriteResult},
};
use super::{Operation, Retryability, Scope, Target, WIRE_8_0, bulk_write::Kind};
use crate::{
    address::ServerAddress,
    error::{BulkWriteError, Error, ErrorKind, PartialBulkWriteResult, Result},
    operation::bulk_write::Progress,
    options::{BulkWriteOptions, WriteConcern},
    proto::{
        bulk_split::BatchLimits,
        cursor::{CursorSettings, CursorState},
        session::InSession,
        timeout::Timeout,
        wire::{DocumentWriter, Reply, Sequence, Sequences},
    },
    results::{DeleteResult, InsertOneResult, UpdateResult, VerboseBulkWriteResult},
};

pub(crate) use self::{ops::Ops, reply::BulkWriteReply};

/// Room in a message for what does not belong to `bulkWrite`, as the specification sets it.
const MESSAGE_OVERHEAD: usize = 1000;

/// What the caller wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// The counts.
    Summary,
    /// The counts, and what each write did.
    Verbose,
}

/// Writes to any collections, a batch with each command.
///
/// The caller executes it, hands the reply to [`ClientBulkWrite::begin`], each document of the
/// reply's cursor to [`ClientBulkWrite::take`], and goes on as [`ClientBulkWrite::finish`] says.
/// An error at any of these steps ends the operation with [`ClientBulkWrite::interrupted`].
#[derive(Debug)]
pub(crate) struct ClientBulkWrite<'a> {
    ops: Ops,
    options: BulkWriteOptions,
    detail: Detail,
    /// The client's write concern.
    inherited: Option<&'a WriteConcern>,
    timeout: Timeout,
    operation_id: i64,
    /// How many writes earlier commands held.
    sent: usize,
    /// What the command carries, once it was written. Every attempt carries the same.
    batch: Option<Batch>,
    /// The reply whose write concern was not met, until it is known whether the command is tried
    /// again.
    unmet: Option<BulkWriteReply>,
    result: VerboseBulkWriteResult,
    /// Whether any write is known to have succeeded.
    has_succeeded: bool,
    /// The refusals and the write concern errors; its result is filled in at the end.
    total: BulkWriteError,
    /// The first write concern error, which gives the error its labels and the server's reply.
    first_error: Option<Error>,
    /// The server that replied last.
    address: Option<ServerAddress>,
}

impl<'a> ClientBulkWrite<'a> {
    /// `operation_id` is told to those who listen to the commands, since they are one operation.
    ///
    /// # Errors
    /// An invalid-argument error when there is no write, and when results are asked for that a
    /// write concern of 0 rules out.
    pub(crate) fn new(
        ops: Ops,
        options: BulkWriteOptions,
        detail: Detail,
        scope: Scope<'a>,
        operation_id: i64,
    ) -> Result<Self> {
        if ops.len() == 0 {
            return Err(Error::invalid_argument(
                "a bulk write was given nothing to write; give one model or more",
            ));
        }
        let operation = Self {
            ops,
            options,
            detail,
            inherited: scope.write_concern,
            timeout: scope.timeout,
            operation_id,
            sent: 0,
            batch: None,
            unmet: None,
            result: VerboseBulkWriteResult::default(),
            has_succeeded: false,
            total: BulkWriteError::default(),
            first_error: None,
            address: None,
        };
        if !operation.is_acknowledged() {
            operation.check_unacknowledged()?;
        }
        Ok(operation)
    }

    fn check_unacknowledged(&self) -> Result<()> {
        if self.detail == Detail::Verbose {
            return Err(Error::invalid_argument(
                "cannot request unacknowledged write concern and verbose results: \
                 without w: 0 there are results, or leave out verbose_results",
            ));
        }
        if self.is_ordered() {
            return Err(Error::invalid_argument(
                "cannot request unacknowledged write concern and ordered writes: \
                 set ordered to false, or leave out w: 0",
            ));
        }
        Ok(())
    }

    fn is_acknowledged(&self) -> bool {
        let concern = self.write_concern();
        concern.is_none_or(WriteConcern::is_acknowledged)
    }

    fn is_ordered(&self) -> bool {
        self.options.ordered.unwrap_or(true)
    }

    /// Takes the reply to the command that was executed last. Gives the cursor with the results,
    /// and the server that has it; nothing when no reply was asked for.
    pub(crate) fn begin(
        &mut self,
        reply: Option<BulkWriteReply>,
    ) -> Option<(CursorState, ServerAddress)> {
        let reply = reply?;
        self.result.summary.add(&reply.summary);
        // Of an ordered bulk write with a refusal, the refusal's place tells.
        let succeeded = match self.is_ordered() {
            true => reply.refused == 0,
            false => reply.refused < self.batch_length(),
        };
        self.has_succeeded |= succeeded;
        self.total.write_concern_errors.extend(reply.unmet);
        let settings = CursorSettings {
            comment: self.options.comment.clone(),
            ..CursorSettings::default()
        };
        self.address = Some(reply.address.clone());
        Some((CursorState::new(reply.cursor, settings), reply.address))
    }

    fn batch_length(&self) -> u64 {
        let batch = self.batch.as_ref();
        let length = batch.map_or(0, |batch| batch.operations.len());
        u64::try_from(length).unwrap_or(u64::MAX)
    }

    /// Takes the result of one write.
    ///
    /// # Errors
    /// An invalid-response error when it is none.
    pub(crate) fn take(&mut self, document: &RawDocument) -> Result<()> {
        let WriteResult { index, outcome } = WriteResult::parse(document)?;
        let place = self.sent.saturating_add(index);
        let batch = self.batch.as_ref().map(|batch| &batch.operations);
        let is_in_batch = batch.is_some_and(|batch| batch.contains(&place));
        let Some(kind) = self.ops.kind(place).filter(|_| is_in_batch) else {
            return Err(Error::invalid_response(format!(
                "there is a result for the write at index {index} of a command with {}",
                self.batch_length()
            )));
        };
        match outcome {
            Ok(done) => {
                self.has_succeeded = true;
                self.record(place, kind, done)
            }
            Err(refusal) => {
                // What came before it in order was done.
                self.has_succeeded |= self.is_ordered() && index > 0;
                self.total.write_errors.insert(place, refusal);
                Ok(())
            }
        }
    }

    fn record(&mut self, place: usize, kind: Kind, done: Done) -> Result<()> {
        if self.detail == Detail::Summary {
            return Ok(());
        }
        match kind {
            Kind::Insert => {
                let id = self.ops.inserted_id(place);
                let inserted_id =
                    id.ok_or_else(|| Error::internal("a document to insert has no _id"))?;
                let result = InsertOneResult { inserted_id };
                self.result.insert_results.insert(place, result);
            }
            Kind::Update => {
                let result = UpdateResult {
                    matched_count: done.n,
                    modified_count: done.modified,
                    upserted_id: done.upserted_id,
                };
                self.result.update_results.insert(place, result);
            }
            Kind::Delete => {
                let result = DeleteResult {
                    deleted_count: done.n,
                };
                self.result.delete_results.insert(place, result);
            }
        }
        Ok(())
    }

    /// Whether a refusal has ended the operation, so that no further result is needed.
    pub(crate) fn has_ended(&self) -> bool {
        self.is_ordered() && !self.total.write_errors.is_empty()
    }

    /// What follows the last result of a command.
    pub(crate) fn finish(&mut self) -> Progress<VerboseBulkWriteResult> {
        if self.has_ended() {
            return Progress::Done(Err(self.failure()));
        }
        if let Some(batch) = self.batch.take() {
            self.sent = batch.operations.end;
        }
        if self.sent < self.ops.len() {
            return Progress::More;
        }
        if self.has_failed() {
            return Progress::Done(Err(self.failure()));
        }
        Progress::Done(Ok(std::mem::take(&mut self.result)))
    }

    fn has_failed(&self) -> bool {
        !self.total.write_errors.is_empty() || !self.total.write_concern_errors.is_empty()
    }

    /// The error of an operation that could not be brought to its end. It is given as it is,
    /// unless there are results that the caller must know of.
    pub(crate) fn interrupted(&mut self, error: Error) -> Error {
        if !self.has_succeeded && !self.has_failed() {
            return error;
        }
        self.failure().ending_with(error)
    }

    /// All that was refused, and what was done, as one error.
    fn failure(&mut self) -> Error {
        let mut total = std::mem::take(&mut self.total);
        let result = std::mem::take(&mut self.result);
        total.partial_result = self.has_succeeded.then(|| match self.detail {
            Detail::Summary => PartialBulkWriteResult::Summary(result.summary),
            Detail::Verbose => PartialBulkWriteResult::Verbose(result),
        });
        let kind = ErrorKind::BulkWrite(total);
        match self.first_error.take() {
            Some(mut error) => {
                *error.kind = kind;
                error
            }
            None => {
                let error = Error::from(kind).with_command(self.name());
                match &self.address {
                    Some(address) => error.with_address(address),
                    None => error,
                }
            }
        }
    }
}

impl Operation for ClientBulkWrite<'_> {
    type Output = Option<BulkWriteReply>;

    fn name(&self) -> &str {
        "bulkWrite"
    }

    fn database(&self) -> &str {
        "admin"
    }

    fn timeout(&self) -> Timeout {
        self.timeout
    }

    fn in_session(&self) -> InSession {
        InSession::Consistent
    }

    fn operation_id(&self) -> Option<i64> {
        Some(self.operation_id)
    }

    fn retryability(&self) -> Retryability {
        if self.ops.may_change_many(self.sent) {
            Retryability::None
        } else {
            Retryability::Write
        }
    }

    fn write_concern(&self) -> Option<&WriteConcern> {
        self.options.write_concern.as_ref().or(self.inherited)
    }

    fn write(&mut self, command: &mut DocumentWriter<'_>, target: &Target<'_>) -> Result<()> {
        if target.max_wire_version < WIRE_8_0 {
            let message = format!(
                "the server at {} is older than MongoDB 8.0, which a client's bulk write needs; \
                 use Collection::bulk_write for each collection",
                target.address
            );
            return Err(ErrorKind::IncompatibleServer { message }.into());
        }
        if !self.is_acknowledged() {
            self.ops.check_sizes(target)?;
        }
        let options = &self.options;
        command.append_i32("bulkWrite", 1)?;
        command.append_bool("errorsOnly", self.detail == Detail::Summary)?;
        command.append_bool("ordered", self.is_ordered())?;
        let bypass = options.bypass_document_validation;
        command.optional_bool("bypassDocumentValidation", bypass)?;
        command.optional_bson("comment", options.comment.as_ref())?;
        command.optional_document("let", options.let_vars.as_ref())?;
        command.raw_data(options.raw_data, target)?;
        if self.batch.is_none() {
            // The document's last byte is still to come.
            let used = MESSAGE_OVERHEAD + command.written() + 1;
            let limits = BatchLimits {
                documents: target.max_write_batch_size,
                bytes: target.max_message_size.saturating_sub(used),
            };
            self.batch = Some(self.ops.batch(self.sent, limits)?);
        }
        Ok(())
    }

    fn sequences(&self) -> Sequences<'_> {
        let Some(batch) = &self.batch else {
            return Sequences::NONE;
        };
        let operations = Sequence {
            identifier: "ops",
            documents: self.ops.bytes(&batch.operations),
        };
        let namespaces = Sequence {
            identifier: "nsInfo",
            documents: &batch.namespaces,
        };
        [operations, namespaces].into()
    }

    fn reply(&mut self, reply: &Reply, target: &Target<'_>) -> Result<Option<BulkWriteReply>> {
        let raw = reply.document();
        let reply = BulkWriteReply::parse(reply, target.address)?;
        let Some(unmet) = reply.unmet.clone() else {
            return Ok(Some(reply));
        };
        self.unmet = Some(reply);
        let error = ErrorKind::BulkWrite(BulkWriteError {
            write_concern_errors: vec![unmet],
            ..BulkWriteError::default()
        });
        Err(Error::from(error)
            .with_labels_of(raw)
            .with_server_response(raw))
    }

    /// An unmet write concern is no refusal of the command: once it is not tried again, its reply
    /// counts.
    fn refused(&mut self, error: Error) -> Result<Option<BulkWriteReply>> {
        match (&*error.kind, self.unmet.take()) {
            (ErrorKind::BulkWrite(_), Some(reply)) => {
                self.first_error.get_or_insert(error);
                Ok(Some(reply))
            }
            _ => Err(error),
        }
    }

    fn unacknowledged(&mut self) -> Result<Option<BulkWriteReply>> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
