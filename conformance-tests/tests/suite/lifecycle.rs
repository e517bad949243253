//! The end of a client: shut down or dropped, it leaves nothing behind.

use conformance_tests::behaviour::Deployment;

use super::recorder::Event;
use super::servers::{connections, wait_until, wait_until_disconnected};
use super::support::{Observed, in_parallel};
use crate::flavor::driver::Client;
use crate::flavor::driver::bson::doc;
use crate::flavor::driver::error::ErrorKind;
use crate::flavor::driver::event::cmap::CmapEvent;
use crate::flavor::driver::event::sdam::SdamEvent;
use crate::flavor::{go, wait};

conformance_tests::behaviours! {
    R4 shutting_an_unused_client_down_opens_no_server: Either, Shared;
    R5 after_shutdown_every_handle_fails_and_never_reconnects: Either, Shared;
    R6 shutdown_closes_every_connection_of_pools_and_monitors: Either, Shared;
    R7 a_second_shutdown_sends_nothing: Either, Shared;
    R8 dropping_the_last_handle_ends_all_background_work: Either, Shared;
    R9 dropping_a_cursor_after_shutdown_reopens_nothing: Either, Shared;
    N15 many_clients_dropped_without_shutdown_leave_no_connection: Standalone, Shared;
    G4 many_requests_stay_within_the_pool_and_leave_nothing: Either, Shared;
}

fn shutting_an_unused_client_down_opens_no_server(deployment: &Deployment) {
    let subject = Observed::new(deployment, "minPoolSize=2");
    go!(subject.client.clone().shutdown());
    let opened = |event: &Event| matches!(event.sdam(), Some(SdamEvent::ServerHeartbeatStarted(_)));
    assert_eq!(subject.events.count(opened), 0);
    assert_eq!(subject.events.count(Event::is_connection_created), 0);
    assert_eq!(subject.events.command_names(), "");
    assert_eq!(connections(deployment), 0);
}

fn after_shutdown_every_handle_fails_and_never_reconnects(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(3);
    let (people, database) = (subject.people(), subject.database());
    go!(subject.client.clone().shutdown());
    subject.events.forget();
    let errors = [
        go!(people.find_one(doc! {})).expect_err("shut down"),
        go!(people.insert_one(doc! {})).expect_err("shut down"),
        go!(database.run_command(doc! { "ping": 1 })).expect_err("shut down"),
        go!(subject.client.list_database_names()).expect_err("shut down"),
    ];
    for error in errors {
        assert!(matches!(*error.kind, ErrorKind::Shutdown), "{error:?}");
    }
    assert_eq!(subject.events.count(Event::is_connection_created), 0);
    wait_until_disconnected(deployment);
}

fn shutdown_closes_every_connection_of_pools_and_monitors(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(10);
    in_parallel(4, |_| {
        go!(subject.people().count_documents(doc! {})).expect("counts")
    });
    let created = subject.events.count(Event::is_connection_created);
    assert!(created > 0);
    go!(subject.client.clone().shutdown());
    wait_until_disconnected(deployment);
    subject
        .events
        .wait_for_count("closed topology", 1, |event| {
            matches!(event.sdam(), Some(SdamEvent::TopologyClosed(_)))
        });
    assert_eq!(subject.open_connections(), 0);
    let pools = |is: fn(&CmapEvent) -> bool| {
        subject
            .events
            .count(|event| matches!(event, Event::Cmap(event) if is(event)))
    };
    assert_eq!(
        pools(|event| matches!(event, CmapEvent::PoolClosed(_))),
        pools(|event| matches!(event, CmapEvent::PoolCreated(_)))
    );
}

fn a_second_shutdown_sends_nothing(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    go!(subject.client.clone().shutdown());
    deployment.observe(subject.events.command_names());
    assert_eq!(subject.events.commands_named("endSessions").len(), 1);
    subject.events.forget();
    go!(subject.client.clone().shutdown());
    assert_eq!(subject.events.events().len(), 0);
}

fn dropping_the_last_handle_ends_all_background_work(deployment: &Deployment) {
    let subject = Observed::new(deployment, "minPoolSize=2").with_people(3);
    let people = subject.people();
    drop(subject);
    assert_eq!(
        go!(people.count_documents(doc! {})).expect("a handle is left"),
        3
    );
    wait_until("connections", || {
        (connections(deployment) > 0).then_some(())
    });
    drop(people);
    wait_until_disconnected(deployment);
}

fn dropping_a_cursor_after_shutdown_reopens_nothing(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(10);
    let people = subject.people();
    let cursor = go!(people.find(doc! {}).batch_size(2)).expect("finds");
    go!(subject.client.clone().shutdown());
    subject.events.forget();
    drop(cursor);
    assert_eq!(subject.events.count(Event::is_connection_created), 0);
    wait_until_disconnected(deployment);
}

fn many_clients_dropped_without_shutdown_leave_no_connection(deployment: &Deployment) {
    for _ in 0..200 {
        let client = wait!(Client::with_uri_str(deployment.uri())).expect("parses");
        go!(client.database("admin").run_command(doc! { "ping": 1 })).expect("pings");
    }
    wait_until_disconnected(deployment);
}

fn many_requests_stay_within_the_pool_and_leave_nothing(deployment: &Deployment) {
    let subject = Observed::new(deployment, "maxPoolSize=5").with_people(10);
    let request = |number: i32| {
        let filter = doc! { "_id": number % 10 };
        let found = go!(subject.people().find_one(filter)).expect("finds");
        assert!(found.is_some());
    };
    (0..500).for_each(request);
    in_parallel(20, |_| (0..25).for_each(request));
    let most = subject
        .events
        .most_at_once(Event::is_connection_created, Event::is_connection_closed);
    assert!(most <= 5, "{most} connections");
    let per_server = 5 + 2;
    let members = deployment.servers().members().len();
    assert!(connections(deployment) <= per_server * members);
    go!(subject.client.shutdown());
    wait_until_disconnected(deployment);
}
