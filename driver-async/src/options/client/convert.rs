//! From a connection string to the options of a client.

use super::ClientOptions;
use crate::{
    error::{Error, Result},
    options::{ConnectionString, HostInfo, SelectionCriteria, Tls},
};

impl ClientOptions {
    /// The options that a connection string gives.
    ///
    /// What this release does not act on is ignored with a [warning](ClientOptions::warnings),
    /// unless ignoring it would be unsafe.
    ///
    /// # Errors
    /// An invalid-argument error when the connection string begins with `mongodb+srv://` or names
    /// a proxy, neither of which this release supports.
    pub fn from_connection_string(connection_string: ConnectionString) -> Result<Self> {
        let uri = connection_string;
        if uri.socks5_proxy.is_some() {
            return Err(Error::invalid_argument(
                "SOCKS5 proxies are not supported by this release; leave the options that begin \
                 with proxy out, and make the servers reachable without one",
            ));
        }
        let mut warnings = uri.warnings().to_vec();
        warnings.extend(not_supported(&uri));
        let wait_queue_timeout = uri.wait_queue_timeout();
        let HostInfo::HostIdentifiers(hosts) = uri.host_info else {
            return Err(Error::invalid_argument(
                "mongodb+srv:// is not supported by this release; write the hosts out in a \
                 mongodb:// connection string, with tls=true",
            ));
        };
        Ok(Self {
            hosts,
            app_name: uri.app_name,
            cmap_event_handler: None,
            command_event_handler: None,
            connect_timeout: uri.connect_timeout,
            credential: uri.credential,
            direct_connection: uri.direct_connection,
            driver_info: None,
            heartbeat_freq: uri.heartbeat_frequency,
            load_balanced: uri.load_balanced,
            local_threshold: uri.local_threshold,
            max_idle_time: uri.max_idle_time,
            max_pool_size: uri.max_pool_size,
            min_pool_size: uri.min_pool_size,
            max_connecting: uri.max_connecting,
            read_concern: uri.read_concern,
            repl_set_name: uri.replica_set,
            max_adaptive_retries: uri.max_adaptive_retries,
            enable_overload_retargeting: uri.enable_overload_retargeting,
            retry_reads: uri.retry_reads,
            retry_writes: uri.retry_writes,
            sdam_event_handler: None,
            selection_criteria: uri.read_preference.map(SelectionCriteria::ReadPreference),
            server_api: None,
            server_monitoring_mode: uri.server_monitoring_mode,
            server_selection_timeout: uri.server_selection_timeout,
            socket_timeout: uri.socket_timeout,
            default_database: uri.default_database,
            timeout: uri.timeout,
            tcp_user_timeout: None,
            tls: uri.tls,
            tracing_max_document_length_bytes: None,
            wait_queue_timeout,
            write_concern: uri.write_concern,
            warnings,
        })
    }
}

/// Warnings for the options that this release does not act on, where that is safe.
fn not_supported(uri: &ConnectionString) -> impl Iterator<Item = String> {
    let asks_for_revocation = uri.tls_disable_ocsp_endpoint_check == Some(false)
        || uri.tls_disable_certificate_revocation_check == Some(false);
    let has_key_password = matches!(&uri.tls, Some(Tls::Enabled(tls))
        if tls.tls_certificate_key_file_password.is_some());
    [
        (uri.compressors.is_some(), "compressors"),
        (uri.uuid_representation.is_some(), "uuidRepresentation"),
        (
            uri.server_selection_try_once.is_some(),
            "serverSelectionTryOnce",
        ),
        (has_key_password, "tlsCertificateKeyFilePassword"),
        (
            asks_for_revocation,
            "the check whether a certificate was revoked",
        ),
    ]
    .into_iter()
    .filter_map(|(is_asked_for, what)| is_asked_for.then_some(what))
    .map(|what| format!("{what} is not supported by this release and is ignored"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn convert(uri: &str) -> Result<ClientOptions> {
        ClientOptions::from_connection_string(ConnectionString::parse(uri).unwrap())
    }

    #[test]
    fn what_cannot_be_ignored_safely_is_refused() {
        for (uri, what) in [
            ("mongodb+srv://a.example.com", "mongodb+srv://"),
            ("mongodb://a/?proxyHost=p", "SOCKS5"),
        ] {
            let error = convert(uri).unwrap_err().to_string();
            assert!(
                error.contains(what) && error.contains("not supported"),
                "{error}"
            );
        }
    }

    #[test]
    fn what_is_ignored_is_warned_of() {
        let options = convert("mongodb://a/?compressors=zlib&nonsense=1").unwrap();
        let warnings = options.warnings().join("\n");
        for name in ["compressors", "option number 2"] {
            assert!(warnings.contains(name), "{name} in {warnings}");
        }
        let nothing_to_ignore = "mongodb://a/?enableOverloadRetargeting=false";
        assert_eq!(convert(nothing_to_ignore).unwrap().warnings().len(), 0);
    }

    #[test]
    fn debug_output_shows_no_secret() {
        let options = convert("mongodb://alice:hunter2@a/?tlsCertificateKeyFilePassword=swordfish");
        let text = format!("{:?}", options.unwrap());
        for secret in ["alice", "hunter2", "swordfish"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}
