//! Encryption with rustls.

mod pem;
mod refusal;
mod verify;

use std::{
    future::Future,
    path::Path,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use rustls::{
    ClientConfig, RootCertStore,
    client::WebPkiServerVerifier,
    client::danger::ServerCertVerifier,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
};
use tokio::{io::Interest, net::TcpStream};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    error::{Error, ErrorKind, Result},
    net::Stream,
};

pub(super) use refusal::is_refusal;

/// How to encrypt every connection of one client. Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    client: Arc<ClientConfig>,
}

/// How much of the server's certificate must be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    /// All of it.
    Full,
    /// All but the name.
    AnyName,
    /// Only that the server holds the certificate's key.
    Anything,
}

/// What proves to the server who the client is.
type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl Config {
    fn from_files(
        trust: Trust,
        authorities: Option<&Path>,
        identity: Option<&Path>,
    ) -> Result<Self> {
        let roots = match authorities {
            Some(path) => pem::authorities(path)?,
            None => RootCertStore {
                roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
            },
        };
        let identity = identity.map(pem::identity).transpose()?;
        Self::build(trust, roots, identity)
    }

    fn build(trust: Trust, roots: RootCertStore, identity: Option<Identity>) -> Result<Self> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = verifier(trust, roots, &provider)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| invalid(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let client = match identity {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| invalid(format!("the client's certificate: {error}")))?,
        };
        Ok(Self {
            client: Arc::new(client),
        })
    }

    /// Encrypts a connection to `host`, whose certificate must be right for that name.
    ///
    /// # Errors
    /// A network error that says what to do about it.
    pub(super) async fn encrypt(&self, host: &str, tcp: TcpStream) -> Result<Stream> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| invalid(format!("the host {host:?} is not a name for TLS")))?;
        let connector = TlsConnector::from(Arc::clone(&self.client));
        match connector.connect(name, tcp).await {
            Ok(stream) => Ok(Stream::Tls(Box::new(stream))),
            Err(error) => Err(refusal::explain(host, error)),
        }
    }
}

/// Whether the peer has closed the socket, going by what the runtime knows already.
pub(super) fn is_closed(stream: &TlsStream<TcpStream>) -> bool {
    let readiness = pin!(stream.get_ref().0.ready(Interest::READABLE));
    // An idle stream has no reader who would have to be woken.
    match readiness.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(ready)) => ready.is_read_closed(),
        Poll::Ready(Err(_)) => true,
        Poll::Pending => false,
    }
}

fn verifier(
    trust: Trust,
    roots: RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>> {
    if trust == Trust::Anything {
        return Ok(Arc::new(verify::Anything::new(Arc::clone(provider))));
    }
    let full = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| invalid(error.to_string()))?;
    Ok(match trust {
        Trust::AnyName => Arc::new(verify::AnyName::new(full)),
        Trust::Full | Trust::Anything => full,
    })
}

fn invalid(message: impl Into<String>) -> Error {
    ErrorKind::InvalidTlsConfig {
        message: message.into(),
    }
    .into()
}
