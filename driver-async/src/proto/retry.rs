//! Whether a failed attempt is tried again, and which error is reported in the end.
//!
//! Follows the retryable reads, retryable writes and client backpressure specifications.

use std::time::Duration;

use crate::{
    error::{
        Error, ErrorKind, NO_WRITES_PERFORMED, RETRYABLE_ERROR, RETRYABLE_WRITE_ERROR,
        SYSTEM_OVERLOADED_ERROR,
    },
    operation::Retryability,
    proto::topology::ServerType,
};

/// The wire version of MongoDB 4.4, from which on servers label retryable write errors.
const LABELS_ERRORS: i32 = 9;

/// The code of, among others, a transaction number that the deployment has no use for.
const ILLEGAL_OPERATION: i32 = 20;

/// Half of the most to wait before the first retry after an overload, the jitter aside, unless the
/// server says otherwise.
const BASE_BACKOFF: Duration = Duration::from_millis(100);
/// The most to wait before any retry.
const MAX_BACKOFF: Duration = Duration::from_secs(10);

/// How the attempts of an operation may follow each other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    /// How the operation may be tried again after errors that a further attempt can get past, as
    /// far as the options and the last server allow.
    pub retryability: Retryability,
    /// Whether it may be tried again when the server was too busy to begin with it.
    pub after_overload: bool,
    /// How often it may be tried again once the server was too busy.
    pub max_overload_retries: u32,
    /// How much time is left if the operation has a timeout, until which it is tried again.
    pub time_left: Option<Duration>,
}

/// The attempts of one operation that failed so far.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    failed: u32,
    overloaded: bool,
    /// The error to report if there is no success.
    error: Option<Error>,
}

/// What to do after a failed attempt.
#[derive(Debug)]
pub(crate) enum Decision {
    /// Try again, after a wait if the server was too busy.
    Retry(Option<Duration>),
    /// Report the error.
    GiveUp(Error),
}

impl Attempts {
    /// Decides what follows a failed attempt. `jitter` is a random number from 0 to 1.
    pub(crate) fn decide(
        &mut self,
        error: Error,
        reached_server: bool,
        policy: &Policy,
        jitter: f64,
    ) -> Decision {
        let overload = error.contains_label(SYSTEM_OVERLOADED_ERROR);
        let can_get_past = match policy.retryability {
            Retryability::Read => is_retryable_read_error(&error),
            Retryability::Write => error.contains_label(RETRYABLE_WRITE_ERROR),
            Retryability::None => false,
        };
        let was_not_begun =
            policy.after_overload && overload && error.contains_label(RETRYABLE_ERROR);
        self.overloaded |= overload;
        let allowed = match self.overloaded {
            true => policy.max_overload_retries,
            false if policy.time_left.is_some() => u32::MAX,
            false => 1,
        };
        let backoff = overload.then(|| self.backoff(&error, jitter));
        let in_time = match (policy.time_left, backoff) {
            (Some(left), Some(backoff)) => backoff < left,
            _ => true,
        };
        self.keep(error, reached_server, policy);
        if (can_get_past || was_not_begun) && self.failed < allowed && in_time {
            self.failed += 1;
            return Decision::Retry(backoff);
        }
        match self.error.take() {
            Some(error) => Decision::GiveUp(error),
            None => Decision::GiveUp(Error::internal("an attempt failed without an error")),
        }
    }

    /// Keeps the error to report: the latest, unless that says that it changed nothing or never
    /// reached a server. That the operation's time is over is always told.
    fn keep(&mut self, error: Error, reached_server: bool, policy: &Policy) {
        let is_timeout = policy.time_left.is_some() && error.is_timeout();
        let is_news = reached_server && !error.contains_label(NO_WRITES_PERFORMED);
        match self.error.take() {
            Some(earlier) if is_timeout => self.error = Some(error.with_source(earlier)),
            Some(earlier) if !is_news => self.error = Some(earlier),
            _ => self.error = Some(error),
        }
    }

    fn backoff(&self, error: &Error, jitter: f64) -> Duration {
        let base = base_backoff(error).unwrap_or(BASE_BACKOFF);
        let longest = base.saturating_mul(2_u32.saturating_pow(self.failed.saturating_add(1)));
        longest.min(MAX_BACKOFF).mul_f64(jitter)
    }
}

/// What the server proposes in place of [`BASE_BACKOFF`]; only a positive number counts.
fn base_backoff(error: &Error) -> Option<Duration> {
    match &*error.kind {
        ErrorKind::Command(command) => command.base_backoff.filter(|base| !base.is_zero()),
        _ => None,
    }
}

