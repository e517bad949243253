//! The writes of a client's bulk write as the operations of `bulkWrite` commands.

use std::{collections::HashMap, ops::Range};

use bson::{Bson, RawDocument};

use crate::{
    error::{Error, Result},
    namespace::Namespace,
    operation::{
        COMMAND_MARGIN, Target,
        bulk_write::{Kind, at},
        update::{check_replacement, check_update, write_update},
    },
    options::{
        DeleteManyModel, DeleteOneModel, InsertOneModel, ReplaceOneModel, UpdateManyModel,
        UpdateOneModel, WriteModel,
    },
    proto::{
        bulk_split::{BatchLimits, Documents, IdFiller, check_size},
        wire::DocumentWriter,
    },
};

/// Where the number of its namespace stands in an operation: behind the length, the number's
/// type, and a key of six letters with its end. Its value depends on the batch, so it is put in
/// when that is known.
const NUMBER: Range<usize> = 12..16;

/// All writes of a bulk write, each serialised once, as the operation that it is.
#[derive(Debug, Default)]
pub(crate) struct Ops {
    operations: Documents,
    entries: Vec<Entry>,
    /// The operations that may change many documents.
    many: Vec<usize>,
    /// The command's description of each namespace, each once.
    namespaces: Documents,
    numbers: HashMap<Namespace, usize>,
    filler: IdFiller,
    /// The place and the size of the largest document to insert or to put in another's place.
    largest_document: (usize, usize),
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    kind: Kind,
    /// The namespace's place in [`Ops::namespaces`].
    namespace: usize,
}

/// What one command carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) operations: Range<usize>,
    /// The namespaces that the operations name, each once.
    pub(super) namespaces: Vec<u8>,
}

impl Ops {
    /// Adds a write.
    ///
    /// # Errors
    /// A BSON error for what cannot be serialised, an invalid-argument error for an update without
    /// operators and a replacement with one. The writes before it stay.
    pub(crate) fn push(&mut self, model: WriteModel) -> Result<()> {
        let index = self.entries.len();
        let (kind, is_many, namespace) = match &model {
            WriteModel::InsertOne(model) => (Kind::Insert, false, &model.namespace),
            WriteModel::UpdateOne(model) => (Kind::Update, false, &model.namespace),
            WriteModel::UpdateMany(model) => (Kind::Update, true, &model.namespace),
            WriteModel::ReplaceOne(model) => (Kind::Update, false, &model.namespace),
            WriteModel::DeleteOne(model) => (Kind::Delete, false, &model.namespace),
            WriteModel::DeleteMany(model) => (Kind::Delete, true, &model.namespace),
        };
        let namespace = self.number(namespace)?;
        let filler = &mut self.filler;
        let document = self.operations.push_with(|bytes| {
            let mut operation = DocumentWriter::begin(bytes);
            operation.append_i32(kind.command(), 0)?;
            let size = write_operation(&mut operation, &model, filler)?;
            operation.end()?;
            Ok(size)
        });
        let size = document.map_err(|error| at(index, error))?;
        if size > self.largest_document.1 {
            self.largest_document = (index, size);
        }
        if is_many {
            self.many.push(index);
        }
        self.entries.push(Entry { kind, namespace });
        Ok(())
    }

    /// The namespace's place among all, where it is put if it is new.
    fn number(&mut self, namespace: &Namespace) -> Result<usize> {
        if let Some(number) = self.numbers.get(namespace) {
            return Ok(*number);
        }
        let number = self.namespaces.len();
        self.namespaces.push_with(|bytes| {
            let mut description = DocumentWriter::begin(bytes);
            description.append_str("ns", &namespace.to_string())?;
            description.end()
        })?;
        self.numbers.insert(namespace.clone(), number);
        Ok(number)
    }

