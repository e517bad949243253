//! What is tried again, and how failures of the network and of servers are told.

use std::time::{Duration, Instant};

use conformance_tests::behaviour::Deployment;

use super::recorder::Event;
use super::servers::{FailPoint, address, writable};
use super::support::Observed;
use crate::flavor::driver::bson::{Document, doc};
use crate::flavor::driver::error::{
    RETRYABLE_ERROR, RETRYABLE_WRITE_ERROR, SYSTEM_OVERLOADED_ERROR,
};
use crate::flavor::driver::options::ServerAddress;
use crate::flavor::go;

conformance_tests::behaviours! {
    F25 the_text_of_a_network_error_starts_with_the_server: Either, FailPoint;
    F25 the_text_of_a_timeout_names_the_limit_in_force: Either, FailPoint, since (4, 4);
    N6 a_read_is_tried_again_after_one_clear_of_the_pool: Either, FailPoint;
    N6 a_write_is_tried_again_with_the_same_number: ReplicaSet, FailPoint;
    N6 a_second_failure_is_the_callers: ReplicaSet, FailPoint;
    N6 a_write_without_retries_carries_no_number: ReplicaSet, FailPoint;
    N6 a_write_of_many_documents_is_not_tried_again: ReplicaSet, FailPoint;
    F116 a_slow_attempt_takes_no_time_from_the_selection_after_it:
        ReplicaSet, FailPoint, since (4, 4);
    F116 an_overload_is_tried_again_twice_whatever_the_command: ReplicaSet, FailPoint, since (4, 4);
    F116 max_adaptive_retries_sets_how_often: ReplicaSet, FailPoint, since (4, 4);
    F116 an_overloaded_member_is_asked_again_unless_retargeting_is_enabled:
        ReplicaSet, FailPoint, since (4, 4);
    F116 other_failures_are_tried_again_on_the_same_member: ReplicaSet, FailPoint, since (4, 4);
}

fn the_text_of_a_network_error_starts_with_the_server(deployment: &Deployment) {
    let subject = Observed::new(deployment, "retryWrites=false");
    let data = doc! { "failCommands": ["insert"], "closeConnection": true };
    let _closing = FailPoint::times(deployment, 1, data);
    let error = go!(subject.people().insert_one(doc! {})).expect_err("is cut off");
    assert!(error.is_network(), "{error:?}");
    let server = address(deployment, writable(deployment)).to_string();
    assert!(error.to_string().starts_with(&server), "{error}");
    assert!(error.server_response().is_none());
}

fn the_text_of_a_timeout_names_the_limit_in_force(deployment: &Deployment) {
    let subject = Observed::new(deployment, "socketTimeoutMS=300&retryReads=false");
    let data = doc! {
        "failCommands": ["find"],
        "blockConnection": true,
        "blockTimeMS": 1500,
    };
    let _blocking = FailPoint::times(deployment, 1, data);
    let start = Instant::now();
    let error = go!(subject.people().find_one(doc! {})).expect_err("takes too long");
    assert!(
        start.elapsed() >= Duration::from_millis(300),
        "{:?}",
        start.elapsed()
    );
    assert!(error.is_timeout(), "{error:?}");
    let server = address(deployment, writable(deployment)).to_string();
    assert!(error.to_string().starts_with(&server), "{error}");
    assert!(error.to_string().contains("socketTimeoutMS"), "{error}");
}

fn a_slow_attempt_takes_no_time_from_the_selection_after_it(deployment: &Deployment) {
    let subject = Observed::new(deployment, "serverSelectionTimeoutMS=2000").with_people(1);
    let data = doc! {
        "failCommands": ["find"],
        "blockConnection": true,
        "blockTimeMS": 2500,
        "closeConnection": true,
    };
    let _closing = FailPoint::times(deployment, 1, data);
    let found = go!(subject.people().find_one(doc! {})).expect("the second try succeeds");
    assert_eq!(found, Some(doc! { "_id": 0 }));
}

fn a_read_is_tried_again_after_one_clear_of_the_pool(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    let data = doc! { "failCommands": ["find"], "closeConnection": true };
    let _closing = FailPoint::times(deployment, 1, data);
    let found = go!(subject.people().find_one(doc! {})).expect("the second try succeeds");
    assert_eq!(found, Some(doc! { "_id": 0 }));
    assert_eq!(subject.events.commands_named("find").len(), 2);
    assert_eq!(subject.events.count(Event::is_pool_cleared), 1);
    deployment.observe(subject.events.command_names());
}

fn a_write_is_tried_again_with_the_same_number(deployment: &Deployment) {
    let subject = Observed::new(deployment, "heartbeatFrequencyMS=500").with_people(1);
    for data in [doc! { "closeConnection": true }, doc! { "errorCode": 91 }] {
        subject.events.forget();
        let mut data = data;
        data.insert("failCommands", ["insert"].as_slice().to_vec());
        data.insert("errorLabels", [RETRYABLE_WRITE_ERROR].as_slice().to_vec());
        let _failing = FailPoint::times(deployment, 1, data);
        go!(subject.people().insert_one(doc! { "new": true })).expect("the second try succeeds");
        let numbers: Vec<_> = subject
            .events
            .commands_named("insert")
            .iter()
            .map(|insert| {
                let number = insert.command.get_i64("txnNumber").expect("has a number");
                (
                    insert
                        .command
                        .get_document("lsid")
                        .expect("has a session")
                        .clone(),
                    number,
                )
            })
            .collect();
        assert_eq!(numbers.len(), 2);
        assert_eq!(numbers.first(), numbers.last());
    }
    let count = go!(subject.people().count_documents(doc! { "new": true })).expect("counts");
    assert_eq!(count, 2);
}

