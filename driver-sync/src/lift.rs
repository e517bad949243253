//! Turns what the non-blocking driver gives into its blocking twin.

use motorcade::{
    bson::{Bson, Document},
    error::{Error, Result},
    gridfs::FilesCollectionDocument,
    options::ClientOptions,
    results::{
        CollectionBulkWriteResult, CreateIndexResult, CreateIndexesResult, DeleteResult,
        InsertManyResult, InsertOneResult, SummaryBulkWriteResult, UpdateResult,
        VerboseBulkWriteResult,
    },
};

use crate::{
    ClientSession, Cursor, SessionCursor,
    change_stream::{ChangeStream, session::SessionChangeStream},
    gridfs,
    raw_batch_cursor::{RawBatchCursor, SessionRawBatchCursor},
};

/// Turns a result into its blocking twin. Only what holds a connection has another one.
pub trait Lift {
    /// The blocking twin.
    type Blocking;

    /// The blocking twin of this result.
    fn lift(self) -> Self::Blocking;
}

/// A result that can tell that the runtime itself failed.
pub trait Failed {
    /// The result of an operation that could not even begin.
    fn failed(error: Error) -> Self;
}

impl<T> Failed for Result<T> {
    fn failed(error: Error) -> Self {
        Err(error)
    }
}

/// Shutting down and warming up cannot fail: without a runtime there is nothing to do either to.
impl Failed for () {
    fn failed(_: Error) -> Self {}
}

impl<T: Lift> Lift for Result<T> {
    type Blocking = Result<T::Blocking>;

    fn lift(self) -> Self::Blocking {
        self.map(T::lift)
    }
}

impl<T> Lift for motorcade::Cursor<T> {
    type Blocking = Cursor<T>;

    fn lift(self) -> Cursor<T> {
        Cursor::new(self)
    }
}

impl<T> Lift for motorcade::SessionCursor<T> {
    type Blocking = SessionCursor<T>;

    fn lift(self) -> SessionCursor<T> {
        SessionCursor::new(self)
    }
}

impl<T> Lift for motorcade::change_stream::ChangeStream<T> {
    type Blocking = ChangeStream<T>;

    fn lift(self) -> ChangeStream<T> {
        ChangeStream::new(self)
    }
}

impl<T> Lift for motorcade::change_stream::session::SessionChangeStream<T> {
    type Blocking = SessionChangeStream<T>;

    fn lift(self) -> SessionChangeStream<T> {
        SessionChangeStream::new(self)
    }
}

impl Lift for motorcade::ClientSession {
    type Blocking = ClientSession;

    fn lift(self) -> ClientSession {
        self.into()
    }
}

impl<T> Lift for Vec<T> {
    type Blocking = Self;

    fn lift(self) -> Self {
        self
    }
}

impl Lift for motorcade::raw_batch_cursor::RawBatchCursor {
    type Blocking = RawBatchCursor;

    fn lift(self) -> RawBatchCursor {
        RawBatchCursor::new(self)
    }
}

impl Lift for motorcade::raw_batch_cursor::SessionRawBatchCursor {
    type Blocking = SessionRawBatchCursor;

    fn lift(self) -> SessionRawBatchCursor {
        SessionRawBatchCursor::new(self)
    }
}

impl Lift for motorcade::gridfs::GridFsUploadStream {
    type Blocking = gridfs::GridFsUploadStream;

    fn lift(self) -> Self::Blocking {
        gridfs::GridFsUploadStream::new(self)
    }
}

impl Lift for motorcade::gridfs::GridFsDownloadStream {
    type Blocking = gridfs::GridFsDownloadStream;

    fn lift(self) -> Self::Blocking {
        gridfs::GridFsDownloadStream::new(self)
    }
}

impl<T> Lift for Option<T> {
    type Blocking = Self;

    fn lift(self) -> Self {
        self
    }
}

macro_rules! lift_as_it_is {
    ($($type:ty),+ $(,)?) => {
        $(impl Lift for $type {
            type Blocking = Self;

            fn lift(self) -> Self {
                self
            }
        })+
    };
}

lift_as_it_is!(
    (),
    u64,
    String,
    Bson,
    Document,
    ClientOptions,
    CollectionBulkWriteResult,
    FilesCollectionDocument,
    CreateIndexResult,
    CreateIndexesResult,
    DeleteResult,
    InsertManyResult,
    InsertOneResult,
    SummaryBulkWriteResult,
    UpdateResult,
    VerboseBulkWriteResult,
);
