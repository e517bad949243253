//! The messages about pools and their connections ("Connection Pool Logging" section of the pool
//! specification).

use super::{CONNECTION, LogContext, Whole, host, milliseconds};
use crate::event::{
    cmap::{CmapEvent, ConnectionCheckoutFailedReason, ConnectionClosedReason, PoolCreatedEvent},
    listeners::Logged,
};

/// A message with the fields that all have, and its own.
macro_rules! message {
    ($context:ident, $event:ident, $text:literal $(, $field:ident = $value:expr)*) => {
        tracing::debug!(
            target: CONNECTION,
            topologyId = $context.topology_id.to_hex(),
            serverHost = host(&$event.address),
            serverPort = $event.address.port(),
            $($field = $value,)*
            $text
        )
    };
}

impl Logged for CmapEvent {
    fn is_logged() -> bool {
        is_wanted!(CONNECTION, DEBUG)
    }

    fn log(&self, context: &LogContext) {
        match self {
            Self::PoolCreated(event) => log_created(event, context),
            Self::PoolReady(event) => message!(context, event, "Connection pool ready"),
            Self::PoolCleared(event) => message!(
                context,
                event,
                "Connection pool cleared",
                serviceId = event.service_id.map(|id| id.to_hex())
            ),
            Self::PoolClosed(event) => message!(context, event, "Connection pool closed"),
            Self::ConnectionCreated(event) => message!(
                context,
                event,
                "Connection created",
                driverConnectionId = event.connection_id
            ),
            Self::ConnectionReady(event) => message!(
                context,
                event,
                "Connection ready",
                driverConnectionId = event.connection_id,
                durationMS = milliseconds(event.duration)
            ),
            Self::ConnectionClosed(event) => message!(
                context,
                event,
                "Connection closed",
                driverConnectionId = event.connection_id,
                reason = closed_because(event.reason),
                error = event.error.as_ref().map(|error| Whole(error).to_string())
            ),
            Self::ConnectionCheckoutStarted(event) => {
                message!(context, event, "Connection checkout started");
            }
            Self::ConnectionCheckoutFailed(event) => message!(
                context,
                event,
                "Connection checkout failed",
                reason = failed_because(event.reason),
                error = event.error.as_ref().map(|error| Whole(error).to_string()),
                durationMS = milliseconds(event.duration)
            ),
            Self::ConnectionCheckedOut(event) => message!(
                context,
                event,
                "Connection checked out",
                driverConnectionId = event.connection_id,
                durationMS = milliseconds(event.duration)
            ),
            Self::ConnectionCheckedIn(event) => message!(
                context,
                event,
                "Connection checked in",
                driverConnectionId = event.connection_id
            ),
        }
    }
}

fn log_created(event: &PoolCreatedEvent, context: &LogContext) {
    let options = event.options.clone().unwrap_or_default();
    let whole =
        |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    message!(
        context,
        event,
        "Connection pool created",
        maxIdleTimeMS = options.max_idle_time.map(whole),
        minPoolSize = options.min_pool_size,
        maxPoolSize = options.max_pool_size,
        maxConnecting = options.max_connecting,
        waitQueueTimeoutMS = options.wait_queue_timeout.map(whole)
    );
}

fn closed_because(reason: ConnectionClosedReason) -> &'static str {
    match reason {
        ConnectionClosedReason::Stale => "Connection became stale because the pool was cleared",
        ConnectionClosedReason::Idle => {
            "Connection has been available but unused for longer than the configured max idle time"
        }
        ConnectionClosedReason::Error => "An error occurred while using the connection",
        ConnectionClosedReason::Dropped => "Connection was given up while it was being established",
        ConnectionClosedReason::PoolClosed => "Connection pool was closed",
    }
}

fn failed_because(reason: ConnectionCheckoutFailedReason) -> &'static str {
    match reason {
        ConnectionCheckoutFailedReason::Timeout => {
            "Wait queue timeout elapsed without a connection becoming available"
        }
        ConnectionCheckoutFailedReason::ConnectionError => {
            "An error occurred while trying to establish a new connection"
        }
        ConnectionCheckoutFailedReason::PoolClosed => "Connection pool was closed",
        ConnectionCheckoutFailedReason::Dropped => "Operation stopped waiting for a connection",
    }
}
