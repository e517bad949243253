//! Runtimes of the application that compute, stand still, pause their clock, or end, while the
//! driver goes on in the background.

use std::{
    future::{Future, IntoFuture, pending, ready},
    sync::mpsc::{self, Receiver, TryRecvError},
    time::{Duration, Instant},
};

use futures_util::{
    AsyncReadExt, AsyncWriteExt, TryStreamExt,
    future::{join_all, try_join_all},
};
use motorcade::{
    Client, Cursor,
    bson::{Document, doc},
    error::ErrorKind,
    event::{EventHandler, sdam::SdamEvent},
    options::{ClientOptions, ServerMonitoringMode},
};
use motorcade_testserver::Deployment;
use tokio::runtime::{Builder, Runtime};

use crate::{
    peer::{Answer, Peer},
    runtimes::{patient, ping, run, several, single},
    servers::{eventually, open_cursors, options, standalone, turn},
    without_tokio::block_on,
};

/// How long anything may take; it is reached only by what hangs.
const LIMIT: Duration = Duration::from_secs(20);
/// How many checks are measured.
const CHECKS: usize = 4;
/// How many cursors are left to be closed.
const CURSORS: usize = 50;
/// How many documents each of them finds.
const NUMBERS: usize = 5;

/// The first use of one client was on a runtime that nobody drives afterwards.
#[test]
fn a_frozen_server_fails_operations_wherever_the_first_use_was() {
    let _turn = turn();
    let deployment = Deployment::standalone().start().unwrap();
    let (lively, parked) = (several(), single());
    let clients = [&lively, &parked].map(|first| {
        let mut options = run(first, options(&deployment, "parked"));
        options.connect_timeout = Some(Duration::from_secs(1));
        options.heartbeat_freq = Some(Duration::from_millis(500));
        options.server_selection_timeout = Some(Duration::from_secs(1));
        let client = Client::with_options(options).unwrap();
        run(first, ping(&client)).unwrap();
        client
    });
    for client in &clients {
        run(&lively, ping(client)).unwrap();
    }
    deployment.member(0).pause().unwrap();
    let outcomes = run(&lively, join_all(clients.iter().map(ping)));
    deployment.member(0).resume().unwrap();
    for (outcome, first) in outcomes.into_iter().zip(["lively", "parked"]) {
        let error = outcome.unwrap_err();
        let is_expected =
            error.is_network() || matches!(*error.kind, ErrorKind::ServerSelection { .. });
        assert!(is_expected, "first use on the {first} runtime: {error:?}");
    }
}

#[test]
fn heartbeats_and_round_trip_times_do_not_suffer_from_computing_applications() {
    let _turn = turn();
    let mut options = patient(standalone(), "computing");
    options.heartbeat_freq = Some(Duration::from_millis(500));
    // Then each check measures a round trip.
    options.server_monitoring_mode = Some(ServerMonitoringMode::Poll);
    let checks = checks_of(&mut options);
    let client = Client::with_options(options).unwrap();
    let runtime = several();
    run(&runtime, ping(&client)).unwrap();
    let idle = median(&checks);
    // The only thread of the runtime.
    let computing = runtime.spawn(async move { median(&checks) });
    let busy = block_on(computing).unwrap();
    let most = idle * 2 + Duration::from_millis(20);
    assert!(busy <= most, "{busy:?} while computing, {idle:?} when idle");
}

/// Gives how long each check took, whatever the result.
fn checks_of(options: &mut ClientOptions) -> Receiver<Option<Duration>> {
    let (sender, checks) = mpsc::channel();
    options.sdam_event_handler = Some(EventHandler::callback(move |event| {
        let _ = match event {
            SdamEvent::ServerHeartbeatSucceeded(check) => sender.send(Some(check.duration)),
            SdamEvent::ServerHeartbeatFailed(_) => sender.send(None),
            _ => Ok(()),
        };
    }));
    checks
}

/// Computes until some checks are over that begin from now on, and gives how long they took.
fn median(checks: &Receiver<Option<Duration>>) -> Duration {
    while checks.try_recv().is_ok() {}
    let started = Instant::now();
    let mut durations = Vec::new();
    while durations.len() < CHECKS {
        match checks.try_recv() {
            Ok(duration) => durations.push(duration.expect("no check fails")),
            Err(TryRecvError::Empty) => {
                let waited = started.elapsed();
                assert!(waited < LIMIT, "{durations:?} is all in {waited:?}");
                std::hint::spin_loop();
            }
            Err(TryRecvError::Disconnected) => panic!("the client is gone"),
        }
    }
    durations.sort_unstable();
    durations[CHECKS / 2]
}

#[test]
fn the_first_operation_finds_a_server_while_its_worker_is_blocked_on_it() {
    let _turn = turn();
    let client = Client::with_options(patient(standalone(), "blocked-worker")).unwrap();
    on_blocked_worker(async move { ping(&client).await.unwrap() });
}

#[test]
fn a_cursor_is_read_to_its_end_while_its_worker_is_blocked_on_it() {
    let _turn = turn();
    let client = Client::with_options(patient(standalone(), "blocked-worker")).unwrap();
    on_blocked_worker(async move {
        let mut cursors = open(&client, 1).await;
        let rest: Vec<_> = cursors.pop().unwrap().try_collect().await.unwrap();
        assert_eq!(rest.len(), NUMBERS);
    });
}

