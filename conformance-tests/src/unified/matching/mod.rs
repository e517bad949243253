//! The rules by which an actual value matches an expected one.
//!
//! Follows "Evaluating Matches" of the unified test format.

mod equality;
mod operators;

use std::fmt;

use bson::{Bson, Document};

pub use equality::same_documents;
pub use operators::bytes_of_hex;

/// Where a value stands. Documents at the root may have keys that are not expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// The value that the assertion is about. The documents of an array at the root are at the
    /// root too, as those that `find` returns; give [`Nested`](Self::Nested) for an array of plain
    /// values, as `distinct` returns.
    Root,
    /// A value within a document.
    Nested,
}

/// What matching needs to know about the entities of a case.
pub trait Lookup {
    /// The value of the entity of that name; `None` when there is none or it is no BSON value.
    fn entity(&self, id: &str) -> Option<Bson>;

    /// The logical session id of the session of that name; ended sessions keep theirs.
    fn session_lsid(&self, id: &str) -> Option<Document>;
}

/// Fails when `actual` does not match `expected`. `actual` is `None` where there is no value at
/// all, as for a key that is absent; the bytes of a GridFS file are a generic binary value.
///
/// # Errors
///
/// The text says where the first difference is, what was expected and what was found.
pub fn match_value(
    expected: &Bson,
    actual: Option<&Bson>,
    position: Position,
    lookup: &dyn Lookup,
) -> Result<(), String> {
    matches(expected, actual, position, lookup).map_err(|mismatch| mismatch.to_string())
}

/// Like [`match_value`], for two documents at the root.
///
/// # Errors
///
/// As [`match_value`].
pub fn match_root(
    expected: &Document,
    actual: &Document,
    lookup: &dyn Lookup,
) -> Result<(), String> {
    match_value(
        &Bson::Document(expected.clone()),
        Some(&Bson::Document(actual.clone())),
        Position::Root,
        lookup,
    )
}

/// A difference, and the way to it.
#[derive(Debug)]
struct Mismatch {
    /// The keys and indexes that lead to the difference, the innermost first.
    way: Vec<String>,
    what: String,
}

impl Mismatch {
    fn new(what: impl Into<String>) -> Self {
        Self {
            way: Vec::new(),
            what: what.into(),
        }
    }

    fn between(expected: impl fmt::Display, actual: Option<&Bson>) -> Self {
        Self::new(format!("expected {expected}, found {}", shown(actual)))
    }

    fn within(mut self, step: impl Into<String>) -> Self {
        self.way.push(step.into());
        self
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.way.is_empty() {
            let way: Vec<&str> = self.way.iter().rev().map(String::as_str).collect();
            write!(f, "at {}: ", way.join("."))?;
        }
        f.write_str(&self.what)
    }
}

const LONGEST_SHOWN: usize = 400;

