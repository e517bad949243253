//! What an application is told while the primary changes again and again.
//!
//! One run steps the primary down five times, kills it once and freezes it once, while 16 threads
//! write and 4 move amounts between accounts. `ELECTION_ROUNDS=10` in the environment makes that
//! ten times as much, and tells how long the writers had to wait: see [`Outages`].

#![expect(
    clippy::print_stderr,
    reason = "a long run is made for the figures that it tells"
)]

mod accounts;
mod watcher;
mod work;
mod writers;

use std::time::{Duration, Instant, SystemTime};

use conformance_tests::behaviour::Deployment;
use motorcade_testserver as testserver;

use self::accounts::Accounts;
use self::watcher::Watcher;
use self::work::{EndOfWork, Work};
use self::writers::Writers;
use super::servers::{operations, wait_until, writable};
use crate::flavor::driver::Client;
use crate::flavor::driver::bson::doc;
use crate::flavor::{FLAVOR, wait};

conformance_tests::behaviours! {
    // Older primaries interrupt writes before they say that they step down, and then refuse the one
    // retry, too. Those of 4.2 also tell of it within write errors, which no driver may get past.
    R130 what_was_acknowledged_survives_elections: ReplicaSet, Disturbs, since (5, 0);
}

const WRITERS: usize = 16;
const TELLERS: usize = 4;

/// What happens to a primary, in this order.
const ROUND: [Outage; 7] = [
    Outage::StepDown,
    Outage::StepDown,
    Outage::Kill,
    Outage::StepDown,
    Outage::Freeze,
    Outage::StepDown,
    Outage::StepDown,
];

/// The driver notices a frozen server when it is silent for these two together, and sends what was
/// under way there to the next primary.
const OPTIONS: &str = "w=majority&retryWrites=true&heartbeatFrequencyMS=1000&connectTimeoutMS=2000";

/// What can happen to a primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outage {
    StepDown,
    Kill,
    Freeze,
}

/// Each acknowledged write is there once, each acknowledged transfer as a whole, and a change
/// stream sees each insert once and in order. No error reaches the application: a write is tried
/// again once, a transaction as a whole for 120 s, and a primary is lost only when the loss before
/// is overcome.
fn what_was_acknowledged_survives_elections(deployment: &Deployment) {
    let client = wait!(Client::with_uri_str(deployment.uri_with(OPTIONS))).expect("parses");
    let database = client.database(deployment.database_name());
    let writers = Writers::of(&database, WRITERS);
    let watcher = Watcher::of(&writers.inserted);
    let accounts = Accounts::open(&client, &database);
    let work = Work::new(WRITERS + TELLERS);
    let outages = std::thread::scope(|scope| {
        // Also when a claim fails here, or the threads would be waited for without end.
        let _end = EndOfWork(&work);
        for number in 0..WRITERS {
            let (writers, work) = (&writers, &work);
            scope.spawn(move || work.repeat(number, |turn| writers.write(number, turn)));
        }
        for number in 0..TELLERS {
            let (accounts, work) = (&accounts, &work);
            let place = WRITERS + number;
            scope.spawn(move || work.repeat(place, |turn| accounts.transfer(number, turn)));
        }
        let mut outages = Outages::default();
        for outage in rounds() {
            work.wait_for_everyone();
            outages.lasted.push(perform(deployment, outage, &work));
        }
        work.wait_for_everyone();
        outages
    });
    writers.check(&work.done()[..WRITERS]);
    watcher.check(&work.done()[..WRITERS]);
    accounts.check(&work.done()[WRITERS..]);
    outages.tell(work.done().iter().sum());
}

fn rounds() -> Vec<Outage> {
    let rounds = std::env::var("ELECTION_ROUNDS").ok();
    let rounds = rounds.map_or(1, |rounds| rounds.parse().expect("is a number of rounds"));
    ROUND.repeat(rounds)
}

