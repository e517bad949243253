//! Commands that the caller writes and that give a cursor.

use bson::RawDocumentBuf;

use super::{AfterOverload, Operation, RunCommand, Selection, Target, fields::check_exhaust};
use crate::{
    error::{Error, Result},
    options::{CursorTimeoutMode, CursorType, RunCommandOptions, RunCursorCommandOptions},
    proto::{
        cursor::{CursorReply, CursorSettings, CursorState},
        timeout::{self, Timeout},
        wire::{DocumentWriter, Reply},
    },
};

/// Runs a command that the caller wrote, and goes on with the cursor that it gives.
#[derive(Debug)]
pub(crate) struct RunCursorCommand<'a> {
    command: RunCommand<'a>,
    settings: CursorSettings,
    cursor_type: CursorType,
    timeout_mode: Option<CursorTimeoutMode>,
}

impl<'a> RunCursorCommand<'a> {
    /// # Errors
    /// An invalid-argument error when the command is empty.
    pub(crate) fn new(
        database: &'a str,
        command: RawDocumentBuf,
        options: RunCursorCommandOptions,
        inherited: Timeout,
    ) -> Result<Self> {
        let cursor_type = options.cursor_type.unwrap_or_default();
        let timeout_mode = options.timeout_mode;
        let settings = CursorSettings {
            batch_size: options.batch_size,
            max_await_time: options.max_time,
            waits_for_data: cursor_type == CursorType::TailableAwait,
            comment: options.comment,
            exhaust: cursor_type == CursorType::Exhaust,
            ..CursorSettings::default()
        };
        let options = RunCommandOptions {
            selection_criteria: options.selection_criteria,
            timeout: options.timeout,
        };
        Ok(Self {
            command: RunCommand::new(database, command, options, inherited)?,
            settings,
            cursor_type,
            timeout_mode,
        })
    }
}

impl Operation for RunCursorCommand<'_> {
    type Output = CursorState;

    fn name(&self) -> &str {
        self.command.name()
    }

    fn database(&self) -> &str {
        self.command.database()
    }

    fn timeout(&self) -> Timeout {
        self.command.timeout()
    }

    fn timeout_mode(&self) -> CursorTimeoutMode {
        self.cursor_type.timeout_mode(self.timeout_mode)
    }

    fn limits_server(&self) -> bool {
        self.cursor_type.limits_server(self.timeout_mode)
    }

    fn check_limits(&self) -> Result<()> {
        let waits = self.cursor_type == CursorType::TailableAwait;
        let wait = self.settings.max_await_time.filter(|_| waits);
        let is_tailable = self.cursor_type.is_tailable();
        timeout::check_cursor(self.timeout(), self.timeout_mode, is_tailable, wait)
    }

    fn after_overload(&self) -> AfterOverload {
        AfterOverload::IfBothRetry
    }

    fn selection(&self) -> Selection<'_> {
        self.command.selection()
    }

    fn write(&mut self, command: &mut DocumentWriter<'_>, target: &Target<'_>) -> Result<()> {
        if self.settings.exhaust {
            check_exhaust(target)?;
        }
        self.command.write(command, target)
    }

    fn reply(&mut self, reply: &Reply, _target: &Target<'_>) -> Result<CursorState> {
        if matches!(reply.document().get("cursor"), Ok(None)) {
            return Err(Error::invalid_response(format!(
                "{} gave no cursor; for commands that give none there is run_command",
                self.name()
            )));
        }
        let cursor = CursorReply::parse(&reply.document_bytes())?;
        Ok(CursorState::new(cursor, self.settings.clone()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bson::{doc, rawdoc};

    use super::*;
    use crate::{
        operation::{
            GetMore, Retryability,
            tests::{ADDRESS, replied, target, written, written_for},
        },
        options::{ReadPreference, SelectionCriteria},
        proto::topology::ServerType,
    };

    #[test]
    fn the_options_are_those_of_further_batches_alone() {
        let command = rawdoc! { "find": "c", "batchSize": 1, "maxTimeMS": 200, "comment": "first" };
        let options = RunCursorCommandOptions::builder()
            .batch_size(7)
            .max_time(Duration::from_millis(300))
            .comment(bson::Bson::from("more"))
            .selection_criteria(SelectionCriteria::from(ReadPreference::secondary(None)))
            .build();
        let mut operation =
            RunCursorCommand::new("d", command, options, Timeout::default()).unwrap();
        let wanted = doc! { "find": "c", "batchSize": 1, "maxTimeMS": 200, "comment": "first" };
        assert_eq!(written(&mut operation), wanted);
        assert_eq!(operation.retryability(), Retryability::None);
        assert!(matches!(operation.selection(), Selection::Criteria(_)));
        let reply = doc! { "cursor": { "id": 5_i64, "ns": "d.c", "firstBatch": [] }, "ok": 1 };
        let cursor = replied(&mut operation, &reply).unwrap();
        let remote = cursor.remote.unwrap();
        let batch_size = cursor.batches.next_batch_size(remote.settings().batch_size);
        let wanted = doc! {
            "getMore": 5_i64, "collection": "c", "batchSize": 7, "maxTimeMS": 300,
            "comment": "more",
        };
        assert_eq!(
            written(&mut GetMore::new(
                &remote,
                batch_size,
                &ADDRESS,
                Timeout::default()
            )),
            wanted
        );
    }

    #[test]
    fn an_exhaust_cursor_is_refused_where_it_cannot_work() {
        let options = RunCursorCommandOptions::builder().cursor_type(CursorType::Exhaust);
        let find = rawdoc! { "find": "c" };
        let mut operation =
            RunCursorCommand::new("d", find, options.build(), Timeout::default()).unwrap();
        let reply = doc! { "cursor": { "id": 5_i64, "ns": "d.c", "firstBatch": [] }, "ok": 1 };
        let remote = replied(&mut operation, &reply).unwrap().remote.unwrap();
        assert!(GetMore::new(&remote, None, &ADDRESS, Timeout::default()).takes_several_replies());
        let router = Target {
            server_type: ServerType::Mongos,
            ..target()
        };
        assert!(written_for(&mut operation, &router).is_err());
    }

    #[test]
    fn a_reply_without_a_cursor_is_refused() {
        let new =
            |command| RunCursorCommand::new("d", command, Default::default(), Timeout::default());
        let mut operation = new(rawdoc! { "ping": 1 }).unwrap();
        let error = replied(&mut operation, &doc! { "ok": 1 }).unwrap_err();
        assert!(error.to_string().contains("ping gave no cursor"), "{error}");
        assert!(replied(&mut operation, &doc! { "cursor": 1, "ok": 1 }).is_err());
        assert!(new(rawdoc! {}).is_err());
    }
}