/// A value as failures show it; of very long ones, the start.
fn shown(value: Option<&Bson>) -> String {
    let Some(value) = value else {
        return "nothing".to_owned();
    };
    let text = value.clone().into_relaxed_extjson().to_string();
    match text.char_indices().nth(LONGEST_SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

fn matches(
    expected: &Bson,
    actual: Option<&Bson>,
    position: Position,
    lookup: &dyn Lookup,
) -> Result<(), Mismatch> {
    match expected {
        Bson::Document(document) => match operators::of(document) {
            Some(operator) => operator.apply(actual, position, lookup),
            None => match_document(document, actual, position, lookup),
        },
        Bson::Array(elements) => match_array(elements, actual, position, lookup),
        _ if actual.is_some_and(|actual| equality::is_equal(expected, actual)) => Ok(()),
        _ => Err(Mismatch::between(shown(Some(expected)), actual)),
    }
}

fn match_document(
    expected: &Document,
    actual: Option<&Bson>,
    position: Position,
    lookup: &dyn Lookup,
) -> Result<(), Mismatch> {
    let Some(Bson::Document(actual)) = actual else {
        let expected = Bson::Document(expected.clone());
        return Err(Mismatch::between(shown(Some(&expected)), actual));
    };
    for (key, value) in expected {
        matches(value, actual.get(key), Position::Nested, lookup)
            .map_err(|mismatch| mismatch.within(key))?;
    }
    if position == Position::Root {
        return Ok(());
    }
    match actual.iter().find(|(key, _)| !expected.contains_key(key)) {
        None => Ok(()),
        Some((key, value)) => Err(Mismatch::between("no such key", Some(value)).within(key)),
    }
}

fn match_array(
    expected: &[Bson],
    actual: Option<&Bson>,
    position: Position,
    lookup: &dyn Lookup,
) -> Result<(), Mismatch> {
    let Some(Bson::Array(elements)) = actual else {
        return Err(Mismatch::between("an array", actual));
    };
    if expected.len() != elements.len() {
        let wanted = format!("{} elements", expected.len());
        return Err(Mismatch::between(
            format!("{wanted}, not {}", elements.len()),
            actual,
        ));
    }
    for (index, (expected, actual)) in expected.iter().zip(elements).enumerate() {
        matches(expected, Some(actual), position, lookup)
            .map_err(|mismatch| mismatch.within(index.to_string()))?;
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use bson::{Bson, Document, bson, doc};

    use super::{Lookup, Position, match_value};

    /// One value entity, `saved`, and one session, `session0`.
    pub(in crate::unified) struct Entities;

    impl Lookup for Entities {
        fn entity(&self, id: &str) -> Option<Bson> {
            (id == "saved").then(|| bson!({ "_id": 7 }))
        }

        fn session_lsid(&self, id: &str) -> Option<Document> {
            (id == "session0").then(|| doc! { "id": 1 })
        }
    }

    fn at(position: Position, expected: Bson, actual: Bson) -> Result<(), String> {
        match_value(&expected, Some(&actual), position, &Entities)
    }

    #[test]
    fn only_documents_at_the_root_may_have_further_keys() {
        let yes = [
            (bson!({ "x": 1 }), bson!({ "x": 1, "y": 1 })),
            (bson!({ "x": 1, "y": 1 }), bson!({ "y": 1, "x": 1 })),
            (bson!([{ "x": 1 }]), bson!([{ "x": 1, "y": 1 }])),
            (bson!({ "x": { "y": 1 } }), bson!({ "x": { "y": 1 } })),
        ];
        for (expected, actual) in yes {
            assert_eq!(at(Position::Root, expected, actual), Ok(()));
        }
        let no = [
            (bson!({ "x": 1, "y": 1 }), bson!({ "x": 1 }), "at y: "),
            (
                bson!({ "x": { "y": 1 } }),
                bson!({ "x": { "y": 1, "z": 1 } }),
                "at x.z: ",
            ),
            (
                bson!({ "x": [{ "y": 1 }] }),
                bson!({ "x": [{ "y": 1, "z": 2 }] }),
                "at x.0.z: ",
            ),
            (bson!([1, 2]), bson!([1, 2, 3]), "expected 2 elements"),
            (bson!([{ "x": 1 }]), bson!({ "0": { "x": 1 } }), "an array"),
            (bson!({ "x": {} }), bson!({ "x": 1 }), "at x: "),
            (
                bson!({ "x": null }),
                bson!({}),
                "at x: expected null, found nothing",
            ),
        ];
        for (expected, actual, text) in no {
            let error = at(Position::Root, expected, actual).unwrap_err();
            assert!(error.contains(text), "{text}: {error}");
        }
    }

    #[test]
    fn an_array_of_plain_values_holds_no_documents_at_the_root() {
        let (expected, actual) = (bson!([{ "x": 1 }]), bson!([{ "x": 1, "y": 1 }]));
        let error = at(Position::Nested, expected, actual).unwrap_err();
        assert!(error.starts_with("at 0.y: "), "{error}");
    }
}
