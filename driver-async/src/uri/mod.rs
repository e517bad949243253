//! Connection strings, by the connection string, URI options and authentication specifications.

mod credential;
mod draft;
mod grammar;
mod hosts;
mod reads;
mod redacted;
mod suggestion;
mod table;
mod tls;
mod values;

use std::{fmt, str::FromStr, time::Duration};

use bson::UuidRepresentation;
use serde::{Deserialize, Deserializer};

use crate::{
    error::{Error, Result},
    options::{
        Compressor, Credential, ReadConcern, ReadPreference, ServerAddress, ServerMonitoringMode,
        Socks5Proxy, Tls, WriteConcern,
    },
};
use draft::Draft;

/// A parsed connection string: `mongodb://user:password@host:port/database?option=value`.
///
/// Names of options may be written in any case. An option that is not known, or whose value is not
/// valid, is ignored with a [warning](Self::warnings), as the specification demands; where ignoring
/// it would be unsafe, such as with `tls=maybe`, it is an error. Of an option that is given twice,
/// the last one counts.
///
/// Neither Debug nor Display output, a warning or an error shows a secret, or text that was not
/// understood. Display gives the connection string with `***` in place of the credential, of the
/// values of secret options, and of options that are unknown or ignored.
///
/// ```
/// use motorcade::options::ConnectionString;
///
/// let parsed = ConnectionString::parse("mongodb://app:hunter2@db.example.com/shop?w=majority")?;
/// assert_eq!(parsed.default_database.as_deref(), Some("shop"));
/// assert_eq!(parsed.to_string(), "mongodb://***@db.example.com/shop?w=majority");
/// # Ok::<(), motorcade::error::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ConnectionString {
    /// The servers, or the name under which DNS lists them.
    pub host_info: HostInfo,
    /// `appName`.
    pub app_name: Option<String>,
    /// `tls`, `ssl` and all options that begin with `tls`. Each of those turns TLS on, unless
    /// `tls=false` is given; so does `mongodb+srv`.
    pub tls: Option<Tls>,
    /// `heartbeatFrequencyMS`; less than 500 is an error.
    pub heartbeat_frequency: Option<Duration>,
    /// `localThresholdMS`.
    pub local_threshold: Option<Duration>,
    /// `readConcernLevel`.
    pub read_concern: Option<ReadConcern>,
    /// `replicaSet`.
    pub replica_set: Option<String>,
    /// `w`, `wTimeoutMS` and `journal`.
    pub write_concern: Option<WriteConcern>,
    /// `serverSelectionTimeoutMS`; zero fails at once when no suitable server is known.
    pub server_selection_timeout: Option<Duration>,
    /// `maxPoolSize`; zero for no limit.
    pub max_pool_size: Option<u32>,
    /// `minPoolSize`.
    pub min_pool_size: Option<u32>,
    /// `maxConnecting`.
    pub max_connecting: Option<u32>,
    /// `maxIdleTimeMS`; zero for no limit.
    pub max_idle_time: Option<Duration>,
    /// `compressors` and `zlibCompressionLevel`.
    pub compressors: Option<Vec<Compressor>>,
    /// `connectTimeoutMS`; zero for no limit.
    pub connect_timeout: Option<Duration>,
    /// `retryReads`.
    pub retry_reads: Option<bool>,
    /// `retryWrites`.
    pub retry_writes: Option<bool>,
    /// `serverMonitoringMode`.
    pub server_monitoring_mode: Option<ServerMonitoringMode>,
    /// `directConnection`.
    pub direct_connection: Option<bool>,
    /// The user name and password, `authMechanism`, `authSource` and `authMechanismProperties`. A
    /// value in the properties cannot contain a comma, except that of `TOKEN_RESOURCE`.
    pub credential: Option<Credential>,
    /// The path: the database that `Client::default_database` gives, and that knows the user when
    /// there is no `authSource`.
    pub default_database: Option<String>,
    /// `loadBalanced`.
    pub load_balanced: Option<bool>,
    /// `socketTimeoutMS`; zero for no limit.
    pub socket_timeout: Option<Duration>,
    /// `timeoutMS`; zero for no limit.
    pub timeout: Option<Duration>,
    /// `readPreference`, `readPreferenceTags` and `maxStalenessSeconds`.
    pub read_preference: Option<ReadPreference>,
    /// `uuidRepresentation`.
    pub uuid_representation: Option<UuidRepresentation>,
    /// `serverSelectionTryOnce`, which only drivers without background monitoring follow.
    pub server_selection_try_once: Option<bool>,
    /// `srvMaxHosts`; zero for no limit.
    pub srv_max_hosts: Option<u32>,
    /// `srvServiceName`.
    pub srv_service_name: Option<String>,
    /// `srvAllowedHostsSuffix`: the domain that the hosts of the SRV records must belong to, in
    /// lower case and with a leading dot.
    pub srv_allowed_hosts_suffix: Option<String>,
    /// `proxyHost`, `proxyPort`, `proxyUsername` and `proxyPassword`.
    pub socks5_proxy: Option<Socks5Proxy>,
    /// `maxAdaptiveRetries`.
    pub max_adaptive_retries: Option<u32>,
    /// `enableOverloadRetargeting`.
    pub enable_overload_retargeting: Option<bool>,
    /// `tlsDisableOCSPEndpointCheck`.
    pub tls_disable_ocsp_endpoint_check: Option<bool>,
    /// `tlsDisableCertificateRevocationCheck`.
    pub tls_disable_certificate_revocation_check: Option<bool>,

    tls_insecure: Option<bool>,
    wait_queue_timeout: Option<Duration>,
    warnings: Vec<String>,
    redacted: String,
}

