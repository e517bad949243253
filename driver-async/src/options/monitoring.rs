//! How a server's state is watched.

use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use crate::error::{Error, Result};

/// How a server's state is watched, as the specification for server monitoring defines it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ServerMonitoringMode {
    /// The server reports its changes as they happen, where it can (4.4 and later).
    Stream,
    /// The server is asked once in each heartbeat interval.
    Poll,
    /// Polls where the program runs as a function of a cloud service, whose network sleeps between
    /// two calls, and streams elsewhere. This is the default.
    #[default]
    Auto,
}

impl FromStr for ServerMonitoringMode {
    type Err = Error;

    fn from_str(mode: &str) -> Result<Self> {
        match mode {
            "stream" => Ok(Self::Stream),
            "poll" => Ok(Self::Poll),
            "auto" => Ok(Self::Auto),
            _ => Err(Error::invalid_argument(
                "the server monitoring mode must be stream, poll or auto",
            )),
        }
    }
}

impl<'de> Deserialize<'de> for ServerMonitoringMode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}
