//! The cases of a unified file.

use std::sync::Arc;

use super::file::{Test, TestFile};
use super::{blocking, missing, non_blocking, proof};
use crate::case::{Case, Context, Ended, Flavor, Outcome};
use crate::spec_files::SpecFile;

/// The cases of a file. One that needs what the drivers don't have yet fails, and says so.
pub fn cases(file: &SpecFile) -> Vec<Case> {
    expand(file, Outcome::Failed)
}

/// The cases of a file. One that needs what the drivers don't have yet is left out, and says so.
pub fn possible_cases(file: &SpecFile) -> Vec<Case> {
    expand(file, Outcome::Skipped)
}

fn expand(file: &SpecFile, impossible: fn(String) -> Outcome) -> Vec<Case> {
    let parsed = match TestFile::parse(&file.json) {
        Ok(parsed) => Arc::new(parsed),
        Err(why) => {
            let name = file.name.clone();
            let outcome = move || judged(&name, Outcome::Failed(why));
            return vec![Case::new(file, "all", |_| outcome())];
        }
    };
    let tests = parsed.tests.iter().enumerate();
    tests
        .map(|(index, test)| {
            let decided = decided(&parsed, test, impossible);
            let (parsed, name) = (Arc::clone(&parsed), file.name.clone());
            Case::observed(file, &test.description, move |context| {
                let mut ended = match decided {
                    Some(outcome) => outcome.into(),
                    None => run(context, &parsed, index),
                };
                ended.outcome = judged(&name, ended.outcome);
                ended
            })
        })
        .collect()
}

/// What comes of a case that need not be run to know it.
fn decided(file: &TestFile, test: &Test, impossible: fn(String) -> Outcome) -> Option<Outcome> {
    let skipped = test.skip_reason.clone();
    skipped
        .or_else(|| missing::left_out(test).map(str::to_owned))
        .map(Outcome::Skipped)
        .or_else(|| missing::missing(file, test).map(|why| impossible(why.to_owned())))
}

fn run(context: &Context, file: &Arc<TestFile>, index: usize) -> Ended {
    match context.flavor {
        Flavor::Async => non_blocking::run(&context.deployments, file, index),
        Flavor::Sync => blocking::run(&context.deployments, file, index),
    }
}

fn judged(name: &str, outcome: Outcome) -> Outcome {
    if proof::must_fail(name) {
        proof::inverted(name, outcome)
    } else {
        outcome
    }
}
