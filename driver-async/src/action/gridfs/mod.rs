//! Operations on files in GridFS.

mod change;
mod find;
mod open;
mod transfer;

pub use change::{Delete, DeleteByName, Drop, Rename, RenameByName};
pub use find::{Find, FindOne};
pub use open::{OpenDownloadStream, OpenDownloadStreamByName, OpenUploadStream};
pub use transfer::{DownloadToWriter, DownloadToWriterByName, UploadFromReader};
