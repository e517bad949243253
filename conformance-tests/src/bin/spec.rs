//! Runs the spec cases of the JSON files and folders given: one line a case, a summary at the end.

#![expect(
    clippy::print_stdout,
    reason = "the lines on standard output are what this binary is for"
)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use conformance_tests::case::{Case, Context, Flavor, Outcome};
use conformance_tests::deployments::{DeploymentKind, Deployments};
use conformance_tests::ledger::{Ending, Entry, Ledger};
use conformance_tests::report::{Line, Report};
use conformance_tests::skips::Skips;
use conformance_tests::spec_files::{self, SpecFile};
use conformance_tests::suites;
use motorcade_testserver::Secantus;

/// Run driver specification cases from JSON files anywhere.
#[derive(Debug, Parser)]
struct Arguments {
    /// The driver under test.
    #[arg(long, value_enum, default_value = "async")]
    flavor: FlavorName,
    /// The deployment that live cases run on; started when the first one asks.
    #[arg(long, value_enum, default_value = "any")]
    deployment: DeploymentName,
    /// Run live cases on this deployment and start none.
    #[arg(long)]
    uri: Option<String>,
    /// Write what came of each case to this file, as JUnit XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write a table of the suites to this file, in Markdown.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// JSON files, or folders that are searched for them.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FlavorName {
    Async,
    Sync,
    /// One after the other, or at the same time where each has servers of its own.
    Both,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DeploymentName {
    /// A replica set, and others for cases that don't run on one.
    Any,
    Standalone,
    ReplicaSet,
    /// Stand-ins for two routers; they show what a client does with such, and no more.
    Routers,
    /// A stand-in for a load balancer.
    Balancer,
    /// SecantusDB, a stand-in that speaks commands of MongoDB 8; its results stand under its name.
    Secantus,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// True when no case failed and both drivers did the same.
fn run(arguments: &Arguments) -> Result<bool, String> {
    let skips = Skips::of_repository()?;
    let (files, errors) = find_files(&arguments.paths);
    let stand_in = (arguments.deployment == DeploymentName::Secantus)
        .then(|| format!("SecantusDB {}", Secantus::VERSION));
    let mut report = Report::new(stand_in);
    for error in errors {
        add_unreadable(&mut report, error);
    }
    let flavors: &[Flavor] = match arguments.flavor {
        FlavorName::Async => &[Flavor::Async],
        FlavorName::Sync => &[Flavor::Sync],
        FlavorName::Both => &[Flavor::Async, Flavor::Sync],
    };
    let report = Mutex::new(report);
    let sides = flavors.iter().enumerate().map(|(index, flavor)| Side {
        context: Context {
            flavor: *flavor,
            deployments: deployments(arguments),
        },
        is_first: index == 0,
        names_driver: flavors.len() > 1,
        skips: &skips,
        report: &report,
    });
    let ledgers = run_sides(sides.collect(), &files, arguments.uri.is_some());
    let report = report.into_inner().unwrap_or_else(PoisonError::into_inner);
    let agrees = match &ledgers[..] {
        [one, other] => agree(one, other),
        _ => true,
    };
    conclude(arguments, &report).map(|is_green| is_green && agrees)
}

fn deployments(arguments: &Arguments) -> Deployments {
    let either = [DeploymentKind::ReplicaSet, DeploymentKind::Standalone];
    if let Some(uri) = &arguments.uri {
        let kind = match arguments.deployment {
            DeploymentName::Standalone => DeploymentKind::Standalone,
            DeploymentName::ReplicaSet => DeploymentKind::ReplicaSet,
            _ if uri.to_lowercase().contains("replicaset=") => DeploymentKind::ReplicaSet,
            _ => DeploymentKind::Standalone,
        };
        return Deployments::at(kind, uri.clone());
    }
    match arguments.deployment {
        DeploymentName::Any => Deployments::started_on_demand(DeploymentKind::Standalone)
            .choosing_from(DeploymentKind::ALL),
        DeploymentName::Standalone => Deployments::started_on_demand(DeploymentKind::Standalone),
        DeploymentName::ReplicaSet => Deployments::started_on_demand(DeploymentKind::ReplicaSet),
        DeploymentName::Routers => Deployments::started_on_demand(DeploymentKind::Routers),
        DeploymentName::Balancer => Deployments::started_on_demand(DeploymentKind::Balancer),
        DeploymentName::Secantus => {
            Deployments::stood_in_for(DeploymentKind::Standalone).choosing_from(either)
        }
    }
}

/// The files of all paths, and what could not be read: one bad file does not hide the others.
fn find_files(paths: &[PathBuf]) -> (Vec<SpecFile>, Vec<String>) {
    let (mut found, mut errors) = (Vec::new(), Vec::new());
    for path in paths {
        let files = spec_files::json_files(path).unwrap_or_else(|error| {
            errors.push(error);
            Vec::new()
        });
        for file in files {
            match spec_files::read(&file) {
                Ok(file) => found.extend(file),
                Err(error) => errors.push(error),
            }
        }
    }
    (found, errors)
}

fn add_unreadable(report: &mut Report, error: String) {
    println!("FAIL {error}");
    report.add(Line {
        suite: "unreadable".to_owned(),
        flavor: None,
        name: error.clone(),
        outcome: Outcome::Failed(error),
        time: Duration::ZERO,
    });
}

/// The cases of one driver.
struct Side<'a> {
    context: Context,
    /// The first driver's side also has the cases that go past the drivers' interface.
    is_first: bool,
    names_driver: bool,
    skips: &'a Skips,
    report: &'a Mutex<Report>,
}

/// Runs all sides, at the same time unless they share their deployment.
fn run_sides(sides: Vec<Side<'_>>, files: &[SpecFile], share: bool) -> Vec<Ledger> {
    if share {
        return sides.into_iter().map(|side| side.run(files)).collect();
    }
    std::thread::scope(|scope| {
        let running: Vec<_> = sides
            .into_iter()
            .map(|side| scope.spawn(|| side.run(files)))
            .collect();
        // A side's own panics are those of its cases, which are caught.
        running
            .into_iter()
            .filter_map(|side| side.join().ok())
            .collect()
    })
}

impl Side<'_> {
    fn run(self, files: &[SpecFile]) -> Ledger {
        let mut ledger = Ledger::new(String::new());
        for file in files {
            let is_of_driver = file.suite.is_of_driver();
            if is_of_driver || self.is_first {
                for case in suites::cases(file) {
                    self.run_case(case, is_of_driver.then_some(&mut ledger));
                }
            }
        }
        self.context.deployments.stop_all();
        ledger
    }

