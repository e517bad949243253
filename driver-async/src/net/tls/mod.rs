//! Encryption with rustls.

mod pem;
mod refusal;
mod verify;

use std::{io, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    client::WebPkiServerVerifier,
    client::danger::ServerCertVerifier,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    error::{Error, ErrorKind, Result},
    net::{Stream, socket::Socket},
    options::TlsOptions,
};

pub(super) use refusal::{is_refusal, read_failure};

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
    /// Reads the files that the options name.
    ///
    /// # Errors
    /// An invalid-TLS-configuration error that names the option and its file.
    pub(crate) fn new(options: &TlsOptions) -> Result<Self> {
        let roots = match &options.ca_file_path {
            Some(path) => pem::authorities(path)?,
            None => RootCertStore {
                roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
            },
        };
        let identity = options
            .cert_key_file_path
            .as_deref()
            .map(pem::identity)
            .transpose()?;
        let trust = match options {
            TlsOptions {
                allow_invalid_certificates: Some(true),
                ..
            } => Trust::Anything,
            TlsOptions {
                allow_invalid_hostnames: Some(true),
                ..
            } => Trust::AnyName,
            _ => Trust::Full,
        };
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
    pub(super) async fn encrypt(&self, host: &str, socket: Socket) -> Result<Stream> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| invalid(format!("the host {host:?} is not a name for TLS")))?;
        let connector = TlsConnector::from(Arc::clone(&self.client));
        match connector.connect(name, socket).await {
            Ok(stream) => Ok(Stream::Tls(Box::new(stream))),
            Err(error) => Err(refusal::explain(host, error)),
        }
    }
}

