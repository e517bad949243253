//! What GridFS asks of its two collections.

use bson::{Bson, Document, doc};

/// The keys of the index on the collection of files.
pub(crate) fn file_keys() -> Document {
    doc! { "filename": 1, "uploadDate": 1 }
}

/// The keys of the unique index on the collection of chunks.
pub(crate) fn chunk_keys() -> Document {
    doc! { "files_id": 1, "n": 1 }
}

/// Whether two indexes have the same keys; shells and drivers differ in their numbers' types.
pub(crate) fn same_keys(one: &Document, other: &Document) -> bool {
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .all(|((key, value), (other_key, other))| {
                key == other_key
                    && (value == other || number(value).is_some_and(|it| Some(it) == number(other)))
            })
}

fn number(value: &Bson) -> Option<f64> {
    match value {
        Bson::Int32(value) => Some(f64::from(*value)),
        Bson::Int64(value) => i32::try_from(*value).ok().map(f64::from),
        Bson::Double(value) => Some(*value),
        Bson::Decimal128(value) => value.to_string().parse().ok(),
        _ => None,
    }
}

/// Matches what equals a file's `_id`, and nothing else although the id may be a document of
/// operators or a regular expression; see "TFileId Queries" in the GridFS specification.
pub(crate) fn equal(id: &Bson) -> Document {
    doc! { "$eq": id }
}

/// Matches the file with this `_id`.
pub(crate) fn files_with_id(id: &Bson) -> Document {
    doc! { "_id": equal(id) }
}

/// Where in the order of upload dates the wanted one of several files of a name stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Revision {
    /// 1 for the oldest first, -1 for the newest.
    pub(crate) order: i32,
    /// How many files stand before it.
    pub(crate) skip: u64,
}

impl From<i32> for Revision {
    fn from(revision: i32) -> Self {
        match u64::try_from(revision) {
            Ok(skip) => Self { order: 1, skip },
            // -1 is the newest.
            Err(_) => Self {
                order: -1,
                skip: u64::from(revision.unsigned_abs()) - 1,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use bson::{Decimal128, Regex, oid::ObjectId};

    use super::*;

    #[test]
    fn keys_are_compared_by_value_and_order() {
        let decimal: Decimal128 = "1".parse().unwrap();
        for same in [
            doc! { "files_id": 1, "n": 1 },
            doc! { "files_id": 1_i64, "n": 1.0 },
            doc! { "files_id": 1.0, "n": decimal },
        ] {
            assert!(same_keys(&chunk_keys(), &same), "{same}");
        }
        for other in [
            doc! { "n": 1, "files_id": 1 },
            doc! { "files_id": 1, "n": -1 },
            doc! { "files_id": 1 },
            doc! { "files_id": 1, "n": 1, "x": 1 },
            doc! { "files_id": 1, "n": "hashed" },
            doc! { "files_id": 1, "n": "1" },
            doc! { "files_id": 1, "n": 1_i64 << 40 },
        ] {
            assert!(!same_keys(&chunk_keys(), &other), "{other}");
        }
        assert!(same_keys(&doc! { "a": "text" }, &doc! { "a": "text" }));
    }

    #[test]
    fn an_id_is_compared_whatever_its_type() {
        let regex = Regex {
            pattern: bson::cstr!(".*").into(),
            options: bson::cstr!("").into(),
        };
        for id in [
            Bson::from(ObjectId::new()),
            Bson::from("a"),
            doc! { "$gt": 0 }.into(),
            regex.into(),
        ] {
            let filter = files_with_id(&id);
            let id_filter = filter.get_document("_id").unwrap();
            assert_eq!(id_filter, &doc! { "$eq": id });
        }
    }

    #[test]
    fn revisions_count_from_both_ends() {
        for (revision, order, skip) in [
            (0, 1, 0),
            (1, 1, 1),
            (i32::MAX, 1, 0x7fff_ffff),
            (-1, -1, 0),
            (-2, -1, 1),
            (i32::MIN, -1, 0x7fff_ffff),
        ] {
            assert_eq!(Revision::from(revision), Revision { order, skip });
        }
    }
}