    /// How many writes there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn kind(&self, index: usize) -> Option<Kind> {
        self.entries.get(index).map(|entry| entry.kind)
    }

    /// The bytes of these operations.
    pub(super) fn bytes(&self, operations: &Range<usize>) -> &[u8] {
        self.operations.bytes(operations)
    }

    /// The `_id` of the document that an operation inserts.
    pub(super) fn inserted_id(&self, index: usize) -> Option<Bson> {
        let operation = self.operations.bytes(&(index..index + 1));
        let operation = RawDocument::from_bytes(operation).ok()?;
        let document = operation.get_document("document").ok()?;
        Bson::try_from(document.get("_id").ok()??).ok()
    }

    /// Whether an operation that the next command may carry, from `from` on, may change many
    /// documents.
    pub(super) fn may_change_many(&self, from: usize) -> bool {
        let candidates = self
            .operations
            .batch(&(from..self.len()), BatchLimits::MOST);
        let next = self.many.partition_point(|many| *many < from);
        self.many
            .get(next)
            .is_some_and(|many| *many < candidates.end)
    }

    /// The operations from `from` on that one command can carry, with their namespaces.
    ///
    /// # Errors
    /// An invalid-argument error when not even the first fits.
    pub(super) fn batch(&mut self, from: usize, limits: BatchLimits) -> Result<Batch> {
        let limits = limits.within(BatchLimits::MOST);
        let mut numbers: Vec<Option<i32>> = vec![None; self.namespaces.len()];
        let mut batch = Batch {
            operations: from..from,
            namespaces: Vec::new(),
        };
        let mut used = 0_i32;
        let mut size = 0;
        for index in (from..self.len()).take(limits.documents.max(1)) {
            let Some(entry) = self.entries.get(index) else {
                break;
            };
            let known = numbers.get(entry.namespace).copied().flatten();
            let description = match known {
                Some(_) => 0,
                None => self.namespaces.size(entry.namespace),
            };
            size += self.operations.size(index) + description;
            if size > limits.bytes {
                break;
            }
            let number = known.unwrap_or(used);
            if known.is_none() {
                let place = entry.namespace..entry.namespace + 1;
                let description = self.namespaces.bytes(&place);
                batch.namespaces.extend_from_slice(description);
                if let Some(place) = numbers.get_mut(entry.namespace) {
                    *place = Some(number);
                }
                used += 1;
            }
            let operation = self.operations.bytes_mut(index);
            if let Some(place) = operation.get_mut(NUMBER) {
                place.copy_from_slice(&number.to_le_bytes());
            }
            batch.operations.end = index + 1;
        }
        if batch.operations.is_empty() {
            return Err(Error::invalid_argument(format!(
                "the write at index {from} and its namespace take {size} bytes and one message \
                 has room for {}",
                limits.bytes
            )));
        }
        Ok(batch)
    }

    /// Refuses what is larger than the server takes, when nobody would read its refusal.
    ///
    /// # Errors
    /// An invalid-argument error that names the write's place and size.
    pub(super) fn check_sizes(&self, target: &Target<'_>) -> Result<()> {
        let most = target.max_bson_object_size;
        let (index, size) = self.largest_document;
        check_size("document", index, size, most)?;
        let (index, size) = self.operations.largest();
        check_size("write", index, size, most + COMMAND_MARGIN)
    }
}

/// Writes what follows the number of the namespace; gives the size of the whole document in it,
/// 0 when there is none.
fn write_operation(
    operation: &mut DocumentWriter<'_>,
    model: &WriteModel,
    filler: &mut IdFiller,
) -> Result<usize> {
    match model {
        WriteModel::InsertOne(model) => insert_one(operation, model, filler),
        WriteModel::ReplaceOne(model) => replace_one(operation, model),
        WriteModel::UpdateOne(model) => update_one(operation, model).map(|()| 0),
        WriteModel::UpdateMany(model) => update_many(operation, model).map(|()| 0),
        WriteModel::DeleteOne(model) => delete_one(operation, model).map(|()| 0),
        WriteModel::DeleteMany(model) => delete_many(operation, model).map(|()| 0),
    }
}

fn insert_one(
    operation: &mut DocumentWriter<'_>,
    model: &InsertOneModel,
    filler: &mut IdFiller,
) -> Result<usize> {
    let document = operation.append_document_from("document", |bytes| {
        filler.append_closely(&model.document, bytes)
    })?;
    Ok(document.as_bytes().len())
}

fn replace_one(operation: &mut DocumentWriter<'_>, model: &ReplaceOneModel) -> Result<usize> {
    operation.append_document("filter", &model.filter)?;
    let replacement = operation.append_document_from("updateMods", |bytes| {
        Ok(bson::serialize_to_buffer(&model.replacement, bytes)?)
    })?;
    check_replacement(replacement)?;
    let size = replacement.as_bytes().len();
    operation.append_bool("multi", false)?;
    operation.optional_bool("upsert", model.upsert)?;
    operation.optional_bson("hint", model.hint.as_ref())?;
    operation.optional_document("collation", model.collation.as_ref())?;
    operation.optional_document("sort", model.sort.as_ref())?;
    Ok(size)
}

fn update_one(operation: &mut DocumentWriter<'_>, model: &UpdateOneModel) -> Result<()> {
    check_update(&model.update)?;
    operation.append_document("filter", &model.filter)?;
    write_update("updateMods", &model.update, operation)?;
    operation.append_bool("multi", false)?;
    operation.optional_bool("upsert", model.upsert)?;
    operation.optional_array("arrayFilters", model.array_filters.as_ref())?;
    operation.optional_bson("hint", model.hint.as_ref())?;
    operation.optional_document("collation", model.collation.as_ref())?;
    operation.optional_document("sort", model.sort.as_ref())
}

fn update_many(operation: &mut DocumentWriter<'_>, model: &UpdateManyModel) -> Result<()> {
    check_update(&model.update)?;
    operation.append_document("filter", &model.filter)?;
    write_update("updateMods", &model.update, operation)?;
    operation.append_bool("multi", true)?;
    operation.optional_bool("upsert", model.upsert)?;
    operation.optional_array("arrayFilters", model.array_filters.as_ref())?;
    operation.optional_bson("hint", model.hint.as_ref())?;
    operation.optional_document("collation", model.collation.as_ref())
}

fn delete_one(operation: &mut DocumentWriter<'_>, model: &DeleteOneModel) -> Result<()> {
    operation.append_document("filter", &model.filter)?;
    operation.append_bool("multi", false)?;
    operation.optional_bson("hint", model.hint.as_ref())?;
    operation.optional_document("collation", model.collation.as_ref())
}

fn delete_many(operation: &mut DocumentWriter<'_>, model: &DeleteManyModel) -> Result<()> {
    operation.append_document("filter", &model.filter)?;
    operation.append_bool("multi", true)?;
    operation.optional_bson("hint", model.hint.as_ref())?;
    operation.optional_document("collation", model.collation.as_ref())
}
