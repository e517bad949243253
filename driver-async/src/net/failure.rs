//! Why a connection could not be made.

use std::{fmt, io, net::SocketAddr};

use crate::{
    error::{Error, ErrorKind},
    net::tls,
};

/// The failed attempts to reach one server, at least one.
#[derive(Debug)]
pub(super) struct Unreachable {
    attempts: Vec<(SocketAddr, io::Error)>,
}

impl Unreachable {
    /// One error for all attempts, of the last one's kind.
    ///
    /// Without any attempt the error says that there was no address to try.
    pub(super) fn into_error(attempts: Vec<(SocketAddr, io::Error)>) -> Error {
        let kind = attempts
            .last()
            .map_or(io::ErrorKind::NotFound, |(_, error)| error.kind());
        io::Error::new(kind, Self { attempts }).into()
    }
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("could not connect")?;
        if self.attempts.is_empty() {
            return f.write_str(": there is no address to try");
        }
        for (index, (address, error)) in self.attempts.iter().enumerate() {
            let separator = if index == 0 { " to" } else { ", to" };
            write!(f, "{separator} {address}: {error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Unreachable {}

/// Whether an error while connecting can come from a server that is overloaded.
///
/// A name that does not resolve, or a certificate or TLS message that does not fit, never does;
/// a socket that is closed, reset or silent does, also in the midst of the TLS handshake. The
/// connection monitoring and pooling specification calls for labels on the latter alone.
pub(crate) fn can_be_overload(error: &Error) -> bool {
    matches!(*error.kind, ErrorKind::Io(_)) && !tls::is_refusal(error)
}
