//! Transactions: what is part of one, what cannot be, and how its failures are told. Prose tests
//! have their numbers in the transactions specification.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use conformance_tests::behaviour::Deployment;
use conformance_tests::router_shim::RouterShim;
use conformance_tests::watching_proxy::WatchingProxy;

use super::prose_routers::routers;
use super::recorder::Event;
use super::servers::{FailPoint, current_operations, uri_of, wait_until, writable};
use super::support::Observed;
use crate::flavor::driver::bson::{Bson, Document, doc};
use crate::flavor::driver::error::{Error, ErrorKind, TRANSIENT_TRANSACTION_ERROR};
use crate::flavor::driver::event::EventHandler;
use crate::flavor::driver::event::cmap::CmapEvent;
use crate::flavor::driver::options::ClientOptions;
use crate::flavor::driver::{ClientSession, IndexModel};
use crate::flavor::{go, spawn};

conformance_tests::behaviours! {
    R110 a_write_of_several_messages_is_one_transaction: ReplicaSet, Shared;
    R111 what_servers_leave_out_of_transactions_is_refused: ReplicaSet, Shared;
    F114 a_clear_of_the_pool_in_a_transaction_is_transient: ReplicaSet, FailPoint;
    R112 a_first_command_that_comes_late_leaves_no_transaction_open: ReplicaSet, Shared;
    W110 an_end_of_what_was_never_sent_frees_the_connection: ReplicaSet, Shared, since (4, 4);
    R115 a_listener_may_drop_what_holds_a_connection: ReplicaSet, Shared, since (4, 4);
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

/// The command is on its way when its time is up, and so the abort could overtake it: the server
/// would refuse the abort of a transaction that it does not know of, and open it afterwards.
fn a_first_command_that_comes_late_leaves_no_transaction_open(deployment: &Deployment) {
    let late = Duration::from_millis(400);
    let primary = deployment.servers().member(writable(deployment));
    let proxy = WatchingProxy::holding_up(primary.address(), "insert", late).expect("listens");
    drop(Observed::new(deployment, "").with_people(1));
    let uri = uri_of(deployment, &[proxy.address()], "directConnection=true");
    let subject = Observed::at(deployment, &uri);
    subject.ping().expect("pings");
    let mut session = go!(subject.client.start_session()).expect("starts a session");
    go!(session.start_transaction()).expect("starts");
    let people = subject.people();
    let insert = people.insert_one(doc! { "_id": 1 });
    let insert = insert.timeout(Duration::from_millis(100));
    let error = go!(insert.session(&mut session)).expect_err("is late");
    assert!(error.is_timeout(), "{error}");
    go!(session.abort_transaction()).expect("aborts");
    wait_until("end of the late connection", || {
        (proxy.closed_late() > 0).then_some(())
    });
    assert_eq!(subject.events.commands_named("abortTransaction").len(), 1);
    let id = session.id().get("id").cloned();
    let of_session = doc! { "lsid.id": id, "transaction": { "$exists": true } };
    let open = current_operations(&primary, &of_session);
    assert!(open.is_empty(), "{open:?}");
}

/// A client of a load balancer with two routers behind it.
fn balanced(
    deployment: &Deployment,
    options: &str,
    change: impl FnOnce(&mut ClientOptions),
) -> (RouterShim, Observed) {
    let server = deployment.servers().member(writable(deployment)).address();
    let balancer = RouterShim::balancer(server, 2).expect("listens");
    let options = format!("loadBalanced=true&{options}");
    let uri = uri_of(deployment, &balancer.hosts(), &options);
    (balancer, Observed::configured(deployment, &uri, change))
}

fn an_end_of_what_was_never_sent_frees_the_connection(deployment: &Deployment) {
    let (_balancer, subject) =
        balanced(deployment, "maxPoolSize=1&waitQueueTimeoutMS=5000", |_| ());
    let people = subject.people();
    let mut session = go!(subject.client.start_session()).expect("starts a session");
    for commits in [false, true] {
        go!(session.start_transaction()).expect("starts");
        let large = doc! { "_id": "x".repeat(17 << 20) };
        let find = people.find_one(large).session(&mut session);
        go!(find).expect_err("is too large to be sent");
        match commits {
            false => go!(session.abort_transaction()).expect("aborts"),
            true => go!(session.commit_transaction()).expect("commits"),
        }
        assert!(!subject.events.command_names().contains("Transaction"));
        subject.ping().expect("the only connection is free");
    }
}

fn a_listener_may_drop_what_holds_a_connection(deployment: &Deployment) {
    type Held = (crate::flavor::driver::Cursor<Document>, ClientSession);
    let held: Arc<Mutex<Option<Held>>> = Arc::default();
    let to_drop = Arc::clone(&held);
    let (_balancer, subject) = balanced(deployment, "", move |options| {
        let Some(EventHandler::Callback(heard)) = options.cmap_event_handler.take() else {
            panic!("the recorder listens");
        };
        options.cmap_event_handler = Some(EventHandler::callback(move |event: CmapEvent| {
            if matches!(event, CmapEvent::ConnectionCheckedIn(_)) {
                let held = to_drop.lock().expect("nobody panicked").take();
                drop(held);
            }
            heard(event);
        }));
    });
    go!(subject
        .people()
        .insert_many((0..3).map(|id| doc! { "_id": id })))
    .expect("inserts");
    let people = subject.people();
    let cursor = go!(people.find(doc! {}).batch_size(1)).expect("finds");
    let mut session = go!(subject.client.start_session()).expect("starts a session");
    go!(session.start_transaction()).expect("starts");
    go!(people.insert_one(doc! { "_id": 3 }).session(&mut session)).expect("inserts");
    subject.events.forget();
    *held.lock().expect("nobody panicked") = Some((cursor, session));
    subject.ping().expect("pings");
    // That of the ping, of the cursor and of the transaction.
    subject
        .events
        .wait_for_count("return of a connection", 3, Event::is_checked_in);
    for command in ["killCursors", "abortTransaction"] {
        assert_eq!(subject.events.commands_named(command).len(), 1, "{command}");
    }
}

/// How often an operation is given the choice between two routers.
const CHOICES: usize = 50;

/// A client of two routers, in whose session a transaction was committed by way of one of them.
fn pinned_to_one_of_two(deployment: &Deployment) -> (RouterShim, Observed, ClientSession) {
    let (routers, subject) = routers(deployment, 2);
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
