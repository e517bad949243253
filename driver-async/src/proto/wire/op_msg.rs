//! OP_MSG: a command or its reply as one message.

use std::num::NonZeroUsize;

use bson::RawDocument;
use bytes::Bytes;

use super::{
    DocumentWriter, Header, OP_MSG,
    document_writer::checked,
    sequences::{Gaps, Sequences},
};
use crate::error::{Error, Result};

/// The largest message of a server that says nothing else, in bytes.
pub(crate) const DEFAULT_MAX_MESSAGE_SIZE: usize = 48_000_000;

const FLAGS_LENGTH: usize = 4;
const CHECKSUM_LENGTH: usize = 4;
const SECTION_BODY: u8 = 0;
const SECTION_SEQUENCE: u8 = 1;

/// The flag bits of an OP_MSG.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MessageFlags(u32);

impl MessageFlags {
    /// No flags.
    pub(crate) const NONE: Self = Self(0);
    /// A checksum follows the last section.
    pub(crate) const CHECKSUM_PRESENT: Self = Self(1);
    /// Another message follows without being asked for; from a client, no reply is wanted.
    pub(crate) const MORE_TO_COME: Self = Self(1 << 1);
    /// The client is ready for several replies.
    pub(crate) const EXHAUST_ALLOWED: Self = Self(1 << 16);

    /// The low half holds the bits that a receiver must understand.
    const REQUIRED: u32 = 0xFFFF;

    /// Whether every bit of `other` is set.
    pub(crate) fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    fn parse(bits: u32) -> Result<Self> {
        let known = Self::CHECKSUM_PRESENT.0 | Self::MORE_TO_COME.0;
        if bits & Self::REQUIRED & !known != 0 {
            return Err(Error::invalid_response(format!(
                "unknown required flag bits {bits:#06x}"
            )));
        }
        Ok(Self(bits))
    }
}

/// Writes one OP_MSG into a buffer that is used again for every message.
///
/// The parts must be written in this order: the body through [`MessageWriter::body`], the
/// document sequences, [`MessageWriter::finish`].
#[derive(Debug)]
pub(crate) struct MessageWriter<'a> {
    buffer: &'a mut Vec<u8>,
    /// The bytes of the sequences' documents, which are not in the buffer.
    beside: usize,
    gaps: Gaps,
}

impl<'a> MessageWriter<'a> {
    /// Clears the buffer and begins a message in it.
    pub(crate) fn begin(buffer: &'a mut Vec<u8>, flags: MessageFlags) -> Self {
        buffer.clear();
        buffer.extend_from_slice(&[0; Header::LENGTH]);
        buffer.extend_from_slice(&flags.0.to_le_bytes());
        buffer.push(SECTION_BODY);
        Self {
            buffer,
            beside: 0,
            gaps: Gaps::default(),
        }
    }

    /// Begins the command document. End it before the next part.
    pub(crate) fn body(&mut self) -> DocumentWriter<'_> {
        DocumentWriter::begin(self.buffer)
    }

    /// Begins document sequences, whose documents are left out: [`Gaps::fill`] puts them in place
    /// without a copy, however large they are.
    ///
    /// # Errors
    /// An invalid-argument error when they are longer than a message can be.
    pub(crate) fn sequences(&mut self, sequences: &Sequences<'_>) -> Result<()> {
        for sequence in sequences.iter() {
            let length = sequence.documents.len();
            self.buffer.push(SECTION_SEQUENCE);
            let size = checked(4 + sequence.identifier.len() + 1 + length)?;
            self.buffer.extend_from_slice(&size.to_le_bytes());
            self.buffer
                .extend_from_slice(sequence.identifier.as_bytes());
            self.buffer.push(0);
            self.gaps.push(self.buffer.len());
            self.beside += length;
        }
        Ok(())
    }

    /// Fills in the header, and says where the documents belong.
    ///
    /// # Errors
    /// An invalid-argument error when the message is longer than the server takes.
    pub(crate) fn finish(self, request_id: i32, max_message_size: usize) -> Result<Gaps> {
        let length = self.buffer.len() + self.beside;
        if length > max_message_size {
            return Err(Error::invalid_argument(format!(
                "the command is {length} bytes long and the server takes at most \
                 {max_message_size}; send less at once"
            )));
        }
        let fields = [checked(length)?, request_id, 0, OP_MSG];
        for (place, field) in self.buffer.chunks_exact_mut(4).zip(fields) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        Ok(self.gaps)
    }
}

