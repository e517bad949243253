//! The writes of a collection's bulk write as statements of insert, update and delete commands.

use std::ops::Range;

use bson::Bson;
use serde::Serialize;

use crate::{
    bulk::{DeleteMany, DeleteOne, ReplaceOne, UpdateMany, UpdateOne, Write},
    error::{Error, ErrorKind, Result},
    operation::{
        COMMAND_MARGIN, Target,
        update::{check_replacement, check_update, write_update},
    },
    proto::{
        bulk_split::{BatchLimits, Documents, Payload, check_size},
        wire::DocumentWriter,
    },
};

/// The command that a write is a statement of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::operation) enum Kind {
    Insert,
    Update,
    Delete,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Insert, Self::Update, Self::Delete];

    /// The command's name.
    pub(in crate::operation) fn command(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }

    /// The command's field for its statements.
    pub(super) fn statements(self) -> &'static str {
        match self {
            Self::Insert => "documents",
            Self::Update => "updates",
            Self::Delete => "deletes",
        }
    }
}

/// One value for each kind.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PerKind<T>([T; 3]);

impl<T> PerKind<T> {
    pub(super) fn of(&self, kind: Kind) -> &T {
        let Self([insert, update, delete]) = self;
        match kind {
            Kind::Insert => insert,
            Kind::Update => update,
            Kind::Delete => delete,
        }
    }

    pub(super) fn of_mut(&mut self, kind: Kind) -> &mut T {
        let Self([insert, update, delete]) = self;
        match kind {
            Kind::Insert => insert,
            Kind::Update => update,
            Kind::Delete => delete,
        }
    }
}

/// Statements of one kind that a command can carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) kind: Kind,
    /// Their places among the statements of that kind.
    pub(super) statements: Range<usize>,
}

/// All writes of a bulk write, each serialised once, as the statement that it is.
///
/// Statements of one kind stand in one buffer. Since those that follow each other among all writes
/// do so there too, any batch, in the given order or by kind, is one piece of a buffer.
#[derive(Debug, Default)]
pub(crate) struct Statements {
    /// The kinds in the given order.
    kinds: Vec<Kind>,
    inserts: Payload,
    updates: Documents,
    deletes: Documents,
    /// The place of each statement among all writes.
    places: PerKind<Vec<usize>>,
    /// The statements that may change many documents.
    many: PerKind<Vec<usize>>,
    has_hint: PerKind<bool>,
    /// The place and the size of the largest replacement.
    largest_replacement: (usize, usize),
}

impl Statements {
    /// Adds a write.
    ///
    /// # Errors
    /// A BSON error for what cannot be serialised, an invalid-argument error for an update without
    /// operators and a replacement with one. The writes before it stay.
    pub(crate) fn push<T: Serialize>(&mut self, write: Write<T>) -> Result<()> {
        let index = self.kinds.len();
        let (kind, is_many, has_hint) = match &write {
            Write::InsertOne(_) => (Kind::Insert, false, false),
            Write::UpdateOne(write) => (Kind::Update, false, write.hint.is_some()),
            Write::UpdateMany(write) => (Kind::Update, true, write.hint.is_some()),
            Write::ReplaceOne(write) => (Kind::Update, false, write.hint.is_some()),
            Write::DeleteOne(write) => (Kind::Delete, false, write.hint.is_some()),
            Write::DeleteMany(write) => (Kind::Delete, true, write.hint.is_some()),
        };
        let statement = self.documents(kind).len();
        self.serialise(write, index)
            .map_err(|error| at(index, error))?;
        if is_many {
            self.many.of_mut(kind).push(statement);
        }
        *self.has_hint.of_mut(kind) |= has_hint;
        self.note(kind);
        Ok(())
    }

    /// Adds a document to insert.
    ///
    /// # Errors
    /// A BSON error when the value is no document.
    pub(crate) fn push_insert<T: Serialize>(&mut self, document: &T) -> Result<()> {
        self.inserts.push(document)?;
        self.note(Kind::Insert);
        Ok(())
    }

    fn note(&mut self, kind: Kind) {
        self.places.of_mut(kind).push(self.kinds.len());
        self.kinds.push(kind);
    }

    fn serialise<T: Serialize>(&mut self, write: Write<T>, index: usize) -> Result<()> {
        match write {
            Write::InsertOne(write) => self.inserts.push(&write.document),
            Write::UpdateOne(write) => {
                append(&mut self.updates, |statement| update_one(statement, &write))
            }
            Write::UpdateMany(write) => append(&mut self.updates, |statement| {
                update_many(statement, &write)
            }),
            Write::ReplaceOne(write) => {
                let largest = &mut self.largest_replacement;
                append(&mut self.updates, |statement| {
                    let size = replace_one(statement, &write)?;
                    if size > largest.1 {
                        *largest = (index, size);
                    }
                    Ok(())
                })
            }
            Write::DeleteOne(write) => {
                append(&mut self.deletes, |statement| delete_one(statement, &write))
            }
            Write::DeleteMany(write) => append(&mut self.deletes, |statement| {
                delete_many(statement, &write)
            }),
        }
    }

    /// Whether there is no write.
    pub(crate) fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    pub(super) fn documents(&self, kind: Kind) -> &Documents {
        match kind {
            Kind::Insert => self.inserts.documents(),
            Kind::Update => &self.updates,
            Kind::Delete => &self.deletes,
        }
    }

    /// The `_id`s of the documents that a run inserts; none for other runs.
    pub(super) fn ids(&self, run: &Run) -> &[Bson] {
        match run.kind {
            Kind::Insert => self.inserts.ids().get(run.statements.clone()),
            Kind::Update | Kind::Delete => None,
        }
        .unwrap_or_default()
    }

