//! The arguments of an operation: each is taken out once, and what is left over is an error.

use std::time::Duration;

use bson::{Bson, Document};
use motorcade::options::{ReturnDocument, SelectionCriteria};
use serde::de::DeserializeOwned;

/// What a test file gives an operation.
#[derive(Clone, Debug, Default)]
pub struct Arguments {
    operation: String,
    left: Document,
}

impl Arguments {
    /// The arguments of the operation of that name.
    pub fn new(operation: &str, arguments: Document) -> Self {
        Self {
            operation: operation.to_owned(),
            left: arguments,
        }
    }

    /// Takes an argument that need not be there.
    ///
    /// # Errors
    ///
    /// Fails on a value of the wrong type.
    pub fn take<T: FromArgument>(&mut self, name: &str) -> Result<Option<T>, String> {
        let Some(value) = self.left.remove(name) else {
            return Ok(None);
        };
        match T::from_argument(value) {
            Ok(value) => Ok(Some(value)),
            Err(why) => Err(format!("{}: argument `{name}`: {why}", self.operation)),
        }
    }

    /// Takes an argument that must be there.
    ///
    /// # Errors
    ///
    /// Fails when it is absent or of the wrong type.
    pub fn need<T: FromArgument>(&mut self, name: &str) -> Result<T, String> {
        self.take(name)?
            .ok_or_else(|| format!("{}: argument `{name}` is absent", self.operation))
    }

    /// Ends the taking.
    ///
    /// # Errors
    ///
    /// Names the arguments that nobody has taken: ones that the operation does not know.
    pub fn finish(self) -> Result<(), String> {
        if self.left.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = self.left.keys().map(|name| format!("`{name}`")).collect();
        Err(format!(
            "{}: unsupported argument {}",
            self.operation,
            names.join(", ")
        ))
    }
}

/// Gives an action the options that its arguments name, each through its setter, and refuses
/// arguments that are left: `with_arguments!(people.find(filter), arguments, { "limit" => limit })`.
/// A setter that takes several types is told which: `"comment" => comment: Bson`.
macro_rules! with_arguments {
    ($action:expr, $arguments:ident, {
        $($name:literal => $setter:ident $(: $type:ty)?),* $(,)?
    }) => {{
        let action = $action;
        $(let action = action.optional(
            $arguments.take$(::<$type>)?($name)?,
            |action, value| action.$setter(value),
        );)*
        $arguments.finish()?;
        action
    }};
}

pub(crate) use with_arguments;

/// A value that an argument can be.
pub trait FromArgument: Sized {
    /// Reads the value.
    ///
    /// # Errors
    ///
    /// Says what was expected.
    fn from_argument(value: Bson) -> Result<Self, String>;
}

impl FromArgument for Bson {
    fn from_argument(value: Bson) -> Result<Self, String> {
        Ok(value)
    }
}

/// A time that is a number of seconds.
#[derive(Clone, Copy, Debug)]
pub struct Seconds(pub Duration);

impl FromArgument for Seconds {
    fn from_argument(value: Bson) -> Result<Self, String> {
        deserialise(value).map(|seconds| Self(Duration::from_secs(seconds)))
    }
}

/// Files write it with or without a capital.
impl FromArgument for ReturnDocument {
    fn from_argument(value: Bson) -> Result<Self, String> {
        match value {
            Bson::String(text) => deserialise(text.to_lowercase().into()),
            other => Err(format!("expected `Before` or `After`, found {other}")),
        }
    }
}

/// Times are numbers of milliseconds.
impl FromArgument for Duration {
    fn from_argument(value: Bson) -> Result<Self, String> {
        deserialise(value).map(Self::from_millis)
    }
}

impl FromArgument for SelectionCriteria {
    fn from_argument(value: Bson) -> Result<Self, String> {
        deserialise(value)
    }
}

impl<T: FromArgument> FromArgument for Vec<T> {
    fn from_argument(value: Bson) -> Result<Self, String> {
        match value {
            Bson::Array(values) => values.into_iter().map(T::from_argument).collect(),
            other => Err(format!("expected an array, found {other}")),
        }
    }
}

macro_rules! deserialised {
    ($($type:ty),* $(,)?) => {
        $(impl FromArgument for $type {
            fn from_argument(value: Bson) -> Result<Self, String> {
                deserialise(value)
            }
        })*
    };
}

deserialised!(
    bool,
    f64,
    i32,
    i64,
    u32,
    u64,
    usize,
    String,
    Document,
    bson::Timestamp,
    motorcade::options::ChangeStreamPreAndPostImages,
    motorcade::options::ClusteredIndex,
    motorcade::options::Collation,
    motorcade::options::CommitQuorum,
    motorcade::options::CursorTimeoutMode,
    motorcade::options::CursorType,
    motorcade::options::Expiry,
    motorcade::options::FullDocumentBeforeChangeType,
    motorcade::options::FullDocumentType,
    motorcade::options::Hint,
    motorcade::options::IndexOptionDefaults,
    motorcade::options::IndexModification,
    motorcade::options::ReadConcern,
    motorcade::options::ResumeToken,
    motorcade::options::AggregateOptions,
    motorcade::options::SearchIndexModel,
    motorcade::options::TimeseriesModification,
    motorcade::options::TimeseriesOptions,
    motorcade::options::UpdateModifications,
    motorcade::options::ValidationAction,
    motorcade::options::ValidationLevel,
    motorcade::options::WriteConcern,
);

fn deserialise<T: DeserializeOwned>(value: Bson) -> Result<T, String> {
    bson::deserialize_from_bson(value).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    #[test]
    fn what_nobody_takes_is_named() {
        let mut arguments = Arguments::new("find", doc! { "limit": 3, "foo": 1, "bar": 2 });
        assert_eq!(arguments.take("limit"), Ok(Some(3_i64)));
        assert_eq!(arguments.take::<u64>("skip"), Ok(None));
        assert_eq!(
            arguments.finish(),
            Err("find: unsupported argument `foo`, `bar`".to_owned())
        );
    }

    #[test]
    fn a_missing_or_mistyped_argument_is_named() {
        let mut arguments = Arguments::new("find", doc! { "limit": "x" });
        let why = arguments.take::<i64>("limit").unwrap_err();
        assert!(why.starts_with("find: argument `limit`: "), "{why}");
        assert_eq!(
            arguments.need::<Document>("filter"),
            Err("find: argument `filter` is absent".to_owned())
        );
    }
}
