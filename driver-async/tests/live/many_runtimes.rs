//! One client that many runtimes use at once, as workers with a current-thread runtime each do.

use std::{
    future::ready,
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, join_all, try_join_all},
};
use motorcade::{
    Client,
    event::{
        EventHandler,
        cmap::{CmapEvent, ConnectionClosedEvent, ConnectionClosedReason},
    },
    options::ClientOptions,
};
use tokio::{
    runtime::{Builder, Handle},
    sync::{self, oneshot},
    time::{sleep, timeout},
};

use crate::{
    patience::{answer, plain},
    peer::Peer,
    runtimes::{patient, ping, run, several, single},
    servers::{standalone, turn},
};

/// How long anything may take; it is reached only by what hangs.
const LIMIT: Duration = Duration::from_secs(20);
/// How many threads have a runtime each.
const THREADS: usize = 16;
/// How many connections a burst needs.
const BURST: usize = 20;
/// Workers of a steady load, and the tasks of each.
const WORKERS: usize = 4;
const TASKS: usize = 4;
/// How often each of those tasks makes a request.
const ROUNDS: usize = 100;
/// How long a login takes.
const LOGIN: Duration = Duration::from_millis(300);

/// What a thread does with its runtime when its one operation is over.
#[derive(Clone, Copy, Debug)]
enum After {
    /// Nobody drives it any more.
    Keep,
    Drop,
}

#[test]
fn threads_with_a_runtime_for_one_operation_are_served_while_the_runtimes_stand_still_after() {
    let _turn = turn();
    serve_each(After::Keep);
}

#[test]
fn threads_with_a_runtime_for_one_operation_are_served_while_the_runtimes_are_dropped_after() {
    let _turn = turn();
    serve_each(After::Drop);
}

/// There are fewer attempts to connect at once than threads, so connections are passed on between
/// runtimes as each has done its one operation.
fn serve_each(after: After) {
    for round in 0..5 {
        let mut options = patient(standalone(), "passed-on");
        let clearings = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&clearings);
        options.cmap_event_handler = Some(EventHandler::callback(move |event| {
            if let CmapEvent::PoolCleared(_) = event {
                counted.fetch_add(1, Ordering::Relaxed);
            }
        }));
        let client = Client::with_options(options).unwrap();
        let (begin, done) = (Barrier::new(THREADS), Barrier::new(THREADS));
        let serve_one = || {
            let runtime = single();
            begin.wait();
            let outcome = runtime.block_on(async { timeout(LIMIT, ping(&client)).await });
            match after {
                After::Keep => drop(done.wait()),
                After::Drop => {}
            }
            outcome
        };
        let outcomes: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(serve_one)).collect();
            threads.into_iter().map(|it| it.join().unwrap()).collect()
        });
        for outcome in outcomes {
            let is_served = matches!(outcome, Ok(Ok(_)));
            assert!(is_served, "{after:?}, round {round}: {outcome:?}");
        }
        let clearings = clearings.load(Ordering::Relaxed);
        assert_eq!(
            clearings, 0,
            "{after:?}: the end of a runtime is no fault of the server"
        );
    }
}

/// A server that answers a ping only when there are as many at the same time.
async fn peer_of_many(pings: usize) -> Peer {
    let all = Arc::new(sync::Barrier::new(pings));
    let gate = move |name: &str| -> BoxFuture<'static, ()> {
        let all = Arc::clone(&all);
        match name {
            "ping" => async move { all.wait().map(|_| ()).await }.boxed(),
            _ => ready(()).boxed(),
        }
    };
    Peer::gated(gate, |name, _| answer(name)).await
}

async fn pings(client: &Client, count: usize) {
    let pings = (0..count).map(|_| ping(client));
    try_join_all(pings).await.unwrap();
}

/// A thread with a runtime that it drives all the time, until this is dropped.
struct Driven {
    handle: Handle,
    _alive: oneshot::Sender<()>,
}

impl Driven {
    fn start() -> Self {
        let runtime = single();
        let handle = runtime.handle().clone();
        let (alive, gone) = oneshot::channel();
        thread::spawn(move || runtime.block_on(gone));
        Self {
            handle,
            _alive: alive,
        }
    }
}

#[test]
fn a_burst_on_one_runtime_leaves_the_idle_connections_of_another() {
    let _turn = turn();
    let servers = several();
    let peer = run(&servers, peer_of_many(BURST));
    let mut options = run(&servers, peer.options());
    let closed = closed_before_the_pool(&mut options);
    let client = Client::with_options(options).unwrap();
    let workers = [Driven::start(), Driven::start()];
    for worker in [0, 1, 0, 1] {
        let client = client.clone();
        let burst = async move { pings(&client, BURST).await };
        run(&servers, workers[worker].handle.spawn(burst)).unwrap();
    }
    run(&servers, client.shutdown());
    let closed = closed.lock().unwrap();
    assert!(closed.len() <= 1, "{closed:?}");
}

/// The connections that are closed while the pool goes on.
fn closed_before_the_pool(options: &mut ClientOptions) -> Arc<Mutex<Vec<ConnectionClosedEvent>>> {
    let closed = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&closed);
    options.cmap_event_handler = Some(EventHandler::callback(move |event| {
        if let CmapEvent::ConnectionClosed(event) = event
            && event.reason != ConnectionClosedReason::PoolClosed
        {
            noted.lock().unwrap().push(event);
        }
    }));
    closed
}

/// There are fewer connections than tasks, so they are passed on between runtimes all the time.
#[test]
fn a_steady_load_needs_at_most_twice_the_connections_on_a_runtime_per_worker() {
    let _turn = turn();
    let shared = Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .unwrap();
    let on_one = sockets_for_load(&[(shared.handle().clone(), WORKERS * TASKS)]);
    let workers: Vec<_> = (0..WORKERS).map(|_| Driven::start()).collect();
    let loads = workers.iter().map(|it| (it.handle.clone(), TASKS));
    let on_many = sockets_for_load(&loads.collect::<Vec<_>>());
    assert!(on_many <= 2 * on_one, "{on_many}, and {on_one} on one");
}

/// How many sockets a load needs that has so many tasks on each runtime.
fn sockets_for_load(load: &[(Handle, usize)]) -> usize {
    let servers = several();
    let peer = run(&servers, Peer::start(|name, _| answer(name)));
    let mut options = run(&servers, peer.options());
    options.max_pool_size = Some(4);
    let client = Client::with_options(options).unwrap();
    let mut tasks = Vec::new();
    for (runtime, count) in load {
        for _ in 0..*count {
            let client = client.clone();
            tasks.push(runtime.spawn(async move {
                for _ in 0..ROUNDS {
                    ping(&client).await.unwrap();
                }
            }));
        }
    }
    for outcome in run(&servers, join_all(tasks)) {
        outcome.unwrap();
    }
    peer.sockets()
}

/// Neither runtime is driven between its bursts, in which more and more connections are needed.
#[test]
fn slow_logins_fail_no_request_that_arrives_meanwhile_on_one_of_two_runtimes() {
    let _turn = turn();
    let servers = several();
    let gate = |name: &str| -> BoxFuture<'static, ()> {
        match name {
            "saslStart" => sleep(LOGIN).boxed(),
            _ => ready(()).boxed(),
        }
    };
    let peer = run(&servers, Peer::gated(gate, |name, _| answer(name)));
    let mut options = run(&servers, peer.options());
    options.credential = Some(plain());
    let client = &Client::with_options(options).unwrap();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let runtime = single();
                for burst in [1, 1, 2, 4, 8] {
                    run(&runtime, pings(client, burst));
                }
            });
        }
    });
}
