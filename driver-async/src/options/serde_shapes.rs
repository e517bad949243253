//! How durations are written in configuration files and commands.

/// A duration as a whole number of milliseconds.
pub(crate) mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value
            .map(|v| i64::try_from(v.as_millis()).unwrap_or(i64::MAX))
            .serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_millis))
    }
}

/// A duration as a whole number of seconds; -1 stands for none.
pub(crate) mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value
            .map(|v| i64::try_from(v.as_secs()).unwrap_or(i64::MAX))
            .serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        match Option::<i64>::deserialize(deserializer)? {
            None | Some(-1) => Ok(None),
            Some(seconds) => match u64::try_from(seconds) {
                Ok(seconds) => Ok(Some(Duration::from_secs(seconds))),
                Err(_) => Err(D::Error::custom("a number of seconds cannot be negative")),
            },
        }
    }
}
