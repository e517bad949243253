//! The client's options as the layers below use them: defaults filled in, files read.

use std::time::Duration;

use bson::RawDocumentBuf;

use crate::{
    conn::Handshaker,
    event::{EventHandler, cmap::CmapEvent, command::CommandEvent, sdam::SdamEvent},
    net::tls,
    options::ServerMonitoringMode,
    pool::PoolOptions,
};

/// The client's options as the layers below use them: defaults filled in, files read.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The limit for a socket, its encryption and its handshake; `None` for no limit.
    pub(crate) connect_timeout: Option<Duration>,
    /// The limit for one reply; `None` for no limit.
    pub(crate) socket_timeout: Option<Duration>,
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
    /// Whether the deployment is behind a load balancer.
    pub(crate) load_balanced: bool,
    /// The declared API version, sent with every command.
    pub(crate) server_api: Option<RawDocumentBuf>,
    /// How sockets are encrypted; `None` for not at all.
    pub(crate) tls: Option<tls::Config>,
    /// How connections begin.
    pub(crate) handshaker: Handshaker,
    /// How pools are kept.
    pub(crate) pool: PoolOptions,
    /// Who listens to pools.
    pub(crate) cmap_event_handler: Option<EventHandler<CmapEvent>>,
    /// Who listens to commands.
    pub(crate) command_event_handler: Option<EventHandler<CommandEvent>>,
    /// Who listens to discovery.
    pub(crate) sdam_event_handler: Option<EventHandler<SdamEvent>>,
}
