//! The SCRAM conversation of RFC 5802 and RFC 7677, as the authentication specification uses it.
//!
//! Each step consumes the one before, so a wrong order does not compile:
//! [`ScramStart::first`], [`ScramFirst::reply`], [`ScramChallenge::prove`], [`ScramFinal::verify`].

use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};
use subtle::ConstantTimeEq;

use crate::{
    error::{Error, Result},
    proto::auth::{KeyDerivation, ScramKeys, ScramMechanism},
};

/// Fewer iterations would let one who poses as the server guess the password cheaply.
const MIN_ITERATIONS: u32 = 4096;
/// More iterations would let one who poses as the server keep a thread busy for minutes.
const MAX_ITERATIONS: u32 = 10_000_000;
/// The client supports no channel binding.
const GS2_HEADER: &str = "n,,";

/// A conversation that has not begun.
pub(crate) struct ScramStart {
    mechanism: ScramMechanism,
    username: String,
    prepared_password: String,
}

/// A conversation that awaits the server's salt.
pub(crate) struct ScramFirst {
    mechanism: ScramMechanism,
    prepared_password: String,
    nonce: String,
    client_first_bare: String,
}

/// A conversation that has the server's salt and needs keys.
pub(crate) struct ScramChallenge {
    derivation: KeyDerivation,
    nonce: String,
    auth_message_start: String,
}

/// A conversation that awaits the server's signature.
pub(crate) struct ScramFinal {
    server_signature: Vec<u8>,
}

impl ScramStart {
    /// Prepares a conversation for one user.
    ///
    /// # Errors
    /// An authentication error when the password contains what its preparation prohibits.
    pub(crate) fn new(mechanism: ScramMechanism, username: &str, password: &str) -> Result<Self> {
        Ok(Self {
            mechanism,
            username: username.to_owned(),
            prepared_password: mechanism.prepare(username, password)?,
        })
    }

    /// The first message. `nonce` is random printable text without commas.
    pub(crate) fn first(self, nonce: String) -> (ScramFirst, Vec<u8>) {
        let username = self.username.replace('=', "=3D").replace(',', "=2C");
        let client_first_bare = format!("n={username},r={nonce}");
        let payload = format!("{GS2_HEADER}{client_first_bare}").into_bytes();
        let first = ScramFirst {
            mechanism: self.mechanism,
            prepared_password: self.prepared_password,
            nonce,
            client_first_bare,
        };
        (first, payload)
    }
}

impl ScramFirst {
    /// The mechanism of the conversation.
    pub(crate) fn mechanism(&self) -> ScramMechanism {
        self.mechanism
    }

    /// Takes the server's first message: its nonce, the salt and the number of iterations.
    ///
    /// # Errors
    /// An authentication error when the message is malformed, does not continue the client's
    /// nonce, or asks for fewer than 4096 iterations.
    pub(crate) fn reply(self, server_first: &[u8]) -> Result<ScramChallenge> {
        let server_first = text(server_first)?;
        let mut attributes = server_first.split(',');
        let nonce = attribute(attributes.next(), "r=")?;
        if nonce.len() <= self.nonce.len() || !nonce.starts_with(&self.nonce) {
            return Err(Error::authentication(
                "the server's nonce does not continue the client's; another party may have \
                 tampered with the conversation",
            ));
        }
        let salt = decoded(attribute(attributes.next(), "s=")?)?;
        let iterations = iterations(attribute(attributes.next(), "i=")?)?;
        let auth_message_start = format!("{},{server_first}", self.client_first_bare);
        Ok(ScramChallenge {
            derivation: KeyDerivation {
                mechanism: self.mechanism,
                prepared_password: self.prepared_password,
                salt,
                iterations,
            },
            nonce: nonce.to_owned(),
            auth_message_start,
        })
    }
}

impl ScramChallenge {
    /// What the keys are derived from; the derivation is left to the caller because it is slow.
    pub(crate) fn derivation(&self) -> &KeyDerivation {
        &self.derivation
    }

    /// The message that proves that the client knows the password.
    pub(crate) fn prove(self, keys: &ScramKeys) -> (ScramFinal, Vec<u8>) {
        let binding = BASE64_STANDARD.encode(GS2_HEADER);
        let without_proof = format!("c={binding},r={}", self.nonce);
        let auth_message = format!("{},{without_proof}", self.auth_message_start);
        let proof = BASE64_STANDARD.encode(keys.proof(auth_message.as_bytes()));
        let server_signature = keys.server_signature(auth_message.as_bytes());
        (
            ScramFinal { server_signature },
            format!("{without_proof},p={proof}").into_bytes(),
        )
    }
}

