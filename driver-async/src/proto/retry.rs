//! Whether a failed attempt is tried again, and which error is reported in the end.
//!
//! Follows the retryable reads and retryable writes specifications.

use crate::{
    error::{Error, NO_WRITES_PERFORMED, RETRYABLE_WRITE_ERROR},
    operation::Retryability,
};

/// The wire version of MongoDB 4.4, from which on servers label retryable write errors.
const LABELS_ERRORS: i32 = 9;

/// What an operation was doing when its attempt failed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    /// How the operation may be tried again, given the client's options and the server.
    pub retryability: Retryability,
    /// How many attempts were made before this one.
    pub earlier: u32,
    /// Whether the operation has a timeout, until which it is tried again.
    pub has_timeout: bool,
}

/// What to do after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Try once more.
    Retry,
    /// Report the error.
    GiveUp,
}

/// Decides whether a failed attempt is tried again: reads and writes once, on errors that a
/// further attempt can get past.
pub(crate) fn decide(error: &Error, attempt: &Attempt) -> Decision {
    let can_get_past = match attempt.retryability {
        Retryability::Read => is_retryable_read_error(error),
        Retryability::Write => error.contains_label(RETRYABLE_WRITE_ERROR),
        Retryability::None => false,
    };
    if can_get_past && (attempt.earlier == 0 || attempt.has_timeout) {
        Decision::Retry
    } else {
        Decision::GiveUp
    }
}

/// Gives an error of a retryable write the label by which it may be tried again, where the server
/// is too old to do so, or never got to.
pub(crate) fn label_write_error(error: &mut Error, max_wire_version: Option<i32>) {
    let server_labels = max_wire_version.is_some_and(|version| version >= LABELS_ERRORS);
    if error.is_network() || (!server_labels && error.has_retryable_write_code()) {
        error.add_label(RETRYABLE_WRITE_ERROR);
    }
}

/// The error to report when the first attempt and a later one failed: the later one's, unless it
/// says that it changed nothing or never reached a server.
pub(crate) fn final_error(first: Error, last: Error, last_reached_server: bool) -> Error {
    if !last_reached_server || last.contains_label(NO_WRITES_PERFORMED) {
        first
    } else {
        last
    }
}

fn is_retryable_read_error(error: &Error) -> bool {
    error.is_network() || error.has_retryable_read_code()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn network() -> Error {
        Error::from(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
    }

    fn command(code: i32) -> Error {
        let reply = bson::rawdoc! { "ok": 0, "code": code };
        ErrorKind::Command(crate::error::CommandError::from_reply(&reply)).into()
    }

    #[test]
    fn a_read_is_tried_again_once_after_a_network_error_or_a_retryable_code() {
        let first = Attempt {
            retryability: Retryability::Read,
            earlier: 0,
            has_timeout: false,
        };
        assert_eq!(decide(&network(), &first), Decision::Retry);
        assert_eq!(decide(&command(11602), &first), Decision::Retry);
        assert_eq!(decide(&command(8000), &first), Decision::GiveUp);
        assert_eq!(
            decide(
                &network(),
                &Attempt {
                    earlier: 1,
                    ..first
                }
            ),
            Decision::GiveUp
        );
    }

    #[test]
    fn with_a_timeout_the_attempts_are_not_counted() {
        let later = Attempt {
            retryability: Retryability::Read,
            earlier: 7,
            has_timeout: true,
        };
        assert_eq!(decide(&network(), &later), Decision::Retry);
        assert_eq!(decide(&command(8000), &later), Decision::GiveUp);
    }

    #[test]
    fn a_write_is_tried_again_only_with_the_label() {
        let first = Attempt {
            retryability: Retryability::Write,
            earlier: 0,
            has_timeout: false,
        };
        for (mut error, version, wanted) in [
            (network(), Some(17), Decision::Retry),
            (network(), None, Decision::Retry),
            (command(91), Some(8), Decision::Retry),
            (command(91), Some(9), Decision::GiveUp),
            (command(134), Some(8), Decision::GiveUp),
        ] {
            label_write_error(&mut error, version);
            assert_eq!(
                decide(&error, &first),
                wanted,
                "{error} on wire version {version:?}"
            );
        }
    }

    #[test]
    fn an_attempt_that_changed_nothing_leaves_the_first_error() {
        let last = command(91).with_label(NO_WRITES_PERFORMED);
        assert_eq!(final_error(command(1), last, true).code(), Some(1));
        assert_eq!(final_error(command(1), command(2), true).code(), Some(2));
        assert_eq!(final_error(command(1), command(2), false).code(), Some(1));
    }
}
