//! The end of a client: shut down or dropped, it leaves nothing behind.

use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use conformance_tests::behaviour::Deployment;

use super::recorder::{Event, PATIENCE};
use super::servers::{
    FailPoint, connections, open_cursors, operations, uri_of, wait_until, wait_until_disconnected,
    writable,
};
use super::support::{Held, Observed, Pace, in_parallel};
use crate::flavor::driver::Client;
use crate::flavor::driver::bson::{Document, doc};
use crate::flavor::driver::error::{Error, ErrorKind};
use crate::flavor::driver::event::cmap::CmapEvent;
use crate::flavor::driver::event::sdam::SdamEvent;
use crate::flavor::driver::options::CursorType;
use crate::flavor::{go, next, spawn, wait};

conformance_tests::behaviours! {
    R4 shutting_an_unused_client_down_opens_no_server: Either, Shared;
    R5 after_shutdown_every_handle_fails_and_never_reconnects: Either, Shared;
    R6 shutdown_closes_every_connection_of_pools_and_monitors: Either, Shared;
    R7 a_second_shutdown_sends_nothing: Either, Shared;
    R8 dropping_the_last_handle_ends_all_background_work: Either, Shared;
    R9 dropping_a_cursor_after_shutdown_reopens_nothing: Either, Shared;
    N15 many_clients_dropped_without_shutdown_leave_no_connection: Standalone, Shared;
    N17 shutdown_ends_a_change_stream_that_waits: ReplicaSet, Shared, since (4, 4);
    N17 shutdown_ends_a_tailable_cursor_that_waits: Either, Shared;
    N17 from_the_call_of_shutdown_no_operation_begins: Either, Shared;
    N17 shutdown_ends_the_wait_for_a_server: Standalone, Shared;
    N17 shutdown_ends_the_wait_for_a_connection: Either, Shared;
    N17 a_running_operation_may_finish_within_the_grace_period: Either, Shared;
    N17 after_the_grace_period_a_running_operation_is_ended: Either, Shared;
    N17 a_running_operation_with_a_timeout_has_until_then: Either, Shared;
    N17 shutdown_lets_all_batches_of_an_insert_through: Either, FailPoint, since (4, 4);
    N17 shutdown_closes_cursors_that_were_dropped_before: Either, Shared;
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

/// Longer than any case lasts.
const LONG: Duration = Duration::from_secs(600);

/// A shutdown that another thread has called.
struct ShuttingDown {
    returned: mpsc::Receiver<()>,
}

impl ShuttingDown {
    /// Calls it, and waits until it has begun.
    fn begin(subject: &Observed, grace_period: Duration) -> Self {
        let client = subject.client.clone();
        let (done, returned) = mpsc::channel();
        spawn(move || {
            go!(client.shutdown().grace_period(grace_period));
            // The case may have failed meanwhile.
            let _ = done.send(());
        });
        wait_until("shutdown begun", || {
            subject
                .ping()
                .is_err_and(|it| is_shutdown(&it))
                .then_some(())
        });
        Self { returned }
    }

    fn has_returned(&self) -> bool {
        self.returned.try_recv().is_ok()
    }

    fn wait(self) {
        let returned = self.returned.recv_timeout(PATIENCE);
        returned.expect("the shutdown returns");
    }
}

fn is_shutdown(error: &Error) -> bool {
    matches!(*error.kind, ErrorKind::Shutdown)
}

/// What the thread returns, which does not last.
fn outcome<T>(thread: JoinHandle<T>) -> T {
    wait_until("end of the thread", || thread.is_finished().then_some(()));
    thread.join().expect("does not panic")
}

/// Shuts down while another thread takes a cursor's next step, which waits for data.
fn shut_down_beside<T: Send + 'static>(
    deployment: &Deployment,
    subject: &Observed,
    step: impl FnOnce() -> Option<Result<T, Error>> + Send + 'static,
) {
    let step = spawn(step);
    let waiting = doc! { "command.getMore": { "$exists": true } };
    wait_until("step that waits", || {
        operations(deployment, writable(deployment), waiting.clone()).pop()
    });
    // It is not what the period is for.
    ShuttingDown::begin(subject, LONG).wait();
    match outcome(step) {
        Some(Err(error)) => assert!(is_shutdown(&error), "{error:?}"),
        Some(Ok(_)) => panic!("there was no data"),
        None => panic!("the step is to tell of the shutdown"),
    }
}

fn shutdown_ends_a_change_stream_that_waits(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    let people = subject.people();
    let mut changes = go!(people.watch().max_await_time(LONG)).expect("opens");
    shut_down_beside(deployment, &subject, move || next!(changes));
    // Not so for a tailable cursor: its server looks whether a client is still there only when the
    // time to wait is up.
    wait_until_disconnected(deployment);
}

fn shutdown_ends_a_tailable_cursor_that_waits(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let database = subject.database();
    let create = database.create_collection("people").capped(true);
    go!(create.size(4096_u64)).expect("creates");
    let subject = subject.with_people(1);
    let people = subject.people();
    let find = people.find(doc! {}).cursor_type(CursorType::TailableAwait);
    let mut lines = go!(find.max_await_time(2 * PATIENCE)).expect("finds");
    next!(lines).expect("is there").expect("is a document");
    shut_down_beside(deployment, &subject, move || next!(lines));
}

