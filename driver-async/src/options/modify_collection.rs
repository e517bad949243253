//! The options of a change to a collection or view that exists.

use std::time::Duration;

use bson::{Bson, Document};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use typed_builder::TypedBuilder;

use super::{
    ChangeStreamPreAndPostImages, TimeseriesGranularity, ValidationAction, ValidationLevel,
    WriteConcern, number,
};

/// Options of [`Database::modify_collection`](crate::Database::modify_collection).
///
/// See "collMod" among the database commands of the server's manual. What is absent is not sent,
/// and stays as it is.
///
/// ```
/// use motorcade::{bson::doc, options::{IndexModification, ModifyCollectionOptions}};
///
/// let hide = IndexModification::builder().name("age_1".to_owned()).hidden(true).build();
/// let options = ModifyCollectionOptions::builder().index(hide).build();
/// ```
#[derive(Clone, Debug, Default, Deserialize, Serialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct ModifyCollectionOptions {
    /// The index to change, and how.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<IndexModification>,
    /// The rules that a document must meet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validator: Option<Document>,
    /// Which writes the validator sees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_level: Option<ValidationLevel>,
    /// What happens to a document that breaks the rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_action: Option<ValidationAction>,
    /// The collection or view that a view is made of; goes with `pipeline`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub view_on: Option<String>,
    /// The pipeline that makes a view.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<Vec<Document>>,
    /// The size of a capped collection, in bytes. Needs a server of version 6.0.
    #[serde(skip_serializing_if = "Option::is_none", with = "super::number::whole")]
    pub capped_size: Option<u64>,
    /// The most documents in a capped collection, 0 for as many as fit. Needs a server of version
    /// 6.0.
    #[serde(skip_serializing_if = "Option::is_none", with = "super::number::whole")]
    pub capped_max: Option<u64>,
    /// Whether change streams can show documents before and after a change. Needs a server of
    /// version 6.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change_stream_pre_and_post_images: Option<ChangeStreamPreAndPostImages>,
    /// When documents of a time series or clustered collection are deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expire_after_seconds: Option<Expiry>,
    /// How the measurements of a time series collection are put into buckets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeseries: Option<TimeseriesModification>,
    /// Whether the server only looks if an index can be made unique. Needs a server of version
    /// 6.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
    /// Fields of the command that have no option of their own here, sent as they are.
    #[serde(skip)]
    pub additional_fields: Option<Document>,
    /// How many members must have done this; the database's when absent.
    #[serde(skip_serializing)]
    pub write_concern: Option<WriteConcern>,
    /// Goes with the command into the server's logs and profile. Needs a server of version 4.4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<Bson>,
    /// How long the operation may take as a whole; its handle's when absent, zero for no
    /// limit. See [`ClientOptions::timeout`](super::ClientOptions::timeout).
    #[serde(
        skip_serializing,
        rename = "timeoutMS",
        alias = "timeout",
        with = "crate::options::serde_shapes::millis"
    )]
    pub timeout: Option<Duration>,
}

/// A change to an index that exists, which is told by its keys or by its name.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct IndexModification {
    /// The index's keys, unless `name` says which index it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_pattern: Option<Document>,
    /// The index's name, unless `key_pattern` says which index it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How long after the time in the indexed field the server deletes a document; whole seconds.
    #[serde(
        rename = "expireAfterSeconds",
        skip_serializing_if = "Option::is_none",
        with = "super::number::whole_seconds"
    )]
    pub expire_after: Option<Duration>,
    /// Whether the query planner leaves the index out. Needs a server of version 4.4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden: Option<bool>,
    /// Whether the index refuses new duplicates, the first step to making it unique. Needs a
    /// server of version 6.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prepare_unique: Option<bool>,
    /// Makes the index unique. Where there are duplicates, the error's
    /// [`server_response`](crate::error::Error::server_response) tells them under `violations`.
    /// Needs a server of version 6.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unique: Option<bool>,
}

/// A change to how the measurements of a time series collection are put into buckets, which can
/// only become wider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct TimeseriesModification {
    /// How close together measurements of one thing are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub granularity: Option<TimeseriesGranularity>,
    /// The longest time within one bucket; whole seconds. Needs a server of version 6.3.
    #[serde(
        rename = "bucketMaxSpanSeconds",
        skip_serializing_if = "Option::is_none",
        with = "super::number::whole_seconds"
    )]
    pub bucket_max_span: Option<Duration>,
    /// The multiple of time at which buckets begin; whole seconds. Needs a server of version 6.3.
    #[serde(
        rename = "bucketRoundingSeconds",
        skip_serializing_if = "Option::is_none",
        with = "super::number::whole_seconds"
    )]
    pub bucket_rounding: Option<Duration>,
}

/// When documents of a time series or clustered collection are deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expiry {
    /// That long after their time; whole seconds.
    After(Duration),
    /// Never.
    Off,
}

impl From<Duration> for Expiry {
    fn from(after: Duration) -> Self {
        Self::After(after)
    }
}

const OFF: &str = "off";

impl Serialize for Expiry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::After(after) => {
                let seconds = i64::try_from(after.as_secs()).unwrap_or(i64::MAX);
                number::write(seconds, serializer)
            }
            Self::Off => serializer.serialize_str(OFF),
        }
    }
}

impl<'de> Deserialize<'de> for Expiry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Shape {
            After(#[serde(with = "super::number::whole_seconds")] Option<Duration>),
            Text(String),
        }
        match Shape::deserialize(deserializer)? {
            Shape::After(Some(after)) => Ok(Self::After(after)),
            Shape::Text(text) if text == OFF => Ok(Self::Off),
            _ => Err(D::Error::custom(
                "expected a number of seconds or the text \"off\"",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    #[test]
    fn an_expiry_is_seconds_or_off_and_nothing_else() {
        let options = |value: Bson| {
            bson::deserialize_from_document::<ModifyCollectionOptions>(
                doc! { "expireAfterSeconds": value },
            )
        };
        for (value, wanted) in [
            (Bson::Int32(5), Expiry::After(Duration::from_secs(5))),
            (Bson::Int64(5), Expiry::After(Duration::from_secs(5))),
            (Bson::Double(5.0), Expiry::After(Duration::from_secs(5))),
            ("off".into(), Expiry::Off),
        ] {
            let read = options(value.clone()).unwrap();
            assert_eq!(read.expire_after_seconds, Some(wanted), "{value}");
        }
        for value in [
            Bson::Int32(-1),
            Bson::Double(0.5),
            "on".into(),
            doc! {}.into(),
        ] {
            assert!(options(value.clone()).is_err(), "{value}");
        }
        let written = bson::serialize_to_bson(&Expiry::Off).unwrap();
        assert_eq!(written, Bson::String("off".into()));
    }
}
