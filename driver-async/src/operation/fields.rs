//! Fields that many commands have.

use std::time::Duration;

use bson::{Array, Bson, Document, RawBsonRef, RawDocument};

use super::{Target, WIRE_8_2};
use crate::{
    error::{Error, ErrorKind, Result, WriteConcernError, WriteFailure},
    options::{Collation, Hint},
    proto::{topology::ServerType, wire::DocumentWriter},
};

impl DocumentWriter<'_> {
    /// Appends a whole number in the shortest type that holds it.
    pub(super) fn append_number(&mut self, key: &str, value: i64) -> Result<()> {
        match i32::try_from(value) {
            Ok(value) => self.append_i32(key, value),
            Err(_) => self.append_i64(key, value),
        }
    }

    /// Appends a count, when there is one.
    pub(super) fn optional_number(&mut self, key: &str, value: Option<u64>) -> Result<()> {
        let Some(value) = value else { return Ok(()) };
        let value = i64::try_from(value).map_err(|_| {
            Error::invalid_argument(format!("{key} is {value}; use at most {}", i64::MAX))
        })?;
        self.append_number(key, value)
    }

    /// Appends a flag, when there is one.
    pub(super) fn optional_bool(&mut self, key: &str, value: Option<bool>) -> Result<()> {
        value.map_or(Ok(()), |value| self.append_bool(key, value))
    }

    /// Appends a document, when there is one.
    pub(super) fn optional_document(&mut self, key: &str, value: Option<&Document>) -> Result<()> {
        value.map_or(Ok(()), |value| self.append_document(key, value))
    }

    /// Appends a value, when there is one.
    pub(super) fn optional_bson(&mut self, key: &str, value: Option<&Bson>) -> Result<()> {
        value.map_or(Ok(()), |value| self.append_bson(key, value))
    }

    /// Appends an array of any values, when there is one.
    pub(super) fn optional_array(&mut self, key: &str, values: Option<&Array>) -> Result<()> {
        let Some(values) = values else { return Ok(()) };
        self.append_array_with(key, |array| {
            let mut elements = values.iter().enumerate();
            elements.try_for_each(|(index, value)| array.append_bson(&index.to_string(), value))
        })
    }

    /// Appends the `maxTimeMS` of an operation's options, unless its timeout takes its place.
    pub(super) fn max_time(&mut self, limit: Option<Duration>, target: &Target<'_>) -> Result<()> {
        match limit.filter(|_| !target.has_timeout) {
            Some(limit) => self.append_max_time(limit),
            None => Ok(()),
        }
    }

    /// Appends `maxTimeMS`.
    pub(crate) fn append_max_time(&mut self, limit: Duration) -> Result<()> {
        // 0 means no limit to the server, so a limit below a millisecond is rounded up.
        let least = u128::from(!limit.is_zero());
        let millis = i64::try_from(limit.as_millis().max(least)).unwrap_or(i64::MAX);
        self.append_number("maxTimeMS", millis)
    }

    /// Appends `hint`, when there is one.
    pub(super) fn hint(&mut self, hint: Option<&Hint>) -> Result<()> {
        match hint {
            None => Ok(()),
            Some(Hint::Keys(keys)) => self.append_document("hint", keys),
            Some(Hint::Name(name)) => self.append_str("hint", name),
        }
    }

    /// Appends `collation`, when there is one.
    pub(super) fn collation(&mut self, collation: Option<&Collation>) -> Result<()> {
        let Some(collation) = collation else {
            return Ok(());
        };
        let raw = bson::serialize_to_raw_document_buf(collation)?;
        self.append_raw_document("collation", &raw)
    }

    /// Appends `rawData`, when it is set and the server knows it.
    pub(super) fn raw_data(&mut self, raw: Option<bool>, target: &Target<'_>) -> Result<()> {
        self.optional_bool(
            "rawData",
            raw.filter(|_| target.max_wire_version >= WIRE_8_2),
        )
    }

    /// Appends `cursor` with the batch size, when there is one.
    pub(super) fn cursor(&mut self, batch_size: Option<u32>) -> Result<()> {
        self.append_document_with("cursor", |cursor| {
            cursor.optional_number("batchSize", batch_size.map(u64::from))
        })
    }
}

/// A whole number of any of BSON's number types.
pub(super) fn whole_number(value: RawBsonRef<'_>) -> Option<i64> {
    match value {
        RawBsonRef::Int32(value) => Some(value.into()),
        RawBsonRef::Int64(value) => Some(value),
        RawBsonRef::Double(value) if value.fract() == 0.0 => format!("{value:.0}").parse().ok(),
        _ => None,
    }
}

/// The count that stands in a reply's field.
///
/// # Errors
/// An invalid-response error when it is missing, no whole number, or negative.
pub(super) fn count(reply: &RawDocument, key: &str) -> Result<u64> {
    reply
        .get(key)
        .ok()
        .flatten()
        .and_then(whole_number)
        .and_then(|value| u64::try_from(value).ok())
        .ok_or_else(|| Error::invalid_response(format!("{key:?} is no count")))
}

/// The whole reply, exactly as it came.
///
/// # Errors
/// An invalid-response error when it is no valid BSON within.
pub(super) fn whole(reply: &RawDocument) -> Result<Document> {
    Document::try_from(reply).map_err(|error| {
        Error::invalid_response("the reply is no valid BSON").with_source(error.into())
    })
}

