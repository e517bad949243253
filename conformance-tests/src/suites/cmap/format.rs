//! The files of the pool specification's tests.

use std::time::Duration;

use motorcade::error::{Error, ErrorKind};
use motorcade::internal::pool::PoolOptions;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Format {
    pub(super) version: u32,
    pub(super) style: Style,
    pub(super) description: String,
    #[serde(default)]
    pub(super) run_on: Vec<Requirement>,
    pub(super) fail_point: Option<Value>,
    #[serde(default)]
    pub(super) pool_options: Options,
    pub(super) operations: Vec<Operation>,
    pub(super) error: Option<ExpectedError>,
    #[serde(default)]
    pub(super) events: Vec<Value>,
    #[serde(default)]
    pub(super) ignore: Vec<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Style {
    Unit,
    Integration,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Requirement {
    pub(super) min_server_version: Option<String>,
    pub(super) max_server_version: Option<String>,
    pub(super) topology: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Options {
    max_pool_size: Option<u32>,
    min_pool_size: Option<u32>,
    #[serde(rename = "maxIdleTimeMS")]
    max_idle_time_ms: Option<u64>,
    max_connecting: Option<u32>,
    #[serde(rename = "waitQueueTimeoutMS")]
    wait_queue_timeout_ms: Option<u64>,
    #[serde(rename = "backgroundThreadIntervalMS")]
    background_thread_interval_ms: Option<i64>,
    pub(super) app_name: Option<String>,
}

impl Options {
    pub(super) fn as_pool_options(&self) -> Result<PoolOptions, String> {
        let unset = PoolOptions::default();
        let maintenance_interval = match self.background_thread_interval_ms {
            None => unset.maintenance_interval,
            Some(0) => return Err("backgroundThreadIntervalMS: 0 is not allowed".to_owned()),
            // A negative interval means that the background thread never runs.
            Some(millis) => u64::try_from(millis).ok().map(Duration::from_millis),
        };
        Ok(PoolOptions {
            max_pool_size: self.max_pool_size,
            min_pool_size: self.min_pool_size,
            max_idle_time: self.max_idle_time_ms.map(Duration::from_millis),
            max_connecting: self.max_connecting,
            wait_queue_timeout: self.wait_queue_timeout_ms.map(Duration::from_millis),
            maintenance_interval,
            ..unset
        })
    }
}

/// The members of all operations; which of them one has depends on its name.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Operation {
    pub(super) name: String,
    pub(super) thread: Option<String>,
    pub(super) target: Option<String>,
    pub(super) ms: Option<u64>,
    pub(super) event: Option<String>,
    pub(super) count: Option<usize>,
    pub(super) timeout: Option<u64>,
    pub(super) label: Option<String>,
    pub(super) connection: Option<String>,
    #[serde(default)]
    pub(super) interrupt_in_use_connections: bool,
    #[serde(rename = "comment")]
    _comment: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpectedError {
    #[serde(rename = "type")]
    pub(super) error_type: String,
    pub(super) message: Option<String>,
    pub(super) address: Option<Value>,
}

/// The specification's name for an error of a check-out.
pub(super) fn error_type(error: &Error) -> &'static str {
    match &*error.kind {
        ErrorKind::Timeout { .. } => "WaitQueueTimeoutError",
        ErrorKind::ConnectionPoolCleared { message, .. }
            if message.contains("closed connection pool") =>
        {
            "PoolClosedError"
        }
        ErrorKind::ConnectionPoolCleared { .. } => "PoolClearedError",
        _ => "error of another type",
    }
}
