//! Walks the fields of a document by their bytes alone.
//!
//! `bson`'s own iterator checks every key and value that it passes, which costs a few hundred
//! instructions a field (measured in November 2026). Looking for one field among many needs their
//! lengths only.

use bson::{RawDocument, Timestamp, spec::ElementType};

/// One field: what it is called, what it is, and its value's bytes, none of them checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) element_type: ElementType,
    pub(crate) value: &'a [u8],
}

impl<'a> Field<'a> {
    /// The value as a number, whatever its type; `None` when it is none.
    pub(crate) fn number(&self) -> Option<f64> {
        match self.element_type {
            ElementType::Double => Some(f64::from_le_bytes(self.value.try_into().ok()?)),
            ElementType::Int32 => Some(i32::from_le_bytes(self.value.try_into().ok()?).into()),
            #[expect(clippy::cast_precision_loss, reason = "flags and counts are small")]
            ElementType::Int64 => Some(i64::from_le_bytes(self.value.try_into().ok()?) as f64),
            ElementType::Boolean => self.value.first().map(|byte| f64::from(*byte)),
            _ => None,
        }
    }

    /// The value as a whole number, whatever its type; `None` when it is none.
    pub(crate) fn whole_number(&self) -> Option<i64> {
        match self.element_type {
            ElementType::Int32 => Some(i32::from_le_bytes(self.value.try_into().ok()?).into()),
            ElementType::Int64 => Some(i64::from_le_bytes(self.value.try_into().ok()?)),
            ElementType::Double => {
                let value = f64::from_le_bytes(self.value.try_into().ok()?);
                let whole = (value.fract() == 0.0).then(|| format!("{value:.0}"))?;
                whole.parse().ok()
            }
            _ => None,
        }
    }

    /// The value as a timestamp.
    pub(crate) fn timestamp(&self) -> Option<Timestamp> {
        if self.element_type != ElementType::Timestamp {
            return None;
        }
        let (increment, time) = self.value.split_first_chunk()?;
        Some(Timestamp {
            time: u32::from_le_bytes(time.try_into().ok()?),
            increment: u32::from_le_bytes(*increment),
        })
    }

    /// The value as a document.
    pub(crate) fn document(&self) -> Option<&'a RawDocument> {
        if self.element_type != ElementType::EmbeddedDocument {
            return None;
        }
        RawDocument::from_bytes(self.value).ok()
    }
}

/// The fields of a document in their order. Ends early where the bytes are no BSON.
pub(crate) fn fields(document: &RawDocument) -> impl Iterator<Item = Field<'_>> {
    let mut rest = document.as_bytes().get(4..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (kind, after) = rest.split_first()?;
        let element_type = ElementType::from(*kind)?;
        let end = after.iter().position(|byte| *byte == 0)?;
        let (key, after) = after.split_at_checked(end)?;
        let after = after.get(1..)?;
        let (value, after) = after.split_at_checked(value_length(element_type, after)?)?;
        rest = after;
        Some(Field {
            key,
            element_type,
            value,
        })
    })
}

fn value_length(element_type: ElementType, bytes: &[u8]) -> Option<usize> {
    let claimed = || {
        let length = i32::from_le_bytes(*bytes.first_chunk()?);
        usize::try_from(length).ok()
    };
    let text = |bytes: &[u8]| bytes.iter().position(|byte| *byte == 0).map(|end| end + 1);
    match element_type {
        ElementType::Undefined | ElementType::Null | ElementType::MaxKey | ElementType::MinKey => {
            Some(0)
        }
        ElementType::Boolean => Some(1),
        ElementType::Int32 => Some(4),
        ElementType::Double
        | ElementType::DateTime
        | ElementType::Timestamp
        | ElementType::Int64 => Some(8),
        ElementType::ObjectId => Some(12),
        ElementType::Decimal128 => Some(16),
        ElementType::String | ElementType::JavaScriptCode | ElementType::Symbol => {
            claimed()?.checked_add(4)
        }
        ElementType::EmbeddedDocument
        | ElementType::Array
        | ElementType::JavaScriptCodeWithScope => claimed(),
        ElementType::Binary => claimed()?.checked_add(5),
        ElementType::DbPointer => claimed()?.checked_add(16),
        ElementType::RegularExpression => {
            let pattern = text(bytes)?;
            Some(pattern + text(bytes.get(pattern..)?)?)
        }
    }
}

#[cfg(test)]
mod tests {
    use bson::{Bson, Decimal128, Document, Regex, doc, oid::ObjectId};

    use super::*;

    fn keys(document: &RawDocument) -> Vec<&str> {
        fields(document)
            .map(|field| std::str::from_utf8(field.key).unwrap())
            .collect()
    }

    #[test]
    fn walks_over_values_of_every_type() {
        let regex = Regex {
            pattern: bson::cstr!("a.*").into(),
            options: bson::cstr!("im").into(),
        };
        let document: Document = doc! {
            "double": 1.5, "string": "é", "document": { "a": 1 }, "array": [1, "two"],
            "binary": bson::Binary { subtype: bson::spec::BinarySubtype::Generic, bytes: vec![0; 3] },
            "undefined": Bson::Undefined, "oid": ObjectId::new(), "bool": true,
            "date": bson::DateTime::from_millis(-1), "null": null, "regex": regex,
            "code": Bson::JavaScriptCode("x".into()), "symbol": Bson::Symbol("s".into()),
            "scope": bson::JavaScriptCodeWithScope { code: "f".into(), scope: doc! { "a": 1 } },
            "i32": 7, "ts": Timestamp { time: 1, increment: 2 }, "i64": 8_i64,
            "decimal": "1.25".parse::<Decimal128>().unwrap(), "min": Bson::MinKey, "max": Bson::MaxKey,
        };
        let bytes = document.to_vec().unwrap();
        let raw = RawDocument::from_bytes(&bytes).unwrap();
        assert_eq!(keys(raw), document.keys().collect::<Vec<_>>());
        let numbers: Vec<_> = fields(raw).filter_map(|field| field.number()).collect();
        assert_eq!(numbers, [1.5, 1.0, 7.0, 8.0]);
    }

    #[test]
    fn ends_where_a_length_lies() {
        for claimed in [i32::MAX, 100, -1] {
            let mut bytes = doc! { "a": 1, "b": "text", "c": 1 }.to_vec().unwrap();
            let place = bytes
                .windows(4)
                .position(|w| w == 5_i32.to_le_bytes())
                .unwrap();
            bytes.splice(place..place + 4, claimed.to_le_bytes());
            let raw = RawDocument::from_bytes(&bytes).unwrap();
            assert_eq!(keys(raw), ["a"], "{claimed}");
        }
    }
}
