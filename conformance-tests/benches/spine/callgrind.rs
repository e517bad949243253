//! User instructions per operation, counted by valgrind's callgrind.
//!
//! The bench runs itself twice under callgrind for each side of each task, with different numbers
//! of operations. The difference leaves out what starting costs. The server runs outside.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Result;
use crate::task::{Setting, TASKS, Task};

/// Profiles for `callgrind_annotate`, and only the longer run of each side.
const PROFILES: &str = env!("CARGO_TARGET_TMPDIR");
/// Operations before the difference begins: connections open and buffers grow.
const WARM_UP: usize = 20;

/// One side of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Side {
    /// Through the driver.
    Driver,
    /// Over a bare socket.
    Raw,
}

/// User instructions for one unit of a task, through the driver and raw.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Instructions {
    pub(crate) driver: f64,
    pub(crate) raw: f64,
}

pub(crate) fn is_installed() -> bool {
    let version = Command::new("valgrind")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    version.is_ok_and(|status| status.success())
}

/// Counts both sides of a task.
pub(crate) fn count(task: &Task, setting: &Setting) -> Result<Instructions> {
    Ok(Instructions {
        driver: count_side(task, Side::Driver, setting)?,
        raw: count_side(task, Side::Raw, setting)?,
    })
}

fn count_side(task: &Task, side: Side, setting: &Setting) -> Result<f64> {
    let warm_up = WARM_UP.min(task.counted);
    let shorter = run_counted(task, side, warm_up, setting)?;
    let longer = run_counted(task, side, warm_up + task.counted, setting)?;
    let units = longer.units.saturating_sub(shorter.units);
    let instructions = longer.instructions.saturating_sub(shorter.instructions);
    Ok(instructions as f64 / units as f64)
}

struct Count {
    instructions: u64,
    units: u64,
}

fn run_counted(task: &Task, side: Side, times: usize, setting: &Setting) -> Result<Count> {
    let name = task.name.replace(|c: char| !c.is_alphanumeric(), "-");
    let profile = Path::new(PROFILES).join(format!("spine-{name}-{side:?}.callgrind"));
    let output = Command::new("valgrind")
        .args(["--quiet", "--tool=callgrind"])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(std::env::current_exe()?)
        .args([
            "--counted",
            task.name,
            "--side",
            &format!("{side:?}").to_lowercase(),
        ])
        .args(["--times", &times.to_string()])
        .args(["--uri", &setting.uri, "--address", &setting.address])
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("the counted run of {} failed: {}", task.name, output.status).into());
    }
    Ok(Count {
        instructions: total(&fs::read_to_string(&profile)?)?,
        units: String::from_utf8(output.stdout)?.trim().parse()?,
    })
}

/// The sum that callgrind writes at the end of a profile.
fn total(profile: &str) -> Result<u64> {
    let line = profile
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("totals:"));
    let total = line.ok_or("callgrind's profile has no totals")?;
    Ok(total.trim().parse()?)
}

/// What the bench does under callgrind: one side of one task, and its number of units.
pub(crate) fn run_child(name: &str, side: Side, times: usize, setting: &Setting) -> Result<usize> {
    let task = TASKS
        .iter()
        .find(|task| task.name == name)
        .ok_or("there is no such task")?;
    let prepare = match side {
        Side::Driver => task.driver,
        Side::Raw => task.raw,
    };
    let mut operation = prepare(setting)?;
    operation(times)
}

/// Where the profiles of the last run are.
pub(crate) fn profiles() -> &'static str {
    PROFILES
}
