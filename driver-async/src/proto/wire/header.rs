//! The header that every message starts with.

use crate::error::{Error, Result};

/// The opcode of OP_MSG, the only message this driver speaks besides its compressed form.
pub(crate) const OP_MSG: i32 = 2013;

/// The header that every message starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The length of the whole message, the header included, in bytes.
    pub length: usize,
    /// The sender's number for the message.
    pub request_id: i32,
    /// The number of the message that this one answers.
    pub response_to: i32,
    /// The kind of message.
    pub opcode: i32,
}

impl Header {
    /// The length of a header in bytes.
    pub(crate) const LENGTH: usize = 16;

    /// Reads a header, refusing lengths that no message can have.
    ///
    /// # Errors
    /// An invalid-response error when the length is shorter than a header or longer than
    /// `max_message_size`.
    pub(crate) fn parse(bytes: &[u8; Self::LENGTH], max_message_size: usize) -> Result<Self> {
        let [
            l0,
            l1,
            l2,
            l3,
            r0,
            r1,
            r2,
            r3,
            t0,
            t1,
            t2,
            t3,
            o0,
            o1,
            o2,
            o3,
        ] = *bytes;
        let claimed = i32::from_le_bytes([l0, l1, l2, l3]);
        let length = usize::try_from(claimed)
            .ok()
            .filter(|length| (Self::LENGTH..=max_message_size).contains(length))
            .ok_or_else(|| {
                Error::invalid_response(format!(
                    "a message claims to be {claimed} bytes long; it must have between {} and \
                     {max_message_size}",
                    Self::LENGTH
                ))
            })?;
        Ok(Self {
            length,
            request_id: i32::from_le_bytes([r0, r1, r2, r3]),
            response_to: i32::from_le_bytes([t0, t1, t2, t3]),
            opcode: i32::from_le_bytes([o0, o1, o2, o3]),
        })
    }

    /// Refuses a reply to anything but the request `request_id`.
    ///
    /// # Errors
    /// An invalid-response error. The connection must be closed: its stream is out of step.
    pub(crate) fn expect_response_to(&self, request_id: i32) -> Result<()> {
        if self.response_to == request_id {
            return Ok(());
        }
        Err(Error::invalid_response(format!(
            "a message answers request {} where request {request_id} was sent",
            self.response_to
        )))
    }
}
