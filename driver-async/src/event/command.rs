//! What the driver tells listeners about its commands.
//!
//! Follows the command logging and monitoring specification.

use std::time::Duration;

use bson::{Bson, Document, RawDocument, oid::ObjectId};
use serde::{Serialize, Serializer};

use super::ConnectionInfo;
use crate::error::{CommandError, Error, ErrorKind};

/// A command was sent.
///
/// The command is empty when it holds secrets, as those of authentication do.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CommandStartedEvent {
    /// The whole command, among it the documents that went beside it.
    pub command: Document,
    /// The database that the command went to.
    pub db: String,
    /// The command's name.
    pub command_name: String,
    /// The message's number, which the event of the outcome has too.
    pub request_id: i32,
    /// The operation that the command is part of. All attempts of one operation, and all commands
    /// of one bulk write, have the same number, which is unique in the process.
    pub operation_id: i64,
    /// The connection.
    pub connection: ConnectionInfo,
    /// The service behind a load balancer.
    pub service_id: Option<ObjectId>,
}

/// A command succeeded.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CommandSucceededEvent {
    /// The time from before the command was sent until its reply was read.
    pub duration: Duration,
    /// The whole reply; empty when the command holds secrets.
    pub reply: Document,
    /// The database that the command went to.
    pub db: String,
    /// The command's name.
    pub command_name: String,
    /// The number of the command's message.
    pub request_id: i32,
    /// The operation that the command is part of, as in the started event.
    pub operation_id: i64,
    /// The connection.
    pub connection: ConnectionInfo,
    /// The service behind a load balancer.
    pub service_id: Option<ObjectId>,
}

/// A command failed: the server refused it, or its reply never came.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CommandFailedEvent {
    /// The time from before the command was sent until it failed.
    pub duration: Duration,
    /// The database that the command went to.
    pub db: String,
    /// The command's name.
    pub command_name: String,
    /// Why; without the server's words when the command holds secrets.
    #[serde(serialize_with = "as_text")]
    pub failure: Error,
    /// The number of the command's message.
    pub request_id: i32,
    /// The operation that the command is part of, as in the started event.
    pub operation_id: i64,
    /// The connection.
    pub connection: ConnectionInfo,
    /// The service behind a load balancer.
    pub service_id: Option<ObjectId>,
}

/// What happened to a command.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum CommandEvent {
    /// It was sent.
    Started(CommandStartedEvent),
    /// It succeeded.
    Succeeded(CommandSucceededEvent),
    /// It failed.
    Failed(CommandFailedEvent),
}

impl CommandEvent {
    /// The command's name.
    pub fn command_name(&self) -> &str {
        match self {
            Self::Started(event) => &event.command_name,
            Self::Succeeded(event) => &event.command_name,
            Self::Failed(event) => &event.command_name,
        }
    }

    /// The number of the command's message, the same in both events of one command.
    pub fn request_id(&self) -> i32 {
        match self {
            Self::Started(event) => event.request_id,
            Self::Succeeded(event) => event.request_id,
            Self::Failed(event) => event.request_id,
        }
    }
}

fn as_text<S: Serializer>(error: &Error, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(error)
}

/// Commands that hold secrets, or whose replies do.
const SENSITIVE: [&str; 9] = [
    "authenticate",
    "saslStart",
    "saslContinue",
    "getnonce",
    "createUser",
    "updateUser",
    "copydbgetnonce",
    "copydbsaslstart",
    "copydb",
];
const HELLO: [&str; 2] = ["hello", "ismaster"];

/// Whether a command holds secrets, so that neither it nor its reply may be shown.
pub(crate) fn is_sensitive(name: &str, command: &RawDocument) -> bool {
    let is_one_of = |names: &[&str]| names.iter().any(|other| other.eq_ignore_ascii_case(name));
    if is_one_of(&HELLO) {
        return !matches!(command.get("speculativeAuthenticate"), Ok(None));
    }
    is_one_of(&SENSITIVE)
}

