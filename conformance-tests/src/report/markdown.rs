//! A report as a table for the README.

use std::collections::BTreeSet;

use super::{Counts, Group, Report};
use crate::case::Flavor;

/// The table, with the columns that have cases.
pub(super) fn of(report: &Report) -> String {
    let groups = report.by_group();
    let columns: Vec<Option<&'static str>> =
        [None, Some(Flavor::Async.name()), Some(Flavor::Sync.name())]
            .into_iter()
            .filter(|column| groups.keys().any(|group| group.flavor == *column))
            .collect();
    let mut text = String::new();
    if let Some(stand_in) = &report.stand_in {
        text += &format!("On {stand_in}, a stand-in and not MongoDB:\n\n");
    }
    let titles = columns.iter().map(|column| match column {
        Some(flavor) => format!("{flavor} driver"),
        None => "neither driver's interface".to_owned(),
    });
    text += &row("passed / failed / skipped", titles);
    text += &row("---", columns.iter().map(|_| "---:".to_owned()));
    let suites: BTreeSet<&str> = groups.keys().map(|group| group.suite).collect();
    for suite in suites {
        let cells = columns.iter().map(|flavor| {
            let group = Group {
                suite,
                flavor: *flavor,
            };
            groups.get(&group).map_or_else(String::new, |c| cell(*c))
        });
        text += &row(suite, cells);
    }
    let sums = columns.iter().map(|column| {
        let mut sum = Counts::default();
        for (_, counts) in groups.iter().filter(|(group, _)| group.flavor == *column) {
            sum.passed += counts.passed;
            sum.failed += counts.failed;
            sum.skipped += counts.skipped;
        }
        cell(sum)
    });
    text += &row("all", sums);
    text
}

fn cell(counts: Counts) -> String {
    format!("{} / {} / {}", counts.passed, counts.failed, counts.skipped)
}

fn row(first: &str, cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<String> = cells.collect();
    format!("| {first} | {} |\n", cells.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::super::tests::report;

    #[test]
    fn the_table_has_a_line_for_each_suite_and_a_column_for_each_driver() {
        let table = "\
| passed / failed / skipped | neither driver's interface | async driver | sync driver |
| --- | ---: | ---: | ---: |
| auth | 0 / 1 / 0 |  |  |
| crud |  | 1 / 0 / 1 | 0 / 0 / 1 |
| all | 0 / 1 / 0 | 1 / 0 / 1 | 0 / 0 / 1 |
";
        assert_eq!(report(None).markdown(), table);
        let of_stand_in = report(Some("SecantusDB 0.7")).markdown();
        let start = "On SecantusDB 0.7, a stand-in and not MongoDB:\n\n";
        assert_eq!(of_stand_in.strip_prefix(start), Some(table));
    }
}
