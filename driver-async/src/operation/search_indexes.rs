//! `createSearchIndexes`, `updateSearchIndex`, `dropSearchIndex`, and the listing of search indexes.
//!
//! They take no concerns ("Where are read concern and write concern?" in the index management
//! specification): servers hand them to a process of its own, and refuse either.

use bson::{Document, RawBsonRef, doc};

use super::{Aggregate, NAMESPACE_NOT_FOUND, Operation, Scope, Source, Target};
use crate::{
    error::{Error, Result},
    options::{AggregateOptions, SearchIndexModel},
    proto::{
        timeout::Timeout,
        wire::{DocumentWriter, Reply},
    },
};

/// Makes search indexes.
#[derive(Debug)]
pub(crate) struct CreateSearchIndexes<'a> {
    scope: Scope<'a>,
    models: Vec<SearchIndexModel>,
}

/// Replaces the definition of a search index.
#[derive(Debug)]
pub(crate) struct UpdateSearchIndex<'a> {
    scope: Scope<'a>,
    name: String,
    definition: Document,
}

/// Drops a search index.
#[derive(Debug)]
pub(crate) struct DropSearchIndex<'a> {
    scope: Scope<'a>,
    name: String,
}

impl<'a> CreateSearchIndexes<'a> {
    pub(crate) fn new(scope: Scope<'a>, models: Vec<SearchIndexModel>) -> Self {
        Self { scope, models }
    }
}

impl<'a> UpdateSearchIndex<'a> {
    pub(crate) fn new(scope: Scope<'a>, name: String, definition: Document) -> Self {
        Self {
            scope,
            name,
            definition,
        }
    }
}

impl<'a> DropSearchIndex<'a> {
    pub(crate) fn new(scope: Scope<'a>, name: String) -> Self {
        Self { scope, name }
    }
}

/// Lists search indexes, all of them or the one of that name.
pub(crate) fn list_search_indexes(
    scope: Scope<'_>,
    name: Option<String>,
    options: AggregateOptions,
) -> Aggregate<'_> {
    let named = name.map_or_else(Document::new, |name| doc! { "name": name });
    let scope = Scope {
        read_concern: None,
        write_concern: None,
        ..scope
    };
    let options = AggregateOptions {
        read_concern: None,
        write_concern: None,
        ..options
    };
    let pipeline = vec![doc! { "$listSearchIndexes": named }];
    Aggregate::new(scope, Source::Collection, pipeline, options)
}

impl Operation for CreateSearchIndexes<'_> {
    /// The indexes' names.
    type Output = Vec<String>;

    fn name(&self) -> &str {
        "createSearchIndexes"
    }

    fn database(&self) -> &str {
        self.scope.database
    }

    fn timeout(&self) -> Timeout {
        self.scope.timeout
    }

    fn write(&mut self, command: &mut DocumentWriter<'_>, _target: &Target<'_>) -> Result<()> {
        command.append_str("createSearchIndexes", self.scope.collection)?;
        command.append_array_with("indexes", |indexes| {
            for (place, model) in self.models.iter().enumerate() {
                let model = bson::serialize_to_raw_document_buf(model)?;
                indexes.append_raw_document(&place.to_string(), &model)?;
            }
            Ok(())
        })
    }

    fn reply(&mut self, reply: &Reply, _target: &Target<'_>) -> Result<Vec<String>> {
        let created = reply.document().get_array("indexesCreated");
        let created = created.map_err(|error| {
            Error::invalid_response("the reply has no array of created indexes")
                .with_source(error.into())
        })?;
        let names = created.into_iter().map(|index| match index {
            Ok(RawBsonRef::Document(index)) => index.get_str("name").ok().map(str::to_owned),
            _ => None,
        });
        let names: Option<Vec<_>> = names.collect();
        names
            .filter(|names| names.len() == self.models.len())
            .ok_or_else(|| Error::invalid_response("the reply does not name each created index"))
    }
}

impl Operation for UpdateSearchIndex<'_> {
    type Output = ();

    fn name(&self) -> &str {
        "updateSearchIndex"
    }

    fn database(&self) -> &str {
        self.scope.database
    }

    fn timeout(&self) -> Timeout {
        self.scope.timeout
    }

    fn write(&mut self, command: &mut DocumentWriter<'_>, _target: &Target<'_>) -> Result<()> {
        command.append_str("updateSearchIndex", self.scope.collection)?;
        command.append_str("name", &self.name)?;
        command.append_document("definition", &self.definition)
    }

    fn reply(&mut self, _reply: &Reply, _target: &Target<'_>) -> Result<()> {
        Ok(())
    }
}

