//! What a file or a case demands of the deployment it runs on.

use std::str::FromStr;

use bson::Document;
use serde::{Deserialize, Deserializer, de};

/// A set of demands that must all be met.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields carry the format's own names and meaning"
)]
pub struct RunOnRequirement {
    pub min_server_version: Option<Version>,
    pub max_server_version: Option<Version>,
    pub topologies: Option<Vec<TopologyName>>,
    pub serverless: Option<ServerlessRule>,
    pub server_parameters: Option<Document>,
    pub auth: Option<bool>,
    pub auth_mechanism: Option<String>,
    pub csfle: Option<Csfle>,
}

/// The shape of a deployment, as requirements name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TopologyName {
    /// One server on its own.
    Single,
    /// A replica set.
    ReplicaSet,
    /// A sharded cluster of any kind.
    Sharded,
    /// A sharded cluster whose shards are replica sets.
    #[serde(rename = "sharded-replicaset")]
    ShardedReplicaSet,
    /// A sharded cluster behind a load balancer.
    #[serde(rename = "load-balanced")]
    LoadBalanced,
}

impl TopologyName {
    /// True for sharded clusters, whatever their shards are.
    pub fn is_sharded(self) -> bool {
        matches!(self, Self::Sharded | Self::ShardedReplicaSet)
    }

    /// The name as the format spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::ReplicaSet => "replicaset",
            Self::Sharded => "sharded",
            Self::ShardedReplicaSet => "sharded-replicaset",
            Self::LoadBalanced => "load-balanced",
        }
    }
}

/// Whether a case is for serverless instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServerlessRule {
    /// Only there.
    Require,
    /// Not there.
    Forbid,
    /// Anywhere.
    Allow,
}

/// Whether client-side encryption must be there.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Csfle {
    /// It must be there, or must not.
    Supported(bool),
    /// It must be there, in this version of its library or a later one.
    #[serde(rename_all = "camelCase")]
    AtLeast {
        /// The library's earliest version.
        min_libmongocrypt_version: Version,
    },
}

/// A version of a server or of the format, compared number by number; absent ones count as zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version([u32; 3]);

impl From<[u32; 3]> for Version {
    fn from(numbers: [u32; 3]) -> Self {
        Self(numbers)
    }
}

impl FromStr for Version {
    type Err = String;

    /// Reads `4`, `4.4` or `4.4.29`. What follows three numbers, or a hyphen, is left out, because
    /// servers call their candidates `7.0.0-rc1`.
    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split('-').next().unwrap_or(text);
        let mut version = [0; 3];
        for (number, part) in version.iter_mut().zip(numbers.split('.')) {
            *number = part
                .parse()
                .map_err(|_| format!("{text:?} is not a version: write numbers with dots"))?;
        }
        Ok(Self(version))
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [major, minor, patch] = self.0;
        write!(f, "{major}.{minor}.{patch}")
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_number_by_number() {
        let version = |text: &str| text.parse::<Version>().unwrap();
        assert!(version("4.0.10") > version("4.0.9"));
        assert!(version("4.0.10") > version("3.6"));
        assert!(version("4.0.10") < version("4.2.0"));
        assert_eq!(version("7"), version("7.0.0-rc3"));
        assert_eq!(version("4.9.0-alpha4-271-g7d5cf02"), version("4.9"));
        for text in ["", "four", "4.x", "-1.0", "4."] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
    }
}
