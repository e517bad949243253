//! The executor is never blocked: other tasks of the same thread get their turn while the driver
//! connects, logs in, reads much, shuts down and is dropped.
//!
//! Time is counted so that a busy machine changes nothing: as the processor time of the thread, to
//! which a wait of the thread adds as it lasted.

use std::{
    fs,
    future::Future,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use futures_util::TryStreamExt;
use motorcade::{
    Client,
    bson::{Document, doc},
    options::{AuthMechanism, ClientOptions, Credential, Tls, TlsOptions},
};
use motorcade_testserver::{Deployment, TlsMode};
use rustix::time::{ClockId, clock_gettime};
use tokio::{net::TcpListener, runtime::Builder, task::yield_now};

use crate::servers::{options, standalone, turn};

/// How long the other tasks of a thread may be kept from their turn.
const LIMIT: Duration = Duration::from_millis(20);

/// What a thread has done so far.
struct Moment {
    at: Instant,
    worked: Duration,
    /// How often the thread gave up its processor to wait for something.
    waits: u64,
}

impl Moment {
    fn now() -> Self {
        let status = fs::read_to_string("/proc/thread-self/status").unwrap();
        let waits = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))
            .unwrap();
        Self {
            at: Instant::now(),
            worked: clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap(),
            waits: waits.trim().parse().unwrap(),
        }
    }

    /// How long the thread was kept since then.
    fn held_until(&self, later: &Self) -> Duration {
        if later.waits > self.waits {
            later.at - self.at
        } else {
            later.worked - self.worked
        }
    }
}

/// Does the work on a runtime of one thread, and tells the longest time that it kept the thread from
/// a task that always had something to do.
fn longest_hold(work: impl Future<Output = ()>) -> Duration {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let longest = Arc::new(Mutex::new(Duration::ZERO));
    let seen = Arc::clone(&longest);
    runtime.block_on(async move {
        let ticker = tokio::spawn(async move {
            let mut last = Moment::now();
            loop {
                yield_now().await;
                let now = Moment::now();
                let mut longest = seen.lock().unwrap();
                *longest = last.held_until(&now).max(*longest);
                drop(longest);
                last = now;
            }
        });
        yield_now().await;
        work.await;
        yield_now().await;
        ticker.abort();
    });
    *longest.lock().unwrap()
}

fn assert_never_held(what: &str, work: impl Future<Output = ()>) {
    let longest = longest_hold(work);
    assert!(longest < LIMIT, "{what} kept the thread for {longest:?}");
}

#[test]
fn the_executor_goes_on_while_the_driver_works() {
    let _turn = turn();
    assert!(longest_hold(async { thread::sleep(LIMIT) }) >= LIMIT);
    assert!(longest_hold(async { work_for(LIMIT) }) >= LIMIT);
    assert!(longest_hold(async { tokio::time::sleep(LIMIT).await }) < LIMIT);

    assert_never_held("a host that does not answer", async {
        let deaf = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = deaf.local_addr().unwrap().port();
        selection_fails(&format!("mongodb://127.0.0.1:{port}")).await;
    });
    assert_never_held("a name that no host has", async {
        selection_fails("mongodb://nobody.invalid").await;
    });
    let secure = Deployment::standalone()
        .tls(TlsMode::Required)
        .auth_root("ada", "lovelace")
        .start()
        .unwrap();
    assert_never_held("a login over TLS", log_in(&secure));
    assert_never_held("a large result", read_much(standalone()));
    assert_never_held("an end amid work", end_amid_work(standalone()));
}

fn work_for(long: Duration) {
    let worked = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
    let start = worked();
    while worked() - start < long {}
}

async fn selection_fails(uri: &str) {
    let mut options = ClientOptions::parse(uri).await.unwrap();
    options.server_selection_timeout = Some(Duration::from_millis(200));
    let client = Client::with_options(options).unwrap();
    let ping = client.database("d").run_command(doc! { "ping": 1 }).await;
    assert!(ping.is_err());
}

async fn log_in(secure: &Deployment) {
    let files = secure.tls().unwrap();
    for mechanism in [AuthMechanism::ScramSha1, AuthMechanism::ScramSha256] {
        let mut options = options(secure, "executor").await;
        let authority = TlsOptions::builder().ca_file_path(files.ca_file().to_owned());
        options.tls = Some(Tls::Enabled(authority.build()));
        options.credential = Some(
            Credential::builder()
                .username("ada".to_owned())
                .password("lovelace".to_owned())
                .mechanism(mechanism)
                .build(),
        );
        let client = Client::with_options(options).unwrap();
        let names = client.list_database_names().await.unwrap();
        assert!(names.contains(&"admin".to_owned()));
        client.shutdown().await;
    }
}

async fn read_much(deployment: &Deployment) {
    let client = Client::with_options(options(deployment, "executor").await).unwrap();
    let rows = client.database("executor").collection::<Document>("rows");
    rows.drop().await.unwrap();
    for _ in 0..100 {
        let some = (0..200).map(|n| doc! { "n": n, "text": "x".repeat(50) });
        rows.insert_many(some).await.unwrap();
    }
    let all = |cursor: Vec<Document>| assert_eq!(cursor.len(), 20_000);
    all(rows
        .find(doc! {})
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap());
    all(rows.find(doc! {}).await.unwrap().to_vec().await.unwrap());
    let mut cursor = rows.find(doc! {}).await.unwrap();
    let mut read = Vec::new();
    while cursor.advance().await.unwrap() {
        read.push(cursor.deserialize_current().unwrap());
    }
    all(read);
    client.shutdown().await;
}

/// Shuts one client down, and drops another, each with connections and open cursors.
async fn end_amid_work(deployment: &Deployment) {
    for is_shut_down in [true, false] {
        let client = Client::with_options(options(deployment, "executor").await).unwrap();
        let rows = client.database("executor").collection::<Document>("rows");
        let finds = (0..100).map(|_| rows.find(doc! {}).batch_size(1).into_future());
        let cursors = futures_util::future::try_join_all(finds).await.unwrap();
        drop(cursors);
        if is_shut_down {
            client.shutdown().await;
        }
    }
}
