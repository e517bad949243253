//! How the pool makes connections: how many at once, with which credentials, and what happens when
//! that fails.

use std::time::{Duration, Instant};

use conformance_tests::behaviour::Deployment;
use motorcade_testserver as testserver;

use super::recorder::Event;
use super::servers::{FailPoint, secured, secured_uri, wait_until};
use super::support::{Held, Observed, in_parallel};
use crate::flavor::driver::Client;
use crate::flavor::driver::bson::{Document, doc};
use crate::flavor::driver::error::ErrorKind;
use crate::flavor::driver::event::cmap::CmapEvent;
use crate::flavor::driver::event::sdam::{SdamEvent, ServerType};
use crate::flavor::{go, wait};

conformance_tests::behaviours! {
    R17 an_ipv6_literal_works: Standalone, Shared;
    R18 a_wrong_password_is_told_by_the_first_operation: Standalone, Shared;
    R19 the_authentication_database_comes_from_the_path: Standalone, Shared;
    R29 fifty_cold_operations_make_two_connections_at_a_time: Standalone, Shared;
    R35 two_refused_logins_in_a_row_leave_the_pool_usable: Standalone, FailPoint;
    R37 a_network_error_during_authentication_leaks_no_permit: Standalone, FailPoint;
    N6 an_operation_whose_login_meets_a_shutdown_is_tried_again: Standalone, FailPoint;
    R44 stalled_background_connections_do_not_delay_operations: Standalone, FailPoint, since (4, 4);
    F45 a_failing_background_connection_shows_in_the_topology: Standalone, FailPoint;
    R46 an_arbiter_gets_no_pool_unless_addressed_directly: ReplicaSet, Shared;
    N11 warming_makes_the_least_number_of_connections_and_no_check_out: Either, Shared;
    N11 warming_without_a_minimum_begins_discovery: Standalone, Shared;
    N11 warming_ends_when_connections_cannot_be_made: Standalone, FailPoint;
    N18 operations_that_begin_with_the_client_leave_the_minimum_to_be_made: Standalone, Shared;
    N18 warming_beside_operations_ends_when_all_are_there: Standalone, Shared;
    N18 after_a_login_that_cleared_the_pool_the_minimum_is_made_when_it_is_ready:
        Standalone, FailPoint;
    N8 a_burst_of_operations_raises_connections_two_by_two: Either, Shared;
}

fn warming_makes_the_least_number_of_connections_and_no_check_out(deployment: &Deployment) {
    let subject = Observed::new(deployment, "minPoolSize=3");
    go!(subject.client.warm_connection_pool());
    let servers = deployment.servers().members().len();
    assert_eq!(subject.open_connections(), servers * 3);
    let events = subject.events.events();
    assert!(events.iter().all(|event| event.checked_out().is_none()));
    subject.ping().expect("pings");
    assert_eq!(subject.open_connections(), servers * 3);
}

fn warming_without_a_minimum_begins_discovery(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    go!(subject.client.warm_connection_pool());
    subject
        .events
        .wait_for_count("check", 1, Event::is_heartbeat_success);
    assert_eq!(subject.open_connections(), 0);
}

fn warming_ends_when_connections_cannot_be_made(deployment: &Deployment) {
    let data = doc! { "failCommands": ["saslContinue"], "errorCode": 18 };
    let _failing = FailPoint::on_secured(deployment, "alwaysOn", data);
    let uri = secured_uri(deployment, "root:secret", "minPoolSize=2");
    let subject = Observed::at(deployment, &uri);
    go!(subject.client.warm_connection_pool());
    assert_eq!(subject.events.count(Event::is_connection_ready), 0);
}

fn an_ipv6_literal_works(deployment: &Deployment) {
    let port = secured().member(0).port();
    let app_name = deployment.app_name();
    let uri = format!("mongodb://root:secret@[::1]:{port}/?appName={app_name}");
    let subject = Observed::at(deployment, &uri).with_people(1);
    let people = subject.people();
    assert_eq!(go!(people.count_documents(doc! {})).expect("counts"), 1);
}

fn a_wrong_password_is_told_by_the_first_operation(deployment: &Deployment) {
    let uri = secured_uri(deployment, "root:wrong", "");
    let error = Observed::at(deployment, &uri)
        .ping()
        .expect_err("the password is wrong");
    assert!(
        matches!(*error.kind, ErrorKind::Authentication { .. }),
        "{error:?}"
    );
    assert!(!error.is_timeout());
    assert!(!error.to_string().contains("wrong"), "{error}");
}

