//! The prose tests of the retryable reads and retryable writes specifications, and, by the letter
//! B, of client backpressure. Those of the member that is tried again stand in `retries`, those of
//! routers in `prose_routers`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use conformance_tests::behaviour::Deployment;

use super::recorder::Event;
use super::servers::{FailPoint, writable};
use super::support::{Observed, in_parallel};
use crate::flavor::driver::bson::{Bson, Document, doc};
use crate::flavor::driver::error::{
    Error, NO_WRITES_PERFORMED, RETRYABLE_ERROR, RETRYABLE_WRITE_ERROR, SYSTEM_OVERLOADED_ERROR,
};
use crate::flavor::driver::event::EventHandler;
use crate::flavor::driver::event::cmap::{CmapEvent, ConnectionCheckoutFailedReason};
use crate::flavor::driver::event::command::CommandEvent;
use crate::flavor::{go, spawn};

conformance_tests::behaviours! {
    P1 a_read_that_a_clear_of_the_pool_sends_away_is_tried_again: Either, FailPoint, since (4, 4);
    P2 a_write_that_a_clear_of_the_pool_sends_away_is_tried_again:
        ReplicaSet, FailPoint, since (4, 4);
    P3 a_write_concern_error_outlives_a_retry_that_wrote_nothing:
        ReplicaSet, FailPoint, since (6, 0);
    P6 the_last_of_several_errors_is_told: ReplicaSet, FailPoint, since (6, 0);
    P6 the_first_of_several_errors_that_wrote_nothing_is_told: ReplicaSet, FailPoint, since (6, 0);
    P6 an_error_that_may_have_written_is_told: ReplicaSet, FailPoint, since (6, 0);
    P4 after_an_overload_a_read_is_tried_again_as_often_as_after_overloads:
        ReplicaSet, FailPoint, since (4, 4);
    P6 after_an_overload_a_write_is_tried_again_as_often_as_after_overloads:
        ReplicaSet, FailPoint, since (4, 4);
    B1 an_overloaded_server_is_given_time_before_each_retry: Standalone, FailPoint, since (4, 4);
}

