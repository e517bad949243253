//! `aggregate`.

use bson::Document;

use super::{
    AfterOverload, Operation, Retryability, Scope, Selection, Target, fields::check_write_concern,
};
use crate::{
    error::{Error, Result},
    options::{AggregateOptions, CursorTimeoutMode, ReadConcern, WriteConcern},
    proto::{
        cursor::{CursorReply, CursorSettings, CursorState},
        session::InSession,
        timeout::{self, Timeout},
        wire::{DocumentWriter, Reply},
    },
};

/// Runs a pipeline.
#[derive(Debug)]
pub(crate) struct Aggregate<'a> {
    scope: Scope<'a>,
    source: Source,
    pipeline: Vec<Document>,
    options: AggregateOptions,
}

/// What a pipeline begins with. A collection whose name is empty must not be taken for a database,
/// where the pipeline would do something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The collection that the scope names.
    Collection,
    /// The database itself.
    Database,
}

impl<'a> Aggregate<'a> {
    pub(crate) fn new(
        scope: Scope<'a>,
        source: Source,
        pipeline: Vec<Document>,
        options: AggregateOptions,
    ) -> Self {
        Self {
            scope,
            source,
            pipeline,
            options,
        }
    }

    /// Whether the pipeline ends in a stage that writes.
    fn writes(&self) -> bool {
        let last = self.pipeline.last().and_then(|stage| stage.keys().next());
        last.is_some_and(|name| name == "$out" || name == "$merge")
    }

    fn is_change_stream(&self) -> bool {
        let first = self.pipeline.first().and_then(|stage| stage.keys().next());
        first.is_some_and(|name| name == "$changeStream")
    }

    fn settings(&self) -> CursorSettings {
        // Servers refuse a wait for the cursors of other pipelines.
        let waits = self.is_change_stream();
        CursorSettings {
            batch_size: self.options.batch_size,
            limit: None,
            max_await_time: self.options.max_await_time.filter(|_| waits),
            waits_for_data: waits,
            comment: self.options.comment.clone(),
            prefetch: self.options.prefetch.unwrap_or(false) && !waits,
            ..CursorSettings::default()
        }
    }
}

