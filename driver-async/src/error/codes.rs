//! The server's error codes that the driver acts on, and the groups the specifications put them in.

use bson::RawDocument;

use super::{Error, ErrorKind, WriteFailure, bulk_write::Refusals};

pub(crate) const MAX_TIME_MS_EXPIRED: i32 = 50;

/// "Not writable primary" errors of the server discovery and monitoring specification.
const NOT_WRITABLE_PRIMARY: [i32; 3] = [10107, 13435, 10058];
/// "Node is recovering" errors of the server discovery and monitoring specification.
const NODE_IS_RECOVERING: [i32; 5] = [11600, 11602, 13436, 189, 91];
/// The subset of the above that says that the server shuts down.
const NODE_IS_SHUTTING_DOWN: [i32; 2] = [11600, 91];

/// Errors after which a read may be tried again (retryable reads specification); those after
/// which a write may be are the same without `ReadConcernMajorityNotAvailableYet` (134).
const RETRYABLE: [i32; 13] = [
    6, 7, 89, 91, 134, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436,
];
const READ_CONCERN_MAJORITY_NOT_AVAILABLE_YET: i32 = 134;

/// The codes that a unique index's refusal has had over the server's life.
pub(crate) fn is_duplicate_key(code: i32) -> bool {
    matches!(code, 11000 | 11001 | 12582)
}

fn is_retryable_read(code: i32) -> bool {
    RETRYABLE.contains(&code)
}

fn is_retryable_write(code: i32) -> bool {
    code != READ_CONCERN_MAJORITY_NOT_AVAILABLE_YET && RETRYABLE.contains(&code)
}

/// How an error code or message says that a server changed its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StateChange {
    /// The server is no longer the primary.
    NotWritablePrimary,
    /// The server is recovering.
    Recovering,
    /// The server is shutting down.
    ShuttingDown,
}

impl StateChange {
    /// The state change that a code says, or, for servers that give no code, a message.
    pub(crate) fn of(code: Option<i32>, message: &str) -> Option<Self> {
        match code.filter(|code| *code != 0) {
            Some(code) if NODE_IS_SHUTTING_DOWN.contains(&code) => Some(Self::ShuttingDown),
            Some(code) if NODE_IS_RECOVERING.contains(&code) => Some(Self::Recovering),
            Some(code) if NOT_WRITABLE_PRIMARY.contains(&code) => Some(Self::NotWritablePrimary),
            Some(_) => None,
            None if message.contains("node is recovering")
                || message.contains("not master or secondary") =>
            {
                Some(Self::Recovering)
            }
            None if message.contains("not master") => Some(Self::NotWritablePrimary),
            None => None,
        }
    }
}

impl Error {
    /// The state change that this error tells of, as the server discovery and monitoring
    /// specification defines it: a command's error or a write concern error, never a write error.
    pub(crate) fn state_change(&self) -> Option<StateChange> {
        let (code, message) = self.beyond_single_writes()?;
        StateChange::of(Some(code), message)
    }

    /// Whether the code is one after which a read may be tried again.
    pub(crate) fn has_retryable_read_code(&self) -> bool {
        let told = self.beyond_single_writes();
        told.is_some_and(|(code, _)| is_retryable_read(code))
    }

    /// Whether the code is one after which a write may be tried again. A write error's code is
    /// not: the server judged that write.
    pub(crate) fn has_retryable_write_code(&self) -> bool {
        let told = self.beyond_single_writes();
        told.is_some_and(|(code, _)| is_retryable_write(code))
    }

    /// Whether the server's limit of time ended a command, be it one of a login.
    pub(crate) fn says_time_is_up(&self) -> bool {
        let told = self.beyond_single_writes();
        told.is_some_and(|(code, _)| code == MAX_TIME_MS_EXPIRED)
    }

    /// The code and the words of a command's error or a write concern error. The commands of a
    /// login are among them: a server that shuts down refuses those as well.
    fn beyond_single_writes(&self) -> Option<(i32, &str)> {
        match &*self.kind {
            ErrorKind::Command(error) => Some((error.code, &error.message)),
            ErrorKind::Authentication { .. } => self.cause()?.beyond_single_writes(),
            ErrorKind::Write(WriteFailure::WriteConcernError(error)) => {
                Some((error.code, &error.message))
            }
            kind => {
                let unmet = Refusals::of(kind)?.unmet()?;
                Some((unmet.code, &unmet.message))
            }
        }
    }

    /// Adds the labels that stand in a reply's `errorLabels`.
    pub(crate) fn with_labels_of(mut self, reply: &RawDocument) -> Self {
        if let Ok(labels) = reply.get_array("errorLabels") {
            for label in labels.into_iter().flatten() {
                if let Some(label) = label.as_str() {
                    self.add_label(label);
                }
            }
        }
        self
    }
}
