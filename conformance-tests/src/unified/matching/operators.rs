//! The operators that stand in place of an expected value, such as `{ "$$type": "int" }`.

use std::cmp::Ordering;

use bson::{Bson, Document, spec::ElementType};

use super::{Lookup, Mismatch, Position, equality::Number, matches, shown};

/// An operator and what it is applied with.
pub(super) struct Operator<'a> {
    name: &'a str,
    operand: &'a Bson,
}

/// The operator that a document stands for: its only key starts with `$$`.
pub(super) fn of(document: &Document) -> Option<Operator<'_>> {
    let mut keys = document.iter();
    match (keys.next(), keys.next()) {
        (Some((name, operand)), None) if name.starts_with("$$") => Some(Operator { name, operand }),
        _ => None,
    }
}

impl Operator<'_> {
    pub(super) fn apply(
        &self,
        actual: Option<&Bson>,
        position: Position,
        lookup: &dyn Lookup,
    ) -> Result<(), Mismatch> {
        match self.name {
            "$$exists" => self.exists(actual),
            "$$type" => self.has_type(actual),
            "$$matchesEntity" => {
                let id = self.text("the name of an entity")?;
                let entity = lookup
                    .entity(id)
                    .ok_or_else(|| self.misused(format!("no entity {id} holds a BSON value")))?;
                matches(&entity, actual, position, lookup)
            }
            "$$matchesHexBytes" => self.matches_bytes(actual),
            "$$unsetOrMatches" => match actual {
                None => Ok(()),
                Some(_) => matches(self.operand, actual, position, lookup),
            },
            "$$sessionLsid" => {
                let id = self.text("the name of a session")?;
                let lsid = lookup
                    .session_lsid(id)
                    .ok_or_else(|| self.misused(format!("no entity {id} is a session")))?;
                matches(&Bson::Document(lsid), actual, Position::Nested, lookup)
            }
            "$$lte" => self.is_at_most(actual),
            "$$matchAsDocument" => {
                let document = self.parsed(actual)?;
                matches(self.operand, Some(&document), Position::Nested, lookup)
            }
            "$$matchAsRoot" => match actual {
                Some(Bson::Document(_)) => matches(self.operand, actual, Position::Root, lookup),
                _ => Err(Mismatch::between("a document", actual)),
            },
            "$$placeholder" => Err(self.misused("there is no value to put in its place here")),
            _ => Err(self.misused("it is not an operator of the format")),
        }
    }

    fn exists(&self, actual: Option<&Bson>) -> Result<(), Mismatch> {
        let Bson::Boolean(wanted) = *self.operand else {
            return Err(self.misused("it takes true or false"));
        };
        match (wanted, actual.is_some()) {
            (true, false) => Err(Mismatch::between("any value", actual)),
            (false, true) => Err(Mismatch::between("no such key", actual)),
            _ => Ok(()),
        }
    }

    fn has_type(&self, actual: Option<&Bson>) -> Result<(), Mismatch> {
        let names: Vec<&str> = match self.operand {
            Bson::String(name) => vec![name],
            Bson::Array(names) => names
                .iter()
                .map(|name| {
                    name.as_str()
                        .ok_or_else(|| self.misused("a name is no text"))
                })
                .collect::<Result<_, _>>()?,
            _ => return Err(self.misused("it takes the name of a type, or an array of them")),
        };
        let mut holds = false;
        for name in &names {
            let types = types_named(name)
                .ok_or_else(|| self.misused(format!("{name:?} is not the name of a type")))?;
            holds |= actual.is_some_and(|actual| types.contains(&actual.element_type()));
        }
        if holds {
            return Ok(());
        }
        let wanted = format!("a value of type {}", names.join(" or "));
        Err(Mismatch::between(wanted, actual))
    }

    fn matches_bytes(&self, actual: Option<&Bson>) -> Result<(), Mismatch> {
        let text = self.text("hexadecimal digits")?;
        let wanted = bytes_of_hex(text)
            .ok_or_else(|| self.misused(format!("{text:?} is not pairs of hexadecimal digits")))?;
        let holds = match actual {
            Some(Bson::Binary(binary)) => binary.bytes == wanted,
            Some(Bson::String(text)) => text.as_bytes() == wanted,
            _ => false,
        };
        if holds {
            return Ok(());
        }
        Err(Mismatch::between(format!("the bytes {text:?}"), actual))
    }

    fn is_at_most(&self, actual: Option<&Bson>) -> Result<(), Mismatch> {
        let limit = Number::of(self.operand).ok_or_else(|| self.misused("it takes a number"))?;
        let order = actual
            .and_then(Number::of)
            .and_then(|actual| actual.compare(limit));
        if matches!(order, Some(Ordering::Less | Ordering::Equal)) {
            return Ok(());
        }
        let wanted = format!("a number up to {}", shown(Some(self.operand)));
        Err(Mismatch::between(wanted, actual))
    }

    fn parsed(&self, actual: Option<&Bson>) -> Result<Bson, Mismatch> {
        let wanted = "a document as Extended JSON text";
        let Some(Bson::String(text)) = actual else {
            return Err(Mismatch::between(wanted, actual));
        };
        serde_json::from_str::<serde_json::Value>(text)
            .ok()
            .filter(serde_json::Value::is_object)
            .and_then(|json| Bson::try_from(json).ok())
            .ok_or_else(|| Mismatch::between(wanted, actual))
    }

    fn text(&self, what: &str) -> Result<&str, Mismatch> {
        self.operand
            .as_str()
            .ok_or_else(|| self.misused(format!("it takes {what}")))
    }

    fn misused(&self, why: impl AsRef<str>) -> Mismatch {
        Mismatch::new(format!("the case misuses {}: {}", self.name, why.as_ref()))
    }
}