impl Operation for Aggregate<'_> {
    type Output = CursorState;

    fn name(&self) -> &str {
        "aggregate"
    }

    fn database(&self) -> &str {
        self.scope.database
    }

    fn timeout(&self) -> Timeout {
        self.scope.timeout.or_own(self.options.timeout)
    }

    fn timeout_mode(&self) -> CursorTimeoutMode {
        match self.options.timeout_mode {
            Some(mode) => mode,
            None if self.is_change_stream() => CursorTimeoutMode::Iteration,
            None => CursorTimeoutMode::CursorLifetime,
        }
    }

    fn limits_server(&self) -> bool {
        self.is_change_stream() || self.timeout_mode() == CursorTimeoutMode::CursorLifetime
    }

    fn check_limits(&self) -> Result<()> {
        let options = &self.options;
        if self.writes() && options.timeout_mode == Some(CursorTimeoutMode::Iteration) {
            return Err(Error::invalid_argument(
                "a pipeline that ends in $out or $merge is done when its command is, so there is \
                 no iteration to limit; leave timeout_mode out",
            ));
        }
        let is_tailable = self.is_change_stream();
        let wait = options.max_await_time;
        timeout::check_cursor(self.timeout(), options.timeout_mode, is_tailable, wait)
    }

    fn in_session(&self) -> InSession {
        InSession::Consistent
    }

    fn retryability(&self) -> Retryability {
        if self.writes() {
            Retryability::None
        } else {
            Retryability::Read
        }
    }

    fn after_overload(&self) -> AfterOverload {
        match self.writes() {
            true => AfterOverload::IfWritesRetry,
            false => AfterOverload::IfReadsRetry,
        }
    }

    fn selection(&self) -> Selection<'_> {
        let own = self.options.selection_criteria.as_ref();
        match own.or(self.scope.selection_criteria) {
            Some(criteria) if self.writes() => Selection::WriteStage(criteria),
            criteria => Selection::of(criteria),
        }
    }

    fn read_concern(&self) -> Option<&ReadConcern> {
        let own = self.options.read_concern.as_ref();
        own.or(self.scope.read_concern)
    }

    fn write_concern(&self) -> Option<&WriteConcern> {
        if !self.writes() {
            return None;
        }
        let own = self.options.write_concern.as_ref();
        own.or(self.scope.write_concern)
    }

    fn write(&mut self, command: &mut DocumentWriter<'_>, target: &Target<'_>) -> Result<()> {
        let options = &self.options;
        match self.source {
            Source::Collection => command.append_str("aggregate", self.scope.collection)?,
            Source::Database => command.append_i32("aggregate", 1)?,
        }
        command.append_documents("pipeline", &self.pipeline)?;
        // A batch size of 0 would keep a pipeline from writing.
        command.cursor(options.batch_size.filter(|_| !self.writes()))?;
        command.optional_bool("allowDiskUse", options.allow_disk_use)?;
        let bypass = options.bypass_document_validation;
        command.optional_bool("bypassDocumentValidation", bypass)?;
        command.collation(options.collation.as_ref())?;
        command.optional_bson("comment", options.comment.as_ref())?;
        command.hint(options.hint.as_ref())?;
        command.max_time(options.max_time, target)?;
        command.optional_document("let", options.let_vars.as_ref())?;
        command.raw_data(options.raw_data, target)
    }

    fn reply(&mut self, reply: &Reply, _target: &Target<'_>) -> Result<CursorState> {
        if self.writes() {
            check_write_concern(reply.document())?;
        }
        let cursor = CursorReply::parse(&reply.document_bytes())?;
        Ok(CursorState::new(cursor, self.settings()))
    }

    /// Nothing comes back, so the cursor is empty.
    fn unacknowledged(&mut self) -> Result<CursorState> {
        Ok(CursorState::new(CursorReply::default(), self.settings()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bson::doc;

    use super::*;
    use crate::{
        operation::tests::{replied, scope, written, written_for_newest},
        options::{Collation, Hint, ReadPreference},
    };

    #[test]
    fn every_option_is_sent_under_the_servers_name() {
        let options = AggregateOptions::builder()
            .allow_disk_use(true)
            .batch_size(0)
            .bypass_document_validation(false)
            .collation(Collation::builder().locale("en").build())
            .comment(bson::Bson::Int32(1))
            .hint(Hint::Name("x".into()))
            .max_await_time(Duration::from_secs(9))
            .max_time(Duration::from_secs(1))
            .let_vars(doc! { "v": 1 })
            .raw_data(true)
            .build();
        let wanted = doc! {
            "aggregate": "c", "pipeline": [{ "$match": {} }], "cursor": { "batchSize": 0 },
            "allowDiskUse": true, "bypassDocumentValidation": false,
            "collation": { "locale": "en" }, "comment": 1, "hint": "x", "maxTimeMS": 1000,
            "let": { "v": 1 }, "rawData": true,
        };
        let mut operation = Aggregate::new(
            scope(),
            Source::Collection,
            vec![doc! { "$match": {} }],
            options,
        );
        assert_eq!(written_for_newest(&mut operation), wanted);
        assert_eq!(operation.settings().max_await_time, None);
        assert_eq!(operation.retryability(), Retryability::Read);
    }

    #[test]
    fn a_pipeline_on_a_database_names_no_collection() {
        let scope = Scope {
            collection: "",
            ..scope()
        };
        for (source, named) in [
            (Source::Database, bson::Bson::Int32(1)),
            (Source::Collection, "".into()),
        ] {
            let options = AggregateOptions::default();
            let mut operation = Aggregate::new(scope, source, vec![], options);
            let wanted = doc! { "aggregate": named, "pipeline": [], "cursor": {} };
            assert_eq!(written(&mut operation), wanted);
        }
    }

    #[test]
    fn a_pipeline_that_writes_is_a_write() {
        let criteria = ReadPreference::secondary(None).into();
        let concern = WriteConcern::majority();
        let scope = Scope {
            selection_criteria: Some(&criteria),
            write_concern: Some(&concern),
            ..scope()
        };
        for (stage, writes) in [("$out", true), ("$merge", true), ("$limit", false)] {
            let pipeline = vec![doc! { "$match": {} }, doc! { stage: "x" }];
            let options = AggregateOptions::builder().batch_size(5).build();
            let mut operation = Aggregate::new(scope, Source::Collection, pipeline, options);
            let command = written(&mut operation);
            let cursor = command.get_document("cursor").unwrap();
            assert_eq!(cursor.is_empty(), writes, "{stage}");
            assert_eq!(operation.write_concern().is_some(), writes, "{stage}");
            assert_eq!(
                operation.retryability() == Retryability::None,
                writes,
                "{stage}"
            );
            let selection = operation.selection();
            let guarded = matches!(selection, Selection::WriteStage(_));
            assert_eq!(guarded, writes, "{stage}");
            let unmet = doc! {
                "cursor": { "id": 0_i64, "ns": "d.c", "firstBatch": [] },
                "writeConcernError": { "code": 64, "errmsg": "late" },
            };
            assert_eq!(replied(&mut operation, &unmet).is_err(), writes, "{stage}");
        }
    }
}
