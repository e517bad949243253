//! The commands that carry SASL messages.

use bson::{RawDocument, spec::BinarySubtype};

use crate::{
    error::{Error, Result},
    proto::{auth::ScramMechanism, wire::DocumentWriter},
};

/// Writes `saslStart`; the database is the caller's to write.
///
/// # Errors
/// An invalid-argument error when the payload is longer than BSON can express.
pub(crate) fn sasl_start(
    command: &mut DocumentWriter<'_>,
    mechanism: &str,
    payload: &[u8],
) -> Result<()> {
    command.append_i32("saslStart", 1)?;
    command.append_str("mechanism", mechanism)?;
    append_payload(command, payload)
}

/// Writes `saslStart` for SCRAM, which lets the server leave out the empty exchange at its end.
///
/// # Errors
/// As [`sasl_start`].
pub(crate) fn scram_start(
    command: &mut DocumentWriter<'_>,
    mechanism: ScramMechanism,
    payload: &[u8],
) -> Result<()> {
    sasl_start(command, mechanism.as_str(), payload)?;
    command.append_document_with("options", |it| it.append_bool("skipEmptyExchange", true))
}

/// Writes `saslContinue`; the database is the caller's to write.
///
/// # Errors
/// As [`sasl_start`].
pub(crate) fn sasl_continue(
    command: &mut DocumentWriter<'_>,
    conversation_id: i32,
    payload: &[u8],
) -> Result<()> {
    command.append_i32("saslContinue", 1)?;
    command.append_i32("conversationId", conversation_id)?;
    append_payload(command, payload)
}

/// The one message of PLAIN, RFC 4616.
///
/// # Errors
/// An authentication error when the name or the password contains a null character, which stands
/// between the parts of the message.
pub(crate) fn plain_payload(username: &str, password: &str) -> Result<Vec<u8>> {
    if username.contains('\0') || password.contains('\0') {
        return Err(Error::authentication(
            "the mechanism PLAIN allows no null character in a user name or password",
        ));
    }
    Ok(format!("\0{username}\0{password}").into_bytes())
}

/// What the server says to a SASL command.
pub(crate) struct SaslReply<'a> {
    /// The server's number for the conversation.
    pub conversation_id: i32,
    /// Whether the server considers the conversation finished.
    pub done: bool,
    /// The server's message.
    pub payload: &'a [u8],
}

impl<'a> SaslReply<'a> {
    /// Reads a reply whose `ok` was checked, or one half of a speculative authentication.
    ///
    /// # Errors
    /// An authentication error that names the field which is missing or has the wrong type.
    pub(crate) fn parse(reply: &'a RawDocument) -> Result<Self> {
        let value = |name| reply.get(name).ok().flatten();
        let conversation_id = value("conversationId").and_then(|value| {
            value
                .as_i32()
                .or_else(|| value.as_i64().and_then(|id| i32::try_from(id).ok()))
        });
        let payload = value("payload")
            .and_then(|value| value.as_binary())
            .filter(|binary| binary.subtype == BinarySubtype::Generic);
        Ok(Self {
            conversation_id: conversation_id.ok_or_else(|| unreadable("conversationId"))?,
            done: value("done")
                .and_then(|value| value.as_bool())
                .ok_or_else(|| unreadable("done"))?,
            payload: payload.ok_or_else(|| unreadable("payload"))?.bytes,
        })
    }
}

impl std::fmt::Debug for SaslReply<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SaslReply")
            .field("done", &self.done)
            .finish_non_exhaustive()
    }
}

fn append_payload(command: &mut DocumentWriter<'_>, payload: &[u8]) -> Result<()> {
    command.append_binary("payload", BinarySubtype::Generic.into(), payload)
}

fn unreadable(field: &str) -> Error {
    Error::authentication(format!(
        "the server's reply has no {field} of the type that a SASL conversation needs"
    ))
}

#[cfg(test)]
mod tests {
    use bson::{Binary, Document, RawDocumentBuf, doc};

    use super::*;

    fn generic(bytes: &[u8]) -> Binary {
        Binary {
            subtype: BinarySubtype::Generic,
            bytes: bytes.to_vec(),
        }
    }

    fn written(write: impl FnOnce(&mut DocumentWriter<'_>) -> Result<()>) -> Document {
        let mut bytes = Vec::new();
        let mut command = DocumentWriter::begin(&mut bytes);
        write(&mut command).unwrap();
        command.end().unwrap();
        Document::from_reader(&*bytes).unwrap()
    }

    #[test]
    fn the_commands_have_the_specified_fields() {
        assert_eq!(
            written(|command| sasl_start(command, "PLAIN", b"x")),
            doc! { "saslStart": 1, "mechanism": "PLAIN", "payload": generic(b"x") }
        );
        assert_eq!(
            written(|command| scram_start(command, ScramMechanism::Sha256, b"n,,")),
            doc! {
                "saslStart": 1, "mechanism": "SCRAM-SHA-256", "payload": generic(b"n,,"),
                "options": { "skipEmptyExchange": true },
            }
        );
        assert_eq!(
            written(|command| sasl_continue(command, 7, b"")),
            doc! { "saslContinue": 1, "conversationId": 7, "payload": generic(b"") }
        );
    }

    #[test]
    fn a_plain_message_separates_its_parts_by_nulls() {
        assert_eq!(plain_payload("user", "pencil").unwrap(), b"\0user\0pencil");
        assert!(plain_payload("us\0er", "pencil").is_err());
        assert!(plain_payload("user", "pen\0cil").is_err());
    }

    #[test]
    fn a_reply_without_a_needed_field_names_it() {
        let whole = doc! { "conversationId": 1, "done": false, "payload": generic(b"r=") };
        let parsed = |reply: &Document| {
            let raw = RawDocumentBuf::try_from(reply).unwrap();
            SaslReply::parse(&raw).map(|reply| (reply.conversation_id, reply.payload.to_vec()))
        };
        assert_eq!(parsed(&whole).unwrap(), (1, b"r=".to_vec()));
        for field in ["conversationId", "done", "payload"] {
            let (mut missing, mut wrong) = (whole.clone(), whole.clone());
            missing.remove(field);
            wrong.insert(field, "x");
            for reply in [missing, wrong] {
                let error = parsed(&reply).expect_err(field);
                assert!(error.to_string().contains(field), "{error}");
            }
        }
    }
}
