//! Who the client is, and how it proves it.

use std::{fmt, str::FromStr};

use bson::Document;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use typed_builder::TypedBuilder;

use crate::error::{Error, Result};

/// Who the client is, and how it proves it to every server; see the authentication specification.
///
/// Debug output shows none of it.
///
/// ```
/// use motorcade::options::{ClientOptions, Credential};
///
/// let credential = Credential::builder()
///     .username("app".to_owned())
///     .password("hunter2".to_owned())
///     .build();
/// let options = ClientOptions::builder().credential(credential).build();
/// assert!(!format!("{options:?}").contains("hunter2"));
/// ```
#[derive(Clone, Default, PartialEq, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[non_exhaustive]
pub struct Credential {
    /// The user's name. All mechanisms need one except X.509 and OIDC; AWS takes none.
    pub username: Option<String>,
    /// The database that knows the user: `admin` when absent, and `$external` for the mechanisms
    /// whose users the server does not know itself.
    pub source: Option<String>,
    /// The password.
    pub password: Option<String>,
    /// The mechanism; the strongest of SCRAM that the server offers when absent.
    pub mechanism: Option<AuthMechanism>,
    /// What the mechanism needs beyond that.
    pub mechanism_properties: Option<Document>,
}

impl Credential {
    /// The database that knows the user, by the mechanism's default when none was given.
    pub(crate) fn resolved_source(&self) -> &str {
        match (&self.source, &self.mechanism) {
            (Some(source), _) => source,
            (None, Some(mechanism)) => mechanism.default_source(None),
            (None, None) => DEFAULT_SOURCE,
        }
    }

    /// Refuses what the mechanism cannot use.
    pub(crate) fn validate(&self) -> Result<()> {
        match &self.mechanism {
            Some(mechanism) => mechanism.validate_credential(self),
            None => {
                self.require_username("authentication")?;
                self.require_password("authentication")?;
                self.refuse_properties("authentication without a mechanism")
            }
        }
    }

    fn has_username(&self) -> bool {
        self.username.as_ref().is_some_and(|name| !name.is_empty())
    }

    fn require_username(&self, of: &str) -> Result<()> {
        if self.has_username() {
            return Ok(());
        }
        Err(Error::invalid_argument(format!(
            "{of} needs a user name that is not empty"
        )))
    }

    fn require_password(&self, of: &str) -> Result<()> {
        if self.password.is_some() {
            return Ok(());
        }
        Err(Error::invalid_argument(format!("{of} needs a password")))
    }

    fn refuse_password(&self, of: &str) -> Result<()> {
        if self.password.is_none() {
            return Ok(());
        }
        Err(Error::invalid_argument(format!(
            "{of} uses no password; leave it out"
        )))
    }

    /// RFC 4616 separates the parts of the message by NUL characters.
    fn refuse_nul(&self, of: &str) -> Result<()> {
        let has_nul = |part: &Option<String>| part.as_ref().is_some_and(|it| it.contains('\0'));
        if !has_nul(&self.username) && !has_nul(&self.password) {
            return Ok(());
        }
        Err(Error::invalid_argument(format!(
            "{of} allows no NUL character in a user name or password; remove it"
        )))
    }

    fn refuse_properties(&self, of: &str) -> Result<()> {
        match &self.mechanism_properties {
            Some(properties) if !properties.is_empty() => Err(Error::invalid_argument(format!(
                "{of} takes no mechanism properties; leave them out"
            ))),
            _ => Ok(()),
        }
    }

    fn require_external_source(&self, of: &str) -> Result<()> {
        match self.source.as_deref() {
            None | Some(EXTERNAL_SOURCE) => Ok(()),
            Some(_) => Err(Error::invalid_argument(format!(
                "the authentication source of {of} must be {EXTERNAL_SOURCE}; leave it out"
            ))),
        }
    }

    /// A property's value, when it is text.
    fn property(&self, name: &str) -> Option<&str> {
        self.mechanism_properties.as_ref()?.get_str(name).ok()
    }

