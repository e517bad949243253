//! The stable API: which version of the server's commands an application relies on.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use typed_builder::TypedBuilder;

use crate::error::{Error, Result};

/// The version of the stable API that every command declares, and how strictly the server holds
/// commands to it.
///
/// Follows the versioned API specification. It cannot be set in a connection string.
///
/// ```
/// use motorcade::options::{ServerApi, ServerApiVersion};
///
/// let api = ServerApi::builder().version(ServerApiVersion::V1).strict(true).build();
/// assert_eq!(api.version.to_string(), "1");
/// ```
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, TypedBuilder)]
#[builder(field_defaults(setter(into)))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ServerApi {
    /// The version.
    #[serde(rename = "apiVersion")]
    pub version: ServerApiVersion,
    /// Whether the server refuses commands that are not part of the version. The default is false.
    #[builder(default)]
    #[serde(rename = "apiStrict", skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
    /// Whether the server refuses what the version has deprecated. The default is false.
    #[builder(default)]
    #[serde(
        rename = "apiDeprecationErrors",
        skip_serializing_if = "Option::is_none"
    )]
    pub deprecation_errors: Option<bool>,
}

/// A version of the stable API.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ServerApiVersion {
    /// Version 1.
    V1,
}

impl FromStr for ServerApiVersion {
    type Err = Error;

    fn from_str(version: &str) -> Result<Self> {
        match version {
            "1" => Ok(Self::V1),
            _ => Err(Error::invalid_argument(
                "unknown version of the stable API: use \"1\"",
            )),
        }
    }
}

impl fmt::Display for ServerApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V1 => f.write_str("1"),
        }
    }
}

impl Serialize for ServerApiVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ServerApiVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}
