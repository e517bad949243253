//! Write concern: how many members must have a write before it is acknowledged.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use typed_builder::TypedBuilder;

use crate::error::{Error, Result};

/// How many members must have a write, and how durably, before the server acknowledges it.
///
/// Follows the read and write concern specification. An empty one leaves the choice to the
/// server.
///
/// ```
/// use motorcade::options::{Acknowledgment, WriteConcern};
///
/// let concern = WriteConcern::builder().w(Acknowledgment::Nodes(2)).journal(true).build();
/// assert!(concern.is_acknowledged());
/// ```
#[derive(Clone, Debug, Default, PartialEq, TypedBuilder, Serialize, Deserialize)]
#[builder(field_defaults(default, setter(into)))]
#[non_exhaustive]
pub struct WriteConcern {
    /// Which members must have the write.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub w: Option<Acknowledgment>,
    /// How long the server waits for them before it reports an error; whole milliseconds on the
    /// wire, 0 for no limit.
    /// A [timeout](super::ClientOptions::timeout) puts it out of force.
    #[serde(
        rename = "wtimeout",
        alias = "wtimeoutMS",
        default,
        skip_serializing_if = "Option::is_none",
        with = "crate::options::serde_shapes::millis"
    )]
    pub w_timeout: Option<Duration>,
    /// Whether those members must have the write in their journal.
    #[serde(
        rename = "j",
        alias = "journal",
        skip_serializing_if = "Option::is_none"
    )]
    pub journal: Option<bool>,
}

impl WriteConcern {
    /// A write is acknowledged once `v` members have it; with 0 it is not acknowledged at all.
    pub fn nodes(v: u32) -> Self {
        Acknowledgment::Nodes(v).into()
    }

    /// A write is acknowledged once the majority of the voting members have it.
    pub fn majority() -> Self {
        Acknowledgment::Majority.into()
    }

    /// A write is acknowledged by the rule that the set's configuration names `s`.
    pub fn custom(s: impl AsRef<str>) -> Self {
        Acknowledgment::from(s.as_ref()).into()
    }

    /// Whether the server answers a write of this concern.
    pub fn is_acknowledged(&self) -> bool {
        self.w != Some(Acknowledgment::Nodes(0)) || self.journal == Some(true)
    }

    /// Whether the server's default applies, so that nothing is sent.
    pub fn is_server_default(&self) -> bool {
        self.w.is_none() && self.w_timeout.is_none() && self.journal.is_none()
    }

    /// Refuses what no server can do.
    pub(crate) fn validate(&self) -> Result<()> {
        if self.w == Some(Acknowledgment::Nodes(0)) && self.journal == Some(true) {
            return Err(Error::invalid_argument(
                "write concern w: 0 asks for no acknowledgement and journal: true for one; \
                 set w to 1 or more, or leave journal out",
            ));
        }
        if let Some(Acknowledgment::Nodes(nodes)) = self.w
            && i32::try_from(nodes).is_err()
        {
            return Err(Error::invalid_argument(format!(
                "write concern w: {nodes} is out of range; use at most {}",
                i32::MAX
            )));
        }
        Ok(())
    }
}

impl From<Acknowledgment> for WriteConcern {
    fn from(w: Acknowledgment) -> Self {
        Self {
            w: Some(w),
            ..Self::default()
        }
    }
}

/// The `w` of a [`WriteConcern`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Acknowledgment {
    /// This many members.
    Nodes(u32),
    /// The majority of the voting members.
    Majority,
    /// A rule of the set's configuration, by its name.
    Custom(String),
}

impl From<u32> for Acknowledgment {
    fn from(nodes: u32) -> Self {
        Self::Nodes(nodes)
    }
}

impl From<&str> for Acknowledgment {
    fn from(name: &str) -> Self {
        if name == "majority" {
            Self::Majority
        } else {
            Self::Custom(name.to_owned())
        }
    }
}

impl From<String> for Acknowledgment {
    fn from(name: String) -> Self {
        Self::from(name.as_str())
    }
}

impl Serialize for Acknowledgment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Majority => serializer.serialize_str("majority"),
            Self::Custom(name) => serializer.serialize_str(name),
            Self::Nodes(nodes) => match i32::try_from(*nodes) {
                Ok(nodes) => serializer.serialize_i32(nodes),
                Err(_) => Err(serde::ser::Error::custom("w is out of range")),
            },
        }
    }
}

impl<'de> Deserialize<'de> for Acknowledgment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Shape {
            Number(i64),
            Text(String),
        }
        match Shape::deserialize(deserializer)? {
            Shape::Number(nodes) => u32::try_from(nodes)
                .map(Self::Nodes)
                .map_err(|_| serde::de::Error::custom("w must be 0 or more")),
            Shape::Text(name) => Ok(Self::from(name)),
        }
    }
}