/// The types that a name of the `$type` query operator stands for.
fn types_named(name: &str) -> Option<&'static [ElementType]> {
    Some(match name {
        "double" => &[ElementType::Double],
        "string" => &[ElementType::String],
        "object" => &[ElementType::EmbeddedDocument],
        "array" => &[ElementType::Array],
        "binData" => &[ElementType::Binary],
        "undefined" => &[ElementType::Undefined],
        "objectId" => &[ElementType::ObjectId],
        "bool" => &[ElementType::Boolean],
        "date" => &[ElementType::DateTime],
        "null" => &[ElementType::Null],
        "regex" => &[ElementType::RegularExpression],
        "dbPointer" => &[ElementType::DbPointer],
        "javascript" => &[ElementType::JavaScriptCode],
        "symbol" => &[ElementType::Symbol],
        "javascriptWithScope" => &[ElementType::JavaScriptCodeWithScope],
        "int" => &[ElementType::Int32],
        "timestamp" => &[ElementType::Timestamp],
        "long" => &[ElementType::Int64],
        "decimal" => &[ElementType::Decimal128],
        "minKey" => &[ElementType::MinKey],
        "maxKey" => &[ElementType::MaxKey],
        "number" => &[
            ElementType::Double,
            ElementType::Int32,
            ElementType::Int64,
            ElementType::Decimal128,
        ],
        _ => return None,
    })
}

