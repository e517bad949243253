//! Connection strings: what they mean, and which are refused.
//!
//! Follows the test plans of the connection string, URI options, authentication and read and write
//! concern specifications. Each case is held against [`ConnectionString`], and what it says must
//! arrive in [`ClientOptions`] too.

mod concerns;
mod disclosure;
mod options;

use motorcade::options::{ClientOptions, ConnectionString, Credential, HostInfo, ServerAddress};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::Suite;
use crate::case::Case;
use crate::spec_files::SpecFile;

type Check = Result<(), String>;

/// Every entry of `tests` is a case.
pub(crate) fn cases(file: &SpecFile) -> Vec<Case> {
    let Some(tests) = tests(&file.json) else {
        let why = "the file is not an object whose one member is a list of tests";
        return vec![Case::failing(file, "all", why)];
    };
    tests
        .iter()
        .map(|test| match file.suite {
            Suite::CredentialDisclosure => case(file, test, disclosure::check),
            Suite::AuthUri => case(file, test, check_credential),
            Suite::ReadWriteConcernUri => case(file, test, concerns::check_uri),
            Suite::ReadWriteConcernDocument => case(file, test, concerns::check_document),
            _ => case(file, test, check_uri),
        })
        .collect()
}

fn tests(json: &Value) -> Option<&Vec<Value>> {
    match json.as_object() {
        Some(members) if members.len() == 1 => members.get("tests")?.as_array(),
        _ => None,
    }
}

fn case<T>(file: &SpecFile, test: &Value, check: fn(&T) -> Check) -> Case
where
    T: DeserializeOwned + Send + 'static,
{
    let description = test["description"]
        .as_str()
        .unwrap_or("without description");
    match T::deserialize(test) {
        Ok(test) => Case::check(file, description, move || check(&test)),
        Err(error) => Case::failing(file, description, error.to_string()),
    }
}