/// The command to show: with the documents that went beside it, or empty when it holds secrets.
pub(crate) fn shown_command<'a>(
    command: &RawDocument,
    sequences: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    sensitive: bool,
) -> Document {
    if sensitive {
        return Document::new();
    }
    let mut shown = Document::try_from(command).unwrap_or_default();
    for (identifier, mut documents) in sequences {
        let mut array = Vec::new();
        while let Ok(document) = Document::from_reader(&mut documents) {
            array.push(Bson::Document(document));
        }
        shown.insert(identifier, array);
    }
    shown
}

/// The reply to show: empty when its command holds secrets.
pub(crate) fn shown_reply(reply: &RawDocument, sensitive: bool) -> Document {
    if sensitive {
        return Document::new();
    }
    Document::try_from(reply).unwrap_or_default()
}

/// The failure to show: without the server's words when the command holds secrets.
pub(crate) fn shown_failure(error: &Error, sensitive: bool) -> Error {
    let ErrorKind::Command(command) = &*error.kind else {
        return error.clone();
    };
    if !sensitive {
        return error.clone();
    }
    let shown = Error::from(ErrorKind::Command(CommandError {
        code: command.code,
        code_name: command.code_name.clone(),
        message: "REDACTED".to_owned(),
        base_backoff: None,
    }));
    let labels = error.labels().iter();
    labels.fold(shown, |shown, label| shown.with_label(label))
}

#[cfg(test)]
mod tests {
    use bson::{doc, rawdoc};

    use super::*;

    #[test]
    fn what_holds_secrets_is_shown_empty() {
        let command = rawdoc! { "x": 1, "payload": "hunter2" };
        for name in [
            "saslStart",
            "SASLCONTINUE",
            "authenticate",
            "createUser",
            "copydb",
        ] {
            assert!(is_sensitive(name, &command), "{name}");
        }
        assert_eq!(shown_command(&command, [], true), doc! {});
        assert_eq!(shown_reply(&command, true), doc! {});
        for name in ["find", "ping"] {
            let wanted = doc! { "x": 1, "payload": "hunter2" };
            assert!(!is_sensitive(name, &command), "{name}");
            assert_eq!(shown_command(&command, [], false), wanted);
        }
    }

    #[test]
    fn a_hello_is_shown_unless_it_authenticates() {
        for name in ["hello", "isMaster", "ismaster"] {
            let plain = rawdoc! { "hello": 1 };
            assert!(!is_sensitive(name, &plain), "{name}");
            let speculative = rawdoc! { "hello": 1, "speculativeAuthenticate": {} };
            assert!(is_sensitive(name, &speculative), "{name}");
        }
    }

    #[test]
    fn documents_that_went_beside_the_command_are_shown_in_it() {
        let mut documents = doc! { "_id": 1 }.to_vec().unwrap();
        documents.extend(doc! { "_id": 2 }.to_vec().unwrap());
        let shown = shown_command(
            &rawdoc! { "bulkWrite": 1 },
            [("ops", &*documents), ("nsInfo", &*documents)],
            false,
        );
        let array = [doc! { "_id": 1 }, doc! { "_id": 2 }].to_vec();
        assert_eq!(
            shown,
            doc! { "bulkWrite": 1, "ops": array.clone(), "nsInfo": array }
        );
    }

    #[test]
    fn a_failure_of_a_command_with_secrets_keeps_its_code_and_labels() {
        let refused = CommandError {
            code: 18,
            code_name: "AuthenticationFailed".into(),
            message: "hunter2".into(),
            base_backoff: None,
        };
        let reply = rawdoc! { "errmsg": "hunter2" };
        let error = Error::from(ErrorKind::Command(refused))
            .with_label("A")
            .with_server_response(&reply);
        let shown = shown_failure(&error, true);
        assert_eq!((shown.code(), shown.contains_label("A")), (Some(18), true));
        assert!(shown.server_response().is_none() && !shown.to_string().contains("hunter2"));
        assert!(shown_failure(&error, false).to_string().contains("hunter2"));
    }
}
