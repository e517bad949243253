//! Every JSON case of the suites without I/O, and of the pool suite, as one named test.

#![expect(
    clippy::print_stderr,
    reason = "what is not run is told beside the harness's own lines"
)]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use conformance_tests::case::{Case, Context, Flavor, Outcome};
use conformance_tests::deployments::{DeploymentKind, Deployments};
use conformance_tests::skips::Skips;
use conformance_tests::spec_files::{self, SpecFolder};
use conformance_tests::suites;
use libtest_mimic::{Arguments, Completion, Failed, Trial};

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

fn run(arguments: &Arguments, folder: &std::path::Path) -> ExitCode {
    let skips = match Skips::of_repository() {
        Ok(skips) => Arc::new(skips),
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let context = Arc::new(Context {
        flavor: Flavor::Async,
        deployments: Deployments::started_on_demand(DeploymentKind::Standalone),
    });
    let mut trials: Vec<Trial> = cases(folder)
        .into_iter()
        .map(|case| trial(case, &skips, &context))
        .collect();
    let unused = skips
        .unused()
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
    let conclusion = libtest_mimic::run(arguments, trials);
    context.deployments.stop_all();
    conclusion.exit_code()
}

/// The cases of all suites that are run; files that cannot be read are failing tests too.
fn cases(folder: &std::path::Path) -> Vec<Result<Case, String>> {
    let mut left_out: BTreeMap<String, usize> = BTreeMap::new();
    let mut found = Vec::new();
    let paths = spec_files::json_files(folder).unwrap_or_else(|error| {
        found.push(Err(error));
        Vec::new()
    });
    for path in paths {
        match spec_files::read(&path) {
            Ok(Some(file)) if file.suite.is_run() => {
                found.extend(suites::cases(&file).into_iter().map(Ok));
            }
            Ok(Some(file)) => {
                *left_out.entry(format!("{:?}", file.suite)).or_default() +=
                    suites::cases(&file).len();
            }
            Ok(None) => {}
            Err(error) => found.push(Err(error)),
        }
    }
    for (suite, count) in left_out {
        eprintln!("not part of this release: {count} cases of suite {suite}");
    }
    found
}

fn trial(case: Result<Case, String>, skips: &Arc<Skips>, context: &Arc<Context>) -> Trial {
    let case = match case {
        Ok(case) => case,
        Err(error) => {
            return Trial::test(format!("unreadable: {error}"), move || Err(error.into()));
        }
    };
    let name = case.name();
    let reason = skips.reason(&name).map(str::to_owned);
    let context = Arc::clone(context);
    Trial::ignorable_test(name, move || match reason {
        None => completion(case.run(&context)),
        Some(reason) if case.suite().is_pure() => match case.run(&context) {
            Outcome::Passed => Err("stands in skips.txt and passes: remove the line".into()),
            _ => Ok(Completion::ignored_with(reason)),
        },
        Some(reason) => Ok(Completion::ignored_with(reason)),
    })
}

fn completion(outcome: Outcome) -> Result<Completion, Failed> {
    match outcome {
        Outcome::Passed => Ok(Completion::Completed),
        Outcome::Failed(why) => Err(why.into()),
        Outcome::Skipped(why) => Ok(Completion::ignored_with(why)),
    }
}
