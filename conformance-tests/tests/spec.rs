//! Every JSON case as a named test: those without I/O once, those that speak to servers once for
//! each driver, as `async: suite/...` and `sync: suite/...`.

#![expect(
    clippy::print_stderr,
    reason = "what is not run is told beside the harness's own lines"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use conformance_tests::case::{Case, Context, Ended, Flavor, Outcome};
use conformance_tests::deployments::{DeploymentKind, Deployments};
use conformance_tests::ledger::{self, Ending, Entry, Ledger};
use conformance_tests::skips::Skips;
use conformance_tests::spec_files::{self, SpecFolder};
use conformance_tests::suites::{self, Suite};
use conformance_tests::unified::schema;
use libtest_mimic::{Arguments, Completion, Failed, Trial};

const FLAVORS: [Flavor; 2] = [Flavor::Async, Flavor::Sync];

/// What all cases of one driver share.
struct Side {
    context: Context,
    ledger: Mutex<Ledger>,
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    match spec_files::spec_folder() {
        SpecFolder::Found(folder) => run(&arguments, &folder),
        SpecFolder::Absent(why) => {
            eprintln!("no spec case is run: {why}");
            libtest_mimic::run(&arguments, Vec::new()).exit_code()
        }
        SpecFolder::Misnamed(why) => {
            let trial = Trial::test("spec_tests_folder", move || Err(Failed::from(why)));
            libtest_mimic::run(&arguments, vec![trial]).exit_code()
        }
    }
}

