//! Sessions of the application, and transactions in them.

use conformance_tests::behaviour::Deployment;

use super::servers::{FailPoint, wait_until};
use super::support::Observed;
use crate::flavor::driver::bson::{Bson, Document, doc};
use crate::flavor::driver::error::{Error, ErrorKind};
use crate::flavor::driver::options::{CollectionOptions, CursorType, WriteConcern};
use crate::flavor::{collect, go, run_in_transaction, wait};

conformance_tests::behaviours! {
    R104 an_explicit_session_does_not_return_with_its_cursor: Either, Shared;
    W102 a_session_that_lost_a_connection_is_used_no_more: ReplicaSet, FailPoint;
    R107 options_that_contradict_each_other_cost_no_session: Either, Shared;
    R107 an_exhaust_cursor_gives_its_session_back: Either, Shared;
    R107 an_unacknowledged_write_in_a_session_is_refused: Either, Shared;
    W107 a_session_of_another_client_is_refused: Either, Shared;
    W107 a_cursor_steps_with_its_own_session_only: Either, Shared;
    W109 a_read_after_a_write_waits_for_it: ReplicaSet, Shared;
    W110 a_committed_transaction_is_there_as_a_whole: ReplicaSet, Shared;
    W110 an_aborted_transaction_leaves_nothing: ReplicaSet, Shared;
    R111 a_transaction_overrides_the_concerns_of_its_handles: ReplicaSet, Shared;
    R111 an_operation_in_a_transaction_brings_no_concern: ReplicaSet, Shared;
    W110 a_dropped_session_aborts_its_transaction: ReplicaSet, Shared;
    R101 raw_batches_work_in_a_transaction: ReplicaSet, Shared;
    F112 a_callback_runs_in_a_transaction_that_is_committed: ReplicaSet, Shared;
    F112 an_error_of_the_applications_own_passes_through_and_aborts: ReplicaSet, Shared;
    R112 a_callback_that_cannot_begin_leaves_an_open_transaction_alone: ReplicaSet, Shared;
    F112 a_transient_error_runs_the_callback_again: ReplicaSet, FailPoint;
}

fn an_explicit_session_does_not_return_with_its_cursor(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(3);
    let mut session = go!(subject.client.start_session()).expect("starts a session");
    let people = subject.people();
    let find = people.find(doc! {}).batch_size(1);
    let mut cursor = go!(find.session(&mut session)).expect("finds");
    assert_eq!(wait!(cursor.to_vec(&mut session)).expect("reads").len(), 3);
    subject.ping().expect("pings");
    assert_ne!(subject.last_session("ping"), *session.id());
    for command in ["find", "getMore"] {
        assert_eq!(subject.last_session(command), *session.id());
    }
    let id = session.id().clone();
    drop((cursor, session));
    subject.ping().expect("pings");
    assert_eq!(subject.last_session("ping"), id);
}

fn a_session_that_lost_a_connection_is_used_no_more(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    let people = subject.people();
    let failing = doc! { "failCommands": ["insert"], "closeConnection": true };
    let mut session = go!(subject.client.start_session()).expect("starts a session");
    let fail_point = FailPoint::times(deployment, 1, failing.clone());
    go!(people.insert_one(doc! {}).session(&mut session)).expect("inserts at the second attempt");
    drop(fail_point);
    let of_session = session.id().clone();
    assert_eq!(subject.last_session("insert"), of_session);
    drop(session);
    let fail_point = FailPoint::times(deployment, 1, failing);
    go!(people.insert_one(doc! {})).expect("inserts at the second attempt");
    drop(fail_point);
    let of_insert = subject.last_session("insert");
    subject.ping().expect("pings");
    let of_ping = subject.last_session("ping");
    assert!(of_ping != of_session && of_ping != of_insert && of_insert != of_session);
}

fn options_that_contradict_each_other_cost_no_session(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    subject.ping().expect("pings");
    let free = subject.last_session("ping");
    let both = subject.client.start_session().snapshot(true);
    assert!(go!(both.causal_consistency(true)).is_err());
    subject.ping().expect("pings");
    assert_eq!(subject.last_session("ping"), free);
}

fn an_exhaust_cursor_gives_its_session_back(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(5);
    let people = subject.people();
    let find = people.find(doc! {}).batch_size(2);
    let cursor = go!(find.cursor_type(CursorType::Exhaust)).expect("finds");
    assert_eq!(collect!(cursor).expect("reads").len(), 5);
    let session = subject.last_session("find");
    subject.ping().expect("pings");
    assert_eq!(subject.last_session("ping"), session);
}

fn an_unacknowledged_write_in_a_session_is_refused(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let mut session = go!(subject.client.start_session()).expect("starts a session");
    let people = subject.people();
    let insert = people
        .insert_one(doc! {})
        .write_concern(WriteConcern::nodes(0));
    let error = go!(insert.session(&mut session)).expect_err("is refused");
    assert!(
        matches!(&*error.kind, ErrorKind::InvalidArgument { message, .. } if message.contains("unacknowledged"))
    );
    assert!(subject.events.commands_named("insert").is_empty());
}

