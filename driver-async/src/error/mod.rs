//! The one error type of the driver.

mod build;
mod bulk_write;
mod codes;
mod gridfs;
mod kind;
mod server;

use std::{any::Any, collections::HashSet, error::Error as StdError, fmt, io, sync::Arc};

use bson::{RawDocument, RawDocumentBuf};

use bulk_write::Refusals;
pub use bulk_write::{BulkWriteError, CollectionBulkWriteError, PartialBulkWriteResult};
pub(crate) use codes::StateChange;
pub use gridfs::{GridFsErrorKind, GridFsFileIdentifier};
pub use kind::ErrorKind;
pub use server::{
    CommandError, IndexedWriteError, InsertManyError, WriteConcernError, WriteError, WriteFailure,
};

use crate::address::ServerAddress;

/// The label of an error after which a write may be tried again.
pub const RETRYABLE_WRITE_ERROR: &str = "RetryableWriteError";
/// The label of an error after which a whole transaction may be tried again.
pub const TRANSIENT_TRANSACTION_ERROR: &str = "TransientTransactionError";
/// The label of an error after which it is unknown whether a transaction was committed.
pub const UNKNOWN_TRANSACTION_COMMIT_RESULT: &str = "UnknownTransactionCommitResult";
/// The label of an error from a server or connection that is overloaded.
pub const SYSTEM_OVERLOADED_ERROR: &str = "SystemOverloadedError";
/// The label of an error after which any command may be tried again.
pub const RETRYABLE_ERROR: &str = "RetryableError";
/// The label of a failed write attempt that changed nothing.
pub const NO_WRITES_PERFORMED: &str = "NoWritesPerformed";

/// The label of an error after which a change stream can be resumed.
pub const RESUMABLE_CHANGE_STREAM_ERROR: &str = "ResumableChangeStreamError";

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, and where.
///
/// The kind says who must act and can be matched on as `*error.kind`. The predicates answer the
/// questions that programs ask most often.
///
/// The text of an error never holds a password or the content of a document. The server's whole
/// reply is at hand in [`Error::server_response`].
///
/// ```
/// use motorcade::error::{Error, ErrorKind, WriteFailure};
///
/// fn explain(error: &Error) -> String {
///     match *error.kind {
///         ErrorKind::Write(WriteFailure::WriteError(ref write)) if error.is_duplicate_key() => {
///             format!("already there: {}", write.message)
///         }
///         _ => error.to_string(),
///     }
/// }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Error {
    /// What went wrong.
    pub kind: Box<ErrorKind>,
    context: Option<Box<Context>>,
}

#[derive(Clone, Default)]
struct Context {
    labels: HashSet<String>,
    address: Option<ServerAddress>,
    command: Option<String>,
    server_response: Option<RawDocumentBuf>,
    source: Option<Error>,
}

