//! How long an operation may take as a whole. The letter T numbers the prose tests of the client
//! side operations timeout specification. Clients connect before a short limit holds, so that the
//! limit is spent on what a case is about; and on a machine that is slow or busy, limits and what
//! is to outlast them are longer by the same factor.

use std::error::Error as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use conformance_tests::behaviour::Deployment;
use conformance_tests::watching_proxy::WatchingProxy;

use super::recorder::Event;
use super::servers::{FailPoint, secured, secured_uri, uri_of};
use super::support::{Held, Observed, Pace};
use crate::flavor::driver::Collection;
use crate::flavor::driver::bson::{Bson, Document, doc};
use crate::flavor::driver::error::{Error, ErrorKind, TRANSIENT_TRANSACTION_ERROR};
use crate::flavor::driver::event::EventHandler;
use crate::flavor::driver::event::command::CommandEvent;
use crate::flavor::driver::gridfs::GridFsBucket;
use crate::flavor::driver::options::{CollectionOptions, CursorType, GridFsBucketOptions};
use crate::flavor::{Read, Write, collect, go, next, run_in_transaction, wait};

conformance_tests::behaviours! {
    T0 a_reply_that_came_too_late_is_never_taken_for_another: Either, FailPoint, since (4, 4);
    T0 a_command_whose_time_is_up_before_it_goes_out_costs_no_connection:
        Either, Shared;
    T0 a_timeout_holds_in_the_wait_queue_in_place_of_the_queues_own: Either, Shared;
    T1 the_batches_of_many_inserts_share_one_timeout: Standalone, FailPoint, since (4, 4);
    T4 in_the_background_the_timeout_holds_for_each_command: Standalone, Disturbs, since (4, 4);
    F98 all_the_documents_of_a_cursor_share_one_timeout: Either, FailPoint, since (4, 4);
    T5 one_call_of_a_tailable_cursor_has_one_timeout: Either, FailPoint, since (4, 4);
    T5 one_call_of_a_change_stream_has_one_timeout_and_the_next_goes_on: ReplicaSet, FailPoint,
        since (4, 4);
    T6 closing_an_upload_can_run_out_of_time: Either, FailPoint, since (4, 4);
    T6 aborting_an_upload_can_run_out_of_time: Either, FailPoint, since (4, 4);
    T7 reading_a_download_can_run_out_of_time: Either, FailPoint, since (4, 4);
    T8 the_shorter_limit_ends_the_selection_of_a_server: Standalone, Shared;
    T4 each_command_of_a_login_tells_the_server_what_is_left: Standalone, Shared;
    T8 the_shorter_limit_ends_the_login: Standalone, Disturbs, since (4, 4);
    T9 the_abort_of_a_dropped_session_has_the_timeout: ReplicaSet, FailPoint, since (4, 4);
    T10 an_abort_has_the_whole_timeout_again: ReplicaSet, FailPoint, since (4, 4);
    T10 the_attempts_at_a_transaction_share_one_timeout: ReplicaSet, FailPoint, since (4, 4);
    T10 an_operation_of_a_callback_has_no_timeout_of_its_own: ReplicaSet, Shared;
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn blocking(commands: &[&str], time: Duration) -> Document {
    let time = i64::try_from(time.as_millis()).expect("is short");
    doc! { "failCommands": commands.to_vec(), "blockConnection": true, "blockTimeMS": time }
}

#[track_caller]
fn assert_timed_out(error: &Error) {
    let is_typed = matches!(*error.kind, ErrorKind::OperationTimeout { .. });
    assert!(is_typed && error.is_timeout(), "{error:?}");
    let under_way = error.source().expect("tells what was under way");
    let under_way = under_way.to_string();
    assert!(error.to_string().contains(&under_way), "{error}");
}

/// A client that has connected, and its collection with a timeout.
fn hasty(subject: &Observed, timeout: Duration) -> Collection<Document> {
    subject.ping().expect("connects");
    let options = CollectionOptions::builder().timeout(timeout).build();
    subject
        .database()
        .collection_with_options("people", options)
}

/// A bucket with a timeout, whose collections and indexes are there.
fn hasty_bucket(subject: &Observed, timeout: Duration) -> GridFsBucket {
    let database = subject.database();
    let first = database.gridfs_bucket(None);
    go!(first.upload_from_reader("first", &[0_u8][..])).expect("uploads");
    let options = GridFsBucketOptions::builder()
        .chunk_size_bytes(2_u32)
        .timeout(timeout)
        .build();
    database.gridfs_bucket(options)
}

fn a_reply_that_came_too_late_is_never_taken_for_another(deployment: &Deployment) {
    let pace = Pace::measure(deployment);
    let subject = Observed::new(deployment, "").with_people(1);
    let people = hasty(&subject, pace.millis(300));
    let slow = FailPoint::times(deployment, 1, blocking(&["aggregate"], pace.millis(1500)));
    let error = go!(people.count_documents(doc! {})).expect_err("takes too long");
    assert_timed_out(&error);
    drop(slow);
    let found = go!(subject.people().find_one(doc! {})).expect("finds");
    assert_eq!(found, Some(doc! { "_id": 0 }));
    assert!(subject.events.count(Event::is_connection_closed) >= 1);
    assert_eq!(subject.events.count(Event::is_pool_cleared), 0);
}

fn a_command_whose_time_is_up_before_it_goes_out_costs_no_connection(deployment: &Deployment) {
    let pace = Pace::measure(deployment);
    let is_slow = AtomicBool::new(true);
    let subject = Observed::configured(deployment, &deployment.uri(), |options| {
        options.command_event_handler = Some(EventHandler::callback(move |event| {
            let CommandEvent::Started(started) = event else {
                return;
            };
            if started.command_name == "find" && is_slow.swap(false, Ordering::Relaxed) {
                // The listener takes more time than the operation has.
                thread::sleep(pace.millis(600));
            }
        }));
    });
    let people = hasty(&subject, pace.millis(300));
    assert_timed_out(&go!(people.find_one(doc! {})).expect_err("is not begun"));
    subject.ping().expect("pings");
    assert_eq!(subject.events.count(Event::is_connection_created), 1);
    assert_eq!(subject.events.count(Event::is_connection_closed), 0);
}

fn a_timeout_holds_in_the_wait_queue_in_place_of_the_queues_own(deployment: &Deployment) {
    let pace = Pace::measure(deployment);
    let of_queue = pace.millis(200).as_millis();
    let options = format!("maxPoolSize=1&waitQueueTimeoutMS={of_queue}");
    let subject = Observed::new(deployment, &options);
    let people = hasty(&subject, pace.millis(600));
    let held = Held::start(deployment, &subject.client);
    let of_queue = subject.ping().expect_err("the only connection is in use");
    assert!(
        of_queue.to_string().contains("waitQueueTimeoutMS"),
        "{of_queue}"
    );
    let error = go!(people.find_one(doc! {})).expect_err("the only connection is in use");
    assert_timed_out(&error);
    assert!(!error.to_string().contains("waitQueueTimeoutMS"), "{error}");
    assert!(subject.events.commands_named("find").is_empty());
    held.release();
}

fn the_batches_of_many_inserts_share_one_timeout(deployment: &Deployment) {
    let pace = Pace::measure(deployment);
    let subject = Observed::new(deployment, "").with_people(1);
    let people = hasty(&subject, pace.millis(5900));
    subject.events.forget();
    let _slow = FailPoint::times(deployment, 2, blocking(&["insert"], pace.millis(3000)));
    let large = "x".repeat(1_000_000);
    let documents = (1..=50).map(|id| doc! { "_id": id, "x": &large });
    let error = go!(people.insert_many(documents)).expect_err("takes too long");
    assert_timed_out(&error);
    assert_eq!(subject.events.commands_named("insert").len(), 2);
}

fn in_the_background_the_timeout_holds_for_each_command(deployment: &Deployment) {
    let pace = Pace::measure(deployment);
    let warmed = |mode: Document, data, timeout: Duration| {
        let timeout_ms = timeout.as_millis();
        let options = format!(
            "authSource=admin&minPoolSize=1&connectTimeoutMS=600000&timeoutMS={timeout_ms}"
        );
        let uri = secured_uri(deployment, "root:secret", &options);
        let subject = Observed::at(deployment, &uri);
        let _slow = FailPoint::on_secured(deployment, mode, data);
        go!(subject.client.warm_connection_pool());
        subject
    };
    let once = doc! { "times": 1 };
    let subject = warmed(
        once,
        blocking(&["saslContinue"], pace.millis(1000)),
        pace.millis(100),
    );
    let events = &subject.events;
    events.wait_for_count("connection", 1, Event::is_connection_created);
    events.wait_for_count("end of it", 1, Event::is_connection_closed);
    // That the client is in a hurry says nothing about the server.
    assert_eq!(events.count(Event::is_pool_cleared), 0);
    let often = doc! { "times": 1000 };
    let commands = ["hello", "isMaster", "saslContinue"];
    // Together they take longer than the timeout.
    let subject = warmed(
        often,
        blocking(&commands, pace.millis(2000)),
        pace.millis(3500),
    );
    let events = &subject.events;
    events.wait_for_count("connection", 1, Event::is_connection_ready);
    assert_eq!(events.count(Event::is_connection_closed), 0);
}

fn all_the_documents_of_a_cursor_share_one_timeout(deployment: &Deployment) {
    let pace = Pace::measure(deployment);
    let subject = Observed::new(deployment, "").with_people(7);
    let people = hasty(&subject, pace.millis(1700));
    let _slow = FailPoint::times(deployment, 3, blocking(&["getMore"], pace.millis(900)));
    let cursor = go!(people.find(doc! {}).batch_size(2)).expect("finds");
    let found: Result<Vec<Document>, _> = collect!(cursor);
    assert_timed_out(&found.expect_err("takes too long"));
    assert_eq!(subject.events.commands_named("getMore").len(), 2);
    for get_more in subject.events.commands_named("getMore") {
        assert!(!get_more.command.contains_key("maxTimeMS"));
    }
}

fn one_call_of_a_tailable_cursor_has_one_timeout(deployment: &Deployment) {
    let pace = Pace::measure(deployment);
    let subject = Observed::new(deployment, "");
    let database = subject.database();
    go!(database.create_collection("people").capped(true).size(4096)).expect("creates");
    let subject = subject.with_people(1);
    let people = hasty(&subject, pace.millis(2700));
    let _slow = FailPoint::times(deployment, 1000, blocking(&["getMore"], pace.millis(1400)));
    let find = people.find(doc! {}).cursor_type(CursorType::Tailable);
    let mut cursor = go!(find).expect("finds");
    assert!(wait!(cursor.advance()).expect("is at hand"));
    assert!(subject.events.commands_named("getMore").is_empty());
    let error = wait!(cursor.advance()).expect_err("takes too long");
    assert_timed_out(&error);
    assert_eq!(subject.events.commands_named("getMore").len(), 2);
}

fn one_call_of_a_change_stream_has_one_timeout_and_the_next_goes_on(deployment: &Deployment) {
    let pace = Pace::measure(deployment);
    let subject = Observed::new(deployment, "").with_people(1);
    let people = hasty(&subject, pace.millis(2700));
    let watch = people.watch().max_await_time(millis(50));
    let mut changes = go!(watch).expect("opens");
    let slow = FailPoint::times(deployment, 1000, blocking(&["getMore"], pace.millis(1400)));
    let error = next!(changes).expect("tells of the timeout");
    assert_timed_out(&error.expect_err("takes too long"));
    assert_eq!(subject.events.commands_named("getMore").len(), 2);
    drop(slow);
    go!(subject.people().insert_one(doc! { "_id": 1 })).expect("inserts");
    let change = next!(changes).expect("goes on").expect("has the change");
    assert_eq!(change.document_key, Some(doc! { "_id": 1 }));
    assert_eq!(subject.events.commands_named("aggregate").len(), 2);
}

fn closing_an_upload_can_run_out_of_time(deployment: &Deployment) {
    let pace = Pace::measure(deployment);
    let subject = Observed::new(deployment, "");
    let bucket = hasty_bucket(&subject, pace.millis(400));
    let _slow = FailPoint::times(deployment, 1, blocking(&["insert"], pace.millis(1500)));
    let mut upload = go!(bucket.open_upload_stream("file")).expect("opens");
    wait!(upload.write_all(&[0x12])).expect("is kept");
    assert_timed_out(&wait!(upload.close()).expect_err("takes too long"));
}

fn aborting_an_upload_can_run_out_of_time(deployment: &Deployment) {
    let pace = Pace::measure(deployment);
    let subject = Observed::new(deployment, "");
    let bucket = hasty_bucket(&subject, pace.millis(600));
    let _slow = FailPoint::times(deployment, 1, blocking(&["delete"], pace.millis(2000)));
    let mut upload = go!(bucket.open_upload_stream("file")).expect("opens");
    wait!(upload.write_all(&[1, 2, 3, 4])).expect("is kept");
    wait!(upload.flush()).expect("stores two chunks");
    assert_timed_out(&wait!(upload.abort()).expect_err("takes too long"));
}

fn reading_a_download_can_run_out_of_time(deployment: &Deployment) {
    let pace = Pace::measure(deployment);
    let subject = Observed::new(deployment, "");
    let bucket = hasty_bucket(&subject, pace.millis(600));
    let id = go!(bucket
        .upload_from_reader("file", &[0_u8; 10][..])
        .timeout(millis(20_000)));
    let id = id.expect("uploads");
    let mut download = go!(bucket.open_download_stream(id)).expect("opens");
    let _slow = FailPoint::times(deployment, 1, blocking(&["find"], pace.millis(2000)));
    subject.events.forget();
    let error = wait!(download.read(&mut [0; 10])).expect_err("takes too long");
    let error = Error::from(error);
    let is_typed = matches!(*error.kind, ErrorKind::OperationTimeout { .. });
    assert!(is_typed, "{error:?}");
    assert_eq!(subject.events.command_names(), "find");
}

fn the_shorter_limit_ends_the_selection_of_a_server(deployment: &Deployment) {
    for (options, is_typed, limit) in [
        (
            "serverSelectionTimeoutMS=10",
            false,
            "serverSelectionTimeoutMS",
        ),
        (
            "timeoutMS=10&serverSelectionTimeoutMS=20000",
            true,
            "(timeoutMS",
        ),
        (
            "timeoutMS=20000&serverSelectionTimeoutMS=10",
            true,
            "serverSelectionTimeoutMS",
        ),
        (
            "timeoutMS=0&serverSelectionTimeoutMS=10",
            true,
            "serverSelectionTimeoutMS",
        ),
    ] {
        let subject = Observed::at(deployment, &format!("mongodb://invalid/?{options}"));
        let error = subject.ping().expect_err("there is no such server");
        let found = matches!(*error.kind, ErrorKind::OperationTimeout { .. });
        assert_eq!(found, is_typed, "{options}: {error:?}");
        assert!(error.is_timeout(), "{options}: {error:?}");
        assert!(error.to_string().contains(limit), "{options}: {error}");
    }
}

fn each_command_of_a_login_tells_the_server_what_is_left(deployment: &Deployment) {
    let limits_of = |options: &str, work: fn(&Observed)| -> Vec<Option<i32>> {
        let proxy = WatchingProxy::start(secured().member(0).address()).expect("listens");
        let host = format!("root:secret@{}", proxy.address());
        let options = format!("authSource=admin&authMechanism=SCRAM-SHA-256&{options}");
        let subject = Observed::at(deployment, &uri_of(deployment, &[host], &options));
        work(&subject);
        let events = &subject.events;
        events.wait_for_count("connection", 1, Event::is_connection_ready);
        let mut commands = proxy.commands();
        let of_login = ["speculativeAuthenticate", "saslContinue"];
        commands.retain(|command| of_login.iter().any(|field| command.contains_key(field)));
        let limit = |command: &Document| command.get("maxTimeMS").and_then(Bson::as_i32);
        commands.iter().map(limit).collect()
    };
    let ping = |subject: &Observed| drop(subject.ping().expect("pings"));
    let warm = |subject: &Observed| go!(subject.client.warm_connection_pool());
    assert_eq!(limits_of("maxPoolSize=1", ping), [None, None]);
    for limits in [
        limits_of("timeoutMS=20000", ping),
        limits_of("timeoutMS=20000&minPoolSize=1", warm),
    ] {
        assert_eq!(limits.len(), 2);
        for limit in limits {
            let limit = limit.expect("is told");
            assert!((1..=20_000).contains(&limit), "{limit}");
        }
    }
}

fn the_shorter_limit_ends_the_login(deployment: &Deployment) {
    let pace = Pace::measure(deployment);
    let (short, long) = (
        pace.millis(1500).as_millis(),
        pace.millis(20_000).as_millis(),
    );
    for (options, limit) in [
        (format!("timeoutMS={short}"), "timeoutMS"),
        (
            format!("timeoutMS={long}&serverSelectionTimeoutMS={short}"),
            "serverSelectionTimeoutMS",
        ),
    ] {
        let data = blocking(&["saslContinue"], pace.millis(4000));
        let _slow = FailPoint::on_secured(deployment, doc! { "times": 1 }, data);
        let options = format!("authSource=admin&{options}");
        let uri = secured_uri(deployment, "root:secret", &options);
        let subject = Observed::at(deployment, &uri);
        let error = go!(subject.people().insert_one(doc! {})).expect_err("takes too long");
        assert_timed_out(&error);
        assert!(error.to_string().contains(limit), "{error}");
        assert!(subject.events.commands_named("insert").is_empty());
        // That somebody is in a hurry says nothing about the server.
        assert_eq!(subject.events.count(Event::is_pool_cleared), 0);
    }
}

/// Here a session ends when it is dropped, so there is no call to give a timeout of its own to.
fn the_abort_of_a_dropped_session_has_the_timeout(deployment: &Deployment) {
    let pace = Pace::measure(deployment);
    let short = pace.millis(800);
    let of_client = format!("timeoutMS={}", short.as_millis());
    for (options, default_timeout) in [(&*of_client, None), ("", Some(short))] {
        let subject = Observed::new(deployment, options);
        let people = subject.people();
        go!(people.insert_one(doc! {}).timeout(millis(20_000))).expect("connects");
        let mut start = subject.client.start_session();
        if let Some(timeout) = default_timeout {
            start = start.default_timeout(timeout);
        }
        let mut session = go!(start).expect("starts a session");
        go!(session.start_transaction()).expect("starts");
        go!(people.insert_one(doc! {}).session(&mut session)).expect("inserts");
        let _slow = FailPoint::times(
            deployment,
            1,
            blocking(&["abortTransaction"], pace.millis(3000)),
        );
        drop(session);
        let error = subject.events.wait_for("end of the abort", |events| {
            events.iter().find_map(|event| match event {
                Event::Command(event) => match &**event {
                    CommandEvent::Failed(failed) if failed.command_name == "abortTransaction" => {
                        Some(failed.failure.clone())
                    }
                    _ => None,
                },
                _ => None,
            })
        });
        assert!(error.is_timeout(), "{options}: {error:?}");
        assert_eq!(subject.events.commands_named("abortTransaction").len(), 1);
    }
}

fn an_abort_has_the_whole_timeout_again(deployment: &Deployment) {
    let pace = Pace::measure(deployment);
    let subject = Observed::new(deployment, "").with_people(1);
    let people = subject.people();
    let session = subject.client.start_session();
    let mut session = go!(session.default_timeout(pace.millis(400))).expect("starts a session");
    let data = blocking(&["insert", "abortTransaction"], pace.millis(1500));
    let _slow = FailPoint::times(deployment, 2, data);
    subject.events.forget();
    let outcome = run_in_transaction!(session.start_transaction(), |session| {
        go!(people.insert_one(doc! { "_id": 1 }).session(session))
    });
    assert_timed_out(&outcome.expect_err("takes too long"));
    assert_eq!(subject.events.command_names(), "insert, abortTransaction");
}

fn the_attempts_at_a_transaction_share_one_timeout(deployment: &Deployment) {
    let pace = Pace::measure(deployment);
    let subject = Observed::new(deployment, "").with_people(1);
    let people = subject.people();
    let session = subject.client.start_session();
    let mut session = go!(session.default_timeout(pace.millis(1000))).expect("starts a session");
    let mut data = blocking(&["insert"], millis(25));
    data.insert("errorCode", 24);
    data.insert("errorLabels", vec![TRANSIENT_TRANSACTION_ERROR]);
    let _failing = FailPoint::times(deployment, 10_000, data);
    let mut attempts = 0;
    let outcome = run_in_transaction!(session.start_transaction(), |session| {
        attempts += 1;
        go!(people.insert_one(doc! { "_id": 1 }).session(session))
    });
    assert_timed_out(&outcome.expect_err("never succeeds"));
    assert!(attempts > 1, "{attempts} attempts");
}

fn an_operation_of_a_callback_has_no_timeout_of_its_own(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    let people = subject.people();
    let mut session = go!(subject.client.start_session()).expect("starts a session");
    let start = session.start_transaction().timeout(millis(20_000));
    let outcome = run_in_transaction!(start, |session| {
        let insert = people.insert_one(doc! { "_id": 1 }).timeout(millis(1));
        go!(insert.session(session))
    });
    let error = outcome.expect_err("is refused");
    let is_argument = matches!(*error.kind, ErrorKind::InvalidArgument { .. });
    assert!(is_argument, "{error:?}");
    go!(people
        .insert_one(doc! { "_id": 1 })
        .session(&mut session)
        .timeout(millis(20_000)))
    .expect("outside of the callback it may have one");
}