fn a_session_of_another_client_is_refused(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let other = Observed::new(deployment, "");
    let mut session = go!(other.client.start_session()).expect("starts a session");
    let error = go!(subject.people().find_one(doc! {}).session(&mut session));
    let error = error.expect_err("is refused");
    assert!(
        matches!(&*error.kind, ErrorKind::InvalidArgument { message, .. } if message.contains("another client"))
    );
    assert!(subject.events.commands_named("find").is_empty());
}

fn a_cursor_steps_with_its_own_session_only(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(2);
    let mut session = go!(subject.client.start_session()).expect("starts a session");
    let mut other = go!(subject.client.start_session()).expect("starts a session");
    let mut cursor = go!(subject.people().find(doc! {}).session(&mut session)).expect("finds");
    let error = wait!(cursor.next(&mut other)).expect("says something");
    assert!(error.is_err());
    let found = wait!(cursor.next(&mut session)).expect("has a document");
    assert!(found.is_ok());
}

fn a_read_after_a_write_waits_for_it(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let people = subject.people();
    let mut session = go!(subject.client.start_session()).expect("starts a session");
    assert_eq!(session.operation_time(), None);
    go!(people.insert_one(doc! { "_id": 1 }).session(&mut session)).expect("inserts");
    let written = session.operation_time().expect("the server told the time");
    go!(people.find_one(doc! {}).session(&mut session)).expect("finds");
    let commands = subject.events.commands();
    let insert = &commands[0].command;
    assert!(!insert.contains_key("readConcern"));
    let find = &commands[1].command;
    assert_eq!(
        find.get_document("readConcern").ok(),
        Some(&doc! { "afterClusterTime": written })
    );
    let mut later = go!(subject.client.start_session()).expect("starts a session");
    later.advance_cluster_time(session.cluster_time().expect("has a cluster time"));
    later.advance_operation_time(written);
    assert_eq!(later.operation_time(), Some(written));
    assert_eq!(later.cluster_time(), session.cluster_time());
}

fn a_committed_transaction_is_there_as_a_whole(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    let people = subject.people();
    let mut session = go!(subject.client.start_session()).expect("starts a session");
    go!(session.start_transaction()).expect("starts");
    for id in 1..3 {
        go!(people.insert_one(doc! { "_id": id }).session(&mut session)).expect("inserts");
    }
    let inside = go!(people.count_documents(doc! {}).session(&mut session));
    assert_eq!(inside.expect("counts"), 3);
    let outside = go!(people.count_documents(doc! {}));
    assert_eq!(outside.expect("counts"), 1);
    go!(session.commit_transaction()).expect("commits");
    assert_eq!(go!(people.count_documents(doc! {})).expect("counts"), 3);

    let of_transaction: Vec<_> = subject.events.commands();
    let of_transaction: Vec<_> = of_transaction
        .iter()
        .filter(|command| command.command.contains_key("autocommit"))
        .collect();
    assert_eq!(of_transaction.len(), 4);
    let number = of_transaction[0].command.get_i64("txnNumber").ok();
    assert!(number.is_some());
    for (place, command) in of_transaction.iter().enumerate() {
        assert_eq!(command.command.get_i64("txnNumber").ok(), number);
        let starts = command.command.get("startTransaction");
        assert_eq!(starts, (place == 0).then_some(&Bson::Boolean(true)));
    }
    go!(session.commit_transaction()).expect("commits again");
    assert!(go!(session.abort_transaction()).is_err());
}

fn an_aborted_transaction_leaves_nothing(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    let people = subject.people();
    let mut session = go!(subject.client.start_session()).expect("starts a session");
    assert!(go!(session.abort_transaction()).is_err());
    go!(session.start_transaction()).expect("starts");
    assert!(go!(session.start_transaction()).is_err());
    go!(people.insert_one(doc! { "_id": 1 }).session(&mut session)).expect("inserts");
    go!(session.abort_transaction()).expect("aborts");
    assert_eq!(go!(people.count_documents(doc! {})).expect("counts"), 1);
    assert_eq!(subject.events.commands_named("abortTransaction").len(), 1);
}

fn a_transaction_overrides_the_concerns_of_its_handles(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    let database = subject.database();
    let options = CollectionOptions::builder()
        .write_concern(WriteConcern::nodes(0))
        .build();
    let people = database.collection_with_options::<Document>("people", options);
    let mut session = go!(subject.client.start_session()).expect("starts a session");
    let majority = WriteConcern::majority();
    go!(session.start_transaction().write_concern(majority)).expect("starts");
    go!(people.insert_one(doc! { "_id": 1 }).session(&mut session)).expect("inserts");
    go!(session.commit_transaction()).expect("commits");
    let commands = subject.events.commands();
    let insert = &commands[commands.len() - 2].command;
    assert!(!insert.contains_key("writeConcern"));
    let commit = &commands[commands.len() - 1].command;
    assert_eq!(
        commit.get_document("writeConcern").ok(),
        Some(&doc! { "w": "majority" })
    );
}

