//! What a server says when it refuses a command or a write.

use std::{collections::HashMap, fmt};

use std::time::Duration;

use bson::{Bson, Document, RawBsonRef, RawDocument};
use serde::{Deserialize, Serialize};

/// The server refused a command.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CommandError {
    /// The server's code; 0 when it gave none.
    pub code: i32,
    /// The code's name; empty when the server gave none.
    #[serde(rename = "codeName", default)]
    pub code_name: String,
    /// The server's explanation.
    #[serde(rename = "errmsg", default)]
    pub message: String,
    /// How long an overloaded server proposes to wait before a first retry, the jitter aside;
    /// `None` when it proposes nothing. See the client backpressure specification.
    #[serde(
        rename = "baseBackoffMS",
        default,
        skip_serializing_if = "Option::is_none",
        with = "crate::options::serde_shapes::millis"
    )]
    pub base_backoff: Option<Duration>,
}

/// The server could not meet the write concern.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WriteConcernError {
    /// The server's code.
    pub code: i32,
    /// The code's name; empty when the server gave none.
    #[serde(rename = "codeName", default)]
    pub code_name: String,
    /// The server's explanation.
    #[serde(rename = "errmsg", default)]
    pub message: String,
    /// Further details, among them the write concern that was applied.
    #[serde(rename = "errInfo")]
    pub details: Option<Document>,
}

/// The server refused one write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WriteError {
    /// The server's code.
    pub code: i32,
    /// The code's name.
    #[serde(rename = "codeName", default)]
    pub code_name: Option<String>,
    /// The server's explanation.
    #[serde(rename = "errmsg", default)]
    pub message: String,
    /// Further details, such as why a document failed validation.
    #[serde(rename = "errInfo")]
    pub details: Option<Document>,
}

/// The server refused one write of many.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct IndexedWriteError {
    /// The place, counted from 0, of the refused write among all that were given.
    #[serde(default)]
    pub index: usize,
    /// The server's code.
    pub code: i32,
    /// The code's name.
    #[serde(rename = "codeName", default)]
    pub code_name: Option<String>,
    /// The server's explanation.
    #[serde(rename = "errmsg", default)]
    pub message: String,
    /// Further details, such as why a document failed validation.
    #[serde(rename = "errInfo")]
    pub details: Option<Document>,
}

/// The server refused some of many inserts, or could not meet the write concern for them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct InsertManyError {
    /// The inserts that were refused.
    pub write_errors: Option<Vec<IndexedWriteError>>,
    /// The last write concern error.
    pub write_concern_error: Option<WriteConcernError>,
    /// The `_id` of each inserted document, by its place among those given.
    #[serde(skip)]
    pub inserted_ids: HashMap<usize, Bson>,
}

/// The server refused a write, or could not meet its write concern.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum WriteFailure {
    /// The write was done but its write concern was not met.
    WriteConcernError(WriteConcernError),
    /// The write was refused.
    WriteError(WriteError),
}

impl CommandError {
    /// Reads the error out of a reply whose `ok` is not 1.
    pub(crate) fn from_reply(reply: &RawDocument) -> Self {
        Self {
            code: number(reply, "code"),
            code_name: text(reply, "codeName"),
            message: text(reply, "errmsg"),
            base_backoff: base_backoff(reply),
        }
    }
}

fn base_backoff(reply: &RawDocument) -> Option<Duration> {
    let millis = match reply.get("baseBackoffMS").ok()?? {
        RawBsonRef::Int32(millis) => u64::try_from(millis).ok()?,
        RawBsonRef::Int64(millis) => u64::try_from(millis).ok()?,
        _ => return None,
    };
    Some(Duration::from_millis(millis))
}

impl WriteConcernError {
    /// Reads the error out of a reply's `writeConcernError` document.
    pub(crate) fn from_document(document: &RawDocument) -> Self {
        Self {
            code: number(document, "code"),
            code_name: text(document, "codeName"),
            message: text(document, "errmsg"),
            details: details(document),
        }
    }
}