fn a_second_failure_is_the_callers(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    let data = doc! { "failCommands": ["insert"], "closeConnection": true };
    let _closing = FailPoint::times(deployment, 2, data);
    let error = go!(subject.people().insert_one(doc! {})).expect_err("is cut off twice");
    assert!(error.is_network(), "{error:?}");
    assert!(error.contains_label(RETRYABLE_WRITE_ERROR));
    assert_eq!(subject.events.commands_named("insert").len(), 3);
    deployment.observe(subject.events.command_names());
}

fn a_write_without_retries_carries_no_number(deployment: &Deployment) {
    let subject = Observed::new(deployment, "retryWrites=false").with_people(1);
    let data = doc! { "failCommands": ["insert"], "closeConnection": true };
    let _closing = FailPoint::times(deployment, 1, data);
    go!(subject.people().insert_one(doc! {})).expect_err("is cut off");
    let inserts = subject.events.commands_named("insert");
    assert_eq!(inserts.len(), 2);
    for insert in inserts {
        assert!(
            !insert.command.contains_key("txnNumber"),
            "{}",
            insert.command
        );
    }
}

fn a_write_of_many_documents_is_not_tried_again(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(2);
    let data = doc! { "failCommands": ["update", "delete"], "closeConnection": true };
    let _closing = FailPoint::times(deployment, 2, data);
    let people = subject.people();
    let change = doc! { "$set": { "a": 1 } };
    go!(people.update_many(doc! {}, change)).expect_err("is cut off");
    go!(people.delete_many(doc! {})).expect_err("is cut off");
    assert_eq!(go!(people.count_documents(doc! {})).expect("counts"), 2);
    assert_eq!(
        subject.events.command_names(),
        "insert, update, delete, aggregate"
    );
}

/// An error of a server that is too busy to begin with the command.
pub(super) fn too_busy(command: &str) -> Document {
    doc! {
        "failCommands": [command],
        "errorCode": 462,
        "errorLabels": [RETRYABLE_ERROR, SYSTEM_OVERLOADED_ERROR],
    }
}

fn an_overload_is_tried_again_twice_whatever_the_command(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    let people = subject.people();
    let update = doc! { "$set": { "a": 1 } };
    {
        let _busy = FailPoint::times(deployment, 2, too_busy("update"));
        let updated = go!(people.update_many(doc! {}, update.clone())).expect("is done at last");
        assert_eq!(updated.modified_count, 1);
    }
    assert_eq!(subject.events.commands_named("update").len(), 3);
    let _busy = FailPoint::times(deployment, 3, too_busy("update"));
    let error = go!(people.update_many(doc! {}, update)).expect_err("fails three times");
    assert!(error.contains_label(SYSTEM_OVERLOADED_ERROR));
    assert_eq!(subject.events.commands_named("update").len(), 6);
}

fn max_adaptive_retries_sets_how_often(deployment: &Deployment) {
    for (retries, attempts) in [(0, 1), (1, 2)] {
        let options = format!("maxAdaptiveRetries={retries}");
        let subject = Observed::new(deployment, &options);
        let _busy = FailPoint::times(deployment, 2, too_busy("find"));
        go!(subject.people().find_one(doc! {})).expect_err("fails too often");
        assert_eq!(subject.events.commands_named("find").len(), attempts);
        go!(subject.people().find_one(doc! {})).ok();
    }
}

/// The servers that one failing find and its repetition went to.
fn servers_of_a_find(deployment: &Deployment, options: &str, data: Document) -> Vec<ServerAddress> {
    let options = format!("readPreference=primaryPreferred{options}");
    // The insert waits until the primary is known.
    let subject = Observed::new(deployment, &options);
    go!(subject.people().insert_one(doc! {})).expect("inserts");
    let _failing = FailPoint::times(deployment, 1, data);
    go!(subject.people().find_one(doc! {})).expect("the second try succeeds");
    let finds = subject.events.commands_named("find");
    finds
        .into_iter()
        .map(|find| find.connection.address)
        .collect()
}

fn an_overloaded_member_is_asked_again_unless_retargeting_is_enabled(deployment: &Deployment) {
    let same = servers_of_a_find(deployment, "", too_busy("find"));
    assert_eq!(same.len(), 2);
    assert_eq!(same.first(), same.last());
    let retargeting = "&enableOverloadRetargeting=true";
    let other = servers_of_a_find(deployment, retargeting, too_busy("find"));
    assert_eq!(other.len(), 2);
    assert_ne!(other.first(), other.last());
}

fn other_failures_are_tried_again_on_the_same_member(deployment: &Deployment) {
    let data = doc! {
        "failCommands": ["find"],
        "errorCode": 6,
        "errorLabels": [RETRYABLE_ERROR],
    };
    let servers = servers_of_a_find(deployment, "&enableOverloadRetargeting=true", data);
    assert_eq!(servers.len(), 2);
    assert_eq!(servers.first(), servers.last());
}
