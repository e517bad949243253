//! Writes BSON straight into a buffer.

use bson::{Bson, Document, RawDocument, Timestamp, oid::ObjectId, spec::ElementType};

use crate::error::{Error, Result};

/// Appends one document's elements to a buffer.
///
/// A command is written once, field by field, into the buffer that goes to the socket; that is
/// why this exists beside `bson`'s own builders, which each own a buffer.
#[derive(Debug)]
pub struct DocumentWriter<'a> {
    buffer: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> DocumentWriter<'a> {
    /// Begins a document at the end of `buffer`.
    pub fn begin(buffer: &'a mut Vec<u8>) -> Self {
        let start = buffer.len();
        buffer.extend_from_slice(&[0; 4]);
        Self { buffer, start }
    }

    /// Ends the document.
    ///
    /// # Errors
    /// An invalid-argument error when it has become longer than BSON can express.
    pub fn end(self) -> Result<()> {
        self.buffer.push(0);
        fill_length(self.buffer, self.start)
    }

    /// The bytes written so far, the length not yet filled in.
    pub fn written(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// Appends a string.
    pub fn append_str(&mut self, key: &str, value: &str) -> Result<()> {
        self.key(ElementType::String, key)?;
        string(self.buffer, value)
    }

    /// Appends a 32-bit integer.
    pub fn append_i32(&mut self, key: &str, value: i32) -> Result<()> {
        self.key(ElementType::Int32, key)?;
        self.buffer.extend_from_slice(&value.to_le_bytes());
        Ok(())
    }

    /// Appends a 64-bit integer.
    pub fn append_i64(&mut self, key: &str, value: i64) -> Result<()> {
        self.key(ElementType::Int64, key)?;
        self.buffer.extend_from_slice(&value.to_le_bytes());
        Ok(())
    }

    /// Appends a double.
    pub fn append_f64(&mut self, key: &str, value: f64) -> Result<()> {
        self.key(ElementType::Double, key)?;
        self.buffer.extend_from_slice(&value.to_le_bytes());
        Ok(())
    }

    /// Appends a boolean.
    pub fn append_bool(&mut self, key: &str, value: bool) -> Result<()> {
        self.key(ElementType::Boolean, key)?;
        self.buffer.push(u8::from(value));
        Ok(())
    }

    /// Appends an object id.
    pub fn append_object_id(&mut self, key: &str, value: ObjectId) -> Result<()> {
        self.key(ElementType::ObjectId, key)?;
        self.buffer.extend_from_slice(&value.bytes());
        Ok(())
    }

    /// Appends a timestamp.
    pub fn append_timestamp(&mut self, key: &str, value: Timestamp) -> Result<()> {
        self.key(ElementType::Timestamp, key)?;
        self.buffer
            .extend_from_slice(&value.increment.to_le_bytes());
        self.buffer.extend_from_slice(&value.time.to_le_bytes());
        Ok(())
    }

    /// Appends binary data of a subtype other than the old generic one (2).
    pub fn append_binary(&mut self, key: &str, subtype: u8, bytes: &[u8]) -> Result<()> {
        self.key(ElementType::Binary, key)?;
        length(self.buffer, bytes.len())?;
        self.buffer.push(subtype);
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// Appends a document that is BSON already.
    pub fn append_raw_document(&mut self, key: &str, value: &RawDocument) -> Result<()> {
        self.key(ElementType::EmbeddedDocument, key)?;
        self.buffer.extend_from_slice(value.as_bytes());
        Ok(())
    }

    /// Appends a document.
    pub fn append_document(&mut self, key: &str, value: &Document) -> Result<()> {
        self.key(ElementType::EmbeddedDocument, key)?;
        document(self.buffer, value)
    }

    /// Appends a document that `write` puts, whole, at the end of the buffer, and shows it.
    ///
    /// # Errors
    /// Those of `write`, and a BSON error when it wrote no document.
    pub fn append_document_from(
        &mut self,
        key: &str,
        write: impl FnOnce(&mut Vec<u8>) -> Result<()>,
    ) -> Result<&RawDocument> {
        self.key(ElementType::EmbeddedDocument, key)?;
        let start = self.buffer.len();
        write(self.buffer)?;
        Ok(RawDocument::from_bytes(
            self.buffer.get(start..).unwrap_or_default(),
        )?)
    }

    /// Appends any value.
    pub fn append_bson(&mut self, key: &str, value: &Bson) -> Result<()> {
        element(self.buffer, key, value)
    }

    /// Appends an embedded document whose elements `fill` writes.
    pub fn append_document_with(
        &mut self,
        key: &str,
        fill: impl FnOnce(&mut DocumentWriter<'_>) -> Result<()>,
    ) -> Result<()> {
        self.key(ElementType::EmbeddedDocument, key)?;
        let mut embedded = DocumentWriter::begin(self.buffer);
        fill(&mut embedded)?;
        embedded.end()
    }

    /// Appends an array whose elements `fill` writes, their keys being `"0"`, `"1"` and so on.
    pub fn append_array_with(
        &mut self,
        key: &str,
        fill: impl FnOnce(&mut DocumentWriter<'_>) -> Result<()>,
    ) -> Result<()> {
        self.key(ElementType::Array, key)?;
        let mut array = DocumentWriter::begin(self.buffer);
        fill(&mut array)?;
        array.end()
    }

    /// Appends an array of documents.
    pub fn append_documents<'d>(
        &mut self,
        key: &str,
        documents: impl IntoIterator<Item = &'d Document>,
    ) -> Result<()> {
        self.key(ElementType::Array, key)?;
        let mut array = DocumentWriter::begin(self.buffer);
        for (index, value) in documents.into_iter().enumerate() {
            array.append_document(&index.to_string(), value)?;
        }
        array.end()
    }

    /// Appends the elements of a document that is BSON already.
    pub fn append_elements_of(&mut self, document: &RawDocument) -> Result<()> {
        let elements = document.as_bytes();
        let inner = elements
            .get(4..elements.len().saturating_sub(1))
            .unwrap_or_default();
        self.buffer.extend_from_slice(inner);
        Ok(())
    }

    fn key(&mut self, element_type: ElementType, key: &str) -> Result<()> {
        write_key(self.buffer, element_type, key)
    }
}

/// Appends a whole document to a buffer.
pub(crate) fn document(buffer: &mut Vec<u8>, document: &Document) -> Result<()> {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; 4]);
    for (key, value) in document {
        element(buffer, key, value)?;
    }
    buffer.push(0);
    fill_length(buffer, start)
}