fn the_authentication_database_comes_from_the_path(deployment: &Deployment) {
    let name = deployment.database_name();
    let root = wait!(Client::with_uri_str(secured().uri())).expect("parses");
    let roles = vec![doc! { "role": "readWrite", "db": name }];
    let create = doc! { "createUser": "ada", "pwd": "lace", "roles": roles };
    go!(root.database(name).run_command(create)).expect("creates a user");
    let host = secured().member(0).address();
    let subject = |database: &str| {
        let uri = format!("mongodb://ada:lace@{host}/{database}");
        Observed::at(deployment, &uri)
    };
    subject(name).with_people(1);
    let error = go!(subject("other").people().find_one(doc! {})).expect_err("no such user there");
    assert!(
        matches!(*error.kind, ErrorKind::Authentication { .. }),
        "{error:?}"
    );
}

/// The most connections that were created and not yet ready at a time.
fn most_pending(subject: &Observed) -> usize {
    subject
        .events
        .most_at_once(Event::is_connection_created, |event| {
            event.is_connection_ready() || event.is_connection_closed()
        })
}

fn fifty_cold_operations_make_two_connections_at_a_time(deployment: &Deployment) {
    let subject = Observed::at(deployment, &secured_uri(deployment, "root:secret", ""));
    in_parallel(50, |_| subject.ping().map(drop))
        .into_iter()
        .for_each(|outcome| {
            outcome.expect("pings");
        });
    assert!(
        most_pending(&subject) <= 2,
        "{} at once",
        most_pending(&subject)
    );
    let created = subject.events.count(Event::is_connection_created);
    assert!(
        created <= 30,
        "{created} connections for 50 short operations"
    );
}

fn a_burst_of_operations_raises_connections_two_by_two(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    let held: Vec<_> = (0..8)
        .map(|_| Held::start(deployment, &subject.client))
        .collect();
    in_parallel(100, |_| {
        go!(subject.people().find_one(doc! {})).expect("finds")
    });
    assert!(
        most_pending(&subject) <= 2,
        "{} at once",
        most_pending(&subject)
    );
    held.into_iter().for_each(|held| drop(held.release()));
}

fn fail_login_twice(deployment: &Deployment, data: Document) -> (Observed, FailPoint) {
    let options = "maxPoolSize=1&waitQueueTimeoutMS=10000&retryReads=false";
    let subject = Observed::at(deployment, &secured_uri(deployment, "root:secret", options));
    let failing = FailPoint::on_secured(deployment, doc! { "times": 2 }, data);
    (subject, failing)
}

fn two_refused_logins_in_a_row_leave_the_pool_usable(deployment: &Deployment) {
    let data = doc! { "failCommands": ["saslContinue"], "errorCode": 18 };
    let (subject, _failing) = fail_login_twice(deployment, data);
    for _ in 0..2 {
        let error = subject.ping().expect_err("the login is refused");
        assert!(
            matches!(*error.kind, ErrorKind::Authentication { .. }),
            "{error:?}"
        );
    }
    subject.ping().expect("the third login succeeds");
    assert_eq!(subject.open_connections(), 1);
}

fn a_network_error_during_authentication_leaks_no_permit(deployment: &Deployment) {
    let data = doc! { "failCommands": ["saslContinue"], "closeConnection": true };
    let (subject, _failing) = fail_login_twice(deployment, data);
    for _ in 0..2 {
        let error = go!(subject.people().find_one(doc! {})).expect_err("is cut off");
        assert!(error.is_network(), "{error:?}");
    }
    go!(subject.people().find_one(doc! {})).expect("the third connection is made");
    assert_eq!(subject.open_connections(), 1);
    assert_eq!(subject.events.count(Event::is_connection_ready), 1);
}

fn an_operation_whose_login_meets_a_shutdown_is_tried_again(deployment: &Deployment) {
    let options = "heartbeatFrequencyMS=500";
    let subject = Observed::at(deployment, &secured_uri(deployment, "root:secret", options));
    let data = doc! { "failCommands": ["saslContinue"], "errorCode": 91 };
    let _failing = FailPoint::on_secured(deployment, doc! { "times": 1 }, data);
    go!(subject.people().find_one(doc! {})).expect("the second login succeeds");
    assert_eq!(subject.events.commands_named("find").len(), 1);
    assert_eq!(subject.events.count(Event::is_connection_ready), 1);
    assert_eq!(subject.events.count(Event::is_connection_created), 2);
}

