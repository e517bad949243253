//! Collation: how strings are compared.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use typed_builder::TypedBuilder;

use super::number;
use crate::error::{Error, Result};

/// How strings are compared: the rules of a language.
///
/// See "Collation" in the server's manual. Without one, the collection's default applies, and
/// without that, strings are compared byte by byte.
///
/// ```
/// use motorcade::options::{Collation, CollationStrength};
///
/// // Finds "Zoë" when asked for "zoe".
/// let collation = Collation::builder()
///     .locale("en")
///     .strength(CollationStrength::Primary)
///     .build();
/// ```
#[derive(Clone, Debug, Default, PartialEq, TypedBuilder, Serialize, Deserialize)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Collation {
    /// The language, such as `en` or `fr_CA`; `simple` compares byte by byte.
    #[builder(!default)]
    pub locale: String,
    /// Which differences count: of letters, accents, case. The server's default is tertiary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strength: Option<CollationStrength>,
    /// Whether case counts at the primary or secondary strength. The server's default is no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub case_level: Option<bool>,
    /// Whether upper or lower case sorts first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub case_first: Option<CollationCaseFirst>,
    /// Whether digits in strings are compared as numbers. The server's default is no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numeric_ordering: Option<bool>,
    /// Whether white space and punctuation count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alternate: Option<CollationAlternate>,
    /// Which characters [`CollationAlternate::Shifted`] leaves out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_variable: Option<CollationMaxVariable>,
    /// Whether strings are normalised before they are compared. The server's default is no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normalization: Option<bool>,
    /// Whether accents are compared from the end, as some French dictionaries do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backwards: Option<bool>,
}

/// Which differences a [`Collation`] sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CollationStrength {
    /// Only letters.
    Primary,
    /// Letters and accents.
    Secondary,
    /// Letters, accents and case.
    Tertiary,
    /// Like tertiary, and punctuation where [`CollationAlternate::Shifted`] leaves it out.
    Quaternary,
    /// Every difference.
    Identical,
}

impl From<CollationStrength> for u32 {
    fn from(strength: CollationStrength) -> Self {
        match strength {
            CollationStrength::Primary => 1,
            CollationStrength::Secondary => 2,
            CollationStrength::Tertiary => 3,
            CollationStrength::Quaternary => 4,
            CollationStrength::Identical => 5,
        }
    }
}

impl TryFrom<u32> for CollationStrength {
    type Error = Error;

    fn try_from(level: u32) -> Result<Self> {
        Ok(match level {
            1 => Self::Primary,
            2 => Self::Secondary,
            3 => Self::Tertiary,
            4 => Self::Quaternary,
            5 => Self::Identical,
            other => {
                return Err(Error::invalid_argument(format!(
                    "collation strength {other} does not exist; use 1 to 5"
                )));
            }
        })
    }
}

impl Serialize for CollationStrength {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        number::write(i64::from(u32::from(*self)), serializer)
    }
}

impl<'de> Deserialize<'de> for CollationStrength {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(number::read::<u32, D>(deserializer)?).map_err(D::Error::custom)
    }
}

impl fmt::Display for CollationStrength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        u32::from(*self).fmt(f)
    }
}

macro_rules! named_values {
    ($(#[$docs:meta])* $name:ident { $($(#[$value_docs:meta])* $value:ident = $text:literal,)+ }) => {
        $(#[$docs])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$value_docs])* #[serde(rename = $text)] $value,)+
        }

        impl $name {
            /// The name that the server knows it by.
            pub fn as_str(&self) -> &'static str {
                match self {
                    $(Self::$value => $text,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                match text {
                    $($text => Ok(Self::$value),)+
                    _ => Err(Error::invalid_argument(format!(
                        "unknown {}; use one of {:?}",
                        stringify!($name),
                        [$($text),+],
                    ))),
                }
            }
        }
    };
}

named_values! {
    /// Which case a [`Collation`] sorts first.
    CollationCaseFirst {
        /// Upper case.
        Upper = "upper",
        /// Lower case.
        Lower = "lower",
        /// As the language has it.
        Off = "off",
    }
}

named_values! {
    /// Whether white space and punctuation count in a [`Collation`].
    CollationAlternate {
        /// They count like letters.
        NonIgnorable = "non-ignorable",
        /// They count only at strengths above tertiary.
        Shifted = "shifted",
    }
}

named_values! {
    /// Which characters [`CollationAlternate::Shifted`] leaves out.
    CollationMaxVariable {
        /// White space and punctuation.
        Punct = "punct",
        /// White space.
        Space = "space",
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    #[test]
    fn a_collation_has_the_servers_spelling() {
        let collation = Collation::builder()
            .locale("fr")
            .strength(CollationStrength::Secondary)
            .case_first(CollationCaseFirst::Off)
            .alternate(CollationAlternate::NonIgnorable)
            .numeric_ordering(true)
            .build();
        let document = bson::serialize_to_document(&collation).unwrap();
        let wanted = doc! {
            "locale": "fr", "strength": 2, "caseFirst": "off", "numericOrdering": true,
            "alternate": "non-ignorable",
        };
        assert_eq!(document, wanted);
        let read: Collation = bson::deserialize_from_document(wanted).unwrap();
        assert_eq!(read, collation);
    }
}
