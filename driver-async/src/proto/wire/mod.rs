//! The bytes on the wire: message headers, OP_MSG, and the BSON that goes into them.
//!
//! Follows the OP_MSG specification. Everything here works on byte slices; nothing reads or
//! writes a socket.
#![warn(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss
)]

mod document_writer;
mod fields;
mod header;
mod op_msg;
mod sequences;

pub(crate) use document_writer::DocumentWriter;
pub(crate) use fields::{Field, fields};
pub(crate) use header::{Header, OP_MSG};
pub(crate) use op_msg::{
    DEFAULT_MAX_MESSAGE_SIZE, MessageFlags, MessageWriter, Reply, as_document, prepared_body,
};
pub(crate) use sequences::{Gaps, Sequence, Sequences};