fn element(buffer: &mut Vec<u8>, key: &str, value: &Bson) -> Result<()> {
    write_key(buffer, value.element_type(), key)?;
    match value {
        Bson::Double(v) => buffer.extend_from_slice(&v.to_le_bytes()),
        Bson::String(v) | Bson::Symbol(v) | Bson::JavaScriptCode(v) => string(buffer, v)?,
        Bson::Document(v) => document(buffer, v)?,
        Bson::Array(values) => {
            let start = buffer.len();
            buffer.extend_from_slice(&[0; 4]);
            for (index, value) in values.iter().enumerate() {
                element(buffer, &index.to_string(), value)?;
            }
            buffer.push(0);
            fill_length(buffer, start)?;
        }
        Bson::Boolean(v) => buffer.push(u8::from(*v)),
        Bson::RegularExpression(v) => {
            cstr(buffer, v.pattern.as_str())?;
            cstr(buffer, v.options.as_str())?;
        }
        Bson::JavaScriptCodeWithScope(v) => {
            let start = buffer.len();
            buffer.extend_from_slice(&[0; 4]);
            string(buffer, &v.code)?;
            document(buffer, &v.scope)?;
            fill_length(buffer, start)?;
        }
        Bson::Int32(v) => buffer.extend_from_slice(&v.to_le_bytes()),
        Bson::Int64(v) => buffer.extend_from_slice(&v.to_le_bytes()),
        Bson::Timestamp(v) => {
            buffer.extend_from_slice(&v.increment.to_le_bytes());
            buffer.extend_from_slice(&v.time.to_le_bytes());
        }
        Bson::Binary(v) => binary(buffer, u8::from(v.subtype), &v.bytes)?,
        Bson::ObjectId(v) => buffer.extend_from_slice(&v.bytes()),
        Bson::DateTime(v) => buffer.extend_from_slice(&v.timestamp_millis().to_le_bytes()),
        Bson::Decimal128(v) => buffer.extend_from_slice(&v.bytes()),
        Bson::DbPointer(_) => db_pointer(buffer, value)?,
        Bson::Null | Bson::Undefined | Bson::MaxKey | Bson::MinKey => {}
    }
    Ok(())
}

fn binary(buffer: &mut Vec<u8>, subtype: u8, bytes: &[u8]) -> Result<()> {
    // The old generic subtype holds a second length inside its data.
    const BINARY_OLD: u8 = 2;
    if subtype == BINARY_OLD {
        length(buffer, bytes.len() + 4)?;
        buffer.push(subtype);
        length(buffer, bytes.len())?;
    } else {
        length(buffer, bytes.len())?;
        buffer.push(subtype);
    }
    buffer.extend_from_slice(bytes);
    Ok(())
}

/// `DbPointer` keeps its parts private, so this rare and deprecated type goes through `bson`.
fn db_pointer(buffer: &mut Vec<u8>, value: &Bson) -> Result<()> {
    let mut holder = Document::new();
    holder.insert("p", value.clone());
    let bytes = holder.to_vec()?;
    // Length (4), type (1), key and its end (2); and the document's end (1).
    let inner = bytes
        .get(7..bytes.len().saturating_sub(1))
        .unwrap_or_default();
    buffer.extend_from_slice(inner);
    Ok(())
}

