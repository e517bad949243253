//! `distinct`.

use bson::{Bson, Document};

use super::{Operation, Retryability, Scope, Selection, Target};
use crate::{
    error::{Error, Result},
    options::{DistinctOptions, ReadConcern},
    proto::wire::{DocumentWriter, Reply},
};

/// Finds the different values of a field.
#[derive(Debug)]
pub(crate) struct Distinct<'a> {
    scope: Scope<'a>,
    field: String,
    filter: Document,
    options: DistinctOptions,
}

impl<'a> Distinct<'a> {
    pub(crate) fn new(
        scope: Scope<'a>,
        field: String,
        filter: Document,
        options: DistinctOptions,
    ) -> Self {
        Self {
            scope,
            field,
            filter,
            options,
        }
    }
}

impl Operation for Distinct<'_> {
    type Output = Vec<Bson>;

    fn name(&self) -> &str {
        "distinct"
    }

    fn database(&self) -> &str {
        self.scope.database
    }

    fn retryability(&self) -> Retryability {
        Retryability::Read
    }

    fn selection(&self) -> Selection<'_> {
        let own = self.options.selection_criteria.as_ref();
        Selection::of(own.or(self.scope.selection_criteria))
    }

    fn read_concern(&self) -> Option<&ReadConcern> {
        let own = self.options.read_concern.as_ref();
        own.or(self.scope.read_concern)
    }

    fn write(&mut self, command: &mut DocumentWriter<'_>, target: &Target<'_>) -> Result<()> {
        let options = &self.options;
        command.append_str("distinct", self.scope.collection)?;
        command.append_str("key", &self.field)?;
        command.append_document("query", &self.filter)?;
        command.max_time(options.max_time)?;
        command.collation(options.collation.as_ref())?;
        command.optional_bson("comment", options.comment.as_ref())?;
        command.hint(options.hint.as_ref())?;
        command.raw_data(options.raw_data, target)
    }

    fn reply(&mut self, reply: &Reply, _target: &Target<'_>) -> Result<Vec<Bson>> {
        let values = reply.document().get_array("values").map_err(|error| {
            Error::invalid_response("the reply has no array of values").with_source(error.into())
        })?;
        let values = values.into_iter().map(|value| {
            value.and_then(Bson::try_from).map_err(|error| {
                Error::invalid_response("a value is no valid BSON").with_source(error.into())
            })
        });
        values.collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bson::doc;

    use super::*;
    use crate::{
        operation::tests::{replied, scope, written_for_newest},
        options::{Collation, Hint},
    };

    #[test]
    fn every_option_is_sent_and_the_values_are_read() {
        let options = DistinctOptions::builder()
            .max_time(Duration::from_millis(5))
            .collation(Collation::builder().locale("en").build())
            .comment(Bson::Int32(1))
            .hint(Hint::Name("x".into()))
            .raw_data(true)
            .build();
        let mut operation = Distinct::new(scope(), "a.b".into(), doc! { "x": 1 }, options);
        let wanted = doc! {
            "distinct": "c", "key": "a.b", "query": { "x": 1 }, "maxTimeMS": 5,
            "collation": { "locale": "en" }, "comment": 1, "hint": "x", "rawData": true,
        };
        assert_eq!(written_for_newest(&mut operation), wanted);
        let values = replied(&mut operation, &doc! { "values": [1, "two", { "t": 3 }] }).unwrap();
        assert_eq!(
            values,
            [Bson::Int32(1), "two".into(), doc! { "t": 3 }.into()]
        );
        assert!(replied(&mut operation, &doc! { "values": {} }).is_err());
        assert!(replied(&mut operation, &doc! {}).is_err());
    }
}