    fn run_case(&self, case: Case, ledger: Option<&mut Ledger>) {
        let (name, suite) = (case.name(), case.suite().specification().to_owned());
        let flavor = ledger.is_some().then_some(self.context.flavor);
        let begin = Instant::now();
        let ended = match self.skips.reason(&name) {
            Some(reason) => Outcome::Skipped(reason.to_owned()).into(),
            None => case.run_observed(&self.context),
        };
        let suite = match ended.stand_in {
            None => suite,
            Some(stand_in) => format!("{suite}, {stand_in}"),
        };
        let line = Line {
            suite,
            flavor,
            name,
            outcome: ended.outcome,
            time: begin.elapsed(),
        };
        if let Some(ledger) = ledger
            && let Some(ending) = Ending::of(&line.outcome)
        {
            let observations = ended.observations;
            let entry = Entry {
                ending,
                observations,
            };
            ledger.record(line.name.clone(), entry);
        }
        print(&line, self.names_driver);
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        report.add(line);
    }
}

/// Prints the outcome of one case on one line, whatever line breaks its texts hold.
fn print(line: &Line, names_driver: bool) {
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let name = match line.flavor {
        Some(flavor) if names_driver => format!("{}: {}", flavor.name(), one_line(&line.name)),
        _ => one_line(&line.name),
    };
    match &line.outcome {
        Outcome::Passed => println!("ok   {name}"),
        Outcome::Failed(why) => println!("FAIL {name}: {}", one_line(why)),
        Outcome::Skipped(why) => println!("skip {name}: {}", one_line(why)),
    }
}

fn agree(one: &Ledger, other: &Ledger) -> bool {
    let differences = one.differences(other, [Flavor::Async, Flavor::Sync]);
    for difference in &differences {
        println!("DIFF {difference}");
    }
    differences.is_empty()
}

/// Prints and writes the reports; true when no case failed.
fn conclude(arguments: &Arguments, report: &Report) -> Result<bool, String> {
    print!("{}", report.summary());
    let counts = report.counts();
    let (passed, failed, skipped) = (counts.passed, counts.failed, counts.skipped);
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    if let Some(path) = &arguments.junit {
        write(path, &report.junit())?;
    }
    if let Some(path) = &arguments.markdown {
        write(path, &report.markdown())?;
    }
    if passed + failed + skipped == 0 {
        return Err("no case was found in the paths given".to_owned());
    }
    Ok(failed == 0)
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}