impl ScramFinal {
    /// Verifies that the server knows the password too.
    ///
    /// # Errors
    /// An authentication error when the server refuses the proof, or its signature is wrong.
    pub(crate) fn verify(self, server_final: &[u8]) -> Result<()> {
        let first = text(server_final)?.split(',').next();
        if let Some(reason) = first.and_then(|attribute| attribute.strip_prefix("e=")) {
            let message = format!("the server refused the proof: {reason:?}");
            return Err(Error::authentication(message));
        }
        let signature = decoded(attribute(first, "v=")?)?;
        if bool::from(signature.ct_eq(&self.server_signature)) {
            return Ok(());
        }
        Err(Error::authentication(
            "the server's signature is wrong, so it does not know the password; another party may \
             pose as the server",
        ))
    }
}

/// The value of the attribute that must stand here. A mandatory extension (`m=`), of which this
/// driver knows none, is refused by that too.
fn attribute<'a>(attribute: Option<&'a str>, prefix: &str) -> Result<&'a str> {
    attribute
        .and_then(|attribute| attribute.strip_prefix(prefix))
        .ok_or_else(|| {
            let message =
                format!("the server's SCRAM message lacks {prefix:?} where it must stand");
            Error::authentication(message)
        })
}

fn iterations(value: &str) -> Result<u32> {
    let iterations = value
        .parse::<u32>()
        .map_err(|_| Error::authentication("the server's iteration count is no number"))?;
    if (MIN_ITERATIONS..=MAX_ITERATIONS).contains(&iterations) {
        return Ok(iterations);
    }
    Err(Error::authentication(format!(
        "the server asks for {iterations} iterations where {MIN_ITERATIONS} is the minimum and \
         {MAX_ITERATIONS} the maximum"
    )))
}

fn text(payload: &[u8]) -> Result<&str> {
    str::from_utf8(payload)
        .map_err(|_| Error::authentication("the server's SCRAM message is not UTF-8"))
}

fn decoded(value: &str) -> Result<Vec<u8>> {
    let bytes = BASE64_STANDARD
        .decode(value)
        .ok()
        .filter(|bytes| !bytes.is_empty());
    bytes.ok_or_else(|| {
        Error::authentication("the server's SCRAM message holds no valid base64 where it must")
    })
}

macro_rules! opaque_debug {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )*};
}

opaque_debug!(ScramStart, ScramFirst, ScramChallenge, ScramFinal);

#[cfg(test)]
mod tests {
    use super::*;

    struct Script {
        mechanism: ScramMechanism,
        nonce: &'static str,
        client_first: &'static str,
        server_first: &'static str,
        client_final: &'static str,
        server_final: &'static str,
    }

    /// The examples of the authentication specification.
    const SCRIPTS: [Script; 2] = [
        Script {
            mechanism: ScramMechanism::Sha1,
            nonce: "fyko+d2lbbFgONRv9qkxdawL",
            client_first: "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
            server_first: "r=fyko+d2lbbFgONRv9qkxdawLHo+Vgk7qvUOKUwuWLIWg4l/9SraGMHEE,\
                s=rQ9ZY3MntBeuP3E1TDVC4w==,i=10000",
            client_final: "c=biws,r=fyko+d2lbbFgONRv9qkxdawLHo+Vgk7qvUOKUwuWLIWg4l/9SraGMHEE,\
                p=MC2T8BvbmWRckDw8oWl5IVghwCY=",
            server_final: "v=UMWeI25JD1yNYZRMpZ4VHvhZ9e0=",
        },
        Script {
            mechanism: ScramMechanism::Sha256,
            nonce: "rOprNGfwEbeRWgbNEkqO",
            client_first: "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            server_first: "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            client_final: "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            server_final: "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        },
    ];

    fn first(script: &Script) -> (ScramFirst, Vec<u8>) {
        let start = ScramStart::new(script.mechanism, "user", "pencil").unwrap();
        start.first(script.nonce.to_owned())
    }

