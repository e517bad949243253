//! The connection pool: its bounds, its waiting line, and what becomes of connections.

use std::any::Any;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use conformance_tests::behaviour::Deployment;
use conformance_tests::deployments::DeploymentKind;
use conformance_tests::watching_proxy::WatchingProxy;

use super::recorder::Event;
use super::servers::{FailPoint, open_cursors, uri_of, wait_until, wait_until_disconnected};
use super::support::{Held, Observed, Pace, in_parallel, write_to_frozen_server};
use crate::flavor::driver::bson::{Document, doc};
use crate::flavor::driver::error::ErrorKind;
use crate::flavor::driver::event::EventHandler;
use crate::flavor::driver::event::cmap::{
    CmapEvent, ConnectionCheckoutFailedReason, ConnectionClosedReason,
};
use crate::flavor::driver::options::{CollectionOptions, ReadPreference, SelectionCriteria};
use crate::flavor::{go, spawn};

conformance_tests::behaviours! {
    R27 more_tasks_than_connections_all_finish_within_the_limit: Either, Shared;
    Y3 sixty_four_threads_share_one_client: Either, Shared;
    R30 the_wait_queue_timeout_has_its_own_error_and_clears_nothing: Either, Shared;
    R31 a_waiter_receives_the_very_connection_released: Either, Shared;
    R32 a_healthy_connection_is_reused: Either, Shared;
    R33 an_error_of_a_command_returns_the_connection_open: Either, Shared;
    R34 closed_connections_are_replaced_and_no_permit_leaks: Either, FailPoint;
    R40 a_connection_out_during_a_clear_is_closed_on_return: Either, FailPoint;
    R41 the_minimum_is_reached_and_restored_after_a_loss: Either, FailPoint;
    R42 idle_connections_go_and_the_minimum_stays: Standalone, Shared;
    R43 a_connection_idle_for_too_long_is_not_handed_out: Standalone, Shared;
    // Older fail points close the connection at once where they should wait first.
    F48 five_failures_of_one_generation_clear_the_pool_once: Either, FailPoint, since (5, 0);
    F48 a_connection_that_the_system_gives_up_clears_the_pool: Standalone, Disturbs;
    N6 failures_of_one_generation_are_each_retried_once: Either, FailPoint, since (5, 0);
    C4 what_is_dropped_in_a_listener_neither_waits_nor_leaks: Either, FailPoint;
    C5 thirteen_operations_on_one_connection_all_finish: Either, Shared;
    N19 of_connections_that_the_network_forgot_one_costs_an_operation_its_time: Standalone, Shared;
    R120 five_operations_of_one_client_run_side_by_side: Either, Shared;
}

fn more_tasks_than_connections_all_finish_within_the_limit(deployment: &Deployment) {
    let subject = Observed::new(deployment, "maxPoolSize=3").with_people(5);
    in_parallel(20, |_| {
        for _ in 0..5 {
            assert_eq!(
                go!(subject.people().count_documents(doc! {})).expect("counts"),
                5
            );
        }
    });
    let most = subject
        .events
        .most_at_once(Event::is_connection_created, Event::is_connection_closed);
    assert!(most <= 3, "{most} connections");
    let out = subject.events.checked_out().len();
    assert_eq!(out, 101, "each operation took one connection");
    subject
        .events
        .wait_for_count("return of each connection", out, Event::is_checked_in);
}

fn sixty_four_threads_share_one_client(deployment: &Deployment) {
    let subject = Observed::new(deployment, "maxPoolSize=8");
    let counted = in_parallel(64, |number| {
        let document = doc! { "thread": i32::try_from(number).expect("is small") };
        go!(subject.people().insert_one(&document)).expect("inserts");
        go!(subject.people().count_documents(document)).expect("counts")
    });
    assert_eq!(counted, [1; 64]);
    let most = subject
        .events
        .most_at_once(Event::is_connection_created, Event::is_connection_closed);
    assert!(most <= 8, "{most} connections");
}

