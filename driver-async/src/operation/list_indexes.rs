//! `listIndexes`.

use super::{NAMESPACE_NOT_FOUND, Operation, Retryability, Scope, Selection, Target};
use crate::{
    error::{Error, Result},
    options::{CursorTimeoutMode, ListIndexesOptions},
    proto::{
        cursor::{CursorReply, CursorSettings, CursorState},
        timeout::{self, Timeout},
        wire::{DocumentWriter, Reply},
    },
};

/// Lists a collection's indexes.
#[derive(Debug)]
pub(crate) struct ListIndexes<'a> {
    scope: Scope<'a>,
    options: ListIndexesOptions,
}

impl<'a> ListIndexes<'a> {
    pub(crate) fn new(scope: Scope<'a>, options: ListIndexesOptions) -> Self {
        Self { scope, options }
    }

    fn cursor(&self, reply: CursorReply) -> CursorState {
        let settings = CursorSettings {
            batch_size: self.options.batch_size,
            comment: self.options.comment.clone(),
            ..CursorSettings::default()
        };
        CursorState::new(reply, settings)
    }
}

impl Operation for ListIndexes<'_> {
    type Output = CursorState;

    fn name(&self) -> &str {
        "listIndexes"
    }

    fn database(&self) -> &str {
        self.scope.database
    }

    fn timeout(&self) -> Timeout {
        self.scope.timeout.or_own(self.options.timeout)
    }

    fn timeout_mode(&self) -> CursorTimeoutMode {
        self.options.timeout_mode.unwrap_or_default()
    }

    fn check_limits(&self) -> Result<()> {
        timeout::check_cursor(self.timeout(), self.options.timeout_mode, false, None)
    }

    fn retryability(&self) -> Retryability {
        Retryability::Read
    }

    fn selection(&self) -> Selection<'_> {
        Selection::of_primary()
    }

    fn write(&mut self, command: &mut DocumentWriter<'_>, target: &Target<'_>) -> Result<()> {
        command.append_str("listIndexes", self.scope.collection)?;
        command.cursor(self.options.batch_size)?;
        command.max_time(self.options.max_time, target)?;
        command.raw_data(self.options.raw_data, target)?;
        command.optional_bson("comment", self.options.comment.as_ref())
    }

    fn reply(&mut self, reply: &Reply, _target: &Target<'_>) -> Result<CursorState> {
        Ok(self.cursor(CursorReply::parse(&reply.document_bytes())?))
    }

    /// A collection that does not exist has no indexes, says the index management specification.
    fn refused(&mut self, error: Error) -> Result<CursorState> {
        if error.code() == Some(NAMESPACE_NOT_FOUND) {
            return Ok(self.cursor(CursorReply::default()));
        }
        Err(error)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bson::doc;

    use super::*;
    use crate::operation::tests::{scope, written, written_for_newest};

    #[test]
    fn every_option_is_sent_under_the_servers_name() {
        let options = ListIndexesOptions::builder()
            .batch_size(3)
            .max_time(Duration::from_millis(5))
            .raw_data(true)
            .comment(bson::Bson::Int32(1))
            .build();
        let mut operation = ListIndexes::new(scope(), options);
        let wanted = doc! {
            "listIndexes": "c", "cursor": { "batchSize": 3 }, "maxTimeMS": 5, "comment": 1,
        };
        assert_eq!(written(&mut operation), wanted);
        let command = written_for_newest(&mut operation);
        assert!(command.get_bool("rawData").unwrap());
    }

    #[test]
    fn a_missing_collection_has_no_indexes() {
        let mut operation = ListIndexes::new(scope(), ListIndexesOptions::default());
        let error = |code: i32| {
            let error = bson::deserialize_from_document(doc! { "code": code });
            Error::from(crate::error::ErrorKind::Command(error.unwrap()))
        };
        let cursor = operation.refused(error(26)).unwrap();
        assert!(cursor.remote.is_none() && cursor.batches.is_drained());
        assert!(operation.refused(error(13)).is_err());
    }
}
