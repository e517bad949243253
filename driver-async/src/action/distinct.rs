//! Distinct values.

use std::time::Duration;

use bson::{Bson, Document};

use super::{action, option_setters};
use crate::{
    collection::{Collection, CollectionHandle},
    error::Result,
    exec, operation,
    options::{Collation, DistinctOptions, Hint, ReadConcern, SelectionCriteria},
};

/// Finds the distinct values of a field; see [`Collection::distinct`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct Distinct<'a> {
    collection: &'a CollectionHandle,
    field_name: String,
    filter: Document,
    options: DistinctOptions,
}

impl<T: Send + Sync> Collection<T> {
    /// The distinct values of a field among the documents that match a filter.
    ///
    /// # Errors
    /// The server's, among them one for values of more than 16 MiB in all; those of selection and
    /// network.
    pub fn distinct(&self, field_name: impl AsRef<str>, filter: Document) -> Distinct<'_> {
        Distinct {
            collection: self.handle(),
            field_name: field_name.as_ref().to_owned(),
            filter,
            options: DistinctOptions::default(),
        }
    }
}

impl Distinct<'_> {
    option_setters! { DistinctOptions {
        max_time: Duration,
        selection_criteria: SelectionCriteria,
        read_concern: ReadConcern,
        collation: Collation,
        hint: Hint,
        raw_data: bool,
    } into { comment: Bson, } }
}

action! { impl['a] Distinct<'a> => Result<Vec<Bson>>, |self| {
    let Self { collection, field_name, filter, options } = self;
    let scope = collection.scope();
    let mut operation = operation::Distinct::new(scope, field_name, filter, options);
    exec::execute(collection.executor(), &mut operation).await
} }
