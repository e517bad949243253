//! A private certificate authority with a server and a client certificate, made afresh each time.

use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::error::{Error, Result};

/// Which connections a server with TLS accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsMode {
    /// With TLS and without.
    Preferred,
    /// With TLS only; clients need no certificate.
    Required,
    /// With TLS only, and only from clients that show a certificate.
    ClientCertificateRequired,
}

/// The files a client needs to reach a server with TLS.
#[derive(Debug)]
pub struct TlsFiles {
    authority: PathBuf,
    server: PathBuf,
    client: PathBuf,
    config: Arc<ClientConfig>,
}

impl TlsFiles {
    /// The certificate of the authority that signed the others, in PEM (`tlsCAFile`).
    pub fn ca_file(&self) -> &Path {
        &self.authority
    }

    /// The client's key and certificate, in PEM (`tlsCertificateKeyFile`).
    pub fn client_certificate_key_file(&self) -> &Path {
        &self.client
    }

    /// The subject of the client's certificate, which is a user's name under MONGODB-X509.
    pub fn client_subject(&self) -> &'static str {
        "CN=client,OU=clients,O=Motorcade"
    }

    pub(crate) fn server_certificate_key_file(&self) -> &Path {
        &self.server
    }

    pub(crate) fn client_config(&self) -> &Arc<ClientConfig> {
        &self.config
    }

    /// Writes `ca.pem`, `server.pem` and `client.pem` into a folder.
    pub(crate) fn create(folder: &Path) -> Result<Self> {
        let failed = |error| Error::caused("cannot make certificates", error);
        let (issuer, authority_pem) = authority().map_err(failed)?;
        let server = signed(&issuer, "server").map_err(failed)?;
        let client = signed(&issuer, "client").map_err(failed)?;
        let config = client_config(&authority_pem, &client)?;
        let store = |name: &str, text: &str| {
            let path = folder.join(name);
            write_private(&path, text.as_bytes())?;
            Ok::<_, Error>(path)
        };
        Ok(Self {
            authority: store("ca.pem", &authority_pem)?,
            server: store("server.pem", &server)?,
            client: store("client.pem", &client)?,
            config,
        })
    }
}

/// Writes a file that only its owner may read; `mongod` refuses others as a key file.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut options = fs::OpenOptions::new();
    let written = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| std::io::Write::write_all(&mut file, bytes));
    written.map_err(|error| Error::file("cannot write", path, error))
}

type Issued<T> = std::result::Result<T, rcgen::Error>;

fn authority() -> Issued<(Issuer<'static, KeyPair>, String)> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
        .distinguished_name
        .push(DnType::OrganizationName, "Motorcade");
    params
        .distinguished_name
        .push(DnType::CommonName, "motorcade-testserver authority");
    let pem = params.self_signed(&key)?.pem();
    Ok((Issuer::new(params, key), pem))
}

/// The key and certificate of `who`.
///
/// The units of server and client differ, because `mongod` takes a client whose organization and
/// unit equal its own for a member of the cluster.
fn signed(issuer: &Issuer<'_, KeyPair>, who: &str) -> Issued<String> {
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(names)?;
    // The default has a common name already, which would keep its place before all others.
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, "Motorcade");
    params
        .distinguished_name
        .push(DnType::OrganizationalUnitName, format!("{who}s"));
    params.distinguished_name.push(DnType::CommonName, who);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    // Members of a replica set are each other's clients.
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let certificate = params.signed_by(&key, issuer)?;
    Ok(key.serialize_pem() + &certificate.pem())
}

fn client_config(authority: &str, client: &str) -> Result<Arc<ClientConfig>> {
    let unreadable = |error| Error::caused("cannot read the certificates just made", error);
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.as_bytes()).map_err(unreadable)?;
    let failed = |error| Error::caused("cannot configure TLS", error);
    roots.add(root).map_err(failed)?;
    let chain = CertificateDer::from_pem_slice(client.as_bytes()).map_err(unreadable)?;
    let key = PrivateKeyDer::from_pem_slice(client.as_bytes()).map_err(unreadable)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(failed)?
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![chain], key)
        .map_err(failed)?;
    Ok(Arc::new(config))
}
