//! The cases of a unified file.

use std::sync::Arc;

use super::file::TestFile;
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
            let skipped = test.skip_reason.clone();
            let missing = missing::missing(&parsed, test, &file.json["tests"][index]);
            let impossible = missing.map(|why| impossible(why.to_owned()));
            let (parsed, name) = (Arc::clone(&parsed), file.name.clone());
            Case::observed(file, &test.description, move |context| {
                let mut ended = match skipped {
                    Some(reason) => Outcome::Skipped(reason).into(),
                    None => run(context, &parsed, index, impossible),
                };
                ended.outcome = judged(&name, ended.outcome);
                ended
            })
        })
        .collect()
}

/// Runs a case where it can run at all, unless it is impossible: then that is what comes of it.
fn run(
    context: &Context,
    file: &Arc<TestFile>,
    index: usize,
    impossible: Option<Outcome>,
) -> Ended {
    let run = match context.flavor {
        Flavor::Async => non_blocking::run,
        Flavor::Sync => blocking::run,
    };
    run(&context.deployments, file, index, impossible)
}

fn judged(name: &str, outcome: Outcome) -> Outcome {
    if proof::must_fail(name) {
        proof::inverted(name, outcome)
    } else {
        outcome
    }
}
