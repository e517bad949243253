//! Writes of which no acknowledgement is wanted (`w: 0`).

use conformance_tests::behaviour::Deployment;

use super::recorder::Event;
use super::support::{Observed, write_to_frozen_server};
use crate::flavor::driver::bson::{Bson, Document, doc};
use crate::flavor::driver::error::ErrorKind;
use crate::flavor::driver::options::{Acknowledgment, Collation, Hint, WriteConcern};
use crate::flavor::{collect, go};

conformance_tests::behaviours! {
    R107 an_unacknowledged_write_carries_no_session: Either, Shared;
    U1 results_say_only_what_the_driver_knows: Either, Shared;
    U1 the_connection_serves_the_next_operation: Either, Shared;
    U1 every_batch_of_a_split_insert_is_sent: Either, Shared;
    U1 refusals_go_unnoticed_and_leave_the_connection_in_step: Either, Shared;
    U1 a_pipeline_that_writes_leaves_the_connection_in_step: Either, Shared;
    U1 every_option_of_an_acknowledged_write_is_sent: Either, Shared, since (4, 4);
    U1 a_write_to_a_frozen_server_ends_when_the_monitor_finds_out: Standalone, Disturbs;
    U1 a_journal_makes_no_unacknowledged_write_and_is_refused: Either, Shared;
}

fn unacknowledged() -> WriteConcern {
    WriteConcern::nodes(0)
}

fn an_unacknowledged_write_carries_no_session(deployment: &Deployment) {
    let subject = Observed::new(deployment, "w=0");
    let people = subject.people();
    let set = || doc! { "$set": { "seen": true } };
    go!(people.insert_one(doc! { "_id": 1 })).expect("is sent");
    go!(people.insert_many([doc! {}, doc! {}])).expect("is sent");
    go!(people.update_one(doc! {}, set())).expect("is sent");
    go!(people.update_many(doc! {}, set())).expect("is sent");
    go!(people.replace_one(doc! {}, doc! {})).expect("is sent");
    go!(people.delete_one(doc! {})).expect("is sent");
    go!(people.delete_many(doc! {})).expect("is sent");
    go!(people.find_one_and_delete(doc! {})).expect("is sent");
    let commands = subject.events.commands();
    assert_eq!(commands.len(), 8);
    for command in commands {
        for absent in ["lsid", "txnNumber"] {
            assert!(!command.command.contains_key(absent), "{}", command.command);
        }
        let concern = command.command.get_document("writeConcern");
        assert_eq!(
            concern.ok(),
            Some(&doc! { "w": 0 }),
            "{}",
            command.command_name
        );
    }
    deployment.observe(subject.events.command_names());
}

fn results_say_only_what_the_driver_knows(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(3);
    let people = subject.people();
    let w0 = unacknowledged;
    let one = go!(people.insert_one(doc! { "_id": 7 }).write_concern(w0()));
    assert_eq!(one.expect("is sent").inserted_id, Bson::Int32(7));
    let many = go!(people
        .insert_many([doc! { "_id": 8 }, doc! { "_id": 9 }])
        .write_concern(w0()));
    assert_eq!(many.expect("is sent").inserted_ids[&1], Bson::Int32(9));
    let set = doc! { "$set": { "seen": true } };
    let updated = go!(people.update_many(doc! {}, set).write_concern(w0())).expect("is sent");
    assert_eq!((updated.matched_count, updated.modified_count), (0, 0));
    assert_eq!(updated.upserted_id, None);
    let deleted = go!(people.delete_many(doc! {}).write_concern(w0())).expect("is sent");
    assert_eq!(deleted.deleted_count, 0);
    let found = go!(people.find_one_and_delete(doc! {}).write_concern(w0())).expect("is sent");
    assert_eq!(found, None);
}

fn the_connection_serves_the_next_operation(deployment: &Deployment) {
    let subject = Observed::new(deployment, "maxPoolSize=1");
    let people = subject.people();
    for id in 0..20 {
        let insert = people.insert_one(doc! { "_id": id });
        go!(insert.write_concern(unacknowledged())).expect("is sent");
    }
    // The same connection carries the commands in order, so the count sees all of them.
    assert_eq!(go!(people.count_documents(doc! {})).expect("counts"), 20);
    assert_eq!(subject.events.count(Event::is_connection_created), 1);
    assert_eq!(subject.events.count(Event::is_connection_closed), 0);
}