    /// The places of a run's statements among all writes.
    pub(super) fn places(&self, run: &Run) -> &[usize] {
        let places = self.places.of(run.kind).get(run.statements.clone());
        places.unwrap_or_default()
    }

    /// What comes next when so many statements of each kind were sent: in order, the writes up to
    /// the next of another kind; otherwise all of one kind. No more than a command can carry.
    pub(super) fn next_run(&self, sent: &PerKind<usize>, ordered: bool) -> Option<Run> {
        let (kind, count) = if ordered {
            let index: usize = Kind::ALL.iter().map(|kind| sent.of(*kind)).sum();
            let rest = self.kinds.get(index..).unwrap_or_default();
            let kind = *rest.first()?;
            let same = rest.iter().take(BatchLimits::MOST.documents);
            (kind, same.take_while(|next| **next == kind).count())
        } else {
            let left = |kind: Kind| self.documents(kind).len() - sent.of(kind);
            let kind = Kind::ALL.into_iter().find(|kind| left(*kind) > 0)?;
            (kind, left(kind))
        };
        let from = *sent.of(kind);
        let candidates = from..from + count;
        let statements = self.documents(kind).batch(&candidates, BatchLimits::MOST);
        Some(Run { kind, statements })
    }

    /// Whether a statement of the run may change many documents.
    pub(super) fn has_many(&self, run: &Run) -> bool {
        let many = self.many.of(run.kind);
        let next = many.partition_point(|statement| *statement < run.statements.start);
        many.get(next)
            .is_some_and(|statement| *statement < run.statements.end)
    }

    pub(super) fn has_hint(&self, kind: Kind) -> bool {
        *self.has_hint.of(kind)
    }

    /// Refuses what is larger than the server takes.
    ///
    /// # Errors
    /// An invalid-argument error that names the write's place and size.
    pub(super) fn check_sizes(&self, target: &Target<'_>) -> Result<()> {
        let most = target.max_bson_object_size;
        let (index, size) = self.largest(Kind::Insert);
        check_size("document", index, size, most)?;
        let (index, size) = self.largest_replacement;
        check_size("replacement", index, size, most)?;
        for kind in [Kind::Update, Kind::Delete] {
            let (index, size) = self.largest(kind);
            check_size(kind.command(), index, size, most + COMMAND_MARGIN)?;
        }
        Ok(())
    }

    /// The place of the largest statement among all writes, and its size.
    fn largest(&self, kind: Kind) -> (usize, usize) {
        let (statement, size) = self.documents(kind).largest();
        let place = self.places.of(kind).get(statement);
        (place.copied().unwrap_or_default(), size)
    }
}

/// Says which of the writes cannot be used.
pub(in crate::operation) fn at(index: usize, mut error: Error) -> Error {
    if let ErrorKind::InvalidArgument { message } = &mut *error.kind {
        *message = format!("the write at index {index}: {message}");
    }
    error
}

fn append(
    documents: &mut Documents,
    write: impl FnOnce(&mut DocumentWriter<'_>) -> Result<()>,
) -> Result<()> {
    documents.push_with(|bytes| {
        let mut statement = DocumentWriter::begin(bytes);
        write(&mut statement)?;
        statement.end()
    })
}

fn update_one(statement: &mut DocumentWriter<'_>, write: &UpdateOne) -> Result<()> {
    check_update(&write.update)?;
    statement.append_document("q", &write.filter)?;
    write_update("u", &write.update, statement)?;
    statement.optional_bool("upsert", write.upsert)?;
    if let Some(filters) = &write.array_filters {
        statement.append_documents("arrayFilters", filters)?;
    }
    statement.hint(write.hint.as_ref())?;
    statement.collation(write.collation.as_ref())?;
    statement.optional_document("sort", write.sort.as_ref())
}

fn update_many(statement: &mut DocumentWriter<'_>, write: &UpdateMany) -> Result<()> {
    check_update(&write.update)?;
    statement.append_document("q", &write.filter)?;
    write_update("u", &write.update, statement)?;
    statement.append_bool("multi", true)?;
    statement.optional_bool("upsert", write.upsert)?;
    if let Some(filters) = &write.array_filters {
        statement.append_documents("arrayFilters", filters)?;
    }
    statement.hint(write.hint.as_ref())?;
    statement.collation(write.collation.as_ref())
}

/// Gives the replacement's size.
fn replace_one<T: Serialize>(
    statement: &mut DocumentWriter<'_>,
    write: &ReplaceOne<T>,
) -> Result<usize> {
    statement.append_document("q", &write.filter)?;
    let replacement = statement.append_document_from("u", |bytes| {
        Ok(bson::serialize_to_buffer(&write.replacement, bytes)?)
    })?;
    check_replacement(replacement)?;
    let size = replacement.as_bytes().len();
    statement.optional_bool("upsert", write.upsert)?;
    statement.hint(write.hint.as_ref())?;
    statement.collation(write.collation.as_ref())?;
    statement.optional_document("sort", write.sort.as_ref())?;
    Ok(size)
}

fn delete_one(statement: &mut DocumentWriter<'_>, write: &DeleteOne) -> Result<()> {
    statement.append_document("q", &write.filter)?;
    statement.append_i32("limit", 1)?;
    statement.hint(write.hint.as_ref())?;
    statement.collation(write.collation.as_ref())
}

fn delete_many(statement: &mut DocumentWriter<'_>, write: &DeleteMany) -> Result<()> {
    statement.append_document("q", &write.filter)?;
    statement.append_i32("limit", 0)?;
    statement.hint(write.hint.as_ref())?;
    statement.collation(write.collation.as_ref())
}
