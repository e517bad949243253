//! GridFS: files of any size, stored in many documents.
//!
//! A bucket is two collections of a database: `fs.files` with a document for each file, and
//! `fs.chunks` with the content, cut into chunks of 255 KiB. See the GridFS specification and
//! "GridFS" in the server's manual.
//!
//! ```no_run
//! use motorcade::bson::doc;
//!
//! # async fn example(database: motorcade::Database) -> motorcade::error::Result<()> {
//! let bucket = database.gridfs_bucket(None);
//! let id = bucket
//!     .upload_from_reader("lighthouse.jpg", tokio::io::empty())
//!     .metadata(doc! { "taken": "at dusk" })
//!     .await?;
//! let mut copy = Vec::new();
//! let file = bucket.download_to_writer(id, &mut copy).await?;
//! assert_eq!(file.length, 0);
//! # Ok(())
//! # }
//! ```

mod bucket;
mod download;
mod files_document;
mod indexes;
mod progress;
mod task;
mod upload;

pub use bucket::GridFsBucket;
pub use download::GridFsDownloadStream;
pub use files_document::FilesCollectionDocument;
pub use progress::GridFsProgress;
pub(crate) use progress::ProgressCallback;
pub use upload::GridFsUploadStream;
pub(crate) use upload::NewFile;