fn every_batch_of_a_split_insert_is_sent(deployment: &Deployment) {
    let subject = Observed::new(deployment, "maxPoolSize=1&w=0");
    let people = subject.people();
    let result = go!(people.insert_many((0..100_100).map(|id| doc! { "_id": id })));
    assert_eq!(result.expect("is sent").inserted_ids.len(), 100_100);
    assert_eq!(subject.events.command_names(), "insert, insert");
    assert_eq!(
        go!(people.count_documents(doc! {})).expect("counts"),
        100_100
    );
}

fn refusals_go_unnoticed_and_leave_the_connection_in_step(deployment: &Deployment) {
    let subject = Observed::new(deployment, "maxPoolSize=1").with_people(2);
    let people = subject.people();
    for _ in 0..3 {
        let insert = people.insert_one(doc! { "_id": 0 });
        go!(insert.write_concern(unacknowledged())).expect("nobody waits for the refusal");
        let bad = people.update_one(doc! {}, doc! { "$nonsense": 1 });
        go!(bad.write_concern(unacknowledged())).expect("nobody waits for the refusal");
        subject.ping().expect("gets its own reply");
    }
    let all: Vec<_> = collect!(go!(people.find(doc! {})).expect("finds")).expect("goes on");
    assert_eq!(all, [doc! { "_id": 0 }, doc! { "_id": 1 }]);
    assert_eq!(subject.events.count(Event::is_connection_created), 1);
}

fn a_pipeline_that_writes_leaves_the_connection_in_step(deployment: &Deployment) {
    let subject = Observed::new(deployment, "maxPoolSize=1").with_people(2);
    let people = subject.people();
    let copying = people.aggregate([doc! { "$out": "copy" }]);
    let cursor = go!(copying.write_concern(unacknowledged())).expect("is sent");
    let none: Vec<_> = collect!(cursor).expect("has nothing to ask the server for");
    assert!(none.is_empty());
    let copy = subject.database().collection::<Document>("copy");
    assert_eq!(go!(copy.count_documents(doc! {})).expect("counts"), 2);
    assert_eq!(subject.events.count(Event::is_connection_created), 1);
}

fn every_option_of_an_acknowledged_write_is_sent(deployment: &Deployment) {
    let subject = Observed::new(deployment, "maxPoolSize=1&w=0");
    let people = subject.people();
    let id = || Hint::Keys(doc! { "_id": 1 });
    let simple = || Collation::builder().locale("en").build();
    go!(people.insert_one(doc! { "_id": 1, "name": "é", "list": [1, 5] })).expect("is sent");
    go!(people
        .update_one(doc! { "name": "é" }, doc! { "$set": { "list.$[big]": 4 } })
        .array_filters([doc! { "big": { "$gt": 4 } }])
        .bypass_document_validation(true)
        .collation(simple())
        .hint(id()))
    .expect("is sent");
    go!(people
        .insert_one(doc! { "_id": 2 })
        .bypass_document_validation(true))
    .expect("is sent");
    go!(people
        .delete_one(doc! { "_id": 2 })
        .collation(simple())
        .hint(id()))
    .expect("is sent");
    let left: Vec<_> = collect!(go!(people.find(doc! {})).expect("finds")).expect("goes on");
    assert_eq!(left, [doc! { "_id": 1, "name": "é", "list": [1, 4] }]);
}

fn a_journal_makes_no_unacknowledged_write_and_is_refused(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let concern = WriteConcern::builder()
        .w(Acknowledgment::Nodes(0))
        .journal(true)
        .build();
    let error = go!(subject.people().insert_one(doc! {}).write_concern(concern));
    let error = error.expect_err("contradicts itself");
    assert!(
        matches!(*error.kind, ErrorKind::InvalidArgument { .. }),
        "{error:?}"
    );
    assert_eq!(subject.events.command_names(), "");
}

fn a_write_to_a_frozen_server_ends_when_the_monitor_finds_out(deployment: &Deployment) {
    let options = "w=0&connectTimeoutMS=2000&heartbeatFrequencyMS=500&retryWrites=false";
    let subject = Observed::new(deployment, options);
    subject.ping().expect("connects");
    let error = write_to_frozen_server(deployment, &subject);
    let is_cleared = matches!(*error.kind, ErrorKind::ConnectionPoolCleared { .. });
    assert!(is_cleared, "{error:?}");
}
