//! Threads that do one thing after the other, and what they got done.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::super::servers::wait_until;
use crate::flavor::driver::error::Result;

/// What each worker got done.
pub(super) struct Work {
    workers: Vec<Mutex<Progress>>,
    is_over: AtomicBool,
}

#[derive(Default)]
struct Progress {
    /// When each success began and ended.
    done: Vec<(Instant, Instant)>,
    failure: Option<String>,
}

impl Work {
    pub(super) fn new(workers: usize) -> Self {
        Self {
            workers: (0..workers).map(|_| Mutex::default()).collect(),
            is_over: AtomicBool::new(false),
        }
    }

    /// Does something with 0, with 1, and so on, until the work is over or something failed.
    pub(super) fn repeat(&self, worker: usize, mut act: impl FnMut(i32) -> Result<()>) {
        for turn in 0.. {
            if self.is_over.load(Ordering::Relaxed) {
                return;
            }
            let began = Instant::now();
            let outcome = act(turn);
            let mut progress = self.progress(worker);
            match outcome {
                Ok(()) => progress.done.push((began, Instant::now())),
                Err(error) => {
                    let waited = began.elapsed();
                    let labels = error.labels();
                    progress.failure =
                        Some(format!("turn {turn}, after {waited:?}: {error} {labels:?}"));
                    return;
                }
            }
        }
    }

    /// Waits until every worker has begun something from now on and ended it with success.
    pub(super) fn wait_for_everyone(&self) {
        let now = Instant::now();
        for worker in 0..self.workers.len() {
            wait_until(&format!("success of worker {worker}"), || {
                let progress = self.progress(worker);
                if let Some(failure) = &progress.failure {
                    panic!("worker {worker}, {failure}");
                }
                let latest = progress.done.last();
                latest.and_then(|(began, _)| (*began >= now).then_some(()))
            });
        }
    }

    /// How long after that moment the first of what was begun then succeeded.
    pub(super) fn first_success_after(&self, moment: Instant) -> Duration {
        let firsts = (0..self.workers.len()).filter_map(|worker| {
            let progress = self.progress(worker);
            let mut later = progress.done.iter().filter(|(began, _)| *began >= moment);
            later.next().map(|(_, ended)| *ended)
        });
        let first = firsts.min().expect("everyone had success since");
        first - moment
    }

    /// How many times each worker had success.
    pub(super) fn done(&self) -> Vec<usize> {
        let workers = 0..self.workers.len();
        workers
            .map(|worker| self.progress(worker).done.len())
            .collect()
    }

    fn progress(&self, worker: usize) -> MutexGuard<'_, Progress> {
        self.workers[worker]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the work when dropped.
pub(super) struct EndOfWork<'a>(pub(super) &'a Work);

impl Drop for EndOfWork<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}