/// Where a connection string says the servers are.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum HostInfo {
    /// The servers to begin with, of `mongodb://`.
    HostIdentifiers(Vec<ServerAddress>),
    /// The name whose SRV records list the servers, of `mongodb+srv://`.
    DnsRecord(String),
}

impl Default for HostInfo {
    fn default() -> Self {
        Self::HostIdentifiers(Vec::new())
    }
}

impl ConnectionString {
    /// Parses a connection string.
    ///
    /// # Errors
    /// An invalid-argument error that says what is wrong and what to write instead. It quotes
    /// nothing, since any part may be a password that is not encoded as it should be.
    pub fn parse(s: impl AsRef<str>) -> Result<Self> {
        let parts = grammar::split(s.as_ref())?;
        let mut draft = Draft::default();
        draft.read_options(&parts.options)?;
        draft.finish(&parts)
    }

    /// `waitQueueTimeoutMS`; zero for no limit.
    pub fn wait_queue_timeout(&self) -> Option<Duration> {
        self.wait_queue_timeout
    }

    /// `tlsInsecure`, which is also spread over the fields of [`ConnectionString::tls`]: it accepts
    /// every certificate, whatever host it names.
    pub fn tls_insecure(&self) -> Option<bool> {
        self.tls_insecure
    }

    /// What the specification says to warn of: options that are unknown, repeated, deprecated or
    /// ignored because of an invalid value. A client that is built from the connection string logs
    /// each once.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

impl fmt::Display for ConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted)
    }
}

impl FromStr for ConnectionString {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl TryFrom<&str> for ConnectionString {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl TryFrom<&String> for ConnectionString {
    type Error = Error;

