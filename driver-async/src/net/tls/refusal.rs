//! Why a TLS handshake failed, and what to do about it.

use std::{fmt, io};

use rustls::{AlertDescription, CertificateError, Error as TlsError};

use crate::error::{Error, ErrorKind};

/// One side refused what the other showed it: no matter of the network, or of load.
#[derive(Debug)]
struct Refusal {
    advice: String,
    source: TlsError,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the TLS handshake failed: {}: {}",
            self.source, self.advice
        )
    }
}

impl std::error::Error for Refusal {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Whether a handshake failed because a certificate, a name or a message was refused.
pub(in crate::net) fn is_refusal(error: &Error) -> bool {
    let ErrorKind::Io(io) = &*error.kind else {
        return false;
    };
    io.get_ref().is_some_and(|inner| inner.is::<Refusal>())
}

/// The error for a handshake that failed, with what to do about it.
pub(super) fn explain(host: &str, error: io::Error) -> Error {
    let kind = error.kind();
    match error.downcast::<TlsError>() {
        Ok(source) => {
            let advice = advice(host, &source);
            io::Error::new(kind, Refusal { advice, source }).into()
        }
        Err(error) => {
            let text = format!(
                "the connection ended during the TLS handshake (does the server use TLS?): {error}"
            );
            io::Error::new(kind, text).into()
        }
    }
}

/// What a failed read from an encrypted stream means; `None` when it means the stream's end.
///
/// An end that TLS did not announce is an end like any other, since messages carry their length.
/// Under TLS 1.3 the server's refusal of a certificate arrives only after the handshake.
pub(in crate::net) fn read_failure(error: io::Error) -> Option<io::Error> {
    let kind = error.kind();
    if kind == io::ErrorKind::UnexpectedEof {
        return None;
    }
    match error.downcast::<TlsError>() {
        Ok(source @ TlsError::AlertReceived(_)) => {
            let advice = advice("", &source);
            Some(io::Error::new(kind, Refusal { advice, source }))
        }
        Ok(source) => Some(io::Error::new(kind, source)),
        Err(error) => Some(error),
    }
}

fn advice(host: &str, error: &TlsError) -> String {
    match error {
        TlsError::InvalidCertificate(error) => certificate_advice(host, error),
        TlsError::InvalidMessage(_) => {
            "the server does not seem to use TLS: leave tls=true out, or enable it there".to_owned()
        }
        TlsError::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::HandshakeFailure,
        ) => "set tlsCertificateKeyFile to a client certificate that the server accepts".to_owned(),
        _ => "the server's log may tell more".to_owned(),
    }
}

fn certificate_advice(host: &str, error: &CertificateError) -> String {
    match error {
        // A signature is bad when the authority was made anew under its old name.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "set tlsCAFile to the certificate of the authority that issued the server's".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!(
                "the server's certificate is not for {host}: connect by a name that it holds, or \
                 issue one for this name"
            )
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "renew the server's certificate, or set this machine's clock".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "set this machine's clock, or wait until the certificate is valid".to_owned()
        }
        _ => "replace the server's certificate".to_owned(),
    }
}
