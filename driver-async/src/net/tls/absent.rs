//! Encryption, in a build without it.

use crate::{
    error::{Error, ErrorKind, Result},
    net::{Stream, socket::Socket},
    options::TlsOptions,
};

/// A TLS configuration, of which this build can have none.
#[derive(Clone, Debug)]
pub(crate) enum Config {}

impl Config {
    /// Says that this build cannot encrypt.
    ///
    /// # Errors
    /// Always an invalid-TLS-configuration error.
    pub(crate) fn new(_options: &TlsOptions) -> Result<Self> {
        Err(ErrorKind::InvalidTlsConfig {
            message: "this build of the driver cannot encrypt: enable its feature rustls-tls"
                .to_owned(),
        }
        .into())
    }

    pub(super) async fn encrypt(&self, _host: &str, _socket: Socket) -> Result<Stream> {
        match *self {}
    }
}

pub(super) fn is_refusal(_error: &Error) -> bool {
    false
}
