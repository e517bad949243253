//! The one error of this crate.

use std::error::Error as StdError;
use std::fmt;
use std::path::Path;

/// Why a server could not be found, obtained, started or talked to.
///
/// The message says what to do where the reader can do something: what to install, which variable
/// to set. [`Error::code`] gives the server's code when a command was refused.
pub struct Error {
    message: String,
    code: Option<i32>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The result of everything in this crate that can fail.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            code: None,
            source: None,
        }
    }

    pub(crate) fn caused(
        message: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self {
            message: message.into(),
            code: None,
            source: Some(source.into()),
        }
    }

    /// An operation on a file or folder failed; `doing` reads like "cannot create the folder".
    pub(crate) fn file(doing: &str, path: &Path, source: std::io::Error) -> Self {
        Self::caused(format!("{doing} {}", path.display()), source)
    }

    /// The server answered a command with `ok: 0`.
    pub(crate) fn refused(command: &str, code: Option<i32>, text: &str) -> Self {
        Self {
            message: format!("the server refused {command}: {text}"),
            code,
            source: None,
        }
    }

    /// The server's error code, when the server refused a command.
    pub fn code(&self) -> Option<i32> {
        self.code
    }

    /// Adds lines below the message, such as the end of a log.
    pub(crate) fn with_detail(mut self, detail: &str) -> Self {
        self.message.push('\n');
        self.message.push_str(detail);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Shows the whole chain, since tests mostly print errors through `unwrap`.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let mut cause = self.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
