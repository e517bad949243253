//! Documents as relaxed extended JSON of limited length, for the log.

use std::{
    fmt::{self, Write},
    ops::RangeInclusive,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use bson::{Bson, DateTime, RawBsonRef, RawDocument};

/// What stands at the end of text that was cut.
const ELLIPSIS: &str = "...";
/// The deepest nesting that is written; servers accept 180 levels.
const DEEPEST: usize = 256;
/// Binary data is written in pieces of so many bytes, so that not all of it is encoded in vain. A
/// multiple of three, so that pieces need no padding.
const PIECE: usize = 48;
/// The dates that are written in words, from 1970 to 9999.
const IN_WORDS: RangeInclusive<i64> = 0..=253_402_300_799_999;

/// A command or a reply as relaxed extended JSON, cut after `limit` bytes and whole characters.
///
/// A sequence is a field and the documents, one after the other, that are its array. Only as much
/// is written as is shown.
pub(super) fn extended_json<'a>(
    document: &RawDocument,
    sequences: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    limit: usize,
) -> String {
    let mut json = Limited {
        text: String::new(),
        limit,
    };
    if write_whole(&mut json, document, sequences).is_err() {
        json.text.push_str(ELLIPSIS);
    }
    json.text
}

/// Text that refuses what goes beyond its limit.
struct Limited {
    text: String,
    limit: usize,
}

impl Write for Limited {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.limit - self.text.len();
        let end = text.floor_char_boundary(room);
        self.text.push_str(&text[..end]);
        if end == text.len() {
            Ok(())
        } else {
            // Nothing may follow what was left out.
            self.limit = self.text.len();
            Err(fmt::Error)
        }
    }
}

fn write_whole<'a>(
    json: &mut impl Write,
    document: &RawDocument,
    sequences: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> fmt::Result {
    json.write_char('{')?;
    write_fields(json, document, 0)?;
    let mut is_first = document.is_empty();
    for (identifier, documents) in sequences {
        if !std::mem::take(&mut is_first) {
            json.write_char(',')?;
        }
        write_string(json, identifier)?;
        json.write_str(":[")?;
        write_sequence(json, documents)?;
        json.write_char(']')?;
    }
    json.write_char('}')
}

fn write_sequence(json: &mut impl Write, mut documents: &[u8]) -> fmt::Result {
    let mut separator = "";
    while let Some(length) = documents.first_chunk() {
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| fmt::Error)?;
        let (first, rest) = documents.split_at_checked(length).ok_or(fmt::Error)?;
        let first = RawDocument::from_bytes(first).map_err(|_| fmt::Error)?;
        json.write_str(separator)?;
        write_document(json, first, 0)?;
        separator = ",";
        documents = rest;
    }
    Ok(())
}

fn write_document(json: &mut impl Write, document: &RawDocument, depth: usize) -> fmt::Result {
    json.write_char('{')?;
    write_fields(json, document, depth)?;
    json.write_char('}')
}

/// Writes what stands between the braces. BSON that is broken ends the text where it breaks.
fn write_fields(json: &mut impl Write, document: &RawDocument, depth: usize) -> fmt::Result {
    let mut separator = "";
    for field in document {
        let (key, value) = field.map_err(|_| fmt::Error)?;
        json.write_str(separator)?;
        write_string(json, key.as_str())?;
        json.write_char(':')?;
        write_value(json, value, depth + 1)?;
        separator = ",";
    }
    Ok(())
}

