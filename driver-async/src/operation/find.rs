//! `find`.

use bson::Document;

use super::{Operation, Retryability, Scope, Selection, Target, fields::check_exhaust};
use crate::{
    error::{Error, Result},
    options::{CursorTimeoutMode, CursorType, FindOneOptions, FindOptions, ReadConcern},
    proto::{
        cursor::{Batch, CursorReply, CursorSettings, CursorState},
        session::InSession,
        timeout::{self, Timeout},
        wire::{DocumentWriter, Reply},
    },
};

/// The first batch of a server that is not told otherwise.
const DEFAULT_FIRST_BATCH: u64 = 101;

/// Finds documents.
#[derive(Debug)]
pub(crate) struct Find<'a> {
    scope: Scope<'a>,
    filter: Document,
    options: FindOptions,
}

impl<'a> Find<'a> {
    pub(crate) fn new(scope: Scope<'a>, filter: Document, options: FindOptions) -> Self {
        Self {
            scope,
            filter,
            options,
        }
    }

    fn cursor_type(&self) -> CursorType {
        self.options.cursor_type.unwrap_or_default()
    }

    fn is_tailable(&self) -> bool {
        self.cursor_type().is_tailable()
    }

    fn waits_for_data(&self) -> bool {
        self.cursor_type() == CursorType::TailableAwait
    }

    /// Refuses an exhaust cursor where it cannot work.
    fn check_exhaust(&self, target: &Target<'_>) -> Result<()> {
        if self.cursor_type() != CursorType::Exhaust {
            return Ok(());
        }
        if self.options.limit.is_some_and(|limit| limit != 0) {
            // It would end before the server has sent its last batch, and cost a connection.
            return Err(Error::invalid_argument(
                "an exhaust cursor cannot have a limit: use another cursor type, or read it to its \
                 end",
            ));
        }
        check_exhaust(target)
    }

    fn write_amounts(&self, command: &mut DocumentWriter<'_>) -> Result<()> {
        let options = &self.options;
        let limit = options.limit.unwrap_or(0);
        let amount = limit.unsigned_abs().min(i64::MAX.unsigned_abs());
        command.optional_number("skip", options.skip)?;
        if limit != 0 {
            command.optional_number("limit", Some(amount))?;
        }
        let batch_size = match options.batch_size.map(u64::from) {
            // A single batch is as long as the limit; the server must be told if that is long.
            _ if limit < 0 => Some(amount).filter(|amount| *amount > DEFAULT_FIRST_BATCH),
            // A batch of just the limit would leave the server with an open cursor.
            Some(size) if limit > 0 && size == amount => Some(size + 1),
            size => size,
        };
        command.optional_number("batchSize", batch_size)?;
        if limit < 0 {
            command.append_bool("singleBatch", true)?;
        }
        Ok(())
    }

    fn settings(&self) -> CursorSettings {
        let options = &self.options;
        let limit = options.limit.and_then(|limit| u64::try_from(limit).ok());
        CursorSettings {
            batch_size: options.batch_size,
            limit: limit.filter(|limit| *limit > 0),
            max_await_time: options.max_await_time.filter(|_| self.waits_for_data()),
            waits_for_data: self.waits_for_data(),
            comment: options.comment.clone(),
            prefetch: options.prefetch.unwrap_or(false) && !self.is_tailable(),
            exhaust: self.cursor_type() == CursorType::Exhaust,
        }
    }
}

impl Operation for Find<'_> {
    type Output = CursorState;

    fn name(&self) -> &str {
        "find"
    }

    fn database(&self) -> &str {
        self.scope.database
    }

    fn timeout(&self) -> Timeout {
        self.scope.timeout.or_own(self.options.timeout)
    }

    fn timeout_mode(&self) -> CursorTimeoutMode {
        self.cursor_type().timeout_mode(self.options.timeout_mode)
    }

    fn limits_server(&self) -> bool {
        self.cursor_type().limits_server(self.options.timeout_mode)
    }

    fn check_limits(&self) -> Result<()> {
        let options = &self.options;
        let wait = options.max_await_time.filter(|_| self.waits_for_data());
        timeout::check_cursor(
            self.timeout(),
            options.timeout_mode,
            self.is_tailable(),
            wait,
        )
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
        self.check_exhaust(target)?;
        let options = &self.options;
        command.append_str("find", self.scope.collection)?;
        command.append_document("filter", &self.filter)?;
        command.optional_document("sort", options.sort.as_ref())?;
        command.optional_document("projection", options.projection.as_ref())?;
        command.hint(options.hint.as_ref())?;
        self.write_amounts(command)?;
        command.optional_bson("comment", options.comment.as_ref())?;
        command.max_time(options.max_time, target)?;
        command.optional_document("max", options.max.as_ref())?;
        command.optional_document("min", options.min.as_ref())?;
        command.optional_bool("returnKey", options.return_key)?;
        command.optional_bool("showRecordId", options.show_record_id)?;
        if self.is_tailable() {
            command.append_bool("tailable", true)?;
        }
        if self.waits_for_data() {
            command.append_bool("awaitData", true)?;
        }
        command.optional_bool("noCursorTimeout", options.no_cursor_timeout)?;
        command.optional_bool("allowPartialResults", options.allow_partial_results)?;
        command.optional_bool("allowDiskUse", options.allow_disk_use)?;
        command.collation(options.collation.as_ref())?;
        command.optional_document("let", options.let_vars.as_ref())?;
        command.raw_data(options.raw_data, target)
    }

    fn reply(&mut self, reply: &Reply, _target: &Target<'_>) -> Result<CursorState> {
        let cursor = CursorReply::parse(&reply.document_bytes())?;
        Ok(CursorState::new(cursor, self.settings()))
    }
}

