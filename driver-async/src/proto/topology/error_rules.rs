//! What a failed operation or check says about its server.

use std::{cmp::Ordering, io};

use bson::RawDocument;

use crate::{
    error::{
        CommandError, Error, ErrorKind, RETRYABLE_ERROR, SYSTEM_OVERLOADED_ERROR, StateChange,
        WriteConcernError, WriteFailure, is_limit,
    },
    proto::{hello::TopologyVersion, wire::fields},
};

/// The first wire version (MongoDB 4.2) of servers that keep their connections open when they
/// stop being primary.
const KEEPS_CONNECTIONS: i32 = 8;

/// An error of an application's operation, and where it happened.
#[derive(Clone, Copy, Debug)]
pub struct ServerError<'a> {
    /// The error.
    pub error: &'a Error,
    /// Whether the connection was ready for operations: greeted and authenticated.
    pub completed_handshake: bool,
    /// The generation of the connection; for one that was never made, that of the pool when the
    /// attempt began. Behind a load balancer both generations are those of the service.
    pub error_generation: u32,
    /// The pool's generation now.
    pub current_generation: u32,
    /// The wire version of the connection; 0 when it is not known.
    pub max_wire_version: i32,
    /// The topology version in the server's description now.
    pub topology_version: Option<TopologyVersion>,
    /// Whether the deployment is behind a load balancer.
    pub load_balanced: bool,
}

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorDecision {
    /// The error says nothing new about the server.
    Ignore,
    /// Behind a load balancer: clear the connections to the service that failed. When the service
    /// is not known, there are none.
    ClearService,
    /// Replace the server's description by one made of the error. The steps below are taken with
    /// it, under the same lock.
    MarkUnknown {
        /// Clear the server's pool.
        clear_pool: bool,
        /// Also end the operations that wait on the pool's connections.
        interrupt_in_use: bool,
        /// Ask the server's monitor for a check as soon as possible.
        request_check: bool,
        /// End the monitor's check in progress, whose connection is likely broken as well.
        cancel_check: bool,
        /// Begin the check after an ended one at once, without a pause. A server that lost an old
        /// connection may be well; one that just failed to log the client in is given time.
        recheck_at_once: bool,
    },
}

/// What a failed check of a server asks for beside marking it unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckDecision {
    /// Also end the operations that wait on the cleared pool's connections.
    pub interrupt_in_use: bool,
    /// Begin the next check at once, without a pause.
    pub retry_at_once: bool,
}

/// Decides about an error of an operation ("Application errors" section).
pub fn decide(failure: &ServerError<'_>) -> ErrorDecision {
    if never_left_the_driver(failure.error) || is_stale(failure) {
        return ErrorDecision::Ignore;
    }
    if let Some(change) = failure.error.state_change() {
        return decide_state_change(change, failure);
    }
    let is_connection_lost = match failure.completed_handshake {
        // A slow operation also ends in a timeout, so a timeout says nothing.
        true => is_network(failure.error) && !is_network_timeout(failure.error),
        false => true,
    };
    // An overloaded server turns new connections away; a cleared pool would only bring more.
    if !is_connection_lost || failure.error.contains_label(SYSTEM_OVERLOADED_ERROR) {
        ErrorDecision::Ignore
    } else if failure.load_balanced {
        ErrorDecision::ClearService
    } else {
        ErrorDecision::MarkUnknown {
            clear_pool: true,
            interrupt_in_use: false,
            request_check: false,
            cancel_check: true,
            recheck_at_once: failure.completed_handshake,
        }
    }
}

/// Decides about a failed check ("Network or command error during server check" section). The
/// server is marked unknown and its pool cleared in each case.
pub fn decide_check(error: &Error, was_known: bool) -> CheckDecision {
    CheckDecision {
        // When the operating system has given up the monitor's connection, there is no way either.
        interrupt_in_use: is_network_timeout(error) || is_given_up(error),
        retry_at_once: was_known && is_network(error),
    }
}

/// The error of a command that failed as a whole: of a reply whose `ok` is not 1.
pub fn command_error(reply: &RawDocument) -> Option<Error> {
    if is_success(reply) {
        return None;
    }
    let kind = ErrorKind::Command(CommandError::from_reply(reply));
    Some(with_reply(kind, reply))
}

