//! Implicit sessions: which operation uses which, and when they end.

use conformance_tests::behaviour::Deployment;
use conformance_tests::deployments::DeploymentKind;
use conformance_tests::router_shim::RouterShim;

use super::recorder::Event;
use super::servers::{uri_of, wait_until, writable};
use super::support::{Held, Observed, in_parallel};
use crate::flavor::driver::bson::{Bson, Document, doc};
use crate::flavor::{collect, go, wait};

conformance_tests::behaviours! {
    R102 the_session_returned_last_is_used_first: Either, Shared;
    R103 operations_waiting_for_one_connection_share_one_session: Either, Shared;
    R104 a_cursors_session_returns_on_exhaustion: Either, Shared;
    R104 a_cursors_session_returns_on_close: Either, Shared;
    R104 a_cursors_session_returns_on_drop: Either, Shared;
    R104 a_cursors_session_returns_on_limit: Either, Shared;
    R105 a_failed_aggregate_returns_its_session: Either, Shared;
    R106 ten_thousand_and_one_sessions_end_in_two_commands: Standalone, Shared;
    W106 sessions_behind_a_load_balancer_end_too: ReplicaSet, Shared, since (4, 4);
    W109 the_cluster_time_goes_back_to_the_servers: Either, Shared;
}

fn the_session_returned_last_is_used_first(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let first = Held::start(deployment, &subject.client);
    let first_session = subject.last_session("sleep");
    let second = Held::start(deployment, &subject.client);
    let second_session = subject.last_session("sleep");
    assert_ne!(first_session, second_session);
    second.release();
    first.release();
    subject.ping().expect("pings");
    assert_eq!(subject.last_session("ping"), first_session);
    let third = Held::start(deployment, &subject.client);
    subject.ping().expect("pings");
    assert_eq!(subject.last_session("ping"), second_session);
    third.release();
}

fn operations_waiting_for_one_connection_share_one_session(deployment: &Deployment) {
    let subject = Observed::new(deployment, "maxPoolSize=1");
    in_parallel(13, |number| {
        let people = subject.people();
        match number % 5 {
            0 => drop(go!(people.insert_one(doc! {})).expect("inserts")),
            1 => drop(go!(people.delete_one(doc! { "a": 1 })).expect("deletes")),
            2 => drop(go!(people.find_one(doc! {})).expect("finds")),
            3 => drop(go!(people.count_documents(doc! {})).expect("counts")),
            _ => drop(go!(people.distinct("a", doc! {})).expect("lists")),
        }
    });
    let commands = subject.events.commands();
    assert_eq!(commands.len(), 13);
    let mut sessions: Vec<_> = commands
        .iter()
        .map(|command| command.command.get_document("lsid").ok())
        .collect();
    assert!(sessions.iter().all(Option::is_some));
    sessions.dedup();
    assert_eq!(sessions.len(), 1);
}

/// Opens a cursor, shows that another operation has another session meanwhile, ends the cursor in
/// some way, and shows that its session is the next to be used.
fn assert_returns(deployment: &Deployment, end: impl FnOnce(&Observed, Cursor)) {
    let subject = Observed::new(deployment, "").with_people(5);
    let cursor = go!(subject.people().find(doc! {}).batch_size(2)).expect("finds");
    let of_cursor = subject.last_session("find");
    subject.ping().expect("pings");
    assert_ne!(subject.last_session("ping"), of_cursor);
    end(&subject, cursor);
    subject.ping().expect("pings");
    assert_eq!(subject.last_session("ping"), of_cursor);
    deployment.observe(subject.events.command_names());
}

type Cursor = crate::flavor::driver::Cursor<Document>;

fn a_cursors_session_returns_on_exhaustion(deployment: &Deployment) {
    assert_returns(deployment, |subject, mut cursor| {
        while wait!(cursor.advance()).expect("goes on") {}
        for more in subject.events.commands_named("getMore") {
            let session = more.command.get_document("lsid").expect("has a session");
            assert_eq!(*session, subject.last_session("find"));
        }
    });
}

fn a_cursors_session_returns_on_close(deployment: &Deployment) {
    assert_returns(deployment, |subject, mut cursor| {
        wait!(cursor.close()).expect("closes");
        assert_eq!(
            subject.last_session("killCursors"),
            subject.last_session("find")
        );
    });
}

fn a_cursors_session_returns_on_drop(deployment: &Deployment) {
    assert_returns(deployment, |subject, cursor| {
        subject.events.forget();
        drop(cursor);
        subject
            .events
            .wait_for_count("end of the cursor", 1, |event| {
                event.is_success_of("killCursors")
            });
        subject
            .events
            .wait_for_count("return of the connection", 1, Event::is_checked_in);
    });
}

fn a_cursors_session_returns_on_limit(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(5);
    let cursor = go!(subject.people().find(doc! {}).limit(2)).expect("finds");
    let of_cursor = subject.last_session("find");
    subject.ping().expect("pings");
    assert_eq!(
        subject.last_session("ping"),
        of_cursor,
        "the only batch ended the cursor"
    );
    let found: Vec<Document> = collect!(cursor).expect("is there already");
    assert_eq!(found.len(), 2);
}

fn a_failed_aggregate_returns_its_session(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    let people = subject.people();
    let error = go!(people.aggregate([doc! { "$noSuchStage": {} }])).expect_err("is refused");
    assert_eq!(error.code(), Some(40324), "{error:?}");
    let of_aggregate = subject.last_session("aggregate");
    subject.ping().expect("pings");
    assert_eq!(subject.last_session("ping"), of_aggregate);
}

fn ten_thousand_and_one_sessions_end_in_two_commands(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(2);
    let people = subject.people();
    let open: Vec<_> = (0..10_001)
        .map(|_| go!(people.find(doc! {}).batch_size(1)).expect("finds"))
        .collect();
    drop(open);
    subject
        .events
        .wait_for_count("end of the cursors", 10_001, |event| {
            event.is_success_of("killCursors")
        });
    wait_until("return of the connections", || {
        let out = subject.events.checked_out().len();
        (subject.events.count(Event::is_checked_in) == out).then_some(())
    });
    go!(subject.client.clone().shutdown());
    let ended: Vec<_> = subject
        .events
        .commands_named("endSessions")
        .iter()
        .map(|command| command.command.get_array("endSessions").map_or(0, Vec::len))
        .collect();
    assert_eq!(ended, [10_000, 1]);
}

fn sessions_behind_a_load_balancer_end_too(deployment: &Deployment) {
    let server = deployment.servers().member(writable(deployment)).address();
    let balancer = RouterShim::balancer(server, 1).expect("listens");
    let uri = uri_of(deployment, &balancer.hosts(), "loadBalanced=true");
    let subject = Observed::at(deployment, &uri);
    subject.ping().expect("pings");
    let session = subject.last_session("ping");
    go!(subject.client.clone().shutdown());
    let ended = subject.events.commands_named("endSessions");
    assert_eq!(ended.len(), 1);
    assert_eq!(
        ended[0].command.get_array("endSessions").ok(),
        Some(&vec![Bson::Document(session)])
    );
}

fn the_cluster_time_goes_back_to_the_servers(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    go!(subject.people().insert_one(doc! {})).expect("inserts");
    subject.ping().expect("pings");
    let ping = subject.events.commands_named("ping").remove(0).command;
    let sent = ping
        .get_document("$clusterTime")
        .ok()
        .and_then(|time| time.get("clusterTime"));
    match deployment.kind() {
        DeploymentKind::Standalone => assert_eq!(sent, None),
        _ => assert!(matches!(sent, Some(Bson::Timestamp(_))), "{ping}"),
    }
}
