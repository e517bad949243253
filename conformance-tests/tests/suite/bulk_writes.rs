//! Bulk writes to one collection: mixed, split into several commands, refused, and cut off.

use std::collections::HashMap;

use conformance_tests::behaviour::Deployment;

use super::servers::{FailPoint, wait_until};
use super::support::Observed;
use crate::flavor::driver::Collection;
use crate::flavor::driver::bson::{Bson, Document, doc};
use crate::flavor::driver::bulk::{
    DeleteMany, DeleteOne, InsertOne, ReplaceOne, UpdateMany, UpdateOne, Write,
};
use crate::flavor::driver::error::{CollectionBulkWriteError, Error, ErrorKind};
use crate::flavor::driver::options::WriteConcern;
use crate::flavor::go;

conformance_tests::behaviours! {
    R118 writes_of_every_kind_are_done_in_order: Either, Shared;
    R118 unordered_writes_are_grouped_and_counted: Either, Shared;
    R118 an_ordered_bulk_write_ends_at_its_first_refusal: Either, Shared;
    R118 an_unordered_bulk_write_tells_every_refusal_with_its_place: Either, Shared;
    R118 more_writes_than_a_command_holds_are_split_in_order: Either, Shared;
    R118 more_writes_than_a_command_holds_are_split_unordered: Either, Shared;
    R118 writes_of_more_than_48_megabytes_are_split: Either, Shared;
    R118 a_bulk_write_that_cannot_be_used_sends_nothing: Either, Shared;
    R118 an_unacknowledged_bulk_write_is_done: Either, Shared;
    N6 commands_without_writes_to_many_are_tried_again: ReplicaSet, FailPoint;
    N6 what_was_done_before_the_network_failed_is_told: ReplicaSet, FailPoint;
}

fn insert(id: i32) -> Write {
    InsertOne::new(doc! { "_id": id }).into()
}

fn set(id: i32) -> Write {
    UpdateOne::new(doc! { "_id": id }, doc! { "$set": { "set": true } }).into()
}

fn count(people: &Collection<Document>, filter: Document) -> u64 {
    go!(people.count_documents(filter)).expect("counts")
}

fn refused(error: &Error) -> &CollectionBulkWriteError {
    match &*error.kind {
        ErrorKind::CollectionBulkWrite(refused) => refused,
        other => panic!("{other:?}"),
    }
}

fn places(of: &HashMap<usize, impl Sized>) -> Vec<usize> {
    let mut places: Vec<_> = of.keys().copied().collect();
    places.sort_unstable();
    places
}

/// One write of every kind, each of which finds what it needs when they are done in order.
fn one_of_every_kind() -> [Write; 8] {
    let all = || doc! { "$set": { "seen": true } };
    [
        insert(1),
        insert(2),
        insert(3),
        set(1),
        UpdateMany::new(doc! { "_id": { "$gt": 1 } }, all()).into(),
        ReplaceOne::new(doc! { "_id": 4 }, doc! { "a": 1 })
            .upsert(true)
            .into(),
        DeleteOne::new(doc! { "_id": 1 }).into(),
        DeleteMany::new(doc! { "seen": true }).into(),
    ]
}

fn writes_of_every_kind_are_done_in_order(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let people = subject.people();
    let done = go!(people.bulk_write(one_of_every_kind())).expect("writes");
    assert!(done.acknowledged);
    let counts = (
        done.inserted_count,
        done.matched_count,
        done.modified_count,
        done.upserted_count,
        done.deleted_count,
    );
    assert_eq!(counts, (3, 3, 3, 1, 3));
    let ids = (1..4).map(Bson::Int32);
    assert_eq!(done.inserted_ids, (0..).zip(ids).collect());
    assert_eq!(done.upserted_ids, HashMap::from([(5, Bson::Int32(4))]));
    assert_eq!(subject.events.command_names(), "insert, update, delete");
    let left = go!(people.find_one(doc! {})).expect("finds");
    assert_eq!(left, Some(doc! { "_id": 4, "a": 1 }));
    deployment.observe(subject.events.command_names());
}

fn unordered_writes_are_grouped_and_counted(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(2);
    let writes = [set(0), insert(10), set(1), insert(11)];
    let done = go!(subject.people().bulk_write(writes).ordered(false)).expect("writes");
    assert_eq!(places(&done.inserted_ids), [1, 3]);
    assert_eq!((done.inserted_count, done.modified_count), (2, 2));
    assert_eq!(subject.events.command_names(), "insert, insert, update");
    let operations: Vec<_> = subject.events.commands().into_iter().skip(1).collect();
    assert_eq!(operations.len(), 2);
    assert_eq!(operations[0].operation_id, operations[1].operation_id);
}

fn an_ordered_bulk_write_ends_at_its_first_refusal(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    let writes = [insert(1), set(1), insert(2), insert(0), insert(3), set(2)];
    let error = go!(subject.people().bulk_write(writes)).expect_err("one is there");
    assert!(error.is_duplicate_key(), "{error:?}");
    let refused = refused(&error);
    assert_eq!(places(&refused.write_errors), [3]);
    let done = &refused.partial_result;
    assert_eq!(places(&done.inserted_ids), [0, 2]);
    assert_eq!((done.inserted_count, done.modified_count), (2, 1));
    assert_eq!(count(&subject.people(), doc! {}), 3);
}