/// Whether the peer has closed an idle stream. Takes in what has arrived, session tickets for
/// example; the runtime may stand still, so the operating system is asked.
pub(super) fn is_closed(stream: &mut TlsStream<Socket>) -> bool {
    let (socket, session) = stream.get_mut();
    let Some(socket) = socket.raw() else {
        return true;
    };
    loop {
        match session.read_tls(&mut &*socket) {
            Ok(0) => return true,
            Ok(_) => match session.process_new_packets() {
                // Nobody has asked for data.
                Ok(state) if state.peer_has_closed() || state.plaintext_bytes_to_read() > 0 => {
                    return true;
                }
                Ok(_) => {}
                Err(_) => return true,
            },
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            Err(_) => return true,
        }
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

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use rustls::{ServerConfig, server::WebPkiClientVerifier};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
        runtime::{self, Runtime},
    };
    use tokio_rustls::TlsAcceptor;

    use super::*;
    use crate::{
        address::ServerAddress,
        deadline::Deadline,
        net::{Sockets, can_be_overload, connect},
    };

    type Issuer = CertifiedIssuer<'static, KeyPair>;

    fn authority() -> Issuer {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    /// A certificate for `name`, and its key.
    fn issue(authority: &Issuer, name: &str, last_year: i32) -> (String, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(last_year, 1, 1);
        (params.signed_by(&key, authority).unwrap().pem(), key)
    }

    /// A file in a folder that lasts as long as the test.
    struct File(tempfile::TempDir);

    impl File {
        fn of(content: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("file.pem"), content).unwrap();
            Self(folder)
        }

        fn path(&self) -> PathBuf {
            self.0.path().join("file.pem")
        }
    }

    /// The address of a server that echoes four bytes of one connection and closes it.
    async fn serve(
        (certificate, key): (String, KeyPair),
        clients: Option<&Issuer>,
    ) -> ServerAddress {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.der().clone()).unwrap();
                let clients =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(clients.build().unwrap())
            }
        };
        let identity = File::of(&(certificate + &key.serialize_pem()));
        let (chain, key) = pem::identity(&identity.path()).unwrap();
        let config = builder.with_single_cert(chain, key).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (tcp, _) = listener.accept().await.unwrap();
            let acceptor = TlsAcceptor::from(Arc::new(config));
            // A client that refuses the certificate ends the handshake; the test sees its side.
            let Ok(mut tls) = acceptor.accept(tcp).await else {
                return;
            };
            let mut bytes = [0; 4];
            tls.read_exact(&mut bytes).await.unwrap();
            tls.write_all(&bytes).await.unwrap();
            tls.flush().await.unwrap();
        });
        ServerAddress::parse(format!("127.0.0.1:{port}")).unwrap()
    }

    fn encrypted(options: &TlsOptions) -> Result<Sockets> {
        let tls = Some(Config::new(options)?);
        Ok(Sockets {
            tls,
            ..Sockets::default()
        })
    }

    async fn echo(address: &ServerAddress, options: &TlsOptions) -> Result<Stream> {
        let mut stream = connect(address, &encrypted(options)?, &Deadline::NEVER).await?;
        stream.write_all(b"ping").await?;
        stream.flush().await?;
        let mut bytes = [0; 4];
        stream.read_exact(&mut bytes).await?;
        assert_eq!(&bytes, b"ping");
        Ok(stream)
    }

    #[tokio::test]
    async fn a_certificate_of_the_named_authority_is_trusted_and_its_end_noticed() {
        let authority = authority();
        let address = serve(issue(&authority, "127.0.0.1", 4000), None).await;
        let file = File::of(&authority.pem());
        let options = TlsOptions::builder().ca_file_path(file.path()).build();
        let mut stream = echo(&address, &options).await.unwrap();
        while !stream.has_hung_up() {
            tokio::task::yield_now().await;
        }
    }

    #[test]
    fn an_encrypted_stream_moves_away_from_a_runtime_that_is_gone() {
        let single = || {
            runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
        };
        let authority = authority();
        let peer = Runtime::new().unwrap();
        let address = peer.block_on(serve(issue(&authority, "127.0.0.1", 4000), None));
        let file = File::of(&authority.pem());
        let options = TlsOptions::builder().ca_file_path(file.path()).build();
        let sockets = Sockets {
            tls: Some(Config::new(&options).unwrap()),
            ..Sockets::default()
        };
        let first = single();
        let mut stream = first
            .block_on(connect(&address, &sockets, &Deadline::NEVER))
            .unwrap();
        drop(first);
        single().block_on(async {
            assert!(!stream.has_hung_up());
            stream.move_to_current_runtime().unwrap();
            stream.write_all(b"ping").await.unwrap();
            stream.flush().await.unwrap();
            let mut bytes = [0; 4];
            stream.read_exact(&mut bytes).await.unwrap();
            assert_eq!(&bytes, b"ping");
        });
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_certificate_decides_who_still_trusts_it() {
        let (known, stranger) = (authority(), authority());
        let file = File::of(&known.pem());
        let strict = TlsOptions::builder().ca_file_path(file.path());
        let any_name = strict.clone().allow_invalid_hostnames(true).build();
        let anything = strict.clone().allow_invalid_certificates(true).build();
        let strict = strict.build();
        for (authority, name, last_year, advice, is_fine_for_any_name) in [
            (&stranger, "127.0.0.1", 4000, "set tlsCAFile", false),
            (&known, "localhost", 4000, "not for 127.0.0.1", true),
            (&known, "127.0.0.1", 2000, "renew", false),
        ] {
            let issue = || issue(authority, name, last_year);
            let error = echo(&serve(issue(), None).await, &strict)
                .await
                .unwrap_err();
            assert!(error.to_string().contains(advice), "{error}");
            assert!(!can_be_overload(&error), "{error}");
            let lax = echo(&serve(issue(), None).await, &any_name).await;
            assert_eq!(lax.is_ok(), is_fine_for_any_name, "{advice}: {lax:?}");
            echo(&serve(issue(), None).await, &anything).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_server_that_asks_for_a_client_certificate_gets_it() {
        let authority = authority();
        let (certificate, key) = issue(&authority, "client", 4000);
        let identity = File::of(&(key.serialize_pem() + &certificate));
        let file = File::of(&authority.pem());
        let without = TlsOptions::builder().ca_file_path(file.path());
        let with = without.clone().cert_key_file_path(identity.path()).build();
        let serve = || serve(issue(&authority, "127.0.0.1", 4000), Some(&authority));
        echo(&serve().await, &with).await.unwrap();
        echo(&serve().await, &without.build()).await.unwrap_err();
    }

    #[tokio::test]
    async fn an_end_in_the_midst_of_the_handshake_can_come_from_overload() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().into();
        let sockets = encrypted(&TlsOptions::default()).unwrap();
        let closing = async { drop(listener.accept().await.unwrap()) };
        let connecting = connect(&address, &sockets, &Deadline::NEVER);
        let error = tokio::join!(connecting, closing).0.unwrap_err();
        assert!(can_be_overload(&error), "{error}");
    }

    #[tokio::test]
    async fn an_odd_certificate_leaves_the_others_of_its_bundle_usable() {
        let odd =
            |der: &str| format!("-----BEGIN CERTIFICATE-----\n{der}\n-----END CERTIFICATE-----\n");
        let authority = authority();
        let bundle = [odd("AAAA"), odd("%"), authority.pem(), odd("MAA=")].concat();
        let file = File::of(&bundle);
        let options = TlsOptions::builder().ca_file_path(file.path()).build();
        let address = serve(issue(&authority, "127.0.0.1", 4000), None).await;
        echo(&address, &options).await.unwrap();
        let file = File::of(&(odd("AAAA") + &odd("%")));
        let options = TlsOptions::builder().ca_file_path(file.path()).build();
        let error = Config::new(&options).unwrap_err().to_string();
        assert!(error.contains("no usable certificate"), "{error}");
    }

    #[test]
    fn files_that_cannot_be_used_are_named_with_what_to_do() {
        let none = File::of("no PEM at all");
        let encrypted = File::of(&format!(
            "{}-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
            authority().pem()
        ));
        let authorities = |path: PathBuf| TlsOptions::builder().ca_file_path(path).build();
        let identity = |path: PathBuf| TlsOptions::builder().cert_key_file_path(path).build();
        for (options, advice) in [
            (authorities("/no/such.pem".into()), "tlsCAFile /no/such.pem"),
            (authorities(none.path()), "no certificate"),
            (identity(encrypted.path()), "openssl pkey"),
            (
                identity(File::of(&authority().pem()).path()),
                "tlsCertificateKeyFile",
            ),
        ] {
            let error = Config::new(&options).unwrap_err();
            assert!(matches!(*error.kind, ErrorKind::InvalidTlsConfig { .. }));
            assert!(error.to_string().contains(advice), "{error}");
        }
    }
}