/// The command in a message that [`MessageWriter`] wrote.
pub(crate) fn prepared_body(message: &[u8]) -> &RawDocument {
    let start = Header::LENGTH + FLAGS_LENGTH + 1;
    let length = read_u32(message, start)
        .ok()
        .and_then(|length| usize::try_from(length).ok());
    let bytes = length.and_then(|length| message.get(start..start.checked_add(length)?));
    let document = bytes.and_then(|bytes| RawDocument::from_bytes(bytes).ok());
    document.unwrap_or_else(|| empty_document())
}

/// A server's reply: the received buffer, and where in it the document lies.
///
/// The buffer is shared, so a cursor can keep its batch without a copy.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    message: Bytes,
    body: usize,
    body_length: NonZeroUsize,
    flags: MessageFlags,
    request_id: i32,
}

impl Reply {
    /// Reads a whole message, header included.
    ///
    /// # Errors
    /// An invalid-response error when it is no OP_MSG, its sections do not fill it exactly, or
    /// it has no body.
    pub(crate) fn parse(message: Bytes, header: &Header) -> Result<Self> {
        if header.opcode != OP_MSG {
            return Err(Error::invalid_response(format!(
                "the message has opcode {}, not {OP_MSG} (OP_MSG)",
                header.opcode
            )));
        }
        let flags = MessageFlags::parse(read_u32(&message, Header::LENGTH)?)?;
        let checksum = if flags.contains(MessageFlags::CHECKSUM_PRESENT) {
            CHECKSUM_LENGTH
        } else {
            0
        };
        let end = message.len().checked_sub(checksum).ok_or_else(truncated)?;
        let mut at = Header::LENGTH + FLAGS_LENGTH;
        let mut body = None;
        while at < end {
            let kind = *message.get(at).ok_or_else(truncated)?;
            let size = section_size(&message, at + 1, end)?;
            match kind {
                SECTION_BODY if body.is_none() => body = Some((at + 1, size)),
                SECTION_SEQUENCE => {}
                SECTION_BODY => return Err(Error::invalid_response("the message has two bodies")),
                other => {
                    return Err(Error::invalid_response(format!(
                        "unknown section kind {other}"
                    )));
                }
            }
            at = at + 1 + size.get();
        }
        let (body, body_length) =
            body.ok_or_else(|| Error::invalid_response("the message has no body"))?;
        let request_id = header.request_id;
        let reply = Self {
            message,
            body,
            body_length,
            flags,
            request_id,
        };
        reply.checked_document()?;
        Ok(reply)
    }

    /// The reply's document.
    pub(crate) fn document(&self) -> &RawDocument {
        self.checked_document().unwrap_or_else(|_| empty_document())
    }

    /// The document's bytes, sharing the received buffer.
    pub(crate) fn document_bytes(&self) -> Bytes {
        self.message
            .slice(self.body..self.body + self.body_length.get())
    }

    /// The server's number for this message, which an unasked-for successor answers to.
    pub(crate) fn request_id(&self) -> i32 {
        self.request_id
    }

    /// Whether the server will send another message without being asked.
    pub(crate) fn more_to_come(&self) -> bool {
        self.flags.contains(MessageFlags::MORE_TO_COME)
    }

    fn checked_document(&self) -> Result<&RawDocument> {
        let end = self.body + self.body_length.get();
        let bytes = self.message.get(self.body..end).ok_or_else(truncated)?;
        RawDocument::from_bytes(bytes).map_err(|error| {
            Error::invalid_response("the body is no document").with_source(error.into())
        })
    }
}

/// Length 5, no element.
const EMPTY: [u8; 5] = [5, 0, 0, 0, 0];

/// The document of these bytes; an empty one when they are none.
pub(crate) fn as_document(bytes: &[u8]) -> &RawDocument {
    RawDocument::from_bytes(bytes).unwrap_or_else(|_| empty_document())
}

fn empty_document() -> &'static RawDocument {
    RawDocument::from_bytes(&EMPTY).expect("these five bytes are the empty document")
}

/// The size that a section claims, which must lie within the message.
fn section_size(message: &[u8], at: usize, end: usize) -> Result<NonZeroUsize> {
    let claimed = read_u32(message, at)?;
    usize::try_from(claimed)
        .ok()
        .filter(|size| *size >= 4 && *size <= end.saturating_sub(at))
        .and_then(NonZeroUsize::new)
        .ok_or_else(|| {
            Error::invalid_response(format!(
                "a section claims {claimed} bytes, which do not fit"
            ))
        })
}

