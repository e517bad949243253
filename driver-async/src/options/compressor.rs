//! Compression of messages.

use serde::Serialize;

/// A way to compress messages, as a connection string names it.
///
/// Connections are not compressed yet: a client built from a connection string that names
/// compressors warns that it ignores them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Compressor {
    /// Zstandard.
    Zstd {
        /// The level, as the compression library counts it.
        level: Option<i32>,
    },
    /// zlib.
    Zlib {
        /// The level: 0 for none, 1 for the fastest, 9 for the best; the library's own when
        /// absent.
        level: Option<u32>,
    },
    /// Snappy.
    Snappy,
}

impl Compressor {
    /// The compressor's name on the wire and in connection strings.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Zstd { .. } => "zstd",
            Self::Zlib { .. } => "zlib",
            Self::Snappy => "snappy",
        }
    }
}
