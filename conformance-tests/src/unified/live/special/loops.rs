//! The loop, which is made for workloads that somebody ends from outside.
//!
//! Nobody does here, so a loop that tells its iterations ends by itself after a few of them.

use std::sync::Arc;

use bson::{Bson, doc};

use super::super::entities::Entity;
use super::{CaseState, operation};
use crate::unified::arguments::Arguments;
use crate::unified::file::{self, Operation};
use crate::unified::recorder::seconds_since_epoch;

/// How often a loop goes round.
const ITERATIONS: i64 = 3;

/// Where a loop writes down what became of it.
struct Notes {
    errors: Option<String>,
    failures: Option<String>,
    iterations: Option<String>,
    successes: Option<String>,
}

pub(super) fn perform(case: &Arc<CaseState>, mut arguments: Arguments) -> Result<(), String> {
    let operations: Vec<Operation> = file::from_bson(arguments.need("operations")?)?;
    let notes = Notes {
        errors: arguments.take("storeErrorsAsEntity")?,
        failures: arguments.take("storeFailuresAsEntity")?,
        iterations: arguments.take("storeIterationsAsEntity")?,
        successes: arguments.take("storeSuccessesAsEntity")?,
    };
    arguments.finish()?;
    notes.prepare(case)?;
    let mut successes = 0_i64;
    for _ in 0..ITERATIONS {
        for given in &operations {
            match operation::perform(case, given) {
                Ok(()) => successes += 1,
                Err(why) => {
                    notes.failed(case, why)?;
                    break;
                }
            }
        }
    }
    for (id, number) in [
        (&notes.iterations, ITERATIONS),
        (&notes.successes, successes),
    ] {
        if let Some(id) = id {
            case.entities.replace(id, Bson::Int64(number));
        }
    }
    Ok(())
}

impl Notes {
    /// Makes the lists and numbers, as far as they are not there.
    fn prepare(&self, case: &CaseState) -> Result<(), String> {
        for id in [&self.errors, &self.failures].into_iter().flatten() {
            match case.entities.find(id) {
                None => case
                    .entities
                    .insert(id, Entity::Bson(Bson::Array(Vec::new())))?,
                Some(Entity::Bson(Bson::Array(_))) => {}
                Some(other) => return Err(format!("`{id}` is a {}, and no array", other.kind())),
            }
        }
        for id in [&self.iterations, &self.successes].into_iter().flatten() {
            case.entities.insert(id, Entity::Bson(Bson::Int64(0)))?;
        }
        Ok(())
    }

    /// Writes a failure down, or passes it on when there is no place for it. This runner does not
    /// tell errors from failures, as the format lets it; it has one list for both.
    fn failed(&self, case: &CaseState, why: String) -> Result<(), String> {
        let Some(id) = self.failures.as_ref().or(self.errors.as_ref()) else {
            return Err(why);
        };
        let Some(Entity::Bson(Bson::Array(mut list))) = case.entities.find(id) else {
            return Err(format!("`{id}` is no array any more"));
        };
        list.push(doc! { "error": why, "time": seconds_since_epoch() }.into());
        case.entities.replace(id, list.into());
        Ok(())
    }
}
