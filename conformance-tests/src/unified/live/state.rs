//! What the parts of a running case share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::entities::Entities;
use super::environment::Environment;
use super::fail_points::FailPoints;
use crate::unified::file::{Operation, Test};

/// A running case.
pub(super) struct CaseState {
    pub(super) environment: Arc<Environment>,
    pub(super) entities: Entities,
    pub(super) fail_points: FailPoints,
    /// Whether some operation sets a fail point, after which clients must find their servers again.
    pub(super) sets_fail_points: bool,
    /// Whether some operation starts a transaction, which may be left open.
    pub(super) starts_transactions: bool,
    progress: Mutex<String>,
    is_abandoned: AtomicBool,
}

impl CaseState {
    pub(super) fn new(environment: Arc<Environment>, test: &Test) -> Self {
        let has_one_of = |names: [&str; 2]| {
            let is_one = |operation: &Operation| names.contains(&operation.name.as_str());
            test.operations.iter().any(is_one)
        };
        Self {
            environment,
            entities: Entities::default(),
            fail_points: FailPoints::default(),
            sets_fail_points: has_one_of(["failPoint", "targetedFailPoint"]),
            starts_transactions: has_one_of(["startTransaction", "withTransaction"]),
            progress: Mutex::new("its preparation".to_owned()),
            is_abandoned: AtomicBool::new(false),
        }
    }

    /// Notes what the case is at.
    ///
    /// # Errors
    ///
    /// Fails when nobody waits for the case any more.
    pub(super) fn begin(&self, what: &str) -> Result<(), String> {
        if self.is_abandoned.load(Ordering::Acquire) {
            return Err("the case has been given up".to_owned());
        }
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        what.clone_into(&mut progress);
        Ok(())
    }

    /// What the case is at.
    pub(super) fn progress(&self) -> String {
        self.progress
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Gives the case up: its clients are closed, and it does nothing more.
    pub(super) fn abandon(&self) {
        self.is_abandoned.store(true, Ordering::Release);
        for (_, client) in self.entities.clients() {
            client.abandon();
        }
    }
}
