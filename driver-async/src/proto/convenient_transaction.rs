//! What becomes of a transaction that is run by a callback, each time something fails.
//!
//! Follows the specification "Convenient API for Transactions".

use std::time::{Duration, Instant};

use crate::{
    error::{Error, ErrorKind, TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT},
    proto::timeout::Timeout,
};

/// How long failures are answered with further attempts.
const TIME_LIMIT: Duration = Duration::from_secs(120);
/// What the waits grow from, the jitter aside.
const BASE_BACKOFF: Duration = Duration::from_millis(5);
/// By how much the wait grows with each attempt.
const BACKOFF_GROWTH: f64 = 1.5;
/// The most to wait before any attempt.
const LONGEST_BACKOFF: Duration = Duration::from_millis(500);
/// The server's code for a limit of time that has passed.
const MAX_TIME_MS_EXPIRED: i32 = 50;

/// The attempts at one transaction.
#[derive(Debug)]
pub(crate) struct Attempts {
    began: Instant,
    timeout: Timeout,
    made: i32,
}

/// What to do after a failure.
#[derive(Debug)]
pub(crate) enum Step {
    /// Wait, then run the whole transaction again.
    RetryTransaction(Duration),
    /// Commit again.
    RetryCommit,
    /// Report the error.
    Fail(Error),
}

impl Attempts {
    /// The first attempt, which begins at `now`.
    pub(crate) fn new(now: Instant, timeout: Timeout) -> Self {
        Self {
            began: now,
            timeout,
            made: 1,
        }
    }

    /// Whether the limit has passed at `time` after the start.
    fn is_over(&self, time: Duration) -> bool {
        if self.timeout.is_set() {
            self.timeout.limit().is_some_and(|limit| time >= limit)
        } else {
            time >= TIME_LIMIT
        }
    }

    /// The callback failed, and the transaction was aborted. `jitter` is a random number from 0 to
    /// 1.
    pub(crate) fn callback_failed(&mut self, error: Error, now: Instant, jitter: f64) -> Step {
        if error.contains_label(TRANSIENT_TRANSACTION_ERROR) {
            self.retry(error, now, jitter)
        } else {
            Step::Fail(error)
        }
    }

