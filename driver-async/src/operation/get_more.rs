//! `getMore`.

use super::{Operation, Selection, Target, WIRE_4_4};
use crate::{
    address::ServerAddress,
    error::Result,
    proto::{
        cursor::{CursorReply, Remote},
        session::InSession,
        timeout::Timeout,
        wire::{DocumentWriter, Reply},
    },
};

/// Asks for a cursor's next batch.
///
/// Never tried again: the server may have moved on although the reply was lost.
#[derive(Debug)]
pub(crate) struct GetMore<'a> {
    cursor: &'a Remote,
    batch_size: Option<i64>,
    address: &'a ServerAddress,
    timeout: Timeout,
    /// That of the connection which the command was last written for.
    max_wire_version: Option<i32>,
}

impl<'a> GetMore<'a> {
    pub(crate) fn new(
        cursor: &'a Remote,
        batch_size: Option<i64>,
        address: &'a ServerAddress,
        timeout: Timeout,
    ) -> Self {
        Self {
            cursor,
            batch_size,
            address,
            timeout,
            max_wire_version: None,
        }
    }

    /// The newest wire version of the server that the command went to; `None` if it went nowhere.
    pub(crate) fn max_wire_version(&self) -> Option<i32> {
        self.max_wire_version
    }
}

impl Operation for GetMore<'_> {
    type Output = CursorReply;

    fn name(&self) -> &str {
        "getMore"
    }

    fn database(&self) -> &str {
        &self.cursor.namespace().db
    }

    fn timeout(&self) -> Timeout {
        self.timeout
    }

    // To the server, `maxTimeMS` of a `getMore` is how long it waits for data.
    fn limits_server(&self) -> bool {
        false
    }

    fn in_session(&self) -> InSession {
        InSession::Continuation
    }

    fn selection(&self) -> Selection<'_> {
        Selection::Pinned(self.address)
    }

    fn write(&mut self, command: &mut DocumentWriter<'_>, target: &Target<'_>) -> Result<()> {
        self.max_wire_version = Some(target.max_wire_version);
        let settings = self.cursor.settings();
        command.append_i64("getMore", self.cursor.id())?;
        command.append_str("collection", &self.cursor.namespace().coll)?;
        if let Some(size) = self.batch_size {
            command.append_number("batchSize", size)?;
        }
        if let Some(wait) = settings.max_await_time {
            command.append_max_time(target.time_left.map_or(wait, |left| left.min(wait)))?;
        }
        // Older servers refuse the field.
        if target.max_wire_version >= WIRE_4_4 {
            command.optional_bson("comment", settings.comment.as_ref())?;
        }
        Ok(())
    }

    fn waits_for_data(&self) -> bool {
        self.cursor.settings().waits_for_data
    }

    fn takes_several_replies(&self) -> bool {
        self.cursor.settings().exhaust
    }

    fn reply(&mut self, reply: &Reply, _target: &Target<'_>) -> Result<CursorReply> {
        CursorReply::parse(&reply.document_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bson::doc;

    use super::*;
    use crate::{
        operation::tests::{ADDRESS, received, target, written, written_for},
        proto::cursor::{CursorSettings, CursorState},
    };

    fn remote(settings: CursorSettings) -> Remote {
        let reply = doc! { "cursor": { "id": 1_i64 << 40, "ns": "d.c.e", "firstBatch": [] } };
        let first = CursorReply::parse(&received(&reply).document_bytes()).unwrap();
        CursorState::new(first, settings).remote.unwrap()
    }

    #[test]
    fn the_cursors_settings_go_with_every_batch() {
        let remote = remote(CursorSettings {
            max_await_time: Some(Duration::from_millis(250)),
            comment: Some("why".into()),
            ..CursorSettings::default()
        });
        let mut operation = GetMore::new(&remote, Some(5), &ADDRESS, Timeout::default());
        assert_eq!(operation.database(), "d");
        assert!(!operation.takes_several_replies());
        let mut wanted = doc! {
            "getMore": 1_i64 << 40, "collection": "c.e", "batchSize": 5, "maxTimeMS": 250,
            "comment": "why",
        };
        assert_eq!(written(&mut operation), wanted);
        let older = Target {
            max_wire_version: 8,
            ..target()
        };
        wanted.remove("comment");
        assert_eq!(written_for(&mut operation, &older).unwrap(), wanted);
    }

    #[test]
    fn the_server_waits_no_longer_than_there_is_time() {
        let remote = remote(CursorSettings {
            max_await_time: Some(Duration::from_millis(250)),
            ..CursorSettings::default()
        });
        let mut operation = GetMore::new(&remote, None, &ADDRESS, Timeout::default());
        for (left, wanted) in [(100, 100), (300, 250)] {
            let target = Target {
                has_timeout: true,
                time_left: Some(Duration::from_millis(left)),
                ..target()
            };
            let command = written_for(&mut operation, &target).unwrap();
            assert_eq!(command.get_i32("maxTimeMS").unwrap(), wanted);
        }
    }

    #[test]
    fn nothing_is_sent_that_was_not_asked_for() {
        let remote = remote(CursorSettings::default());
        assert_eq!(
            written(&mut GetMore::new(
                &remote,
                None,
                &ADDRESS,
                Timeout::default()
            )),
            doc! { "getMore": 1_i64 << 40, "collection": "c.e" }
        );
    }
}
