//! Clients that come and go, and clients that are used on more than one runtime.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use motorcade::{
    Client,
    bson::{Document, doc},
    error::Result,
    event::{EventHandler, cmap::CmapEvent, sdam::SdamEvent},
    options::ClientOptions,
};
use motorcade_testserver::Deployment;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::servers::{connections, eventually, open_cursors, options, standalone, turn};

/// How long anything may take; it is reached only by what hangs.
const LIMIT: Duration = Duration::from_secs(20);
/// How many clients are made, used and dropped.
const CYCLES: usize = 1_000;

pub(crate) fn single() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

pub(crate) fn several() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().unwrap()
}

/// Fails instead of hanging.
pub(crate) fn run<T>(runtime: &Runtime, work: impl IntoFuture<Output = T>) -> T {
    let bounded = runtime.block_on(async { tokio::time::timeout(LIMIT, work.into_future()).await });
    bounded.expect("it hangs")
}

pub(crate) async fn ping(client: &Client) -> Result<Document> {
    client
        .database("admin")
        .run_command(doc! { "ping": 1 })
        .await
}

/// Options with limits that are far beyond [`LIMIT`], so that nothing passes by a limit.
pub(crate) fn patient(deployment: &Deployment, app_name: &str) -> ClientOptions {
    let mut options = single().block_on(options(deployment, app_name));
    options.server_selection_timeout = Some(LIMIT * 10);
    options
}

#[tokio::test]
async fn a_thousand_clients_dropped_without_shutdown_leave_nothing() {
    let _turn = turn();
    let deployment = standalone();
    let options = options(deployment, "cycles").await;
    let metrics = Handle::current().metrics();
    let before = metrics.num_alive_tasks();
    for _ in 0..CYCLES {
        let client = Client::with_options(options.clone()).unwrap();
        ping(&client).await.unwrap();
        assert_eq!(metrics.num_alive_tasks(), before, "of the application");
        assert_eq!(background_threads(), 1);
    }
    let threads = background_threads;
    eventually("no thread is left", LIMIT, threads, |count| *count == 0).await;
    let left = || connections(deployment, 0, "cycles");
    eventually("no connection is left", LIMIT, left, |count| *count == 0).await;
}

/// How many threads of the driver's own there are in the process.
fn background_threads() -> usize {
    let threads = fs::read_dir("/proc/self/task").unwrap();
    let names =
        threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim() == "motorcade").count()
}

/// The first runtime is gone, and with it the monitors and what drove the sockets.
#[test]
fn a_client_outlives_the_runtime_of_its_first_use() {
    let _turn = turn();
    for first in [single, several] {
        for second in [single, several] {
            let mut options = patient(standalone(), "outlives");
            options.heartbeat_freq = Some(Duration::from_millis(500));
            let (sender, mut checks) = tokio::sync::mpsc::unbounded_channel();
            options.sdam_event_handler = Some(EventHandler::callback(move |event| {
                if let SdamEvent::ServerHeartbeatSucceeded(_) = event {
                    let _ = sender.send(thread::current().id());
                }
            }));
            let client = Client::with_options(options).unwrap();
            let runtime = first();
            run(&runtime, ping(&client)).unwrap();
            drop(runtime);
            while checks.try_recv().is_ok() {}

            let runtime = second();
            for _ in 0..3 {
                run(&runtime, ping(&client)).unwrap();
            }
            run(&runtime, async {
                for _ in 0..2 {
                    checks.recv().await.expect("servers are checked again");
                }
                client.shutdown().await;
            });
        }
    }
}

/// Between their turns nobody drives the sockets and tasks of the other runtime.
#[test]
fn a_client_is_used_by_two_runtimes_in_turn() {
    let _turn = turn();
    let deployment = standalone();
    let client = Client::with_options(patient(deployment, "in-turn")).unwrap();
    let runtimes = [single(), single()];
    let before = open_cursors(deployment);
    for turn in 0..10 {
        let runtime = &runtimes[turn % 2];
        run(runtime, async {
            let numbers = client.database("runtimes").collection("numbers");
            numbers.insert_one(doc! { "turn": 1 }).await.unwrap();
            numbers.insert_one(doc! { "turn": 2 }).await.unwrap();
            let cursor = numbers.find(doc! {}).batch_size(1).await.unwrap();
            drop(cursor);
            if turn % 4 == 3 {
                // Servers are looked for again, by monitors that somebody drives.
                cut_off_next_find(deployment);
                assert!(numbers.find_one(doc! {}).await.unwrap().is_some());
            }
            let left = || open_cursors(deployment);
            eventually("cursors are closed", LIMIT, left, |open| *open == before).await;
        });
    }
    // Without waiting for what may be under way on the other runtime.
    run(&runtimes[1], client.shutdown().immediate(true));
}

fn cut_off_next_find(deployment: &Deployment) {
    let data = doc! { "failCommands": ["find"], "closeConnection": true, "appName": "in-turn" };
    let failing =
        doc! { "configureFailPoint": "failCommand", "mode": { "times": 1 }, "data": data };
    deployment.run_admin_command(0, &failing).unwrap();
}

#[test]
fn a_client_is_used_by_four_runtimes_at_once() {
    let _turn = turn();
    let made = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&made);
    let mut options = patient(standalone(), "at-once");
    options.cmap_event_handler = Some(EventHandler::callback(move |event| {
        if matches!(event, CmapEvent::ConnectionCreated(_)) {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    }));
    let client = Client::with_options(options).unwrap();
    let client = &client;
    thread::scope(|scope| {
        for make in [single, several, single, several] {
            scope.spawn(move || {
                let runtime = make();
                for _ in 0..50 {
                    run(&runtime, ping(client)).unwrap();
                }
            });
        }
    });
    run(&single(), client.clone().shutdown());
    // One each, and what the first to notice the others may have taken for its own.
    let made = made.load(Ordering::Relaxed);
    assert!(
        made <= 4 + 2 + 1,
        "each keeps its connection, and {made} were made"
    );
}
