//! `getMore`.

use super::{Operation, Selection, Target, WIRE_4_4};
use crate::{
    address::ServerAddress,
    error::{Error, Result},
    namespace::Namespace,
    proto::{
        cursor::{CursorReply, CursorState},
        wire::{DocumentWriter, Reply},
    },
};

/// Asks for a cursor's next batch.
///
/// Never tried again: the server may have moved on although the reply was lost.
#[derive(Debug)]
pub(crate) struct GetMore<'a> {
    id: i64,
    namespace: &'a Namespace,
    cursor: &'a CursorState,
    address: &'a ServerAddress,
}

impl<'a> GetMore<'a> {
    /// # Errors
    /// An internal error when the cursor is closed.
    pub(crate) fn new(cursor: &'a CursorState, address: &'a ServerAddress) -> Result<Self> {
        let (id, namespace) = cursor
            .handle()
            .ok_or_else(|| Error::internal("a closed cursor has no further batch"))?;
        Ok(Self {
            id,
            namespace,
            cursor,
            address,
        })
    }
}

impl Operation for GetMore<'_> {
    type Output = CursorReply;

    fn name(&self) -> &str {
        "getMore"
    }

    fn database(&self) -> &str {
        &self.namespace.db
    }

    fn selection(&self) -> Selection<'_> {
        Selection::Pinned(self.address)
    }

    fn write(&mut self, command: &mut DocumentWriter<'_>, target: &Target<'_>) -> Result<()> {
        let settings = self.cursor.settings();
        command.append_i64("getMore", self.id)?;
        command.append_str("collection", &self.namespace.coll)?;
        if let Some(size) = self.cursor.next_batch_size() {
            command.append_number("batchSize", size)?;
        }
        command.max_time(settings.max_await_time)?;
        // Older servers refuse the field.
        if target.max_wire_version >= WIRE_4_4 {
            command.optional_bson("comment", settings.comment.as_ref())?;
        }
        Ok(())
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
        proto::cursor::CursorSettings,
    };

    #[test]
    fn the_cursors_settings_go_with_every_batch() {
        let reply = doc! { "cursor": { "id": 1_i64 << 40, "ns": "d.c.e", "firstBatch": [] } };
        let settings = CursorSettings {
            batch_size: Some(7),
            limit: Some(5),
            max_await_time: Some(Duration::from_millis(250)),
            comment: Some("why".into()),
        };
        let first = CursorReply::parse(&received(&reply).document_bytes()).unwrap();
        let cursor = CursorState::new(first, settings);
        let mut operation = GetMore::new(&cursor, &ADDRESS).unwrap();
        assert_eq!(operation.database(), "d");
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
    fn a_batch_size_of_0_is_for_the_first_batch_only() {
        let reply = doc! { "cursor": { "id": 1_i64, "ns": "d.c", "firstBatch": [] } };
        let settings = CursorSettings {
            batch_size: Some(0),
            ..CursorSettings::default()
        };
        let first = CursorReply::parse(&received(&reply).document_bytes()).unwrap();
        let cursor = CursorState::new(first, settings);
        let mut operation = GetMore::new(&cursor, &ADDRESS).unwrap();
        assert_eq!(
            written(&mut operation),
            doc! { "getMore": 1_i64, "collection": "c" }
        );
    }
}
