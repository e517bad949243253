//! The options of a client.

mod convert;
mod defaults;
mod notice;
mod validate;

use std::time::Duration;

use serde::Deserialize;
use typed_builder::TypedBuilder;

use super::{
    Credential, DriverInfo, ReadConcern, SelectionCriteria, ServerAddress, ServerApi,
    ServerMonitoringMode, Tls, WriteConcern,
};
use crate::event::{EventHandler, cmap::CmapEvent, command::CommandEvent, sdam::SdamEvent};

pub(crate) use validate::{MAX_APP_NAME_LENGTH, TopologyOptions, validate_topology};

/// The options of a client.
///
/// They come from [`ClientOptions::parse`], from [`ClientOptions::builder`], or from the default,
/// and every field may be changed before the client is built. A field that is set after a
/// connection string was parsed beats the connection string.
///
/// Debug output shows no secret.
///
/// ```
/// use std::time::Duration;
///
/// use motorcade::options::{ClientOptions, ServerAddress};
///
/// let mut options = ClientOptions::builder()
///     .hosts(vec![ServerAddress::parse("db.example.com").unwrap()])
///     .app_name("reports".to_owned())
///     .build();
/// options.connect_timeout = Some(Duration::from_secs(2));
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ClientOptions {
    /// The servers to begin with; from one member, the client learns of all members of its set.
    /// The default is `localhost:27017`.
    #[builder(default = default_hosts())]
    #[serde(default = "default_hosts")]
    pub hosts: Vec<ServerAddress>,

    /// A name for the application, which shows up in the server's logs; at most 128 bytes.
    pub app_name: Option<String>,

    /// Receives the events of the connection pools.
    #[builder(setter(strip_option))]
    #[serde(skip)]
    pub cmap_event_handler: Option<EventHandler<CmapEvent>>,

    /// Receives the events of commands.
    #[builder(setter(strip_option))]
    #[serde(skip)]
    pub command_event_handler: Option<EventHandler<CommandEvent>>,

    /// How long making a connection may take, TLS included, and how long a check of a server may
    /// take; zero for no limit. The default is 10 seconds.
    pub connect_timeout: Option<Duration>,

    /// Who the client is. Without one, connections are not authenticated.
    pub credential: Option<Credential>,

    /// Whether the client speaks to the one host alone, whatever that host belongs to. The default
    /// is false.
    pub direct_connection: Option<bool>,

    /// What a library built on this driver tells the server about itself.
    pub driver_info: Option<DriverInfo>,

    /// The time from one check of a server to the next; at least 500 milliseconds. The default is
    /// 10 seconds.
    pub heartbeat_freq: Option<Duration>,

    /// Whether the host is a load balancer. The default is false.
    #[serde(rename = "loadbalanced")]
    pub load_balanced: Option<bool>,

    /// How much farther away than the nearest suitable server another one may be and still be
    /// used. The default is 15 milliseconds.
    pub local_threshold: Option<Duration>,

    /// How long a connection may lie idle before it is closed; zero for no limit, which is the
    /// default.
    pub max_idle_time: Option<Duration>,

    /// The most connections a server's pool holds, those in use included; zero for no limit. The
    /// default is 100.
    pub max_pool_size: Option<u32>,

    /// The fewest connections a server's pool holds, made ahead of need. The default is zero.
    pub min_pool_size: Option<u32>,

    /// The most connections that a pool makes at once; at least 1. The default is 2.
    pub max_connecting: Option<u32>,

    /// How often an operation is tried again, after growing waits, when a server is too busy to
    /// begin with it. The default is 2; 0 turns it off.
    ///
    /// That goes for every command: for reads while [`retry_reads`](Self::retry_reads) is set, for
    /// writes while [`retry_writes`](Self::retry_writes) is, for commands that the driver does not
    /// know while both are, and always for the end of a transaction. A program that tries again by
    /// itself multiplies these attempts. See the client backpressure specification.
    pub max_adaptive_retries: Option<u32>,

    /// Whether an operation that a busy server refused is tried again on another member of the
    /// replica set, where its read preference allows. The default is false.
    pub enable_overload_retargeting: Option<bool>,

    /// The read concern of operations that have none of their own.
    pub read_concern: Option<ReadConcern>,

    /// The name of the replica set that the hosts must belong to.
    pub repl_set_name: Option<String>,

    /// Whether a read is tried once more when the connection fails, or for as long as its
    /// [`timeout`](Self::timeout) allows. The default is true.
    pub retry_reads: Option<bool>,

    /// Whether a write is tried once more when the connection fails, or for as long as its
    /// [`timeout`](Self::timeout) allows. The default is true.
    pub retry_writes: Option<bool>,

    /// Receives the events of discovery and monitoring.
    #[builder(setter(strip_option))]
    #[serde(skip)]
    pub sdam_event_handler: Option<EventHandler<SdamEvent>>,

    /// Which servers serve reads that have no read preference of their own. The default is the
    /// primary.
    pub selection_criteria: Option<SelectionCriteria>,

    /// The version of the stable API that every command declares.
    pub server_api: Option<ServerApi>,

    /// How the state of servers is watched.
    pub server_monitoring_mode: Option<ServerMonitoringMode>,

    /// How long an operation waits for a suitable server; zero to fail at once when none is known.
    /// The default is 30 seconds.
    pub server_selection_timeout: Option<Duration>,

    /// How long one read from or write to a connection may take on behalf of an operation; zero
    /// for no limit, which is the default. A [`timeout`](Self::timeout) puts it out of force.
    pub socket_timeout: Option<Duration>,

    /// The database that `Client::default_database` gives, as the path of a connection string
    /// names it.
    pub default_database: Option<String>,

    /// How long an operation may take as a whole: selecting a server, waiting for a connection and
    /// making it, all attempts and all commands. Zero for no limit; the default is unset.
    ///
    /// Databases, collections, sessions and single operations can be given another limit, but not
    /// none at all: where one is set, the older limits are out of force
    /// ([`socket_timeout`](Self::socket_timeout), [`wait_queue_timeout`](Self::wait_queue_timeout),
    /// a write concern's `w_timeout`, and `max_time` and `max_commit_time` of operations), failed
    /// attempts are repeated for as long as there is time and another one may help, and the server
    /// is told as `maxTimeMS` how long it may work. An operation that runs out of time fails with
    /// [`ErrorKind::OperationTimeout`](crate::error::ErrorKind::OperationTimeout).
    /// [`server_selection_timeout`](Self::server_selection_timeout) and
    /// [`connect_timeout`](Self::connect_timeout) hold nevertheless, where they are shorter.
    /// Monitoring does not use it. Follows the client side operations timeout specification.
    #[serde(
        default,
        rename = "timeoutMS",
        alias = "timeout",
        with = "crate::options::serde_shapes::millis"
    )]
    pub timeout: Option<Duration>,

    /// How long sent data may remain unacknowledged, or a full receive buffer of the server may
    /// hold it back, before the connection counts as lost; zero for the operating system's own
    /// limit, which is about 15 minutes on Linux. The default is 60 seconds.
    ///
    /// This is the socket option `TCP_USER_TIMEOUT` of
    /// [tcp(7)](https://man7.org/linux/man-pages/man7/tcp.7.html); it is ignored on systems without
    /// it. It detects connections whose other end has vanished. It does not limit how long a server
    /// may work on a command: its operating system acknowledges what it receives meanwhile. There
    /// is no connection string option for it.
    pub tcp_user_timeout: Option<Duration>,

    /// Whether connections are encrypted.
    pub tls: Option<Tls>,

    /// How many bytes of a command or reply a log message shows; see [`event::log`]. The default is
    /// the environment variable `MONGODB_LOG_MAX_DOCUMENT_LENGTH`, else 1000.
    ///
    /// [`event::log`]: crate::event::log
    pub tracing_max_document_length_bytes: Option<usize>,

    /// How long an operation waits for a connection when all are in use; zero for no limit, which
    /// is the default. A [`timeout`](Self::timeout) puts it out of force.
    pub wait_queue_timeout: Option<Duration>,

    /// The write concern of operations that have none of their own.
    pub write_concern: Option<WriteConcern>,

    /// What the user should know about the connection string that these options came from.
    #[builder(setter(skip))]
    #[serde(skip)]
    warnings: Vec<String>,
}