/// Gives an error of a retryable write the label by which it may be tried again, where the server
/// is too old to do so, or never got to. `server` is its type and newest wire version, once it was
/// reached.
pub(crate) fn label_write_error(error: &mut Error, server: Option<(ServerType, i32)>) {
    let server_labels = server.is_some_and(|(_, version)| version >= LABELS_ERRORS);
    // A router tried that again itself, as far as it could.
    let is_told_by_router = server
        .is_some_and(|(server_type, _)| server_type == ServerType::Mongos)
        && !matches!(*error.kind, ErrorKind::Command(_));
    let is_retryable = !server_labels && !is_told_by_router && error.has_retryable_write_code();
    if error.is_network() || is_retryable {
        error.add_label(RETRYABLE_WRITE_ERROR);
    }
}

/// Says what to do where a write's transaction number was refused: the specification's own words,
/// in place of the server's.
pub(crate) fn explain_refused_number(error: &mut Error) {
    if let ErrorKind::Command(refusal) = &mut *error.kind
        && refusal.code == ILLEGAL_OPERATION
        && refusal.message.starts_with("Transaction numbers")
    {
        "This MongoDB deployment does not support retryable writes. Please add retryWrites=false \
         to your connection string."
            .clone_into(&mut refusal.message);
    }
}

