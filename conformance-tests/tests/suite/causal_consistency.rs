//! The test plan of the causal consistency specification, by its numbers there.

use conformance_tests::behaviour::Deployment;
use conformance_tests::deployments::DeploymentKind;

use super::prose_sessions::{Operation, each_operation, last_reply};
use super::support::Observed;
use crate::flavor::driver::ClientSession;
use crate::flavor::driver::bson::{Bson, Document, Timestamp, doc};
use crate::flavor::driver::bulk::{InsertOne, Write};
use crate::flavor::driver::options::{CollectionOptions, ReadConcern};
use crate::flavor::go;

conformance_tests::behaviours! {
    P1 a_new_session_has_no_operation_time: Either, Shared;
    P2 the_first_read_is_after_nothing: Either, Shared;
    P3 the_first_operation_brings_its_time_even_when_it_fails: ReplicaSet, Shared;
    P4 each_read_is_after_the_read_before_it: ReplicaSet, Shared;
    P5 a_read_is_after_each_write_before_it_even_a_refused_one: ReplicaSet, Shared;
    P6 without_causal_consistency_a_read_is_after_nothing: ReplicaSet, Shared;
    P7 a_server_without_a_cluster_time_is_told_none: Standalone, Shared;
    P8 the_servers_own_read_concern_is_not_named: ReplicaSet, Shared;
    P9 a_read_concern_of_the_applications_stays: ReplicaSet, Shared;
    P11 a_server_without_a_cluster_clock_is_sent_none: Standalone, Shared;
    P12 a_server_with_a_cluster_clock_is_sent_its_time: ReplicaSet, Shared;
    P13 each_write_is_after_the_read_before_it: ReplicaSet, Shared;
}

fn reads() -> impl IntoIterator<Item = Operation> {
    each_operation! {
        "find": |subject| subject.people().find(doc! {});
        "find": |subject| subject.people().find_one(doc! {});
        "aggregate": |subject| subject.people().aggregate([doc! { "$match": {} }]);
        "aggregate": |subject| subject.people().count_documents(doc! {});
        "count": |subject| subject.people().estimated_document_count();
        "distinct": |subject| subject.people().distinct("a", doc! {});
    }
}

/// All writes, in an order in which each succeeds.
fn writes() -> impl IntoIterator<Item = Operation> {
    each_operation! {
        "insert": |subject| subject.people().insert_one(doc! { "_id": 11 });
        "insert": |subject| subject.people().insert_many([doc! { "_id": 12 }, doc! { "_id": 13 }]);
        "insert": |subject| subject.people().bulk_write([Write::from(InsertOne::new(doc! {}))]);
        "update": |subject| subject.people().update_one(doc! {}, doc! { "$set": { "a": 1 } });
        "update": |subject| subject.people().update_many(doc! {}, doc! { "$set": { "a": 2 } });
        "update": |subject| subject.people().replace_one(doc! {}, doc! { "a": 3 });
        "findAndModify": |subject| subject.people().find_one_and_update(doc! {}, doc! { "$set": { "a": 4 } });
        "findAndModify": |subject| subject.people().find_one_and_replace(doc! {}, doc! { "a": 5 });
        "findAndModify": |subject| subject.people().find_one_and_delete(doc! {});
        "delete": |subject| subject.people().delete_one(doc! {});
        "delete": |subject| subject.people().delete_many(doc! {});
    }
}

/// Operations that a server refuses after it took them up.
fn refused() -> impl IntoIterator<Item = Operation> {
    each_operation! {
        "insert": |subject| subject.people().insert_one(doc! { "_id": 0 });
        "update": |subject| subject.people().update_one(doc! {}, doc! { "$set": { "_id": "new" } });
        "find": |subject| subject.people().find(doc! { "$no": 1 });
    }
}

fn session(subject: &Observed, causal_consistency: bool) -> ClientSession {
    let start = subject.client.start_session();
    go!(start.causal_consistency(causal_consistency)).expect("starts a session")
}

/// The read concern that the last command of that name had.
fn read_concern(subject: &Observed, command: &str) -> Option<Document> {
    let sent = subject.events.commands_named(command);
    let last = &sent.last().expect("the command was sent").command;
    last.get_document("readConcern").ok().cloned()
}

fn time_of(session: &ClientSession) -> Timestamp {
    session.operation_time().expect("the server tells the time")
}

fn a_new_session_has_no_operation_time(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    assert_eq!(session(&subject, true).operation_time(), None);
    assert_eq!(session(&subject, false).operation_time(), None);
}

fn the_first_read_is_after_nothing(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    for read in reads() {
        (read.within)(&subject, &mut session(&subject, true)).expect(read.command);
        assert_eq!(read_concern(&subject, read.command), None);
    }
}

