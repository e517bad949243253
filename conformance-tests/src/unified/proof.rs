//! Cases that must fail: with them the format proves that a runner sees what is wrong.

use crate::case::Outcome;

/// What the failure of a case must tell, by the file that it is in.
const REASONS: [(&str, &[&str]); 13] = [
    ("entity-bucket-database-undefined", &["no entity `foo`"]),
    (
        "entity-client-apiVersion-unsupported",
        &["unknown version of the stable API"],
    ),
    ("entity-collection-database-undefined", &["no entity `foo`"]),
    ("entity-database-client-undefined", &["no entity `foo`"]),
    (
        "entity-findCursor",
        &["no entity `cursor0`", "no entity `cursor"],
    ),
    ("entity-session-client-undefined", &["no entity `foo`"]),
    (
        "ignoreResultAndError-malformed",
        &["argument `document` is absent"],
    ),
    ("ignoreResultAndError", &["code 11000"]),
    ("operation-failure", &["code 59", "code 2"]),
    (
        "operation-unsupported",
        &["no operation `unsupportedOperation`"],
    ),
    (
        "returnDocument-enum-invalid",
        &["argument `returnDocument`"],
    ),
    (
        "runner-loop-and-thread",
        &[
            "loop on testRunner: insertOne on collection0",
            "insertOne on collection0",
            "outcome of runner.things",
            "at 0._id: expected an array",
        ],
    ),
    (
        "schemaVersion-unsupported",
        &["schemaVersion 0.1 is not supported"],
    ),
];

/// What no case may fail with, because it says nothing about the case.
const ACCIDENTS: [&str; 3] = ["did not end within", "panicked", "the runner's own client"];

/// True for files whose cases must fail.
pub(super) fn must_fail(file: &str) -> bool {
    file.contains("/valid-fail/")
}

/// What a failure means where one must be: success, when it is for the right reason.
pub(super) fn inverted(file: &str, outcome: Outcome) -> Outcome {
    let why = match outcome {
        Outcome::Passed => return Outcome::Failed("it must fail, and it passed".to_owned()),
        Outcome::Skipped(reason) => return Outcome::Skipped(reason),
        Outcome::Failed(why) => why,
    };
    let is_right = match reasons(file) {
        Some(reasons) => reasons.iter().any(|reason| why.contains(reason)),
        None => !ACCIDENTS.iter().any(|accident| why.contains(accident)),
    };
    if is_right {
        Outcome::Passed
    } else {
        Outcome::Failed(format!(
            "it must fail, and failed for another reason: {why}"
        ))
    }
}

fn reasons(file: &str) -> Option<&'static [&'static str]> {
    let name = file.rsplit('/').next().unwrap_or(file);
    let name = name.strip_suffix(".json").unwrap_or(name);
    let (_, reasons) = REASONS.iter().find(|(other, _)| *other == name)?;
    Some(reasons)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_failure_for_the_right_reason_will_do() {
        let failed = |why: &str| Outcome::Failed(why.to_owned());
        let passes = |file, why| inverted(file, failed(why)) == Outcome::Passed;
        let known = "unified-test-format/tests/valid-fail/entity-database-client-undefined.json";
        assert!(must_fail(known));
        assert!(passes(known, "entity `d`: there is no entity `foo`"));
        assert!(!passes(known, "initialData of a.b: no server"));
        assert!(passes(
            "x/valid-fail/new.json",
            "its result: expected 1, found 2"
        ));
        assert!(!passes("x/valid-fail/new.json", "did not end within 60s"));
        assert!(matches!(
            inverted(known, Outcome::Passed),
            Outcome::Failed(_)
        ));
    }
}
