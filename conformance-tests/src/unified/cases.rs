//! The cases of a unified file.

use std::sync::Arc;

use super::file::TestFile;
use super::{blocking, non_blocking};
use crate::case::{Case, Flavor};
use crate::spec_files::SpecFile;

/// The cases of a file; a single failing one when it cannot be understood.
pub fn cases(file: &SpecFile) -> Vec<Case> {
    let parsed = match TestFile::parse(&file.json) {
        Ok(parsed) => Arc::new(parsed),
        Err(why) => return vec![Case::failing(file, "all", why)],
    };
    let tests = parsed.tests.iter().enumerate();
    tests
        .map(|(index, test)| {
            let parsed = Arc::clone(&parsed);
            Case::observed(file, &test.description, move |context| {
                let deployments = &context.deployments;
                match context.flavor {
                    Flavor::Async => non_blocking::run(deployments, &parsed, index),
                    Flavor::Sync => blocking::run(deployments, &parsed, index),
                }
            })
        })
        .collect()
}