fn stalled_background_connections_do_not_delay_operations(deployment: &Deployment) {
    let options = "minPoolSize=2&maxIdleTimeMS=1500";
    let uri = secured_uri(deployment, "root:secret", options);
    let subject = Observed::at(deployment, &uri);
    subject.ping().expect("pings");
    subject
        .events
        .wait_for_count("minimum", 2, Event::is_connection_ready);
    let data = doc! {
        "failCommands": ["saslContinue"],
        "blockConnection": true,
        "blockTimeMS": 4000,
    };
    let _stalling = FailPoint::on_secured(deployment, "alwaysOn", data);
    // Pings keep one connection fresh; the other grows too old, and its successor stalls.
    wait_until("successor begun", || {
        subject.ping().expect("pings");
        (subject.events.count(Event::is_connection_created) == 3).then_some(())
    });
    for _ in 0..20 {
        subject.ping().expect("pings");
    }
    let ready = subject.events.count(Event::is_connection_ready);
    assert_eq!(ready, 2, "the successor was still being made");
}

fn a_failing_background_connection_shows_in_the_topology(deployment: &Deployment) {
    let data = doc! { "failCommands": ["saslContinue"], "errorCode": 18 };
    let _failing = FailPoint::on_secured(deployment, doc! { "skip": 1 }, data);
    let uri = secured_uri(deployment, "root:secret", "minPoolSize=2");
    let subject = Observed::at(deployment, &uri);
    let _ = subject.ping();
    subject.events.wait_for("server marked unknown", |events| {
        events.iter().find_map(|event| match event.sdam() {
            Some(SdamEvent::ServerDescriptionChanged(change)) => {
                let server = &change.new_description;
                let failed = server.server_type() == ServerType::Unknown;
                (failed && server.error().is_some()).then_some(())
            }
            _ => None,
        })
    });
}

fn an_arbiter_gets_no_pool_unless_addressed_directly(deployment: &Deployment) {
    let set = testserver::Deployment::replica_set(1)
        .arbiters(1)
        .start()
        .expect("starts a set");
    let arbiter = set.member(1).address();
    let separator = if set.uri().contains('?') { '&' } else { '?' };
    let uri = format!("{}{separator}minPoolSize=1", set.uri());
    let subject = Observed::at(deployment, &uri).with_people(1);
    subject.events.wait_for("arbiter found", |events| {
        events.iter().find_map(|event| match event.sdam() {
            Some(SdamEvent::ServerDescriptionChanged(change)) => {
                (change.new_description.server_type() == ServerType::RsArbiter).then_some(())
            }
            _ => None,
        })
    });
    let to_arbiter = subject.events.count(|event| {
        matches!(event, Event::Cmap(CmapEvent::ConnectionCreated(event))
            if event.address.to_string() == arbiter)
    });
    assert_eq!(to_arbiter, 0);

    let direct = format!("mongodb://{arbiter}/?directConnection=true");
    let direct = Observed::at(deployment, &direct);
    direct.ping().expect("an arbiter answers a ping");
    wait_until("pool to the arbiter", || {
        (direct.open_connections() == 1).then_some(())
    });
}

fn operations_that_begin_with_the_client_leave_the_minimum_to_be_made(deployment: &Deployment) {
    for operations in [1, 3, 8] {
        let subject = Observed::new(deployment, "minPoolSize=20");
        in_parallel(operations, |_| subject.ping().map(drop))
            .into_iter()
            .for_each(|outcome| outcome.expect("pings"));
        wait_until("minimum", || {
            let ready = subject.events.count(Event::is_connection_ready);
            (ready == 20).then_some(())
        });
        assert_eq!(subject.open_connections(), 20);
    }
}

fn warming_beside_operations_ends_when_all_are_there(deployment: &Deployment) {
    let subject = Observed::new(deployment, "minPoolSize=20");
    let ready = in_parallel(8, |number| {
        if number > 0 {
            subject.ping().expect("pings");
            return None;
        }
        go!(subject.client.warm_connection_pool());
        Some(subject.events.count(Event::is_connection_ready))
    });
    assert_eq!(ready[0], Some(20));
}

fn after_a_login_that_cleared_the_pool_the_minimum_is_made_when_it_is_ready(
    deployment: &Deployment,
) {
    let data = doc! { "failCommands": ["saslContinue"], "errorCode": 18 };
    let _failing = FailPoint::on_secured(deployment, doc! { "times": 1 }, data);
    let options = "minPoolSize=3&heartbeatFrequencyMS=500";
    let subject = Observed::at(deployment, &secured_uri(deployment, "root:secret", options));
    go!(subject.client.warm_connection_pool());
    let is_ready = |event: &Event| matches!(event, Event::Cmap(CmapEvent::PoolReady(_)));
    subject
        .events
        .wait_for_count("pool ready again", 2, is_ready);
    let begun = Instant::now();
    subject
        .events
        .wait_for_count("minimum", 3, Event::is_connection_ready);
    // What the pool waits after a failure that did not clear it. These three take far less.
    let pause = Duration::from_secs(8);
    assert!(begun.elapsed() < pause, "{:?}", begun.elapsed());
    assert_eq!(subject.events.count(Event::is_pool_cleared), 1);
}
