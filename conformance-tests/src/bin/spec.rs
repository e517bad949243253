//! Runs the spec cases of the JSON files and folders given: one line a case, counts at the end.

#![expect(
    clippy::print_stdout,
    reason = "the lines on standard output are what this binary is for"
)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use conformance_tests::case::{Case, Context, Flavor, Outcome};
use conformance_tests::deployments::{DeploymentKind, Deployments};
use conformance_tests::skips::Skips;
use conformance_tests::{spec_files, suites};

/// Run driver specification cases from JSON files anywhere.
#[derive(Debug, Parser)]
struct Arguments {
    /// The driver under test.
    #[arg(long, value_enum, default_value = "async")]
    flavor: FlavorName,
    /// The deployment that live cases run on; started when the first one asks.
    #[arg(long, value_enum, default_value = "standalone")]
    deployment: DeploymentName,
    /// Run live cases on this deployment and start none.
    #[arg(long)]
    uri: Option<String>,
    /// JSON files, or folders that are searched for them.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FlavorName {
    Async,
    Sync,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum DeploymentName {
    Standalone,
    ReplicaSet,
}

#[derive(Default)]
struct Counts {
    passed: usize,
    failed: usize,
    skipped: usize,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let skips = match Skips::of_repository() {
        Ok(skips) => skips,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let (cases, errors) = find_cases(&arguments.paths);
    let context = context(&arguments);
    let mut counts = Counts::default();
    for case in cases {
        let name = case.name();
        let outcome = match skips.reason(&name) {
            Some(reason) => Outcome::Skipped(reason.to_owned()),
            None => case.run(&context),
        };
        report(&name, &outcome, &mut counts);
    }
    for error in &errors {
        println!("FAIL {error}");
        counts.failed += 1;
    }
    let Counts {
        passed,
        failed,
        skipped,
    } = counts;
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    if passed + failed + skipped == 0 {
        eprintln!("error: no case was found in the paths given");
        return ExitCode::FAILURE;
    }
    if failed > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn context(arguments: &Arguments) -> Context {
    let flavor = match arguments.flavor {
        FlavorName::Async => Flavor::Async,
        FlavorName::Sync => Flavor::Sync,
    };
    let kind = match arguments.deployment {
        DeploymentName::Standalone => DeploymentKind::Standalone,
        DeploymentName::ReplicaSet => DeploymentKind::ReplicaSet,
    };
    let deployments = match &arguments.uri {
        Some(uri) => Deployments::at(kind, uri.clone()),
        None => Deployments::started_on_demand(kind),
    };
    Context {
        flavor,
        deployments,
    }
}

/// The cases of all paths, and what could not be read: one bad file does not hide the others.
fn find_cases(paths: &[PathBuf]) -> (Vec<Case>, Vec<String>) {
    let (mut cases, mut errors) = (Vec::new(), Vec::new());
    for path in paths {
        let files = spec_files::json_files(path).unwrap_or_else(|error| {
            errors.push(error);
            Vec::new()
        });
        for file in files {
            match spec_files::read(&file) {
                Ok(Some(file)) => cases.extend(suites::cases(&file)),
                Ok(None) => {}
                Err(error) => errors.push(error),
            }
        }
    }
    (cases, errors)
}

/// Prints the outcome of one case on one line, whatever line breaks its texts hold.
fn report(name: &str, outcome: &Outcome, counts: &mut Counts) {
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let name = one_line(name);
    match outcome {
        Outcome::Passed => {
            counts.passed += 1;
            println!("ok   {name}");
        }
        Outcome::Failed(why) => {
            counts.failed += 1;
            println!("FAIL {name}: {}", one_line(why));
        }
        Outcome::Skipped(why) => {
            counts.skipped += 1;
            println!("skip {name}: {}", one_line(why));
        }
    }
}
