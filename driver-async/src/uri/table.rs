//! Every option that a connection string may have.

use std::time::Duration;

use super::{
    ConnectionString,
    draft::Draft,
    values::{Rejection, ignored, parse_count, parse_flag, parse_millis, parse_number},
};
use crate::{
    error::Error,
    options::{
        AuthMechanism, ClientOptions, Compressor, MAX_APP_NAME_LENGTH, ServerMonitoringMode,
    },
};

/// One option.
pub(super) struct UriOption {
    /// Its name, in the specification's spelling.
    pub(super) name: &'static str,
    pub(super) read: Read,
    pub(super) repeated: Repeated,
    /// Whether its value must not be shown.
    pub(super) is_secret: bool,
    /// The option that took the place of this one, when this one is deprecated.
    pub(super) replacement: Option<&'static str>,
}

/// How the value is understood, and where it goes.
#[derive(Clone, Copy)]
pub(super) enum Read {
    Flag(fn(&mut Draft) -> &mut Option<bool>),
    Millis(fn(&mut ConnectionString) -> &mut Option<Duration>),
    /// A number that is at least the first field.
    Count(u32, fn(&mut ConnectionString) -> &mut Option<u32>),
    /// Text that is not empty.
    Text(fn(&mut Draft) -> &mut Option<String>),
    Special(fn(&mut Draft, &str) -> Result<(), Rejection>),
}

/// What a second appearance means.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Repeated {
    /// The last one counts, with a warning.
    Warned,
    /// Each adds to a list.
    Listed,
    /// They must be equal.
    Agreeing,
    /// It is an error.
    Refused,
}

impl UriOption {
    const fn new(name: &'static str, read: Read) -> Self {
        Self {
            name,
            read,
            repeated: Repeated::Warned,
            is_secret: false,
            replacement: None,
        }
    }

    const fn repeated(mut self, repeated: Repeated) -> Self {
        self.repeated = repeated;
        self
    }

    const fn secret(mut self) -> Self {
        self.is_secret = true;
        self
    }

    const fn replaced_by(mut self, name: &'static str) -> Self {
        self.replacement = Some(name);
        self
    }
}

/// The option of this name, in any case.
pub(super) fn find(name: &str) -> Option<&'static UriOption> {
    OPTIONS
        .iter()
        .find(|option| option.name.eq_ignore_ascii_case(name))
}

/// The names of all options.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    OPTIONS.iter().map(|option| option.name)
}

use Read::{Count, Flag, Millis, Special, Text};
use Repeated::{Agreeing, Listed, Refused};