fn write_value(json: &mut impl Write, value: RawBsonRef<'_>, depth: usize) -> fmt::Result {
    if depth > DEEPEST {
        return Err(fmt::Error);
    }
    match value {
        RawBsonRef::Double(number) => write_double(json, number),
        RawBsonRef::String(text) => write_string(json, text),
        RawBsonRef::Array(array) => {
            json.write_char('[')?;
            let mut separator = "";
            for value in array {
                json.write_str(separator)?;
                write_value(json, value.map_err(|_| fmt::Error)?, depth + 1)?;
                separator = ",";
            }
            json.write_char(']')
        }
        RawBsonRef::Document(document) => write_document(json, document, depth),
        RawBsonRef::Boolean(value) => write!(json, "{value}"),
        RawBsonRef::Null => json.write_str("null"),
        RawBsonRef::Int32(number) => write!(json, "{number}"),
        RawBsonRef::Int64(number) => write!(json, "{number}"),
        RawBsonRef::ObjectId(id) => write!(json, r#"{{"$oid":"{id}"}}"#),
        RawBsonRef::DateTime(time) => write_date(json, time),
        RawBsonRef::Binary(binary) => {
            json.write_str(r#"{"$binary":{"base64":""#)?;
            for piece in binary.bytes.chunks(PIECE) {
                json.write_str(&BASE64_STANDARD.encode(piece))?;
            }
            write!(
                json,
                r#"","subType":"{:02x}"}}}}"#,
                u8::from(binary.subtype)
            )
        }
        RawBsonRef::Timestamp(it) => {
            let (time, increment) = (it.time, it.increment);
            write!(json, r#"{{"$timestamp":{{"t":{time},"i":{increment}}}}}"#)
        }
        RawBsonRef::Decimal128(number) => write!(json, r#"{{"$numberDecimal":"{number}"}}"#),
        other => write_rare_value(json, other, depth),
    }
}

fn write_rare_value(json: &mut impl Write, value: RawBsonRef<'_>, depth: usize) -> fmt::Result {
    match value {
        RawBsonRef::RegularExpression(regex) => {
            json.write_str(r#"{"$regularExpression":{"pattern":"#)?;
            write_string(json, regex.pattern.as_str())?;
            json.write_str(r#","options":"#)?;
            write_string(json, regex.options.as_str())?;
            json.write_str("}}")
        }
        RawBsonRef::JavaScriptCode(code) => {
            json.write_str(r#"{"$code":"#)?;
            write_string(json, code)?;
            json.write_char('}')
        }
        RawBsonRef::JavaScriptCodeWithScope(it) => {
            json.write_str(r#"{"$code":"#)?;
            write_string(json, it.code)?;
            json.write_str(r#","$scope":"#)?;
            write_document(json, it.scope, depth)?;
            json.write_char('}')
        }
        RawBsonRef::Symbol(symbol) => {
            json.write_str(r#"{"$symbol":"#)?;
            write_string(json, symbol)?;
            json.write_char('}')
        }
        RawBsonRef::Undefined => json.write_str(r#"{"$undefined":true}"#),
        RawBsonRef::MinKey => json.write_str(r#"{"$minKey":1}"#),
        RawBsonRef::MaxKey => json.write_str(r#"{"$maxKey":1}"#),
        // What is left is the pointer that was given up before 1.0; its parts cannot be seen.
        other => match Bson::try_from(other) {
            Ok(pointer) => write_string(json, &pointer.to_string()),
            Err(_) => Err(fmt::Error),
        },
    }
}

fn write_double(json: &mut impl Write, number: f64) -> fmt::Result {
    if number.is_finite() {
        return write!(json, "{number:?}");
    }
    let name = match number {
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        _ => "NaN",
    };
    write!(json, r#"{{"$numberDouble":"{name}"}}"#)
}

fn write_date(json: &mut impl Write, time: DateTime) -> fmt::Result {
    let milliseconds = time.timestamp_millis();
    match time.try_to_rfc3339_string() {
        Ok(text) if IN_WORDS.contains(&milliseconds) => write!(json, r#"{{"$date":"{text}"}}"#),
        _ => write!(json, r#"{{"$date":{{"$numberLong":"{milliseconds}"}}}}"#),
    }
}

fn write_string(json: &mut impl Write, text: &str) -> fmt::Result {
    json.write_char('"')?;
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_control() || matches!(c, '"' | '\\')) {
        let (plain, special) = rest.split_at(at);
        json.write_str(plain)?;
        let mut characters = special.chars();
        match characters.next() {
            Some('"') => json.write_str("\\\"")?,
            Some('\\') => json.write_str("\\\\")?,
            Some('\n') => json.write_str("\\n")?,
            Some('\r') => json.write_str("\\r")?,
            Some('\t') => json.write_str("\\t")?,
            // All control characters lie in the first plane, so that one escape is enough.
            Some(other) => write!(json, "\\u{:04x}", u32::from(other))?,
            None => {}
        }
        rest = characters.as_str();
    }
    json.write_str(rest)?;
    json.write_char('"')
}

#[cfg(test)]
mod tests {
    use bson::{
        Binary, Decimal128, Document, JavaScriptCodeWithScope, Timestamp, doc, oid::ObjectId,
        spec::BinarySubtype,
    };

    use super::*;

    fn json(document: &Document, limit: usize) -> String {
        let bytes = document.to_vec().unwrap();
        extended_json(RawDocument::from_bytes(&bytes).unwrap(), [], limit)
    }

    #[test]
    fn each_type_is_written_as_the_relaxed_format_says() {
        let binary = Binary {
            subtype: BinarySubtype::UserDefined(0x80),
            bytes: vec![1, 2, 3, 4],
        };
        let scoped = JavaScriptCodeWithScope {
            code: "f".into(),
            scope: doc! { "x": 1 },
        };
        let regex = bson::Regex {
            pattern: "^a\"".try_into().unwrap(),
            options: "i".try_into().unwrap(),
        };
        let id = ObjectId::from_bytes([7; 12]);
        let decimal: Decimal128 = "1.50".parse().unwrap();
        let cases: Vec<(Bson, &str)> = vec![
            (1.0.into(), "1.0"),
            (1e300.into(), "1e300"),
            (f64::NAN.into(), r#"{"$numberDouble":"NaN"}"#),
            (f64::NEG_INFINITY.into(), r#"{"$numberDouble":"-Infinity"}"#),
            ("é\"\\\n\u{1}\u{7f}".into(), r#""é\"\\\n\u0001\u007f""#),
            (Bson::Array(vec![1.into(), Bson::Null]), "[1,null]"),
            (doc! { "a": true, "b": {} }.into(), r#"{"a":true,"b":{}}"#),
            (i64::MIN.into(), "-9223372036854775808"),
            (id.into(), r#"{"$oid":"070707070707070707070707"}"#),
            (
                DateTime::from_millis(501).into(),
                r#"{"$date":"1970-01-01T00:00:00.501Z"}"#,
            ),
            (
                DateTime::from_millis(-1).into(),
                r#"{"$date":{"$numberLong":"-1"}}"#,
            ),
            (
                DateTime::MAX.into(),
                r#"{"$date":{"$numberLong":"9223372036854775807"}}"#,
            ),
            (
                binary.into(),
                r#"{"$binary":{"base64":"AQIDBA==","subType":"80"}}"#,
            ),
            (
                regex.into(),
                r#"{"$regularExpression":{"pattern":"^a\"","options":"i"}}"#,
            ),
            (Bson::JavaScriptCode("f".into()), r#"{"$code":"f"}"#),
            (scoped.into(), r#"{"$code":"f","$scope":{"x":1}}"#),
            (Bson::Symbol("s".into()), r#"{"$symbol":"s"}"#),
            (
                Timestamp {
                    time: 5,
                    increment: 6,
                }
                .into(),
                r#"{"$timestamp":{"t":5,"i":6}}"#,
            ),
            (decimal.into(), r#"{"$numberDecimal":"1.50"}"#),
            (Bson::Undefined, r#"{"$undefined":true}"#),
            (Bson::MinKey, r#"{"$minKey":1}"#),
            (Bson::MaxKey, r#"{"$maxKey":1}"#),
        ];
        for (value, wanted) in cases {
            let document = doc! { "v": value };
            assert_eq!(json(&document, 1000), format!(r#"{{"v":{wanted}}}"#));
        }
        assert_eq!(json(&doc! {}, 1000), "{}");
    }

    #[test]
    fn long_binary_data_is_one_piece_of_base64() {
        let bytes: Vec<u8> = (0..=200).collect();
        let wanted = BASE64_STANDARD.encode(&bytes);
        let binary = Binary {
            subtype: BinarySubtype::Generic,
            bytes,
        };
        assert!(json(&doc! { "v": binary }, 1000).contains(&wanted));
    }

    #[test]
    fn text_is_cut_after_whole_characters_and_the_ellipsis_does_not_count() {
        let whole = r#"{"a":"éé€"}"#;
        for limit in 0..whole.len() {
            let cut = json(&doc! { "a": "éé€" }, limit);
            let kept = whole.floor_char_boundary(limit);
            assert_eq!(cut, format!("{}...", &whole[..kept]), "{limit}");
        }
        assert_eq!(json(&doc! { "a": "éé€" }, whole.len()), whole);
    }

    #[test]
    fn the_documents_of_a_sequence_are_an_array_of_the_command() {
        let mut documents = doc! { "_id": 1 }.to_vec().unwrap();
        documents.extend(doc! { "_id": 2 }.to_vec().unwrap());
        let command = bson::rawdoc! { "insert": "c" };
        let sequences = [("documents", &*documents), ("more", &[])];
        let wanted = r#"{"insert":"c","documents":[{"_id":1},{"_id":2}],"more":[]}"#;
        assert_eq!(extended_json(&command, sequences, 1000), wanted);
    }

    #[test]
    fn nesting_beyond_all_measure_ends_the_text() {
        let levels = 100_000_u32;
        let starts = (1..=levels).rev().flat_map(|inside| {
            let length = inside * 8 + 5;
            length.to_le_bytes().into_iter().chain([3, b'a', 0])
        });
        let innermost = [5, 0, 0, 0, 0];
        let ends = (0..levels).map(|_| 0);
        let bytes: Vec<u8> = starts.chain(innermost).chain(ends).collect();
        let nested = RawDocument::from_bytes(&bytes).unwrap();
        assert!(extended_json(nested, [], usize::MAX).ends_with(r#"{"a":..."#));
    }
}