    fn refuse_properties_beyond(&self, of: &str, known: &[&str]) -> Result<()> {
        let mut names = self.mechanism_properties.iter().flat_map(Document::keys);
        if names.all(|name| known.contains(&name.as_str())) {
            return Ok(());
        }
        Err(Error::invalid_argument(format!(
            "{of} is given a mechanism property that it does not have; it has {}",
            known.join(", ")
        )))
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(REDACTED)")
    }
}

/// The deserializer's own error is dropped, because it may quote a value that was not understood.
impl<'de> Deserialize<'de> for Credential {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Shape {
            username: Option<String>,
            source: Option<String>,
            password: Option<String>,
            mechanism: Option<AuthMechanism>,
            mechanism_properties: Option<Document>,
        }
        let shape = Shape::deserialize(deserializer).map_err(|_| {
            D::Error::custom(format!(
                "the credential is not valid: it takes the texts username, password and source, \
                 the document mechanism_properties, and as mechanism one of {}",
                AuthMechanism::names()
            ))
        })?;
        Ok(Self {
            username: shape.username,
            source: shape.source,
            password: shape.password,
            mechanism: shape.mechanism,
            mechanism_properties: shape.mechanism_properties,
        })
    }
}

/// The database that knows users, unless another is named.
const DEFAULT_SOURCE: &str = "admin";

/// The name that stands for users whom the server does not know itself.
const EXTERNAL_SOURCE: &str = "$external";

/// How a client proves who it is; see the authentication specification.
///
/// This release speaks SCRAM-SHA-1, SCRAM-SHA-256, MONGODB-X509 and PLAIN; a client cannot be built
/// with another one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthMechanism {
    /// The mechanism of servers before 4.0, which has been removed.
    MongoDbCr,
    /// Name and password by SCRAM with SHA-1.
    ScramSha1,
    /// Name and password by SCRAM with SHA-256.
    ScramSha256,
    /// The client certificate of the TLS connection.
    MongoDbX509,
    /// Kerberos.
    Gssapi,
    /// Name and password in clear text, for LDAP.
    Plain,
    /// Credentials of Amazon Web Services, which come from the environment alone.
    MongoDbAws,
    /// OpenID Connect.
    MongoDbOidc,
}

impl AuthMechanism {
    /// Every mechanism.
    const ALL: [Self; 8] = [
        Self::ScramSha256,
        Self::ScramSha1,
        Self::MongoDbX509,
        Self::Plain,
        Self::Gssapi,
        Self::MongoDbAws,
        Self::MongoDbOidc,
        Self::MongoDbCr,
    ];

    fn names() -> String {
        Self::ALL.map(|mechanism| mechanism.as_str()).join(", ")
    }

    /// The mechanism's name on the wire and in connection strings.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::MongoDbCr => "MONGODB-CR",
            Self::ScramSha1 => "SCRAM-SHA-1",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::MongoDbX509 => "MONGODB-X509",
            Self::Gssapi => "GSSAPI",
            Self::Plain => "PLAIN",
            Self::MongoDbAws => "MONGODB-AWS",
            Self::MongoDbOidc => "MONGODB-OIDC",
        }
    }

    /// Refuses a credential that this mechanism cannot use.
    ///
    /// # Errors
    /// An invalid-argument error that says what is missing or must be left out.
    pub fn validate_credential(&self, credential: &Credential) -> Result<()> {
        let name = self.as_str();
        match self {
            Self::ScramSha1 | Self::ScramSha256 | Self::MongoDbCr => {
                credential.require_username(name)?;
                credential.require_password(name)?;
                credential.refuse_properties(name)
            }
            Self::Plain => {
                credential.require_username(name)?;
                credential.require_password(name)?;
                credential.refuse_nul(name)?;
                credential.refuse_properties(name)
            }
            Self::MongoDbX509 => {
                credential.require_external_source(name)?;
                credential.refuse_password(name)?;
                credential.refuse_properties(name)
            }
            Self::Gssapi => {
                credential.require_external_source(name)?;
                credential.require_username(name)?;
                validate_gssapi_properties(credential)
            }
            Self::MongoDbAws => {
                credential.require_external_source(name)?;
                validate_aws(credential)
            }
            Self::MongoDbOidc => {
                credential.require_external_source(name)?;
                credential.refuse_password(name)?;
                validate_oidc(credential)
            }
        }
    }

    /// The database that knows the users of this mechanism, when a connection string names
    /// `database` and no source.
    pub(crate) fn default_source<'a>(&self, database: Option<&'a str>) -> &'a str {
        match self {
            Self::ScramSha1 | Self::ScramSha256 | Self::MongoDbCr => {
                database.unwrap_or(DEFAULT_SOURCE)
            }
            Self::Plain => database.unwrap_or(EXTERNAL_SOURCE),
            Self::MongoDbX509 | Self::Gssapi | Self::MongoDbAws | Self::MongoDbOidc => {
                EXTERNAL_SOURCE
            }
        }
    }

    /// Whether this driver speaks the mechanism.
    pub(crate) fn is_supported(&self) -> bool {
        matches!(
            self,
            Self::ScramSha1 | Self::ScramSha256 | Self::MongoDbX509 | Self::Plain
        )
    }
}

