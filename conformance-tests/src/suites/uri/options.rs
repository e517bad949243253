//! The options of a connection string, by the names that the cases give them.

use std::time::Duration;

use bson::{Bson, Document};
use motorcade::options::{
    ClientOptions, Compressor, ConnectionString, Credential, ReadConcern, ReadPreference, Tls,
    WriteConcern,
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Check;

/// The options that a type knows, by name in lower case; null where one is not set.
pub(super) struct Found(Map<String, Value>);

impl Found {
    fn put(&mut self, name: &str, value: Option<impl Serialize>) {
        let value = value.map_or(Value::Null, |value| json!(value));
        self.0.insert(name.to_lowercase(), value);
    }

    fn put_duration(&mut self, name: &str, value: Option<Duration>) {
        self.put(name, value.map(|value| value.as_millis() as u64));
    }

    fn put_credential(&mut self, credential: Option<&Credential>) {
        let mechanism = credential.and_then(|credential| credential.mechanism.as_ref());
        let properties = credential.and_then(|credential| credential.mechanism_properties.as_ref());
        self.put("authMechanism", mechanism.map(|it| it.as_str()));
        self.put("authMechanismProperties", properties.map(relaxed_object));
        self.put(
            "authSource",
            credential.and_then(|credential| credential.source.as_ref()),
        );
    }

    fn put_tls(&mut self, tls: Option<&Tls>) {
        let options = match tls {
            Some(Tls::Enabled(options)) => Some(options),
            _ => None,
        };
        let is_enabled = tls.map(|tls| matches!(tls, Tls::Enabled(_)));
        self.put("tls", is_enabled);
        self.put("ssl", is_enabled);
        let certificates = options.and_then(|it| it.allow_invalid_certificates);
        let hostnames = options.and_then(|it| it.allow_invalid_hostnames);
        self.put("tlsAllowInvalidCertificates", certificates);
        self.put("tlsAllowInvalidHostnames", hostnames);
        self.put(
            "tlsInsecure",
            certificates.filter(|_| certificates == hostnames),
        );
        self.put(
            "tlsCAFile",
            options.and_then(|options| options.ca_file_path.as_ref()),
        );
        self.put(
            "tlsCertificateKeyFile",
            options.and_then(|options| options.cert_key_file_path.as_ref()),
        );
        self.put(
            "tlsCertificateKeyFilePassword",
            options
                .and_then(|options| options.tls_certificate_key_file_password.as_deref())
                .map(String::from_utf8_lossy),
        );
    }

    fn put_read_preference(&mut self, preference: Option<&ReadPreference>) {
        let options = preference.and_then(ReadPreference::options);
        self.put("readPreference", preference.map(ReadPreference::mode));
        self.put(
            "readPreferenceTags",
            options.and_then(|options| options.tag_sets.as_ref()),
        );
        let staleness = preference.and_then(ReadPreference::max_staleness);
        self.put("maxStalenessSeconds", staleness.map(|it| it.as_secs()));
    }

    fn put_concerns(&mut self, read: Option<&ReadConcern>, write: Option<&WriteConcern>) {
        self.put("readConcernLevel", read.map(|read| read.level.as_str()));
        self.put("w", write.and_then(|write| write.w.as_ref()));
        self.put_duration("wTimeoutMS", write.and_then(|write| write.w_timeout));
        self.put("journal", write.and_then(|write| write.journal));
    }
}

/// What a connection string says.
pub(super) fn of_string(uri: &ConnectionString) -> Found {
    let mut found = Found(Map::new());
    found.put("appName", uri.app_name.as_ref());
    found.put_credential(uri.credential.as_ref());
    let compressors = uri.compressors.as_deref();
    let names = compressors.map(|all| all.iter().map(Compressor::as_str).collect::<Vec<_>>());
    found.put("compressors", names);
    let level = compressors
        .unwrap_or_default()
        .iter()
        .find_map(|one| match one {
            Compressor::Zlib { level } => Some(level.map_or(-1, i64::from)),
            _ => None,
        });
    found.put("zlibCompressionLevel", level);
    found.put_duration("connectTimeoutMS", uri.connect_timeout);
    found.put("directConnection", uri.direct_connection);
    found.put("enableOverloadRetargeting", uri.enable_overload_retargeting);
    found.put_duration("heartbeatFrequencyMS", uri.heartbeat_frequency);
    found.put("loadBalanced", uri.load_balanced);
    found.put_duration("localThresholdMS", uri.local_threshold);
    found.put("maxAdaptiveRetries", uri.max_adaptive_retries);
    found.put("maxConnecting", uri.max_connecting);
    found.put_duration("maxIdleTimeMS", uri.max_idle_time);
    found.put("maxPoolSize", uri.max_pool_size);
    found.put("minPoolSize", uri.min_pool_size);
    let proxy = uri.socks5_proxy.as_ref();
    let proxy_user = proxy.and_then(|proxy| proxy.authentication.as_ref());
    found.put("proxyHost", proxy.map(|proxy| &proxy.host));
    found.put("proxyPort", proxy.and_then(|proxy| proxy.port));
    found.put("proxyUsername", proxy_user.map(|(name, _)| name));
    found.put("proxyPassword", proxy_user.map(|(_, password)| password));
    found.put_concerns(uri.read_concern.as_ref(), uri.write_concern.as_ref());
    found.put_read_preference(uri.read_preference.as_ref());
    found.put("replicaSet", uri.replica_set.as_ref());
    found.put("retryReads", uri.retry_reads);
    found.put("retryWrites", uri.retry_writes);
    found.put("serverMonitoringMode", uri.server_monitoring_mode.as_ref());
    found.put_duration("serverSelectionTimeoutMS", uri.server_selection_timeout);
    found.put("serverSelectionTryOnce", uri.server_selection_try_once);
    found.put_duration("socketTimeoutMS", uri.socket_timeout);
    found.put("srvMaxHosts", uri.srv_max_hosts);
    found.put("srvServiceName", uri.srv_service_name.as_ref());
    found.put(
        "srvAllowedHostsSuffix",
        uri.srv_allowed_hosts_suffix.as_ref(),
    );
    found.put_duration("timeoutMS", uri.timeout);
    found.put_tls(uri.tls.as_ref());
    found.put("tlsInsecure", uri.tls_insecure());
    let revocation = uri.tls_disable_certificate_revocation_check;
    found.put("tlsDisableCertificateRevocationCheck", revocation);
    let endpoint = uri.tls_disable_ocsp_endpoint_check;
    found.put("tlsDisableOCSPEndpointCheck", endpoint);
    found.put_duration("waitQueueTimeoutMS", uri.wait_queue_timeout());
    found
}

/// What arrives in the options of a client.
fn of_client(client: &ClientOptions) -> Found {
    let mut found = Found(Map::new());
    found.put("appName", client.app_name.as_ref());
    found.put_credential(client.credential.as_ref());
    found.put_duration("connectTimeoutMS", client.connect_timeout);
    found.put("directConnection", client.direct_connection);
    found.put(
        "enableOverloadRetargeting",
        client.enable_overload_retargeting,
    );
    found.put_duration("heartbeatFrequencyMS", client.heartbeat_freq);
    found.put("loadBalanced", client.load_balanced);
    found.put_duration("localThresholdMS", client.local_threshold);
    found.put("maxAdaptiveRetries", client.max_adaptive_retries);
    found.put("maxConnecting", client.max_connecting);
    found.put_duration("maxIdleTimeMS", client.max_idle_time);
    found.put("maxPoolSize", client.max_pool_size);
    found.put("minPoolSize", client.min_pool_size);
    found.put_concerns(client.read_concern.as_ref(), client.write_concern.as_ref());
    let criteria = client.selection_criteria.as_ref();
    found.put_read_preference(criteria.and_then(|criteria| criteria.as_read_preference()));
    found.put("replicaSet", client.repl_set_name.as_ref());
    found.put("retryReads", client.retry_reads);
    found.put("retryWrites", client.retry_writes);
    found.put(
        "serverMonitoringMode",
        client.server_monitoring_mode.as_ref(),
    );
    found.put_duration("serverSelectionTimeoutMS", client.server_selection_timeout);
    found.put_duration("socketTimeoutMS", client.socket_timeout);
    found.put_duration("timeoutMS", client.timeout);
    found.put_tls(client.tls.as_ref());
    found.put_duration("waitQueueTimeoutMS", client.wait_queue_timeout);
    found
}

/// Options that the driver reads and does not act on; a client must be told so, save where the
/// value asks for what happens anyway.
const NOT_ACTED_ON: [&str; 5] = [
    "compressors",
    "zlibcompressionlevel",
    "serverselectiontryonce",
    "tlsdisableocspendpointcheck",
    "tlsdisablecertificaterevocationcheck",
];

/// Compares what a case expects with what was found, each option under any spelling of its name.
pub(super) fn check(of: &str, expected: &Map<String, Value>, found: &Found) -> Check {
    for (name, expected) in expected {
        let mut expected = expected.clone();
        if let Value::Object(members) = &mut expected {
            spell_booleans(members);
        }
        // No limit on the staleness is the absence of a limit.
        if name.eq_ignore_ascii_case("maxStalenessSeconds") && expected == json!(-1) {
            expected = Value::Null;
        }
        match found.0.get(&name.to_lowercase()) {
            None => return Err(format!("{of} knows no option {name}")),
            Some(found) if *found == expected => {}
            Some(found) => {
                return Err(format!("{of}, {name}: expected {expected}, found {found}"));
            }
        }
    }
    Ok(())
}

/// Like [`check`], but an option that is not acted on needs a warning in place of a value.
pub(super) fn check_client(expected: &Map<String, Value>, client: &ClientOptions) -> Check {
    let mut kept = expected.clone();
    for (name, value) in expected {
        if !NOT_ACTED_ON.contains(&name.to_lowercase().as_str()) {
            continue;
        }
        kept.shift_remove(name);
        let asks_for_something = !value.is_boolean() && !name.starts_with("zlib");
        let is_told = client
            .warnings()
            .iter()
            .any(|warning| warning.contains("not supported") && warning.contains(name.as_str()));
        if asks_for_something && !is_told {
            return Err(format!(
                "no warning that {name} is not supported among {:?}",
                client.warnings()
            ));
        }
    }
    check("ClientOptions", &kept, &of_client(client))
}

/// A document as the cases write it.
pub(super) fn relaxed_object(document: &Document) -> Map<String, Value> {
    match Bson::Document(document.clone()).into_relaxed_extjson() {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// The cases write some properties of mechanisms as booleans, which a connection string cannot.
pub(super) fn spell_booleans(properties: &mut Map<String, Value>) {
    for value in properties.values_mut() {
        if let Value::Bool(flag) = value {
            *value = json!(flag.to_string());
        }
    }
}