impl IndexedWriteError {
    /// Reads the error out of one element of a reply's `writeErrors`.
    pub(crate) fn from_document(document: &RawDocument) -> Self {
        Self {
            index: usize::try_from(number(document, "index")).unwrap_or(0),
            code: number(document, "code"),
            code_name: Some(text(document, "codeName")).filter(|name| !name.is_empty()),
            message: text(document, "errmsg"),
            details: details(document),
        }
    }
}

impl WriteError {
    /// The same error, at this place among all writes that were given.
    pub(super) fn at(self, index: usize) -> IndexedWriteError {
        IndexedWriteError {
            index,
            code: self.code,
            code_name: self.code_name,
            message: self.message,
            details: self.details,
        }
    }
}

impl From<IndexedWriteError> for WriteError {
    fn from(error: IndexedWriteError) -> Self {
        Self {
            code: error.code,
            code_name: error.code_name,
            message: error.message,
            details: error.details,
        }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_error(
            f,
            "command failed",
            self.code,
            &self.code_name,
            write_message(self.code, &self.message),
        )
    }
}

impl fmt::Display for WriteConcernError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_error(
            f,
            "write concern error",
            self.code,
            &self.code_name,
            &self.message,
        )
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.code_name.as_deref().unwrap_or_default();
        write_error(
            f,
            "write error",
            self.code,
            name,
            write_message(self.code, &self.message),
        )
    }
}

impl fmt::Display for WriteFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WriteConcernError(error) => error.fmt(f),
            Self::WriteError(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for InsertManyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refused = self.write_errors.as_ref().map_or(0, Vec::len);
        match (
            self.write_errors.as_ref().and_then(|errors| errors.first()),
            &self.write_concern_error,
        ) {
            (Some(first), _) => {
                let message = write_message(first.code, &first.message);
                write!(
                    f,
                    "{refused} of the inserts refused, the first at index {}: ",
                    first.index
                )?;
                let name = first.code_name.as_deref().unwrap_or_default();
                write_error(f, "write error", first.code, name, message)
            }
            (None, Some(error)) => error.fmt(f),
            (None, None) => f.write_str("an insert failed"),
        }
    }
}

/// The message of a duplicate key error quotes the document's key after `dup key:`; it is cut
/// there, so that no document content gets into logs. The field keeps all of it.
pub(super) fn write_message(code: i32, message: &str) -> &str {
    if !super::codes::is_duplicate_key(code) {
        return message;
    }
    message.split(" dup key:").next().unwrap_or(message)
}

pub(super) fn write_error(
    f: &mut fmt::Formatter<'_>,
    what: &str,
    code: i32,
    name: &str,
    message: &str,
) -> fmt::Result {
    write!(f, "{what}: {message}")?;
    match (code, name) {
        (0, "") => Ok(()),
        (code, "") => write!(f, " (code {code})"),
        (code, name) => write!(f, " (code {code}, {name})"),
    }
}

fn number(document: &RawDocument, key: &str) -> i32 {
    match document.get(key) {
        Ok(Some(value)) => value
            .as_i32()
            .or_else(|| value.as_i64().and_then(|v| i32::try_from(v).ok()))
            .or_else(|| value.as_f64().and_then(|v| format!("{v:.0}").parse().ok()))
            .unwrap_or(0),
        _ => 0,
    }
}

fn text(document: &RawDocument, key: &str) -> String {
    document.get_str(key).unwrap_or_default().to_owned()
}

fn details(document: &RawDocument) -> Option<Document> {
    document
        .get_document("errInfo")
        .ok()
        .and_then(|info| Document::try_from(info).ok())
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::*;

    #[test]
    fn the_key_of_a_duplicate_stands_in_no_text() {
        let reply = rawdoc! {
            "ok": 0, "code": 11000, "codeName": "DuplicateKey",
            "errmsg": "E11000 duplicate key error index: a_1 dup key: { a: \"hunter2\" }",
        };
        let command = CommandError::from_reply(&reply);
        let write = WriteError::from(IndexedWriteError::from_document(&reply));
        for text in [command.to_string(), write.to_string()] {
            assert!(text.contains("index: a_1"), "{text}");
            assert!(!text.contains("hunter2"), "{text}");
        }
        assert!(
            command.message.contains("hunter2"),
            "the field keeps all of it"
        );
    }
}
