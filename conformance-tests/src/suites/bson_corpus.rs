//! The BSON corpus, run through the `bson` crate that both drivers re-export.
//!
//! Follows "Test Plan" of the BSON corpus specification for codecs with a native representation
//! (here [`Document`]). The crate offers two ways from bytes to a `Document` and back, by walking
//! raw elements and by serde; users meet both, so every case must hold for both.

use bson::{Bson, Decimal128, Document, RawDocument};
use serde::Deserialize;
use serde_json::Value;

use crate::case::Case;
use crate::spec_files::SpecFile;

/// The content of one corpus file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Corpus {
    #[serde(rename = "description")]
    _description: String,
    bson_type: String,
    #[serde(rename = "test_key")]
    _test_key: Option<String>,
    #[serde(rename = "deprecated")]
    _deprecated: Option<bool>,
    #[serde(default)]
    valid: Vec<Valid>,
    #[serde(default, rename = "decodeErrors")]
    decode_errors: Vec<DecodeError>,
    #[serde(default, rename = "parseErrors")]
    parse_errors: Vec<ParseError>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Valid {
    description: String,
    canonical_bson: String,
    canonical_extjson: String,
    relaxed_extjson: Option<String>,
    degenerate_bson: Option<String>,
    degenerate_extjson: Option<String>,
    // The specification leaves the conversion of deprecated types to the driver; the crate keeps them.
    #[serde(rename = "converted_bson")]
    _converted_bson: Option<String>,
    #[serde(rename = "converted_extjson")]
    _converted_extjson: Option<String>,
    #[serde(default)]
    lossy: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DecodeError {
    description: String,
    bson: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ParseError {
    description: String,
    string: String,
}

/// Every entry of `valid`, `decodeErrors` and `parseErrors` is a case.
pub(crate) fn cases(file: &SpecFile) -> Vec<Case> {
    let corpus = match Corpus::deserialize(&file.json) {
        Ok(corpus) => corpus,
        Err(error) => return vec![Case::failing(file, "all", error.to_string())],
    };
    let mut cases = Vec::new();
    for valid in corpus.valid {
        let name = format!("valid: {}", valid.description);
        cases.push(Case::check(file, name, move || check_valid(&valid)));
    }
    for case in corpus.decode_errors {
        let name = format!("decodeErrors: {}", case.description);
        cases.push(Case::check(file, name, move || {
            check_decode_error(&case.bson)
        }));
    }
    let is_decimal = corpus.bson_type == "0x13";
    for case in corpus.parse_errors {
        let name = format!("parseErrors: {}", case.description);
        cases.push(Case::check(file, name, move || {
            if is_decimal {
                check_decimal_error(&case.string)
            } else {
                check_json_error(&case.string)
            }
        }));
    }
    cases
}

fn check_valid(case: &Valid) -> Result<(), String> {
    let canonical = hex(&case.canonical_bson)?;
    let canonical_json = json(&case.canonical_extjson)?;
    let relaxed_json = case.relaxed_extjson.as_deref().map(json).transpose()?;

    for (way, document) in decode("canonical_bson", &canonical)? {
        let what = format!("canonical_bson {way}");
        same_bytes(&what, &document, &canonical)?;
        same_json(
            &format!("{what} to canonical"),
            to_canonical(&document),
            &canonical_json,
        )?;
        if let Some(relaxed_json) = &relaxed_json {
            same_json(
                &format!("{what} to relaxed"),
                to_relaxed(&document),
                relaxed_json,
            )?;
        }
    }
    if let Some(degenerate) = &case.degenerate_bson {
        for (way, document) in decode("degenerate_bson", &hex(degenerate)?)? {
            same_bytes(&format!("degenerate_bson {way}"), &document, &canonical)?;
        }
    }
    let texts = [
        ("canonical_extjson", Some(&case.canonical_extjson)),
        ("degenerate_extjson", case.degenerate_extjson.as_ref()),
    ];
    for (what, text) in texts
        .into_iter()
        .filter_map(|(what, text)| Some((what, text?)))
    {
        let document = parse(what, text)?;
        same_json(
            &format!("{what} to canonical"),
            to_canonical(&document),
            &canonical_json,
        )?;
        if !case.lossy {
            same_bytes(what, &document, &canonical)?;
        }
    }
    if let (Some(text), Some(relaxed_json)) = (&case.relaxed_extjson, &relaxed_json) {
        let document = parse("relaxed_extjson", text)?;
        same_json(
            "relaxed_extjson to relaxed",
            to_relaxed(&document),
            relaxed_json,
        )?;
    }
    Ok(())
}

fn check_decode_error(text: &str) -> Result<(), String> {
    let bytes = hex(text)?;
    let accepted: Vec<_> = [
        ("by raw elements", by_elements(&bytes)),
        ("by serde", by_serde(&bytes)),
    ]
    .into_iter()
    .filter_map(|(way, result)| result.ok().map(|document| format!("{way} as {document}")))
    .collect();
    none_accepted(&accepted)
}

/// A text that is JSON and is not Extended JSON; an error while encoding what was parsed counts too.
fn check_json_error(text: &str) -> Result<(), String> {
    json(text)?;
    let Ok(document) = parse("string", text) else {
        return Ok(());
    };
    let accepted: Vec<_> = encode(&document)
        .into_iter()
        .filter(|(_, result)| result.is_ok())
        .map(|(way, _)| format!("{way} as {document}"))
        .collect();
    none_accepted(&accepted)
}

fn check_decimal_error(text: &str) -> Result<(), String> {
    match text.parse::<Decimal128>() {
        Ok(decimal) => Err(format!("expected an error, accepted as {decimal}")),
        Err(_) => Ok(()),
    }
}

fn none_accepted(accepted: &[String]) -> Result<(), String> {
    if accepted.is_empty() {
        return Ok(());
    }
    Err(format!(
        "expected an error, accepted {}",
        accepted.join(" and ")
    ))
}

fn decode(what: &str, bytes: &[u8]) -> Result<[(&'static str, Document); 2], String> {
    let describe = |way: &str, error: bson::error::Error| format!("{what} {way}: {error}");
    Ok([
        (
            "by raw elements",
            by_elements(bytes).map_err(|error| describe("by raw elements", error))?,
        ),
        (
            "by serde",
            by_serde(bytes).map_err(|error| describe("by serde", error))?,
        ),
    ])
}

fn by_elements(bytes: &[u8]) -> bson::error::Result<Document> {
    Document::try_from(RawDocument::from_bytes(bytes)?)
}

fn by_serde(bytes: &[u8]) -> bson::error::Result<Document> {
    bson::deserialize_from_slice(bytes)
}

fn encode(document: &Document) -> [(&'static str, bson::error::Result<Vec<u8>>); 2] {
    [
        ("by raw elements", document.to_vec()),
        ("by serde", bson::serialize_to_vec(document)),
    ]
}

fn same_bytes(what: &str, document: &Document, expected: &[u8]) -> Result<(), String> {
    for (way, found) in encode(document) {
        let found = found.map_err(|error| format!("{what}, encoded {way}: {error}"))?;
        if found != expected {
            return Err(format!(
                "{what}, encoded {way}: expected {expected:02X?}, found {found:02X?}"
            ));
        }
    }
    Ok(())
}

fn same_json(what: &str, mut found: Value, expected: &Value) -> Result<(), String> {
    let mut expected = expected.clone();
    normalise(&mut expected);
    normalise(&mut found);
    if found == expected {
        return Ok(());
    }
    Err(format!(
        "{what} Extended JSON: expected {expected}, found {found}"
    ))
}

/// Spells every `$numberDouble` alike. Extended JSON leaves the number of digits and the use of an
/// exponent open, so `1.2E+3` and `1200.0` are the same double.
fn normalise(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(normalise),
        Value::Object(members) => {
            if let Some(Value::String(text)) = members.get_mut("$numberDouble")
                && let Ok(double) = text.parse::<f64>()
            {
                *text = format!("{double:e}");
            }
            members.values_mut().for_each(normalise);
        }
        _ => {}
    }
}

fn to_canonical(document: &Document) -> Value {
    Bson::Document(document.clone()).into_canonical_extjson()
}

fn to_relaxed(document: &Document) -> Value {
    Bson::Document(document.clone()).into_relaxed_extjson()
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("{text} is not JSON: {error}"))
}

fn parse(what: &str, text: &str) -> Result<Document, String> {
    let Value::Object(members) = json(text)? else {
        return Err(format!("{what} is not a JSON object: {text}"));
    };
    Document::try_from(members).map_err(|error| format!("{what}: {error}"))
}

pub(super) fn hex(text: &str) -> Result<Vec<u8>, String> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| {
            let pair = std::str::from_utf8(pair)
                .ok()
                .filter(|pair| pair.len() == 2);
            pair.and_then(|pair| u8::from_str_radix(pair, 16).ok())
        })
        .collect::<Option<_>>()
        .ok_or_else(|| format!("not hexadecimal: {text}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::case::{Context, Flavor, Outcome};
    use crate::deployments::Deployments;
    use crate::suites::Suite;

    fn outcomes(json: Value) -> Vec<Outcome> {
        let file = SpecFile {
            suite: Suite::BsonCorpus,
            path: "x.json".into(),
            name: "x.json".to_owned(),
            json,
        };
        let context = Context {
            flavor: Flavor::Async,
            deployments: Deployments::unstarted(),
        };
        cases(&file)
            .into_iter()
            .map(|case| case.run(&context))
            .collect()
    }

    #[test]
    fn wrong_expectations_fail() {
        let int32 = "0C0000001061000100000000";
        let outcomes = outcomes(json!({
            "description": "d",
            "bson_type": "0x10",
            "valid": [
                { "description": "right", "canonical_bson": int32,
                  "canonical_extjson": "{\"a\": {\"$numberInt\": \"1\"}}" },
                { "description": "other value", "canonical_bson": int32,
                  "canonical_extjson": "{\"a\": {\"$numberInt\": \"2\"}}" },
                { "description": "other type", "canonical_bson": int32,
                  "canonical_extjson": "{\"a\": {\"$numberLong\": \"1\"}}" },
                { "description": "other relaxed form", "canonical_bson": int32,
                  "canonical_extjson": "{\"a\": {\"$numberInt\": \"1\"}}",
                  "relaxed_extjson": "{\"a\": 2}" },
            ],
            "decodeErrors": [{ "description": "no error", "bson": int32 }],
            "parseErrors": [{ "description": "no error", "string": "{\"a\": 1}" }],
        }));
        let passed: Vec<_> = outcomes
            .iter()
            .map(|outcome| *outcome == Outcome::Passed)
            .collect();
        assert_eq!(
            passed,
            [true, false, false, false, false, false],
            "{outcomes:?}"
        );
    }
}