/// The error that a reply tells of, as far as it can say something about the server: the
/// command's own, or that of its write concern. What single writes failed with says nothing.
pub fn told_by(reply: &RawDocument) -> Option<Error> {
    command_error(reply).or_else(|| {
        let concern = reply.get_document("writeConcernError").ok()?;
        let concern = WriteConcernError::from_document(concern);
        let failure = WriteFailure::WriteConcernError(concern);
        Some(with_reply(ErrorKind::Write(failure), reply))
    })
}

fn with_reply(kind: ErrorKind, reply: &RawDocument) -> Error {
    Error::from(kind)
        .with_labels_of(reply)
        .with_server_response(reply)
}

/// Labels an error of making a connection, up to and with the hello, that an overloaded server
/// may have caused (connection pool specification, backpressure). Such an error leaves the server
/// and its pool as they are. Errors of authentication are never labelled.
pub fn labelled_as_overload(error: Error) -> Error {
    error
        .with_label(SYSTEM_OVERLOADED_ERROR)
        .with_label(RETRYABLE_ERROR)
}

/// The topology version in the reply that led to the error, when it is there and well formed.
pub fn topology_version(error: &Error) -> Option<TopologyVersion> {
    let reply = error.server_response()?;
    let version = reply.get_document("topologyVersion").ok()?;
    TopologyVersion::parse(version).ok()
}

fn is_success(reply: &RawDocument) -> bool {
    let ok = fields(reply).find(|field| field.key == b"ok");
    ok.and_then(|ok| ok.number()) == Some(1.0)
}

/// "not writable primary" and "node is recovering" section.
fn decide_state_change(change: StateChange, failure: &ServerError<'_>) -> ErrorDecision {
    let clear_pool =
        change == StateChange::ShuttingDown || failure.max_wire_version < KEEPS_CONNECTIONS;
    match (failure.load_balanced, clear_pool) {
        (true, true) => ErrorDecision::ClearService,
        (true, false) => ErrorDecision::Ignore,
        (false, _) => ErrorDecision::MarkUnknown {
            clear_pool,
            interrupt_in_use: false,
            request_check: true,
            cancel_check: false,
            recheck_at_once: false,
        },
    }
}

/// Whether the error is older than what is known of the server ("isStaleError").
fn is_stale(failure: &ServerError<'_>) -> bool {
    if failure.error_generation < failure.current_generation {
        return true;
    }
    // An equal version is stale too: each change of state makes a new version.
    match (failure.topology_version, topology_version(failure.error)) {
        (Some(known), Some(told)) => {
            matches!(told.order(&known), Some(Ordering::Less | Ordering::Equal))
        }
        _ => false,
    }
}

/// Errors that come about without a server having a part in them.
fn never_left_the_driver(error: &Error) -> bool {
    matches!(
        &*error.kind,
        ErrorKind::ConnectionPoolCleared { .. } | ErrorKind::Shutdown
    )
}

fn is_network(error: &Error) -> bool {
    matches!(
        &*error.kind,
        ErrorKind::Io(_) | ErrorKind::Timeout { .. } | ErrorKind::DnsResolve { .. }
    )
}

fn is_network_timeout(error: &Error) -> bool {
    match &*error.kind {
        ErrorKind::Timeout { .. } => true,
        ErrorKind::Io(error) => is_limit(error),
        _ => false,
    }
}