fn read_u32(message: &[u8], at: usize) -> Result<u32> {
    let bytes = message
        .get(at..at + 4)
        .and_then(|bytes| bytes.try_into().ok());
    bytes.map(u32::from_le_bytes).ok_or_else(truncated)
}

fn truncated() -> Error {
    Error::invalid_response("the message ends too early")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::indexing_slicing, reason = "a test may panic")]

    use bson::{Document, doc, rawdoc};
    use bytes::Buf;

    use super::*;
    use crate::proto::wire::Sequence;

    fn message(flags: u32, sections: &[u8]) -> (Bytes, Header) {
        let mut bytes = vec![0; Header::LENGTH];
        bytes.extend_from_slice(&flags.to_le_bytes());
        bytes.extend_from_slice(sections);
        let header = Header {
            length: bytes.len(),
            request_id: 1,
            response_to: 1,
            opcode: OP_MSG,
        };
        (bytes.into(), header)
    }

    fn body(document: &Document) -> Vec<u8> {
        let mut section = vec![SECTION_BODY];
        section.extend(document.to_vec().unwrap());
        section
    }

    #[test]
    fn a_written_message_reads_back() {
        let documents = doc! { "_id": 1 }.to_vec().unwrap();
        let mut buffer = Vec::new();
        let mut writer = MessageWriter::begin(&mut buffer, MessageFlags::NONE);
        let mut command = writer.body();
        command.append_str("insert", "c").unwrap();
        command.end().unwrap();
        let sequences = Sequences::from([Sequence {
            identifier: "documents",
            documents: &documents,
        }]);
        writer.sequences(&sequences).unwrap();
        let gaps = writer.finish(7, DEFAULT_MAX_MESSAGE_SIZE).unwrap();
        let mut sent = gaps.fill(&buffer, &sequences);
        let buffer = sent.copy_to_bytes(sent.remaining());
        let length = buffer.len();
        let start: [u8; 16] = buffer[..16].try_into().unwrap();
        let header = Header::parse(&start, DEFAULT_MAX_MESSAGE_SIZE).unwrap();
        assert_eq!(
            header,
            Header {
                length,
                request_id: 7,
                response_to: 0,
                opcode: OP_MSG
            }
        );
        let reply = Reply::parse(buffer, &header).unwrap();
        assert_eq!(reply.document(), &*rawdoc! { "insert": "c" });
    }

    #[test]
    fn sections_that_lie_about_their_size_are_refused() {
        for sections in [
            &[SECTION_BODY, 255, 255, 255, 255][..],
            &[SECTION_BODY, 0, 0, 0, 0],
            &[SECTION_BODY, 6, 0, 0, 0, 0],
            &[SECTION_BODY, 5, 0],
            &[SECTION_SEQUENCE, 4, 0, 0, 0],
            &[9, 5, 0, 0, 0, 0],
            &[],
        ] {
            let (bytes, header) = message(0, sections);
            assert!(
                Reply::parse(bytes, &header).is_err(),
                "{sections:?} was accepted"
            );
        }
    }

    #[test]
    fn a_checksum_is_left_out_and_an_unknown_required_flag_is_refused() {
        let mut sections = body(&doc! { "ok": 1 });
        sections.extend_from_slice(&[1, 2, 3, 4]);
        let (bytes, header) = message(1, &sections);
        assert_eq!(
            Reply::parse(bytes, &header).unwrap().document(),
            &*rawdoc! { "ok": 1 }
        );
        let (bytes, header) = message(1 << 5, &body(&doc! {}));
        assert!(Reply::parse(bytes, &header).is_err());
    }

    #[test]
    fn a_header_bounds_what_a_server_can_make_us_allocate() {
        for claimed in [-1_i32, 0, 15, 48_000_001] {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&claimed.to_le_bytes());
            assert!(
                Header::parse(&bytes, DEFAULT_MAX_MESSAGE_SIZE).is_err(),
                "{claimed}"
            );
        }
    }

    #[test]
    fn a_reply_to_another_request_is_refused() {
        let header = Header {
            length: 16,
            request_id: 1,
            response_to: 5,
            opcode: OP_MSG,
        };
        assert!(header.expect_response_to(4).is_err());
        assert!(header.expect_response_to(5).is_ok());
    }
}
