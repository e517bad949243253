//! The keys of SCRAM, and their slow derivation from a password.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// A mechanism of the SCRAM family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScramMechanism {
    /// SCRAM-SHA-1, RFC 5802.
    Sha1,
    /// SCRAM-SHA-256, RFC 7677.
    Sha256,
}

impl ScramMechanism {
    /// The mechanism for a credential that names none, by what the server says of the user.
    pub(crate) fn negotiated(supported: Option<&[String]>) -> Self {
        match supported {
            Some(names) if names.iter().any(|name| name == Self::Sha256.as_str()) => Self::Sha256,
            _ => Self::Sha1,
        }
    }

    /// The mechanism's registered name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Sha1 => "SCRAM-SHA-1",
            Self::Sha256 => "SCRAM-SHA-256",
        }
    }

    /// The form of the password that keys are derived from.
    pub(super) fn prepare(self, username: &str, password: &str) -> Result<String> {
        match self {
            Self::Sha1 => {
                let digest = Md5::new()
                    .chain_update(username)
                    .chain_update(":mongo:")
                    .chain_update(password)
                    .finalize();
                Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
            }
            // The error of the preparation quotes characters of the password, so it is dropped.
            Self::Sha256 => stringprep::saslprep(password).map(Into::into).map_err(|_| {
                Error::authentication(
                    "the password contains characters that SASLprep (RFC 4013) prohibits",
                )
            }),
        }
    }

    fn hash(self, data: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => Sha1::digest(data).to_vec(),
            Self::Sha256 => Sha256::digest(data).to_vec(),
        }
    }

    fn hmac(self, key: &[u8], data: &[u8]) -> Vec<u8> {
        const ANY_LENGTH: &str = "HMAC takes a key of any length";
        match self {
            Self::Sha1 => {
                let mac = Hmac::<Sha1>::new_from_slice(key).expect(ANY_LENGTH);
                mac.chain_update(data).finalize().into_bytes().to_vec()
            }
            Self::Sha256 => {
                let mac = Hmac::<Sha256>::new_from_slice(key).expect(ANY_LENGTH);
                mac.chain_update(data).finalize().into_bytes().to_vec()
            }
        }
    }

    fn salted_password(self, password: &[u8], salt: &[u8], iterations: u32) -> Vec<u8> {
        match self {
            Self::Sha1 => {
                pbkdf2::pbkdf2_hmac_array::<Sha1, 20>(password, salt, iterations).to_vec()
            }
            Self::Sha256 => {
                pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password, salt, iterations).to_vec()
            }
        }
    }
}

/// All that SCRAM keys are derived from.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct KeyDerivation {
    pub(super) mechanism: ScramMechanism,
    pub(super) prepared_password: String,
    pub(super) salt: Vec<u8>,
    pub(super) iterations: u32,
}

impl KeyDerivation {
    /// Derives the keys. This takes milliseconds of computing and does not belong on a task.
    pub(crate) fn derive(&self) -> ScramKeys {
        let Self {
            mechanism,
            prepared_password,
            salt,
            iterations,
        } = self;
        let salted = mechanism.salted_password(prepared_password.as_bytes(), salt, *iterations);
        ScramKeys {
            mechanism: *mechanism,
            client_key: mechanism.hmac(&salted, b"Client Key"),
            server_key: mechanism.hmac(&salted, b"Server Key"),
        }
    }

    /// A name for these inputs under which their keys can be kept without keeping the password.
    pub(crate) fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for part in [
            self.mechanism.as_str().as_bytes(),
            &self.iterations.to_le_bytes(),
            &self.salt,
            self.prepared_password.as_bytes(),
        ] {
            // With its length before it, no part can pass for the end of the one before.
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }
}

impl fmt::Debug for KeyDerivation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyDerivation")
            .field("mechanism", &self.mechanism)
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}

/// The keys of both sides of a SCRAM conversation.
pub(crate) struct ScramKeys {
    mechanism: ScramMechanism,
    client_key: Vec<u8>,
    server_key: Vec<u8>,
}

impl ScramKeys {
    /// The client's proof that it knows the password.
    pub(super) fn proof(&self, auth_message: &[u8]) -> Vec<u8> {
        let stored_key = self.mechanism.hash(&self.client_key);
        let signature = self.mechanism.hmac(&stored_key, auth_message);
        self.client_key
            .iter()
            .zip(signature)
            .map(|(key, byte)| key ^ byte)
            .collect()
    }

    /// The signature by which the server proves that it knows the password too.
    pub(super) fn server_signature(&self, auth_message: &[u8]) -> Vec<u8> {
        self.mechanism.hmac(&self.server_key, auth_message)
    }
}

impl fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramKeys")
            .field("mechanism", &self.mechanism)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn derivation() -> KeyDerivation {
        KeyDerivation {
            mechanism: ScramMechanism::Sha256,
            prepared_password: "pencil".into(),
            salt: b"salt".to_vec(),
            iterations: 4096,
        }
    }

    #[test]
    fn the_negotiated_mechanism_is_the_strongest_listed_or_the_old_default() {
        let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        for (supported, wanted) in [
            (
                Some(names(&["SCRAM-SHA-1", "SCRAM-SHA-256"])),
                ScramMechanism::Sha256,
            ),
            (Some(names(&["SCRAM-SHA-1"])), ScramMechanism::Sha1),
            (Some(names(&["PLAIN", "of tomorrow"])), ScramMechanism::Sha1),
            (None, ScramMechanism::Sha1),
        ] {
            assert_eq!(
                ScramMechanism::negotiated(supported.as_deref()),
                wanted,
                "{supported:?}"
            );
        }
    }

    #[test]
    fn sasl_preparation_maps_compatible_passwords_to_one() {
        let prepared = |password| ScramMechanism::Sha256.prepare("user", password);
        assert_eq!(prepared("\u{2168}").unwrap(), "IX");
        assert_eq!(prepared("I\u{AD}X").unwrap(), "IX");
        let error = prepared("a\u{7}secret").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
    }

    #[test]
    fn the_old_mechanism_digests_the_password_unprepared() {
        let digest = ScramMechanism::Sha1.prepare("user", "pencil").unwrap();
        assert_eq!(digest, "1c33006ec1ffd90f9cadcbcc0e118200");
    }

    #[test]
    fn each_input_changes_the_fingerprint() {
        let own = derivation().fingerprint();
        for other in [
            KeyDerivation {
                mechanism: ScramMechanism::Sha1,
                ..derivation()
            },
            KeyDerivation {
                prepared_password: "pencils".into(),
                ..derivation()
            },
            KeyDerivation {
                salt: b"saltp".to_vec(),
                ..derivation()
            },
            KeyDerivation {
                iterations: 4097,
                ..derivation()
            },
        ] {
            assert_ne!(other.fingerprint(), own, "{other:?}");
        }
        assert_eq!(derivation().fingerprint(), own);
    }

    #[test]
    fn debug_output_shows_no_secret() {
        let shown = format!("{:?} {:?}", derivation(), derivation().derive());
        assert!(!shown.contains("pencil") && !shown.contains('['), "{shown}");
    }
}