fn the_wait_queue_timeout_has_its_own_error_and_clears_nothing(deployment: &Deployment) {
    let subject = Observed::new(deployment, "maxPoolSize=1&waitQueueTimeoutMS=200");
    let held = Held::start(deployment, &subject.client);
    let start = Instant::now();
    let error = subject.ping().expect_err("the only connection is in use");
    assert!(
        start.elapsed() >= Duration::from_millis(200),
        "{:?}",
        start.elapsed()
    );
    assert!(error.is_timeout(), "{error:?}");
    assert!(
        !matches!(*error.kind, ErrorKind::ServerSelection { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("waitQueueTimeoutMS"), "{error}");
    held.release();
    subject.ping().expect("the connection is free");
    assert_eq!(subject.events.count(Event::is_pool_cleared), 0);
    let timed_out = subject.events.count(|event| {
        matches!(event, Event::Cmap(CmapEvent::ConnectionCheckoutFailed(event))
            if event.reason == ConnectionCheckoutFailedReason::Timeout)
    });
    assert_eq!(timed_out, 1);
}

fn a_waiter_receives_the_very_connection_released(deployment: &Deployment) {
    let subject = Observed::new(deployment, "maxPoolSize=1");
    let held = Held::start(deployment, &subject.client);
    subject.events.forget();
    let database = subject.database();
    let waiter = spawn(move || go!(database.run_command(doc! { "ping": 1 })));
    subject.events.wait_for_count("waiter", 1, |event| {
        matches!(event, Event::Cmap(CmapEvent::ConnectionCheckoutStarted(_)))
    });
    assert!(subject.events.checked_out().is_empty());
    held.release();
    waiter.join().expect("does not panic").expect("pings");
    assert_eq!(subject.events.checked_out(), [1]);
}

fn a_healthy_connection_is_reused(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    for _ in 0..10 {
        subject.ping().expect("pings");
    }
    assert_eq!(subject.events.checked_out(), [1; 10]);
    assert_eq!(subject.events.count(Event::is_connection_created), 1);
}

fn an_error_of_a_command_returns_the_connection_open(deployment: &Deployment) {
    let subject = Observed::new(deployment, "maxPoolSize=1").with_people(1);
    for _ in 0..3 {
        let error = go!(subject.people().insert_one(doc! { "_id": 0 })).expect_err("is there");
        assert!(error.is_duplicate_key(), "{error:?}");
        let command = doc! { "noSuchCommand": 1 };
        let error = go!(subject.database().run_command(command)).expect_err("does not exist");
        assert_eq!(error.code(), Some(59));
    }
    assert_eq!(subject.events.checked_out(), [1; 7]);
    assert_eq!(subject.events.count(Event::is_connection_closed), 0);
}

fn closed_connections_are_replaced_and_no_permit_leaks(deployment: &Deployment) {
    let options = "maxPoolSize=1&retryReads=false&waitQueueTimeoutMS=10000";
    let subject = Observed::new(deployment, options).with_people(1);
    let data = doc! { "failCommands": ["find"], "closeConnection": true };
    let closing = FailPoint::times(deployment, 3, data);
    for _ in 0..3 {
        let error = go!(subject.people().find_one(doc! {})).expect_err("is cut off");
        assert!(error.is_network(), "{error:?}");
    }
    drop(closing);
    assert!(
        go!(subject.people().find_one(doc! {}))
            .expect("finds")
            .is_some()
    );
    let closed = subject.events.count(|event| {
        matches!(event, Event::Cmap(CmapEvent::ConnectionClosed(event))
            if event.reason == ConnectionClosedReason::Error)
    });
    assert_eq!(closed, 3);
    deployment.observe(subject.events.command_names());
}

fn a_connection_out_during_a_clear_is_closed_on_return(deployment: &Deployment) {
    let subject = Observed::new(deployment, "retryReads=false").with_people(1);
    let held = Held::start(deployment, &subject.client);
    let data = doc! { "failCommands": ["find"], "closeConnection": true };
    let _closing = FailPoint::times(deployment, 1, data);
    go!(subject.people().find_one(doc! {})).expect_err("is cut off");
    subject
        .events
        .wait_for_count("cleared pool", 1, Event::is_pool_cleared);
    held.release();
    subject
        .events
        .wait_for_count("stale connection closed", 1, |event| {
            matches!(event, Event::Cmap(CmapEvent::ConnectionClosed(event))
            if event.reason == ConnectionClosedReason::Stale)
        });
    subject.ping().expect("pings");
}

fn the_minimum_is_reached_and_restored_after_a_loss(deployment: &Deployment) {
    let subject = Observed::new(deployment, "minPoolSize=3&retryReads=false");
    let all = 3 * deployment.servers().members().len();
    subject.ping().expect("pings");
    subject
        .events
        .wait_for_count("minimum", all, Event::is_connection_ready);
    let data = doc! { "failCommands": ["find"], "closeConnection": true };
    let _closing = FailPoint::times(deployment, 1, data);
    go!(subject.people().find_one(doc! {})).expect_err("is cut off");
    subject
        .events
        .wait_for_count("minimum again", all + 3, Event::is_connection_ready);
    wait_until("minimum again", || {
        (subject.open_connections() == all).then_some(())
    });
}

fn idle_connections_go_and_the_minimum_stays(deployment: &Deployment) {
    let subject = Observed::new(deployment, "minPoolSize=1&maxPoolSize=4&maxIdleTimeMS=300");
    let held: Vec<_> = (0..3)
        .map(|_| Held::start(deployment, &subject.client))
        .collect();
    assert!(subject.open_connections() >= 3);
    held.into_iter().for_each(|held| drop(held.release()));
    subject
        .events
        .wait_for_count("idle connections closed", 3, |event| {
            matches!(event, Event::Cmap(CmapEvent::ConnectionClosed(event))
            if event.reason == ConnectionClosedReason::Idle)
        });
    let most = subject
        .events
        .most_at_once(Event::is_connection_created, Event::is_connection_closed);
    assert!((3..=4).contains(&most), "{most} connections");
    wait_until("pool at its minimum", || {
        (subject.open_connections() == 1).then_some(())
    });
}

fn a_connection_idle_for_too_long_is_not_handed_out(deployment: &Deployment) {
    let subject = Observed::new(deployment, "maxIdleTimeMS=100");
    subject.ping().expect("pings");
    // The server lets the time pass for another client.
    let other = Observed::new(deployment, "");
    let pause = doc! { "sleep": 1, "millis": 300, "lock": "none" };
    go!(other.client.database("admin").run_command(pause)).expect("sleeps");
    subject.ping().expect("pings");
    assert_eq!(subject.events.checked_out(), [1, 2]);
    let closed = subject.events.wait_for("closed connection", |events| {
        events.iter().find_map(|event| match event {
            Event::Cmap(CmapEvent::ConnectionClosed(event)) => Some(event.clone()),
            _ => None,
        })
    });
    assert_eq!(closed.connection_id, 1);
    assert_eq!(closed.reason, ConnectionClosedReason::Idle);
}

fn five_failures_of_one_generation_clear_the_pool_once(deployment: &Deployment) {
    let subject = Observed::new(deployment, "retryReads=false").with_people(1);
    let held: Vec<_> = (0..5)
        .map(|_| Held::start(deployment, &subject.client))
        .collect();
    held.into_iter().for_each(|held| drop(held.release()));
    // Each failure waits for so long that all five are under way before the first is seen.
    let _closing = FailPoint::times(
        deployment,
        5,
        doc! {
            "failCommands": ["find"],
            "blockConnection": true,
            "blockTimeMS": 1000,
            "closeConnection": true,
        },
    );
    in_parallel(5, |_| {
        let error = go!(subject.people().find_one(doc! {})).expect_err("is cut off");
        assert!(error.is_network(), "{error:?}");
    });
    assert_eq!(subject.events.count(Event::is_pool_cleared), 1);
    subject.ping().expect("pings");
}

fn a_connection_that_the_system_gives_up_clears_the_pool(deployment: &Deployment) {
    if cfg!(not(target_os = "linux")) {
        return;
    }
    // Checks are far apart, so that only the operation can find out.
    let uri = deployment.uri_with("serverMonitoringMode=poll&heartbeatFrequencyMS=600000");
    let subject = Observed::configured(deployment, &uri, |options| {
        options.tcp_user_timeout = Some(Duration::from_millis(500));
    });
    subject.ping().expect("connects");
    let error = write_to_frozen_server(deployment, &subject);
    assert!(error.is_network() && !error.is_timeout(), "{error:?}");
    assert_eq!(subject.events.count(Event::is_pool_cleared), 1);
}

fn failures_of_one_generation_are_each_retried_once(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    let held: Vec<_> = (0..5)
        .map(|_| Held::start(deployment, &subject.client))
        .collect();
    held.into_iter().for_each(|held| drop(held.release()));
    let data = doc! {
        "failCommands": ["find"],
        "blockConnection": true,
        "blockTimeMS": 1000,
        "closeConnection": true,
    };
    let _closing = FailPoint::times(deployment, 5, data);
    in_parallel(5, |_| {
        let primary = SelectionCriteria::ReadPreference(ReadPreference::Primary);
        let people = subject.people();
        let find = people.find_one(doc! {}).selection_criteria(primary);
        assert_eq!(go!(find).expect("finds"), Some(doc! { "_id": 0 }));
    });
    assert_eq!(subject.events.count(Event::is_pool_cleared), 1);
    assert_eq!(subject.events.commands_named("find").len(), 10);
}

/// What a listener is to drop.
type Stash = Arc<Mutex<Vec<Box<dyn Any + Send>>>>;

/// Listeners are called wherever the driver has news, so it must hold no lock then that the end of
/// a cursor, a session or a connection needs.
fn what_is_dropped_in_a_listener_neither_waits_nor_leaks(deployment: &Deployment) {
    let stash = Stash::default();
    let drop_one = {
        let stash = Arc::clone(&stash);
        move || {
            let dropped = stash.lock().expect("nobody panics with it").pop();
            drop(dropped);
        }
    };
    let [on_command, on_pool, on_server] = [0; 3].map(|_| drop_one.clone());
    let uri = deployment.uri_with("retryReads=false&heartbeatFrequencyMS=500");
    let subject = Observed::configured(deployment, &uri, |options| {
        options.command_event_handler = Some(EventHandler::callback(move |_| on_command()));
        options.cmap_event_handler = Some(EventHandler::callback(move |_| on_pool()));
        options.sdam_event_handler = Some(EventHandler::callback(move |_| on_server()));
    });
    let subject = subject.with_people(10);
    let people = subject.people();
    let cursors = (0..20).map(|_| {
        let cursor = go!(people.find(doc! {}).batch_size(2)).expect("finds");
        Box::new(cursor) as Box<dyn Any + Send>
    });
    drop_in_listeners(&subject, &stash, cursors.collect());
    wait_until("end of the cursors", || {
        (open_cursors(deployment) == 0).then_some(())
    });

    let sessions = (0..20).map(|_| {
        let mut session = go!(subject.client.start_session()).expect("starts a session");
        if deployment.kind() == DeploymentKind::ReplicaSet {
            go!(session.start_transaction()).expect("starts a transaction");
        }
        let found = go!(people.find_one(doc! {}).session(&mut session));
        assert!(found.expect("finds").is_some());
        Box::new(session) as Box<dyn Any + Send>
    });
    let sessions = sessions.collect();
    let data = doc! { "failCommands": ["find"], "closeConnection": true };
    let _closing = FailPoint::times(deployment, 1, data);
    *stash.lock().expect("nobody panics with it") = sessions;
    // This clears the pool and makes the server unknown, of which listeners hear, too.
    go!(people.find_one(doc! {})).expect_err("is cut off");
    drop_in_listeners(&subject, &stash, Vec::new());
    go!(subject.client.shutdown());
    wait_until_disconnected(deployment);
}

/// Gives listeners that to drop besides what they have, and something to listen to until all is.
fn drop_in_listeners(subject: &Observed, stash: &Stash, mut all: Vec<Box<dyn Any + Send>>) {
    let left = || stash.lock().expect("nobody panics with it");
    left().append(&mut all);
    wait_until("end of all that is dropped", || {
        subject.ping().expect("pings");
        left().is_empty().then_some(())
    });
}

fn thirteen_operations_on_one_connection_all_finish(deployment: &Deployment) {
    let subject = Observed::new(deployment, "maxPoolSize=1").with_people(13);
    in_parallel(13, |number| {
        let id = i32::try_from(number).expect("is small");
        let found = go!(subject.people().find_one(doc! { "_id": id })).expect("finds");
        assert_eq!(found, Some(doc! { "_id": id }));
    });
    assert_eq!(subject.events.checked_out(), [1; 14]);
}

fn five_operations_of_one_client_run_side_by_side(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let held: Vec<_> = (0..5)
        .map(|_| Held::start(deployment, &subject.client))
        .collect();
    let mut ids = subject.events.checked_out();
    ids.sort_unstable();
    assert_eq!(
        ids,
        [1, 2, 3, 4, 5],
        "all five are on the server at the same time"
    );
    for held in held {
        assert_eq!(held.release().code(), Some(11601));
    }
}

fn of_connections_that_the_network_forgot_one_costs_an_operation_its_time(deployment: &Deployment) {
    let pace = Pace::measure(deployment);
    let server = deployment.servers().member(0).address();
    let proxy = WatchingProxy::start(server).expect("a port is free");
    // The monitor's connection is forgotten, too, and must not be what notices it.
    let options = "serverMonitoringMode=poll&heartbeatFrequencyMS=600000";
    let subject = Observed::at(deployment, &uri_of(deployment, &[proxy.address()], options));
    let held: Vec<_> = (0..5)
        .map(|_| Held::start(deployment, &subject.client))
        .collect();
    held.into_iter().for_each(|held| drop(held.release()));
    assert_eq!(subject.open_connections(), 5);
    // The server lets the time pass for another client until none was in use just now.
    let other = Observed::new(deployment, "");
    let pause = doc! { "sleep": 1, "millis": 1100, "lock": "none" };
    go!(other.client.database("admin").run_command(pause)).expect("sleeps");
    proxy.forget_connections();
    let options = CollectionOptions::builder()
        .timeout(pace.millis(1000))
        .build();
    let people = subject
        .database()
        .collection_with_options::<Document>("people", options);
    let outcomes: Vec<_> = (0..6).map(|_| go!(people.find_one(doc! {}))).collect();
    let failed: Vec<_> = outcomes.iter().filter_map(|it| it.as_ref().err()).collect();
    assert!(failed.len() <= 1, "{failed:?}");
    assert!(failed.iter().all(|error| error.is_timeout()), "{failed:?}");
}