impl fmt::Debug for Context {
    // The reply may hold users' documents, so it is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("labels", &self.labels)
            .field("address", &self.address)
            .field("command", &self.command)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl Error {
    /// An error of the caller's own kind, for use in callbacks.
    pub fn custom(value: impl Any + Send + Sync) -> Self {
        ErrorKind::Custom(Arc::new(value)).into()
    }

    /// The value given to [`Error::custom`], when it is of type `E`.
    #[doc(alias = "downcast")]
    pub fn get_custom<E: Any>(&self) -> Option<&E> {
        match &*self.kind {
            ErrorKind::Custom(value) => value.downcast_ref(),
            _ => None,
        }
    }

    /// The server's code for this error: of a command, write or write concern error, or of the
    /// first write error of many. When there is none of these, that of the error that ended an
    /// operation of several commands.
    pub fn code(&self) -> Option<i32> {
        match &*self.kind {
            ErrorKind::Command(error) => Some(error.code),
            ErrorKind::Write(WriteFailure::WriteError(error)) => Some(error.code),
            ErrorKind::Write(WriteFailure::WriteConcernError(error)) => Some(error.code),
            ErrorKind::InsertMany(error) => {
                let first = error
                    .write_errors
                    .as_ref()
                    .and_then(|errors| errors.first());
                first
                    .map(|error| error.code)
                    .or_else(|| error.write_concern_error.as_ref().map(|error| error.code))
            }
            kind => Refusals::of(kind).and_then(|refusals| refusals.code()),
        }
        .or_else(|| self.ended_by()?.code())
    }

    /// The error that ended an operation of several commands, which this error only frames.
    fn ended_by(&self) -> Option<&Self> {
        match &*self.kind {
            ErrorKind::InsertMany(_)
            | ErrorKind::BulkWrite(_)
            | ErrorKind::CollectionBulkWrite(_)
            | ErrorKind::OperationTimeout { .. } => self.cause(),
            _ => None,
        }
    }

    /// The name of the server's [`code`](Self::code), when the server gave one.
    pub fn code_name(&self) -> Option<&str> {
        let name = match &*self.kind {
            ErrorKind::Command(error) => Some(error.code_name.as_str()),
            ErrorKind::Write(WriteFailure::WriteError(error)) => error.code_name.as_deref(),
            ErrorKind::Write(WriteFailure::WriteConcernError(error)) => {
                Some(error.code_name.as_str())
            }
            ErrorKind::InsertMany(error) => {
                let first = error
                    .write_errors
                    .as_ref()
                    .and_then(|errors| errors.first());
                match (first, &error.write_concern_error) {
                    (Some(first), _) => first.code_name.as_deref(),
                    (None, Some(concern)) => Some(concern.code_name.as_str()),
                    (None, None) => None,
                }
            }
            kind => Refusals::of(kind).and_then(|refusals| refusals.code_name()),
        };
        name.filter(|name| !name.is_empty())
            .or_else(|| self.ended_by()?.code_name())
    }

    /// Whether a server refused the operation or a part of it; false for errors that arose in the
    /// driver or on the network.
    pub fn is_server_error(&self) -> bool {
        let is_refused = match &*self.kind {
            ErrorKind::Command(_) | ErrorKind::Write(_) => true,
            ErrorKind::InsertMany(_)
            | ErrorKind::BulkWrite(_)
            | ErrorKind::CollectionBulkWrite(_) => self.code().is_some(),
            _ => self.server_response().is_some(),
        };
        is_refused || self.cause().is_some_and(Self::is_server_error)
    }

    /// Whether a unique index refused a write.
    pub fn is_duplicate_key(&self) -> bool {
        match &*self.kind {
            ErrorKind::InsertMany(error) => error
                .write_errors
                .as_ref()
                .is_some_and(|errors| errors.iter().any(|e| codes::is_duplicate_key(e.code))),
            kind => match Refusals::of(kind) {
                Some(refusals) => refusals.has_duplicate_key(),
                None => self.code().is_some_and(codes::is_duplicate_key),
            },
        }
    }

    /// Whether a limit of time ended the operation, on either side.
    ///
    /// A connection that the operating system gives up because the peer no longer acknowledges
    /// anything (`ETIMEDOUT`) is lost, not slow: that is a network error and not a timeout.
    pub fn is_timeout(&self) -> bool {
        match &*self.kind {
            ErrorKind::Timeout { .. }
            | ErrorKind::OperationTimeout { .. }
            | ErrorKind::ServerSelection { .. } => true,
            ErrorKind::Io(error) => is_limit(error),
            _ => self.has_expired_part() || self.ended_by().is_some_and(Self::is_timeout),
        }
    }

    /// Whether the server's limit of time ended the command, or any part of what was to be done.
    fn has_expired_part(&self) -> bool {
        let is_expired = |code: i32| code == codes::MAX_TIME_MS_EXPIRED;
        match &*self.kind {
            ErrorKind::InsertMany(error) => {
                let mut refused = error.write_errors.iter().flatten();
                let unmet = error.write_concern_error.as_ref();
                refused.any(|refusal| is_expired(refusal.code))
                    || unmet.is_some_and(|unmet| is_expired(unmet.code))
            }
            kind => match Refusals::of(kind) {
                Some(refusals) => refusals.codes().any(is_expired),
                None => self.says_time_is_up() || self.code().is_some_and(is_expired),
            },
        }
    }

    /// Whether the connection to a server failed.
    pub fn is_network(&self) -> bool {
        match &*self.kind {
            ErrorKind::Io(_) | ErrorKind::ConnectionPoolCleared { .. } => true,
            _ => self.ended_by().is_some_and(Self::is_network),
        }
    }

    /// The labels that the server or the driver gave this error.
    pub fn labels(&self) -> &HashSet<String> {
        static NONE: std::sync::LazyLock<HashSet<String>> = std::sync::LazyLock::new(HashSet::new);
        self.context
            .as_ref()
            .map_or(&NONE, |context| &context.labels)
    }

    /// Whether the error has this label, such as [`RETRYABLE_WRITE_ERROR`].
    pub fn contains_label(&self, label: impl AsRef<str>) -> bool {
        self.context
            .as_ref()
            .is_some_and(|context| context.labels.contains(label.as_ref()))
    }

    /// The server's whole reply, when one led to this error.
    pub fn server_response(&self) -> Option<&RawDocument> {
        let context = self.context.as_ref()?;
        let own = context.server_response.as_deref();
        own.or_else(|| self.ended_by()?.server_response())
    }

    /// The server that the error came from or was about.
    pub fn address(&self) -> Option<&ServerAddress> {
        let own = self.context.as_ref()?.address.as_ref();
        own.or_else(|| self.ended_by()?.address())
    }

    /// The error that led to this one.
    fn cause(&self) -> Option<&Self> {
        self.context.as_ref()?.source.as_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(context) = &self.context {
            if let Some(address) = &context.address {
                write!(f, "{address}: ")?;
            }
            if let Some(command) = &context.command {
                write!(f, "{command}: ")?;
            }
        }
        self.kind.fmt(f)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self.cause() {
            Some(source) => Some(source),
            None => self.kind.source(),
        }
    }
}

impl<E> From<E> for Error
where
    ErrorKind: From<E>,
{
    fn from(value: E) -> Self {
        Self {
            kind: Box::new(ErrorKind::from(value)),
            context: None,
        }
    }
}

/// Whether a limit of the driver's, and not the operating system, found that time was up.
pub(crate) fn is_limit(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::TimedOut && error.raw_os_error().is_none()
}

/// For code that reads or writes a file in GridFS through the traits of [`std::io`]. Turning it
/// back with `?` gives the same kind of error again.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &*error.kind {
            ErrorKind::Io(error) => error.kind(),
            ErrorKind::InvalidArgument { .. } => io::ErrorKind::InvalidInput,
            ErrorKind::InvalidResponse { .. } => io::ErrorKind::InvalidData,
            ErrorKind::GridFs(error) => match error {
                GridFsErrorKind::FileNotFound { .. } | GridFsErrorKind::RevisionNotFound { .. } => {
                    io::ErrorKind::NotFound
                }
                GridFsErrorKind::MissingChunk { .. }
                | GridFsErrorKind::WrongSizeChunk { .. }
                | GridFsErrorKind::WrongNumberOfChunks { .. } => io::ErrorKind::InvalidData,
                _ => io::ErrorKind::Other,
            },
            _ if error.is_timeout() => io::ErrorKind::TimedOut,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_keeps_its_kind_through_the_io_traits() {
        let error = Error::from(ErrorKind::GridFs(GridFsErrorKind::MissingChunk { n: 7 }));
        let through = io::Error::from(error);
        assert_eq!(through.kind(), io::ErrorKind::InvalidData);
        let back = Error::from(through);
        assert!(
            matches!(
                *back.kind,
                ErrorKind::GridFs(GridFsErrorKind::MissingChunk { n: 7 })
            ),
            "{back:?}"
        );
        assert!(!back.is_network());
        let own = Error::from(io::Error::from(io::ErrorKind::ConnectionReset));
        assert!(own.is_network());
    }

