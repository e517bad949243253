//! The steps of cursors and change streams. Each runs to its end in a task of its own, whether or
//! not its caller waits for it.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    sync::watch,
    task::{JoinError, JoinHandle},
};

use super::Detached;
use crate::{
    background::RuntimeId,
    error::{Error, Result},
};

/// What those wait for whose session goes on with an earlier step.
pub(super) const IN_SESSION: &str =
    "waiting for an earlier request of a cursor or change stream in the same session";

/// Checks that the caller is on a tokio runtime.
///
/// # Errors
/// An invalid-argument error when it is not.
pub(crate) fn require_runtime() -> Result<()> {
    RuntimeId::required().map(drop)
}

/// A step in a task of its own. Dropping it ends the task, unless it was detached.
///
/// In the caller's future, a step that the caller leaves unpolled would keep its connection, or its
/// place in the queue for one, from those who are polled.
#[derive(Debug)]
pub(crate) struct Step<T> {
    task: JoinHandle<T>,
    is_detached: bool,
}

impl<T: Send + 'static> Step<T> {
    /// Starts a step.
    pub(crate) fn start<F>(detached: Detached, step: F) -> Self
    where
        F: Future<Output = T> + Send + 'static,
    {
        Self {
            task: detached.spawn(step),
            is_detached: false,
        }
    }

    /// Waits for the end of the step.
    ///
    /// # Errors
    /// A network error when the task was ended with its runtime.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<T>> {
        Pin::new(&mut self.task).poll(context).map_err(task_error)
    }
}

impl<T> Step<T> {
    /// Leaves the task to itself.
    pub(crate) fn detach(mut self) {
        self.is_detached = true;
    }
}

impl<T> Drop for Step<T> {
    fn drop(&mut self) {
        if !self.is_detached {
            self.task.abort();
        }
    }
}

/// The error of a task that has ended without a result.
pub(crate) fn task_error(error: JoinError) -> Error {
    if error.is_panic() {
        return Error::internal(format!("the task of an operation ended: {error}"));
    }
    let lost = "the tokio runtime of the operation was shut down before the reply arrived";
    io::Error::new(io::ErrorKind::ConnectionAborted, lost).into()
}

/// The place of a step among those who use its session. While it exists, they wait.
#[derive(Debug)]
pub(crate) struct Turn {
    earlier: Vec<TurnEnd>,
    _going_on: watch::Sender<()>,
}

impl Turn {
    /// Waits until the steps before this one have ended.
    pub(super) async fn comes(&self) {
        for turn in &self.earlier {
            turn.clone().comes().await;
        }
    }
}

/// The end of a [`Turn`].
#[derive(Clone, Debug)]
struct TurnEnd(watch::Receiver<()>);

impl TurnEnd {
    fn has_come(&self) -> bool {
        self.0.has_changed().is_err()
    }

    async fn comes(mut self) {
        // Nothing is ever sent: the sender goes away.
        while self.0.changed().await.is_ok() {}
    }
}

/// The steps that go on in a session.
#[derive(Debug, Default)]
pub(super) struct Turns {
    under_way: Vec<TurnEnd>,
}

impl Turns {
    /// Begins a step, which waits for those before it.
    pub(super) fn begin(&mut self) -> Turn {
        let (going_on, end) = watch::channel(());
        self.forget_ended();
        let earlier = self.under_way.clone();
        self.under_way.push(TurnEnd(end));
        Turn {
            earlier,
            _going_on: going_on,
        }
    }

    /// The end of all steps; `None` when there are none.
    pub(super) fn end(&mut self) -> Option<impl Future<Output = ()> + Send + use<>> {
        self.forget_ended();
        if self.under_way.is_empty() {
            return None;
        }
        let under_way = self.under_way.clone();
        Some(async move {
            for turn in under_way {
                turn.comes().await;
            }
        })
    }

    fn forget_ended(&mut self) {
        self.under_way.retain(|turn| !turn.has_come());
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_step_waits_for_those_before_it_also_when_one_between_was_dropped() {
        let mut turns = Turns::default();
        let first = turns.begin();
        let second = turns.begin();
        let third = turns.begin();
        assert!(first.comes().now_or_never().is_some());
        drop(second);
        assert!(third.comes().now_or_never().is_none());
        assert!(turns.end().is_some_and(|end| end.now_or_never().is_none()));
        drop(first);
        assert!(third.comes().now_or_never().is_some());
        drop(third);
        assert!(turns.end().is_none());
    }

    #[test]
    fn outside_of_a_runtime_the_caller_is_told_to_enter_one() {
        let error = require_runtime().unwrap_err();
        assert!(error.to_string().contains("a tokio runtime"), "{error}");
    }

    #[tokio::test]
    async fn a_task_that_was_ended_is_a_lost_connection() {
        let task = tokio::spawn(std::future::pending::<()>());
        task.abort();
        let error = task_error(task.await.unwrap_err());
        assert!(error.is_network() && !error.is_timeout(), "{error}");
    }
}
