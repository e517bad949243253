//! What came of a run, told as a summary, as JUnit XML and as a table for the README.

mod junit;
mod markdown;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::case::{Flavor, Outcome};

/// What came of one case.
#[derive(Clone, Debug)]
pub struct Line {
    /// The folder of the specification that the case is of.
    pub suite: String,
    /// The driver; `None` for a case that goes past both drivers' public interface.
    pub flavor: Option<Flavor>,
    /// The case's full name.
    pub name: String,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    pub time: Duration,
}

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    stand_in: Option<String>,
    lines: Vec<Line>,
}

/// How many cases ended in each way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Cases that hold.
    pub passed: usize,
    /// Cases that do not hold.
    pub failed: usize,
    /// Cases that were not run.
    pub skipped: usize,
}

impl Report {
    /// An empty report. What a server that is no MongoDB answered stands under its name.
    pub fn new(stand_in: Option<String>) -> Self {
        Self {
            stand_in,
            lines: Vec::new(),
        }
    }

    /// Adds a case that has ended.
    pub fn add(&mut self, line: Line) {
        self.lines.push(line);
    }

    /// How many cases ended in each way.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for line in &self.lines {
            counts.add(&line.outcome);
        }
        counts
    }

    /// The counts of each suite, and the reasons of skipped cases with theirs.
    pub fn summary(&self) -> String {
        let mut text = "suite: passed failed skipped\n".to_owned();
        for (group, counts) in self.by_group() {
            text += &format!("{}: {}\n", self.title(&group), counts.plain());
        }
        text += &format!("all: {}\n", self.counts().plain());
        let reasons = self.reasons();
        if !reasons.is_empty() {
            text += "skipped because it\n";
        }
        for (reason, count) in reasons {
            text += &format!("{count:>5} {reason}\n");
        }
        text
    }

    /// The report as JUnit XML, for services that show test results.
    pub fn junit(&self) -> String {
        junit::of(self)
    }

    /// A table with a line for each suite, and a column for each driver.
    pub fn markdown(&self) -> String {
        markdown::of(self)
    }

    fn by_group(&self) -> BTreeMap<Group<'_>, Counts> {
        let mut groups = BTreeMap::new();
        for line in &self.lines {
            let counts: &mut Counts = groups.entry(line.group()).or_default();
            counts.add(&line.outcome);
        }
        groups
    }

    /// The reasons of skipped cases, the most frequent first.
    fn reasons(&self) -> Vec<(&str, usize)> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for line in &self.lines {
            if let Outcome::Skipped(reason) = &line.outcome {
                *counts.entry(reason).or_default() += 1;
            }
        }
        let mut reasons: Vec<_> = counts.into_iter().collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        reasons
    }

    fn title(&self, group: &Group<'_>) -> String {
        match &self.stand_in {
            None => group.to_string(),
            Some(stand_in) => format!("{stand_in}: {group}"),
        }
    }
}

impl Counts {
    fn add(&mut self, outcome: &Outcome) {
        let count = match outcome {
            Outcome::Passed => &mut self.passed,
            Outcome::Failed(_) => &mut self.failed,
            Outcome::Skipped(_) => &mut self.skipped,
        };
        *count += 1;
    }

    fn plain(self) -> String {
        format!("{} {} {}", self.passed, self.failed, self.skipped)
    }
}

impl Line {
    fn group(&self) -> Group<'_> {
        Group {
            suite: &self.suite,
            flavor: self.flavor.map(Flavor::name),
        }
    }
}

/// The cases of one suite that one driver was tested with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Group<'a> {
    suite: &'a str,
    flavor: Option<&'static str>,
}

impl fmt::Display for Group<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.suite)?;
        match self.flavor {
            Some(flavor) => write!(f, " ({flavor})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(super) fn report(stand_in: Option<&str>) -> Report {
        let line = |suite: &str, flavor, name: &str, outcome, millis| Line {
            suite: suite.to_owned(),
            flavor,
            name: name.to_owned(),
            outcome,
            time: Duration::from_millis(millis),
        };
        let mut report = Report::new(stand_in.map(str::to_owned));
        let skipped = || Outcome::Skipped("needs server 8.0.0".to_owned());
        let failed = Outcome::Failed("<a> & \"b\" is not\nso \u{1}".to_owned());
        for line in [
            line("crud", Some(Flavor::Sync), "x: two", skipped(), 0),
            line("crud", Some(Flavor::Async), "x: one", Outcome::Passed, 1500),
            line("crud", Some(Flavor::Async), "x: two", skipped(), 0),
            line("auth", None, "y: <three>", failed, 20),
        ] {
            report.add(line);
        }
        report
    }

    #[test]
    fn the_summary_counts_by_suite_and_driver_and_tells_why_cases_were_skipped() {
        assert_eq!(
            report(None).summary(),
            "suite: passed failed skipped\n\
             auth: 0 1 0\n\
             crud (async): 1 0 1\n\
             crud (sync): 0 0 1\n\
             all: 1 1 2\n\
             skipped because it\n    2 needs server 8.0.0\n"
        );
    }

    #[test]
    fn what_a_stand_in_answered_stands_under_its_name() {
        let summary = report(Some("SecantusDB")).summary();
        assert!(
            summary.contains("\nSecantusDB: crud (async): 1 0 1\n"),
            "{summary}"
        );
    }
}
