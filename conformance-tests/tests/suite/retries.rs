//! What is tried again, and how failures of the network and of servers are told.

use std::time::{Duration, Instant};

use conformance_tests::behaviour::Deployment;

use super::recorder::Event;
use super::servers::{FailPoint, address, writable};
use super::support::Observed;
use crate::flavor::driver::bson::doc;
use crate::flavor::driver::error::RETRYABLE_WRITE_ERROR;
use crate::flavor::go;

conformance_tests::behaviours! {
    F25 the_text_of_a_network_error_starts_with_the_server: Either, FailPoint;
    F25 the_text_of_a_timeout_names_the_limit_in_force: Either, FailPoint, since (4, 4);
    N6 a_read_is_tried_again_after_one_clear_of_the_pool: Either, FailPoint;
    N6 a_write_is_tried_again_with_the_same_number: ReplicaSet, FailPoint;
    N6 a_second_failure_is_the_callers: ReplicaSet, FailPoint;
    N6 a_write_without_retries_carries_no_number: ReplicaSet, FailPoint;
    N6 a_write_of_many_documents_is_not_tried_again: ReplicaSet, FailPoint;
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