fn run(arguments: &Arguments, folder: &Path) -> ExitCode {
    let skips = match Skips::of_repository() {
        Ok(skips) => Arc::new(skips),
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let sides = FLAVORS.map(|flavor| Arc::new(Side::new(flavor)));
    let mut at_hand = BTreeSet::new();
    let mut trials = trials(folder, &skips, &sides, &mut at_hand);
    // What the specifications' own cases do not try of the runner.
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    trials.extend(self::trials(&own, &skips, &sides, &mut at_hand));
    let unused = skips
        .unused(|file| at_hand.contains(file))
        .into_iter()
        .map(str::to_owned)
        .collect::<Vec<_>>();
    trials.push(Trial::test(
        "every_line_of_skips_txt_meets_a_case",
        move || {
            if unused.is_empty() {
                Ok(())
            } else {
                Err(format!("unused: {unused:#?}").into())
            }
        },
    ));
    let folder = folder.to_owned();
    trials.push(Trial::test(
        "every_unified_file_follows_the_schema",
        move || follow_the_schema(&folder),
    ));
    let conclusion = libtest_mimic::run(arguments, trials);
    let differs = ledger::is_whole(arguments) && differ(arguments, &sides);
    for side in &sides {
        side.context.deployments.stop_all();
    }
    if conclusion.has_failed() || differs {
        ExitCode::from(101)
    } else {
        ExitCode::SUCCESS
    }
}

impl Side {
    /// Each driver has servers of its own, so that both can be tested at the same time: names of
    /// collections and fail points are the same in many cases.
    fn new(flavor: Flavor) -> Self {
        let deployments = Deployments::started_on_demand(DeploymentKind::Standalone)
            .choosing_from(DeploymentKind::ALL);
        Self {
            context: Context {
                flavor,
                deployments,
            },
            ledger: Mutex::new(Ledger::new(String::new())),
        }
    }

    fn run(&self, case: Case) -> Outcome {
        // Only what both drivers do is written down.
        if !matches!(case.suite(), Suite::Unified(_)) {
            return case.run(&self.context);
        }
        let name = case.name();
        let Ended {
            outcome,
            observations,
            ..
        } = case.run_observed(&self.context);
        if let Some(ending) = Ending::of(&outcome) {
            let entry = Entry {
                ending,
                observations,
            };
            self.ledger
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .record(name, entry);
        }
        outcome
    }
}

/// The cases of all suites that are run; files that cannot be read are failing tests too. The names
/// of the files are added to those at hand.
fn trials(
    folder: &Path,
    skips: &Arc<Skips>,
    sides: &[Arc<Side>; 2],
    at_hand: &mut BTreeSet<String>,
) -> Vec<Trial> {
    let mut left_out: BTreeMap<String, usize> = BTreeMap::new();
    let mut trials = Vec::new();
    let unreadable =
        |error: String| Trial::test(format!("unreadable: {error}"), move || Err(error.into()));
    let paths = spec_files::json_files(folder).unwrap_or_else(|error| {
        trials.push(unreadable(error));
        Vec::new()
    });
    for path in paths {
        let file = spec_files::read(&path);
        if let Ok(Some(file)) = &file {
            at_hand.insert(file.name.clone());
        }
        match file {
            Ok(Some(file)) if !file.suite.is_run() => {
                *left_out.entry(format!("{:?}", file.suite)).or_default() +=
                    suites::cases(&file).len();
            }
            Ok(Some(file)) => match (file.suite, sides) {
                // The cases of both drivers stand side by side, because the harness starts them in
                // this order, and each waits for the one before it on the same driver's servers.
                (Suite::Unified(_), [first, second]) => {
                    let pairs = suites::cases(&file).into_iter().zip(suites::cases(&file));
                    for (one, other) in pairs {
                        trials.push(trial(one, skips, first));
                        trials.push(trial(other, skips, second));
                    }
                }
                (_, [side, _]) => trials.extend(
                    suites::cases(&file)
                        .into_iter()
                        .map(|case| trial(case, skips, side)),
                ),
            },
            Ok(None) => {}
            Err(error) => trials.push(unreadable(error)),
        }
    }
    for (suite, count) in left_out {
        eprintln!("not part of this release: {count} cases of suite {suite}");
    }
    trials
}

/// Fails when the format's schema refuses a file that is not meant to break it.
fn follow_the_schema(folder: &Path) -> Result<(), Failed> {
    let mut refused = Vec::new();
    for path in spec_files::json_files(folder)? {
        if let Some(file) = spec_files::read(&path)?
            && matches!(file.suite, Suite::Unified(_))
        {
            refused.extend(schema::validate(&file).err());
        }
    }
    if refused.is_empty() {
        return Ok(());
    }
    Err(format!("refused: {refused:#?}").into())
}

fn trial(case: Case, skips: &Arc<Skips>, side: &Arc<Side>) -> Trial {
    let name = match case.suite() {
        Suite::Unified(_) => format!("{}: {}", side.context.flavor.name(), case.name()),
        _ => case.name(),
    };
    let reason = skips.reason(&case.name()).map(str::to_owned);
    let side = Arc::clone(side);
    Trial::ignorable_test(name, move || match reason {
        None => completion(side.run(case)),
        Some(reason) => match side.run(case) {
            Outcome::Passed => Err("stands in skips.txt and passes: remove the line".into()),
            _ => Ok(Completion::ignored_with(reason)),
        },
    })
}

fn completion(outcome: Outcome) -> Result<Completion, Failed> {
    match outcome {
        Outcome::Passed => Ok(Completion::Completed),
        Outcome::Failed(why) => Err(why.into()),
        Outcome::Skipped(why) => Ok(Completion::ignored_with(why)),
    }
}

/// Compares what the two drivers did; the comparison is a test of its own in the output.
fn differ(arguments: &Arguments, sides: &[Arc<Side>; 2]) -> bool {
    let sides = sides.clone();
    let trial = Trial::test("ledgers::both_flavors_did_the_same", move || {
        let [one, other] = sides.map(|side| {
            let empty = Ledger::new(String::new());
            let mut ledger = side.ledger.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *ledger, empty)
        });
        let differences = one.differences(&other, FLAVORS);
        if differences.is_empty() {
            Ok(())
        } else {
            Err(differences.join("\n").into())
        }
    });
    libtest_mimic::run(arguments, vec![trial]).has_failed()
}
