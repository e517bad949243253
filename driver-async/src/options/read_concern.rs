//! Read concern: how settled the data must be that a read returns.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How settled the data must be that a read returns.
///
/// Follows the read and write concern specification. Without one, the server applies its own
/// default.
///
/// ```
/// use motorcade::options::ReadConcern;
///
/// let concern = ReadConcern::majority();
/// assert_eq!(concern.level.as_str(), "majority");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ReadConcern {
    /// The level.
    pub level: ReadConcernLevel,
}

impl ReadConcern {
    /// Data that a majority of the members has, which cannot be rolled back.
    pub fn majority() -> Self {
        ReadConcernLevel::Majority.into()
    }

    /// The member's own latest data, which may be rolled back.
    pub fn local() -> Self {
        ReadConcernLevel::Local.into()
    }

    /// Data that reflects every majority write that ended before the read began.
    pub fn linearizable() -> Self {
        ReadConcernLevel::Linearizable.into()
    }

    /// Like [`ReadConcern::local`], but on a sharded cluster without the check for orphans.
    pub fn available() -> Self {
        ReadConcernLevel::Available.into()
    }

    /// Data as of one moment in time.
    pub fn snapshot() -> Self {
        ReadConcernLevel::Snapshot.into()
    }

    /// A level by the name that the server knows it by.
    pub fn custom(level: impl AsRef<str>) -> Self {
        ReadConcernLevel::parse(level.as_ref()).into()
    }
}

impl From<ReadConcernLevel> for ReadConcern {
    fn from(level: ReadConcernLevel) -> Self {
        Self { level }
    }
}

/// The level of a [`ReadConcern`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ReadConcernLevel {
    /// See [`ReadConcern::local`].
    Local,
    /// See [`ReadConcern::majority`].
    Majority,
    /// See [`ReadConcern::linearizable`].
    Linearizable,
    /// See [`ReadConcern::available`].
    Available,
    /// See [`ReadConcern::snapshot`].
    Snapshot,
    /// A level by the name that the server knows it by.
    Custom(String),
}

impl ReadConcernLevel {
    /// The level's name on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Local => "local",
            Self::Majority => "majority",
            Self::Linearizable => "linearizable",
            Self::Available => "available",
            Self::Snapshot => "snapshot",
            Self::Custom(level) => level,
        }
    }

    pub(crate) fn parse(level: &str) -> Self {
        match level {
            "local" => Self::Local,
            "majority" => Self::Majority,
            "linearizable" => Self::Linearizable,
            "available" => Self::Available,
            "snapshot" => Self::Snapshot,
            other => Self::Custom(other.to_owned()),
        }
    }
}

impl Serialize for ReadConcernLevel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ReadConcernLevel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::parse(&String::deserialize(deserializer)?))
    }
}
