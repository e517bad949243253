//! `insert`.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

use bson::{Bson, RawDocument};

use super::{Operation, Retryability, Scope, Target, write_reply::WriteReply};
use crate::{
    error::{Error, ErrorKind, InsertManyError, Result},
    options::{InsertManyOptions, InsertOneOptions, WriteConcern},
    proto::{
        bulk_split::{BatchLimits, Payload},
        wire::{DocumentWriter, Reply, Sequence, Sequences},
    },
    results::{InsertManyResult, InsertOneResult},
};

/// Room in a message for what the executor adds to a command: the session, the cluster time with
/// its signature, the concerns and the header.
const RESERVE: usize = 16 * 1024;

fn sequences_of(documents: &[u8]) -> Sequences<'_> {
    let identifier = "documents";
    [Sequence {
        identifier,
        documents,
    }]
    .into()
}

/// Inserts one document.
#[derive(Debug)]
pub(crate) struct InsertOne<'a> {
    scope: Scope<'a>,
    payload: Payload,
    options: InsertOneOptions,
}

impl<'a> InsertOne<'a> {
    /// `payload` holds one document.
    pub(crate) fn new(scope: Scope<'a>, payload: Payload, options: InsertOneOptions) -> Self {
        Self {
            scope,
            payload,
            options,
        }
    }

    fn result(&self) -> Result<InsertOneResult> {
        let id = self.payload.ids().first().cloned();
        let inserted_id = id.ok_or_else(|| Error::internal("an insert has no document"))?;
        Ok(InsertOneResult { inserted_id })
    }
}

impl Operation for InsertOne<'_> {
    type Output = InsertOneResult;

    fn name(&self) -> &str {
        "insert"
    }

    fn database(&self) -> &str {
        self.scope.database
    }

    fn retryability(&self) -> Retryability {
        Retryability::Write
    }

    fn write_concern(&self) -> Option<&WriteConcern> {
        let own = self.options.write_concern.as_ref();
        own.or(self.scope.write_concern)
    }

    fn write(&mut self, command: &mut DocumentWriter<'_>, target: &Target<'_>) -> Result<()> {
        self.payload.check_sizes(target.max_bson_object_size)?;
        command.append_str("insert", self.scope.collection)?;
        command.append_bool("ordered", true)?;
        let bypass = self.options.bypass_document_validation;
        command.optional_bool("bypassDocumentValidation", bypass)?;
        command.optional_bson("comment", self.options.comment.as_ref())?;
        command.raw_data(self.options.raw_data, target)
    }

    fn sequences(&self) -> Sequences<'_> {
        sequences_of(self.payload.documents(&(0..1)))
    }

    fn reply(&mut self, reply: &Reply, _target: &Target<'_>) -> Result<InsertOneResult> {
        let reply = reply.document();
        WriteReply::parse(reply)?.check_single(reply)?;
        self.result()
    }

    fn unacknowledged(&mut self) -> Result<InsertOneResult> {
        self.result()
    }
}

/// Inserts many documents, a batch with each command.
///
/// The caller executes it and hands each outcome to [`InsertMany::take`], until that says that
/// the operation is done. Every batch is an operation of its own to the server, retried by itself.
#[derive(Debug)]
pub(crate) struct InsertMany<'a> {
    scope: Scope<'a>,
    payload: Payload,
    options: InsertManyOptions,
    operation_id: i64,
    /// The documents of the command written last; before the first, an empty range.
    batch: Range<usize>,
    failed: InsertManyError,
    /// The first refusal, which gives the error its labels and the server's reply.
    first_error: Option<Error>,
}

/// Whether an operation of several commands is done.
#[derive(Debug)]
pub(crate) enum Progress<T> {
    /// The operation must be executed again, for the next batch.
    More,
    /// This is the operation's result.
    Done(Result<T>),
}

impl<'a> InsertMany<'a> {
    /// # Errors
    /// An invalid-argument error when there is no document.
    pub(crate) fn new(
        scope: Scope<'a>,
        payload: Payload,
        options: InsertManyOptions,
        operation_id: i64,
    ) -> Result<Self> {
        if payload.is_empty() {
            return Err(Error::invalid_argument(
                "insert_many was given no document; give one or more",
            ));
        }
        Ok(Self {
            scope,
            payload,
            options,
            operation_id,
            batch: 0..0,
            failed: InsertManyError {
                write_errors: None,
                write_concern_error: None,
                inserted_ids: HashMap::new(),
            },
            first_error: None,
        })
    }

