//! Operations on files in GridFS.

mod change;
mod find;
mod open;
mod transfer;

pub use change::{Delete, DeleteByName, Drop, Rename, RenameByName};
pub use find::{Find, FindOne};
pub use open::{OpenDownloadStream, OpenDownloadStreamByName, OpenUploadStream};
pub use transfer::{DownloadToWriter, DownloadToWriterByName, UploadFromReader};

/// Gives an action that has no options the method `timeout`.
macro_rules! timeout_setter {
    (impl[$($generics:tt)*] $type:ty) => {
        impl<$($generics)*> $type {
            /// How long the operation may take as a whole, and a stream from its opening to its
            /// end; the bucket's timeout when absent, zero for no limit. See
            /// [`ClientOptions::timeout`](crate::options::ClientOptions::timeout).
            pub fn timeout(mut self, value: ::std::time::Duration) -> Self {
                self.timeout = Some(value);
                self
            }
        }
    };
}

use timeout_setter;