/// Whether the operating system gave the connection up because its peer no longer answered.
fn is_given_up(error: &Error) -> bool {
    matches!(&*error.kind, ErrorKind::Io(error) if error.kind() == io::ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests {
    use bson::{oid::ObjectId, rawdoc};

    use super::*;

    const PROCESS: ObjectId = ObjectId::from_bytes([1; 12]);

    #[cfg(target_os = "linux")]
    #[test]
    fn a_peer_that_the_kernel_finds_dead_is_lost_and_one_that_is_slow_is_not() {
        const ETIMEDOUT: i32 = 110;
        let lost = Error::from(io::Error::from_raw_os_error(ETIMEDOUT));
        let decision = decide(&failure(&lost));
        let ErrorDecision::MarkUnknown { clear_pool, .. } = decision else {
            panic!("{decision:?}")
        };
        assert!(clear_pool);
        let slow = Error::from(io::Error::from(io::ErrorKind::TimedOut));
        assert_eq!(decide(&failure(&slow)), ErrorDecision::Ignore);
        // Whatever found the monitor's connection dead, the others are not better off.
        for error in [lost, slow] {
            assert!(decide_check(&error, true).interrupt_in_use);
        }
    }

    fn failure(error: &Error) -> ServerError<'_> {
        ServerError {
            error,
            completed_handshake: true,
            error_generation: 3,
            current_generation: 3,
            max_wire_version: 17,
            topology_version: None,
            load_balanced: false,
        }
    }

    fn reset() -> Error {
        io::Error::from(io::ErrorKind::ConnectionReset).into()
    }

    fn command_error(code: i32, counter: i64) -> Error {
        let reply = rawdoc! {
            "ok": 0,
            "code": code,
            "topologyVersion": { "processId": PROCESS, "counter": counter },
        };
        told_by(&reply).expect("ok is 0")
    }

    fn clears_pool(decision: ErrorDecision) -> Option<bool> {
        match decision {
            ErrorDecision::MarkUnknown { clear_pool, .. } => Some(clear_pool),
            _ => None,
        }
    }

    #[test]
    fn a_server_that_shuts_down_loses_its_pool_and_one_that_steps_down_does_not() {
        let shutdown = command_error(91, 1);
        let stepdown = command_error(10107, 1);
        assert_eq!(clears_pool(decide(&failure(&shutdown))), Some(true));
        assert_eq!(clears_pool(decide(&failure(&stepdown))), Some(false));
        let old_server = ServerError {
            max_wire_version: 7,
            ..failure(&stepdown)
        };
        assert_eq!(clears_pool(decide(&old_server)), Some(true));
    }

    #[test]
    fn an_error_of_an_earlier_generation_is_ignored() {
        let error = reset();
        let stale = ServerError {
            error_generation: 2,
            ..failure(&error)
        };
        assert_eq!(decide(&stale), ErrorDecision::Ignore);
        assert_eq!(clears_pool(decide(&failure(&error))), Some(true));
    }

    #[test]
    fn an_error_must_be_newer_than_what_is_known() {
        let error = command_error(10107, 5);
        let known = |counter| ServerError {
            topology_version: Some(TopologyVersion {
                process_id: PROCESS,
                counter,
            }),
            ..failure(&error)
        };
        assert_eq!(decide(&known(5)), ErrorDecision::Ignore);
        assert_eq!(clears_pool(decide(&known(4))), Some(false));
    }

    #[test]
    fn a_timeout_counts_only_while_a_connection_is_made() {
        let error = Error::timeout("slow");
        assert_eq!(decide(&failure(&error)), ErrorDecision::Ignore);
        let handshake = ServerError {
            completed_handshake: false,
            ..failure(&error)
        };
        assert_eq!(clears_pool(decide(&handshake)), Some(true));
    }

    #[test]
    fn a_check_is_repeated_at_once_only_after_an_established_connection_broke() {
        let error = reset();
        for completed_handshake in [true, false] {
            let decision = decide(&ServerError {
                completed_handshake,
                ..failure(&error)
            });
            let ErrorDecision::MarkUnknown {
                cancel_check: true,
                recheck_at_once,
                ..
            } = decision
            else {
                panic!("{decision:?}")
            };
            assert_eq!(recheck_at_once, completed_handshake);
        }
    }

    #[test]
    fn an_overloaded_server_keeps_its_pool() {
        let error = labelled_as_overload(reset());
        let handshake = ServerError {
            completed_handshake: false,
            ..failure(&error)
        };
        assert_eq!(decide(&handshake), ErrorDecision::Ignore);
    }

    #[test]
    fn a_load_balancer_is_never_marked_unknown() {
        for (error, decision) in [
            (reset(), ErrorDecision::ClearService),
            (command_error(91, 1), ErrorDecision::ClearService),
            (command_error(10107, 1), ErrorDecision::Ignore),
        ] {
            let failure = ServerError {
                load_balanced: true,
                ..failure(&error)
            };
            assert_eq!(decide(&failure), decision, "{error}");
        }
    }

    #[test]
    fn a_check_that_timed_out_also_ends_operations() {
        let timed_out = decide_check(&Error::timeout("hello"), true);
        assert!(timed_out.interrupt_in_use && timed_out.retry_at_once);
        let refused = decide_check(&command_error(10107, 1), true);
        assert!(!refused.interrupt_in_use && !refused.retry_at_once);
        assert!(!decide_check(&reset(), false).retry_at_once);
    }
}
