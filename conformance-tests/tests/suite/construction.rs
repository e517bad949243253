//! Building a client: it costs nothing, waits for nothing, and takes every kind of address.

use std::time::{Duration, Instant};

use conformance_tests::behaviour::Deployment;
use conformance_tests::deployments::DeploymentKind;

use super::recorder::Event;
use super::servers::{connections, secondary, uri_of, wait_until, writable};
use super::support::{Observed, in_parallel};
use crate::flavor::driver::Client;
use crate::flavor::driver::bson::doc;
use crate::flavor::driver::error::ErrorKind;
use crate::flavor::driver::event::sdam::SdamEvent;
use crate::flavor::wait;

conformance_tests::behaviours! {
    R1 an_unresolvable_host_fails_the_first_operation_at_its_limit: Standalone, Shared;
    M1 building_a_client_does_no_io: Standalone, Shared;
    R2 an_unused_client_starts_nothing_and_the_first_use_starts_all: Either, Shared;
    R3 ten_tasks_racing_on_first_use_all_succeed: Either, Shared;
    R16 a_percent_encoded_unix_socket_connects: Either, Shared;
    R16 an_absent_unix_socket_is_named: Standalone, Shared;
    R21 a_standalone_addressed_with_a_set_name_is_never_selected: Standalone, Shared;
    N1 dead_and_unresolvable_seeds_are_skipped: ReplicaSet, Shared;
    N14 the_selection_error_tells_each_servers_last_error: Standalone, Shared;
    N10 every_waiter_ends_at_its_own_limit: Standalone, Shared;
    N10 a_selection_timeout_of_zero_fails_at_once: Standalone, Shared;
    R36 repeated_resolve_failures_keep_reporting_the_resolve_error: Standalone, Shared;
}

const NOWHERE: &str = "no-such-host.invalid";

fn an_unresolvable_host_fails_the_first_operation_at_its_limit(deployment: &Deployment) {
    let uri = uri_of(
        deployment,
        &[NOWHERE.to_owned()],
        "serverSelectionTimeoutMS=400",
    );
    let subject = Observed::at(deployment, &uri);
    let start = Instant::now();
    let error = subject.ping().expect_err("there is no such host");
    assert!(
        start.elapsed() >= Duration::from_millis(400),
        "{:?}",
        start.elapsed()
    );
    assert!(
        matches!(*error.kind, ErrorKind::ServerSelection { .. }),
        "{error:?}"
    );
    assert!(error.is_timeout());
    assert!(error.to_string().contains(NOWHERE), "{error}");
}

fn building_a_client_does_no_io(deployment: &Deployment) {
    let uri = uri_of(
        deployment,
        &[NOWHERE.to_owned(), "127.0.0.1:1".to_owned()],
        "minPoolSize=5",
    );
    let start = Instant::now();
    let client = wait!(Client::with_uri_str(uri)).expect("needs no server");
    assert_eq!(client.database("x").name(), "x");
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
}

fn an_unused_client_starts_nothing_and_the_first_use_starts_all(deployment: &Deployment) {
    let unused = Observed::new(deployment, "minPoolSize=1");
    // Another client's whole round trip gives the unused one time to do what it should not.
    let other = Observed::at(deployment, &deployment.servers().uri());
    other.ping().expect("pings");
    assert_eq!(connections(deployment), 0);
    assert_eq!(unused.events.count(|event| event.sdam().is_some()), 0);

    unused.ping().expect("pings");
    unused
        .events
        .wait_for_count("heartbeat", 1, Event::is_heartbeat_success);
    wait_until("connections of the pool and the monitor", || {
        (connections(deployment) >= 2).then_some(())
    });
}

fn ten_tasks_racing_on_first_use_all_succeed(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let outcomes = in_parallel(10, |_| subject.ping().map(|reply| reply.get_f64("ok").ok()));
    for outcome in outcomes {
        assert_eq!(outcome.expect("pings"), Some(1.0));
    }
    let members = deployment.servers().members().len();
    subject
        .events
        .wait_for_count("check of each server", members, Event::is_heartbeat_success);
    let opened = |event: &Event| matches!(event.sdam(), Some(SdamEvent::ServerOpening(_)));
    assert_eq!(
        subject.events.count(opened),
        members,
        "one monitor for each server"
    );
    deployment.observe(subject.events.command_names());
}