    fn is_ordered(&self) -> bool {
        self.options.ordered.unwrap_or(true)
    }

    /// Takes the outcome of the batch that was executed last.
    pub(crate) fn take(&mut self, outcome: Result<()>) -> Progress<InsertManyResult> {
        match outcome {
            Ok(()) => {
                let none = HashSet::new();
                let ids = inserted(&self.payload, &self.batch, &none, false);
                self.failed.inserted_ids.extend(ids);
            }
            Err(mut error) => match &mut *error.kind {
                ErrorKind::InsertMany(batch) => {
                    self.failed.inserted_ids.extend(batch.inserted_ids.drain());
                    if let Some(concern) = batch.write_concern_error.take() {
                        self.failed.write_concern_error = Some(concern);
                    }
                    let refused = batch.write_errors.take().unwrap_or_default();
                    let stops = self.is_ordered() && !refused.is_empty();
                    if !refused.is_empty() {
                        let errors = self.failed.write_errors.get_or_insert_default();
                        errors.extend(refused);
                    }
                    self.first_error.get_or_insert(error);
                    if stops {
                        return Progress::Done(Err(self.failure()));
                    }
                }
                _ => return Progress::Done(Err(self.interrupted(error))),
            },
        }
        if self.batch.end < self.payload.len() {
            // An empty batch at this place says where the next one starts.
            self.batch = self.batch.end..self.batch.end;
            return Progress::More;
        }
        if self.first_error.is_some() {
            return Progress::Done(Err(self.failure()));
        }
        let inserted_ids = std::mem::take(&mut self.failed.inserted_ids);
        Progress::Done(Ok(InsertManyResult { inserted_ids }))
    }

    /// All that was refused, as one error.
    fn failure(&mut self) -> Error {
        let failed = InsertManyError {
            write_errors: self.failed.write_errors.take(),
            write_concern_error: self.failed.write_concern_error.take(),
            inserted_ids: std::mem::take(&mut self.failed.inserted_ids),
        };
        match self.first_error.take() {
            Some(mut error) => {
                *error.kind = ErrorKind::InsertMany(failed);
                error
            }
            None => ErrorKind::InsertMany(failed).into(),
        }
    }

    /// The error of a batch that could not be executed. It is given as it is, unless earlier
    /// batches did something that the caller must know of.
    fn interrupted(&mut self, error: Error) -> Error {
        if self.first_error.is_none() && self.failed.inserted_ids.is_empty() {
            return error;
        }
        self.failure().with_source(error)
    }
}

impl Operation for InsertMany<'_> {
    type Output = ();

    fn name(&self) -> &str {
        "insert"
    }

    fn database(&self) -> &str {
        self.scope.database
    }

    fn operation_id(&self) -> Option<i64> {
        Some(self.operation_id)
    }

    fn retryability(&self) -> Retryability {
        Retryability::Write
    }

    fn write_concern(&self) -> Option<&WriteConcern> {
        let own = self.options.write_concern.as_ref();
        own.or(self.scope.write_concern)
    }

    fn write(&mut self, command: &mut DocumentWriter<'_>, target: &Target<'_>) -> Result<()> {
        self.payload.check_sizes(target.max_bson_object_size)?;
        command.append_str("insert", self.scope.collection)?;
        command.append_bool("ordered", self.is_ordered())?;
        let bypass = self.options.bypass_document_validation;
        command.optional_bool("bypassDocumentValidation", bypass)?;
        command.optional_bson("comment", self.options.comment.as_ref())?;
        command.raw_data(self.options.raw_data, target)?;
        let limits = BatchLimits {
            documents: target.max_write_batch_size,
            bytes: target
                .max_message_size
                .saturating_sub(command.written() + RESERVE),
        };
        self.batch = self.payload.batch(self.batch.start, limits);
        Ok(())
    }

    fn sequences(&self) -> Sequences<'_> {
        sequences_of(self.payload.documents(&self.batch))
    }

    fn reply(&mut self, reply: &Reply, _target: &Target<'_>) -> Result<()> {
        let raw = reply.document();
        let parsed = WriteReply::parse(raw)?;
        if parsed.write_errors.is_empty() && parsed.write_concern_error.is_none() {
            return Ok(());
        }
        Err(self.refusal(raw, parsed))
    }

    fn unacknowledged(&mut self) -> Result<()> {
        Ok(())
    }
}

