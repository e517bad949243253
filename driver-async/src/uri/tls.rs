//! The options of TLS that a connection string has.

use super::{ConnectionString, invalid};
use crate::{
    error::Result,
    options::{Tls, TlsOptions},
};

/// The parts of [`Tls`].
#[derive(Default)]
pub(super) struct TlsDraft {
    pub(super) enabled: Option<bool>,
    pub(super) options: TlsOptions,
    pub(super) ca_file: Option<String>,
    pub(super) certificate_key_file: Option<String>,
    pub(super) certificate_key_file_password: Option<String>,
}

impl TlsDraft {
    pub(super) fn finish(self, is_srv: bool, uri: &ConnectionString) -> Option<Tls> {
        let mut options = self.options;
        options.ca_file_path = self.ca_file.map(Into::into);
        options.cert_key_file_path = self.certificate_key_file.map(Into::into);
        options.tls_certificate_key_file_password =
            self.certificate_key_file_password.map(String::into_bytes);
        if uri.tls_insecure.is_some() {
            options.allow_invalid_certificates = uri.tls_insecure;
            options.allow_invalid_hostnames = uri.tls_insecure;
        }
        let is_implied = is_srv
            || uri.tls_disable_ocsp_endpoint_check.is_some()
            || uri.tls_disable_certificate_revocation_check.is_some()
            || options != TlsOptions::default();
        match self.enabled {
            Some(false) => Some(Tls::Disabled),
            Some(true) => Some(Tls::Enabled(options)),
            None if is_implied => Some(Tls::Enabled(options)),
            None => None,
        }
    }
}

/// Pairs that must not appear together whatever their values; see "Conflicting TLS options" in
/// the URI options specification.
const CONFLICTS: [(&str, &str); 7] = [
    ("tlsInsecure", "tlsAllowInvalidCertificates"),
    ("tlsInsecure", "tlsAllowInvalidHostnames"),
    ("tlsInsecure", "tlsDisableOCSPEndpointCheck"),
    ("tlsInsecure", "tlsDisableCertificateRevocationCheck"),
    ("tlsAllowInvalidCertificates", "tlsDisableOCSPEndpointCheck"),
    (
        "tlsAllowInvalidCertificates",
        "tlsDisableCertificateRevocationCheck",
    ),
    (
        "tlsDisableOCSPEndpointCheck",
        "tlsDisableCertificateRevocationCheck",
    ),
];

/// Refuses options that contradict each other by being there.
pub(super) fn refuse_contradictions(seen: &[&str]) -> Result<()> {
    for (one, other) in CONFLICTS {
        if seen.contains(&one) && seen.contains(&other) {
            return Err(invalid(format_args!(
                "{one} and {other} cannot be combined; leave one of them out"
            )));
        }
    }
    Ok(())
}
