//! What applies where an option is not set.

use std::time::Duration;

use super::ClientOptions;
use crate::options::ServerMonitoringMode;

impl ClientOptions {
    /// How long making a connection may take, unless another limit is set.
    pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
    /// The time from one check of a server to the next, unless another is set.
    pub const DEFAULT_HEARTBEAT_FREQUENCY: Duration = Duration::from_secs(10);
    /// The least that the time from one check of a server to the next may be set to.
    pub const MIN_HEARTBEAT_FREQUENCY: Duration = Duration::from_millis(500);
    /// How much farther away than the nearest suitable server another may be, unless set.
    pub const DEFAULT_LOCAL_THRESHOLD: Duration = Duration::from_millis(15);
    /// How long an operation waits for a suitable server, unless another limit is set.
    pub const DEFAULT_SERVER_SELECTION_TIMEOUT: Duration = Duration::from_secs(30);
    /// How long sent data may be unacknowledged, unless another limit is set: longer than most
    /// interruptions of a network, and shorter than most people's patience.
    pub const DEFAULT_TCP_USER_TIMEOUT: Duration = Duration::from_secs(60);
    /// The most connections a pool holds, unless another number is set.
    pub const DEFAULT_MAX_POOL_SIZE: u32 = 100;
    /// How often an operation is tried again after an overload, unless
    /// [`ClientOptions::max_adaptive_retries`] says otherwise.
    pub const DEFAULT_MAX_ADAPTIVE_RETRIES: u32 = 2;
    /// The most connections a pool makes at once, unless another number is set.
    pub const DEFAULT_MAX_CONNECTING: u32 = 2;

    /// How long making a connection may take; `None` for no limit.
    pub(crate) fn connect_limit(&self) -> Option<Duration> {
        unless_zero(Some(
            self.connect_timeout
                .unwrap_or(Self::DEFAULT_CONNECT_TIMEOUT),
        ))
    }

    /// The time from one check of a server to the next.
    pub(crate) fn heartbeat_frequency(&self) -> Duration {
        self.heartbeat_freq
            .unwrap_or(Self::DEFAULT_HEARTBEAT_FREQUENCY)
    }

    /// How much farther away than the nearest suitable server another one may be.
    pub(crate) fn latency_window(&self) -> Duration {
        self.local_threshold
            .unwrap_or(Self::DEFAULT_LOCAL_THRESHOLD)
    }

    /// How long an operation waits for a suitable server; zero to fail at once.
    pub(crate) fn selection_limit(&self) -> Duration {
        self.server_selection_timeout
            .unwrap_or(Self::DEFAULT_SERVER_SELECTION_TIMEOUT)
    }

    /// How long an operation waits for a connection; `None` for no limit.
    pub(crate) fn wait_queue_limit(&self) -> Option<Duration> {
        unless_zero(self.wait_queue_timeout)
    }

    /// How long one read or write may take; `None` for no limit.
    pub(crate) fn socket_limit(&self) -> Option<Duration> {
        unless_zero(self.socket_timeout)
    }

    /// How long sent data may be unacknowledged; `None` for the operating system's own limit.
    pub(crate) fn user_timeout_limit(&self) -> Option<Duration> {
        unless_zero(Some(
            self.tcp_user_timeout
                .unwrap_or(Self::DEFAULT_TCP_USER_TIMEOUT),
        ))
    }

    /// How long a connection may lie idle; `None` for no limit.
    pub(crate) fn idle_limit(&self) -> Option<Duration> {
        unless_zero(self.max_idle_time)
    }

    /// The most connections a pool holds; zero for no limit.
    pub(crate) fn pool_maximum(&self) -> u32 {
        self.max_pool_size.unwrap_or(Self::DEFAULT_MAX_POOL_SIZE)
    }

    /// The fewest connections a pool holds.
    pub(crate) fn pool_minimum(&self) -> u32 {
        self.min_pool_size.unwrap_or(0)
    }

    /// Whether reads are retried.
    pub(crate) fn retries_reads(&self) -> bool {
        self.retry_reads.unwrap_or(true)
    }

    /// Whether writes are retried.
    pub(crate) fn retries_writes(&self) -> bool {
        self.retry_writes.unwrap_or(true)
    }

    /// How often an operation is tried again after an overload.
    pub(crate) fn overload_retries(&self) -> u32 {
        self.max_adaptive_retries
            .unwrap_or(Self::DEFAULT_MAX_ADAPTIVE_RETRIES)
    }

    /// Whether the host is a load balancer.
    pub(crate) fn is_load_balanced(&self) -> bool {
        self.load_balanced == Some(true)
    }

    /// How servers are watched.
    pub(crate) fn monitoring_mode(&self) -> ServerMonitoringMode {
        self.server_monitoring_mode.unwrap_or_default()
    }
}

fn unless_zero(limit: Option<Duration>) -> Option<Duration> {
    limit.filter(|limit| !limit.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_means_no_limit() {
        let options = ClientOptions::builder()
            .connect_timeout(Duration::ZERO)
            .wait_queue_timeout(Duration::ZERO)
            .socket_timeout(Duration::ZERO)
            .max_idle_time(Duration::ZERO)
            .tcp_user_timeout(Duration::ZERO)
            .build();
        assert_eq!(options.connect_limit(), None);
        assert_eq!(options.wait_queue_limit(), None);
        assert_eq!(options.socket_limit(), None);
        assert_eq!(options.idle_limit(), None);
        assert_eq!(options.user_timeout_limit(), None);
    }

    #[test]
    fn defaults_are_those_of_the_specifications() {
        let options = ClientOptions::default();
        assert_eq!(options.connect_limit(), Some(Duration::from_secs(10)));
        assert_eq!(options.selection_limit(), Duration::from_secs(30));
        assert_eq!(options.latency_window(), Duration::from_millis(15));
        assert_eq!(options.heartbeat_frequency(), Duration::from_secs(10));
        assert_eq!((options.pool_minimum(), options.pool_maximum()), (0, 100));
        assert_eq!(ClientOptions::DEFAULT_MAX_CONNECTING, 2);
        assert!(options.retries_reads() && options.retries_writes());
        assert_eq!(options.monitoring_mode(), ServerMonitoringMode::Auto);
        assert!(!options.is_load_balanced());
    }
}
