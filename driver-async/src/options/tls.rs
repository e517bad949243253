//! TLS: whether connections are encrypted, and whom they trust.

use std::{fmt, path::PathBuf};

use serde::{Deserialize, Deserializer, de::Error as _};
use typed_builder::TypedBuilder;

/// Whether connections are encrypted.
///
/// Without a value, connections are not encrypted, except that a connection string turns TLS on
/// when it begins with `mongodb+srv://` or has any option that begins with `tls`, unless it says
/// `tls=false`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub enum Tls {
    /// Connections are encrypted, as these options say.
    Enabled(TlsOptions),
    /// Connections are not encrypted.
    Disabled,
}

impl From<TlsOptions> for Tls {
    fn from(options: TlsOptions) -> Self {
        Self::Enabled(options)
    }
}

impl From<TlsOptions> for Option<Tls> {
    fn from(options: TlsOptions) -> Self {
        Some(Tls::Enabled(options))
    }
}

/// How connections are encrypted, and whom they trust.
///
/// The defaults check the server's certificate against well-known authorities, and its host name.
///
/// ```
/// use motorcade::options::{ClientOptions, TlsOptions};
///
/// let tls = TlsOptions::builder()
///     .ca_file_path(std::path::PathBuf::from("ca.pem"))
///     .build();
/// let options = ClientOptions::builder().tls(tls).build();
/// assert!(options.tls.is_some());
/// ```
#[derive(Clone, Default, Deserialize, PartialEq, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TlsOptions {
    /// Whether a certificate that does not pass is accepted: one that has expired, comes from an
    /// unknown authority or names another host. Anyone on the way can then read and change
    /// everything, so this is for tests only. The default is false.
    pub allow_invalid_certificates: Option<bool>,
    /// Whether a certificate that names another host is accepted. Whoever owns any certificate of
    /// a trusted authority can then read and change everything. The default is false.
    pub allow_invalid_hostnames: Option<bool>,
    /// A PEM file with the certificates of the authorities to trust, in place of the well-known
    /// ones. Certificates in it that cannot be used are skipped with a warning in the log; if none
    /// is left, building the client fails.
    pub ca_file_path: Option<PathBuf>,
    /// A PEM file with the client's certificate and its private key, which must not be encrypted.
    pub cert_key_file_path: Option<PathBuf>,
    /// The password of the private key in `cert_key_file_path`. It is not used yet: an encrypted
    /// key is an error when the client is built.
    #[serde(default, deserialize_with = "read_password")]
    pub tls_certificate_key_file_password: Option<Vec<u8>>,
}

/// The deserializer's own error is dropped, because it may quote the password.
fn read_password<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
    Option::deserialize(deserializer).map_err(|_| {
        D::Error::custom("the password of the private key is not a list of bytes; write one")
    })
}

impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let password = &self.tls_certificate_key_file_password;
        f.debug_struct("TlsOptions")
            .field(
                "allow_invalid_certificates",
                &self.allow_invalid_certificates,
            )
            .field("allow_invalid_hostnames", &self.allow_invalid_hostnames)
            .field("ca_file_path", &self.ca_file_path)
            .field("cert_key_file_path", &self.cert_key_file_path)
            .field(
                "tls_certificate_key_file_password",
                &password.as_ref().map(|_| "REDACTED"),
            )
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_hides_the_password_of_the_key() {
        let options = TlsOptions::builder()
            .tls_certificate_key_file_password(b"hunter2".to_vec())
            .build();
        let text = format!("{options:?}");
        assert!(!text.contains("hunter2") && !text.contains("104"), "{text}");
        assert!(text.contains("REDACTED"), "{text}");
    }

    #[test]
    fn errors_of_reading_the_password_keep_it() {
        let text = r#"{ "tlsCertificateKeyFilePassword": "hunter2" }"#;
        let error = serde_json::from_str::<TlsOptions>(text).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
        let text = r#"{ "tlsCertificateKeyFilePassword": [104] }"#;
        let read: TlsOptions = serde_json::from_str(text).unwrap();
        assert_eq!(read.tls_certificate_key_file_password.unwrap(), b"h");
        assert_eq!(
            serde_json::from_str::<TlsOptions>("{}").unwrap(),
            TlsOptions::default()
        );
    }
}