fn a_percent_encoded_unix_socket_connects(deployment: &Deployment) {
    let member = deployment.servers().member(writable(deployment));
    let path = member.socket_path().to_string_lossy().replace('/', "%2F");
    let uri = uri_of(deployment, &[path], "directConnection=true");
    let subject = Observed::at(deployment, &uri).with_people(3);
    let created = subject.events.wait_for("connection", |events| {
        events
            .iter()
            .find(|event| event.is_connection_created())
            .cloned()
    });
    assert!(format!("{created:?}").contains(".sock"), "{created:?}");
}

fn an_absent_unix_socket_is_named(deployment: &Deployment) {
    let path = "/nowhere/mongodb-1.sock".to_owned();
    let uri = uri_of(
        deployment,
        &[path.replace('/', "%2F")],
        "serverSelectionTimeoutMS=300",
    );
    let error = Observed::at(deployment, &uri)
        .ping()
        .expect_err("there is no such socket");
    assert!(
        matches!(*error.kind, ErrorKind::ServerSelection { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains(&path), "{error}");
}

fn a_standalone_addressed_with_a_set_name_is_never_selected(deployment: &Deployment) {
    let options = "replicaSet=rs0&serverSelectionTimeoutMS=500";
    let subject = Observed::new(deployment, options);
    let error = subject
        .ping()
        .expect_err("it is not the set that was asked for");
    assert!(
        matches!(*error.kind, ErrorKind::ServerSelection { .. }),
        "{error:?}"
    );
    assert_eq!(subject.events.count(Event::is_connection_created), 0);
}

fn dead_and_unresolvable_seeds_are_skipped(deployment: &Deployment) {
    let live = deployment.servers().member(secondary(deployment)).address();
    let seeds = [NOWHERE.to_owned(), "127.0.0.1:1".to_owned(), live];
    let set = deployment.servers().replica_set_name().expect("is a set");
    let uri = uri_of(deployment, &seeds, &format!("replicaSet={set}"));
    let subject = Observed::at(deployment, &uri).with_people(1);
    deployment.observe(subject.events.command_names());
}

fn the_selection_error_tells_each_servers_last_error(deployment: &Deployment) {
    let seeds = ["127.0.0.1:1".to_owned(), "127.0.0.1:2".to_owned()];
    let uri = uri_of(
        deployment,
        &seeds,
        "replicaSet=rs0&serverSelectionTimeoutMS=700",
    );
    let text = Observed::at(deployment, &uri)
        .ping()
        .expect_err("nobody is there")
        .to_string();
    for seed in &seeds {
        assert!(text.contains(seed), "{text}");
    }
    assert_eq!(text.matches("refused").count(), 2, "{text}");
}

fn every_waiter_ends_at_its_own_limit(deployment: &Deployment) {
    let host = ["127.0.0.1:1".to_owned()];
    let uri = uri_of(deployment, &host, "serverSelectionTimeoutMS=500");
    let subject = Observed::at(deployment, &uri);
    let waits = in_parallel(100, |_| {
        let start = Instant::now();
        let error = subject.ping().expect_err("nobody is there");
        assert!(error.is_timeout(), "{error:?}");
        start.elapsed()
    });
    assert!(
        waits.iter().all(|wait| *wait >= Duration::from_millis(500)),
        "{waits:?}"
    );
}

fn a_selection_timeout_of_zero_fails_at_once(deployment: &Deployment) {
    let uri = uri_of(deployment, &["127.0.0.1:1".to_owned()], "");
    let subject = Observed::configured(deployment, &uri, |options| {
        options.server_selection_timeout = Some(Duration::ZERO);
    });
    let start = Instant::now();
    let error = subject.ping().expect_err("nobody is there");
    assert!(
        matches!(*error.kind, ErrorKind::ServerSelection { .. }),
        "{error:?}"
    );
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
}

fn repeated_resolve_failures_keep_reporting_the_resolve_error(deployment: &Deployment) {
    assert_eq!(deployment.kind(), DeploymentKind::Standalone);
    let options = "serverSelectionTimeoutMS=600&waitQueueTimeoutMS=50&maxPoolSize=1";
    let uri = uri_of(deployment, &[NOWHERE.to_owned()], options);
    let subject = Observed::at(deployment, &uri);
    for attempt in 0..3 {
        let people = subject.people();
        let error = crate::flavor::go!(people.find_one(doc! {})).expect_err("no such host");
        assert!(
            matches!(*error.kind, ErrorKind::ServerSelection { .. }),
            "{attempt}: {error:?}"
        );
        assert!(error.to_string().contains(NOWHERE), "{attempt}: {error}");
    }
}