    /// The commit failed.
    pub(crate) fn commit_failed(&mut self, error: Error, now: Instant, jitter: f64) -> Step {
        let is_unknown = error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT);
        if is_unknown && error.code() != Some(MAX_TIME_MS_EXPIRED) {
            if self.is_over(now.saturating_duration_since(self.began)) {
                Step::Fail(self.timed_out(error))
            } else {
                Step::RetryCommit
            }
        } else {
            self.callback_failed(error, now, jitter)
        }
    }

    fn retry(&mut self, error: Error, now: Instant, jitter: f64) -> Step {
        let growth = BACKOFF_GROWTH.powi(self.made);
        let backoff = BASE_BACKOFF.as_secs_f64() * growth;
        let backoff =
            LONGEST_BACKOFF.mul_f64(jitter * (backoff / LONGEST_BACKOFF.as_secs_f64()).min(1.0));
        if self.is_over(now.saturating_duration_since(self.began) + backoff) {
            return Step::Fail(self.timed_out(error));
        }
        self.made += 1;
        Step::RetryTransaction(backoff)
    }

    /// A time-out with the labels of the error that would have led to a further attempt; that error
    /// itself when it is an operation's timeout already.
    fn timed_out(&self, error: Error) -> Error {
        if matches!(*error.kind, ErrorKind::OperationTimeout { .. }) {
            return error;
        }
        if self.timeout.is_set() {
            return Error::operation_timeout(error);
        }
        let message = format!(
            "the transaction did not succeed within {} s; last: {error}",
            TIME_LIMIT.as_secs()
        );
        Error::timeout(message).ending_with(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::CommandError;

    fn transient() -> Error {
        Error::internal("lost").with_label(TRANSIENT_TRANSACTION_ERROR)
    }

    fn unknown(code: i32) -> Error {
        let reply = bson::rawdoc! { "ok": 0, "code": code };
        let kind = ErrorKind::Command(CommandError::from_reply(&reply));
        Error::from(kind).with_label(UNKNOWN_TRANSACTION_COMMIT_RESULT)
    }

    #[test]
    fn waits_grow_up_to_half_a_second() {
        let now = Instant::now();
        let mut attempts = Attempts::new(now, Timeout::default());
        let mut waits = Vec::new();
        for _ in 0..14 {
            match attempts.callback_failed(transient(), now, 1.0) {
                Step::RetryTransaction(wait) => waits.push(wait.as_micros()),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(waits[..2], [7_500, 11_250]);
        assert_eq!(waits[10..], [432_487, 500_000, 500_000, 500_000]);
        assert!(matches!(
            attempts.callback_failed(transient(), now, 0.0),
            Step::RetryTransaction(Duration::ZERO)
        ));
    }

    #[test]
    fn nothing_is_tried_again_after_the_limit_and_the_labels_stay() {
        let now = Instant::now();
        let late = now + TIME_LIMIT;
        let mut attempts = Attempts::new(now, Timeout::default());
        for (step, label) in [
            (
                attempts.callback_failed(transient(), late, 0.0),
                TRANSIENT_TRANSACTION_ERROR,
            ),
            (
                attempts.commit_failed(transient(), late, 0.0),
                TRANSIENT_TRANSACTION_ERROR,
            ),
            (
                attempts.commit_failed(unknown(91), late, 0.0),
                UNKNOWN_TRANSACTION_COMMIT_RESULT,
            ),
        ] {
            let Step::Fail(error) = step else {
                panic!("{step:?}")
            };
            assert!(error.is_timeout() && error.contains_label(label), "{error}");
        }
    }

    /// What the specification's prose test measures as the difference between two runs.
    #[test]
    fn thirteen_waits_are_2_3_seconds_at_most() {
        let now = Instant::now();
        let sum = |jitter| {
            let mut attempts = Attempts::new(now, Timeout::default());
            let waits = (0..13).map(|_| match attempts.commit_failed(transient(), now, jitter) {
                Step::RetryTransaction(wait) => wait,
                other => panic!("{other:?}"),
            });
            waits.sum::<Duration>()
        };
        assert_eq!(sum(0.0), Duration::ZERO);
        assert_eq!(sum(1.0).as_millis(), 2_282);
    }

    #[test]
    fn an_operations_timeout_is_told_as_it_is() {
        let now = Instant::now();
        let limit = Duration::from_millis(10);
        let mut attempts = Attempts::new(now, Timeout::inherited(Some(limit)));
        let error = Error::operation_timeout(transient());
        let Step::Fail(told) = attempts.callback_failed(error, now + limit, 0.0) else {
            panic!("the time is up");
        };
        assert!(told.contains_label(TRANSIENT_TRANSACTION_ERROR));
        let cause = std::error::Error::source(&told).map(ToString::to_string);
        assert_eq!(cause.as_deref(), Some(&*transient().to_string()));
    }

    #[test]
    fn a_commit_whose_result_is_unknown_is_repeated_unless_its_own_limit_ended_it() {
        let now = Instant::now();
        let mut attempts = Attempts::new(now, Timeout::default());
        assert!(matches!(
            attempts.commit_failed(unknown(91), now, 0.5),
            Step::RetryCommit
        ));
        assert!(matches!(
            attempts.commit_failed(unknown(MAX_TIME_MS_EXPIRED), now, 0.5),
            Step::Fail(_)
        ));
        let own = Error::custom("not ours");
        assert!(matches!(
            attempts.callback_failed(own, now, 0.5),
            Step::Fail(error) if error.get_custom::<&str>() == Some(&"not ours")
        ));
    }
}
