//! Certificates and keys from PEM files.

use std::{fs, path::Path};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use super::{Identity, invalid};
use crate::error::{Error, Result};

/// The certificate authorities of `tlsCAFile`.
///
/// Bundles are collected by others, and one odd certificate says nothing about the rest: those that
/// cannot be used are left out with a warning.
pub(super) fn authorities(path: &Path) -> Result<RootCertStore> {
    let pem = read("tlsCAFile", path)?;
    let mut roots = RootCertStore::empty();
    let mut skipped = None;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let added = match certificate {
            Ok(certificate) => roots.add(certificate).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(reason) = added {
            tracing::warn!(
                "tlsCAFile {}: skipped a certificate that is not that of an authority: {reason}",
                path.display()
            );
            skipped = Some(reason);
        }
    }
    match skipped {
        _ if !roots.is_empty() => Ok(roots),
        None => Err(no_certificate("tlsCAFile", path)),
        Some(reason) => Err(invalid(format!(
            "tlsCAFile {}: there is no usable certificate in it, the last one because of: {reason}",
            path.display()
        ))),
    }
}

/// The client's certificates and key of `tlsCertificateKeyFile`, in any order.
pub(super) fn identity(path: &Path) -> Result<Identity> {
    let pem = read("tlsCertificateKeyFile", path)?;
    let chain = certificates("tlsCertificateKeyFile", path, &pem)?;
    if is_encrypted(&pem) {
        return Err(invalid(format!(
            "tlsCertificateKeyFile {}: the private key is encrypted, and this driver reads only \
             keys that are not: decrypt it with `openssl pkey`",
            path.display()
        )));
    }
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
        invalid(format!(
            "tlsCertificateKeyFile {}: there is no private key in it: append the key to the \
             certificate, as PEM",
            path.display()
        ))
    })?;
    Ok((chain, key))
}

fn certificates(option: &str, path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| invalid(format!("{option} {}: {error}", path.display())))?;
    if certificates.is_empty() {
        return Err(no_certificate(option, path));
    }
    Ok(certificates)
}

fn no_certificate(option: &str, path: &Path) -> Error {
    invalid(format!(
        "{option} {}: there is no certificate in it: it must be PEM, with a line BEGIN CERTIFICATE",
        path.display()
    ))
}

/// Whether the key is encrypted, as PKCS #8 or in the older way that has a header for it.
fn is_encrypted(pem: &[u8]) -> bool {
    pem.split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii_end)
        .any(|line| {
            line.starts_with(b"-----BEGIN ENCRYPTED PRIVATE KEY")
                || line.starts_with(b"Proc-Type:") && line.ends_with(b"ENCRYPTED")
        })
}

fn read(option: &str, path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| invalid(format!("{option} {}: {error}", path.display())))
}