fn the_first_operation_brings_its_time_even_when_it_fails(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    let told = |reply: Option<&Bson>| reply.and_then(Bson::as_timestamp);
    for causal_consistency in [true, false] {
        for first in refused().into_iter().chain(reads()).chain(writes()) {
            let mut session = session(&subject, causal_consistency);
            let outcome = (first.within)(&subject, &mut session);
            let reply = match &outcome {
                // What was not refused as a whole has succeeded as a command.
                Err(error) if error.code().is_some_and(|code| code != 11000 && code != 66) => {
                    let reply = error.server_response().expect("the server replied");
                    Document::try_from(reply).expect("is valid")
                }
                _ => last_reply(&subject, first.command),
            };
            let time = told(reply.get("operationTime"));
            assert!(time.is_some(), "{}: {reply}", first.command);
            assert_eq!(session.operation_time(), time, "{}", first.command);
        }
        go!(subject.people().drop()).expect("drops");
        go!(subject.people().insert_one(doc! { "_id": 0 })).expect("inserts");
    }
}

fn each_read_is_after_the_read_before_it(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    for read in reads() {
        let mut session = session(&subject, true);
        go!(subject.people().find_one(doc! {}).session(&mut session)).expect("finds");
        let time = time_of(&session);
        (read.within)(&subject, &mut session).expect(read.command);
        let wanted = Some(doc! { "afterClusterTime": time });
        assert_eq!(
            read_concern(&subject, read.command),
            wanted,
            "{}",
            read.command
        );
    }
}

fn a_read_is_after_each_write_before_it_even_a_refused_one(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    let mut failed = 0;
    for write in refused().into_iter().chain(writes()) {
        let mut session = session(&subject, true);
        failed += i32::from((write.within)(&subject, &mut session).is_err());
        let time = time_of(&session);
        go!(subject.people().find_one(doc! {}).session(&mut session)).expect("finds");
        let wanted = Some(doc! { "afterClusterTime": time });
        assert_eq!(read_concern(&subject, "find"), wanted, "{}", write.command);
    }
    assert_eq!(failed, 3);
}

fn without_causal_consistency_a_read_is_after_nothing(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    let mut session = session(&subject, false);
    for read in reads() {
        (read.within)(&subject, &mut session).expect(read.command);
        assert!(session.operation_time().is_some());
        assert_eq!(read_concern(&subject, read.command), None);
    }
}

fn a_server_without_a_cluster_time_is_told_none(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    let mut session = session(&subject, true);
    for operation in reads().into_iter().chain(writes()) {
        (operation.within)(&subject, &mut session).expect(operation.command);
        assert_eq!(read_concern(&subject, operation.command), None);
    }
}

fn the_servers_own_read_concern_is_not_named(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    let mut session = session(&subject, true);
    let people = subject.people();
    go!(people.find_one(doc! {}).session(&mut session)).expect("finds");
    let time = time_of(&session);
    go!(people.find_one(doc! {}).session(&mut session)).expect("finds");
    let wanted = Some(doc! { "afterClusterTime": time });
    assert_eq!(read_concern(&subject, "find"), wanted);
}

fn a_read_concern_of_the_applications_stays(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    let mut session = session(&subject, true);
    let options = CollectionOptions::builder()
        .read_concern(ReadConcern::majority())
        .build();
    let people = subject
        .database()
        .collection_with_options::<Document>("people", options);
    go!(people.find_one(doc! {}).session(&mut session)).expect("finds");
    let time = time_of(&session);
    go!(people.find_one(doc! {}).session(&mut session)).expect("finds");
    let wanted = Some(doc! { "level": "majority", "afterClusterTime": time });
    assert_eq!(read_concern(&subject, "find"), wanted);
}

/// Whether a find goes out with a cluster time, once a server could have told one.
fn sends_cluster_time(subject: &Observed) -> bool {
    go!(subject.people().find_one(doc! {})).expect("finds");
    let find = subject.events.commands_named("find").remove(0);
    find.command.contains_key("$clusterTime")
}

fn a_server_without_a_cluster_clock_is_sent_none(deployment: &Deployment) {
    assert_eq!(deployment.kind(), DeploymentKind::Standalone);
    let subject = Observed::new(deployment, "").with_people(1);
    assert!(!sends_cluster_time(&subject));
}

fn a_server_with_a_cluster_clock_is_sent_its_time(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    assert!(sends_cluster_time(&subject));
}

fn each_write_is_after_the_read_before_it(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    for write in writes() {
        let mut session = session(&subject, true);
        go!(subject.people().find_one(doc! {}).session(&mut session)).expect("finds");
        let time = time_of(&session);
        (write.within)(&subject, &mut session).expect(write.command);
        let wanted = Some(doc! { "afterClusterTime": time });
        assert_eq!(
            read_concern(&subject, write.command),
            wanted,
            "{}",
            write.command
        );
    }
}
