//! The writes that [`Collection::bulk_write`](crate::Collection::bulk_write) takes, one type a
//! kind.
//!
//! Each is made by `new` from what it must have, has a setter an option, and becomes a [`Write`] by
//! `into`, so that a list can hold all kinds. They name no collection: with
//! [`Write::in_namespace`] they become the models that
//! [`Client::bulk_write`](crate::Client::bulk_write) takes.
//!
//! ```
//! use motorcade::bson::doc;
//! use motorcade::bulk::{DeleteMany, InsertOne, UpdateOne, Write};
//!
//! let writes: [Write; 3] = [
//!     InsertOne::new(doc! { "name": "Ada" }).into(),
//!     UpdateOne::new(doc! { "name": "Bob" }, doc! { "$inc": { "age": 1 } }).upsert(true).into(),
//!     DeleteMany::new(doc! { "age": { "$lt": 18 } }).into(),
//! ];
//! # assert_eq!(writes.len(), 3);
//! ```

use bson::{Array, Bson, Document};
use serde::{Deserialize, Serialize};

use crate::{
    error::Result,
    namespace::Namespace,
    options::{
        Collation, DeleteManyModel, DeleteOneModel, Hint, InsertOneModel, ModelDocument,
        ReplaceOneModel, UpdateManyModel, UpdateModifications, UpdateOneModel, WriteModel,
    },
};

/// One write of a bulk write to a collection whose documents are of type `T`.
///
/// Read from a document, it is what the shell's `bulkWrite` takes, such as
/// `{ "deleteOne": { "filter": { "a": 1 } } }`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Write<T = Document> {
    /// Inserts a document.
    InsertOne(InsertOne<T>),
    /// Updates the first document that matches.
    UpdateOne(UpdateOne),
    /// Updates every document that matches.
    UpdateMany(UpdateMany),
    /// Replaces the first document that matches.
    ReplaceOne(ReplaceOne<T>),
    /// Deletes the first document that matches.
    DeleteOne(DeleteOne),
    /// Deletes every document that matches.
    DeleteMany(DeleteMany),
}

/// Inserts a document. One without an `_id` gets an object id as its first field.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct InsertOne<T = Document> {
    /// The document.
    pub document: T,
}

/// Updates the first document that matches.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct UpdateOne {
    /// Which document.
    pub filter: Document,
    /// What to do with it.
    pub update: UpdateModifications,
    /// Which elements of arrays the update's `$[name]` placeholders stand for.
    pub array_filters: Option<Vec<Document>>,
    /// How strings are compared; the collection's default when absent.
    pub collation: Option<Collation>,
    /// Which index the server should use.
    pub hint: Option<Hint>,
    /// Whether a document is inserted when none matches. The server's default is no.
    pub upsert: Option<bool>,
    /// The order in which the document is taken. Needs a server of version 8.0.
    pub sort: Option<Document>,
}

/// Updates every document that matches. A command that holds such a write is not retried.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct UpdateMany {
    /// Which documents.
    pub filter: Document,
    /// What to do with them.
    pub update: UpdateModifications,
    /// Which elements of arrays the update's `$[name]` placeholders stand for.
    pub array_filters: Option<Vec<Document>>,
    /// How strings are compared; the collection's default when absent.
    pub collation: Option<Collation>,
    /// Which index the server should use.
    pub hint: Option<Hint>,
    /// Whether a document is inserted when none matches. The server's default is no.
    pub upsert: Option<bool>,
}

/// Replaces the first document that matches, all but its `_id`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ReplaceOne<T = Document> {
    /// Which document.
    pub filter: Document,
    /// What to put in its place.
    pub replacement: T,
    /// How strings are compared; the collection's default when absent.
    pub collation: Option<Collation>,
    /// Which index the server should use.
    pub hint: Option<Hint>,
    /// Whether the document is inserted when none matches. The server's default is no.
    pub upsert: Option<bool>,
    /// The order in which the document is taken. Needs a server of version 8.0.
    pub sort: Option<Document>,
}