fn an_unordered_bulk_write_tells_every_refusal_with_its_place(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(2);
    let wrong = UpdateOne::new(doc! { "_id": 0 }, doc! { "$inc": { "_id": "x" } });
    let writes = [
        wrong.into(),
        insert(0),
        insert(5),
        set(1),
        insert(1),
        DeleteOne::new(doc! { "_id": 5 }).into(),
    ];
    let error = go!(subject.people().bulk_write(writes).ordered(false)).expect_err("is refused");
    let refused = refused(&error);
    assert_eq!(places(&refused.write_errors), [0, 1, 4]);
    assert_eq!(refused.write_errors[&1].code, 11000);
    let done = &refused.partial_result;
    assert_eq!(places(&done.inserted_ids), [2]);
    let counts = (done.inserted_count, done.modified_count, done.deleted_count);
    assert_eq!(counts, (1, 1, 1));
    assert_eq!(count(&subject.people(), doc! {}), 2);
}

/// A hundred more than the server takes in one command.
const MANY: i32 = 100_100;

fn more_writes_than_a_command_holds_are_split_in_order(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let people = subject.people();
    let writes = (0..MANY).map(insert).chain([set(MANY - 1)]);
    let done = go!(people.bulk_write(writes)).expect("writes");
    assert_eq!((done.inserted_count, done.modified_count), (100_100, 1));
    assert_eq!(done.inserted_ids[&100_099], Bson::Int32(100_099));
    assert_eq!(subject.events.command_names(), "insert, insert, update");
    assert_eq!(count(&people, doc! {}), 100_100);
    go!(people.drop()).expect("drops");
}

fn more_writes_than_a_command_holds_are_split_unordered(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    let people = subject.people();
    let deletes = (0..MANY).map(|id| DeleteOne::new(doc! { "_id": id }).into());
    let writes = [insert(0)].into_iter().chain(deletes).chain([insert(0)]);
    let error = go!(people.bulk_write(writes).ordered(false)).expect_err("one is there");
    let refused = refused(&error);
    assert_eq!(places(&refused.write_errors), [0, 100_101]);
    assert_eq!(refused.partial_result.deleted_count, 1);
    let names = subject.events.command_names();
    assert_eq!(names, "insert, insert, delete, delete");
}

fn writes_of_more_than_48_megabytes_are_split(deployment: &Deployment) {
    for ordered in [true, false] {
        let subject = Observed::new(deployment, "");
        let people = subject.people();
        let text = "x".repeat(1_000_000);
        let writes = (0..50).map(|id| {
            let replacement = doc! { "text": &text };
            let replace = ReplaceOne::new(doc! { "_id": id }, replacement);
            replace.upsert(true).into()
        });
        let done = go!(people.bulk_write(writes).ordered(ordered)).expect("writes");
        assert_eq!(done.upserted_count, 50);
        assert_eq!(done.upserted_ids[&49], Bson::Int32(49));
        assert_eq!(subject.events.command_names(), "update, update");
        go!(people.drop()).expect("drops");
    }
}

fn a_bulk_write_that_cannot_be_used_sends_nothing(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let people = subject.people();
    let huge = InsertOne::new(doc! { "text": "x".repeat(17_000_000) });
    let wrong = ReplaceOne::new(doc! {}, doc! { "$set": { "a": 1 } });
    for writes in [
        vec![],
        vec![insert(1), huge.into()],
        vec![insert(1), wrong.into()],
    ] {
        let error = go!(people.bulk_write(writes)).expect_err("cannot be used");
        let told = matches!(*error.kind, ErrorKind::InvalidArgument { .. });
        assert!(told, "{error:?}");
    }
    assert_eq!(subject.events.command_names(), "");
}

fn an_unacknowledged_bulk_write_is_done(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let people = subject.people();
    let sent = go!(people
        .bulk_write([insert(1), set(1)])
        .write_concern(WriteConcern::nodes(0)))
    .expect("is sent");
    assert!(!sent.acknowledged && sent.inserted_count == 0);
    wait_until("the writes", || {
        (count(&people, doc! { "set": true }) == 1).then_some(())
    });
}

fn commands_without_writes_to_many_are_tried_again(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let data = doc! { "failCommands": ["insert", "update"], "closeConnection": true };
    let people = subject.people();
    {
        let _closing = FailPoint::times(deployment, 1, data.clone());
        let done = go!(people.bulk_write([insert(1), set(1)])).expect("the second try succeeds");
        assert_eq!((done.inserted_count, done.modified_count), (1, 1));
        assert_eq!(subject.events.command_names(), "insert, insert, update");
    }
    subject.events.forget();
    let _closing = FailPoint::times(deployment, 1, data);
    let all = UpdateMany::new(doc! {}, doc! { "$set": { "all": true } });
    let error = go!(people.bulk_write([set(1), all.into()])).expect_err("is cut off");
    assert!(error.is_network(), "{error:?}");
    assert!(refused(&error).partial_result.inserted_ids.is_empty());
    let updates = subject.events.commands_named("update");
    assert_eq!(updates.len(), 1);
    assert!(!updates[0].command.contains_key("txnNumber"));
}

fn what_was_done_before_the_network_failed_is_told(deployment: &Deployment) {
    let subject = Observed::new(deployment, "retryWrites=false");
    let data = doc! { "failCommands": ["update"], "closeConnection": true };
    let _closing = FailPoint::times(deployment, 1, data);
    let writes = [insert(1), insert(2), set(1), insert(3)];
    let error = go!(subject.people().bulk_write(writes)).expect_err("is cut off");
    assert!(error.is_network(), "{error:?}");
    let refused = refused(&error);
    assert!(refused.write_errors.is_empty());
    assert_eq!(places(&refused.partial_result.inserted_ids), [0, 1]);
    assert_eq!(subject.events.command_names(), "insert, update");
}