/// The bytes that pairs of hexadecimal digits stand for, as `$$hexBytes` of a GridFS upload has
/// them too.
pub fn bytes_of_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| {
            digit
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        })
        .collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    Some(pairs.map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use bson::{Binary, bson, spec::BinarySubtype};

    use super::super::{match_value, tests::Entities};
    use super::*;

    fn check(expected: &Bson, actual: Option<&Bson>) -> Result<(), String> {
        match_value(expected, actual, Position::Nested, &Entities)
    }

    #[track_caller]
    fn holds(expected: Bson, actual: Bson) {
        assert_eq!(
            check(&expected, Some(&actual)),
            Ok(()),
            "{expected} {actual}"
        );
    }

    #[track_caller]
    fn fails(expected: Bson, actual: Bson) {
        let result = check(&expected, Some(&actual));
        assert!(result.is_err(), "{expected} {actual}");
    }

    #[track_caller]
    fn refused(expected: Bson) {
        let error = check(&expected, Some(&bson!("x"))).unwrap_err();
        assert!(error.contains("misuses $$"), "{expected}: {error}");
    }

    #[test]
    fn exists_asks_for_the_key_whatever_its_value() {
        holds(bson!({ "x": { "$$exists": true } }), bson!({ "x": null }));
        fails(bson!({ "x": { "$$exists": true } }), bson!({}));
        holds(bson!({ "x": { "$$exists": false } }), bson!({}));
        fails(bson!({ "x": { "$$exists": false } }), bson!({ "x": null }));
        refused(bson!({ "$$exists": 1 }));
    }

    #[test]
    fn type_takes_one_name_or_several_and_never_looks_into_arrays() {
        holds(bson!({ "$$type": "string" }), bson!("x"));
        holds(bson!({ "$$type": ["int", "long"] }), bson!(1_i64));
        fails(bson!({ "$$type": ["int", "long"] }), bson!(1.0));
        fails(bson!({ "$$type": "int" }), bson!([1]));
        holds(bson!({ "$$type": "array" }), bson!([1]));
        assert!(check(&bson!({ "$$type": "int" }), None).is_err());
        for number in [bson!(1), bson!(1_i64), bson!(1.5)] {
            holds(bson!({ "$$type": "number" }), number);
        }
        fails(bson!({ "$$type": "number" }), bson!("1"));
        refused(bson!({ "$$type": "integer" }));
        refused(bson!({ "$$type": 16 }));
        refused(bson!({ "$$type": ["string", 2] }));
    }

    #[test]
    fn entities_match_by_the_standard_rules() {
        holds(
            bson!({ "$$matchesEntity": "saved" }),
            bson!({ "_id": 7_i64 }),
        );
        fails(bson!({ "$$matchesEntity": "saved" }), bson!({ "_id": 8 }));
        fails(
            bson!({ "$$matchesEntity": "saved" }),
            bson!({ "_id": 7, "x": 1 }),
        );
        refused(bson!({ "$$matchesEntity": "other" }));
        let (entity, actual) = (
            bson!({ "$$matchesEntity": "saved" }),
            bson!({ "_id": 7, "x": 1 }),
        );
        let result = match_value(&entity, Some(&actual), Position::Root, &Entities);
        assert_eq!(result, Ok(()), "the position is kept");
    }

    #[test]
    fn hex_bytes_match_bytes() {
        let bytes = |bytes: &[u8]| {
            Bson::Binary(Binary {
                subtype: BinarySubtype::Generic,
                bytes: bytes.to_vec(),
            })
        };
        holds(bson!({ "$$matchesHexBytes": "12aB" }), bytes(&[0x12, 0xab]));
        holds(bson!({ "$$matchesHexBytes": "" }), bytes(&[]));
        holds(bson!({ "$$matchesHexBytes": "6869" }), bson!("hi"));
        fails(bson!({ "$$matchesHexBytes": "12" }), bytes(&[0x13]));
        fails(bson!({ "$$matchesHexBytes": "12" }), bson!(18));
        refused(bson!({ "$$matchesHexBytes": "123" }));
        refused(bson!({ "$$matchesHexBytes": "1g" }));
    }

    #[test]
    fn unset_or_matches_allows_absence_but_not_null() {
        let expected = bson!({ "x": { "$$unsetOrMatches": { "$$type": "int" } } });
        holds(expected.clone(), bson!({}));
        holds(expected.clone(), bson!({ "x": 1 }));
        fails(expected.clone(), bson!({ "x": "1" }));
        fails(expected, bson!({ "x": null }));
        assert_eq!(check(&bson!({ "$$unsetOrMatches": 1 }), None), Ok(()));
        let (expected, actual) = (
            bson!({ "$$unsetOrMatches": { "a": 1 } }),
            bson!({ "a": 1, "b": 2 }),
        );
        let result = match_value(&expected, Some(&actual), Position::Root, &Entities);
        assert_eq!(result, Ok(()), "the position is kept");
        fails(expected, actual);
    }

    #[test]
    fn a_session_is_known_by_its_id() {
        holds(bson!({ "$$sessionLsid": "session0" }), bson!({ "id": 1 }));
        fails(bson!({ "$$sessionLsid": "session0" }), bson!({ "id": 2 }));
        refused(bson!({ "$$sessionLsid": "saved" }));
    }

    #[test]
    fn lte_compares_numbers_of_all_types() {
        for number in [bson!(1), bson!(1.0), bson!(0.0), bson!(-1_i64)] {
            holds(bson!({ "$$lte": 1 }), number);
        }
        for value in [bson!(1.1), bson!(2), bson!("1"), bson!(null)] {
            fails(bson!({ "$$lte": 1 }), value);
        }
        refused(bson!({ "$$lte": "1" }));
    }

    #[test]
    fn text_is_matched_as_the_document_it_tells() {
        let expected = bson!({ "$$matchAsDocument": { "a": 1, "b": { "$$exists": false } } });
        holds(
            expected.clone(),
            bson!(r#"{ "a": { "$numberLong": "1" } }"#),
        );
        fails(expected.clone(), bson!(r#"{ "a": 1, "b": 2 }"#));
        fails(expected.clone(), bson!(r#"{ "a": 1, "c": 2 }"#));
        fails(expected.clone(), bson!(r#"{ "a": 1 "#));
        fails(expected.clone(), bson!("[1]"));
        fails(expected, bson!({ "a": 1 }));
        let at_root = bson!({ "$$matchAsDocument": { "$$matchAsRoot": { "a": 1 } } });
        holds(at_root, bson!(r#"{ "a": 1, "c": 2 }"#));
    }

    #[test]
    fn a_nested_document_can_be_matched_as_one_at_the_root() {
        let expected = bson!({ "x": { "$$matchAsRoot": { "a": 1 } } });
        holds(expected.clone(), bson!({ "x": { "a": 1, "b": 2 } }));
        fails(expected.clone(), bson!({ "x": { "b": 2 } }));
        fails(expected.clone(), bson!({ "x": [] }));
        fails(expected, bson!({}));
    }

    #[test]
    fn what_is_no_operator_is_refused_and_no_operator_is_missed() {
        refused(bson!({ "$$placeholder": 1 }));
        refused(bson!({ "$$matches": 1 }));
        holds(bson!({ "$$a": 1, "b": 2 }), bson!({ "$$a": 1, "b": 2 }));
    }
}
