//! How whole numbers are written in commands and read from files and replies.

use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

/// A whole number in any of BSON's number types: servers and shells differ in which they use.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Whole(i64),
    Double(f64),
}

impl Number {
    fn whole(&self) -> Option<i64> {
        match self {
            Self::Whole(value) => Some(*value),
            Self::Double(value) if value.fract() == 0.0 => format!("{value:.0}").parse().ok(),
            Self::Double(_) => None,
        }
    }
}

/// Writes a number as a 32-bit integer where it fits.
pub(super) fn write<S: Serializer>(value: i64, serializer: S) -> Result<S::Ok, S::Error> {
    match i32::try_from(value) {
        Ok(value) => serializer.serialize_i32(value),
        Err(_) => serializer.serialize_i64(value),
    }
}

/// Reads a number of any of BSON's number types.
pub(crate) fn read<'de, T: TryFrom<i64>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Number::deserialize(deserializer)?
        .whole()
        .and_then(|value| T::try_from(value).ok())
        .ok_or_else(|| D::Error::custom("the number is not whole or is out of range"))
}

/// Reads an optional flag, which old shells and servers may have written as a number.
pub(super) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Shape {
        Flag(bool),
        Whole(i64),
        Double(f64),
    }
    Ok(
        Option::<Shape>::deserialize(deserializer)?.map(|flag| match flag {
            Shape::Flag(flag) => flag,
            Shape::Whole(number) => number != 0,
            Shape::Double(number) => number != 0.0,
        }),
    )
}

/// An optional whole number.
pub(super) mod whole {
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _, ser::Error as _};

    use super::{Number, write};

    pub(in super::super) fn serialize<T: Copy + TryInto<i64>, S: Serializer>(
        value: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            None => serializer.serialize_none(),
            Some(value) => {
                let value = (*value).try_into();
                write(
                    value.map_err(|_| S::Error::custom("the number is out of range"))?,
                    serializer,
                )
            }
        }
    }

    pub(in super::super) fn deserialize<'de, T: TryFrom<i64>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<T>, D::Error> {
        let Some(number) = Option::<Number>::deserialize(deserializer)? else {
            return Ok(None);
        };
        let value = number.whole().and_then(|value| T::try_from(value).ok());
        value
            .map(Some)
            .ok_or_else(|| D::Error::custom("the number is not whole or is out of range"))
    }
}

/// An optional duration as a whole number of seconds.
pub(super) mod whole_seconds {
    use std::time::Duration;

    use serde::{Deserializer, Serializer};

    use super::whole;

    pub(in super::super) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        whole::serialize(&value.map(|value| value.as_secs()), serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(whole::deserialize::<u64, D>(deserializer)?.map(Duration::from_secs))
    }
}