/// Deletes the first document that matches.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct DeleteOne {
    /// Which document.
    pub filter: Document,
    /// How strings are compared; the collection's default when absent.
    pub collation: Option<Collation>,
    /// Which index the server should use.
    pub hint: Option<Hint>,
}

/// Deletes every document that matches. A command that holds such a write is not retried.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct DeleteMany {
    /// Which documents.
    pub filter: Document,
    /// How strings are compared; the collection's default when absent.
    pub collation: Option<Collation>,
    /// Which index the server should use.
    pub hint: Option<Hint>,
}

/// Writes one setter an option.
macro_rules! setters {
    ($($name:ident: $type:ty,)*) => {
        $(
            #[doc = concat!("Sets [`", stringify!($name), "`](Self::", stringify!($name), ").")]
            #[must_use]
            pub fn $name(mut self, value: impl Into<$type>) -> Self {
                self.$name = Some(value.into());
                self
            }
        )*
    };
}

impl<T> InsertOne<T> {
    /// Inserts this document.
    pub fn new(document: T) -> Self {
        Self { document }
    }
}

impl UpdateOne {
    /// Does this to the first document that matches `filter`.
    pub fn new(filter: Document, update: impl Into<UpdateModifications>) -> Self {
        Self {
            filter,
            update: update.into(),
            array_filters: None,
            collation: None,
            hint: None,
            upsert: None,
            sort: None,
        }
    }

    setters! {
        array_filters: Vec<Document>,
        collation: Collation,
        hint: Hint,
        upsert: bool,
        sort: Document,
    }
}

impl UpdateMany {
    /// Does this to every document that matches `filter`.
    pub fn new(filter: Document, update: impl Into<UpdateModifications>) -> Self {
        Self {
            filter,
            update: update.into(),
            array_filters: None,
            collation: None,
            hint: None,
            upsert: None,
        }
    }

    setters! {
        array_filters: Vec<Document>,
        collation: Collation,
        hint: Hint,
        upsert: bool,
    }
}

impl<T> ReplaceOne<T> {
    /// Puts `replacement` in the place of the first document that matches `filter`.
    pub fn new(filter: Document, replacement: T) -> Self {
        Self {
            filter,
            replacement,
            collation: None,
            hint: None,
            upsert: None,
            sort: None,
        }
    }

    setters! {
        collation: Collation,
        hint: Hint,
        upsert: bool,
        sort: Document,
    }
}

impl DeleteOne {
    /// Deletes the first document that matches `filter`.
    pub fn new(filter: Document) -> Self {
        Self {
            filter,
            collation: None,
            hint: None,
        }
    }

    setters! {
        collation: Collation,
        hint: Hint,
    }
}

impl DeleteMany {
    /// Deletes every document that matches `filter`.
    pub fn new(filter: Document) -> Self {
        Self {
            filter,
            collation: None,
            hint: None,
        }
    }

    setters! {
        collation: Collation,
        hint: Hint,
    }
}

macro_rules! into_write {
    ($($kind:ident: $type:ty,)*) => {
        $(impl<T> From<$type> for Write<T> {
            fn from(write: $type) -> Self {
                Self::$kind(write)
            }
        })*
    };
}

into_write! {
    InsertOne: InsertOne<T>,
    UpdateOne: UpdateOne,
    UpdateMany: UpdateMany,
    ReplaceOne: ReplaceOne<T>,
    DeleteOne: DeleteOne,
    DeleteMany: DeleteMany,
}

