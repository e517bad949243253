//! What the driver knows of a cursor: its batches, its place in them, and what to ask for next.

mod batch;
mod batches;
mod reply;

use std::time::Duration;

use bson::Bson;

pub(crate) use batch::Batch;
pub(crate) use batches::Batches;
pub(crate) use reply::CursorReply;

use crate::namespace::Namespace;

/// What a caller wants of a cursor beyond its first batch.
#[derive(Clone, Debug, Default)]
pub(crate) struct CursorSettings {
    /// How many documents the server should send at once.
    pub(crate) batch_size: Option<u32>,
    /// How many documents are delivered at most.
    pub(crate) limit: Option<u64>,
    /// How long the server waits for documents; set only for cursors that wait.
    pub(crate) max_await_time: Option<Duration>,
    /// Whether the server waits for documents before it replies.
    pub(crate) waits_for_data: bool,
    /// Goes with every command of the cursor.
    pub(crate) comment: Option<Bson>,
    /// Whether the next batch is asked for while the current one is walked; never set for
    /// cursors that wait for documents to come.
    pub(crate) prefetch: bool,
    /// Whether the server may send all batches without being asked for each.
    pub(crate) exhaust: bool,
}

/// A cursor as the command that opened it leaves it.
#[derive(Clone, Debug)]
pub(crate) struct CursorState {
    /// What came.
    pub(crate) batches: Batches,
    /// What is still with the server.
    pub(crate) remote: Option<Remote>,
    /// See [`CursorSettings::prefetch`].
    pub(crate) prefetch: bool,
}

impl CursorState {
    /// A cursor at the start of its first batch.
    pub(crate) fn new(reply: CursorReply, settings: CursorSettings) -> Self {
        Self {
            batches: Batches::new(reply.batch, settings.limit),
            prefetch: settings.prefetch,
            remote: Remote::new(reply.id, reply.namespace, settings),
        }
    }
}

/// A cursor that is open on the server: how to name it there, and what to ask for.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    id: i64,
    namespace: Namespace,
    settings: CursorSettings,
}

impl Remote {
    fn new(id: i64, namespace: Option<Namespace>, settings: CursorSettings) -> Option<Self> {
        Some(Self {
            id: Some(id).filter(|id| *id != 0)?,
            namespace: namespace?,
            settings,
        })
    }

    /// Takes over what a further reply says; false when the server has closed the cursor.
    pub(crate) fn continue_as(&mut self, id: i64, namespace: Option<Namespace>) -> bool {
        if let Some(namespace) = namespace {
            self.namespace = namespace;
        }
        self.id = id;
        id != 0
    }

    /// The server's number for the cursor.
    pub(crate) fn id(&self) -> i64 {
        self.id
    }

    /// The namespace that commands must name.
    pub(crate) fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// What the caller wants of the cursor.
    pub(crate) fn settings(&self) -> &CursorSettings {
        &self.settings
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    fn state(id: i64, settings: CursorSettings) -> CursorState {
        let reply =
            doc! { "cursor": { "id": id, "ns": "d.c.e", "firstBatch": [{ "i": 1 }] } }.to_vec();
        CursorState::new(
            CursorReply::parse(&reply.unwrap().into()).unwrap(),
            settings,
        )
    }

    #[test]
    fn a_cursor_is_named_as_the_latest_reply_says() {
        let mut remote = state(7, CursorSettings::default()).remote.unwrap();
        assert_eq!(
            (remote.id(), remote.namespace()),
            (7, &Namespace::new("d", "c.e"))
        );
        assert!(remote.continue_as(-8, Some(Namespace::new("d", "other"))));
        assert_eq!(
            (remote.id(), remote.namespace()),
            (-8, &Namespace::new("d", "other"))
        );
        assert!(!remote.continue_as(0, None));
    }

    #[test]
    fn a_cursor_that_the_server_closed_at_once_has_its_batch_only() {
        let mut state = state(0, CursorSettings::default());
        assert!(state.remote.is_none());
        assert!(state.batches.advance().unwrap());
    }
}