    fn try_from(text: &String) -> Result<Self> {
        Self::parse(text)
    }
}

impl TryFrom<String> for ConnectionString {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(text)
    }
}

impl<'de> Deserialize<'de> for ConnectionString {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// An error about the whole connection string.
fn invalid(reason: impl fmt::Display) -> Error {
    Error::invalid_argument(format!("invalid connection string: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{AuthMechanism, TlsOptions};

    fn parse(uri: &str) -> ConnectionString {
        ConnectionString::parse(uri).unwrap_or_else(|error| panic!("{uri}: {error}"))
    }

    fn refused(uri: &str) -> String {
        match ConnectionString::parse(uri) {
            Ok(_) => panic!("{uri} was accepted"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn an_unknown_option_gives_one_warning_with_a_suggestion() {
        let parsed = parse("mongodb://a/?maxPolSize=5&w=1");
        let [warning] = parsed.warnings() else {
            panic!("{:?}", parsed.warnings());
        };
        assert!(warning.contains("did you mean maxPoolSize?"), "{warning}");
        assert_eq!(parsed.max_pool_size, None);
    }

    #[test]
    fn the_last_of_a_repeated_option_counts() {
        let parsed = parse("mongodb://a/?maxPoolSize=5&MAXPOOLSIZE=6");
        assert_eq!(parsed.max_pool_size, Some(6));
        assert_eq!(parsed.warnings().len(), 1);
    }

    #[test]
    fn invalid_values_leave_the_default_and_warn() {
        for option in [
            "serverSelectionTimeoutMS=-1",
            "socketTimeoutMS=-1",
            "socketTimeoutMS=99999999999",
            "maxPoolSize=-1",
            "appName=",
            "srvServiceName=a.b",
            "readPreference=Secondary&maxStalenessSeconds=120",
            "compressors=lzma",
        ] {
            let parsed = parse(&format!("mongodb://a/?{option}"));
            let mut unchanged = parse("mongodb://a/");
            unchanged.warnings.clone_from(&parsed.warnings);
            unchanged.redacted.clone_from(&parsed.redacted);
            assert_eq!(parsed.warnings().len(), 1, "{:?}", parsed.warnings());
            assert_eq!(parsed, unchanged, "{option}");
        }
    }

    #[test]
    fn what_is_unsafe_to_ignore_is_refused() {
        for (uri, reason) in [
            ("mongodb://a/?tls=maybe", "neither true nor false"),
            ("mongodb://a/?tls=true&tls=false", "contradict"),
            ("mongodb://a/?tlsInsecure=false&tlsInsecure=true", "twice"),
            ("mongodb://u:p@a/?authMechanism=SCRAM", "SCRAM-SHA-256"),
            ("mongodb://u:p@a/?authMechanism=DEFAULT", "SCRAM-SHA-256"),
            ("mongodb://a/?heartbeatFrequencyMS=499", "at least 500"),
            (
                "mongodb://a/?readPreferenceTags=dc:ny",
                "choose another mode",
            ),
            (
                "mongodb://a/?maxStalenessSeconds=120",
                "choose another mode",
            ),
            ("mongodb://a,b/?directConnection=true", "name one host"),
            ("mongodb://a,mongodb://b", "several connection strings"),
            ("mongo://a", "must begin with"),
            ("mongodb:///tmp/x.sock", "%2F"),
            ("mongodb://127.0.0.1,/tmp/x.sock", "host number 2"),
            ("mongodb+srv://[::1]", "not an IP address"),
        ] {
            let error = refused(uri);
            assert!(error.contains(reason), "{uri}: {error}");
        }
    }

    #[test]
    fn what_is_not_understood_is_never_shown() {
        for options in [
            "hunter2=1",
            "readPreference=hunter2",
            "maxPoolSize=hunter2",
            "maxPoolSize=%68unter2",
            "journal=hunter2",
            "compressors=hunter2",
            "appName=hunter2aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\
             aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "readPreferenceTags=hunter2",
            "wtimeout=hunter2&wTimeoutMS=1",
        ] {
            let parsed = parse(&format!("mongodb://a/?{options}"));
            let shown = format!("{parsed} {parsed:?} {parsed:#?}");
            assert!(!shown.contains("unter2"), "{options}: {shown}");
            assert_eq!(parsed.warnings().len(), 1, "{options}");
        }
        for options in [
            "tls=hunter2",
            "authMechanism=hunter2",
            "srvAllowedHostsSuffix=hunter2",
            "authMechanism=GSSAPI&authMechanismProperties=hunter2:x",
        ] {
            let error = refused(&format!("mongodb+srv://u@a.example.com/?{options}"));
            assert!(!error.contains("hunter2"), "{options}: {error}");
        }
    }

    #[test]
    fn the_suffix_of_allowed_hosts_is_a_domain() {
        let suffix = |value: &str| {
            let uri = format!("mongodb+srv://a.example.com/?srvAllowedHostsSuffix={value}");
            ConnectionString::parse(uri).map(|parsed| parsed.srv_allowed_hosts_suffix.unwrap())
        };
        for given in [".Example.COM", "example.com", "example.com."] {
            assert_eq!(suffix(given).unwrap(), ".example.com");
        }
        assert_eq!(suffix("internal").unwrap(), ".internal");
        for bad in ["", ".", "com", ".com", "a..com"] {
            assert!(suffix(bad).is_err(), "{bad:?} was accepted");
        }
        assert!(refused("mongodb://a/?srvAllowedHostsSuffix=.example.com").contains("+srv"));
    }

    #[test]
    fn errors_warnings_and_output_keep_secrets() {
        let secrets = ["alice", "hunter2", "swordfish", "open-sesame", "mellon"];
        let parsed = parse(
            "mongodb://alice@a/db?authMechanism=MONGODB-OIDC\
             &authMechanismProperties=ENVIRONMENT:azure,TOKEN_RESOURCE:swordfish\
             &tlsCertificateKeyFilePassword=open-sesame\
             &proxyHost=p&proxyUsername=alice&proxyPassword=mellon&pasword=hunter2",
        );
        let shown = format!("{parsed} {parsed:?} {parsed:#?}");
        for secret in secrets {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
        for uri in [
            "mongodb://alice:hunter2",
            "mongodb://alice:hun?ter2@a",
            "mongodb://alice:hunter2%@a",
            "mongodb://alice:hunter2@a:x",
            "mongodb://alice:hunter2@a/?authSource=",
            "mongodb://alice:hunter2@a/?authMechanism=MONGODB-X509",
            "mongodb://a/?proxyPassword=hunter2",
            "mongodb://a/?tlsCertificateKeyFilePassword=hunter2%",
        ] {
            let error = refused(uri);
            assert!(!error.contains("hun"), "{uri}: {error}");
        }
    }

    #[test]
    fn display_gives_a_connection_string_without_its_secrets() {
        assert_eq!(
            parse("mongodb://u:p@a:1,%2Ftmp%2Fx.sock?w=1&nonsense=x").to_string(),
            "mongodb://***@a:1,%2Ftmp%2Fx.sock/?w=1&***=***"
        );
        assert_eq!(
            parse("mongodb://a/?maxPoolSize=x&wtimeout=1&wTimeoutMS=2").to_string(),
            "mongodb://a/?maxPoolSize=***&wtimeout=***&wTimeoutMS=2"
        );
        assert_eq!(
            parse("mongodb+srv://a.example.com").to_string(),
            "mongodb+srv://a.example.com/"
        );
    }

    #[test]
    fn options_of_tls_turn_it_on_unless_it_is_turned_off() {
        assert_eq!(parse("mongodb://a").tls, None);
        let insecure = TlsOptions {
            allow_invalid_certificates: Some(true),
            allow_invalid_hostnames: Some(true),
            ..TlsOptions::default()
        };
        assert_eq!(
            parse("mongodb://a/?tlsInsecure=true").tls,
            Some(Tls::Enabled(insecure))
        );
        assert_eq!(
            parse("mongodb+srv://a.example.com").tls,
            Some(Tls::Enabled(TlsOptions::default()))
        );
        let off = parse("mongodb://a/?tls=false&tlsCAFile=x");
        assert_eq!(off.tls, Some(Tls::Disabled));
        assert_eq!(off.warnings().len(), 1);
    }

    #[test]
    fn credentials_take_their_source_from_the_option_then_the_path() {
        let source = |uri: &str| parse(uri).credential.unwrap().source.unwrap();
        assert_eq!(source("mongodb://u:p@a/shop"), "shop");
        assert_eq!(source("mongodb://u:p@a/shop?authSource=x"), "x");
        assert_eq!(source("mongodb://u:p@a/"), "admin");
        assert_eq!(
            source("mongodb://a/shop?authMechanism=MONGODB-X509"),
            "$external"
        );
    }

    #[test]
    fn an_old_name_is_used_with_a_warning() {
        let parsed = parse("mongodb://u@a/?authMechanism=GSSAPI&gssapiServiceName=other");
        let credential = parsed.credential.clone().unwrap();
        assert_eq!(credential.mechanism, Some(AuthMechanism::Gssapi));
        assert_eq!(
            credential.mechanism_properties,
            Some(bson::doc! { "SERVICE_NAME": "other" })
        );
        assert_eq!(parsed.warnings().len(), 1);
        let concern = parse("mongodb://a/?wtimeout=5").write_concern.unwrap();
        assert_eq!(concern.w_timeout, Some(Duration::from_millis(5)));
    }
}
