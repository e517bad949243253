//! Changing or deleting a document and returning it in one step.

use conformance_tests::behaviour::Deployment;
use serde::{Deserialize, Serialize};

use super::servers::FailPoint;
use super::support::Observed;
use crate::flavor::driver::Collection;
use crate::flavor::driver::bson::{Document, doc};
use crate::flavor::driver::error::{ErrorKind, RETRYABLE_WRITE_ERROR, WriteFailure};
use crate::flavor::driver::options::{ReturnDocument, WriteConcern};
use crate::flavor::go;

conformance_tests::behaviours! {
    M1 the_old_or_the_new_document_is_returned: Either, Shared;
    M1 no_match_gives_no_document: Either, Shared;
    M1 documents_are_of_the_collections_type: Either, Shared;
    M1 a_document_of_another_type_is_told_and_the_change_is_done: Either, Shared;
    M1 a_network_error_leads_to_one_change: ReplicaSet, FailPoint;
    M1 a_write_concern_that_is_not_met_is_told: Either, FailPoint;
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Person {
    #[serde(rename = "_id")]
    id: i32,
    age: u32,
}

fn the_old_or_the_new_document_is_returned(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(3);
    let people = subject.people();
    let inc = || doc! { "$inc": { "seen": 1 } };
    let last = doc! { "_id": -1 };
    let old = go!(people
        .find_one_and_update(doc! {}, inc())
        .sort(last.clone()));
    assert_eq!(old.expect("updates"), Some(doc! { "_id": 2 }));
    let new = go!(people
        .find_one_and_update(doc! {}, inc())
        .sort(last.clone())
        .return_document(ReturnDocument::After));
    assert_eq!(new.expect("updates"), Some(doc! { "_id": 2, "seen": 2 }));
    let replaced = go!(people
        .find_one_and_replace(doc! { "_id": 1 }, doc! { "a": 1, "b": 2 })
        .return_document(ReturnDocument::After)
        .projection(doc! { "a": 1 }));
    assert_eq!(replaced.expect("replaces"), Some(doc! { "_id": 1, "a": 1 }));
    let deleted = go!(people.find_one_and_delete(doc! {}).sort(last));
    assert_eq!(
        deleted.expect("deletes"),
        Some(doc! { "_id": 2, "seen": 2 })
    );
    assert_eq!(go!(people.count_documents(doc! {})).expect("counts"), 2);
}

fn no_match_gives_no_document(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let people = subject.people();
    let nobody = || doc! { "_id": 7 };
    let set = || doc! { "$set": { "age": 36 } };
    assert_eq!(
        go!(people.find_one_and_update(nobody(), set())).expect("looks"),
        None
    );
    assert_eq!(
        go!(people.find_one_and_replace(nobody(), doc! {})).expect("looks"),
        None
    );
    assert_eq!(
        go!(people.find_one_and_delete(nobody())).expect("looks"),
        None
    );
    let before = go!(people.find_one_and_update(nobody(), set()).upsert(true));
    assert_eq!(before.expect("inserts"), None, "there was none before");
    let found = go!(people.find_one(doc! {})).expect("finds");
    assert_eq!(found, Some(doc! { "_id": 7, "age": 36 }));
}

fn documents_are_of_the_collections_type(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let people: Collection<Person> = subject.people().clone_with_type();
    let new = go!(people
        .find_one_and_replace(doc! { "_id": 7 }, Person { id: 7, age: 36 })
        .upsert(true)
        .return_document(ReturnDocument::After));
    assert_eq!(new.expect("inserts"), Some(Person { id: 7, age: 36 }));
    let deleted = go!(people.find_one_and_delete(doc! { "age": 36 }));
    assert_eq!(deleted.expect("deletes"), Some(Person { id: 7, age: 36 }));
}

fn a_document_of_another_type_is_told_and_the_change_is_done(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    let people: Collection<Person> = subject.people().clone_with_type();
    let error = go!(people.find_one_and_delete(doc! {})).expect_err("the document has no age");
    assert!(matches!(*error.kind, ErrorKind::Bson(_)), "{error:?}");
    assert_eq!(go!(people.count_documents(doc! {})).expect("counts"), 0);
}

fn a_network_error_leads_to_one_change(deployment: &Deployment) {
    let subject = Observed::new(deployment, "heartbeatFrequencyMS=500").with_people(1);
    let data = doc! { "failCommands": ["findAndModify"], "closeConnection": true };
    let _closing = FailPoint::times(deployment, 1, data);
    let new = go!(subject
        .people()
        .find_one_and_update(doc! {}, doc! { "$inc": { "seen": 1 } })
        .return_document(ReturnDocument::After));
    assert_eq!(
        new.expect("the second try succeeds"),
        Some(doc! { "_id": 0, "seen": 1 })
    );
    let numbers: Vec<_> = subject
        .events
        .commands_named("findAndModify")
        .iter()
        .map(|command| command.command.get_i64("txnNumber").expect("has a number"))
        .collect();
    assert_eq!(numbers.len(), 2);
    assert_eq!(numbers[0], numbers[1]);
}

fn a_write_concern_that_is_not_met_is_told(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    let data = doc! {
        "failCommands": ["findAndModify"],
        "writeConcernError": { "code": 100, "errmsg": "not enough members" },
    };
    let _failing = FailPoint::times(deployment, 1, data);
    let people: Collection<Document> = subject.people();
    let delete = people
        .find_one_and_delete(doc! {})
        .write_concern(WriteConcern::majority());
    let error = go!(delete).expect_err("the concern is not met");
    let ErrorKind::Write(WriteFailure::WriteConcernError(failure)) = &*error.kind else {
        panic!("{error:?}");
    };
    assert_eq!(failure.code, 100);
    assert!(!error.contains_label(RETRYABLE_WRITE_ERROR), "{error:?}");
}
