//! The prose tests of the transactions specifications that stand neither in `transactions` nor in
//! `explicit_sessions`; C is of the convenient API.

use std::time::{Duration, Instant};

use conformance_tests::behaviour::Deployment;

use super::servers::FailPoint;
use super::support::Observed;
use crate::flavor::driver::bson::{Document, doc};
use crate::flavor::driver::error::TRANSIENT_TRANSACTION_ERROR;
use crate::flavor::driver::options::{CollectionOptions, WriteConcern};
use crate::flavor::{go, run_in_transaction};

conformance_tests::behaviours! {
    P1 a_collections_write_concern_is_not_its_transactions: ReplicaSet, Shared;
    C4 an_attempt_at_a_transaction_follows_the_one_before_after_a_while:
        ReplicaSet, FailPoint, since (4, 4);
}

fn a_collections_write_concern_is_not_its_transactions(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    let mut session = go!(subject.client.start_session()).expect("starts a session");
    go!(session.start_transaction()).expect("starts");
    let options = CollectionOptions::builder()
        .write_concern(WriteConcern::nodes(0))
        .build();
    let people = subject
        .database()
        .collection_with_options::<Document>("people", options);
    let insert = people.insert_one(doc! { "_id": "new" });
    let inserted = go!(insert.session(&mut session)).expect("is acknowledged");
    assert_eq!(inserted.inserted_id, "new".into());
    go!(session.commit_transaction()).expect("commits");
    drop(session);
    let found = go!(subject.people().find_one(doc! { "_id": "new" }));
    assert!(found.expect("finds").is_some());
    for command in ["insert", "commitTransaction"] {
        let sent = subject.events.commands_named(command);
        let sent = &sent.last().expect("was sent").command;
        assert!(!sent.contains_key("writeConcern"), "{sent}");
    }
}

/// Without what chance cuts from each, which the unit tests of the decision leave out, thirteen
/// waits last for more than two seconds; that chance leaves so little of them is out of the way.
fn an_attempt_at_a_transaction_follows_the_one_before_after_a_while(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    let people = subject.people();
    let data = doc! {
        "failCommands": ["commitTransaction"],
        // NoSuchTransaction
        "errorCode": 251,
        "errorLabels": [TRANSIENT_TRANSACTION_ERROR],
    };
    let _failing = FailPoint::times(deployment, 13, data);
    let mut session = go!(subject.client.start_session()).expect("starts a session");
    let mut between = Vec::new();
    let mut ended: Option<Instant> = None;
    let outcome = run_in_transaction!(session.start_transaction(), |session| {
        between.extend(ended.map(|ended| ended.elapsed()));
        let outcome = go!(people.insert_one(doc! {}).session(session));
        ended = Some(Instant::now());
        outcome
    });
    outcome.expect("the last attempt is committed");
    assert_eq!(between.len(), 13);
    let between: Duration = between.into_iter().sum();
    let waited = between.saturating_sub(subject.events.time_of_failed("commitTransaction"));
    assert!(
        waited >= Duration::from_millis(150),
        "{waited:?} of {between:?}"
    );
    let count = go!(people.count_documents(doc! {})).expect("counts");
    assert_eq!(count, 2);
}