static OPTIONS: &[UriOption] = &[
    UriOption::new("appName", Special(read_app_name)),
    UriOption::new("authMechanism", Special(read_auth_mechanism)),
    UriOption::new(
        "authMechanismProperties",
        Special(|draft, value| draft.auth.read_properties(value)),
    )
    .secret(),
    UriOption::new(
        "authSource",
        Special(|draft, value| draft.auth.read_source(value)),
    ),
    UriOption::new("compressors", Special(read_compressors)),
    UriOption::new("connectTimeoutMS", Millis(|uri| &mut uri.connect_timeout)),
    UriOption::new(
        "directConnection",
        Flag(|draft| &mut draft.uri.direct_connection),
    ),
    UriOption::new(
        "enableOverloadRetargeting",
        Flag(|draft| &mut draft.uri.enable_overload_retargeting),
    ),
    UriOption::new(
        "gssapiServiceName",
        Text(|draft| &mut draft.auth.service_name),
    )
    .replaced_by("authMechanismProperties=SERVICE_NAME:..."),
    UriOption::new("heartbeatFrequencyMS", Special(read_heartbeat_frequency)),
    UriOption::new("journal", Flag(|draft| &mut draft.write_concern.journal)),
    UriOption::new("loadBalanced", Flag(|draft| &mut draft.uri.load_balanced)),
    UriOption::new("localThresholdMS", Millis(|uri| &mut uri.local_threshold)),
    UriOption::new(
        "maxAdaptiveRetries",
        Count(0, |uri| &mut uri.max_adaptive_retries),
    ),
    UriOption::new("maxConnecting", Count(1, |uri| &mut uri.max_connecting)),
    UriOption::new("maxIdleTimeMS", Millis(|uri| &mut uri.max_idle_time)),
    UriOption::new("maxPoolSize", Count(0, |uri| &mut uri.max_pool_size)),
    UriOption::new(
        "maxStalenessSeconds",
        Special(|draft, value| draft.reads.read_max_staleness(value)),
    ),
    UriOption::new("minPoolSize", Count(0, |uri| &mut uri.min_pool_size)),
    UriOption::new("proxyHost", Text(|draft| &mut draft.proxy.host)).repeated(Refused),
    UriOption::new("proxyPort", Special(read_proxy_port)).repeated(Refused),
    UriOption::new("proxyUsername", Special(read_proxy_username))
        .repeated(Refused)
        .secret(),
    UriOption::new("proxyPassword", Special(read_proxy_password))
        .repeated(Refused)
        .secret(),
    UriOption::new("readConcernLevel", Text(|draft| &mut draft.read_concern)),
    UriOption::new(
        "readPreference",
        Special(|draft, value| draft.reads.read_mode(value)),
    ),
    UriOption::new(
        "readPreferenceTags",
        Special(|draft, value| draft.reads.read_tags(value)),
    )
    .repeated(Listed),
    UriOption::new("replicaSet", Text(|draft| &mut draft.uri.replica_set)),
    UriOption::new("retryReads", Flag(|draft| &mut draft.uri.retry_reads)),
    UriOption::new("retryWrites", Flag(|draft| &mut draft.uri.retry_writes)),
    UriOption::new("serverMonitoringMode", Special(read_monitoring_mode)),
    UriOption::new(
        "serverSelectionTimeoutMS",
        Millis(|uri| &mut uri.server_selection_timeout),
    ),
    UriOption::new(
        "serverSelectionTryOnce",
        Flag(|draft| &mut draft.uri.server_selection_try_once),
    ),
    UriOption::new("socketTimeoutMS", Millis(|uri| &mut uri.socket_timeout)),
    UriOption::new(
        "srvAllowedHostsSuffix",
        Special(read_srv_allowed_hosts_suffix),
    ),
    UriOption::new("srvMaxHosts", Count(0, |uri| &mut uri.srv_max_hosts)),
    UriOption::new("srvServiceName", Special(read_srv_service_name)),
    UriOption::new("ssl", Special(read_tls)).repeated(Agreeing),
    UriOption::new("timeoutMS", Millis(|uri| &mut uri.timeout)),
    UriOption::new("tls", Special(read_tls)).repeated(Agreeing),
    UriOption::new(
        "tlsAllowInvalidCertificates",
        Flag(|draft| &mut draft.tls.options.allow_invalid_certificates),
    )
    .repeated(Agreeing),
    UriOption::new(
        "tlsAllowInvalidHostnames",
        Flag(|draft| &mut draft.tls.options.allow_invalid_hostnames),
    )
    .repeated(Agreeing),
    UriOption::new("tlsCAFile", Text(|draft| &mut draft.tls.ca_file)),
    UriOption::new(
        "tlsCertificateKeyFile",
        Text(|draft| &mut draft.tls.certificate_key_file),
    ),
    UriOption::new(
        "tlsCertificateKeyFilePassword",
        Text(|draft| &mut draft.tls.certificate_key_file_password),
    )
    .secret(),
    UriOption::new(
        "tlsDisableCertificateRevocationCheck",
        Flag(|draft| &mut draft.uri.tls_disable_certificate_revocation_check),
    )
    .repeated(Agreeing),
    UriOption::new(
        "tlsDisableOCSPEndpointCheck",
        Flag(|draft| &mut draft.uri.tls_disable_ocsp_endpoint_check),
    )
    .repeated(Agreeing),
    UriOption::new("tlsInsecure", Flag(|draft| &mut draft.uri.tls_insecure)).repeated(Agreeing),
    UriOption::new("uuidRepresentation", Special(read_uuid_representation)),
    UriOption::new("w", Special(read_w)),
    UriOption::new(
        "waitQueueTimeoutMS",
        Millis(|uri| &mut uri.wait_queue_timeout),
    ),
    UriOption::new("wTimeoutMS", Special(read_w_timeout)),
    UriOption::new("wtimeout", Special(read_w_timeout)).replaced_by("wTimeoutMS"),
    UriOption::new("zlibCompressionLevel", Special(read_zlib_level)),
];

