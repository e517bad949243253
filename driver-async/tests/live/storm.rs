//! Operations that wait for a server on many runtimes at once.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use motorcade::{
    Client,
    bson::{Document, doc},
    error::ErrorKind,
    event::{EventHandler, sdam::SdamEvent},
    options::ClientOptions,
};
use motorcade_testserver::Deployment;

use crate::{
    runtimes::{patient, ping, run, single},
    servers::turn,
};

/// How many runtimes wait for one client's servers.
const RUNTIMES: [usize; 3] = [1, 4, 16];
/// The least time between two checks of a server (`minHeartbeatFrequencyMS`).
const SPACING: Duration = Duration::from_millis(500);
/// How many checks a change of the primary may cost a member.
const MOST_CHECKS: usize = 5;
/// How long a writer waits before it writes again.
const PACE: Duration = Duration::from_millis(20);

/// The checks that were begun, by server; only those that ask for an answer at once.
#[derive(Clone, Default)]
struct Checks(Arc<Mutex<HashMap<String, usize>>>);

impl Checks {
    fn of(options: &mut ClientOptions) -> Self {
        let checks = Self::default();
        let counted = checks.clone();
        options.sdam_event_handler = Some(EventHandler::callback(move |event| {
            if let SdamEvent::ServerHeartbeatStarted(check) = event
                && !check.awaited
            {
                let mut counts = counted.0.lock().unwrap();
                *counts.entry(check.server_address.to_string()).or_default() += 1;
            }
        }));
        checks
    }

    fn most(&self) -> usize {
        self.0.lock().unwrap().values().copied().max().unwrap_or(0)
    }

    fn forget(&self) {
        self.0.lock().unwrap().clear();
    }
}

/// Runs `work` on as many threads, each with a runtime of its own.
fn on_each<T: Send>(count: usize, work: impl AsyncFn() -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let begin = |_| scope.spawn(|| run(&single(), work()));
        let threads: Vec<_> = (0..count).map(begin).collect();
        threads.into_iter().map(|it| it.join().unwrap()).collect()
    })
}

/// Every one of them asks for checks as long as it waits.
#[test]
fn a_server_that_is_down_is_checked_each_half_second_whatever_number_of_runtimes_waits() {
    let _turn = turn();
    thread::scope(|scope| {
        for count in RUNTIMES {
            scope.spawn(move || wait_for_nobody(count));
        }
    });
}

fn wait_for_nobody(count: usize) {
    let uri = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=2200&heartbeatFrequencyMS=60000";
    let mut options = run(&single(), async {
        ClientOptions::parse(uri).await.unwrap()
    });
    let checks = Checks::of(&mut options);
    let client = Client::with_options(options).unwrap();
    let started = Instant::now();
    for outcome in on_each(count, async || ping(&client).await) {
        let error = outcome.unwrap_err();
        let is_selection = matches!(*error.kind, ErrorKind::ServerSelection { .. });
        assert!(is_selection, "{count} runtimes: {error:?}");
    }
    let checks = checks.most() as u128;
    let most = started.elapsed().as_millis() / SPACING.as_millis() + 1;
    assert!(
        checks <= most,
        "{count} runtimes: {checks} where {most} had room"
    );
    assert!(
        checks > 1,
        "{count} runtimes: nobody who asked for a check got one"
    );
}

/// They wait for an election, as the primary that steps down asks no other member to stand for it.
#[test]
fn a_change_of_the_primary_costs_few_checks_whatever_number_of_runtimes_waits() {
    let _turn = turn();
    let deployment = Deployment::replica_set(3)
        .election_timeout(Duration::from_secs(1))
        .parameter("enableElectionHandoff", "false")
        .start()
        .unwrap();
    let clients = RUNTIMES.map(|count| {
        let mut options = patient(&deployment, "step-down");
        let checks = Checks::of(&mut options);
        let client = Client::with_options(options).unwrap();
        run(&single(), write(&client));
        assert!(checks.most() > 0, "the primary was found without a check");
        checks.forget();
        (count, client, checks)
    });
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for (count, client, _) in &clients {
            scope.spawn(|| on_each(*count, async || write_until(client, &is_over).await));
        }
        let step_down = doc! { "replSetStepDown": 10, "secondaryCatchUpPeriodSecs": 5 };
        let primary = deployment.wait_for_primary().unwrap();
        deployment.run_admin_command(primary, &step_down).unwrap();
        let next = deployment.wait_for_primary().unwrap();
        assert_ne!(primary, next);
        is_over.store(true, Ordering::Relaxed);
    });
    for (count, _, checks) in clients {
        let most = checks.most();
        assert!(
            most <= MOST_CHECKS,
            "{count} runtimes: {most} checks of one member"
        );
    }
}

/// Writes now and then, and once more when it is over.
async fn write_until(client: &Client, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        write(client).await;
        tokio::time::sleep(PACE).await;
    }
    write(client).await;
}

async fn write(client: &Client) {
    let written = client.database("storm").collection::<Document>("written");
    written.insert_one(doc! {}).await.unwrap();
}
