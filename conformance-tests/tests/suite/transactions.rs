//! Transactions: what is part of one, what cannot be, and how its failures are told. Prose tests
//! have their numbers in the transactions specification.

use conformance_tests::behaviour::Deployment;
use conformance_tests::router_shim::RouterShim;

use super::recorder::Event;
use super::servers::{FailPoint, uri_of, writable};
use super::support::Observed;
use crate::flavor::driver::bson::{Bson, doc};
use crate::flavor::driver::error::{Error, ErrorKind, TRANSIENT_TRANSACTION_ERROR};
use crate::flavor::driver::event::sdam::{SdamEvent, ServerType};
use crate::flavor::driver::{ClientSession, IndexModel};
use crate::flavor::{go, spawn};

conformance_tests::behaviours! {
    R110 a_write_of_several_messages_is_one_transaction: ReplicaSet, Shared;
    R111 what_servers_leave_out_of_transactions_is_refused: ReplicaSet, Shared;
    F114 a_clear_of_the_pool_in_a_transaction_is_transient: ReplicaSet, FailPoint;
    P1 the_next_transaction_may_go_to_another_router: ReplicaSet, Shared;
    P2 an_operation_after_a_transaction_may_go_to_another_router: ReplicaSet, Shared;
}

fn a_write_of_several_messages_is_one_transaction(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    let people = subject.people();
    let mut session = go!(subject.client.start_session()).expect("starts a session");
    go!(session.start_transaction()).expect("starts");
    // As many as fill a message, not as large: a transaction of 48 MB stalls some servers for good
    // when their cache is small.
    let documents = (1..=100_001).map(|id| doc! { "_id": id });
    subject.events.forget();
    go!(people.insert_many(documents).session(&mut session)).expect("inserts");
    let inserts = subject.events.commands_named("insert");
    let of_both = |field| {
        let values = inserts.iter().map(move |it| it.command.get(field).cloned());
        values.collect::<Vec<_>>()
    };
    let yes = Some(Bson::Boolean(true));
    assert_eq!(of_both("startTransaction"), [yes, None]);
    let no = Some(Bson::Boolean(false));
    assert_eq!(of_both("autocommit"), [no.clone(), no]);
    let numbers = of_both("txnNumber");
    assert!(numbers[0].is_some() && numbers[0] == numbers[1]);
    go!(session.abort_transaction()).expect("aborts");
    assert_eq!(go!(people.count_documents(doc! {})).expect("counts"), 1);
}

fn what_servers_leave_out_of_transactions_is_refused(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    let people = subject.people();
    let mut session = go!(subject.client.start_session()).expect("starts a session");
    let index = || IndexModel::builder().keys(doc! { "a": 1 }).build();
    let refused = |error: Error| {
        // OperationNotSupportedInTransaction
        assert_eq!(error.code(), Some(263), "{error}");
        assert!(!error.contains_label(TRANSIENT_TRANSACTION_ERROR));
    };
    for kind in 0..3 {
        go!(session.start_transaction()).expect("starts");
        let outcome = match kind {
            0 => go!(people.rename("others").session(&mut session)).map(drop),
            1 => go!(people.drop().session(&mut session)).map(drop),
            _ => go!(people.create_index(index()).session(&mut session)).map(drop),
        };
        refused(outcome.expect_err("is refused"));
        go!(session.abort_transaction()).expect("aborts");
    }
    assert_eq!(go!(people.count_documents(doc! {})).expect("counts"), 1);
}

fn a_clear_of_the_pool_in_a_transaction_is_transient(deployment: &Deployment) {
    let options = "maxPoolSize=1&retryReads=false&heartbeatFrequencyMS=500";
    let subject = Observed::new(deployment, options).with_people(1);
    let mut session = go!(subject.client.start_session()).expect("starts a session");
    go!(session.start_transaction()).expect("starts");
    let data = doc! {
        "failCommands": ["find"],
        "blockConnection": true,
        "blockTimeMS": 1000,
        "errorCode": 91,
    };
    let _failing = FailPoint::times(deployment, 1, data);
    subject.events.forget();
    let people = subject.people();
    let find = spawn(move || go!(people.find_one(doc! {})));
    subject
        .events
        .wait_for_count("use of the only connection", 1, |event| {
            event.checked_out().is_some()
        });
    let people = subject.people();
    let error = go!(people.insert_one(doc! {}).session(&mut session));
    let error = error.expect_err("waits for the connection until the pool is cleared");
    assert!(
        matches!(&*error.kind, ErrorKind::ConnectionPoolCleared { .. }),
        "{error}"
    );
    assert!(error.contains_label(TRANSIENT_TRANSACTION_ERROR), "{error}");
    let found = find.join().expect("the thread does not panic");
    assert_eq!(found.expect_err("is failed").code(), Some(91));
    assert_eq!(subject.events.count(Event::is_pool_cleared), 1);
    go!(session.abort_transaction()).expect("aborts");
}

/// How often an operation is given the choice between two routers.
const CHOICES: usize = 50;

/// A client of two routers, in whose session a transaction was committed by way of one of them.
fn pinned_to_one_of_two(deployment: &Deployment) -> (RouterShim, Observed, ClientSession) {
    let server = deployment.servers().member(writable(deployment)).address();
    let routers = RouterShim::routers(server, 2).expect("listen");
    // Either is near enough, however busy the machine is.
    let uri = uri_of(deployment, &routers.hosts(), "localThresholdMS=10000");
    let subject = Observed::at(deployment, &uri).with_people(1);
    subject.events.wait_for_count("router", 2, |event| {
        matches!(event.sdam(), Some(SdamEvent::ServerDescriptionChanged(change))
            if change.new_description.server_type() == ServerType::Mongos)
    });
    let mut session = go!(subject.client.start_session()).expect("starts a session");
    go!(session.start_transaction()).expect("starts");
    let people = subject.people();
    go!(people.insert_one(doc! {}).session(&mut session)).expect("inserts");
    go!(session.commit_transaction()).expect("commits");
    (routers, subject, session)
}

fn assert_went_to_both_routers(subject: &Observed) {
    let finds = subject.events.commands_named("find");
    assert_eq!(finds.len(), CHOICES);
    let first = &finds[0].connection.address;
    assert!(finds.iter().any(|find| find.connection.address != *first));
}

fn the_next_transaction_may_go_to_another_router(deployment: &Deployment) {
    let (_routers, subject, mut session) = pinned_to_one_of_two(deployment);
    let people = subject.people();
    for _ in 0..CHOICES {
        go!(session.start_transaction()).expect("starts");
        let found = go!(people.find_one(doc! {}).session(&mut session));
        assert!(found.expect("finds").is_some());
        go!(session.commit_transaction()).expect("commits");
    }
    assert_went_to_both_routers(&subject);
}

fn an_operation_after_a_transaction_may_go_to_another_router(deployment: &Deployment) {
    let (_routers, subject, mut session) = pinned_to_one_of_two(deployment);
    let people = subject.people();
    for _ in 0..CHOICES {
        let found = go!(people.find_one(doc! {}).session(&mut session));
        assert!(found.expect("finds").is_some());
    }
    assert_went_to_both_routers(&subject);
}
