//! Proves to a server who the client is.

use base64::{Engine, prelude::BASE64_STANDARD};
use bson::{RawDocument, RawDocumentBuf};
use rand::{TryRngCore, rngs::OsRng};

use crate::{
    conn::{Connection, key_cache::KeyCache},
    error::{CommandError, Error, Result},
    options::{AuthMechanism, Credential},
    proto::{
        auth::{
            SaslReply, ScramFirst, ScramMechanism, ScramStart, plain_payload, sasl_continue,
            sasl_start, scram_start, x509_authenticate,
        },
        hello::HelloReply,
        topology::error_rules,
        wire::{DocumentWriter, Reply},
    },
};

/// Proves to servers who the client is; one for each client.
#[derive(Debug)]
pub(crate) struct Authenticator {
    credential: Credential,
    method: Method,
    keys: KeyCache,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    /// SCRAM with the hash that the server names.
    Negotiated,
    Scram(ScramMechanism),
    Plain,
    X509,
}

/// The first authentication command, sent along with hello to save a round trip.
#[derive(Debug)]
pub(crate) struct Speculation {
    document: RawDocumentBuf,
    /// The conversation that the command began; X.509 has none.
    scram: Option<ScramFirst>,
}

impl Speculation {
    /// The command, as hello carries it.
    pub(crate) fn document(&self) -> &RawDocument {
        &self.document
    }
}

impl Authenticator {
    /// An authenticator for a credential.
    ///
    /// # Errors
    /// An invalid-argument error when the credential lacks what its mechanism needs, or an
    /// authentication error when this driver does not speak the mechanism.
    pub(crate) fn new(credential: Credential) -> Result<Self> {
        credential.validate()?;
        let method = match &credential.mechanism {
            None => Method::Negotiated,
            Some(AuthMechanism::ScramSha1) => Method::Scram(ScramMechanism::Sha1),
            Some(AuthMechanism::ScramSha256) => Method::Scram(ScramMechanism::Sha256),
            Some(AuthMechanism::Plain) => Method::Plain,
            Some(AuthMechanism::MongoDbX509) => Method::X509,
            Some(other) => {
                return Err(Error::authentication(format!(
                    "this release does not support the mechanism {}; use SCRAM-SHA-256, \
                     SCRAM-SHA-1, MONGODB-X509 or PLAIN",
                    other.as_str()
                )));
            }
        };
        Ok(Self {
            credential,
            method,
            keys: KeyCache::default(),
        })
    }

    /// The database and the user whose mechanisms hello asks for, unless the mechanism is given.
    pub(crate) fn user_to_negotiate(&self) -> Option<(&str, &str)> {
        (self.method == Method::Negotiated).then(|| (self.source(), self.username()))
    }

    /// The command to send along with hello, when the mechanism has one.
    ///
    /// # Errors
    /// An invalid-argument error when the user name is longer than BSON can express.
    pub(crate) fn speculate(&self) -> Result<Option<Speculation>> {
        let mechanism = match self.method {
            Method::Negotiated => ScramMechanism::Sha256,
            Method::Scram(mechanism) => mechanism,
            Method::Plain => return Ok(None),
            Method::X509 => {
                let username = self.credential.username.as_deref();
                let document = self.embedded(|command| x509_authenticate(command, username))?;
                return Ok(Some(Speculation {
                    document,
                    scram: None,
                }));
            }
        };
        // A password that one mechanism prohibits may be right for the negotiated one.
        let Ok(start) = self.scram(mechanism) else {
            return Ok(None);
        };
        let (first, payload) = start.first(nonce()?);
        let document = self.embedded(|command| scram_start(command, mechanism, &payload))?;
        Ok(Some(Speculation {
            document,
            scram: Some(first),
        }))
    }

    /// Goes through with the authentication after hello.
    ///
    /// # Errors
    /// An authentication error when the server refuses the credential or does not prove that it
    /// knows the password; the errors of [`Connection::round_trip`].
    pub(crate) async fn authenticate(
        &self,
        connection: &mut Connection,
        hello: &HelloReply,
        speculation: Option<Speculation>,
    ) -> Result<()> {
        let outcome = match (speculation, &hello.speculative_authenticate) {
            (
                Some(Speculation {
                    scram: Some(first), ..
                }),
                Some(reply),
            ) => self.finish_scram(connection, first, reply).await,
            (Some(Speculation { scram: None, .. }), Some(_)) => Ok(()),
            _ => self.start(connection, hello).await,
        };
        outcome.map_err(|error| error.with_address(connection.address()))
    }

    async fn start(&self, connection: &mut Connection, hello: &HelloReply) -> Result<()> {
        match self.method {
            Method::Negotiated => {
                let supported = hello.sasl_supported_mechs.as_deref();
                self.start_scram(connection, ScramMechanism::negotiated(supported))
                    .await
            }
            Method::Scram(mechanism) => self.start_scram(connection, mechanism).await,
            Method::Plain => self.plain(connection).await,
            Method::X509 => {
                let username = self.credential.username.as_deref();
                let command = |it: &mut DocumentWriter<'_>| x509_authenticate(it, username);
                self.round_trip(connection, "MONGODB-X509", command)
                    .await
                    .map(drop)
            }
        }
    }