#[test]
fn a_file_is_written_and_read_while_its_worker_is_blocked_on_it() {
    let _turn = turn();
    let client = Client::with_options(patient(standalone(), "blocked-worker")).unwrap();
    on_blocked_worker(async move {
        let bucket = client.database("blocked").gridfs_bucket(None);
        let mut upload = bucket.open_upload_stream("file").await.unwrap();
        let content = vec![7; 600_000];
        upload.write_all(&content).await.unwrap();
        upload.close().await.unwrap();
        let id = upload.id().clone();
        let mut found = Vec::new();
        let mut download = bucket.open_download_stream(id).await.unwrap();
        download.read_to_end(&mut found).await.unwrap();
        assert!(found == content);
    });
}

/// Does work on one of two workers, which polls nothing else meanwhile. The other drives the
/// sockets of the runtime; nobody but the blocked one runs what it has spawned last.
fn on_blocked_worker<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let (sender, outcome) = mpsc::channel();
    runtime.spawn(async move { sender.send(block_on(work)) });
    let outcome = outcome.recv_timeout(LIMIT);
    // Without waiting for a worker that hangs.
    runtime.shutdown_background();
    outcome.expect("it is done in time")
}

#[tokio::test(start_paused = true)]
async fn operations_work_while_the_clock_of_the_runtime_is_paused() {
    let _turn = turn();
    let options = ClientOptions::parse(standalone().uri()).await.unwrap();
    let client = Client::with_options(options).unwrap();
    let numbers = client.database("paused").collection::<Document>("numbers");
    numbers.drop().await.unwrap();
    numbers.insert_one(doc! { "_id": 1 }).await.unwrap();
    let found = numbers.find_one(doc! {}).await.unwrap();
    assert_eq!(found, Some(doc! { "_id": 1 }));
    client.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn timeout_ms_counts_real_time_while_the_clock_of_the_runtime_is_paused() {
    let _turn = turn();
    let limit = Duration::from_millis(300);
    let servers = several();
    let mute = |name: &str| match name {
        "ping" => Box::pin(pending()) as _,
        _ => Box::pin(ready(())) as _,
    };
    let peer = servers
        .spawn(Peer::gated(mute, |_, _| Answer::from(doc! { "ok": 1 })))
        .await
        .unwrap();
    let mut options = peer.options().await;
    options.timeout = Some(limit);
    let client = Client::with_options(options).unwrap();
    let started = Instant::now();
    let error = ping(&client).await.unwrap_err();
    let waited = started.elapsed();
    assert!(error.is_timeout(), "{error:?}");
    assert!(waited >= limit, "{waited:?} of {limit:?}");
    assert_eq!(peer.commands().len(), 1, "the command was sent");
    servers.shutdown_background();
}

/// Cursors for which the server has more.
async fn open(client: &Client, count: usize) -> Vec<Cursor<Document>> {
    let numbers = client.database("ended").collection::<Document>("numbers");
    numbers.drop().await.unwrap();
    let some = (0..NUMBERS).map(|number| doc! { "number": number as i64 });
    numbers.insert_many(some).await.unwrap();
    let finds = (0..count).map(|_| numbers.find(doc! {}).batch_size(2).into_future());
    try_join_all(finds).await.unwrap()
}

/// The cursors are dropped with the tasks that have them, by the end of the runtime.
#[test]
fn cursors_that_end_with_their_runtime_are_closed_on_the_server() {
    let _turn = turn();
    // Cursors that other tests have dropped are not counted there.
    let deployment = Deployment::standalone().start().unwrap();
    for (make, how) in [(single as fn() -> Runtime, "single"), (several, "several")] {
        let client = Client::with_options(patient(&deployment, "ended")).unwrap();
        let runtime = make();
        let cursors = run(&runtime, open(&client, CURSORS));
        assert_eq!(open_cursors(&deployment), CURSORS as i64);
        runtime.spawn(async move {
            let _cursors = cursors;
            pending::<()>().await;
        });
        drop(runtime);
        let left = || open_cursors(&deployment);
        run(&single(), eventually(how, LIMIT, left, |open| *open == 0));
    }
}

/// As with a drop anywhere, this is a promise for as long as the process goes on, or until
/// `shutdown()` is awaited. A process that ends takes the background thread along: cursors that
/// were dropped at the last moment stay on the server until it closes them for being idle, by
/// default after 10 minutes.
#[tokio::test]
async fn cursors_dropped_just_before_shutdown_are_closed_when_it_returns() {
    let _turn = turn();
    // Cursors that other tests have dropped are not counted there.
    let deployment = Deployment::standalone().start().unwrap();
    let client = Client::with_options(options(&deployment, "ended").await).unwrap();
    let cursors = open(&client, CURSORS).await;
    assert_eq!(open_cursors(&deployment), CURSORS as i64);
    drop(cursors);
    client.shutdown().await;
    assert_eq!(open_cursors(&deployment), 0);
}
