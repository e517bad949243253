//! Encryption, in a build without it.

use tokio::net::TcpStream;

use crate::{
    error::{Error, Result},
    net::Stream,
};

/// A TLS configuration, of which this build can have none.
#[derive(Clone, Debug)]
pub(crate) enum Config {}

impl Config {
    pub(super) async fn encrypt(&self, _host: &str, _tcp: TcpStream) -> Result<Stream> {
        match *self {}
    }
}

pub(super) fn is_refusal(_error: &Error) -> bool {
    false
}