/// A case of the connection string or URI options specification.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UriCase {
    #[serde(rename = "description")]
    _description: String,
    uri: String,
    valid: bool,
    warning: Option<bool>,
    hosts: Option<Vec<Host>>,
    auth: Option<Auth>,
    options: Option<Map<String, Value>>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Host {
    #[serde(rename = "type")]
    kind: String,
    host: String,
    port: Option<u16>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Auth {
    username: Option<String>,
    password: Option<String>,
    db: Option<String>,
}

fn check_uri(case: &UriCase) -> Check {
    let Some(parsed) = parse(&case.uri, case.valid)? else {
        return Ok(());
    };
    if let Some(expected) = case.warning {
        check_warning(&parsed, expected)?;
    }
    if let Some(expected) = &case.hosts {
        equal("hosts", expected, &hosts(&parsed)?)?;
    }
    // A mechanism alone makes a credential as well, one without a user.
    let credential = parsed.credential.clone().unwrap_or_default();
    match &case.auth {
        Some(expected) => {
            let found = Auth {
                username: credential.username,
                password: credential.password,
                db: parsed.default_database.clone(),
            };
            equal("auth", expected, &found)?;
        }
        None if case.hosts.is_some() => {
            equal("the user", &None, &credential.username)?;
            equal("the password", &None, &credential.password)?;
        }
        None => {}
    }
    let expected = case.options.clone().unwrap_or_default();
    options::check("ConnectionString", &expected, &options::of_string(&parsed))?;
    let Some(client) = client_options(&parsed)? else {
        return Ok(());
    };
    if case.hosts.is_some() {
        equal(
            "ClientOptions::hosts",
            &parsed.host_info,
            &HostInfo::HostIdentifiers(client.hosts.clone()),
        )?;
    }
    equal(
        "ClientOptions::default_database",
        &parsed.default_database,
        &client.default_database,
    )?;
    options::check_client(&expected, &client)
}

/// A case of the authentication specification.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialCase {
    #[serde(rename = "description")]
    _description: String,
    uri: String,
    valid: bool,
    credential: Option<ExpectedCredential>,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct ExpectedCredential {
    username: Option<String>,
    password: Option<String>,
    source: Option<String>,
    mechanism: Option<String>,
    mechanism_properties: Option<Map<String, Value>>,
}

impl From<Credential> for ExpectedCredential {
    fn from(credential: Credential) -> Self {
        Self {
            mechanism_properties: credential
                .mechanism_properties
                .as_ref()
                .map(options::relaxed_object),
            username: credential.username,
            password: credential.password,
            source: credential.source,
            mechanism: credential
                .mechanism
                .map(|mechanism| mechanism.as_str().to_owned()),
        }
    }
}

fn check_credential(case: &CredentialCase) -> Check {
    let Some(parsed) = parse(&case.uri, case.valid)? else {
        return Ok(());
    };
    let mut expected = case.credential.clone();
    if let Some(properties) = expected
        .as_mut()
        .and_then(|expected| expected.mechanism_properties.as_mut())
    {
        options::spell_booleans(properties);
    }
    let found = |credential: Option<Credential>| credential.map(ExpectedCredential::from);
    equal(
        "the credential",
        &expected,
        &found(parsed.credential.clone()),
    )?;
    match client_options(&parsed)? {
        Some(client) => equal(
            "ClientOptions::credential",
            &expected,
            &found(client.credential),
        ),
        None => Ok(()),
    }
}

/// Parses a connection string; `None` when it is refused as it should be.
fn parse(uri: &str, valid: bool) -> Result<Option<ConnectionString>, String> {
    match (ConnectionString::parse(uri), valid) {
        (Ok(parsed), true) => Ok(Some(parsed)),
        (Err(_), false) => Ok(None),
        (Err(error), true) => Err(format!("{uri} is valid, but refused: {error}")),
        (Ok(parsed), false) => Err(format!(
            "{uri} is invalid, but accepted with warnings {:?}",
            parsed.warnings()
        )),
    }
}

fn check_warning(parsed: &ConnectionString, expected: bool) -> Check {
    match (expected, parsed.warnings()) {
        (true, []) => Err("expected a warning, but there is none".to_owned()),
        (false, [_, ..]) => Err(format!(
            "expected no warning, but found {:?}",
            parsed.warnings()
        )),
        _ => Ok(()),
    }
}

fn hosts(parsed: &ConnectionString) -> Result<Vec<Host>, String> {
    match &parsed.host_info {
        HostInfo::HostIdentifiers(hosts) => hosts.iter().map(host).collect(),
        HostInfo::DnsRecord(name) => Ok(vec![Host {
            kind: "hostname".to_owned(),
            host: name.clone(),
            port: None,
        }]),
        other => Err(format!("hosts of an unknown kind: {other:?}")),
    }
}

fn host(address: &ServerAddress) -> Result<Host, String> {
    let (kind, host, port) = match address {
        ServerAddress::Tcp { host, port } => {
            let kind = if host.contains(':') {
                "ip_literal"
            } else if host.parse::<std::net::Ipv4Addr>().is_ok() {
                "ipv4"
            } else {
                "hostname"
            };
            (kind, host.clone(), *port)
        }
        ServerAddress::Unix { path } => ("unix", path.display().to_string(), None),
        other => return Err(format!("an address of an unknown kind: {other:?}")),
    };
    Ok(Host {
        kind: kind.to_owned(),
        host,
        port,
    })
}

/// The options of a client; `None` when the driver says that it does not support what the
/// connection string needs.
fn client_options(parsed: &ConnectionString) -> Result<Option<ClientOptions>, String> {
    let is_beyond_this_release =
        parsed.socks5_proxy.is_some() || matches!(parsed.host_info, HostInfo::DnsRecord(_));
    match ClientOptions::from_connection_string(parsed.clone()) {
        Ok(options) => {
            for warning in parsed.warnings() {
                if !options.warnings().contains(warning) {
                    return Err(format!("ClientOptions has lost the warning {warning:?}"));
                }
            }
            Ok(Some(options))
        }
        Err(error) if is_beyond_this_release && error.to_string().contains("not supported") => {
            Ok(None)
        }
        Err(error) => Err(format!("no ClientOptions from {parsed}: {error}")),
    }
}

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, expected: &T, found: &T) -> Check {
    if expected == found {
        return Ok(());
    }
    Err(format!("{what}: expected {expected:?}, found {found:?}"))
}
