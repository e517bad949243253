//! The words for what happens in a pool.

use std::time::Duration;

use bson::oid::ObjectId;

use crate::{
    address::ServerAddress,
    error::Error,
    event::cmap::{
        CmapEvent, ConnectionCheckedInEvent, ConnectionCheckedOutEvent,
        ConnectionCheckoutFailedEvent, ConnectionCheckoutFailedReason,
        ConnectionCheckoutStartedEvent, ConnectionClosedEvent, ConnectionClosedReason,
        ConnectionCreatedEvent, ConnectionReadyEvent, PoolClearedEvent, PoolClosedEvent,
        PoolReadyEvent,
    },
};

/// Writes events when somebody listens, and nothing otherwise.
#[derive(Debug)]
pub(super) struct Journal {
    address: ServerAddress,
    is_kept: bool,
}

impl Journal {
    pub(super) fn new(address: ServerAddress, is_kept: bool) -> Self {
        Self { address, is_kept }
    }

    pub(super) fn keep(&mut self, is_kept: bool) {
        self.is_kept = is_kept;
    }

    pub(super) fn address(&self) -> &ServerAddress {
        &self.address
    }

    pub(super) fn is_kept(&self) -> bool {
        self.is_kept
    }

    pub(super) fn ready(&self, events: &mut Vec<CmapEvent>) {
        self.note(events, |address| PoolReadyEvent { address });
    }

    pub(super) fn cleared(
        &self,
        service_id: Option<ObjectId>,
        interrupt_in_use_connections: bool,
        events: &mut Vec<CmapEvent>,
    ) {
        self.note(events, |address| PoolClearedEvent {
            address,
            service_id,
            interrupt_in_use_connections,
        });
    }

    pub(super) fn closed_pool(&self, events: &mut Vec<CmapEvent>) {
        self.note(events, |address| PoolClosedEvent { address });
    }

    pub(super) fn created(&self, connection_id: u32, events: &mut Vec<CmapEvent>) {
        self.note(events, |address| ConnectionCreatedEvent {
            address,
            connection_id,
        });
    }

    pub(super) fn connection_ready(
        &self,
        connection_id: u32,
        duration: Duration,
        events: &mut Vec<CmapEvent>,
    ) {
        self.note(events, |address| ConnectionReadyEvent {
            address,
            connection_id,
            duration,
        });
    }

    pub(super) fn closed(
        &self,
        connection_id: u32,
        reason: ConnectionClosedReason,
        error: Option<Error>,
        events: &mut Vec<CmapEvent>,
    ) {
        self.note(events, |address| ConnectionClosedEvent {
            address,
            connection_id,
            reason,
            error,
        });
    }

    pub(super) fn check_out_started(&self, events: &mut Vec<CmapEvent>) {
        self.note(events, |address| ConnectionCheckoutStartedEvent { address });
    }

    pub(super) fn check_out_failed(
        &self,
        reason: ConnectionCheckoutFailedReason,
        error: Option<Error>,
        duration: Duration,
        events: &mut Vec<CmapEvent>,
    ) {
        self.note(events, |address| ConnectionCheckoutFailedEvent {
            address,
            reason,
            error,
            duration,
        });
    }

    pub(super) fn checked_out(
        &self,
        connection_id: u32,
        duration: Duration,
        events: &mut Vec<CmapEvent>,
    ) {
        self.note(events, |address| ConnectionCheckedOutEvent {
            address,
            connection_id,
            duration,
        });
    }

    pub(super) fn checked_in(&self, connection_id: u32, events: &mut Vec<CmapEvent>) {
        self.note(events, |address| ConnectionCheckedInEvent {
            address,
            connection_id,
        });
    }

    fn note<E: Into<CmapEvent>>(
        &self,
        events: &mut Vec<CmapEvent>,
        event: impl FnOnce(ServerAddress) -> E,
    ) {
        if self.is_kept {
            events.push(event(self.address.clone()).into());
        }
    }
}