fn is_retryable_read_error(error: &Error) -> bool {
    error.is_network() || error.has_retryable_read_code()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network() -> Error {
        Error::from(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
    }

    fn command(code: i32) -> Error {
        let reply = bson::rawdoc! { "ok": 0, "code": code };
        ErrorKind::Command(crate::error::CommandError::from_reply(&reply)).into()
    }

    fn unmet(code: i32) -> Error {
        let concern = bson::rawdoc! { "code": code };
        let concern = crate::error::WriteConcernError::from_document(&concern);
        ErrorKind::Write(crate::error::WriteFailure::WriteConcernError(concern)).into()
    }

    fn refused_login(code: i32) -> Error {
        Error::authentication("the server refused it").with_source(command(code))
    }

    fn overload(code: i32) -> Error {
        command(code)
            .with_label(SYSTEM_OVERLOADED_ERROR)
            .with_label(RETRYABLE_ERROR)
    }

    fn policy(retryability: Retryability) -> Policy {
        Policy {
            retryability,
            after_overload: true,
            max_overload_retries: 2,
            time_left: None,
        }
    }

    /// The waits before the attempts that follow those failures, and the code reported at last.
    fn course(
        failures: impl IntoIterator<Item = (Error, bool)>,
        policy: &Policy,
    ) -> (Vec<Option<Duration>>, Option<Option<i32>>) {
        let mut attempts = Attempts::default();
        let mut waits = Vec::new();
        for (error, reached_server) in failures {
            match attempts.decide(error, reached_server, policy, 1.0) {
                Decision::Retry(wait) => waits.push(wait),
                Decision::GiveUp(error) => return (waits, Some(error.code())),
            }
        }
        (waits, None)
    }

    fn retries(error: Error, retryability: Retryability) -> bool {
        let (waits, _) = course([(error, true)], &policy(retryability));
        !waits.is_empty()
    }

    #[test]
    fn a_read_is_tried_again_once_after_a_network_error_or_a_retryable_code() {
        assert!(retries(network(), Retryability::Read));
        assert!(retries(command(11602), Retryability::Read));
        assert!(retries(refused_login(91), Retryability::Read));
        assert!(!retries(refused_login(18), Retryability::Read));
        assert!(!retries(command(8000), Retryability::Read));
        assert!(!retries(network(), Retryability::None));
        let twice = [(network(), true), (command(11602), true)];
        let (waits, code) = course(twice, &policy(Retryability::Read));
        assert_eq!((waits, code), (vec![None], Some(Some(11602))));
    }

    #[test]
    fn with_a_timeout_attempts_are_not_counted_until_the_server_is_too_busy() {
        let limited = Policy {
            time_left: Some(Duration::from_secs(60)),
            ..policy(Retryability::Read)
        };
        let many = (0..7).map(|_| (network(), true));
        assert_eq!(course(many, &limited).0.len(), 7);
        let busy = (0..7).map(|_| (overload(1), true));
        assert_eq!(course(busy, &limited).0.len(), 2);
        let late = Policy {
            time_left: Some(Duration::from_millis(200)),
            ..limited
        };
        assert!(course([(overload(1), true)], &late).0.is_empty());
        let timed_out = [(network(), true), (Error::timeout("late"), false)];
        let mut attempts = Attempts::default();
        let mut last = None;
        for (error, reached_server) in timed_out {
            last = Some(attempts.decide(error, reached_server, &limited, 1.0));
        }
        assert!(matches!(last, Some(Decision::GiveUp(error)) if error.is_timeout()));
    }

    #[test]
    fn a_write_is_tried_again_only_with_the_label() {
        use ServerType::{Mongos, RsPrimary};
        for (mut error, server, wanted) in [
            (network(), Some((RsPrimary, 17)), true),
            (network(), None, true),
            (command(91), Some((RsPrimary, 8)), true),
            (command(91), Some((Mongos, 8)), true),
            (command(91), Some((RsPrimary, 9)), false),
            (command(134), Some((RsPrimary, 8)), false),
            (unmet(91), Some((RsPrimary, 8)), true),
            (unmet(91), Some((Mongos, 8)), false),
            (unmet(91), Some((RsPrimary, 9)), false),
            (refused_login(91), None, true),
            (refused_login(18), None, false),
        ] {
            label_write_error(&mut error, server);
            let message = error.to_string();
            assert_eq!(
                retries(error, Retryability::Write),
                wanted,
                "{message} of {server:?}"
            );
        }
    }

    #[test]
    fn a_refused_transaction_number_is_explained() {
        let told = |code: i32, message: &str| {
            let reply = bson::rawdoc! { "ok": 0, "code": code, "errmsg": message };
            let kind = ErrorKind::Command(crate::error::CommandError::from_reply(&reply));
            let mut error = Error::from(kind);
            explain_refused_number(&mut error);
            assert_eq!(error.code(), Some(code));
            error.to_string()
        };
        let number = "Transaction numbers are only allowed on a replica set member or mongos";
        assert!(told(20, number).contains("Please add retryWrites=false"));
        assert!(told(20, "another reason").contains("another reason"));
        assert!(told(21, number).contains(number));
    }

    #[test]
    fn whatever_the_server_was_too_busy_for_is_tried_again_after_growing_waits() {
        let failures = || (1..9).map(|code| (overload(code), true));
        let millis = |millis| Some(Duration::from_millis(millis));
        let (waits, code) = course(failures(), &policy(Retryability::None));
        assert_eq!(waits, [millis(200), millis(400)]);
        assert_eq!(code, Some(Some(3)));
        let patient = Policy {
            max_overload_retries: 7,
            ..policy(Retryability::None)
        };
        let (waits, _) = course(failures(), &patient);
        assert_eq!(waits.last(), Some(&millis(10_000)));
        let refused = Policy {
            after_overload: false,
            ..policy(Retryability::None)
        };
        assert_eq!(course(failures(), &refused), (vec![], Some(Some(1))));
        let unsafe_to_repeat = command(1).with_label(SYSTEM_OVERLOADED_ERROR);
        assert!(!retries(unsafe_to_repeat, Retryability::None));
    }

    #[test]
    fn the_server_may_propose_the_wait() {
        for (proposed, wanted) in [(7_i64, 14), (0, 200), (-1, 200)] {
            let reply = bson::rawdoc! { "ok": 0, "code": 462, "baseBackoffMS": proposed };
            let kind = ErrorKind::Command(crate::error::CommandError::from_reply(&reply));
            let error = Error::from(kind)
                .with_label(SYSTEM_OVERLOADED_ERROR)
                .with_label(RETRYABLE_ERROR);
            let (waits, _) = course([(error, true)], &policy(Retryability::None));
            let wanted = Duration::from_millis(wanted);
            assert_eq!(waits, [Some(wanted)], "baseBackoffMS {proposed}");
        }
    }

    #[test]
    fn an_overload_among_other_errors_sets_the_number_of_retries() {
        let mixed = [(overload(1), true), (network(), true), (network(), true)];
        let (waits, _) = course(mixed, &policy(Retryability::Read));
        assert_eq!(waits, [Some(Duration::from_millis(200)), None]);
        let none = Policy {
            max_overload_retries: 0,
            ..policy(Retryability::Read)
        };
        assert!(course([(overload(11602), true)], &none).0.is_empty());
    }

    #[test]
    fn an_attempt_that_changed_nothing_leaves_the_earlier_error() {
        let label = |code| {
            let error = overload(code).with_label(RETRYABLE_WRITE_ERROR);
            error.with_label(NO_WRITES_PERFORMED)
        };
        let write = policy(Retryability::Write);
        let first = [(label(1), true), (label(2), true), (label(3), true)];
        assert_eq!(course(first, &write).1, Some(Some(1)));
        let second = [(label(1), true), (overload(2), true), (label(3), true)];
        assert_eq!(course(second, &write).1, Some(Some(2)));
        let unreached = [(overload(1), true), (command(2), false)];
        assert_eq!(course(unreached, &write).1, Some(Some(1)));
    }
}