/// The top-level domains that nobody can register names in, so that one may stand alone as
/// srvAllowedHostsSuffix.
const PRIVATE_DOMAINS: [&str; 9] = [
    "test",
    "localhost",
    "invalid",
    "example",
    "local",
    "internal",
    "corp",
    "home",
    "mail",
];

fn read_app_name(draft: &mut Draft, value: &str) -> Result<(), Rejection> {
    if value.is_empty() || value.len() > MAX_APP_NAME_LENGTH {
        return ignored(format!("write 1 to {MAX_APP_NAME_LENGTH} bytes"));
    }
    draft.uri.app_name = Some(value.to_owned());
    Ok(())
}

/// A mechanism that is not understood must not be replaced by the default one, which may show the
/// password to a server that should not see even a proof of it.
fn read_auth_mechanism(draft: &mut Draft, value: &str) -> Result<(), Rejection> {
    draft.auth.mechanism = Some(value.parse::<AuthMechanism>()?);
    Ok(())
}

fn read_compressors(draft: &mut Draft, value: &str) -> Result<(), Rejection> {
    let mut compressors = Vec::new();
    let mut unknown = false;
    for name in value.split(',') {
        match name {
            "zstd" => compressors.push(Compressor::Zstd { level: None }),
            "zlib" => compressors.push(Compressor::Zlib { level: None }),
            "snappy" => compressors.push(Compressor::Snappy),
            _ => unknown = true,
        }
    }
    draft.uri.compressors = Some(compressors).filter(|compressors| !compressors.is_empty());
    if unknown {
        return ignored("write zstd, zlib and snappy with commas between; others are left out");
    }
    Ok(())
}

fn read_zlib_level(draft: &mut Draft, value: &str) -> Result<(), Rejection> {
    draft.zlib_level = u32::try_from(parse_number(value, -1, 9)?).ok();
    Ok(())
}

fn read_heartbeat_frequency(draft: &mut Draft, value: &str) -> Result<(), Rejection> {
    let frequency = parse_millis(value, i64::from(i32::MAX))?;
    if frequency < ClientOptions::MIN_HEARTBEAT_FREQUENCY {
        return Err(Rejection::Fatal(Error::invalid_argument(format!(
            "heartbeatFrequencyMS is too small; use at least {}",
            ClientOptions::MIN_HEARTBEAT_FREQUENCY.as_millis()
        ))));
    }
    draft.uri.heartbeat_frequency = Some(frequency);
    Ok(())
}

fn read_monitoring_mode(draft: &mut Draft, value: &str) -> Result<(), Rejection> {
    match value.parse::<ServerMonitoringMode>() {
        Ok(mode) => draft.uri.server_monitoring_mode = Some(mode),
        Err(_) => return ignored("write auto, stream or poll"),
    }
    Ok(())
}

fn read_proxy_port(draft: &mut Draft, value: &str) -> Result<(), Rejection> {
    let port = parse_number(value, 1, i64::from(u16::MAX))?;
    draft.proxy.port = u16::try_from(port).ok();
    Ok(())
}

