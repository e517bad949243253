//! What follows from an error of an operation, a check or a connection attempt.

use std::sync::Arc;

use bson::oid::ObjectId;

use super::{Server, Topology};
use crate::{
    address::ServerAddress,
    clock,
    error::Error,
    pool::{ClearCause, Generation},
    proto::topology::{
        ServerDescription,
        error_rules::{self, ErrorDecision, ServerError},
    },
};

impl Topology {
    /// Judges the error of an operation on an established connection of `server`.
    pub(crate) fn report_operation_error(
        self: &Arc<Self>,
        server: &Server,
        error: &Error,
        generation: Generation,
        max_wire_version: i32,
    ) {
        self.report(server.address(), error, generation, Some(max_wire_version));
    }

    /// Judges the error of an attempt to make a connection to `address`.
    pub(super) fn report_connect_error(
        self: &Arc<Self>,
        address: &ServerAddress,
        error: &Error,
        generation: Generation,
    ) {
        self.report(address, error, generation, None);
    }

    /// `max_wire_version` is that of the connection, once its handshake was completed.
    fn report(
        self: &Arc<Self>,
        address: &ServerAddress,
        error: &Error,
        generation: Generation,
        max_wire_version: Option<i32>,
    ) {
        let writing = self.published.write();
        let snapshot = self.snapshot_owned();
        let (Some(server), Some(description)) = (
            snapshot.servers.get(address),
            snapshot.description.servers.get(address),
        ) else {
            return;
        };
        let current = server.pool.generation(generation.service_id());
        if !current.is_of_pool_of(generation) {
            // The server has left since and come back.
            return;
        }
        let decision = error_rules::decide(&ServerError {
            error,
            completed_handshake: max_wire_version.is_some(),
            error_generation: generation.number(),
            current_generation: current.number(),
            max_wire_version: max_wire_version.unwrap_or(description.max_wire_version),
            topology_version: description.topology_version,
            load_balanced: self.settings.load_balanced,
        });
        self.follow(decision, server, error, generation);
        drop(writing);
        self.deliver();
    }

    /// Takes over a failed check: the server is unknown and its pool unusable.
    pub(super) fn report_check_error(self: &Arc<Self>, server: &Arc<Server>, error: &Error) {
        let writing = self.published.write();
        let address = server.address().clone();
        let unknown = ServerDescription::from_error(address, error.clone(), clock::now());
        if self.apply_locked(unknown) {
            let interrupt_in_use = error_rules::decide_check(error, true).interrupt_in_use;
            self.clear(server, clear_cause(error, None, interrupt_in_use));
        }
        drop(writing);
        self.deliver();
    }

    fn follow(
        self: &Arc<Self>,
        decision: ErrorDecision,
        server: &Arc<Server>,
        error: &Error,
        generation: Generation,
    ) {
        match decision {
            ErrorDecision::Ignore => {}
            ErrorDecision::ClearService => {
                self.clear(server, clear_cause(error, generation.service_id(), false));
            }
            ErrorDecision::MarkUnknown {
                clear_pool,
                interrupt_in_use,
                request_check,
                cancel_check,
                recheck_at_once,
            } => {
                let address = server.address().clone();
                let unknown = ServerDescription::from_error(address, error.clone(), clock::now());
                if !self.apply_locked(unknown) {
                    return;
                }
                if clear_pool {
                    self.clear(server, clear_cause(error, None, interrupt_in_use));
                }
                if request_check {
                    server.ask_for_check();
                }
                if cancel_check {
                    server.cancel_check(recheck_at_once);
                }
            }
        }
    }

    fn clear(&self, server: &Server, cause: ClearCause) {
        server.pool.clear_quietly(cause);
        self.tell_later(&server.pool);
    }
}

fn clear_cause(error: &Error, service_id: Option<ObjectId>, interrupt_in_use: bool) -> ClearCause {
    ClearCause {
        error: Some(error.clone()),
        service_id,
        interrupt_in_use,
    }
}