impl Operation for DropSearchIndex<'_> {
    type Output = ();

    fn name(&self) -> &str {
        "dropSearchIndex"
    }

    fn database(&self) -> &str {
        self.scope.database
    }

    fn timeout(&self) -> Timeout {
        self.scope.timeout
    }

    fn write(&mut self, command: &mut DocumentWriter<'_>, _target: &Target<'_>) -> Result<()> {
        command.append_str("dropSearchIndex", self.scope.collection)?;
        command.append_str("name", &self.name)
    }

    fn reply(&mut self, _reply: &Reply, _target: &Target<'_>) -> Result<()> {
        Ok(())
    }

    /// Dropping twice is no error, says the index management specification.
    fn refused(&mut self, error: Error) -> Result<()> {
        if error.code() == Some(NAMESPACE_NOT_FOUND) {
            return Ok(());
        }
        Err(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        operation::tests::{replied, scope, written},
        options::{ReadConcern, SearchIndexType, WriteConcern},
    };

    #[test]
    fn each_index_goes_with_what_is_given_of_it() {
        let models = vec![
            SearchIndexModel::builder()
                .definition(doc! { "mappings": { "dynamic": true } })
                .build(),
            SearchIndexModel::builder()
                .definition(doc! { "fields": [] })
                .name("mine".to_owned())
                .index_type(SearchIndexType::VectorSearch)
                .build(),
        ];
        let mut operation = CreateSearchIndexes::new(scope(), models);
        let wanted = doc! {
            "createSearchIndexes": "c",
            "indexes": [
                { "definition": { "mappings": { "dynamic": true } } },
                { "definition": { "fields": [] }, "name": "mine", "type": "vectorSearch" },
            ],
        };
        assert_eq!(written(&mut operation), wanted);
        let named = |names: &[&str]| {
            let created = names.iter().map(|name| doc! { "id": "1", "name": name });
            doc! { "ok": 1, "indexesCreated": created.collect::<Vec<_>>() }
        };
        let names = replied(&mut operation, &named(&["default", "mine"])).unwrap();
        assert_eq!(names, ["default", "mine"]);
        for reply in [
            named(&["mine"]),
            doc! { "ok": 1 },
            doc! { "ok": 1, "indexesCreated": [{ "name": 1 }, { "name": "x" }] },
            doc! { "ok": 1, "indexesCreated": ["default", "mine"] },
        ] {
            assert!(replied(&mut operation, &reply).is_err(), "{reply}");
        }
    }

    #[test]
    fn the_server_decides_about_no_index_at_all() {
        let mut operation = CreateSearchIndexes::new(scope(), vec![]);
        let wanted = doc! { "createSearchIndexes": "c", "indexes": [] };
        assert_eq!(written(&mut operation), wanted);
    }

    #[test]
    fn an_index_is_updated_and_dropped_by_its_name() {
        let mut update = UpdateSearchIndex::new(scope(), "mine".into(), doc! { "a": 1 });
        let wanted = doc! { "updateSearchIndex": "c", "name": "mine", "definition": { "a": 1 } };
        assert_eq!(written(&mut update), wanted);
        let mut drop = DropSearchIndex::new(scope(), "mine".into());
        assert_eq!(
            written(&mut drop),
            doc! { "dropSearchIndex": "c", "name": "mine" }
        );
    }

    #[test]
    fn the_collections_concerns_are_not_inherited() {
        let (reads, writes) = (ReadConcern::majority(), WriteConcern::majority());
        let scope = Scope {
            read_concern: Some(&reads),
            write_concern: Some(&writes),
            ..scope()
        };
        let create = CreateSearchIndexes::new(scope, vec![]);
        assert!(create.read_concern().is_none() && create.write_concern().is_none());
        let update = UpdateSearchIndex::new(scope, String::new(), doc! {});
        assert!(update.read_concern().is_none() && update.write_concern().is_none());
        let drop = DropSearchIndex::new(scope, String::new());
        assert!(drop.read_concern().is_none() && drop.write_concern().is_none());
        let options = AggregateOptions::builder()
            .read_concern(reads.clone())
            .build();
        let list = list_search_indexes(scope, None, options);
        assert!(list.read_concern().is_none() && list.write_concern().is_none());
    }

    #[test]
    fn the_listing_is_an_aggregation_with_its_options() {
        let options = AggregateOptions::builder().batch_size(10).build();
        let mut one = list_search_indexes(scope(), Some("mine".into()), options);
        let wanted = doc! {
            "aggregate": "c", "pipeline": [{ "$listSearchIndexes": { "name": "mine" } }],
            "cursor": { "batchSize": 10 },
        };
        assert_eq!(written(&mut one), wanted);
        let mut all = list_search_indexes(scope(), None, AggregateOptions::default());
        let wanted = doc! {
            "aggregate": "c", "pipeline": [{ "$listSearchIndexes": {} }], "cursor": {},
        };
        assert_eq!(written(&mut all), wanted);
    }

    #[test]
    fn what_is_gone_already_counts_as_dropped() {
        let error = |code: i32| {
            let error = bson::deserialize_from_document(doc! { "code": code });
            Error::from(crate::error::ErrorKind::Command(error.unwrap()))
        };
        let mut drop = DropSearchIndex::new(scope(), "mine".into());
        assert!(drop.refused(error(26)).is_ok());
        assert!(drop.refused(error(27)).is_err());
    }
}
