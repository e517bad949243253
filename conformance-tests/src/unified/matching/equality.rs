//! When two values are equal.

use std::cmp::Ordering;

use bson::{Bson, Document};

/// Whether two values that are neither documents nor arrays are equal. Numbers of different types
/// are when their values are, except decimals.
pub(super) fn is_equal(expected: &Bson, actual: &Bson) -> bool {
    match (Number::of(expected), Number::of(actual)) {
        (Some(expected), Some(actual)) => expected.compare(actual) == Some(Ordering::Equal),
        _ => is_same(expected, actual),
    }
}

/// Fails when two lists of documents differ in more than the order of keys, as the data of a
/// collection must not.
///
/// # Errors
///
/// The text names the first document that differs, or the difference in number.
pub fn same_documents(expected: &[Document], actual: &[Document]) -> Result<(), String> {
    let shown = |document: &Document| super::shown(Some(&Bson::Document(document.clone())));
    for (index, (expected, actual)) in expected.iter().zip(actual).enumerate() {
        if !is_same_document(expected, actual) {
            let (expected, actual) = (shown(expected), shown(actual));
            return Err(format!(
                "document {index}: expected {expected}, found {actual}"
            ));
        }
    }
    if expected.len() == actual.len() {
        return Ok(());
    }
    let (wanted, found) = (expected.len(), actual.len());
    let all: Vec<String> = actual.iter().map(shown).collect();
    Err(format!(
        "expected {wanted} documents, found {found}: {}",
        all.join(", ")
    ))
}

/// Whether two values are of one type and differ at most in the order of keys.
pub(super) fn is_same(expected: &Bson, actual: &Bson) -> bool {
    match (expected, actual) {
        (Bson::Document(expected), Bson::Document(actual)) => is_same_document(expected, actual),
        (Bson::Array(expected), Bson::Array(actual)) => {
            expected.len() == actual.len()
                && expected.iter().zip(actual).all(|(a, b)| is_same(a, b))
        }
        (Bson::JavaScriptCodeWithScope(expected), Bson::JavaScriptCodeWithScope(actual)) => {
            expected.code == actual.code && is_same_document(&expected.scope, &actual.scope)
        }
        // `NaN` must be found equal to itself.
        (Bson::Double(expected), Bson::Double(actual)) => {
            expected == actual || (expected.is_nan() && actual.is_nan())
        }
        _ => expected == actual,
    }
}

fn is_same_document(expected: &Document, actual: &Document) -> bool {
    expected.len() == actual.len()
        && expected
            .iter()
            .all(|(key, value)| actual.get(key).is_some_and(|actual| is_same(value, actual)))
}

/// A number of the types that are compared by value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Integer(i64),
    Double(f64),
}

impl Number {
    pub(super) fn of(value: &Bson) -> Option<Self> {
        match value {
            Bson::Int32(number) => Some(Self::Integer((*number).into())),
            Bson::Int64(number) => Some(Self::Integer(*number)),
            Bson::Double(number) => Some(Self::Double(*number)),
            _ => None,
        }
    }

    /// Compares by value, without rounding either side. `NaN` equals itself only.
    pub(super) fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => Some(a.cmp(&b)),
            (Self::Double(a), Self::Double(b)) if a.is_nan() && b.is_nan() => Some(Ordering::Equal),
            (Self::Double(a), Self::Double(b)) => a.partial_cmp(&b),
            (Self::Integer(a), Self::Double(b)) => compare_mixed(a, b),
            (Self::Double(a), Self::Integer(b)) => compare_mixed(b, a).map(Ordering::reverse),
        }
    }
}

/// Compares the whole part first, as an integer that holds every value of both types.
fn compare_mixed(integer: i64, double: f64) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    // Saturates beyond the range of `i128`, which lies far beyond that of `i64`.
    let whole = i128::from(integer).cmp(&(double.trunc() as i128));
    Some(whole.then_with(|| {
        0.0_f64
            .partial_cmp(&double.fract())
            .unwrap_or(Ordering::Equal)
    }))
}

#[cfg(test)]
mod tests {
    use bson::{Decimal128, JavaScriptCodeWithScope, bson, doc};

    use super::*;

    #[test]
    fn numbers_are_equal_by_value_and_decimals_only_to_decimals() {
        let decimal: Bson = "1".parse::<Decimal128>().unwrap().into();
        let (long, double) = (Bson::Int64(1), Bson::Double(1.0));
        for number in [&Bson::Int32(1), &long, &double] {
            assert!(is_equal(&Bson::Int32(1), number), "{number}");
            assert!(is_equal(number, &double), "{number}");
            assert!(!is_equal(number, &decimal), "{number}");
            assert!(!is_equal(number, &Bson::Double(1.5)), "{number}");
            assert!(!is_equal(number, &Bson::String("1".into())), "{number}");
            assert!(!is_equal(number, &Bson::Boolean(true)), "{number}");
        }
        assert!(is_equal(&decimal, &decimal));
        let nan = Bson::Double(f64::NAN);
        assert!(is_equal(&nan, &nan) && !is_equal(&nan, &long) && !is_equal(&long, &nan));
    }

    #[test]
    fn large_integers_are_not_rounded_to_doubles() {
        let beyond = (1_i64 << 53) + 1;
        let double = Bson::Double(9_007_199_254_740_992.0);
        assert!(!is_equal(&Bson::Int64(beyond), &double));
        assert!(is_equal(&Bson::Int64(beyond - 1), &double));
        let infinite = Number::Double(f64::INFINITY);
        let order = Number::Integer(i64::MAX).compare(infinite);
        assert_eq!(order, Some(Ordering::Less));
    }

    #[test]
    fn negative_fractions_are_ordered() {
        let order = |integer, double| Number::Integer(integer).compare(Number::Double(double));
        assert_eq!(order(-1, -1.5), Some(Ordering::Greater));
        assert_eq!(order(-2, -1.5), Some(Ordering::Less));
        assert_eq!(order(0, -0.5), Some(Ordering::Greater));
        assert_eq!(order(0, -0.0), Some(Ordering::Equal));
    }

    #[test]
    fn scopes_of_code_are_compared_exactly_but_for_the_order() {
        let code = |scope| {
            Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope {
                code: "x".to_owned(),
                scope,
            })
        };
        let expected = code(doc! { "a": 1, "b": 2 });
        assert!(is_equal(&expected, &code(doc! { "b": 2, "a": 1 })));
        assert!(!is_equal(&expected, &code(doc! { "b": 2, "a": 1_i64 })));
    }

    #[test]
    fn the_data_of_a_collection_must_be_exactly_the_expected_but_for_the_order_of_keys() {
        let expected = [doc! { "_id": 1, "x": [{ "a": 1, "b": 2 }] }];
        let same = [doc! { "x": [{ "b": 2, "a": 1 }], "_id": 1 }];
        assert_eq!(same_documents(&expected, &same), Ok(()));
        for (other, text) in [
            (vec![], "expected 1 documents, found 0"),
            (
                vec![doc! { "_id": 1_i64, "x": [{ "a": 1, "b": 2 }] }],
                "document 0: ",
            ),
            (
                vec![doc! { "_id": 1, "x": [{ "a": 1, "b": 2 }], "y": 1 }],
                "document 0: ",
            ),
            (vec![expected[0].clone(), doc! { "_id": 2 }], "found 2: "),
        ] {
            let error = same_documents(&expected, &other).unwrap_err();
            assert!(error.contains(text), "{text}: {error}");
        }
        assert!(!is_same(&bson!([1, 2]), &bson!([2, 1])));
    }
}
