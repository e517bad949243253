//! Counts: exact ones by `aggregate`, estimates and those of the planner by `count`.

use bson::{Document, RawDocument, doc};

use super::{NAMESPACE_NOT_FOUND, Operation, Retryability, Scope, Selection, Target, fields};
use crate::{
    error::{Error, Result},
    options::{CountOptions, EstimatedDocumentCountOptions, ReadConcern},
    proto::{
        cursor::CursorReply,
        session::InSession,
        timeout::Timeout,
        wire::{DocumentWriter, Reply},
    },
};

/// Counts the documents that match, as the CRUD specification says.
#[derive(Debug)]
pub(crate) struct CountDocuments<'a> {
    scope: Scope<'a>,
    filter: Document,
    options: CountOptions,
}

impl<'a> CountDocuments<'a> {
    pub(crate) fn new(scope: Scope<'a>, filter: Document, options: CountOptions) -> Self {
        Self {
            scope,
            filter,
            options,
        }
    }

    fn write_stages(&self, pipeline: &mut DocumentWriter<'_>) -> Result<()> {
        pipeline
            .append_document_with("0", |stage| stage.append_document("$match", &self.filter))?;
        let stages = [("$skip", self.options.skip), ("$limit", self.options.limit)];
        let mut place = 1;
        for (name, amount) in stages {
            // The server refuses a limit of 0, which means none here as it does for a find.
            if amount.is_some_and(|amount| amount != 0) {
                pipeline.append_document_with(&place.to_string(), |stage| {
                    stage.optional_number(name, amount)
                })?;
                place += 1;
            }
        }
        let group = doc! { "_id": 1, "n": { "$sum": 1 } };
        pipeline.append_document_with(&place.to_string(), |stage| {
            stage.append_document("$group", &group)
        })
    }
}

impl Operation for CountDocuments<'_> {
    type Output = u64;

    fn name(&self) -> &str {
        "aggregate"
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
        command.append_str("aggregate", self.scope.collection)?;
        command.append_array_with("pipeline", |pipeline| self.write_stages(pipeline))?;
        command.cursor(None)?;
        command.hint(options.hint.as_ref())?;
        command.collation(options.collation.as_ref())?;
        command.max_time(options.max_time, target)?;
        command.optional_bson("comment", options.comment.as_ref())?;
        command.raw_data(options.raw_data, target)
    }

    fn reply(&mut self, reply: &Reply, _target: &Target<'_>) -> Result<u64> {
        let mut batch = CursorReply::parse(&reply.document_bytes())?.batch;
        batch.advance()?;
        // The group stage gives no document when it gets none.
        let group: Option<&RawDocument> = batch.current();
        group.map_or(Ok(0), |group| fields::count(group, "n"))
    }
}

/// Counts the documents of a collection from its metadata.
#[derive(Debug)]
pub(crate) struct EstimatedDocumentCount<'a> {
    scope: Scope<'a>,
    options: EstimatedDocumentCountOptions,
}

impl<'a> EstimatedDocumentCount<'a> {
    pub(crate) fn new(scope: Scope<'a>, options: EstimatedDocumentCountOptions) -> Self {
        Self { scope, options }
    }
}

impl Operation for EstimatedDocumentCount<'_> {
    type Output = u64;

    fn name(&self) -> &str {
        "count"
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
        command.append_str("count", self.scope.collection)?;
        command.max_time(self.options.max_time, target)?;
        command.optional_bson("comment", self.options.comment.as_ref())?;
        command.raw_data(self.options.raw_data, target)
    }

    fn reply(&mut self, reply: &Reply, _target: &Target<'_>) -> Result<u64> {
        fields::count(reply.document(), "n")
    }

    fn refused(&mut self, error: Error) -> Result<u64> {
        none_without_collection(error)
    }
}

/// Counts the documents that match by the `count` command.
#[derive(Debug)]
pub(crate) struct Count<'a> {
    scope: Scope<'a>,
    filter: Document,
    options: CountOptions,
}

impl<'a> Count<'a> {
    pub(crate) fn new(scope: Scope<'a>, filter: Document, options: CountOptions) -> Self {
        Self {
            scope,
            filter,
            options,
        }
    }
}