impl<T: Serialize> Write<T> {
    /// The same write as a model for [`Client::bulk_write`](crate::Client::bulk_write), to be done
    /// in that collection.
    ///
    /// # Errors
    /// A BSON error for a document that cannot be serialised.
    pub fn in_namespace(self, namespace: Namespace) -> Result<WriteModel> {
        Ok(match self {
            Self::InsertOne(write) => WriteModel::InsertOne(InsertOneModel {
                namespace,
                document: ModelDocument::serialise(&write.document)?,
            }),
            Self::UpdateOne(write) => WriteModel::UpdateOne(UpdateOneModel {
                namespace,
                filter: write.filter,
                update: write.update,
                array_filters: write.array_filters.map(array),
                collation: collation(write.collation)?,
                hint: write.hint.map(hint),
                upsert: write.upsert,
                sort: write.sort,
            }),
            Self::UpdateMany(write) => WriteModel::UpdateMany(UpdateManyModel {
                namespace,
                filter: write.filter,
                update: write.update,
                array_filters: write.array_filters.map(array),
                collation: collation(write.collation)?,
                hint: write.hint.map(hint),
                upsert: write.upsert,
            }),
            Self::ReplaceOne(write) => WriteModel::ReplaceOne(ReplaceOneModel {
                namespace,
                filter: write.filter,
                replacement: ModelDocument::serialise(&write.replacement)?,
                collation: collation(write.collation)?,
                hint: write.hint.map(hint),
                upsert: write.upsert,
                sort: write.sort,
            }),
            Self::DeleteOne(write) => WriteModel::DeleteOne(DeleteOneModel {
                namespace,
                filter: write.filter,
                collation: collation(write.collation)?,
                hint: write.hint.map(hint),
            }),
            Self::DeleteMany(write) => WriteModel::DeleteMany(DeleteManyModel {
                namespace,
                filter: write.filter,
                collation: collation(write.collation)?,
                hint: write.hint.map(hint),
            }),
        })
    }
}

fn array(documents: Vec<Document>) -> Array {
    documents.into_iter().map(Bson::Document).collect()
}

fn collation(collation: Option<Collation>) -> Result<Option<Document>> {
    let document = collation.map(|collation| bson::serialize_to_document(&collation));
    Ok(document.transpose()?)
}

fn hint(hint: Hint) -> Bson {
    match hint {
        Hint::Keys(keys) => keys.into(),
        Hint::Name(name) => name.into(),
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    #[test]
    fn what_the_shell_takes_can_be_read() {
        for (kind, fields) in [
            ("insertOne", doc! { "document": { "a": 1 } }),
            (
                "updateOne",
                doc! { "filter": {}, "update": { "$set": { "a": 1 } }, "upsert": true },
            ),
            (
                "updateMany",
                doc! { "filter": {}, "update": [{ "$set": { "a": 1 } }], "hint": "_id_" },
            ),
            (
                "replaceOne",
                doc! { "filter": {}, "replacement": { "a": 1 }, "sort": { "a": 1 } },
            ),
            (
                "deleteOne",
                doc! { "filter": {}, "collation": { "locale": "en" } },
            ),
            ("deleteMany", doc! { "filter": {} }),
        ] {
            let read: Result<Write, _> = bson::deserialize_from_document(doc! { kind: fields });
            let name = format!("{:?}", read.unwrap());
            assert!(
                name.to_lowercase().starts_with(&kind.to_lowercase()),
                "{kind}: {name}"
            );
        }
    }

    #[test]
    fn a_namespace_makes_it_a_model_of_the_client_with_every_option_kept() {
        let namespace = Namespace::new("d", "c");
        let collation = Collation::builder().locale("en").build();
        let update = UpdateOne::new(doc! { "a": 1 }, doc! { "$set": { "b.$[i]": 2 } })
            .array_filters([doc! { "i": 1 }])
            .collation(collation)
            .hint(Hint::Name("a_1".into()))
            .upsert(true)
            .sort(doc! { "c": 1 });
        let model = Write::<Document>::from(update).in_namespace(namespace.clone());
        let WriteModel::UpdateOne(model) = model.unwrap() else {
            panic!("an update stays one");
        };
        assert_eq!(model.namespace, namespace);
        let wanted = doc! {
            "filter": { "a": 1 }, "updateMods": { "$set": { "b.$[i]": 2 } },
            "arrayFilters": [{ "i": 1 }], "collation": { "locale": "en" }, "hint": "a_1",
            "upsert": true, "sort": { "c": 1 },
        };
        assert_eq!(bson::serialize_to_document(&model).unwrap(), wanted);
    }
}
