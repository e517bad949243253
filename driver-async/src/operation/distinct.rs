//! `distinct`.

use bson::{Bson, Document, RawArray, RawDocument};
use serde::{Deserialize, de::DeserializeOwned};

use super::{Operation, Retryability, Scope, Selection, Target};
use crate::{
    error::{Error, Result},
    options::{DistinctOptions, ReadConcern},
    proto::{
        session::InSession,
        timeout::Timeout,
        wire::{DocumentWriter, Reply},
    },
};

/// Finds the different values of a field, as values of type `T`.
#[derive(Debug)]
pub(crate) struct Distinct<'a, T> {
    scope: Scope<'a>,
    field: String,
    filter: Document,
    options: DistinctOptions,
    read: ReadValues<T>,
}

/// Reads the values out of a reply.
pub(crate) type ReadValues<T> = fn(&RawDocument) -> Result<Vec<T>>;

impl<'a, T> Distinct<'a, T> {
    pub(crate) fn new(
        scope: Scope<'a>,
        field: String,
        filter: Document,
        options: DistinctOptions,
        read: ReadValues<T>,
    ) -> Self {
        Self {
            scope,
            field,
            filter,
            options,
            read,
        }
    }
}

/// Reads values as they are. Through serde, [`Bson`] would take a document such as
/// `{ "$oid": .. }` for extended JSON.
pub(crate) fn bson_values(reply: &RawDocument) -> Result<Vec<Bson>> {
    let values = values(reply)?.into_iter().map(|value| {
        value.and_then(Bson::try_from).map_err(|error| {
            Error::invalid_response("a value is no valid BSON").with_source(error.into())
        })
    });
    values.collect()
}

/// Reads values of a type of the caller's.
pub(crate) fn typed_values<T: DeserializeOwned>(reply: &RawDocument) -> Result<Vec<T>> {
    #[derive(Deserialize)]
    #[serde(bound = "T: DeserializeOwned")]
    struct Holder<T> {
        values: Vec<T>,
    }
    // Looked at first, so that a fault of the server is not taken for one of the caller's type.
    values(reply)?;
    let Holder { values } = bson::deserialize_from_slice(reply.as_bytes())?;
    Ok(values)
}

fn values(reply: &RawDocument) -> Result<&RawArray> {
    reply.get_array("values").map_err(|error| {
        Error::invalid_response("the reply has no array of values").with_source(error.into())
    })
}

impl<T> Operation for Distinct<'_, T> {
    type Output = Vec<T>;

    fn name(&self) -> &str {
        "distinct"
    }

    fn database(&self) -> &str {
        self.scope.database
    }

    fn timeout(&self) -> Timeout {
        self.scope.timeout.or_own(self.options.timeout)
    }

    fn in_session(&self) -> InSession {
        InSession::Consistent
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
        command.max_time(options.max_time, target)?;
        command.collation(options.collation.as_ref())?;
        command.optional_bson("comment", options.comment.as_ref())?;
        command.hint(options.hint.as_ref())?;
        command.raw_data(options.raw_data, target)
    }

    fn reply(&mut self, reply: &Reply, _target: &Target<'_>) -> Result<Vec<T>> {
        (self.read)(reply.document())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bson::doc;

    use super::*;
    use crate::{
        error::ErrorKind,
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
        let filter = doc! { "x": 1 };
        let mut operation = Distinct::new(scope(), "a.b".into(), filter, options, bson_values);
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
    }

    #[test]
    fn values_are_typed_and_a_wrong_type_is_not_taken_for_a_wrong_reply() {
        let options = DistinctOptions::default();
        let mut operation =
            Distinct::new(scope(), "a".into(), doc! {}, options, typed_values::<u32>);
        let values = replied(&mut operation, &doc! { "values": [1, 2_i64], "ok": 1 });
        assert_eq!(values.unwrap(), [1, 2]);
        let error = replied(&mut operation, &doc! { "values": [1, "two"] }).unwrap_err();
        assert!(matches!(*error.kind, ErrorKind::Bson(_)), "{error:?}");
        for reply in [doc! { "values": {} }, doc! {}] {
            let error = replied(&mut operation, &reply).unwrap_err();
            assert!(matches!(*error.kind, ErrorKind::InvalidResponse { .. }));
        }
    }

    #[test]
    fn every_type_of_bson_is_given_as_it_came() {
        let values = vec![
            Bson::Double(1.5),
            Bson::Null,
            Bson::ObjectId(bson::oid::ObjectId::new()),
            Bson::DateTime(bson::DateTime::from_millis(-1)),
            Bson::Timestamp(bson::Timestamp {
                time: 1,
                increment: 2,
            }),
            Bson::Decimal128("1.25".parse().unwrap()),
            Bson::Binary(bson::Binary {
                subtype: bson::spec::BinarySubtype::Uuid,
                bytes: vec![7; 16],
            }),
            Bson::Symbol("s".into()),
            Bson::JavaScriptCode("x".into()),
            Bson::Undefined,
            Bson::MinKey,
            Bson::MaxKey,
            Bson::Array(vec![Bson::Int64(1)]),
            Bson::Document(doc! { "$oid": "no object id" }),
        ];
        let options = DistinctOptions::default();
        let mut operation = Distinct::new(scope(), "a".into(), doc! {}, options, bson_values);
        let reply = doc! { "values": values.clone() };
        assert_eq!(replied(&mut operation, &reply).unwrap(), values);
    }
}
