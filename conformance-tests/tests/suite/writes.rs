//! Writes: without acknowledgement, split into several messages, and refused.

use conformance_tests::behaviour::Deployment;

use super::servers::wait_until;
use super::support::Observed;
use crate::flavor::driver::Collection;
use crate::flavor::driver::bson::{Document, doc};
use crate::flavor::driver::error::{ErrorKind, WriteFailure};
use crate::flavor::driver::options::WriteConcern;
use crate::flavor::go;

conformance_tests::behaviours! {
    R22 an_unacknowledged_insert_may_be_the_first_operation: Either, Shared;
    R22 an_unacknowledged_update_may_be_the_first_operation: Either, Shared;
    R22 an_unacknowledged_delete_may_be_the_first_operation: Either, Shared;
    R118 more_inserts_than_a_command_holds_are_split: Either, Shared;
    R118 a_message_larger_than_48_megabytes_is_split: Either, Shared;
    R118 unordered_errors_keep_their_places_over_the_split: Either, Shared;
    R118 an_ordered_insert_ends_at_its_first_error: Either, Shared;
    R33 a_refused_write_says_what_the_server_said: Either, Shared;
    R33 a_write_concern_that_cannot_be_met_is_told: ReplicaSet, Shared;
}

fn count(people: &Collection<Document>, filter: Document) -> u64 {
    go!(people.count_documents(filter)).expect("counts")
}

fn an_unacknowledged_insert_may_be_the_first_operation(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let people = subject.people();
    go!(people
        .insert_one(doc! { "_id": 1 })
        .write_concern(WriteConcern::nodes(0)))
    .expect("is sent");
    wait_until("the document", || {
        (count(&people, doc! {}) == 1).then_some(())
    });
}

fn an_unacknowledged_update_may_be_the_first_operation(deployment: &Deployment) {
    Observed::new(deployment, "").with_people(1);
    let people = Observed::new(deployment, "").people();
    let change = doc! { "$set": { "seen": true } };
    go!(people
        .update_one(doc! {}, change)
        .write_concern(WriteConcern::nodes(0)))
    .expect("is sent");
    wait_until("the change", || {
        (count(&people, doc! { "seen": true }) == 1).then_some(())
    });
}

fn an_unacknowledged_delete_may_be_the_first_operation(deployment: &Deployment) {
    Observed::new(deployment, "").with_people(1);
    let people = Observed::new(deployment, "").people();
    go!(people
        .delete_one(doc! {})
        .write_concern(WriteConcern::nodes(0)))
    .expect("is sent");
    wait_until("the end of the document", || {
        (count(&people, doc! {}) == 0).then_some(())
    });
}

/// A hundred more than the server takes in one command.
const MANY: i32 = 100_100;

fn more_inserts_than_a_command_holds_are_split(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let result = go!(subject
        .people()
        .insert_many((0..MANY).map(|id| doc! { "_id": id })))
    .expect("inserts");
    assert_eq!(result.inserted_ids.len(), 100_100);
    assert_eq!(result.inserted_ids[&100_099].as_i32(), Some(100_099));
    assert_eq!(subject.events.commands_named("insert").len(), 2);
    assert_eq!(count(&subject.people(), doc! {}), 100_100);
    deployment.observe(subject.events.command_names());
}

fn a_message_larger_than_48_megabytes_is_split(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let text = "x".repeat(1_000_000);
    let documents = (0..50).map(|id| doc! { "_id": id, "text": &text });
    go!(subject.people().insert_many(documents)).expect("inserts");
    assert_eq!(subject.events.commands_named("insert").len(), 2);
    assert_eq!(count(&subject.people(), doc! {}), 50);
    go!(subject.people().drop()).expect("drops");
}

fn unordered_errors_keep_their_places_over_the_split(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let people = subject.people();
    go!(people.insert_many([doc! { "_id": 3 }, doc! { "_id": 100_050 }])).expect("inserts");
    let documents = (0..MANY).map(|id| doc! { "_id": id });
    let error = go!(people.insert_many(documents).ordered(false)).expect_err("two are there");
    assert!(error.is_duplicate_key(), "{error:?}");
    let ErrorKind::InsertMany(failure) = &*error.kind else {
        panic!("{error:?}");
    };
    let errors = failure.write_errors.as_ref().expect("has errors");
    let places: Vec<_> = errors
        .iter()
        .map(|error| (error.index, error.code))
        .collect();
    assert_eq!(places, [(3, 11000), (100_050, 11000)]);
    assert_eq!(failure.inserted_ids.len(), 100_098);
    assert_eq!(count(&people, doc! {}), 100_100);
}

fn an_ordered_insert_ends_at_its_first_error(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let people = subject.people();
    go!(people.insert_one(doc! { "_id": 3 })).expect("inserts");
    let documents = (0..MANY).map(|id| doc! { "_id": id });
    let error = go!(people.insert_many(documents)).expect_err("one is there");
    let ErrorKind::InsertMany(failure) = &*error.kind else {
        panic!("{error:?}");
    };
    let errors = failure.write_errors.as_ref().expect("has errors");
    assert_eq!(
        errors.iter().map(|error| error.index).collect::<Vec<_>>(),
        [3]
    );
    let mut inserted: Vec<_> = failure.inserted_ids.keys().copied().collect();
    inserted.sort_unstable();
    assert_eq!(inserted, [0, 1, 2]);
    assert_eq!(subject.events.command_names(), "insert, insert");
}

fn a_refused_write_says_what_the_server_said(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    let secret = doc! { "_id": 0, "secret": "hunter2" };
    let error = go!(subject.people().insert_one(secret)).expect_err("is there");
    let ErrorKind::Write(WriteFailure::WriteError(failure)) = &*error.kind else {
        panic!("{error:?}");
    };
    assert_eq!(failure.code, 11000);
    assert!(failure.message.contains("E11000"), "{}", failure.message);
    let reply = error.server_response().expect("the server replied");
    assert_eq!(reply.get_i32("n").ok(), Some(0));
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

fn a_write_concern_that_cannot_be_met_is_told(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let people = subject.people();
    let error = go!(people
        .insert_one(doc! { "_id": 1 })
        .write_concern(WriteConcern::nodes(9)))
    .expect_err("there are three members");
    let ErrorKind::Write(WriteFailure::WriteConcernError(failure)) = &*error.kind else {
        panic!("{error:?}");
    };
    assert_eq!(failure.code, 100);
    assert_eq!(count(&people, doc! {}), 1, "the write itself was done");
}
