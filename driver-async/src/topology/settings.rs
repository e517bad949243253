//! The client's options as the layers below use them: defaults filled in, files read.

use std::time::Duration;

use bson::RawDocumentBuf;

use crate::{
    conn::Handshaker,
    error::Result,
    event::{EventHandler, cmap::CmapEvent, command::CommandEvent, log, sdam::SdamEvent},
    net::{Sockets, tls},
    options::{ClientOptions, ServerMonitoringMode, Tls},
    pool::PoolOptions,
};

/// The client's options as the layers below use them: defaults filled in, files read.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The limit for a socket, its encryption and its handshake; `None` for no limit.
    pub(crate) connect_timeout: Option<Duration>,
    /// The limit for one reply; `None` for no limit.
    pub(crate) socket_timeout: Option<Duration>,
    /// The limit of the client's operations, which also holds for each command by which a connection
    /// is made in the background; `None` for no limit.
    pub(crate) timeout: Option<Duration>,
    /// The limit for finding a server.
    pub(crate) server_selection_timeout: Duration,
    /// The time between two checks of a server.
    pub(crate) heartbeat_frequency: Duration,
    /// How much slower than the nearest a server may be to be chosen.
    pub(crate) local_threshold: Duration,
    /// Whether checks are streamed by the server.
    pub(crate) monitoring_mode: ServerMonitoringMode,
    /// Whether a failed read is tried again.
    pub(crate) retry_reads: bool,
    /// Whether a failed write is tried again.
    pub(crate) retry_writes: bool,
    /// How often an operation is tried again once a server was too busy.
    pub(crate) overload_retries: u32,
    /// Whether such an operation is tried on another member of a replica set.
    pub(crate) overload_retargeting: bool,
    /// Whether the deployment is behind a load balancer.
    pub(crate) load_balanced: bool,
    /// The declared API version, sent with every command.
    pub(crate) server_api: Option<RawDocumentBuf>,
    /// How sockets are made and encrypted.
    pub(crate) sockets: Sockets,
    /// How connections begin.
    pub(crate) handshaker: Handshaker,
    /// How pools are kept.
    pub(crate) pool: PoolOptions,
    /// The length after which documents are cut in the log.
    pub(crate) max_document_length: usize,
    /// Who listens to pools.
    pub(crate) cmap_event_handler: Option<EventHandler<CmapEvent>>,
    /// Who listens to commands.
    pub(crate) command_event_handler: Option<EventHandler<CommandEvent>>,
    /// Who listens to discovery.
    pub(crate) sdam_event_handler: Option<EventHandler<SdamEvent>>,
}

impl Settings {
    /// The settings that the client's options ask for.
    ///
    /// # Errors
    /// An invalid-TLS-configuration error for certificates that cannot be read, and those of
    /// [`Handshaker::new`].
    pub(crate) fn new(options: &ClientOptions) -> Result<Self> {
        let tls = match &options.tls {
            Some(Tls::Enabled(options)) => Some(tls::Config::new(options)?),
            Some(Tls::Disabled) | None => None,
        };
        let server_api = options
            .server_api
            .as_ref()
            .map(bson::serialize_to_raw_document_buf);
        Ok(Self {
            connect_timeout: options.connect_limit(),
            socket_timeout: options.socket_limit(),
            timeout: options.timeout.filter(|limit| !limit.is_zero()),
            server_selection_timeout: options.selection_limit(),
            heartbeat_frequency: options.heartbeat_frequency(),
            local_threshold: options.latency_window(),
            monitoring_mode: options.monitoring_mode(),
            retry_reads: options.retries_reads(),
            retry_writes: options.retries_writes(),
            overload_retries: options.overload_retries(),
            overload_retargeting: options.enable_overload_retargeting.unwrap_or(false),
            load_balanced: options.is_load_balanced(),
            server_api: server_api.transpose()?,
            sockets: Sockets {
                tls,
                user_timeout: options.user_timeout_limit(),
            },
            handshaker: Handshaker::new(options)?,
            pool: pool_options(options),
            max_document_length: max_document_length(options),
            cmap_event_handler: options.cmap_event_handler.clone(),
            command_event_handler: options.command_event_handler.clone(),
            sdam_event_handler: options.sdam_event_handler.clone(),
        })
    }
}

fn max_document_length(options: &ClientOptions) -> usize {
    let variable = std::env::var("MONGODB_LOG_MAX_DOCUMENT_LENGTH").ok();
    log::max_document_length(
        options.tracing_max_document_length_bytes,
        variable.as_deref(),
    )
}

fn pool_options(options: &ClientOptions) -> PoolOptions {
    PoolOptions {
        max_pool_size: options.max_pool_size,
        min_pool_size: options.min_pool_size,
        max_idle_time: options.idle_limit(),
        max_connecting: options.max_connecting,
        wait_queue_timeout: options.wait_queue_limit(),
        load_balanced: options.is_load_balanced(),
        // Any other limit ends an attempt by itself.
        max_abandoned: (options.connect_limit().is_none())
            .then_some(ClientOptions::DEFAULT_CONNECT_TIMEOUT),
        ..PoolOptions::default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn attempts_without_a_limit_end_when_nobody_waits_for_long() {
        let mut options = ClientOptions::default();
        assert_eq!(pool_options(&options).max_abandoned, None);
        options.connect_timeout = Some(Duration::ZERO);
        let limit = pool_options(&options).max_abandoned;
        assert_eq!(limit, Some(Duration::from_secs(10)));
    }
}
