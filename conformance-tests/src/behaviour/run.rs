//! The main function of the two test binaries.

#![expect(
    clippy::print_stderr,
    reason = "notes stand beside the harness's own lines"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use super::lanes::Lanes;
use super::{Access, BehaviourCase, Deployment};
use crate::case::{Flavor, panic_text};
use crate::deployments::{DeploymentKind, Deployments, Running};
use crate::ledger::{self, Ending, Entry, Ledger};

const KINDS: [DeploymentKind; 2] = [DeploymentKind::Standalone, DeploymentKind::ReplicaSet];

/// The server's limit for a database name is 63 bytes.
const DATABASE_NAME_LENGTH: usize = 60;

/// What all cases of a run share.
struct Shared {
    flavor: Flavor,
    deployments: Deployments,
    lanes: [Lanes; KINDS.len()],
    entries: Mutex<Vec<(String, Entry)>>,
}

/// Runs the cases as one test each on every kind of deployment they name, following the command
/// line of Rust's own test harness. A run of all cases leaves its ledger in `ledgers` and, when
/// the other flavour's ledger there is of the same sources, fails where the two differ.
pub fn run(flavor: Flavor, cases: &[BehaviourCase], ledgers: &Path) -> ExitCode {
    let arguments = Arguments::from_args();
    let shared = Arc::new(Shared {
        flavor,
        deployments: Deployments::started_on_demand(DeploymentKind::Standalone),
        lanes: Default::default(),
        entries: Mutex::default(),
    });
    let conclusion = libtest_mimic::run(&arguments, trials(cases, &shared));
    shared.deployments.stop_all();
    let is_whole = !cases.is_empty() && ledger::is_whole(&arguments);
    let differs = is_whole && differs_from_other(&arguments, &shared, ledgers);
    if conclusion.has_failed() || differs {
        ExitCode::from(101)
    } else {
        ExitCode::SUCCESS
    }
}

/// Cases that disturb stand last, because the harness starts them in this order.
fn trials(cases: &[BehaviourCase], shared: &Arc<Shared>) -> Vec<Trial> {
    let mut trials = Vec::new();
    for disturbs in [false, true] {
        for (kind, case) in KINDS
            .into_iter()
            .flat_map(|kind| cases.iter().map(move |c| (kind, c)))
        {
            if case.on.includes(kind) && (case.access == Access::Disturbs) == disturbs {
                trials.push(trial(*case, kind, Arc::clone(shared)));
            }
        }
    }
    trials
}

fn trial(case: BehaviourCase, kind: DeploymentKind, shared: Arc<Shared>) -> Trial {
    let name = case.name_on(kind);
    Trial::ignorable_test(name.clone(), move || {
        let [standalone, replica_set] = &shared.lanes;
        let lanes = match kind {
            DeploymentKind::Standalone => standalone,
            _ => replica_set,
        };
        let version = shared.version(kind)?;
        if let Some(objection) = case.objection_to(&version) {
            return Ok(Completion::ignored_with(objection));
        }
        lanes.enter(case.lane_on(&version), || {
            shared.run(&case, kind, name)?;
            Ok(Completion::Completed)
        })
    })
}

impl Shared {
    /// The version of the servers of that kind, which are started when they are not yet there.
    fn version(&self, kind: DeploymentKind) -> Result<String, Failed> {
        let running = self.deployments.of_kind(kind)?;
        let version = running
            .servers()
            .map(|servers| servers.version().to_owned());
        Ok(version.unwrap_or_default())
    }

    fn run(&self, case: &BehaviourCase, kind: DeploymentKind, name: String) -> Result<(), Failed> {
        let running = self.deployments.of_kind(kind)?;
        let label = format!("{}_{}_{}", self.flavor.name(), case.id, case.name);
        let label = label.chars().take(DATABASE_NAME_LENGTH).collect();
        let deployment = Deployment::new(Arc::clone(&running), label);
        let outcome = catch_unwind(AssertUnwindSafe(|| (case.run)(&deployment)))
            .map_err(|payload| panic_text(&*payload))
            .and_then(|()| {
                if case.access == Access::Disturbs {
                    heal(&running)
                } else {
                    Ok(())
                }
            });
        let ending = if outcome.is_ok() {
            Ending::Passed
        } else {
            Ending::Failed
        };
        let entry = Entry {
            ending,
            observations: deployment.into_observations(),
        };
        self.entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((name, entry));
        if outcome.is_err() {
            if let Some(servers) = running.servers() {
                servers.keep_logs();
            }
            if case.access == Access::Disturbs {
                self.deployments.discard(kind);
            }
        }
        Ok(outcome?)
    }
}

/// Waits until a disturbed deployment is whole again, for the next case's sake.
fn heal(running: &Running) -> Result<(), String> {
    let healed = running
        .servers()
        .map_or(Ok(()), |servers| servers.wait_until_ready());
    healed.map_err(|error| format!("left the deployment disturbed: {error}"))
}

/// Writes this run's ledger and compares; the comparison is a test of its own in the output.
fn differs_from_other(arguments: &Arguments, shared: &Shared, ledgers: &Path) -> bool {
    let (own, other) = (shared.flavor, shared.flavor.other());
    let ledger = match write_ledger(shared, ledgers) {
        Ok(ledger) => ledger,
        Err(error) => {
            eprintln!("the ledgers of both flavours are not compared: {error}");
            return false;
        }
    };
    let Some(twin) = Ledger::read(ledgers, other).filter(|twin| twin.is_comparable_with(&ledger))
    else {
        let other = other.name();
        eprintln!("the {other} flavour has not run from these sources: no ledgers to compare");
        return false;
    };
    let trial = Trial::test("ledgers::both_flavors_did_the_same", move || {
        let differences = ledger.differences(&twin, [own, other]);
        if differences.is_empty() {
            Ok(())
        } else {
            Err(differences.join("\n").into())
        }
    });
    libtest_mimic::run(arguments, vec![trial]).has_failed()
}

fn write_ledger(shared: &Shared, ledgers: &Path) -> std::io::Result<Ledger> {
    let mut ledger = Ledger::new(ledger::fingerprint_of_sources()?);
    for (name, entry) in shared
        .entries
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .drain(..)
    {
        ledger.record(name, entry);
    }
    ledger.write(ledgers, shared.flavor)?;
    Ok(ledger)
}
