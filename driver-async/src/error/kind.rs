//! The kinds of error, split by who must act.

use std::{any::Any, convert::Infallible, io, sync::Arc};

use super::{
    BulkWriteError, CollectionBulkWriteError, CommandError, Error, GridFsErrorKind,
    InsertManyError, WriteFailure,
};

/// What went wrong, split by who must act.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller gave an argument, option or connection string that cannot be used.
    #[error("{message}")]
    #[non_exhaustive]
    InvalidArgument {
        /// What is wrong, and what to write instead.
        message: String,
    },

    /// The caller's TLS options cannot be used.
    #[error("invalid TLS configuration: {message}")]
    #[non_exhaustive]
    InvalidTlsConfig {
        /// What is wrong, and what to change.
        message: String,
    },

    /// A value could not be turned into BSON, or BSON could not be turned into a value.
    #[error("bson: {0}")]
    Bson(#[source] bson::error::Error),

    /// The client was shut down.
    #[error("the client has been shut down")]
    Shutdown,

    /// The server did not accept the credential, or the exchange failed.
    #[error("authentication failed: {message}")]
    #[non_exhaustive]
    Authentication {
        /// What happened, without any secret.
        message: String,
    },

    /// No suitable server was found in time.
    #[error("{message}")]
    #[non_exhaustive]
    ServerSelection {
        /// What was wanted, what is there, and each server's last error.
        message: String,
    },

    /// A limit of time passed.
    #[error("{message}")]
    #[non_exhaustive]
    Timeout {
        /// What was awaited, and which limit passed.
        message: String,
    },

    /// The time that the operation had as a whole
    /// ([`ClientOptions::timeout`](crate::options::ClientOptions::timeout)) was up, or a server said
    /// that its part of it was. What was under way is told in the text, and given by
    /// [`source`](std::error::Error::source).
    #[error("the operation timed out: {message}")]
    #[non_exhaustive]
    OperationTimeout {
        /// What was under way.
        message: String,
    },

    /// The connection failed, or could not be made.
    #[error("{0}")]
    Io(#[source] Arc<io::Error>),

    /// A host name could not be resolved.
    #[error("{message}")]
    #[non_exhaustive]
    DnsResolve {
        /// The host name and the resolver's answer.
        message: String,
    },

    /// The connection pool was cleared because its server failed.
    #[error("{message}")]
    #[non_exhaustive]
    ConnectionPoolCleared {
        /// Which pool, and why.
        message: String,
    },

    /// What was under way was given up, such as a command whose operation was dropped. Only
    /// events and log messages tell of it.
    #[error("{message}")]
    #[non_exhaustive]
    Cancelled {
        /// What was given up, and why.
        message: String,
    },

    /// The deployment does not support sessions.
    #[error("the deployment does not support sessions")]
    SessionsNotSupported,

    /// The server is too old or too new for this driver.
    #[error("{message}")]
    #[non_exhaustive]
    IncompatibleServer {
        /// The server and both sides' versions.
        message: String,
    },

    /// A server called itself primary, but a later election or configuration is known.
    #[error("{message}")]
    #[non_exhaustive]
    StalePrimary {
        /// How it came to light.
        message: String,
    },

    /// The server refused a command.
    #[error("{0}")]
    Command(CommandError),

    /// The server refused a write.
    #[error("{0}")]
    Write(WriteFailure),

    /// The server refused some of many inserts.
    #[error("{0}")]
    InsertMany(InsertManyError),

    /// The server refused some writes of a [`Client::bulk_write`](crate::Client::bulk_write).
    #[error("{0}")]
    BulkWrite(BulkWriteError),

    /// The server refused some writes of a
    /// [`Collection::bulk_write`](crate::Collection::bulk_write).
    #[error("{0}")]
    CollectionBulkWrite(CollectionBulkWriteError),

    /// A file in GridFS is not there or not whole, or its upload has ended.
    #[error(transparent)]
    GridFs(GridFsErrorKind),

    /// A transaction was used in a way that cannot work.
    #[error("{message}")]
    #[non_exhaustive]
    Transaction {
        /// What is wrong, and what to do instead.
        message: String,
    },

    /// An event of a change stream has no `_id`, so that the stream could not be resumed after it.
    #[error(
        "an event of the change stream has no resume token; let the pipeline keep the field _id"
    )]
    MissingResumeToken,

    /// The peer sent something that the protocol does not allow.
    #[error("the server's reply is invalid: {message}")]
    #[non_exhaustive]
    InvalidResponse {
        /// What is wrong with it.
        message: String,
    },

    /// A fault in this driver.
    #[error("internal error: {message}")]
    #[non_exhaustive]
    Internal {
        /// What happened.
        message: String,
    },

    /// An error of the caller's own kind; see [`Error::custom`].
    #[error("a custom error")]
    Custom(Arc<dyn Any + Send + Sync>),
}

impl From<bson::error::Error> for ErrorKind {
    fn from(error: bson::error::Error) -> Self {
        Self::Bson(error)
    }
}

impl From<io::Error> for ErrorKind {
    /// An error of the driver that came through the traits of [`std::io`] keeps its kind.
    fn from(error: io::Error) -> Self {
        match error.downcast::<Error>() {
            Ok(own) => *own.kind,
            Err(other) => Self::Io(Arc::new(other)),
        }
    }
}

impl From<io::ErrorKind> for ErrorKind {
    fn from(kind: io::ErrorKind) -> Self {
        io::Error::from(kind).into()
    }
}

impl From<GridFsErrorKind> for ErrorKind {
    fn from(error: GridFsErrorKind) -> Self {
        Self::GridFs(error)
    }
}

impl From<Infallible> for ErrorKind {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl From<&Error> for ErrorKind {
    fn from(error: &Error) -> Self {
        (*error.kind).clone()
    }
}