/// Takes the primary away and, once everyone gets on with another, gives it back.
fn perform(deployment: &Deployment, outage: Outage, work: &Work) -> Lasted {
    let servers = deployment.servers();
    let old = writable(deployment);
    let primary = servers.member(old);
    match outage {
        Outage::StepDown => {
            // With force, also when no other member has what was not yet acknowledged.
            let command = doc! {
                "replSetStepDown": 3, "secondaryCatchUpPeriodSecs": 1, "force": true,
            };
            primary.run_admin_command(&command).expect("steps down");
        }
        Outage::Kill => primary.kill(),
        Outage::Freeze => primary.pause().expect("pauses"),
    }
    let (lost, lost_at) = (Instant::now(), SystemTime::now());
    if outage == Outage::Freeze {
        // Not until all have success: a member that replicated from the frozen one may wait for it
        // as long as it is frozen, and writes for the majority wait with it.
        wait_until("writes at another primary", || {
            are_written_to(deployment, old).then_some(())
        });
        primary.resume().expect("goes on");
    }
    work.wait_for_everyone();
    if outage == Outage::Kill {
        primary.restart().expect("starts again");
    }
    servers.wait_until_ready().expect("the set is whole again");
    let whole = work.first_success_after(lost);
    let since_election = (lost_at + whole).duration_since(last_election(deployment));
    Lasted {
        outage,
        whole,
        since_election: since_election.unwrap_or_default(),
    }
}

/// When the primary began to take writes.
fn last_election(deployment: &Deployment) -> SystemTime {
    let servers = deployment.servers();
    let status = doc! { "replSetGetStatus": 1 };
    let status = servers.run_admin_command(writable(deployment), &status);
    let status = status.expect("tells its status");
    let election = status.get_document("electionCandidateMetrics");
    let began = election.and_then(|election| election.get_datetime("newTermStartDate"));
    began.expect("was elected").to_system_time()
}

/// Whether the application's writes have come to another primary than that one.
fn are_written_to(deployment: &Deployment, old: usize) -> bool {
    let members = deployment.servers().members();
    let others = (0..members.len()).filter(|member| *member != old);
    let mut primaries =
        others.filter(|member| matches!(members[*member].role(), Ok(testserver::Role::Primary)));
    let write = doc! { "$or": [
        { "command.insert": { "$exists": true } },
        { "command.update": { "$exists": true } },
    ] };
    primaries.any(|primary| !operations(deployment, primary, write.clone()).is_empty())
}

/// How long an outage lasted for those who work.
struct Lasted {
    outage: Outage,
    /// Until something that was begun after the loss had succeeded.
    whole: Duration,
    /// The part of it in which there was a primary again.
    since_election: Duration,
}

/// The outages of a run.
#[derive(Default)]
struct Outages {
    lasted: Vec<Lasted>,
}

impl Outages {
    /// Tells the median and the worst of each kind after a long run.
    fn tell(&self, done: usize) {
        if self.lasted.len() == ROUND.len() {
            return;
        }
        let driver = FLAVOR.name();
        eprintln!(
            "{driver}: {done} writes and transfers, each of them there once and each insert seen once"
        );
        for outage in [Outage::StepDown, Outage::Kill, Outage::Freeze] {
            let of_kind = || self.lasted.iter().filter(|lasted| lasted.outage == outage);
            let whole = median_and_worst(of_kind().map(|lasted| lasted.whole));
            let since = median_and_worst(of_kind().map(|lasted| lasted.since_election));
            let times = of_kind().count();
            eprintln!(
                "{driver}: {times} x {outage:?}: median {} ms, worst {} ms; of that, with a \
                 primary there again: median {} ms, worst {} ms",
                whole.0, whole.1, since.0, since.1
            );
        }
    }
}

/// In milliseconds.
fn median_and_worst(times: impl Iterator<Item = Duration>) -> (u128, u128) {
    let mut times: Vec<_> = times.map(|time| time.as_millis()).collect();
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() - 1])
}
