//! A report as JUnit XML.

use std::fmt::Write;

use super::{Counts, Group, Line, Report};
use crate::case::Outcome;

/// The whole document.
pub(super) fn of(report: &Report) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let all: Vec<&Line> = report.lines.iter().collect();
    let attributes = attributes(report.counts(), &all);
    let _ = writeln!(text, "<testsuites name=\"conformance-tests\"{attributes}>");
    for (group, counts) in report.by_group() {
        let lines: Vec<&Line> = all.iter().copied().filter(|l| l.group() == group).collect();
        suite(&mut text, report, &group, counts, &lines);
    }
    text.push_str("</testsuites>\n");
    text
}

fn suite(text: &mut String, report: &Report, group: &Group<'_>, counts: Counts, lines: &[&Line]) {
    let title = escaped(&report.title(group));
    let attributes = attributes(counts, lines);
    let _ = writeln!(text, "  <testsuite name=\"{title}\"{attributes}>");
    for line in lines {
        let name = escaped(&line.name);
        let time = line.time.as_secs_f64();
        let _ = write!(
            text,
            "    <testcase classname=\"{title}\" name=\"{name}\" time=\"{time:.3}\""
        );
        let _ = match &line.outcome {
            Outcome::Passed => writeln!(text, "/>"),
            Outcome::Failed(why) => writeln!(
                text,
                "><failure message=\"{}\">{}</failure></testcase>",
                escaped(why.lines().next().unwrap_or_default()),
                escaped(why)
            ),
            Outcome::Skipped(why) => {
                writeln!(text, "><skipped message=\"{}\"/></testcase>", escaped(why))
            }
        };
    }
    text.push_str("  </testsuite>\n");
}

fn attributes(counts: Counts, lines: &[&Line]) -> String {
    let tests = counts.passed + counts.failed + counts.skipped;
    let time: f64 = lines.iter().map(|line| line.time.as_secs_f64()).sum();
    format!(
        " tests=\"{tests}\" failures=\"{}\" errors=\"0\" skipped=\"{}\" time=\"{time:.3}\"",
        counts.failed, counts.skipped
    )
}

/// Text for elements and attributes. XML 1.0 has no way to write most control characters.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            '\r' => escaped.push_str("&#13;"),
            '\t' => escaped.push_str("&#9;"),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::tests::report;

    #[test]
    fn each_case_stands_with_its_time_and_what_came_of_it() {
        assert_eq!(
            report(None).junit(),
            r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="conformance-tests" tests="4" failures="1" errors="0" skipped="2" time="1.520">
  <testsuite name="auth" tests="1" failures="1" errors="0" skipped="0" time="0.020">
    <testcase classname="auth" name="y: &lt;three&gt;" time="0.020"><failure message="&lt;a&gt; &amp; &quot;b&quot; is not">&lt;a&gt; &amp; &quot;b&quot; is not&#10;so �</failure></testcase>
  </testsuite>
  <testsuite name="crud (async)" tests="2" failures="0" errors="0" skipped="1" time="1.500">
    <testcase classname="crud (async)" name="x: one" time="1.500"/>
    <testcase classname="crud (async)" name="x: two" time="0.000"><skipped message="needs server 8.0.0"/></testcase>
  </testsuite>
  <testsuite name="crud (sync)" tests="1" failures="0" errors="0" skipped="1" time="0.000">
    <testcase classname="crud (sync)" name="x: two" time="0.000"><skipped message="needs server 8.0.0"/></testcase>
  </testsuite>
</testsuites>
"#
        );
    }

    #[test]
    fn what_a_stand_in_answered_stands_under_its_name() {
        let text = report(Some("SecantusDB")).junit();
        assert!(
            text.contains("<testsuite name=\"SecantusDB: crud (sync)\""),
            "{text}"
        );
    }
}