fn an_operation_in_a_transaction_brings_no_concern(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    let people = subject.people();
    let mut session = go!(subject.client.start_session()).expect("starts a session");
    go!(session.start_transaction()).expect("starts");
    let before = subject.events.commands().len();
    let insert = people.insert_one(doc! { "_id": 1 });
    let insert = insert.write_concern(WriteConcern::majority());
    let error = go!(insert.session(&mut session)).expect_err("is refused");
    assert!(
        matches!(&*error.kind, ErrorKind::Transaction { .. }),
        "{error}"
    );
    assert_eq!(subject.events.commands().len(), before);
    go!(people.insert_one(doc! { "_id": 1 }).session(&mut session)).expect("inserts");
    go!(session.commit_transaction()).expect("commits");
}

fn a_dropped_session_aborts_its_transaction(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    let people = subject.people();
    let mut session = go!(subject.client.start_session()).expect("starts a session");
    go!(session.start_transaction()).expect("starts");
    go!(people.insert_one(doc! { "_id": 1 }).session(&mut session)).expect("inserts");
    drop(session);
    wait_until("abort of the transaction", || {
        let aborts = subject.events.commands_named("abortTransaction");
        (!aborts.is_empty()).then_some(())
    });
    go!(people.insert_one(doc! { "_id": 1 })).expect("nothing is in the way");
}

fn raw_batches_work_in_a_transaction(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(3);
    let mut session = go!(subject.client.start_session()).expect("starts a session");
    go!(session.start_transaction()).expect("starts");
    let people = subject.people();
    let find = people.find(doc! {}).batch_size(2);
    let mut batches = go!(find.session(&mut session).batch()).expect("finds");
    assert!(batches.has_next());
    wait!(batches.close(&mut session)).expect("closes");
    let kill = subject.events.commands_named("killCursors");
    assert_eq!(
        kill[0].command.get("autocommit"),
        Some(&Bson::Boolean(false))
    );
    go!(session.abort_transaction()).expect("aborts");
}

fn a_callback_runs_in_a_transaction_that_is_committed(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    let people = subject.people();
    let mut session = go!(subject.client.start_session()).expect("starts a session");
    let counted = run_in_transaction!(session.start_transaction(), |session| {
        go!(people.insert_one(doc! { "_id": 1 }).session(&mut *session))?;
        go!(people.count_documents(doc! {}).session(session))
    });
    assert_eq!(counted.expect("runs"), 2);
    assert_eq!(go!(people.count_documents(doc! {})).expect("counts"), 2);
    assert_eq!(subject.events.commands_named("commitTransaction").len(), 1);
}

/// An error that the driver knows nothing of.
#[derive(Debug, PartialEq)]
struct OutOfStock {
    wanted: u32,
}

fn an_error_of_the_applications_own_passes_through_and_aborts(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    let people = subject.people();
    let mut session = go!(subject.client.start_session()).expect("starts a session");
    let outcome = run_in_transaction!(session.start_transaction(), |session| {
        go!(people.insert_one(doc! { "_id": 1 }).session(session))?;
        Err::<(), _>(Error::custom(OutOfStock { wanted: 3 }))
    });
    let error = outcome.expect_err("the callback fails");
    assert_eq!(error.get_custom(), Some(&OutOfStock { wanted: 3 }));
    assert_eq!(subject.events.commands_named("abortTransaction").len(), 1);
    assert_eq!(go!(people.count_documents(doc! {})).expect("counts"), 1);
}

fn a_callback_that_cannot_begin_leaves_an_open_transaction_alone(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    let people = subject.people();
    let mut session = go!(subject.client.start_session()).expect("starts a session");
    go!(session.start_transaction()).expect("starts");
    go!(people.insert_one(doc! { "_id": 1 }).session(&mut session)).expect("inserts");
    let outcome = run_in_transaction!(session.start_transaction(), |session| {
        go!(people.insert_one(doc! { "_id": 2 }).session(session))
    });
    let error = outcome.expect_err("one is open");
    assert!(
        matches!(&*error.kind, ErrorKind::Transaction { .. }),
        "{error}"
    );
    go!(session.commit_transaction()).expect("commits");
    assert_eq!(go!(people.count_documents(doc! {})).expect("counts"), 2);
}

fn a_transient_error_runs_the_callback_again(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    let people = subject.people();
    let failing = doc! { "failCommands": ["insert"], "closeConnection": true };
    let _fail_point = FailPoint::times(deployment, 1, failing);
    let mut session = go!(subject.client.start_session()).expect("starts a session");
    let mut runs = 0;
    let outcome = run_in_transaction!(session.start_transaction(), |session| {
        runs += 1;
        go!(people.insert_one(doc! { "_id": 1 }).session(session))
    });
    outcome.expect("the second run succeeds");
    assert_eq!(runs, 2);
    let numbers: Vec<_> = subject.events.commands_named("insert");
    let numbers: Vec<_> = numbers
        .iter()
        .filter_map(|insert| insert.command.get_i64("txnNumber").ok())
        .collect();
    assert_eq!(numbers[numbers.len() - 1], numbers[numbers.len() - 2] + 1);
}
