//! The options of GridFS: of a bucket, and of what is done with its files.

use std::time::Duration;

use bson::Document;
use serde::Deserialize;
use typed_builder::TypedBuilder;

use super::{FindOneOptions, FindOptions, ReadConcern, SelectionCriteria, WriteConcern};

/// Options of [`Database::gridfs_bucket`](crate::Database::gridfs_bucket).
///
/// Concerns and criteria that are left out come from the database.
#[derive(Clone, Debug, Default, Deserialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct GridFsBucketOptions {
    /// What the names of the bucket's two collections begin with; `fs` when absent.
    pub bucket_name: Option<String>,
    /// How many bytes of a file go into one document, for files that are uploaded from now on;
    /// 261,120 (255 KiB) when absent.
    pub chunk_size_bytes: Option<u32>,
    /// How many members must have a write before it is acknowledged.
    pub write_concern: Option<WriteConcern>,
    /// How settled the data of reads must be.
    pub read_concern: Option<ReadConcern>,
    /// Which servers serve reads.
    #[serde(alias = "readPreference")]
    pub selection_criteria: Option<SelectionCriteria>,
    /// How long an operation may take as a whole, all its commands included; the database's when
    /// absent, zero for no limit. With streams it is the whole life of the stream. See
    /// [`ClientOptions::timeout`](super::ClientOptions::timeout).
    #[serde(
        rename = "timeoutMS",
        alias = "timeout",
        with = "crate::options::serde_shapes::millis"
    )]
    pub timeout: Option<Duration>,
}

/// Options of [`GridFsBucket::open_upload_stream`] and [`GridFsBucket::upload_from_reader`].
///
/// What is absent is not stored.
///
/// [`GridFsBucket::open_upload_stream`]: crate::gridfs::GridFsBucket::open_upload_stream
/// [`GridFsBucket::upload_from_reader`]: crate::gridfs::GridFsBucket::upload_from_reader
#[derive(Clone, Debug, Default, Deserialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct GridFsUploadOptions {
    /// How many bytes of the file go into one document; the bucket's when absent. A document
    /// must stay below the server's limit of 16 MiB.
    pub chunk_size_bytes: Option<u32>,
    /// Whatever the program wants to keep with the file.
    pub metadata: Option<Document>,
    /// The file's media type. The GridFS specification deprecates it: keep it in the metadata.
    pub content_type: Option<String>,
    /// Other names of the file, which nothing looks at. The GridFS specification deprecates it:
    /// keep them in the metadata.
    pub aliases: Option<Vec<String>>,
    /// How long the upload may take as a whole, from opening the stream to closing it; the
    /// bucket's when absent, zero for no limit. See
    /// [`ClientOptions::timeout`](super::ClientOptions::timeout).
    #[serde(
        rename = "timeoutMS",
        alias = "timeout",
        with = "crate::options::serde_shapes::millis"
    )]
    pub timeout: Option<Duration>,
}

/// Options of [`GridFsBucket::open_download_stream_by_name`] and
/// [`GridFsBucket::download_to_writer_by_name`].
///
/// [`GridFsBucket::open_download_stream_by_name`]:
///     crate::gridfs::GridFsBucket::open_download_stream_by_name
/// [`GridFsBucket::download_to_writer_by_name`]:
///     crate::gridfs::GridFsBucket::download_to_writer_by_name
#[derive(Clone, Debug, Default, Deserialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct GridFsDownloadByNameOptions {
    /// Which of the files of that name, by their upload dates: 0 is the oldest, 1 the one after
    /// it; -1 the newest, -2 the one before it. The newest when absent.
    pub revision: Option<i32>,
    /// How long the download may take as a whole, from opening the stream to its end; the
    /// bucket's when absent, zero for no limit. See
    /// [`ClientOptions::timeout`](super::ClientOptions::timeout).
    #[serde(
        rename = "timeoutMS",
        alias = "timeout",
        with = "crate::options::serde_shapes::millis"
    )]
    pub timeout: Option<Duration>,
}

/// Options of [`GridFsBucket::find`](crate::gridfs::GridFsBucket::find).
///
/// See "find" among the database commands of the server's manual. What is absent is not sent.
#[derive(Clone, Debug, Default, Deserialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct GridFsFindOptions {
    /// Whether the server may use the disk for a sort that needs more than its memory limit.
    pub allow_disk_use: Option<bool>,
    /// How many documents the server sends at once.
    pub batch_size: Option<u32>,
    /// How many documents are returned at most; 0 means all. A negative number means its
    /// absolute value, in a single batch.
    pub limit: Option<i64>,
    /// How long the server may work on the query; whole milliseconds, 0 for no limit.
    /// A [timeout](super::ClientOptions::timeout) puts it out of force.
    #[serde(
        rename = "maxTimeMS",
        alias = "maxTime",
        with = "crate::options::serde_shapes::millis"
    )]
    pub max_time: Option<Duration>,
    /// Whether the server keeps an idle cursor for longer than its usual 10 minutes.
    pub no_cursor_timeout: Option<bool>,
    /// How many documents are left out at the start.
    pub skip: Option<u64>,
    /// The order of the documents.
    pub sort: Option<Document>,
    /// How long the operation may take as a whole, all batches included; the
    /// bucket's when absent, zero for no limit. See
    /// [`ClientOptions::timeout`](super::ClientOptions::timeout).
    #[serde(
        rename = "timeoutMS",
        alias = "timeout",
        with = "crate::options::serde_shapes::millis"
    )]
    pub timeout: Option<Duration>,
}

impl From<GridFsFindOptions> for FindOptions {
    fn from(options: GridFsFindOptions) -> Self {
        Self {
            allow_disk_use: options.allow_disk_use,
            batch_size: options.batch_size,
            limit: options.limit,
            max_time: options.max_time,
            no_cursor_timeout: options.no_cursor_timeout,
            skip: options.skip,
            sort: options.sort,
            timeout: options.timeout,
            ..Self::default()
        }
    }
}

/// Options of [`GridFsBucket::find_one`](crate::gridfs::GridFsBucket::find_one).
///
/// See "find" among the database commands of the server's manual. What is absent is not sent.
#[derive(Clone, Debug, Default, Deserialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct GridFsFindOneOptions {
    /// How long the server may work on the query; whole milliseconds, 0 for no limit.
    /// A [timeout](super::ClientOptions::timeout) puts it out of force.
    #[serde(
        rename = "maxTimeMS",
        alias = "maxTime",
        with = "crate::options::serde_shapes::millis"
    )]
    pub max_time: Option<Duration>,
    /// How many documents are left out at the start.
    pub skip: Option<u64>,
    /// The order in which the first document is taken.
    pub sort: Option<Document>,
    /// How long the operation may take as a whole; the
    /// bucket's when absent, zero for no limit. See
    /// [`ClientOptions::timeout`](super::ClientOptions::timeout).
    #[serde(
        rename = "timeoutMS",
        alias = "timeout",
        with = "crate::options::serde_shapes::millis"
    )]
    pub timeout: Option<Duration>,
}

impl From<GridFsFindOneOptions> for FindOneOptions {
    fn from(options: GridFsFindOneOptions) -> Self {
        Self {
            max_time: options.max_time,
            skip: options.skip,
            sort: options.sort,
            timeout: options.timeout,
            ..Self::default()
        }
    }
}
