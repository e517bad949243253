//! The credential of a connection string.

use bson::Document;

use super::{
    grammar::{Parts, decode},
    invalid,
    values::{Rejection, ignored},
};
use crate::{
    error::{Error, Result},
    options::{AuthMechanism, Credential},
};

/// The parts of a [`Credential`] that options decide.
#[derive(Default)]
pub(super) struct AuthDraft {
    pub(super) mechanism: Option<AuthMechanism>,
    pub(super) service_name: Option<String>,
    source: Option<String>,
    properties: Document,
    has_comma_in_value: bool,
}

impl AuthDraft {
    pub(super) fn read_source(&mut self, value: &str) -> std::result::Result<(), Rejection> {
        if value.is_empty() {
            return Err(Rejection::Fatal(Error::invalid_argument(
                "authSource is empty; write the name of a database, or leave authSource out",
            )));
        }
        self.source = Some(value.to_owned());
        Ok(())
    }

    /// Reads `name:value` pairs with commas between. Only a token resource is known to contain
    /// commas itself, so what has no colon there belongs to it.
    pub(super) fn read_properties(&mut self, value: &str) -> std::result::Result<(), Rejection> {
        let mut properties: Vec<(&str, String)> = Vec::new();
        for pair in value.split(',') {
            match (pair.split_once(':'), properties.last_mut()) {
                (Some((name, value)), _) if !name.is_empty() => {
                    properties.push((name, value.to_owned()));
                }
                (None, Some(("TOKEN_RESOURCE", resource))) => {
                    resource.push(',');
                    resource.push_str(pair);
                    self.has_comma_in_value = true;
                }
                _ => return ignored("write NAME:value pairs with commas between"),
            }
        }
        self.properties = properties
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        Ok(())
    }

    /// What to warn of although the value is taken.
    pub(super) fn warning(&self) -> Option<&'static str> {
        self.has_comma_in_value.then_some(
            "the value of TOKEN_RESOURCE in authMechanismProperties contains a comma, which other \
             drivers do not accept in a connection string",
        )
    }

    /// Whether there are properties and nobody whom they could belong to.
    pub(super) fn is_without_user(&self, parts: &Parts<'_>) -> bool {
        !self.properties.is_empty() && self.mechanism.is_none() && parts.user_info.is_none()
    }

    /// The credential; `None` when nothing asks for authentication. The database of the path, or a
    /// source, does not.
    pub(super) fn finish(
        mut self,
        parts: &Parts<'_>,
        database: Option<&str>,
    ) -> Result<Option<Credential>> {
        let mut credential = Credential::default();
        if let Some(user_info) = &parts.user_info {
            credential.username = Some(decode(user_info.username, "the user name")?);
            credential.password = user_info
                .password
                .map(|password| decode(password, "the password"))
                .transpose()?;
        } else if self.mechanism.is_none() {
            return Ok(None);
        }
        if let Some(service_name) = self.service_name {
            self.properties
                .entry("SERVICE_NAME".to_owned())
                .or_insert(service_name.into());
        }
        if self.mechanism == Some(AuthMechanism::Gssapi) {
            self.properties
                .entry("SERVICE_NAME".to_owned())
                .or_insert("mongodb".into());
        }
        credential.source = self.source.or_else(|| {
            let source = match &self.mechanism {
                Some(mechanism) => mechanism.default_source(database),
                None => AuthMechanism::ScramSha256.default_source(database),
            };
            Some(source.to_owned())
        });
        credential.mechanism_properties =
            Some(self.properties).filter(|properties| !properties.is_empty());
        credential.mechanism = self.mechanism;
        validate(&credential)?;
        Ok(Some(credential))
    }
}

/// Without a mechanism, whether a password is needed is for the client to say, which may be given
/// one after the connection string was parsed.
fn validate(credential: &Credential) -> Result<()> {
    match &credential.mechanism {
        Some(mechanism) => mechanism.validate_credential(credential).map_err(invalid),
        None if credential.mechanism_properties.is_some() => Err(invalid(
            "authMechanismProperties needs an authMechanism; write one, or leave it out",
        )),
        None => Ok(()),
    }
}
