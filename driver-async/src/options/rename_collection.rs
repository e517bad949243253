//! The options of renaming a collection.

use std::time::Duration;

use bson::Bson;
use serde::Deserialize;
use typed_builder::TypedBuilder;

use super::WriteConcern;
use crate::namespace::Namespace;

/// Options of [`Collection::rename`](crate::Collection::rename).
///
/// See "renameCollection" among the database commands of the server's manual. What is absent is
/// not sent.
#[derive(Clone, Debug, Default, Deserialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct RenameCollectionOptions {
    /// Whether a collection that has the new name already is dropped. The server's default is no,
    /// and an error.
    pub drop_target: Option<bool>,
    /// How many members must have done this; the collection's when absent.
    pub write_concern: Option<WriteConcern>,
    /// Goes with the command into the server's logs and profile. Needs a server of version 4.4.
    pub comment: Option<Bson>,
    /// How long the operation may take as a whole; the collection's when absent, zero for no
    /// limit. See [`ClientOptions::timeout`](super::ClientOptions::timeout).
    #[serde(
        rename = "timeoutMS",
        alias = "timeout",
        with = "crate::options::serde_shapes::millis"
    )]
    pub timeout: Option<Duration>,
}

/// The new name of a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RenameTarget {
    /// A name in the same database.
    Name(String),
    /// A name in any database.
    Namespace(Namespace),
}

impl RenameTarget {
    /// The target of a collection that is in `database`.
    pub(crate) fn in_database(self, database: &str) -> Namespace {
        match self {
            Self::Name(name) => Namespace::new(database, name),
            Self::Namespace(namespace) => namespace,
        }
    }
}

impl From<String> for RenameTarget {
    fn from(name: String) -> Self {
        Self::Name(name)
    }
}

impl From<&String> for RenameTarget {
    fn from(name: &String) -> Self {
        Self::Name(name.clone())
    }
}

impl From<&str> for RenameTarget {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

impl From<Namespace> for RenameTarget {
    fn from(namespace: Namespace) -> Self {
        Self::Namespace(namespace)
    }
}