impl FromStr for AuthMechanism {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|mechanism| mechanism.as_str() == name)
            .ok_or_else(|| {
                Error::invalid_argument(format!(
                    "unknown authentication mechanism: use one of {}, in capitals",
                    Self::names()
                ))
            })
    }
}

impl Serialize for AuthMechanism {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Takes the names on the wire, and those of the variants.
impl<'de> Deserialize<'de> for AuthMechanism {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let variant = Self::ALL
            .into_iter()
            .find(|mechanism| format!("{mechanism:?}") == name);
        variant.map_or_else(|| name.parse().map_err(D::Error::custom), Ok)
    }
}

fn validate_gssapi_properties(credential: &Credential) -> Result<()> {
    const CANONICALIZE: &str = "CANONICALIZE_HOST_NAME";
    const WAYS: [&str; 5] = ["none", "forward", "forwardAndReverse", "true", "false"];
    let known = [
        "SERVICE_NAME",
        "SERVICE_REALM",
        "SERVICE_HOST",
        CANONICALIZE,
    ];
    credential.refuse_properties_beyond("GSSAPI", &known)?;
    match credential.property(CANONICALIZE) {
        Some(way) if !WAYS.contains(&way) => Err(Error::invalid_argument(format!(
            "{CANONICALIZE} must be none, forward or forwardAndReverse"
        ))),
        _ => Ok(()),
    }
}

/// The authentication specification has drivers refuse credentials from the user, so that
/// long-lived keys do not end up in connection strings.
fn validate_aws(credential: &Credential) -> Result<()> {
    let has_properties = credential
        .mechanism_properties
        .as_ref()
        .is_some_and(|properties| !properties.is_empty());
    if credential.username.is_none() && credential.password.is_none() && !has_properties {
        return Ok(());
    }
    Err(Error::invalid_argument(
        "MONGODB-AWS takes no user name, password or mechanism properties; leave them out, and \
         provide the credentials through the environment: AWS_ACCESS_KEY_ID, \
         AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or the role of the machine",
    ))
}

