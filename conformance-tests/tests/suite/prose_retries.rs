//! The prose tests of the retryable reads and retryable writes specifications; those of overloads
//! and of the server that is tried again stand in `retries`.

use std::sync::Mutex;
use std::sync::mpsc;
use std::thread;

use conformance_tests::behaviour::Deployment;

use super::recorder::Event;
use super::servers::{FailPoint, writable};
use super::support::Observed;
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
}

fn a_read_that_a_clear_of_the_pool_sends_away_is_tried_again(deployment: &Deployment) {
    sent_away(deployment, "find", |subject| {
        go!(subject.people().find_one(doc! {})).map(drop)
    });
}

fn a_write_that_a_clear_of_the_pool_sends_away_is_tried_again(deployment: &Deployment) {
    sent_away(deployment, "insert", |subject| {
        go!(subject.people().insert_one(doc! {})).map(drop)
    });
}

/// One operation has the only connection when the server shuts down; another waits for it.
fn sent_away(
    deployment: &Deployment,
    command: &str,
    operation: fn(&Observed) -> Result<(), Error>,
) {
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
    let error = one_after_the_other(deployment, first, then);
    assert_eq!(error.code(), Some(91), "{error:?}");
}

fn the_last_of_several_errors_is_told(deployment: &Deployment) {
    let first = refusal(91, &[RETRYABLE_ERROR, SYSTEM_OVERLOADED_ERROR]);
    let then = refusal(10107, &[RETRYABLE_ERROR, SYSTEM_OVERLOADED_ERROR]);
    let error = one_after_the_other(deployment, first, then);
    assert_eq!(error.code(), Some(10107), "{error:?}");
}

fn the_first_of_several_errors_that_wrote_nothing_is_told(deployment: &Deployment) {
    let labels = [
        RETRYABLE_ERROR,
        SYSTEM_OVERLOADED_ERROR,
        NO_WRITES_PERFORMED,
    ];
    let error = one_after_the_other(deployment, refusal(91, &labels), refusal(10107, &labels));
    assert_eq!(error.code(), Some(91), "{error:?}");
}

fn an_error_that_may_have_written_is_told(deployment: &Deployment) {
    let labels = [
        RETRYABLE_ERROR,
        SYSTEM_OVERLOADED_ERROR,
        NO_WRITES_PERFORMED,
    ];
    let first = refusal(91, &labels[..2]);
    let error = one_after_the_other(deployment, first, refusal(91, &labels));
    assert_eq!(error.code(), Some(91), "{error:?}");
    assert!(!error.contains_label(NO_WRITES_PERFORMED));
}

fn refusal(code: i32, labels: &[&str]) -> Document {
    let labels: Vec<_> = labels.iter().map(|label| Bson::from(*label)).collect();
    doc! { "failCommands": ["insert"], "errorCode": code, "errorLabels": labels }
}

/// The error of an insert whose first attempt fails as `first` says, and every other as `then`
/// does: that fail point is set when listeners learn how the first attempt ended.
fn one_after_the_other(deployment: &Deployment, first: Document, then: Document) -> Error {
    let (ended, endings) = mpsc::channel();
    let (set, is_set) = mpsc::channel::<()>();
    let is_set = Mutex::new(is_set);
    let uri = deployment.uri_with("heartbeatFrequencyMS=500");
    let subject = Observed::configured(deployment, &uri, |options| {
        options.command_event_handler = Some(EventHandler::callback(move |event| {
            let name = match &event {
                CommandEvent::Succeeded(event) => &event.command_name,
                CommandEvent::Failed(event) => &event.command_name,
                _ => return,
            };
            if name == "insert" && ended.send(()).is_ok() {
                // Nobody answers after the first time.
                let _ = is_set.lock().expect("no case panics here").recv();
            }
        }));
    });
    let member = writable(deployment);
    let failing = FailPoint::on(deployment, member, doc! { "times": 1 }, first);
    let inserting = spawn(move || go!(subject.people().insert_one(doc! {})));
    endings.recv().expect("the first attempt ends");
    let _failing_on = FailPoint::always(deployment, member, then);
    drop(endings);
    set.send(()).expect("the listener waits");
    drop(set);
    let outcome = inserting.join().expect("does not panic");
    drop(failing);
    outcome.expect_err("every attempt fails")
}
