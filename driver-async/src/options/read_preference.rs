//! Read preference: which members of a deployment may serve a read.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use typed_builder::TypedBuilder;

use crate::{
    description::ServerDescription,
    error::{Error, Result},
};

/// The tags of a member, or those that a member must have.
pub type TagSet = HashMap<String, String>;

/// A caller's own rule for which servers may serve an operation.
pub type Predicate = Arc<dyn Send + Sync + Fn(&ServerDescription) -> bool>;

/// Which servers may serve an operation.
#[derive(Clone)]
#[non_exhaustive]
pub enum SelectionCriteria {
    /// By read preference.
    ReadPreference(ReadPreference),
    /// By the caller's own rule, among the servers that the deployment has.
    Predicate(Predicate),
}

impl SelectionCriteria {
    /// The read preference, unless the criteria are the caller's own rule.
    pub fn as_read_preference(&self) -> Option<&ReadPreference> {
        match self {
            Self::ReadPreference(preference) => Some(preference),
            Self::Predicate(_) => None,
        }
    }
}

impl From<ReadPreference> for SelectionCriteria {
    fn from(preference: ReadPreference) -> Self {
        Self::ReadPreference(preference)
    }
}

impl PartialEq for SelectionCriteria {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::ReadPreference(a), Self::ReadPreference(b)) => a == b,
            (Self::Predicate(a), Self::Predicate(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

impl fmt::Debug for SelectionCriteria {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReadPreference(preference) => preference.fmt(f),
            Self::Predicate(_) => f.write_str("Predicate(..)"),
        }
    }
}

impl fmt::Display for SelectionCriteria {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReadPreference(preference) => write!(f, "read preference {preference}"),
            Self::Predicate(_) => f.write_str("a custom predicate"),
        }
    }
}

impl<'de> Deserialize<'de> for SelectionCriteria {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ReadPreference::deserialize(deserializer).map(Self::ReadPreference)
    }
}

/// Which members of a replica set may serve a read, as the server selection specification
/// defines it.
///
/// ```
/// use motorcade::options::ReadPreference;
///
/// let preference = ReadPreference::secondary_preferred(None);
/// assert_eq!(preference.to_string(), "secondaryPreferred");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum ReadPreference {
    /// Only the primary. This is the default.
    #[default]
    Primary,
    /// Only secondaries.
    Secondary {
        /// Which secondaries.
        options: Option<ReadPreferenceOptions>,
    },
    /// The primary, or a secondary when there is none.
    PrimaryPreferred {
        /// Which secondaries.
        options: Option<ReadPreferenceOptions>,
    },
    /// A secondary, or the primary when there is none.
    SecondaryPreferred {
        /// Which secondaries.
        options: Option<ReadPreferenceOptions>,
    },
    /// Any member near by.
    Nearest {
        /// Which members.
        options: Option<ReadPreferenceOptions>,
    },
}

/// Which members a [`ReadPreference`] other than primary may choose.
#[derive(Clone, Debug, Default, PartialEq, TypedBuilder, Serialize, Deserialize)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ReadPreferenceOptions {
    /// Sets of tags, tried in order: the first that any member has chooses the members. An empty
    /// set fits every member.
    #[serde(alias = "tag_sets", skip_serializing_if = "Option::is_none")]
    pub tag_sets: Option<Vec<TagSet>>,
    /// How far a secondary may lag behind, at least 90 seconds; no limit when absent.
    #[serde(
        rename = "maxStalenessSeconds",
        default,
        skip_serializing_if = "Option::is_none",
        with = "crate::options::serde_shapes::seconds"
    )]
    pub max_staleness: Option<Duration>,
    /// Whether a sharded cluster may ask two members at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hedge: Option<HedgedReadOptions>,
}

/// Whether a sharded cluster may ask two members at once and take the first answer.
#[derive(Clone, Debug, PartialEq, TypedBuilder, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HedgedReadOptions {
    /// Whether it may.
    pub enabled: bool,
}

impl ReadPreference {
    /// Only the primary.
    pub fn primary() -> Self {
        Self::Primary
    }

