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
/// Neither Debug nor Display output shows a secret. Display gives the connection string with `***`
/// in place of the credential and of the values of secret and unknown options.
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
    /// An invalid-argument error that says what is wrong and what to write instead. It never
    /// contains a password.
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