impl ClientOptions {
    /// What the user should know about the connection string that these options came from, such as
    /// options that were ignored. A client that is built from them logs each once.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Whether files are read when a client is built.
    pub(crate) fn names_files(&self) -> bool {
        matches!(&self.tls, Some(Tls::Enabled(tls))
            if tls.ca_file_path.is_some() || tls.cert_key_file_path.is_some())
    }

    /// Logs the warnings, and a notice when the hosts belong to a service that is not MongoDB; for
    /// a client to call once.
    pub(crate) fn log_warnings(&self) {
        for warning in &self.warnings {
            tracing::warn!("{warning}");
        }
        if let Some(notice) = notice::for_hosts(&self.hosts) {
            tracing::info!("{notice}");
        }
    }
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self::builder().build()
    }
}

fn default_hosts() -> Vec<ServerAddress> {
    vec![ServerAddress::default()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_client_speaks_to_this_host() {
        assert_eq!(
            ClientOptions::default().hosts,
            [ServerAddress::parse("localhost:27017").unwrap()]
        );
    }

    #[test]
    fn setters_take_values_and_options() {
        let options = ClientOptions::builder()
            .app_name("app".to_owned())
            .repl_set_name(None)
            .retry_writes(false)
            .command_event_handler(EventHandler::callback(|_| ()))
            .build();
        assert_eq!(options.app_name.as_deref(), Some("app"));
        assert_eq!(options.retry_writes, Some(false));
        assert!(options.command_event_handler.is_some());
    }

    #[test]
    fn options_are_read_from_a_configuration_file() {
        let options: ClientOptions = serde_json::from_value(serde_json::json!({
            "hosts": ["db.example.com:27018"],
            "replSetName": "rs",
            "credential": { "username": "u", "password": "p", "mechanism": "SCRAM-SHA-256" },
        }))
        .unwrap();
        assert_eq!(options.hosts.len(), 1);
        assert_eq!(options.repl_set_name.as_deref(), Some("rs"));
        assert!(options.credential.is_some());
    }
}