/// A command, and an operation that sends it.
type Operation = (&'static str, fn(&Observed) -> Result<(), Error>);

const FIND: Operation = ("find", |subject| {
    go!(subject.people().find_one(doc! {})).map(drop)
});
const INSERT: Operation = ("insert", |subject| {
    go!(subject.people().insert_one(doc! {})).map(drop)
});

fn a_read_that_a_clear_of_the_pool_sends_away_is_tried_again(deployment: &Deployment) {
    sent_away(deployment, FIND);
}

fn a_write_that_a_clear_of_the_pool_sends_away_is_tried_again(deployment: &Deployment) {
    sent_away(deployment, INSERT);
}

/// One operation has the only connection when the server shuts down; another waits for it.
fn sent_away(deployment: &Deployment, (command, operation): Operation) {
    let subject = Observed::new(deployment, "maxPoolSize=1&heartbeatFrequencyMS=500");
    subject.ping().expect("pings");
    let data = doc! {
        "failCommands": [command],
        "errorCode": 91,
        "errorLabels": [RETRYABLE_WRITE_ERROR],
        "blockConnection": true,
        "blockTimeMS": 1000,
    };
    let _shutting_down = FailPoint::times(deployment, 1, data);
    thread::scope(|scope| {
        let first = scope.spawn(|| operation(&subject));
        subject.events.wait_for("first command", |events| {
            let mut commands = events.iter().filter_map(Event::started);
            commands
                .find(|started| started.command_name == command)
                .map(drop)
        });
        let second = scope.spawn(|| operation(&subject));
        for operation in [first, second] {
            operation.join().expect("does not panic").expect("succeeds");
        }
    });
    assert_eq!(subject.events.commands_named(command).len(), 3);
    let events = subject.events.events();
    let cleared = events.iter().position(Event::is_pool_cleared);
    let failed = events.iter().position(|event| {
        matches!(event, Event::Cmap(CmapEvent::ConnectionCheckoutFailed(failed))
            if failed.reason == ConnectionCheckoutFailedReason::ConnectionError)
    });
    assert!(
        cleared.is_some() && failed > cleared,
        "{failed:?} after {cleared:?}"
    );
}

fn a_write_concern_error_outlives_a_retry_that_wrote_nothing(deployment: &Deployment) {
    let first = doc! {
        "failCommands": ["insert"],
        "errorLabels": [RETRYABLE_WRITE_ERROR],
        "writeConcernError": { "code": 91 },
    };
    let then = refusal(10107, &[RETRYABLE_WRITE_ERROR, NO_WRITES_PERFORMED]);
    let (error, _) = one_after_the_other(deployment, INSERT, first, then);
    assert_eq!(error.code(), Some(91), "{error:?}");
}

fn the_last_of_several_errors_is_told(deployment: &Deployment) {
    let first = refusal(91, &[RETRYABLE_ERROR, SYSTEM_OVERLOADED_ERROR]);
    let then = refusal(10107, &[RETRYABLE_ERROR, SYSTEM_OVERLOADED_ERROR]);
    let (error, _) = one_after_the_other(deployment, INSERT, first, then);
    assert_eq!(error.code(), Some(10107), "{error:?}");
}

fn the_first_of_several_errors_that_wrote_nothing_is_told(deployment: &Deployment) {
    let labels = [
        RETRYABLE_ERROR,
        SYSTEM_OVERLOADED_ERROR,
        NO_WRITES_PERFORMED,
    ];
    let (first, then) = (refusal(91, &labels), refusal(10107, &labels));
    let (error, _) = one_after_the_other(deployment, INSERT, first, then);
    assert_eq!(error.code(), Some(91), "{error:?}");
}

fn an_error_that_may_have_written_is_told(deployment: &Deployment) {
    let labels = [
        RETRYABLE_ERROR,
        SYSTEM_OVERLOADED_ERROR,
        NO_WRITES_PERFORMED,
    ];
    let (first, then) = (refusal(91, &labels[..2]), refusal(91, &labels));
    let (error, _) = one_after_the_other(deployment, INSERT, first, then);
    assert_eq!(error.code(), Some(91), "{error:?}");
    assert!(!error.contains_label(NO_WRITES_PERFORMED));
}

fn after_an_overload_a_read_is_tried_again_as_often_as_after_overloads(deployment: &Deployment) {
    let mut first = refusal(91, &[RETRYABLE_ERROR, SYSTEM_OVERLOADED_ERROR]);
    let mut then = refusal(91, &[RETRYABLE_ERROR]);
    for refused in [&mut first, &mut then] {
        refused.insert("failCommands", vec!["find"]);
    }
    let (error, attempts) = one_after_the_other(deployment, FIND, first, then);
    assert_eq!((error.code(), attempts), (Some(91), 3), "{error:?}");
    assert!(!error.contains_label(SYSTEM_OVERLOADED_ERROR));
}

fn after_an_overload_a_write_is_tried_again_as_often_as_after_overloads(deployment: &Deployment) {
    let first = refusal(91, &[RETRYABLE_ERROR, SYSTEM_OVERLOADED_ERROR]);
    let then = refusal(91, &[RETRYABLE_ERROR, RETRYABLE_WRITE_ERROR]);
    let (error, attempts) = one_after_the_other(deployment, INSERT, first, then);
    assert_eq!((error.code(), attempts), (Some(91), 3), "{error:?}");
    assert!(!error.contains_label(SYSTEM_OVERLOADED_ERROR));
}

/// The longest waits, which the unit tests of the decision show, are of 200 and 400 ms here; each
/// is cut at random. So dozens of them together last for seconds, by all odds.
fn an_overloaded_server_is_given_time_before_each_retry(deployment: &Deployment) {
    const OPERATIONS: usize = 12;
    let subject = Observed::new(deployment, "");
    in_parallel(OPERATIONS, |_| subject.ping().expect("connects"));
    let data = refusal(2, &[RETRYABLE_ERROR, SYSTEM_OVERLOADED_ERROR]);
    let _busy = FailPoint::always(deployment, writable(deployment), data);
    let elapsed = in_parallel(OPERATIONS, |_| {
        let start = Instant::now();
        let error = INSERT.1(&subject).expect_err("is refused each time");
        assert_eq!(error.code(), Some(2), "{error:?}");
        start.elapsed()
    });
    let inserts = subject.events.commands_named("insert").len();
    assert_eq!(inserts, 3 * OPERATIONS);
    let elapsed: Duration = elapsed.into_iter().sum();
    let waited = elapsed.saturating_sub(subject.events.time_of_failed("insert"));
    assert!(
        waited >= Duration::from_secs(1),
        "{waited:?} of {elapsed:?}"
    );
}

fn refusal(code: i32, labels: &[&str]) -> Document {
    let labels: Vec<_> = labels.iter().map(|label| Bson::from(*label)).collect();
    doc! { "failCommands": ["insert"], "errorCode": code, "errorLabels": labels }
}

/// The error of an operation whose first attempt fails as `first` says, and every other as `then`
/// does, and how many attempts there were. The second fail point is set when listeners learn how
/// the first attempt ended.
fn one_after_the_other(
    deployment: &Deployment,
    (command, operation): Operation,
    first: Document,
    then: Document,
) -> (Error, usize) {
    let (ended, endings) = mpsc::channel();
    let (set, is_set) = mpsc::channel::<()>();
    let is_set = Mutex::new(is_set);
    let attempts = Arc::new(AtomicUsize::new(0));
    let uri = deployment.uri_with("heartbeatFrequencyMS=500");
    let subject = Observed::configured(deployment, &uri, |options| {
        let attempts = Arc::clone(&attempts);
        options.command_event_handler = Some(EventHandler::callback(move |event| {
            let name = match &event {
                CommandEvent::Succeeded(event) => &event.command_name,
                CommandEvent::Failed(event) => &event.command_name,
                _ => return,
            };
            if name != command {
                return;
            }
            attempts.fetch_add(1, Ordering::Relaxed);
            if ended.send(()).is_ok() {
                // Nobody answers after the first time.
                let _ = is_set.lock().expect("no case panics here").recv();
            }
        }));
    });
    let member = writable(deployment);
    let failing = FailPoint::on(deployment, member, doc! { "times": 1 }, first);
    let outcome = spawn(move || operation(&subject));
    endings.recv().expect("the first attempt ends");
    let _failing_on = FailPoint::always(deployment, member, then);
    drop(endings);
    set.send(()).expect("the listener waits");
    drop(set);
    let outcome = outcome.join().expect("does not panic");
    drop(failing);
    let error = outcome.expect_err("every attempt fails");
    (error, attempts.load(Ordering::Relaxed))
}
