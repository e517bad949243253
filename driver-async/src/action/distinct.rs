//! Distinct values.

use std::time::Duration;

use bson::{Bson, Document};
use serde::de::DeserializeOwned;

use super::{
    action, explainable, option_setters,
    sessions::{handle, session_setter, within},
};
use crate::{
    collection::{Collection, CollectionHandle},
    error::Result,
    exec,
    operation::{self, ReadValues},
    options::{Collation, DistinctOptions, Hint, ReadConcern, SelectionCriteria},
    session::ClientSession,
};

/// Finds the distinct values of a field; see [`Collection::distinct`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct Distinct<'a, T = Bson> {
    collection: &'a CollectionHandle,
    field_name: String,
    filter: Document,
    options: DistinctOptions,
    read: ReadValues<T>,
    session: Option<&'a mut ClientSession>,
}

impl<T: Send + Sync> Collection<T> {
    /// The distinct values of a field among the documents that match a filter.
    ///
    /// They are [`Bson`] values unless [`Distinct::with_type`] gives them another type. See
    /// "distinct" among the database commands of the server's manual.
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
            read: operation::bson_values,
            session: None,
        }
    }
}

impl<'a, T> Distinct<'a, T> {
    session_setter! {}

    option_setters! { DistinctOptions {
        timeout: Duration,
        max_time: Duration,
        selection_criteria: SelectionCriteria,
        read_concern: ReadConcern,
        collation: Collation,
        hint: Hint,
        raw_data: bool,
    } into { comment: Bson, } }

    /// Gives the values another type than [`Bson`].
    ///
    /// A value that is not of type `U` makes the whole operation fail with a BSON error.
    ///
    /// ```no_run
    /// # use motorcade::{Collection, bson::{Document, doc}};
    /// # async fn example(people: Collection<Document>) -> motorcade::error::Result<()> {
    /// let towns = people.distinct("town", doc! {}).with_type::<String>().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_type<U: DeserializeOwned>(self) -> Distinct<'a, U> {
        Distinct {
            collection: self.collection,
            field_name: self.field_name,
            filter: self.filter,
            options: self.options,
            read: operation::typed_values,
            session: self.session,
        }
    }

    fn operation(self) -> operation::Distinct<'a, T> {
        let scope = within(&self.session, self.collection.scope());
        operation::Distinct::new(scope, self.field_name, self.filter, self.options, self.read)
    }
}

explainable! { impl['a, T: 'a] Distinct<'a, T>, |self| self.collection.executor(), Ok(self.operation()) }

action! { impl['a, T: Send + 'a] Distinct<'a, T> => Result<Vec<T>>, |self| {
    let executor = self.collection.executor();
    let session = handle(&self.session);
    exec::execute_in(executor, session, &mut self.operation()).await
} }