    fn proven(script: &Script) -> (ScramFinal, Vec<u8>) {
        let challenge = first(script)
            .0
            .reply(script.server_first.as_bytes())
            .unwrap();
        let keys = challenge.derivation().derive();
        challenge.prove(&keys)
    }

    fn refused_first(server_first: &str) -> String {
        let (first, _) = first(&SCRIPTS[1]);
        let error = first
            .reply(server_first.as_bytes())
            .expect_err(server_first);
        assert!(
            matches!(*error.kind, crate::error::ErrorKind::Authentication { .. }),
            "{error}"
        );
        error.to_string()
    }

    #[test]
    fn both_mechanisms_follow_their_published_conversations() {
        for script in &SCRIPTS {
            assert_eq!(first(script).1, script.client_first.as_bytes());
            let (last, payload) = proven(script);
            assert_eq!(payload, script.client_final.as_bytes());
            last.verify(script.server_final.as_bytes()).unwrap();
        }
    }

    #[test]
    fn a_wrong_server_signature_is_refused() {
        let other = SCRIPTS[0].server_final;
        for wrong in [
            other,
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=",
            "v=6rri",
        ] {
            assert!(
                proven(&SCRIPTS[1]).0.verify(wrong.as_bytes()).is_err(),
                "{wrong}"
            );
        }
    }

    #[test]
    fn malformed_final_messages_are_refused() {
        for wrong in ["", "v", "v=", "v=!!!!", "x=AAAA", "e=invalid-proof"] {
            assert!(
                proven(&SCRIPTS[1]).0.verify(wrong.as_bytes()).is_err(),
                "{wrong}"
            );
        }
        assert!(proven(&SCRIPTS[1]).0.verify(&[0xff, 0xfe]).is_err());
        let error = proven(&SCRIPTS[1])
            .0
            .verify(b"e=invalid-proof")
            .unwrap_err();
        assert!(error.to_string().contains("invalid-proof"), "{error}");
    }

    #[test]
    fn a_nonce_that_does_not_continue_the_clients_is_refused() {
        for nonce in [
            "",
            "x",
            "rOprNGfwEbeRWgbNEkq",
            "rOprNGfwEbeRWgbNEkqO",
            "ROprNGfwEbeRWgbNEkqOx",
        ] {
            let error = refused_first(&format!("r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"));
            assert!(error.contains("nonce"), "{error}");
        }
    }

    #[test]
    fn too_few_and_far_too_many_iterations_are_refused() {
        for iterations in ["0", "1", "4095", "10000001"] {
            let error = refused_first(&format!("r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i={iterations}"));
            assert!(
                error.contains(iterations) && error.contains("4096"),
                "{error}"
            );
        }
    }

    #[test]
    fn malformed_first_messages_are_refused() {
        for message in [
            "",
            "r=rOprNGfwEbeRWgbNEkqOx",
            "r=rOprNGfwEbeRWgbNEkqOx,s=W22Z",
            "r=rOprNGfwEbeRWgbNEkqOx,s=,i=4096",
            "r=rOprNGfwEbeRWgbNEkqOx,s=W2,i=4096",
            "r=rOprNGfwEbeRWgbNEkqOx,s=***,i=4096",
            "r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=many",
            "r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=-4096",
            "r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=99999999999",
            "s=W22Z,r=rOprNGfwEbeRWgbNEkqOx,i=4096",
            "m=unknown,r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=4096",
            "e=other-error",
        ] {
            refused_first(message);
        }
        assert!(first(&SCRIPTS[1]).0.reply(&[b'r', b'=', 0xff]).is_err());
    }

    #[test]
    fn a_user_name_is_escaped_and_not_otherwise_changed() {
        let start = ScramStart::new(ScramMechanism::Sha256, "a=b,\u{2168}", "x").unwrap();
        let (_, payload) = start.first("nonce".to_owned());
        assert_eq!(payload, "n,,n=a=3Db=2C\u{2168},r=nonce".as_bytes());
    }

    #[test]
    fn debug_output_shows_no_secret() {
        let start = ScramStart::new(ScramMechanism::Sha256, "user", "pencil").unwrap();
        let challenge = first(&SCRIPTS[1])
            .0
            .reply(SCRIPTS[1].server_first.as_bytes())
            .unwrap();
        assert!(!format!("{start:?} {challenge:?}").contains("pencil"));
    }
}
