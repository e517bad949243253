//! The weight of the driver's spine: what common operations cost the client, next to the same
//! bytes over a bare socket.
//!
//! `cargo bench -p conformance-tests --bench spine`, with `-- --callgrind` for instruction counts
//! (a minute or two more), `-- --quick` for a first look, and `-- hello` for some tasks only. It
//! starts its own server. CPU times are those of this process, user and system.

#![expect(
    clippy::print_stdout,
    reason = "the table on standard output is what a bench is for"
)]

mod callgrind;
mod driver;
mod measure;
mod raw;
mod report;
mod server;
mod socket;
mod task;
mod tweets;

use clap::Parser;

use crate::callgrind::{Instructions, Side};
use crate::measure::Pair;
use crate::report::Row;
use crate::task::{Setting, TASKS, Task};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const ROUNDS: usize = 15;
const QUICK_ROUNDS: usize = 3;
/// Fewer than are timed, since callgrind makes them slow; the counts hold for one document.
const COUNTED_DOCUMENTS: usize = 2_000;

/// Measure what the driver's operations cost.
#[derive(Debug, Parser)]
struct Arguments {
    /// Only tasks whose names contain one of these.
    tasks: Vec<String>,
    /// Run few rounds: enough to see that it works.
    #[arg(long)]
    quick: bool,
    /// Also count user instructions; needs valgrind.
    #[arg(long)]
    callgrind: bool,
    /// Measure on a replica set of one member.
    #[arg(long)]
    replica_set: bool,
    /// Cargo passes this.
    #[arg(long, hide = true)]
    bench: bool,
    /// What this process does when it runs under callgrind.
    #[command(flatten)]
    child: Option<ChildArguments>,
}

#[derive(Debug, clap::Args)]
#[group(requires_all = ["counted", "side", "times", "uri", "address"])]
struct ChildArguments {
    #[arg(long, hide = true, required = false)]
    counted: String,
    #[arg(long, hide = true, required = false, value_enum)]
    side: Side,
    #[arg(long, hide = true, required = false)]
    times: usize,
    #[arg(long, hide = true, required = false)]
    uri: String,
    #[arg(long, hide = true, required = false)]
    address: String,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(child) = arguments.child {
        let setting = Setting::new(child.uri, child.address, COUNTED_DOCUMENTS)?;
        let units = callgrind::run_child(&child.counted, child.side, child.times, &setting)?;
        println!("{units}");
        return Ok(());
    }
    let tasks: Vec<&'static Task> = TASKS
        .iter()
        .filter(|task| is_wanted(task, &arguments.tasks))
        .collect();
    if tasks.is_empty() {
        return Err("no task has such a name".into());
    }
    let deployment = server::start(arguments.replica_set)?;
    let address = deployment.member(0).address();
    let setting = Setting::new(deployment.uri(), address, server::TWEET_COUNT)?;
    let rounds = if arguments.quick {
        QUICK_ROUNDS
    } else {
        ROUNDS
    };
    let samples = time(&tasks, rounds, &setting)?;
    let counts = count(&tasks, arguments.callgrind, &setting)?;
    let rows: Vec<Row<'_>> = tasks
        .iter()
        .zip(&samples)
        .zip(counts)
        .map(|((task, samples), instructions)| Row {
            task,
            samples,
            instructions,
        })
        .collect();
    println!(
        "medians of {rounds} rounds, mongod {}\n",
        deployment.version()
    );
    print!("{}", report::table(&rows));
    Ok(())
}

fn is_wanted(task: &Task, wanted: &[String]) -> bool {
    wanted.is_empty() || wanted.iter().any(|part| task.name.contains(part.as_str()))
}

fn time(
    tasks: &[&'static Task],
    rounds: usize,
    setting: &Setting,
) -> Result<Vec<measure::Samples>> {
    let mut pairs = Vec::new();
    for task in tasks {
        pairs.push(Pair {
            task,
            driver: (task.driver)(setting)?,
            raw: (task.raw)(setting)?,
        });
    }
    measure::interleave(&mut pairs, rounds)
}

/// Instruction counts, where they are asked for and can be had.
fn count(
    tasks: &[&'static Task],
    is_asked: bool,
    setting: &Setting,
) -> Result<Vec<Option<Instructions>>> {
    if !is_asked {
        return Ok(vec![None; tasks.len()]);
    }
    if !callgrind::is_installed() {
        println!("note: no instruction counts: install valgrind (apt install valgrind)");
        return Ok(vec![None; tasks.len()]);
    }
    let counts = tasks
        .iter()
        .map(|task| callgrind::count(task, setting).map(Some))
        .collect();
    println!("profiles for callgrind_annotate: {}", callgrind::profiles());
    counts
}
