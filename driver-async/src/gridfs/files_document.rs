//! What GridFS keeps of each file besides its content.

use bson::{Bson, DateTime, Document};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned, ser::Error as _,
};

use crate::options::number;

/// What GridFS keeps of each file besides its content: a document of the collection of files.
///
/// Further fields, such as old programs have stored, can be read through
/// [`Cursor::current`](crate::Cursor::current).
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct FilesCollectionDocument {
    /// The file's id, which its chunks name.
    #[serde(rename = "_id")]
    pub id: Bson,
    /// The file's length in bytes.
    #[serde(deserialize_with = "number::read", serialize_with = "as_i64")]
    pub length: u64,
    /// How many bytes each chunk has but the last.
    #[serde(
        rename = "chunkSize",
        deserialize_with = "number::read",
        serialize_with = "as_i32"
    )]
    pub chunk_size_bytes: u32,
    /// When the upload was completed.
    pub upload_date: DateTime,
    /// The file's name, which others may have too. Only files of old programs have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// What the program that uploaded the file wanted to keep with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Document>,
    /// The file's media type, when it was stored in this deprecated field.
    #[serde(
        default,
        deserialize_with = "if_readable",
        skip_serializing_if = "Option::is_none"
    )]
    pub content_type: Option<String>,
    /// Other names of the file, when they were stored in this deprecated field.
    #[serde(
        default,
        deserialize_with = "if_readable",
        skip_serializing_if = "Option::is_none"
    )]
    pub aliases: Option<Vec<String>>,
}

fn as_i64<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i64(i64::try_from(*value).map_err(S::Error::custom)?)
}

fn as_i32<S: Serializer>(value: &u32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i32(i32::try_from(*value).map_err(S::Error::custom)?)
}

/// A field that nothing depends on does not make the file unreadable, whatever it holds.
fn if_readable<'de, T: DeserializeOwned, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let value = Bson::deserialize(deserializer)?;
    Ok(bson::deserialize_from_bson(value).ok())
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    fn read(document: Document) -> bson::error::Result<FilesCollectionDocument> {
        bson::deserialize_from_slice(&document.to_vec().unwrap())
    }

    #[test]
    fn documents_of_other_programs_are_read() {
        let date = DateTime::from_millis(5);
        for (length, size) in [
            (Bson::from(7), Bson::from(4_i64)),
            (7_i64.into(), 4.into()),
            (7.0.into(), 4.0.into()),
        ] {
            let file = read(doc! {
                "_id": 1, "length": length, "chunkSize": size, "uploadDate": date,
                "md5": "x", "contentType": 5, "aliases": "y", "extra": { "a": 1 },
            })
            .unwrap();
            assert_eq!((file.length, file.chunk_size_bytes), (7, 4));
            assert_eq!(file.upload_date, date);
            assert_eq!(
                (file.filename, file.content_type, file.aliases),
                (None, None, None)
            );
        }
    }

    #[test]
    fn lengths_that_cannot_be_are_refused() {
        for length in [Bson::from(-1), 0.5.into(), "7".into(), f64::NAN.into()] {
            let document = doc! {
                "_id": 1, "length": length, "chunkSize": 4, "uploadDate": DateTime::MIN,
            };
            assert!(read(document.clone()).is_err(), "{document}");
        }
    }

    #[test]
    fn what_is_read_is_written_in_the_same_shape() {
        let document = doc! {
            "_id": "a", "length": 7_i64, "chunkSize": 4, "uploadDate": DateTime::from_millis(5),
            "filename": "f", "metadata": { "a": 1 }, "contentType": "t", "aliases": ["b"],
        };
        let file = read(document.clone()).unwrap();
        assert_eq!(bson::serialize_to_document(&file).unwrap(), document);
    }
}