fn from_the_call_of_shutdown_no_operation_begins(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    let held = Held::start(deployment, &subject.client);
    let busy: Vec<_> = (0..4)
        .map(|_| {
            let people = subject.people();
            spawn(move || {
                loop {
                    if let Err(error) = go!(people.find_one(doc! {})) {
                        return error;
                    }
                }
            })
        })
        .collect();
    subject
        .events
        .wait_for_count("finds", 20, |event| event.is_success_of("find"));
    let shutdown = ShuttingDown::begin(&subject, LONG);
    for thread in busy {
        let error = outcome(thread);
        assert!(is_shutdown(&error), "{error:?}");
    }
    assert!(!shutdown.has_returned(), "an operation is running");
    held.release();
    shutdown.wait();
}

fn shutdown_ends_the_wait_for_a_server(deployment: &Deployment) {
    let nobody = ["127.0.0.1:1".to_owned()];
    let uri = uri_of(deployment, &nobody, "serverSelectionTimeoutMS=600000");
    let subject = Observed::at(deployment, &uri);
    let database = subject.database();
    let waiting = spawn(move || go!(database.run_command(doc! { "ping": 1 })));
    let failed = |event: &Event| matches!(event.sdam(), Some(SdamEvent::ServerHeartbeatFailed(_)));
    subject.events.wait_for_count("failed check", 1, failed);
    ShuttingDown::begin(&subject, LONG).wait();
    let error = outcome(waiting).expect_err("there is no server");
    assert!(is_shutdown(&error), "{error:?}");
}

fn shutdown_ends_the_wait_for_a_connection(deployment: &Deployment) {
    let subject = Observed::new(deployment, "maxPoolSize=1");
    let held = Held::start(deployment, &subject.client);
    subject.events.forget();
    let database = subject.database();
    let waiting = spawn(move || go!(database.run_command(doc! { "ping": 1 })));
    let started =
        |event: &Event| matches!(event, Event::Cmap(CmapEvent::ConnectionCheckoutStarted(_)));
    subject.events.wait_for_count("waiter", 1, started);
    let shutdown = ShuttingDown::begin(&subject, LONG);
    let error = outcome(waiting).expect_err("the only connection is in use");
    assert!(is_shutdown(&error), "{error:?}");
    held.release();
    shutdown.wait();
}

fn a_running_operation_may_finish_within_the_grace_period(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    let held = Held::start(deployment, &subject.client);
    let shutdown = ShuttingDown::begin(&subject, LONG);
    assert!(!shutdown.has_returned(), "an operation is running");
    // It gets the server's own reply.
    assert_eq!(held.release().code(), Some(11601));
    shutdown.wait();
    assert_eq!(subject.events.commands_named("endSessions").len(), 1);
    wait_until_disconnected(deployment);
}

/// A command that the server works on for longer than any case lasts.
fn run_for_long(deployment: &Deployment, client: &Client) -> JoinHandle<Result<Document, Error>> {
    let admin = client.database("admin");
    let command = doc! { "sleep": 1, "secs": 600, "lock": "none" };
    let running = spawn(move || go!(admin.run_command(command)));
    let sleeping = doc! { "command.sleep": 1 };
    wait_until("running operation", || {
        operations(deployment, writable(deployment), sleeping.clone()).pop()
    });
    running
}

fn after_the_grace_period_a_running_operation_is_ended(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let running = run_for_long(deployment, &subject.client);
    ShuttingDown::begin(&subject, Duration::from_millis(50)).wait();
    let error = outcome(running).expect_err("is ended");
    assert!(is_shutdown(&error), "{error:?}");
}

fn a_running_operation_with_a_timeout_has_until_then(deployment: &Deployment) {
    let pace = Pace::measure(deployment);
    let timeout = pace.millis(2000).as_millis();
    let subject = Observed::new(deployment, &format!("timeoutMS={timeout}"));
    subject.ping().expect("connects");
    let running = run_for_long(deployment, &subject.client);
    ShuttingDown::begin(&subject, Duration::ZERO).wait();
    let error = outcome(running).expect_err("its time is up");
    let is_typed = matches!(*error.kind, ErrorKind::OperationTimeout { .. });
    assert!(is_typed && error.is_timeout(), "{error:?}");
}

fn shutdown_lets_all_batches_of_an_insert_through(deployment: &Deployment) {
    let pace = Pace::measure(deployment);
    let subject = Observed::new(deployment, "").with_people(1);
    subject.events.forget();
    let people = subject.people();
    let time = i64::try_from(pace.millis(1000).as_millis()).expect("is short");
    let slow = doc! { "failCommands": ["insert"], "blockConnection": true, "blockTimeMS": time };
    let _slow = FailPoint::times(deployment, 1, slow);
    let inserting = spawn(move || {
        let large = "x".repeat(1_000_000);
        let documents: Vec<_> = (1..=60).map(|id| doc! { "_id": id, "x": &large }).collect();
        go!(people.insert_many(documents))
    });
    subject.events.wait_for("first batch", |events| {
        events.iter().find_map(|event| event.started().map(drop))
    });
    ShuttingDown::begin(&subject, LONG).wait();
    let inserted = outcome(inserting).expect("is let through");
    assert_eq!(inserted.inserted_ids.len(), 60);
    assert_eq!(subject.events.commands_named("insert").len(), 2);
}

fn shutdown_closes_cursors_that_were_dropped_before(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(10);
    let people = subject.people();
    let cursors: Vec<_> = (0..5)
        .map(|_| go!(people.find(doc! {}).batch_size(2)).expect("finds"))
        .collect();
    assert_eq!(open_cursors(deployment), 5);
    drop(cursors);
    go!(subject.client.shutdown());
    assert_eq!(open_cursors(deployment), 0);
    wait_until_disconnected(deployment);
}