/// Finds one document.
#[derive(Debug)]
pub(crate) struct FindOne<'a>(Find<'a>);

impl<'a> FindOne<'a> {
    pub(crate) fn new(scope: Scope<'a>, filter: Document, options: FindOneOptions) -> Self {
        Self(Find::new(scope, filter, options.into()))
    }
}

impl Operation for FindOne<'_> {
    /// A batch of the document, if there is one.
    type Output = Batch;

    fn name(&self) -> &str {
        self.0.name()
    }

    fn database(&self) -> &str {
        self.0.database()
    }

    fn timeout(&self) -> Timeout {
        self.0.timeout()
    }

    fn in_session(&self) -> InSession {
        InSession::Consistent
    }

    fn retryability(&self) -> Retryability {
        self.0.retryability()
    }

    fn selection(&self) -> Selection<'_> {
        self.0.selection()
    }

    fn read_concern(&self) -> Option<&ReadConcern> {
        self.0.read_concern()
    }

    fn write(&mut self, command: &mut DocumentWriter<'_>, target: &Target<'_>) -> Result<()> {
        self.0.write(command, target)
    }

    fn reply(&mut self, reply: &Reply, _target: &Target<'_>) -> Result<Batch> {
        Ok(CursorReply::parse(&reply.document_bytes())?.batch)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bson::doc;

    use super::*;
    use crate::{
        error::ErrorKind,
        operation::tests::{replied, scope, target, written, written_for, written_for_newest},
        options::{Collation, Hint, ReadPreference},
        proto::topology::ServerType,
    };

    fn find(options: FindOptions) -> Document {
        written(&mut Find::new(scope(), doc! { "a": 1 }, options))
    }

    #[test]
    fn nothing_is_sent_that_was_not_asked_for() {
        let wanted = doc! { "find": "c", "filter": { "a": 1 } };
        assert_eq!(find(FindOptions::default()), wanted);
    }

    #[test]
    fn limits_and_batch_sizes_are_sent_as_the_find_specification_says() {
        for (limit, batch_size, wanted) in [
            (None, None, doc! {}),
            (Some(0), None, doc! {}),
            (Some(0), Some(0), doc! { "batchSize": 0 }),
            (Some(5), None, doc! { "limit": 5 }),
            (Some(5), Some(2), doc! { "limit": 5, "batchSize": 2 }),
            (Some(5), Some(5), doc! { "limit": 5, "batchSize": 6 }),
            (Some(5), Some(6), doc! { "limit": 5, "batchSize": 6 }),
            (Some(-5), None, doc! { "limit": 5, "singleBatch": true }),
            (Some(-5), Some(5), doc! { "limit": 5, "singleBatch": true }),
            (
                Some(-102),
                Some(2),
                doc! { "limit": 102, "batchSize": 102, "singleBatch": true },
            ),
            (Some(1 << 40), None, doc! { "limit": 1_i64 << 40 }),
            (
                Some(i64::MIN),
                Some(1),
                doc! { "limit": i64::MAX, "batchSize": i64::MAX, "singleBatch": true },
            ),
        ] {
            let options = FindOptions::builder().limit(limit).batch_size(batch_size);
            let mut expected = doc! { "find": "c", "filter": { "a": 1 } };
            expected.extend(wanted);
            assert_eq!(
                find(options.build()),
                expected,
                "limit {limit:?}, batch {batch_size:?}"
            );
        }
    }

    #[test]
    fn every_option_is_sent_under_the_servers_name() {
        let options = FindOptions::builder()
            .allow_disk_use(true)
            .allow_partial_results(false)
            .comment(bson::Bson::from("why"))
            .cursor_type(CursorType::TailableAwait)
            .hint(Hint::Name("a_1".into()))
            .max(doc! { "a": 9 })
            .max_await_time(Duration::from_secs(5))
            .max_time(Duration::from_secs(1))
            .min(doc! { "a": 0 })
            .no_cursor_timeout(true)
            .projection(doc! { "a": 1 })
            .return_key(true)
            .show_record_id(false)
            .skip(3_u64)
            .sort(doc! { "a": -1 })
            .collation(Collation::builder().locale("en").build())
            .let_vars(doc! { "x": 1 })
            .raw_data(true)
            .build();
        let wanted = doc! {
            "find": "c", "filter": { "a": 1 }, "sort": { "a": -1 }, "projection": { "a": 1 },
            "hint": "a_1", "skip": 3, "comment": "why", "maxTimeMS": 1000, "max": { "a": 9 },
            "min": { "a": 0 }, "returnKey": true, "showRecordId": false, "tailable": true,
            "awaitData": true, "noCursorTimeout": true, "allowPartialResults": false,
            "allowDiskUse": true, "collation": { "locale": "en" }, "let": { "x": 1 },
            "rawData": true,
        };
        let mut operation = Find::new(scope(), doc! { "a": 1 }, options);
        assert_eq!(written_for_newest(&mut operation), wanted);
    }

    #[test]
    fn the_wait_for_data_is_kept_only_for_cursors_that_wait() {
        for (kind, kept) in [
            (CursorType::Tailable, false),
            (CursorType::TailableAwait, true),
        ] {
            let wait = Duration::from_secs(5);
            let options = FindOptions::builder()
                .cursor_type(kind)
                .max_await_time(wait);
            let mut operation = Find::new(scope(), doc! {}, options.build());
            let reply = doc! { "cursor": { "id": 1_i64, "ns": "d.c", "firstBatch": [] } };
            let cursor = replied(&mut operation, &reply).unwrap().remote.unwrap();
            assert_eq!(cursor.settings().max_await_time.is_some(), kept, "{kind:?}");
        }
    }

    #[test]
    fn batches_are_fetched_ahead_only_of_cursors_that_end() {
        for (kind, ahead) in [
            (CursorType::NonTailable, true),
            (CursorType::Exhaust, true),
            (CursorType::Tailable, false),
            (CursorType::TailableAwait, false),
        ] {
            let options = FindOptions::builder().cursor_type(kind).prefetch(true);
            let operation = Find::new(scope(), doc! {}, options.build());
            assert_eq!(operation.settings().prefetch, ahead, "{kind:?}");
        }
    }

    #[test]
    fn an_exhaust_cursor_is_refused_where_it_cannot_work() {
        let exhaust = |limit| {
            let options = FindOptions::builder()
                .cursor_type(CursorType::Exhaust)
                .limit(limit);
            Find::new(scope(), doc! {}, options.build())
        };
        let wanted = doc! { "find": "c", "filter": {} };
        assert_eq!(written(&mut exhaust(None)), wanted, "only getMore differs");
        assert_eq!(written(&mut exhaust(Some(0))), wanted);
        let router = Target {
            server_type: ServerType::Mongos,
            ..target()
        };
        for (mut find, target) in [
            (exhaust(Some(5)), target()),
            (exhaust(Some(-5)), target()),
            (exhaust(None), router),
        ] {
            let error = written_for(&mut find, &target).unwrap_err();
            assert!(
                matches!(*error.kind, ErrorKind::InvalidArgument { .. }),
                "{error}"
            );
        }
    }

    #[test]
    fn an_operations_own_criteria_come_before_the_inherited() {
        let inherited = ReadPreference::secondary(None).into();
        let scope = Scope {
            selection_criteria: Some(&inherited),
            ..scope()
        };
        let operation = Find::new(scope, doc! {}, FindOptions::default());
        assert!(matches!(operation.selection(), Selection::Criteria(c) if *c == inherited));
        let own = FindOptions::builder()
            .selection_criteria(crate::options::SelectionCriteria::from(
                ReadPreference::Primary,
            ))
            .build();
        let operation = Find::new(scope, doc! {}, own);
        assert!(matches!(operation.selection(), Selection::Criteria(c) if *c != inherited));
    }

    #[test]
    fn one_document_is_asked_for_and_taken() {
        let mut operation = FindOne::new(scope(), doc! { "a": 1 }, FindOneOptions::default());
        let wanted = doc! { "find": "c", "filter": { "a": 1 }, "limit": 1, "singleBatch": true };
        assert_eq!(written(&mut operation), wanted);
        let reply = doc! { "cursor": { "id": 0_i64, "ns": "d.c", "firstBatch": [{ "a": 7 }] } };
        let mut batch = replied(&mut operation, &reply).unwrap();
        assert!(batch.advance().unwrap());
        assert_eq!(batch.current().unwrap().get_i32("a").unwrap(), 7);
        let empty = doc! { "cursor": { "id": 0_i64, "ns": "d.c", "firstBatch": [] } };
        assert!(!replied(&mut operation, &empty).unwrap().advance().unwrap());
    }
}
