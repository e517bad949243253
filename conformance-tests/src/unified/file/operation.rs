//! One operation of a case, and what is expected of it.

use bson::{Bson, Document};
use serde::Deserialize;

use super::{expectation::ExpectedError, from_bson, present};

/// One operation of a case.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields carry the format's own names and meaning"
)]
pub struct Operation {
    pub name: String,
    pub object: String,
    #[serde(default)]
    pub arguments: Document,
    pub expect_error: Option<ExpectedError>,
    /// `Some(Bson::Null)` where a null is expected.
    #[serde(default, deserialize_with = "present")]
    pub expect_result: Option<Bson>,
    #[serde(default)]
    pub ignore_result_and_error: bool,
    pub save_result_as_entity: Option<String>,
}

/// Refuses operations whose expectations exclude each other.
pub(super) fn check_all(operations: &[Operation]) -> Result<(), String> {
    operations.iter().try_for_each(Operation::check)
}

/// What is to be done with the result of an operation.
#[derive(Clone, Debug)]
pub enum Expectation<'a> {
    /// Neither a result nor an error matters.
    Ignored,
    /// The operation must fail so.
    Error(&'a ExpectedError),
    /// The operation must succeed.
    Success {
        /// What its result must match, if it matters.
        matching: Option<&'a Bson>,
        /// The entity that its result becomes.
        saved_as: Option<&'a str>,
    },
}

impl Operation {
    /// What is expected of the operation, as one value.
    pub fn expectation(&self) -> Expectation<'_> {
        match &self.expect_error {
            Some(error) => Expectation::Error(error),
            None if self.ignore_result_and_error => Expectation::Ignored,
            None => Expectation::Success {
                matching: self.expect_result.as_ref(),
                saved_as: self.save_result_as_entity.as_deref(),
            },
        }
    }

    /// Refuses expectations that exclude each other, here and in the operations within.
    fn check(&self) -> Result<(), String> {
        self.check_alone()?;
        for name in ["callback", "operation", "operations"] {
            let Some(within) = self.arguments.get(name) else {
                continue;
            };
            let within: Vec<Self> = match within {
                Bson::Array(_) => from_bson(within.clone())?,
                _ => vec![from_bson(within.clone())?],
            };
            check_all(&within)?;
        }
        Ok(())
    }

    fn check_alone(&self) -> Result<(), String> {
        let said: Vec<&str> = [
            ("expectError", self.expect_error.is_some()),
            ("ignoreResultAndError", self.ignore_result_and_error),
            (
                "expectResult or saveResultAsEntity",
                self.expect_result.is_some() || self.save_result_as_entity.is_some(),
            ),
        ]
        .into_iter()
        .filter_map(|(name, is_said)| is_said.then_some(name))
        .collect();
        if said.len() > 1 {
            return Err(format!(
                "operation {}: {} exclude each other",
                self.name,
                said.join(" and ")
            ));
        }
        Ok(())
    }
}