fn write_key(buffer: &mut Vec<u8>, element_type: ElementType, key: &str) -> Result<()> {
    buffer.push(element_type as u8);
    cstr(buffer, key)
}

fn cstr(buffer: &mut Vec<u8>, text: &str) -> Result<()> {
    if text.as_bytes().contains(&0) {
        return Err(Error::invalid_argument(format!(
            "a key or regular expression must not hold a null byte: {text:?}"
        )));
    }
    buffer.extend_from_slice(text.as_bytes());
    buffer.push(0);
    Ok(())
}

fn string(buffer: &mut Vec<u8>, value: &str) -> Result<()> {
    length(buffer, value.len() + 1)?;
    buffer.extend_from_slice(value.as_bytes());
    buffer.push(0);
    Ok(())
}

fn length(buffer: &mut Vec<u8>, length: usize) -> Result<()> {
    buffer.extend_from_slice(&checked(length)?.to_le_bytes());
    Ok(())
}

/// Writes into the four bytes at `start` how many bytes there are from there to the end.
fn fill_length(buffer: &mut [u8], start: usize) -> Result<()> {
    let length = checked(buffer.len() - start)?;
    if let Some(place) = buffer.get_mut(start..start + 4) {
        place.copy_from_slice(&length.to_le_bytes());
    }
    Ok(())
}

pub(super) fn checked(length: usize) -> Result<i32> {
    i32::try_from(length).map_err(|_| {
        Error::invalid_argument(format!(
            "{length} bytes are more than a BSON document can hold; split the data up"
        ))
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::indexing_slicing, reason = "a test may panic")]

    use bson::{
        Binary, DateTime, Decimal128, JavaScriptCodeWithScope, Regex, doc, spec::BinarySubtype,
    };

    use super::*;

    fn every_type() -> Document {
        // A DBPointer can only be made from BSON, so its bytes are written by hand.
        let mut bytes = vec![0, 0, 0, 0, 0x0C, b'p', 0, 4, 0, 0, 0, b'a', b'.', b'b', 0];
        bytes.extend_from_slice(&[7; 12]);
        bytes.push(0);
        bytes[0] = u8::try_from(bytes.len()).unwrap();
        let pointer = Document::from_reader(&*bytes).unwrap();
        doc! {
            "double": 1.5, "string": "é", "document": { "a": { "b": [] } },
            "array": [1, "two", [3_i64, { "four": 4.0 }]],
            "binary": Binary { subtype: BinarySubtype::Generic, bytes: vec![1, 2, 3] },
            "old": Binary { subtype: BinarySubtype::BinaryOld, bytes: vec![1, 2, 3] },
            "undefined": Bson::Undefined, "oid": ObjectId::new(), "bool": true,
            "date": DateTime::from_millis(-1), "null": null,
            "regex": Regex { pattern: bson::cstr!("a.*").into(), options: bson::cstr!("im").into() },
            "pointer": pointer.get("p").unwrap().clone(), "code": Bson::JavaScriptCode("x".into()),
            "symbol": Bson::Symbol("s".into()),
            "scope": JavaScriptCodeWithScope { code: "f".into(), scope: doc! { "a": 1 } },
            "i32": i32::MIN, "ts": Timestamp { time: 1, increment: 2 }, "i64": i64::MAX,
            "decimal": "1.25".parse::<Decimal128>().unwrap(), "min": Bson::MinKey, "max": Bson::MaxKey,
        }
    }

    #[test]
    fn writes_what_the_bson_crate_writes() {
        let document = every_type();
        let mut ours = Vec::new();
        super::document(&mut ours, &document).unwrap();
        assert_eq!(ours, document.to_vec().unwrap());
    }

    #[test]
    fn typed_appends_equal_appended_values() {
        let id = ObjectId::new();
        let mut ours = Vec::new();
        let mut writer = DocumentWriter::begin(&mut ours);
        writer.append_str("s", "x").unwrap();
        writer.append_i32("i", -1).unwrap();
        writer.append_bool("b", true).unwrap();
        writer.append_object_id("o", id).unwrap();
        writer
            .append_document_with("d", |inner| inner.append_i64("l", 7))
            .unwrap();
        writer
            .append_documents("a", [&doc! { "x": 1 }, &doc! {}])
            .unwrap();
        writer.end().unwrap();
        let wanted = doc! { "s": "x", "i": -1, "b": true, "o": id, "d": { "l": 7_i64 }, "a": [{ "x": 1 }, {}] };
        assert_eq!(Document::from_reader(&*ours).unwrap(), wanted);
    }

    #[test]
    fn a_null_byte_in_a_key_is_refused() {
        let mut buffer = Vec::new();
        assert!(super::document(&mut buffer, &doc! { "a\0b": 1 }).is_err());
    }
}