    async fn start_scram(
        &self,
        connection: &mut Connection,
        mechanism: ScramMechanism,
    ) -> Result<()> {
        let (first, payload) = self.scram(mechanism)?.first(nonce()?);
        let command = |it: &mut DocumentWriter<'_>| scram_start(it, mechanism, &payload);
        let reply = self
            .round_trip(connection, mechanism.as_str(), command)
            .await?;
        self.finish_scram(connection, first, reply.document()).await
    }

    async fn finish_scram(
        &self,
        connection: &mut Connection,
        first: ScramFirst,
        server_first: &RawDocument,
    ) -> Result<()> {
        let mechanism = first.mechanism().as_str();
        let reply = SaslReply::parse(server_first)?;
        let id = reply.conversation_id;
        if reply.done {
            return Err(Error::authentication(
                "the server ended the conversation before either side proved anything",
            ));
        }
        let challenge = first.reply(reply.payload)?;
        let keys = self.keys.keys(challenge.derivation()).await?;
        let (last, payload) = challenge.prove(&keys);
        let command = |it: &mut DocumentWriter<'_>| sasl_continue(it, id, &payload);
        let reply = self.round_trip(connection, mechanism, command).await?;
        let reply = SaslReply::parse(reply.document())?;
        last.verify(reply.payload)?;
        if reply.done {
            return Ok(());
        }
        // Servers before 4.4 do not know the option that leaves out this exchange.
        let command = |it: &mut DocumentWriter<'_>| sasl_continue(it, id, &[]);
        let reply = self.round_trip(connection, mechanism, command).await?;
        require_done(&reply)
    }

    async fn plain(&self, connection: &mut Connection) -> Result<()> {
        let payload = plain_payload(self.username(), self.password())?;
        let command = |it: &mut DocumentWriter<'_>| sasl_start(it, "PLAIN", &payload);
        let reply = self.round_trip(connection, "PLAIN", command).await?;
        require_done(&reply)
    }

    async fn round_trip(
        &self,
        connection: &mut Connection,
        mechanism: &str,
        write: impl FnOnce(&mut DocumentWriter<'_>) -> Result<()>,
    ) -> Result<Reply> {
        let source = self.source();
        let write = |command: &mut DocumentWriter<'_>| {
            write(command)?;
            command.append_str("$db", source)
        };
        let reply = connection.round_trip(write).await?;
        match error_rules::command_error(reply.document()) {
            None => Ok(reply),
            Some(error) => Err(refused(mechanism, reply.document(), error)),
        }
    }

    /// A command as hello carries it, with its database.
    fn embedded(
        &self,
        write: impl FnOnce(&mut DocumentWriter<'_>) -> Result<()>,
    ) -> Result<RawDocumentBuf> {
        let mut bytes = Vec::with_capacity(256);
        let mut command = DocumentWriter::begin(&mut bytes);
        write(&mut command)?;
        command.append_str("db", self.source())?;
        command.end()?;
        Ok(RawDocumentBuf::from_bytes(bytes)?)
    }

    fn scram(&self, mechanism: ScramMechanism) -> Result<ScramStart> {
        ScramStart::new(mechanism, self.username(), self.password())
    }

    fn source(&self) -> &str {
        self.credential.resolved_source()
    }

    fn username(&self) -> &str {
        self.credential.username.as_deref().unwrap_or_default()
    }

    fn password(&self) -> &str {
        self.credential.password.as_deref().unwrap_or_default()
    }
}

/// The server's refusal as an authentication error; the server's own error is its source.
fn refused(mechanism: &str, reply: &RawDocument, error: Error) -> Error {
    let CommandError {
        code,
        code_name,
        message,
        ..
    } = CommandError::from_reply(reply);
    let text = format!("the server refused {mechanism}: {message} (code {code}, {code_name})");
    let mut refusal = Error::authentication(text).with_server_response(reply);
    for label in error.labels() {
        refusal.add_label(label);
    }
    refusal.with_source(error)
}

fn require_done(reply: &Reply) -> Result<()> {
    if SaslReply::parse(reply.document())?.done {
        return Ok(());
    }
    Err(Error::authentication(
        "the server does not end the conversation where it must",
    ))
}

/// Text that nobody can guess, so that no earlier conversation can be played back. The operating
/// system's, because a forked child has a copy of its parent's generators.
fn nonce() -> Result<String> {
    let mut random = [0; 24];
    OsRng.try_fill_bytes(&mut random).map_err(|error| {
        Error::authentication(format!(
            "the system gives no randomness for a nonce: {error}"
        ))
    })?;
    Ok(BASE64_STANDARD.encode(random))
}
