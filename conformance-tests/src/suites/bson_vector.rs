//! Packed vectors in binary values, run through the `bson` crate that both drivers re-export.
//!
//! Follows "Required tests" of the tests of the BSON binary vector specification.

use bson::binary::{PackedBitVector, Vector};
use bson::{Binary, Bson, Document, doc};
use serde::Deserialize;
use serde_json::Value;

use super::bson_corpus::hex;
use crate::case::Case;
use crate::spec_files::SpecFile;

/// The content of one file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    #[serde(rename = "description")]
    _description: String,
    test_key: String,
    tests: Vec<VectorCase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VectorCase {
    description: String,
    valid: bool,
    vector: Option<Vec<Value>>,
    dtype_hex: String,
    #[serde(rename = "dtype_alias")]
    _dtype_alias: Option<String>,
    #[serde(default)]
    padding: i64,
    canonical_bson: Option<String>,
}

/// Every entry of `tests` is a case.
pub(crate) fn cases(file: &SpecFile) -> Vec<Case> {
    let vectors = match Vectors::deserialize(&file.json) {
        Ok(vectors) => vectors,
        Err(error) => return vec![Case::failing(file, "all", error.to_string())],
    };
    let key = vectors.test_key;
    vectors
        .tests
        .into_iter()
        .map(|case| {
            let key = key.clone();
            let description = case.description.clone();
            Case::check(file, description, move || check(&case, &key))
        })
        .collect()
}

fn check(case: &VectorCase, key: &str) -> Result<(), String> {
    let canonical = case.canonical_bson.as_deref().map(hex).transpose()?;
    match (&case.vector, &canonical) {
        (Some(numbers), Some(canonical)) if case.valid => {
            check_valid(case, numbers, canonical, key)
        }
        _ if case.valid => Err("a valid case needs vector and canonical_bson".to_owned()),
        (None, None) => Err("the case has neither vector nor canonical_bson".to_owned()),
        (numbers, canonical) => {
            if let Some(numbers) = numbers
                && let Ok(vector) = encoded(case, numbers)
            {
                return Err(format!("expected an error, encoded {vector:?}"));
            }
            match canonical.as_deref().map(|bytes| decode(bytes, key)) {
                Some(Ok(vector)) => Err(format!("expected an error, decoded {vector:?}")),
                _ => Ok(()),
            }
        }
    }
}

fn check_valid(
    case: &VectorCase,
    numbers: &[Value],
    canonical: &[u8],
    key: &str,
) -> Result<(), String> {
    let vector = encoded(case, numbers)?;
    let found = doc! { key: vector.clone() }
        .to_vec()
        .map_err(|error| error.to_string())?;
    if found != canonical {
        return Err(format!("expected {canonical:02X?}, encoded {found:02X?}"));
    }
    let decoded = decode(canonical, key)?;
    if decoded == vector {
        return Ok(());
    }
    Err(format!("expected {vector:?}, decoded {decoded:?}"))
}

/// The vector of the case; an error when its numbers, type and padding make none.
fn encoded(case: &VectorCase, numbers: &[Value]) -> Result<Vector, String> {
    let vector = match case.dtype_hex.as_str() {
        "0x03" => Vector::Int8(all(numbers, |it| i8::try_from(it.as_i64()?).ok())?),
        "0x27" => Vector::Float32(all(numbers, float)?),
        "0x10" => {
            let bytes = all(numbers, |it| u8::try_from(it.as_i64()?).ok())?;
            let padding = u8::try_from(case.padding).map_err(|error| error.to_string())?;
            let bits = PackedBitVector::new(bytes, padding);
            return bits
                .map(Vector::PackedBit)
                .map_err(|error| error.to_string());
        }
        other => return Err(format!("unknown type {other}")),
    };
    // The types of the crate leave no place for a padding elsewhere; bytes do.
    let mut bytes = Binary::from(&vector).bytes;
    let padding = u8::try_from(case.padding).map_err(|error| error.to_string())?;
    if let Some(place) = bytes.get_mut(1) {
        *place = padding;
    }
    Vector::from_bytes(bytes).map_err(|error| error.to_string())
}

fn all<T>(numbers: &[Value], read: impl Fn(&Value) -> Option<T>) -> Result<Vec<T>, String> {
    let read = |number| read(number).ok_or_else(|| format!("no element of the type: {number}"));
    numbers.iter().map(read).collect()
}

/// A number, infinities in Extended JSON.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the cases write single precision with the digits of double precision"
)]
fn float(number: &Value) -> Option<f32> {
    let double = match number.get("$numberDouble").and_then(Value::as_str) {
        Some("Infinity") => f64::INFINITY,
        Some("-Infinity") => f64::NEG_INFINITY,
        Some(text) => text.parse().ok()?,
        None => number.as_f64()?,
    };
    Some(double as f32)
}

fn decode(bytes: &[u8], key: &str) -> Result<Vector, String> {
    let document = Document::from_reader(bytes).map_err(|error| error.to_string())?;
    match document.get(key) {
        Some(Bson::Binary(binary)) => Vector::try_from(binary).map_err(|error| error.to_string()),
        other => Err(format!("{key} is {other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn wrong_expectations_fail() {
        let checked = |valid: bool, numbers: Value, bson: Option<&str>| {
            let case = json!({
                "description": "d", "valid": valid, "vector": numbers,
                "dtype_hex": "0x03", "canonical_bson": bson,
            });
            check(&VectorCase::deserialize(case).unwrap(), "v")
        };
        let bson = Some("11000000057600040000000903007F0700");
        assert_eq!(checked(true, json!([127, 7]), bson), Ok(()));
        assert!(checked(true, json!([127, 8]), bson).is_err());
        assert!(checked(false, json!([128, 7]), bson).is_err());
        assert!(checked(false, json!([127, 7]), None).is_err());
        assert_eq!(checked(false, json!([128, 7]), None), Ok(()));
    }
}
