//! The list of spec cases that are not run, each with its reason.
//!
//! A line is `name # reason`; a name that ends in `*` stands for every case whose name starts so.
//! Empty lines and lines that start with `#` are for the reader.

use std::sync::atomic::{AtomicBool, Ordering};

/// The parsed list; remembers which of its lines met a case.
#[derive(Debug)]
pub struct Skips {
    lines: Vec<Skip>,
}

#[derive(Debug)]
struct Skip {
    pattern: String,
    reason: String,
    used: AtomicBool,
}

impl Skips {
    /// The list that stands in the repository.
    ///
    /// # Errors
    ///
    /// Fails as [`parse`](Self::parse) does.
    pub fn of_repository() -> Result<Self, String> {
        Self::parse(include_str!("../skips.txt"))
    }

    /// Parses the text of a list.
    ///
    /// # Errors
    ///
    /// Fails on a line without a reason, naming it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut lines = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let parts = line
                .split_once(" # ")
                .map(|(name, reason)| (name.trim(), reason.trim()));
            let Some((pattern, reason)) = parts.filter(|(_, reason)| !reason.is_empty()) else {
                return Err(format!(
                    "skips, line {}: write `name # reason`: {line}",
                    index + 1
                ));
            };
            lines.push(Skip {
                pattern: pattern.to_owned(),
                reason: reason.to_owned(),
                used: AtomicBool::new(false),
            });
        }
        Ok(Self { lines })
    }

    /// Why the case of that name is not run, if it is not.
    pub fn reason(&self, name: &str) -> Option<&str> {
        let skip = self.lines.iter().find(|skip| skip.matches(name))?;
        skip.used.store(true, Ordering::Relaxed);
        Some(&skip.reason)
    }

    /// The names that met no case so far, of files that are at hand: not everybody has all files of
    /// the specifications.
    pub fn unused(&self, is_at_hand: impl Fn(&str) -> bool) -> Vec<&str> {
        self.lines
            .iter()
            .filter(|skip| !skip.used.load(Ordering::Relaxed))
            .map(|skip| skip.pattern.as_str())
            .filter(|pattern| {
                let file = pattern.split_once(": ").map(|(file, _)| file);
                file.is_none_or(&is_at_hand)
            })
            .collect()
    }
}

impl Skip {
    fn matches(&self, name: &str) -> bool {
        match self.pattern.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => self.pattern == name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_a_reason_is_refused() {
        for text in ["a.json: x", "a.json: x # ", "a.json: x #2"] {
            let error = Skips::parse(text).unwrap_err();
            assert!(error.contains("line 1"), "{error}");
        }
    }

    #[test]
    fn lines_that_meet_no_case_are_reported() {
        let skips = Skips::parse("# note\na.json: x # r1\nb.json: * # r2\nc.json: y # r3").unwrap();
        assert_eq!(skips.reason("a.json: x"), Some("r1"));
        assert_eq!(skips.reason("b.json: anything"), Some("r2"));
        assert_eq!(skips.reason("a.json: x y"), None);
        assert_eq!(skips.unused(|_| true), ["c.json: y"]);
        assert!(skips.unused(|file| file != "c.json").is_empty());
    }
}