    #[test]
    fn an_error_is_two_words_and_crosses_threads() {
        fn crosses<T: Send + Sync + Clone + 'static>() {}
        crosses::<Error>();
        assert_eq!(size_of::<Error>(), 2 * size_of::<usize>());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_peer_that_the_kernel_finds_dead_is_no_timeout() {
        const ETIMEDOUT: i32 = 110;
        let lost = Error::from(io::Error::from_raw_os_error(ETIMEDOUT));
        assert!(lost.is_network() && !lost.is_timeout());
        let through = Error::from(io::Error::from(lost));
        assert!(through.is_network() && !through.is_timeout());
        let slow = Error::from(io::Error::from(io::ErrorKind::TimedOut));
        assert!(slow.is_network() && slow.is_timeout());
    }

    #[test]
    fn the_text_starts_with_the_server_and_the_command() {
        let io = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        let error = Error::from(io)
            .with_command("find")
            .with_address(&ServerAddress::default());
        assert!(error.is_network());
        assert!(
            error.to_string().starts_with("localhost:27017: find: "),
            "{error}"
        );
    }

    #[test]
    fn a_part_that_ran_out_of_time_makes_a_timeout() {
        let refused = |code: i32| {
            let refusal = bson::doc! { "code": code, "errInfo": null };
            bson::deserialize_from_document::<WriteError>(refusal).unwrap()
        };
        let unmet = |code: i32| WriteConcernError::from_document(&bson::rawdoc! { "code": code });
        for (refusals, concerns, wanted) in [
            (vec![11000, 50], vec![], true),
            (vec![11000], vec![100, 50], true),
            (vec![], vec![50], true),
            (vec![11000, 11000], vec![100], false),
        ] {
            let bulk = CollectionBulkWriteError {
                write_errors: refusals.iter().copied().map(refused).enumerate().collect(),
                write_concern_errors: concerns.iter().copied().map(unmet).collect(),
                ..CollectionBulkWriteError::default()
            };
            let inserts = ErrorKind::InsertMany(bulk.clone().into());
            for kind in [ErrorKind::CollectionBulkWrite(bulk), inserts] {
                let error = Error::from(kind);
                assert_eq!(
                    error.is_timeout(),
                    wanted,
                    "{refusals:?} {concerns:?}: {error}"
                );
            }
        }
    }

    #[test]
    fn a_timeout_tells_what_was_under_way_and_keeps_what_is_told_of_it() {
        let reply = bson::rawdoc! { "ok": 0, "code": 50, "errmsg": "slow" };
        let expired = Error::from(ErrorKind::Command(CommandError::from_reply(&reply)))
            .with_label(TRANSIENT_TRANSACTION_ERROR)
            .with_address(&ServerAddress::default());
        let text = expired.to_string();
        let error = Error::operation_timeout(expired);
        assert!(error.is_timeout() && error.is_server_error());
        assert!(!error.is_network());
        assert!(error.to_string().contains(&text), "{error}");
        assert_eq!(error.source().unwrap().to_string(), text);
        assert_eq!(error.code(), Some(50));
        assert_eq!(error.address(), Some(&ServerAddress::default()));
        assert!(error.contains_label(TRANSIENT_TRANSACTION_ERROR));
    }

    #[test]
    fn what_a_server_refused_has_its_code_and_name() {
        let refused = |json| Error::from(ErrorKind::Command(serde_json::from_value(json).unwrap()));
        let error = refused(serde_json::json!({ "code": 112, "codeName": "WriteConflict" }));
        assert_eq!(
            (error.code(), error.code_name()),
            (Some(112), Some("WriteConflict"))
        );
        assert!(error.is_server_error());
        assert_eq!(refused(serde_json::json!({ "code": 8 })).code_name(), None);
    }

    #[test]
    fn an_error_of_the_network_is_no_servers_even_in_the_midst_of_many_inserts() {
        let lost = Error::from(std::io::ErrorKind::ConnectionReset);
        let failed =
            |json| Error::from(ErrorKind::InsertMany(serde_json::from_value(json).unwrap()));
        assert!(!lost.is_server_error());
        assert!(!Error::authentication("no password").is_server_error());
        let cut_off = failed(serde_json::json!({})).with_source(lost.clone());
        assert!(!cut_off.is_server_error());
        let concern = serde_json::json!({ "code": 64, "codeName": "WriteConcernTimeout" });
        let refused = failed(serde_json::json!({ "writeConcernError": concern }));
        assert!(refused.with_source(lost).is_server_error());
        let reply = bson::rawdoc! { "ok": 0 };
        let refusal = Error::authentication("x").with_server_response(&reply);
        assert!(refusal.is_server_error());
    }

    #[test]
    fn a_bulk_write_has_the_code_and_name_of_what_the_server_refused() {
        let refusal = serde_json::json!({ "code": 121, "codeName": "DocumentValidationFailure" });
        let mut failed = BulkWriteError::default();
        let interrupted = Error::from(ErrorKind::BulkWrite(failed.clone()));
        failed
            .write_errors
            .insert(4, serde_json::from_value(refusal).unwrap());
        let refused = Error::from(ErrorKind::BulkWrite(failed));
        assert_eq!(refused.code_name(), Some("DocumentValidationFailure"));
        assert!(refused.is_server_error());
        assert!(!interrupted.is_server_error());
        let command = serde_json::json!({ "code": 8, "codeName": "UnknownError" });
        let command = ErrorKind::Command(serde_json::from_value(command).unwrap());
        let ended = interrupted.with_source(command.into());
        assert!(ended.is_server_error());
        assert_eq!(ended.code_name(), Some("UnknownError"));
    }

    #[test]
    fn debug_output_leaves_the_reply_out() {
        let reply = bson::rawdoc! { "ok": 0, "secret": "hunter2" };
        let error = Error::internal("x").with_server_response(&reply);
        assert!(!format!("{error:?}").contains("hunter2"));
        assert_eq!(error.server_response(), Some(&*reply));
    }
}
