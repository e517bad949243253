//! `createIndexes`.

use super::{Operation, Scope, Target, WIRE_4_4, fields::check_write_concern};
use crate::{
    error::{Error, Result},
    options::{CreateIndexOptions, IndexModel, WriteConcern},
    proto::{
        session::InSession,
        timeout::Timeout,
        wire::{DocumentWriter, Reply},
    },
};

/// Makes indexes.
#[derive(Debug)]
pub(crate) struct CreateIndexes<'a> {
    scope: Scope<'a>,
    indexes: Vec<IndexModel>,
    options: CreateIndexOptions,
}

impl<'a> CreateIndexes<'a> {
    /// # Errors
    /// An invalid-argument error when there is no index, or one has no keys.
    pub(crate) fn new(
        scope: Scope<'a>,
        indexes: Vec<IndexModel>,
        options: CreateIndexOptions,
    ) -> Result<Self> {
        if indexes.is_empty() {
            return Err(Error::invalid_argument(
                "there is no index to create; give at least one",
            ));
        }
        if indexes.iter().any(|index| index.keys.is_empty()) {
            return Err(Error::invalid_argument(
                "an index has no keys; give at least one field, such as { \"age\": 1 }",
            ));
        }
        Ok(Self {
            scope,
            indexes,
            options,
        })
    }

    fn names(&self) -> Vec<String> {
        let names = self.indexes.iter().map(|index| index.name().into_owned());
        names.collect()
    }
}

impl Operation for CreateIndexes<'_> {
    /// The indexes' names.
    type Output = Vec<String>;

    fn name(&self) -> &str {
        "createIndexes"
    }

    fn database(&self) -> &str {
        self.scope.database
    }

    fn in_session(&self) -> InSession {
        InSession::Consistent
    }

    fn timeout(&self) -> Timeout {
        self.scope.timeout.or_own(self.options.timeout)
    }

    fn write_concern(&self) -> Option<&WriteConcern> {
        let own = self.options.write_concern.as_ref();
        own.or(self.scope.write_concern)
    }

    fn write(&mut self, command: &mut DocumentWriter<'_>, target: &Target<'_>) -> Result<()> {
        let options = &self.options;
        command.append_str("createIndexes", self.scope.collection)?;
        command.append_array_with("indexes", |indexes| {
            for (place, index) in self.indexes.iter().enumerate() {
                // Not by way of a `Document`: one that is made by serde takes what looks like
                // extended JSON for the type that this would stand for.
                let fields = bson::serialize_to_raw_document_buf(index).map_err(|error| {
                    let text = format!("the index {:?} cannot be written", index.name());
                    Error::invalid_argument(text).with_source(error.into())
                })?;
                indexes.append_document_with(&place.to_string(), |document| {
                    document.append_elements_of(&fields)?;
                    match fields.get("name")? {
                        Some(_) => Ok(()),
                        None => document.append_str("name", &index.name()),
                    }
                })?;
            }
            Ok(())
        })?;
        if let Some(quorum) = &options.commit_quorum {
            if target.max_wire_version < WIRE_4_4 {
                return Err(Error::invalid_argument(
                    "a commit quorum needs a server of version 4.4 or later; leave it out",
                ));
            }
            command.append_bson("commitQuorum", &quorum.to_bson())?;
        }
        command.max_time(options.max_time, target)?;
        command.raw_data(options.raw_data, target)?;
        command.optional_bson("comment", options.comment.as_ref())
    }

    fn reply(&mut self, reply: &Reply, _target: &Target<'_>) -> Result<Vec<String>> {
        check_write_concern(reply.document())?;
        Ok(self.names())
    }

    fn unacknowledged(&mut self) -> Result<Vec<String>> {
        Ok(self.names())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bson::doc;

    use super::*;
    use crate::{
        operation::tests::{replied, scope, target, written, written_for, written_for_newest},
        options::{CommitQuorum, IndexOptions},
    };

    #[test]
    fn every_index_goes_with_its_name_and_options() {
        let indexes = vec![
            IndexModel::builder().keys(doc! { "a": 1 }).build(),
            IndexModel::builder()
                .keys(doc! { "b": -1 })
                .options(
                    IndexOptions::builder()
                        .unique(true)
                        .expire_after(Duration::from_secs(60))
                        .name("mine".to_owned())
                        .build(),
                )
                .build(),
        ];
        let options = CreateIndexOptions::builder()
            .commit_quorum(CommitQuorum::VotingMembers)
            .max_time(Duration::from_millis(5))
            .comment(bson::Bson::Int32(1))
            .build();
        let mut operation = CreateIndexes::new(scope(), indexes, options).unwrap();
        let wanted = doc! {
            "createIndexes": "c",
            "indexes": [
                { "key": { "a": 1 }, "name": "a_1" },
                { "key": { "b": -1 }, "expireAfterSeconds": 60, "name": "mine", "unique": true },
            ],
            "commitQuorum": "votingMembers", "maxTimeMS": 5, "comment": 1,
        };
        assert_eq!(written(&mut operation), wanted);
        assert_eq!(
            replied(&mut operation, &doc! { "ok": 1 }).unwrap(),
            ["a_1", "mine"]
        );
        let old = Target {
            max_wire_version: 8,
            ..target()
        };
        assert!(written_for(&mut operation, &old).is_err());
    }

    #[test]
    fn documents_that_look_like_extended_json_go_as_they_are() {
        let filter = doc! { "a": { "$eq": { "$numberLong": "5" } } };
        let index = IndexModel::builder().keys(doc! { "a": 1 }).options(
            IndexOptions::builder()
                .partial_filter_expression(filter.clone())
                .build(),
        );
        let options = CreateIndexOptions::default();
        let mut operation = CreateIndexes::new(scope(), vec![index.build()], options).unwrap();
        let wanted = doc! { "key": { "a": 1 }, "partialFilterExpression": filter, "name": "a_1" };
        let wanted = doc! { "createIndexes": "c", "indexes": [wanted] };
        assert_eq!(written(&mut operation), wanted);
    }

    #[test]
    fn what_is_no_index_is_refused_before_anything_is_sent() {
        let options = CreateIndexOptions::default();
        assert!(CreateIndexes::new(scope(), vec![], options.clone()).is_err());
        let keyless = vec![IndexModel::default()];
        assert!(CreateIndexes::new(scope(), keyless, options.clone()).is_err());
        let null = vec![IndexModel::builder().keys(doc! { "a\0b": 1 }).build()];
        let mut operation = CreateIndexes::new(scope(), null, options).unwrap();
        assert!(written_for(&mut operation, &target()).is_err());
    }

    #[test]
    fn only_a_server_that_knows_raw_data_is_told_of_it() {
        let indexes = vec![IndexModel::builder().keys(doc! { "x": 1 }).build()];
        let options = CreateIndexOptions::builder().raw_data(true).build();
        let mut operation = CreateIndexes::new(scope(), indexes, options).unwrap();
        let command = written_for_newest(&mut operation);
        assert!(command.get_bool("rawData").unwrap());
        assert!(!written(&mut operation).contains_key("rawData"));
    }
}
