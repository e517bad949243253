//! Options that cannot be used, or not together.

use super::ClientOptions;
use crate::{
    error::{Error, Result},
    options::{AuthMechanism, ServerAddress, Tls},
};

/// The most bytes that an application's name may have, by the handshake specification.
pub(crate) const MAX_APP_NAME_LENGTH: usize = 128;

impl ClientOptions {
    /// Refuses options that cannot be used, or not together. Building a client does this first.
    ///
    /// # Errors
    /// An invalid-argument error that says what is wrong and what to change.
    pub fn validate(&self) -> Result<()> {
        self.validate_hosts()?;
        self.validate_limits()?;
        if let Some(write_concern) = &self.write_concern {
            write_concern.validate()?;
        }
        self.validate_credential()
    }

    fn validate_hosts(&self) -> Result<()> {
        if self.hosts.is_empty() {
            return Err(Error::invalid_argument(
                "there is no host to connect to; name at least one",
            ));
        }
        if cfg!(not(unix)) && self.hosts.iter().any(|host| host.path().is_some()) {
            return Err(Error::invalid_argument(
                "Unix domain sockets are not supported on this platform; use a host name",
            ));
        }
        validate_topology(&TopologyOptions {
            hosts: &self.hosts,
            repl_set_name: self.repl_set_name.as_deref(),
            direct_connection: self.direct_connection,
            load_balanced: self.load_balanced,
        })
    }

    fn validate_limits(&self) -> Result<()> {
        let (minimum, maximum) = (self.pool_minimum(), self.pool_maximum());
        if maximum != 0 && minimum > maximum {
            return Err(Error::invalid_argument(format!(
                "min_pool_size {minimum} is more than max_pool_size {maximum}; lower the one or \
                 raise the other"
            )));
        }
        if self.max_connecting == Some(0) {
            return Err(Error::invalid_argument(
                "max_connecting is 0, so no connection could be made; use at least 1",
            ));
        }
        if self.heartbeat_frequency() < Self::MIN_HEARTBEAT_FREQUENCY {
            return Err(Error::invalid_argument(format!(
                "the heartbeat frequency is {} ms; use at least {} ms",
                self.heartbeat_frequency().as_millis(),
                Self::MIN_HEARTBEAT_FREQUENCY.as_millis()
            )));
        }
        match &self.app_name {
            Some(name) if name.len() > MAX_APP_NAME_LENGTH => {
                Err(Error::invalid_argument(format!(
                    "the application's name has {} bytes; use at most {MAX_APP_NAME_LENGTH}",
                    name.len()
                )))
            }
            _ => Ok(()),
        }
    }

    fn validate_credential(&self) -> Result<()> {
        let Some(credential) = &self.credential else {
            return Ok(());
        };
        credential.validate()?;
        match &credential.mechanism {
            Some(AuthMechanism::MongoDbX509) if !self.has_client_certificate() => {
                Err(Error::invalid_argument(
                    "MONGODB-X509 needs TLS with a client certificate; set cert_key_file_path of \
                     the TLS options, or tlsCertificateKeyFile in a connection string",
                ))
            }
            Some(mechanism) if !mechanism.is_supported() => Err(Error::invalid_argument(format!(
                "authentication by {} is not supported by this release; use SCRAM-SHA-256, \
                 SCRAM-SHA-1, MONGODB-X509 or PLAIN",
                mechanism.as_str()
            ))),
            _ => Ok(()),
        }
    }

    fn has_client_certificate(&self) -> bool {
        matches!(&self.tls, Some(Tls::Enabled(tls)) if tls.cert_key_file_path.is_some())
    }
}

/// The options that say what kind of deployment is expected.
pub(crate) struct TopologyOptions<'a> {
    /// The hosts; empty when they are not known yet.
    pub(crate) hosts: &'a [ServerAddress],
    pub(crate) repl_set_name: Option<&'a str>,
    pub(crate) direct_connection: Option<bool>,
    pub(crate) load_balanced: Option<bool>,
}