    /// Only secondaries.
    pub fn secondary(options: impl Into<Option<ReadPreferenceOptions>>) -> Self {
        Self::Secondary {
            options: options.into(),
        }
    }

    /// The primary, or a secondary when there is none.
    pub fn primary_preferred(options: impl Into<Option<ReadPreferenceOptions>>) -> Self {
        Self::PrimaryPreferred {
            options: options.into(),
        }
    }

    /// A secondary, or the primary when there is none.
    pub fn secondary_preferred(options: impl Into<Option<ReadPreferenceOptions>>) -> Self {
        Self::SecondaryPreferred {
            options: options.into(),
        }
    }

    /// Any member near by.
    pub fn nearest(options: impl Into<Option<ReadPreferenceOptions>>) -> Self {
        Self::Nearest {
            options: options.into(),
        }
    }

    /// The mode's name on the wire.
    pub fn mode(&self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Secondary { .. } => "secondary",
            Self::PrimaryPreferred { .. } => "primaryPreferred",
            Self::SecondaryPreferred { .. } => "secondaryPreferred",
            Self::Nearest { .. } => "nearest",
        }
    }

    /// The options; `None` for primary, which has none.
    pub fn options(&self) -> Option<&ReadPreferenceOptions> {
        match self {
            Self::Primary => None,
            Self::Secondary { options }
            | Self::PrimaryPreferred { options }
            | Self::SecondaryPreferred { options }
            | Self::Nearest { options } => options.as_ref(),
        }
    }

    /// The sets of tags, tried in order; empty when any member will do.
    pub fn tag_sets(&self) -> &[TagSet] {
        self.options()
            .and_then(|options| options.tag_sets.as_deref())
            .unwrap_or_default()
    }

    /// How far a secondary may lag behind.
    pub fn max_staleness(&self) -> Option<Duration> {
        self.options().and_then(|options| options.max_staleness)
    }

    /// A read preference of this mode.
    ///
    /// # Errors
    /// An invalid-argument error when no mode has this name, or when options are given for
    /// primary, which has none.
    pub(crate) fn from_mode(mode: &str, options: Option<ReadPreferenceOptions>) -> Result<Self> {
        let has_options = options.as_ref().is_some_and(|options| {
            options.max_staleness.is_some()
                || options.hedge.is_some()
                || options
                    .tag_sets
                    .iter()
                    .flatten()
                    .any(|tags| !tags.is_empty())
        });
        match mode {
            "primary" if has_options => Err(Error::invalid_argument(
                "read preference primary cannot be combined with tags, maxStalenessSeconds or \
                 hedge; choose another mode or leave them out",
            )),
            "primary" => Ok(Self::Primary),
            "secondary" => Ok(Self::Secondary { options }),
            "primaryPreferred" => Ok(Self::PrimaryPreferred { options }),
            "secondaryPreferred" => Ok(Self::SecondaryPreferred { options }),
            "nearest" => Ok(Self::Nearest { options }),
            _ => Err(Error::invalid_argument(
                "unknown read preference: use primary, primaryPreferred, secondary, \
                 secondaryPreferred or nearest",
            )),
        }
    }
}

impl fmt::Display for ReadPreference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.mode())?;
        if !self.tag_sets().is_empty() {
            write!(f, ", tag sets {:?}", self.tag_sets())?;
        }
        if let Some(staleness) = self.max_staleness() {
            write!(f, ", max staleness {} s", staleness.as_secs())?;
        }
        Ok(())
    }
}

#[derive(Serialize, Deserialize)]
struct Shape {
    mode: String,
    // Not an `Option`, which would turn options that cannot be read into none.
    #[serde(flatten)]
    options: ReadPreferenceOptions,
}

impl Serialize for ReadPreference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Shape {
            mode: self.mode().to_owned(),
            options: self.options().cloned().unwrap_or_default(),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ReadPreference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let shape = Shape::deserialize(deserializer)?;
        let mut mode = shape.mode;
        if let Some(first) = mode.get_mut(0..1) {
            first.make_ascii_lowercase();
        }
        let options = (shape.options != ReadPreferenceOptions::default()).then_some(shape.options);
        Self::from_mode(&mode, options).map_err(serde::de::Error::custom)
    }
}
