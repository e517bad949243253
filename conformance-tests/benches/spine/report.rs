//! The closing table.

use crate::callgrind::Instructions;
use crate::measure::{Cost, Samples};
use crate::task::Task;

const HEAD: [&str; 11] = [
    "per operation, or per document",
    "CPU µs",
    "(least-most)",
    "raw µs",
    "ratio",
    "wall, raw",
    "allocations",
    "instructions",
    "raw",
    "peer µs",
    "peer allocations, instructions",
];

const NOTES: &str = "
CPU µs hold 0.02 for every allocation, which is what counting it takes.
peer: the mongodb crate 3.9.1, measured on another machine of the same kind, where raw took 61-77 µs
for a round trip and 0.8 for a document; its counts carry over to this machine, its µs roughly.
";

/// What is known of a task at the end of a run.
pub(crate) struct Row<'a> {
    pub(crate) task: &'a Task,
    pub(crate) samples: &'a Samples,
    pub(crate) instructions: Option<Instructions>,
}

/// Lays the rows out as a table in columns.
pub(crate) fn table(rows: &[Row<'_>]) -> String {
    let mut lines = vec![HEAD.map(str::to_owned)];
    lines.extend(rows.iter().map(cells));
    let widths: [usize; HEAD.len()] = std::array::from_fn(|column| {
        let width = |line: &[String; HEAD.len()]| line[column].chars().count();
        lines.iter().map(width).max().unwrap_or_default()
    });
    let mut text = String::new();
    for line in &lines {
        for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
            if column == 0 {
                text.push_str(&format!("{cell:<width$}"));
            } else {
                text.push_str(&format!("  {cell:>width$}"));
            }
        }
        text.push('\n');
    }
    text.push_str(NOTES);
    text
}

fn cells(row: &Row<'_>) -> [String; HEAD.len()] {
    let Row {
        task,
        samples,
        instructions,
    } = row;
    let driver = Range::of(&samples.driver, |cost| cost.cpu);
    let raw = Range::of(&samples.raw, |cost| cost.cpu);
    let median = |of: fn(&Cost) -> f64| Range::of(&samples.driver, of).median;
    let raw_wall = Range::of(&samples.raw, |cost| cost.wall).median;
    let bytes = median(|cost| cost.bytes) / 1024.0;
    let allocations = median(|cost| cost.allocations);
    let count = |value: fn(&Instructions) -> f64| {
        instructions
            .as_ref()
            .map_or_else(String::new, |counts| thousands(value(counts)))
    };
    let peer = [task.peer.allocations, task.peer.instructions];
    [
        task.name.to_owned(),
        short(driver.median),
        format!("({}-{})", short(driver.least), short(driver.most)),
        short(raw.median),
        format!("{:.2}", driver.median / raw.median),
        format!("{}, {}", short(median(|cost| cost.wall)), short(raw_wall)),
        format!("{} ({bytes:.1} KB)", short(allocations)),
        count(|counts| counts.driver),
        count(|counts| counts.raw),
        task.peer.cpu.to_owned(),
        peer.iter()
            .filter(|text| !text.is_empty())
            .copied()
            .collect::<Vec<_>>()
            .join(", "),
    ]
}

struct Range {
    least: f64,
    median: f64,
    most: f64,
}

impl Range {
    fn of(costs: &[Cost], value: fn(&Cost) -> f64) -> Self {
        let mut values: Vec<f64> = costs.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        Self {
            least: at(0),
            median: at(values.len() / 2),
            most: at(values.len().saturating_sub(1)),
        }
    }
}

/// Three digits or so, which is more than the measurements bear.
fn short(value: f64) -> String {
    if value < 9.995 {
        format!("{value:.2}")
    } else if value < 99.95 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

fn thousands(value: f64) -> String {
    if value < 999.5 {
        format!("{value:.0}")
    } else {
        format!("{:.1}k", value / 1000.0)
    }
}