impl InsertMany<'_> {
    /// The error of one batch, its indexes counted among all documents.
    fn refusal(&self, reply: &RawDocument, mut parsed: WriteReply) -> Error {
        for error in &mut parsed.write_errors {
            error.index = error.index.saturating_add(self.batch.start);
        }
        let refused: HashSet<_> = parsed.write_errors.iter().map(|e| e.index).collect();
        let ids = inserted(&self.payload, &self.batch, &refused, self.is_ordered());
        let error = ErrorKind::InsertMany(InsertManyError {
            write_errors: Some(parsed.write_errors).filter(|errors| !errors.is_empty()),
            write_concern_error: parsed.write_concern_error,
            inserted_ids: ids.collect(),
        });
        Error::from(error)
            .with_labels_of(reply)
            .with_server_response(reply)
    }
}

/// The `_id`s of those documents of a batch that got in.
fn inserted<'p>(
    payload: &'p Payload,
    batch: &Range<usize>,
    refused: &'p HashSet<usize>,
    ordered: bool,
) -> impl Iterator<Item = (usize, Bson)> + 'p {
    let end = match refused.iter().min() {
        Some(first) if ordered => batch.end.min(*first),
        _ => batch.end,
    };
    let ids = payload.ids().get(batch.start..end).unwrap_or_default();
    (batch.start..)
        .zip(ids.iter().cloned())
        .filter(|(index, _)| !refused.contains(index))
}

#[cfg(test)]
mod tests {
    use bson::{Document, doc};

    use super::*;
    use crate::operation::tests::{replied, scope, target, written_for, written_for_newest};

    fn payload(count: i32) -> Payload {
        let mut payload = Payload::default();
        for id in 0..count {
            payload.push(&doc! { "_id": id }).unwrap();
        }
        payload
    }

