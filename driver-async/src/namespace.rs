//! The name of a collection together with its database.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};

/// The name of a collection together with its database, written `db.coll`.
///
/// The database name ends at the first dot; a collection's name may hold more of them.
///
/// ```
/// use motorcade::Namespace;
///
/// let namespace: Namespace = "app.system.views".parse().unwrap();
/// assert_eq!((namespace.db.as_str(), namespace.coll.as_str()), ("app", "system.views"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Namespace {
    /// The database's name.
    pub db: String,
    /// The collection's name.
    pub coll: String,
}

impl Namespace {
    /// A namespace of these two names.
    pub fn new(db: impl Into<String>, coll: impl Into<String>) -> Self {
        Self {
            db: db.into(),
            coll: coll.into(),
        }
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.db, self.coll)
    }
}

impl FromStr for Namespace {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once('.') {
            Some((db, coll)) if !db.is_empty() && !coll.is_empty() => Ok(Self::new(db, coll)),
            _ => Err(Error::invalid_argument(format!(
                "invalid namespace {text:?}: write it as <database>.<collection>"
            ))),
        }
    }
}

impl Serialize for Namespace {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Namespace {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}