/// Reports the write concern error of a command that is no insert, update or delete.
pub(super) fn check_write_concern(reply: &RawDocument) -> Result<()> {
    match reply.get("writeConcernError") {
        Ok(Some(RawBsonRef::Document(error))) => {
            let error = WriteConcernError::from_document(error);
            let kind = ErrorKind::Write(WriteFailure::WriteConcernError(error));
            Err(Error::from(kind)
                .with_labels_of(reply)
                .with_server_response(reply))
        }
        Ok(None) => Ok(()),
        _ => Err(Error::invalid_response("writeConcernError is no document")),
    }
}

/// The name of a listed collection, index or database.
///
/// # Errors
/// An invalid-response error when it is missing or no text.
pub(crate) fn listed_name(listed: &RawDocument) -> Result<String> {
    let name = listed.get_str("name").map_err(|error| {
        Error::invalid_response("something is listed without a name").with_source(error.into())
    })?;
    Ok(name.to_owned())
}

/// Refuses an exhaust cursor on a server that does not know it.
pub(super) fn check_exhaust(target: &Target<'_>) -> Result<()> {
    match target.server_type {
        ServerType::Mongos | ServerType::LoadBalancer => Err(Error::invalid_argument(
            "an exhaust cursor needs a replica set or a standalone server, and this is a sharded \
             cluster: use another cursor type",
        )),
        _ => Ok(()),
    }
}

/// Refuses what would make a collection of plain text where its user expects encryption.
pub(super) fn refuse_encrypted_fields(fields: Option<&Document>) -> Result<()> {
    match fields {
        None => Ok(()),
        Some(_) => Err(Error::invalid_argument(
            "encrypted_fields is set, but this version of the driver does not encrypt; \
             leave it out, or use a client that does",
        )),
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;
    use crate::operation::tests::target;

    #[test]
    fn a_time_limit_is_never_rounded_to_no_limit() {
        for (limit, wanted) in [
            (Duration::ZERO, 0_i64),
            (Duration::from_nanos(1), 1),
            (Duration::from_micros(2500), 2),
            (Duration::MAX, i64::MAX),
        ] {
            let mut buffer = Vec::new();
            let mut writer = DocumentWriter::begin(&mut buffer);
            writer.append_max_time(limit).unwrap();
            writer.end().unwrap();
            let raw = RawDocument::from_bytes(&buffer).unwrap();
            let millis = whole_number(raw.get("maxTimeMS").unwrap().unwrap());
            assert_eq!(millis, Some(wanted), "{limit:?}");
        }
    }

    #[test]
    fn a_timeout_takes_the_place_of_a_time_limit() {
        for (has_timeout, wanted) in [(false, doc! { "maxTimeMS": 5 }), (true, doc! {})] {
            let target = Target {
                has_timeout,
                ..target()
            };
            let mut buffer = Vec::new();
            let mut writer = DocumentWriter::begin(&mut buffer);
            let limit = Duration::from_millis(5);
            writer.max_time(Some(limit), &target).unwrap();
            writer.end().unwrap();
            assert_eq!(
                bson::deserialize_from_slice::<Document>(&buffer).unwrap(),
                wanted
            );
        }
    }

    #[test]
    fn raw_data_is_sent_to_servers_that_know_it() {
        for (raw, wire_version, wanted) in [
            (Some(true), 27, doc! { "rawData": true }),
            (Some(false), 27, doc! { "rawData": false }),
            (Some(true), 26, doc! {}),
            (None, 27, doc! {}),
        ] {
            let target = Target {
                max_wire_version: wire_version,
                ..target()
            };
            let mut buffer = Vec::new();
            let mut writer = DocumentWriter::begin(&mut buffer);
            writer.raw_data(raw, &target).unwrap();
            writer.end().unwrap();
            assert_eq!(Document::from_reader(&*buffer).unwrap(), wanted);
        }
    }

    #[test]
    fn a_count_is_read_from_every_number_type_and_nothing_else() {
        for value in [Bson::Int32(3), Bson::Int64(3), Bson::Double(3.0)] {
            let raw = bson::serialize_to_raw_document_buf(&doc! { "n": value }).unwrap();
            assert_eq!(count(&raw, "n").unwrap(), 3);
        }
        for value in [
            Bson::Int32(-1),
            Bson::Double(1.5),
            Bson::Double(f64::NAN),
            Bson::Double(f64::INFINITY),
            Bson::Double(1e300),
            Bson::Null,
        ] {
            let raw = bson::serialize_to_raw_document_buf(&doc! { "n": value.clone() }).unwrap();
            assert!(count(&raw, "n").is_err(), "{value}");
        }
    }

    #[test]
    fn what_is_listed_has_a_name() {
        let named =
            |listed: Document| listed_name(&bson::serialize_to_raw_document_buf(&listed).unwrap());
        assert_eq!(named(doc! { "type": "view", "name": "v" }).unwrap(), "v");
        for listed in [doc! {}, doc! { "name": 1 }, doc! { "Name": "v" }] {
            let error = named(listed).unwrap_err();
            assert!(matches!(*error.kind, ErrorKind::InvalidResponse { .. }));
        }
    }
}