fn validate_oidc(credential: &Credential) -> Result<()> {
    credential.refuse_properties_beyond("MONGODB-OIDC", &["ENVIRONMENT", "TOKEN_RESOURCE"])?;
    let resource = credential.property("TOKEN_RESOURCE");
    let Some(environment) = credential.property("ENVIRONMENT") else {
        return Err(Error::invalid_argument(
            "MONGODB-OIDC needs the mechanism property ENVIRONMENT: azure, gcp, k8s or test",
        ));
    };
    // Only Azure has a use for a user name: the client id of a managed identity.
    let (takes_username, takes_resource) = match environment {
        "azure" => (true, true),
        "gcp" => (false, true),
        "k8s" | "test" => (false, false),
        _ => {
            return Err(Error::invalid_argument(
                "the mechanism property ENVIRONMENT of MONGODB-OIDC must be azure, gcp, k8s or \
                 test",
            ));
        }
    };
    if !takes_username && credential.username.is_some() {
        return Err(Error::invalid_argument(format!(
            "MONGODB-OIDC with ENVIRONMENT {environment} takes no user name; leave it out"
        )));
    }
    match (takes_resource, resource.is_some()) {
        (true, false) => Err(Error::invalid_argument(format!(
            "MONGODB-OIDC with ENVIRONMENT {environment} needs the mechanism property \
             TOKEN_RESOURCE"
        ))),
        (false, true) => Err(Error::invalid_argument(format!(
            "MONGODB-OIDC with ENVIRONMENT {environment} takes no TOKEN_RESOURCE; leave it out"
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    #[test]
    fn debug_output_shows_nothing_of_a_credential() {
        let credential = Credential::builder()
            .username("alice".to_owned())
            .password("hunter2".to_owned())
            .mechanism(AuthMechanism::MongoDbOidc)
            .mechanism_properties(doc! { "TOKEN_RESOURCE": "swordfish" })
            .build();
        let text = format!("{credential:?} {credential:#?}");
        for secret in ["alice", "hunter2", "swordfish"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }

    #[test]
    fn a_mechanism_is_read_by_either_name() {
        for (text, mechanism) in [
            ("\"SCRAM-SHA-1\"", AuthMechanism::ScramSha1),
            ("\"MongoDbX509\"", AuthMechanism::MongoDbX509),
        ] {
            let read: AuthMechanism = serde_json::from_str(text).unwrap();
            assert_eq!(read, mechanism);
        }
        let written = serde_json::to_string(&AuthMechanism::ScramSha256).unwrap();
        assert_eq!(written, "\"SCRAM-SHA-256\"");
    }

    #[test]
    fn errors_of_reading_a_credential_keep_its_values() {
        for text in [
            r#""hunter2""#,
            r#"{ "password": ["hunter2"] }"#,
            r#"{ "mechanism": "hunter2" }"#,
            r#"{ "mechanism_properties": "hunter2" }"#,
        ] {
            let error = serde_json::from_str::<Credential>(text).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("hunter2"), "{text}: {shown}");
            assert!(shown.contains("mechanism_properties"), "{shown}");
        }
        let error = serde_json::from_str::<AuthMechanism>(r#""hunter2""#).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    #[test]
    fn plain_refuses_nul_characters_before_anything_is_sent() {
        let made = |name: &str, password: &str| {
            Credential::builder()
                .username(name.to_owned())
                .password(password.to_owned())
                .mechanism(AuthMechanism::Plain)
                .build()
                .validate()
        };
        assert!(made("alice", "hunter2").is_ok());
        for (name, password) in [("ali\0ce", "x"), ("alice", "hunter2\0")] {
            let error = made(name, password).unwrap_err().to_string();
            assert!(error.contains("NUL"), "{error}");
        }
    }

    #[test]
    fn aws_refuses_credentials_and_says_where_they_go() {
        let aws = || Credential::builder().mechanism(AuthMechanism::MongoDbAws);
        assert!(aws().build().validate().is_ok());
        let token = doc! { "AWS_SESSION_TOKEN": "swordfish" };
        for credential in [
            aws().username("alice".to_owned()).build(),
            aws().password("hunter2".to_owned()).build(),
            aws().mechanism_properties(token).build(),
        ] {
            let error = credential.validate().unwrap_err().to_string();
            assert!(error.contains("AWS_ACCESS_KEY_ID"), "{error}");
            for secret in ["alice", "hunter2", "swordfish"] {
                assert!(!error.contains(secret), "{error}");
            }
        }
    }

    #[test]
    fn scram_needs_a_name_and_a_password() {
        for mechanism in [None, Some(AuthMechanism::ScramSha256)] {
            let mut credential = Credential::builder().mechanism(mechanism).build();
            assert!(credential.validate().is_err());
            credential.username = Some("alice".to_owned());
            assert!(credential.validate().is_err());
            credential.password = Some(String::new());
            assert!(credential.validate().is_ok());
            assert_eq!(credential.resolved_source(), "admin");
        }
    }
}