    fn many(count: i32, ordered: bool) -> InsertMany<'static> {
        let options = InsertManyOptions::builder().ordered(ordered).build();
        InsertMany::new(scope(), payload(count), options, 1).unwrap()
    }

    /// Runs the batches against these replies and gives the result and the ids of each command.
    fn run(
        operation: &mut InsertMany<'_>,
        replies: &[Result<Document>],
    ) -> (Result<InsertManyResult>, Vec<Vec<i32>>) {
        let target = Target {
            max_write_batch_size: 2,
            ..target()
        };
        let mut sent = Vec::new();
        for reply in replies {
            written_for(operation, &target).unwrap();
            let mut documents = sequence(operation).documents;
            let mut ids = Vec::new();
            while !documents.is_empty() {
                let document = Document::from_reader(&mut documents).unwrap();
                ids.push(document.get_i32("_id").unwrap());
            }
            sent.push(ids);
            let outcome = match reply {
                Ok(reply) => replied(operation, reply),
                Err(error) => Err(error.clone()),
            };
            if let Progress::Done(result) = operation.take(outcome) {
                return (result, sent);
            }
        }
        panic!("more than {} batches", replies.len());
    }

    fn ids(of: &HashMap<usize, Bson>) -> Vec<usize> {
        let mut ids: Vec<_> = of.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    fn insert_many_error(error: &Error) -> &InsertManyError {
        match &*error.kind {
            ErrorKind::InsertMany(failed) => failed,
            other => panic!("{other:?}"),
        }
    }

    /// The one sequence of an insert.
    fn sequence(operation: &impl Operation) -> Sequence<'_> {
        let sequences: Vec<_> = operation.sequences().iter().copied().collect();
        assert_eq!(sequences.len(), 1);
        sequences[0]
    }

    fn refusal(indexes: &[i32]) -> Result<Document> {
        let errors: Vec<_> = indexes
            .iter()
            .map(|index| doc! { "index": index, "code": 11000, "errmsg": "E11000" })
            .collect();
        Ok(doc! { "ok": 1, "n": 0, "writeErrors": errors })
    }

    fn accepted() -> Result<Document> {
        Ok(doc! { "ok": 1, "n": 2 })
    }

    #[test]
    fn one_document_goes_as_a_sequence() {
        let options = InsertOneOptions::builder()
            .bypass_document_validation(true)
            .comment(Bson::Int32(1))
            .raw_data(true)
            .build();
        let mut operation = InsertOne::new(scope(), payload(1), options);
        let wanted = doc! {
            "insert": "c", "ordered": true, "bypassDocumentValidation": true, "comment": 1,
            "rawData": true,
        };
        assert_eq!(written_for_newest(&mut operation), wanted);
        let sequence = sequence(&operation);
        assert_eq!(sequence.identifier, "documents");
        assert_eq!(
            Document::from_reader(sequence.documents).unwrap(),
            doc! { "_id": 0 }
        );
        let result = replied(&mut operation, &doc! { "ok": 1, "n": 1 }).unwrap();
        assert_eq!(result.inserted_id, Bson::Int32(0));
        assert_eq!(
            operation.unacknowledged().unwrap().inserted_id,
            Bson::Int32(0)
        );
    }

    #[test]
    fn all_batches_are_sent_and_their_ids_returned() {
        let mut operation = many(5, true);
        let (result, sent) = run(&mut operation, &[accepted(), accepted(), accepted()]);
        assert_eq!(sent, [vec![0, 1], vec![2, 3], vec![4]]);
        assert_eq!(ids(&result.unwrap().inserted_ids), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn an_ordered_insert_ends_at_the_first_refusal() {
        let (result, sent) = run(&mut many(5, true), &[accepted(), refusal(&[1])]);
        assert_eq!(sent.len(), 2);
        let error = result.unwrap_err();
        let failed = insert_many_error(&error);
        assert_eq!(failed.write_errors.as_ref().unwrap()[0].index, 3);
        assert_eq!(ids(&failed.inserted_ids), [0, 1, 2]);
        assert!(error.is_duplicate_key() && error.server_response().is_some());
    }

    #[test]
    fn an_unordered_insert_goes_on_and_reports_every_refusal() {
        let replies = [refusal(&[0]), refusal(&[0, 1]), accepted()];
        let (result, sent) = run(&mut many(5, false), &replies);
        assert_eq!(sent.len(), 3);
        let error = result.unwrap_err();
        let failed = insert_many_error(&error);
        let errors = failed.write_errors.as_ref().unwrap();
        assert_eq!(
            errors.iter().map(|e| e.index).collect::<Vec<_>>(),
            [0, 2, 3]
        );
        assert_eq!(ids(&failed.inserted_ids), [1, 4]);
    }

    #[test]
    fn an_unmet_write_concern_does_not_end_an_ordered_insert() {
        let unmet =
            Ok(doc! { "ok": 1, "n": 2, "writeConcernError": { "code": 64, "errmsg": "late" } });
        let (result, sent) = run(&mut many(4, true), &[unmet, accepted()]);
        assert_eq!(sent.len(), 2);
        let error = result.unwrap_err();
        let failed = insert_many_error(&error);
        assert_eq!(failed.write_concern_error.as_ref().unwrap().code, 64);
        assert_eq!(ids(&failed.inserted_ids), [0, 1, 2, 3]);
    }

    #[test]
    fn a_lost_connection_keeps_what_earlier_batches_did() {
        let lost = || Err(Error::from(std::io::Error::other("lost")));
        let (result, _) = run(&mut many(4, true), &[lost()]);
        assert!(result.unwrap_err().is_network());
        let (result, _) = run(&mut many(4, true), &[accepted(), lost()]);
        let error = result.unwrap_err();
        assert_eq!(ids(&insert_many_error(&error).inserted_ids), [0, 1]);
        let source = std::error::Error::source(&error).unwrap();
        assert!(source.downcast_ref::<Error>().unwrap().is_network());
    }

    #[test]
    fn a_second_attempt_sends_the_same_batch() {
        let mut operation = many(3, true);
        let target = Target {
            max_write_batch_size: 2,
            ..target()
        };
        for _ in 0..2 {
            written_for(&mut operation, &target).unwrap();
            assert_eq!(operation.batch, 0..2);
        }
    }

    #[test]
    fn refusals_with_impossible_indexes_do_no_harm() {
        for index in [-1, 7, i32::MAX] {
            let (result, _) = run(&mut many(2, true), &[refusal(&[index])]);
            assert!(result.is_err(), "{index}");
        }
    }

    #[test]
    fn a_document_too_large_is_refused_before_anything_is_sent() {
        let tight = Target {
            max_bson_object_size: 10,
            ..target()
        };
        assert!(written_for(&mut many(3, true), &tight).is_err());
        assert!(
            InsertMany::new(scope(), Payload::default(), InsertManyOptions::default(), 1).is_err()
        );
    }
}
