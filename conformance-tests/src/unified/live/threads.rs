//! Threads of a case, which perform operations beside the main one.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::flavor::spawn;
use super::operation;
use super::state::CaseState;
use crate::unified::file::Operation;

/// How long `waitForThread` waits, by the format's rules.
const PATIENCE: Duration = Duration::from_secs(10);

/// A thread that performs operations one after the other.
pub(super) struct Thread {
    work: Mutex<Option<Sender<Operation>>>,
    /// None once somebody has waited for it.
    ending: Mutex<Option<Receiver<Result<(), String>>>>,
}

impl Thread {
    /// Starts a thread without work. It does not keep the case alive, whose entities it is one of.
    pub(super) fn start(case: &Arc<CaseState>) -> Self {
        let (work, given) = mpsc::channel();
        let (tell, ending) = mpsc::channel();
        let case = Arc::downgrade(case);
        spawn(move || {
            // Nobody may be left to hear it.
            let _ = tell.send(perform(&case, &given));
        });
        Self {
            work: Mutex::new(Some(work)),
            ending: Mutex::new(Some(ending)),
        }
    }

    /// Gives the thread an operation to perform after those that it has.
    pub(super) fn give(&self, operation: Operation) -> Result<(), String> {
        let work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        let work = work.as_ref().ok_or("the thread has ended")?;
        work.send(operation)
            .map_err(|_| "the thread has ended after a failure".to_owned())
    }

    /// Waits until the thread has done all its work. There is nothing to wait for a second time.
    ///
    /// # Errors
    ///
    /// Fails as the first failed operation did, or when the work takes too long.
    pub(super) fn wait(&self) -> Result<(), String> {
        drop(
            self.work
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        let ending = self
            .ending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(ending) = ending else {
            return Ok(());
        };
        ending
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|_| Err(format!("the thread did not end within {PATIENCE:?}")))
    }
}

fn perform(case: &Weak<CaseState>, work: &Receiver<Operation>) -> Result<(), String> {
    for given in work {
        let case = case.upgrade().ok_or("the case is over")?;
        operation::perform(&case, &given)?;
    }
    Ok(())
}