impl Operation for Count<'_> {
    type Output = u64;

    fn name(&self) -> &str {
        "count"
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
        command.append_str("count", self.scope.collection)?;
        command.append_document("query", &self.filter)?;
        command.optional_number("limit", options.limit)?;
        command.optional_number("skip", options.skip)?;
        command.hint(options.hint.as_ref())?;
        command.collation(options.collation.as_ref())?;
        command.max_time(options.max_time, target)?;
        command.optional_bson("comment", options.comment.as_ref())?;
        command.raw_data(options.raw_data, target)
    }

    fn reply(&mut self, reply: &Reply, _target: &Target<'_>) -> Result<u64> {
        fields::count(reply.document(), "n")
    }

    fn refused(&mut self, error: Error) -> Result<u64> {
        none_without_collection(error)
    }
}

/// A collection that does not exist has no documents.
fn none_without_collection(error: Error) -> Result<u64> {
    if error.code() == Some(NAMESPACE_NOT_FOUND) {
        return Ok(0);
    }
    Err(error)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        operation::tests::{replied, scope, written, written_for_newest},
        options::{Collation, Hint},
    };

    #[test]
    fn an_exact_count_is_a_pipeline() {
        for (skip, limit, stages) in [
            (None, None, vec![]),
            (Some(2), None, vec![doc! { "$skip": 2 }]),
            (None, Some(3), vec![doc! { "$limit": 3 }]),
            (Some(0), Some(0), vec![]),
            (
                Some(2),
                Some(3),
                vec![doc! { "$skip": 2 }, doc! { "$limit": 3 }],
            ),
        ] {
            let options = CountOptions::builder().skip(skip).limit(limit).build();
            let mut pipeline = vec![doc! { "$match": { "a": 1 } }];
            pipeline.extend(stages);
            pipeline.push(doc! { "$group": { "_id": 1, "n": { "$sum": 1 } } });
            let wanted = doc! { "aggregate": "c", "pipeline": pipeline, "cursor": {} };
            let mut operation = CountDocuments::new(scope(), doc! { "a": 1 }, options);
            assert_eq!(written(&mut operation), wanted);
        }
    }

    #[test]
    fn every_option_is_sent_under_the_servers_name() {
        let options = CountOptions::builder()
            .hint(Hint::Name("x".into()))
            .collation(Collation::builder().locale("en").build())
            .max_time(Duration::from_millis(5))
            .limit(3_u64)
            .skip(2_u64)
            .comment(bson::Bson::Int32(1))
            .raw_data(true)
            .build();
        let mut exact = CountDocuments::new(scope(), doc! {}, options.clone());
        let mut command = written_for_newest(&mut exact);
        command.remove("pipeline");
        let wanted = doc! {
            "aggregate": "c", "cursor": {}, "hint": "x", "collation": { "locale": "en" },
            "maxTimeMS": 5, "comment": 1, "rawData": true,
        };
        assert_eq!(command, wanted);
        let mut planned = Count::new(scope(), doc! { "a": 1 }, options);
        let wanted = doc! {
            "count": "c", "query": { "a": 1 }, "limit": 3, "skip": 2, "hint": "x",
            "collation": { "locale": "en" }, "maxTimeMS": 5, "comment": 1, "rawData": true,
        };
        assert_eq!(written_for_newest(&mut planned), wanted);
        assert_eq!(replied(&mut planned, &doc! { "n": 3 }).unwrap(), 3);
    }

    #[test]
    fn the_count_is_read_and_no_group_is_a_count_of_0() {
        let mut operation = CountDocuments::new(scope(), doc! {}, CountOptions::default());
        for (batch, wanted) in [(vec![], 0), (vec![doc! { "_id": 1, "n": 7_i64 }], 7)] {
            let reply = doc! { "cursor": { "id": 0_i64, "ns": "d.c", "firstBatch": batch } };
            assert_eq!(replied(&mut operation, &reply).unwrap(), wanted);
        }
        let without = doc! { "cursor": { "id": 0_i64, "ns": "d.c", "firstBatch": [{}] } };
        assert!(replied(&mut operation, &without).is_err());
    }

    #[test]
    fn an_estimate_is_a_count_without_a_query() {
        let options = EstimatedDocumentCountOptions::builder()
            .max_time(Duration::from_millis(5))
            .comment(bson::Bson::Int32(1))
            .raw_data(true)
            .build();
        let mut operation = EstimatedDocumentCount::new(scope(), options);
        let wanted = doc! { "count": "c", "maxTimeMS": 5, "comment": 1, "rawData": true };
        assert_eq!(written_for_newest(&mut operation), wanted);
        assert_eq!(replied(&mut operation, &doc! { "n": 3 }).unwrap(), 3);
        assert!(replied(&mut operation, &doc! {}).is_err());
    }
}