/// Refuses a mixture of options that no deployment fits; see the load balancer and URI options
/// specifications.
pub(crate) fn validate_topology(options: &TopologyOptions<'_>) -> Result<()> {
    let several = options.hosts.len() > 1;
    let direct = options.direct_connection == Some(true);
    if direct && several {
        return Err(Error::invalid_argument(
            "directConnection=true speaks to one host alone; name one host, or leave \
             directConnection out",
        ));
    }
    if options.load_balanced != Some(true) {
        return Ok(());
    }
    let reason = if several {
        "several hosts; name the load balancer alone"
    } else if options.repl_set_name.is_some() {
        "replicaSet; leave one of them out"
    } else if direct {
        "directConnection=true; leave one of them out"
    } else {
        return Ok(());
    };
    Err(Error::invalid_argument(format!(
        "loadBalanced=true cannot be combined with {reason}"
    )))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::options::{Credential, TlsOptions, WriteConcern};

    fn refused(options: ClientOptions) -> String {
        options.validate().unwrap_err().to_string()
    }

    fn two_hosts() -> Vec<ServerAddress> {
        vec![
            ServerAddress::parse("a").unwrap(),
            ServerAddress::parse("b").unwrap(),
        ]
    }

    #[test]
    fn a_direct_connection_has_one_host() {
        let options = ClientOptions::builder().direct_connection(true);
        assert!(options.clone().build().validate().is_ok());
        assert!(refused(options.hosts(two_hosts()).build()).contains("directConnection"));
    }

    #[test]
    fn a_load_balancer_stands_alone() {
        let options = ClientOptions::builder().load_balanced(true);
        assert!(options.clone().build().validate().is_ok());
        assert!(refused(options.clone().hosts(two_hosts()).build()).contains("several hosts"));
        assert!(refused(options.clone().direct_connection(true).build()).contains("direct"));
        let named = options.repl_set_name("rs".to_owned()).build();
        assert!(refused(named).contains("replicaSet"));
    }

    #[test]
    fn pool_sizes_must_fit_unless_unlimited() {
        let options = ClientOptions::builder().min_pool_size(5);
        assert!(options.clone().max_pool_size(0).build().validate().is_ok());
        assert!(options.clone().max_pool_size(5).build().validate().is_ok());
        assert!(refused(options.max_pool_size(4).build()).contains("min_pool_size"));
    }

    #[test]
    fn impossible_numbers_are_refused() {
        let frequent = ClientOptions::builder().heartbeat_freq(Duration::from_millis(499));
        assert!(refused(frequent.build()).contains("500 ms"));
        let unconnected = ClientOptions::builder().max_connecting(0).build();
        assert!(refused(unconnected).contains("max_connecting"));
        let named = ClientOptions::builder().app_name("é".repeat(65)).build();
        assert!(refused(named).contains("128"));
        let concern = WriteConcern {
            journal: Some(true),
            ..WriteConcern::nodes(0)
        };
        let unacknowledged = ClientOptions::builder().write_concern(concern).build();
        assert!(refused(unacknowledged).contains("journal"));
        assert!(refused(ClientOptions::builder().hosts(vec![]).build()).contains("host"));
    }

    #[test]
    fn mechanisms_that_are_not_spoken_are_refused() {
        let credential = Credential::builder()
            .username("u".to_owned())
            .mechanism(AuthMechanism::Gssapi);
        let options = ClientOptions::builder().credential(credential.build());
        assert!(refused(options.build()).contains("GSSAPI"));
    }

    #[test]
    fn x509_needs_a_client_certificate() {
        let credential = Credential::builder().mechanism(AuthMechanism::MongoDbX509);
        let options = ClientOptions::builder().credential(credential.build());
        let plain = options.clone().build();
        assert!(refused(plain).contains("tlsCertificateKeyFile"));
        let tls = TlsOptions::builder().cert_key_file_path(std::path::PathBuf::from("c.pem"));
        assert!(options.tls(tls.build()).build().validate().is_ok());
    }
}
