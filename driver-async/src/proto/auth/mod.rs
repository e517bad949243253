//! The conversations that prove who the client is.

mod keys;
mod sasl;
mod scram;
mod x509;

pub(crate) use keys::{KeyDerivation, ScramKeys, ScramMechanism};
pub(crate) use sasl::{SaslReply, plain_payload, sasl_continue, sasl_start, scram_start};
pub(crate) use scram::{ScramFirst, ScramStart};
pub(crate) use x509::x509_authenticate;
