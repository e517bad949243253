//! The conversations that prove who the client is.

mod keys;
mod sasl;
mod scram;
mod x509;

pub use keys::{KeyDerivation, ScramKeys, ScramMechanism};
pub use sasl::{SaslReply, plain_payload, sasl_continue, sasl_start, scram_start};
pub use scram::{ScramFirst, ScramStart};
pub use x509::x509_authenticate;
