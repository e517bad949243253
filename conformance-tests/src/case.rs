//! One named case of a spec suite, and what came of it.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::deployments::Deployments;
use crate::spec_files::SpecFile;
use crate::suites::Suite;

/// Which of the two drivers a case speaks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// The non-blocking driver, `motorcade`.
    Async,
    /// The blocking driver, `motorcade-sync`.
    Sync,
}

impl Flavor {
    /// The flavour's name as the command line and the ledgers spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Async => "async",
            Self::Sync => "sync",
        }
    }

    /// The driver of the other kind.
    pub fn other(self) -> Self {
        match self {
            Self::Async => Self::Sync,
            Self::Sync => Self::Async,
        }
    }
}

/// What a case needs from its surroundings; shared by all cases of a run.
#[derive(Debug)]
pub struct Context {
    /// The driver under test. Suites without I/O may ignore it: both crates export the same types.
    pub flavor: Flavor,
    /// Servers, started when the first case asks for one.
    pub deployments: Deployments,
}

/// What came of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything the case demands holds.
    Passed,
    /// Something does not hold; the text says what was expected and what was found.
    Failed(String),
    /// The case was not run; the text is the reason.
    Skipped(String),
}

impl From<Result<(), String>> for Outcome {
    fn from(result: Result<(), String>) -> Self {
        match result {
            Ok(()) => Self::Passed,
            Err(why) => Self::Failed(why),
        }
    }
}

/// What came of a case, and what it saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// What stood in for the servers that the case is about, if anything did.
    pub stand_in: Option<&'static str>,
    /// What came of the case.
    pub outcome: Outcome,
    /// What both drivers must do alike, such as the names of the commands that were sent.
    pub observations: Vec<String>,
}

impl From<Outcome> for Ended {
    fn from(outcome: Outcome) -> Self {
        Self {
            stand_in: None,
            outcome,
            observations: Vec::new(),
        }
    }
}

type Run = Box<dyn FnOnce(&Context) -> Ended + Send>;

/// One named case out of a spec file.
pub struct Case {
    suite: Suite,
    file: String,
    description: String,
    run: Run,
}

impl Case {
    /// A case of `file` that is run by `run`.
    pub fn new(
        file: &SpecFile,
        description: impl Into<String>,
        run: impl FnOnce(&Context) -> Outcome + Send + 'static,
    ) -> Self {
        Self::observed(file, description, move |context| run(context).into())
    }

    /// A case that also tells what it saw.
    pub fn observed(
        file: &SpecFile,
        description: impl Into<String>,
        run: impl FnOnce(&Context) -> Ended + Send + 'static,
    ) -> Self {
        Self {
            suite: file.suite,
            file: file.name.clone(),
            description: description.into(),
            run: Box::new(run),
        }
    }

    /// A case without I/O: `Ok` passes, an error is the text of the failure.
    pub fn check(
        file: &SpecFile,
        description: impl Into<String>,
        check: impl FnOnce() -> Result<(), String> + Send + 'static,
    ) -> Self {
        Self::new(file, description, move |_| check().into())
    }

    /// A case that fails whenever it is run, for files and cases that cannot be understood.
    pub fn failing(
        file: &SpecFile,
        description: impl Into<String>,
        why: impl Into<String>,
    ) -> Self {
        let why = why.into();
        Self::new(file, description, move |_| Outcome::Failed(why))
    }

    /// A case that is never run, for the reason given.
    pub fn skipping(
        file: &SpecFile,
        description: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        let reason = reason.into();
        Self::new(file, description, move |_| Outcome::Skipped(reason))
    }

    /// The suite that the case belongs to.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// The case's full name: `uri-options/tests/auth-options.json: description`.
    pub fn name(&self) -> String {
        format!("{}: {}", self.file, self.description)
    }

    /// Runs the case. A panic inside it is a failure with the panic's text.
    pub fn run(self, context: &Context) -> Outcome {
        self.run_observed(context).outcome
    }

    /// Runs the case and tells what it saw; otherwise like [`run`](Self::run).
    pub fn run_observed(self, context: &Context) -> Ended {
        let run = self.run;
        catch_unwind(AssertUnwindSafe(|| run(context)))
            .unwrap_or_else(|payload| Outcome::Failed(panic_text(&*payload)).into())
    }

    /// Tells repeated descriptions of one file apart.
    pub(crate) fn mark_repetition(&mut self, nth: usize) {
        self.description = format!("{} #{nth}", self.description);
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case")
            .field("suite", &self.suite)
            .field("name", &self.name())
            .finish()
    }
}

/// The text a panic was raised with.
pub fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("the panic carries no text");
    format!("panicked: {text}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn file() -> SpecFile {
        SpecFile {
            suite: Suite::UriOptions,
            path: "x.json".into(),
            name: "uri-options/tests/x.json".to_owned(),
            json: json!({}),
        }
    }

    #[test]
    fn a_panic_is_a_failure_with_its_text() {
        let context = Context {
            flavor: Flavor::Async,
            deployments: Deployments::unstarted(),
        };
        let case = Case::new(&file(), "breaks", |_| panic!("index {} is absent", 7));
        assert_eq!(case.name(), "uri-options/tests/x.json: breaks");
        assert_eq!(
            case.run(&context),
            Outcome::Failed("panicked: index 7 is absent".to_owned())
        );
    }
}