/// The SOCKS5 specification has empty names and passwords pass for absent ones.
fn read_proxy_username(draft: &mut Draft, value: &str) -> Result<(), Rejection> {
    draft.proxy.username = Some(value.to_owned()).filter(|name| !name.is_empty());
    Ok(())
}

fn read_proxy_password(draft: &mut Draft, value: &str) -> Result<(), Rejection> {
    draft.proxy.password = Some(value.to_owned()).filter(|password| !password.is_empty());
    Ok(())
}

/// A suffix that cannot be used is refused, because without it other hosts would be accepted.
fn read_srv_allowed_hosts_suffix(draft: &mut Draft, value: &str) -> Result<(), Rejection> {
    let suffix = value.trim_matches('.').to_ascii_lowercase();
    let is_domain = suffix.split('.').count() >= 2 && suffix.split('.').all(|it| !it.is_empty());
    if !is_domain && !PRIVATE_DOMAINS.contains(&suffix.as_str()) {
        return Err(Rejection::Fatal(Error::invalid_argument(
            "srvAllowedHostsSuffix is not a domain below a top-level one; write one such as \
             .example.com",
        )));
    }
    draft.uri.srv_allowed_hosts_suffix = Some(format!(".{suffix}"));
    Ok(())
}

fn read_srv_service_name(draft: &mut Draft, value: &str) -> Result<(), Rejection> {
    // RFC 6335 has fewer characters than a DNS label, but drivers have long taken longer names.
    let is_label = (1..=62).contains(&value.len())
        && value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !is_label {
        return ignored("write letters, digits and hyphens, 62 at most");
    }
    draft.uri.srv_service_name = Some(value.to_owned());
    Ok(())
}

/// Ignoring what cannot be read would send everything in clear text where TLS was meant.
fn read_tls(draft: &mut Draft, value: &str) -> Result<(), Rejection> {
    let Ok((enabled, is_deprecated)) = parse_flag(value) else {
        return Err(Rejection::Fatal(Error::invalid_argument(
            "the value of tls or ssl is neither true nor false",
        )));
    };
    if draft.tls.enabled.is_some_and(|before| before != enabled) {
        return Err(Rejection::Fatal(Error::invalid_argument(
            "the options tls and ssl contradict each other; write tls once",
        )));
    }
    draft.tls.enabled = Some(enabled);
    if is_deprecated {
        draft.warn_of_deprecated_flag("tls", value, enabled);
    }
    Ok(())
}

fn read_uuid_representation(draft: &mut Draft, value: &str) -> Result<(), Rejection> {
    use bson::UuidRepresentation::{CSharpLegacy, JavaLegacy, PythonLegacy, Standard};

    draft.uri.uuid_representation = match value {
        "unspecified" => None,
        "standard" => Some(Standard),
        "csharpLegacy" => Some(CSharpLegacy),
        "javaLegacy" => Some(JavaLegacy),
        "pythonLegacy" => Some(PythonLegacy),
        _ => {
            return ignored(
                "write standard, csharpLegacy, javaLegacy, pythonLegacy or unspecified",
            );
        }
    };
    Ok(())
}

fn read_w(draft: &mut Draft, value: &str) -> Result<(), Rejection> {
    let looks_like_a_number = value
        .strip_prefix('-')
        .unwrap_or(value)
        .bytes()
        .all(|byte| byte.is_ascii_digit());
    draft.write_concern.w = Some(if looks_like_a_number {
        parse_count(value, 0)?.into()
    } else {
        value.into()
    });
    Ok(())
}

fn read_w_timeout(draft: &mut Draft, value: &str) -> Result<(), Rejection> {
    draft.write_concern.w_timeout = Some(parse_millis(value, i64::MAX)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case_and_are_unique() {
        assert_eq!(find("MAXPOOLSIZE").unwrap().name, "maxPoolSize");
        let mut lower: Vec<_> = names().map(str::to_lowercase).collect();
        lower.sort();
        assert!(lower.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
