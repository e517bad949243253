//! The blocking session.

use std::borrow::Borrow;

use motorcade::{
    ClusterTime,
    action::{AbortTransaction, CommitTransaction, StartTransaction},
    bson::{Document, Timestamp},
};

use crate::Client;

/// Like [`motorcade::ClientSession`], but blocking.
#[derive(Debug)]
pub struct ClientSession {
    inner: motorcade::ClientSession,
}

impl ClientSession {
    /// Like [`motorcade::ClientSession::client`].
    pub fn client(&self) -> Client {
        self.inner.client().into()
    }

    /// Like [`motorcade::ClientSession::id`].
    pub fn id(&self) -> &Document {
        self.inner.id()
    }

    /// Like [`motorcade::ClientSession::cluster_time`].
    pub fn cluster_time(&self) -> Option<ClusterTime> {
        self.inner.cluster_time()
    }

    /// Like [`motorcade::ClientSession::advance_cluster_time`].
    pub fn advance_cluster_time(&mut self, to: impl Borrow<ClusterTime>) {
        self.inner.advance_cluster_time(to);
    }

    /// Like [`motorcade::ClientSession::operation_time`].
    pub fn operation_time(&self) -> Option<Timestamp> {
        self.inner.operation_time()
    }

    /// Like [`motorcade::ClientSession::advance_operation_time`].
    pub fn advance_operation_time(&mut self, ts: Timestamp) {
        self.inner.advance_operation_time(ts);
    }

    /// Like [`motorcade::ClientSession::snapshot_time`].
    pub fn snapshot_time(&self) -> Option<Timestamp> {
        self.inner.snapshot_time()
    }

    /// Like [`motorcade::ClientSession::start_transaction`].
    pub fn start_transaction(&mut self) -> StartTransaction<&mut motorcade::ClientSession> {
        self.inner.start_transaction()
    }

    /// Like [`motorcade::ClientSession::commit_transaction`].
    pub fn commit_transaction(&mut self) -> CommitTransaction<'_> {
        self.inner.commit_transaction()
    }

    /// Like [`motorcade::ClientSession::abort_transaction`].
    pub fn abort_transaction(&mut self) -> AbortTransaction<'_> {
        self.inner.abort_transaction()
    }

    pub(crate) fn inner(&mut self) -> &mut motorcade::ClientSession {
        &mut self.inner
    }
}

impl From<motorcade::ClientSession> for ClientSession {
    fn from(inner: motorcade::ClientSession) -> Self {
        Self { inner }
    }
}

impl<'a> From<&'a mut ClientSession> for &'a mut motorcade::ClientSession {
    fn from(session: &'a mut ClientSession) -> Self {
        &mut session.inner
    }
}
