//! The options of a new collection or view.

use std::time::Duration;

use bson::{Bson, Document};
use serde::{Deserialize, Deserializer, Serialize};
use typed_builder::TypedBuilder;

use super::{Collation, WriteConcern};

/// Options of [`Database::create_collection`](crate::Database::create_collection).
///
/// See "create" among the database commands of the server's manual. What is absent is not sent.
#[derive(Clone, Debug, Default, Deserialize, Serialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct CreateCollectionOptions {
    /// Whether the collection has a fixed size and drops its oldest documents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capped: Option<bool>,
    /// The size of a capped collection, in bytes.
    #[serde(skip_serializing_if = "Option::is_none", with = "super::number::whole")]
    pub size: Option<u64>,
    /// The most documents in a capped collection.
    #[serde(skip_serializing_if = "Option::is_none", with = "super::number::whole")]
    pub max: Option<u64>,
    /// Settings for the storage engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_engine: Option<Document>,
    /// The rules that a document must meet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validator: Option<Document>,
    /// Which writes the validator sees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_level: Option<ValidationLevel>,
    /// What happens to a document that breaks the rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_action: Option<ValidationAction>,
    /// The collection or view that a view is made of; makes a view.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub view_on: Option<String>,
    /// The pipeline that makes the view.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<Vec<Document>>,
    /// How strings are compared unless an operation says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collation: Option<Collation>,
    /// How many members must have done this; the database's when absent.
    #[serde(skip_serializing)]
    pub write_concern: Option<WriteConcern>,
    /// Settings for indexes that don't have their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index_option_defaults: Option<IndexOptionDefaults>,
    /// Makes a time series collection. Needs a server of version 5.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeseries: Option<TimeseriesOptions>,
    /// How long after its time a document of a time series or clustered collection is deleted;
    /// whole seconds.
    #[serde(
        skip_serializing_if = "Option::is_none",
        with = "super::number::whole_seconds"
    )]
    pub expire_after_seconds: Option<Duration>,
    /// Whether change streams can show documents before and after a change. Needs a server of
    /// version 6.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change_stream_pre_and_post_images: Option<ChangeStreamPreAndPostImages>,
    /// Makes a collection that is stored in the order of its `_id`. Needs a server of version 5.3.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "ClusteredIndex::deserialize_or_true"
    )]
    pub clustered_index: Option<ClusteredIndex>,
    /// Goes with the command into the server's logs and profile. Needs a server of version 4.4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<Bson>,
    /// Which fields are encrypted, of a listed collection. To create one with encrypted fields is
    /// refused, as this version does not encrypt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encrypted_fields: Option<Document>,
    /// How long the operation may take as a whole; the database's when absent, zero for no
    /// limit. See [`ClientOptions::timeout`](super::ClientOptions::timeout).
    #[serde(
        skip_serializing,
        rename = "timeoutMS",
        alias = "timeout",
        with = "crate::options::serde_shapes::millis"
    )]
    pub timeout: Option<Duration>,
}

/// Which writes a validator sees.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum ValidationLevel {
    /// None.
    Off,
    /// All; the server's default.
    Strict,
    /// Inserts, and updates of documents that meet the rules already.
    Moderate,
}

/// What happens to a document that breaks a validator's rules.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum ValidationAction {
    /// It is refused; the server's default.
    Error,
    /// It is written and the server logs a warning.
    Warn,
    /// It is refused and the server logs it. Needs a server of version 8.1.
    ErrorAndLog,
}

/// The index that a clustered collection is stored by.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ClusteredIndex {
    /// The key; must be `{ "_id": 1 }`.
    pub key: Document,
    /// Must be true.
    pub unique: bool,
    /// The index's name; the server makes one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The version of the index's format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v: Option<i32>,
}

impl Default for ClusteredIndex {
    /// The only key that servers accept.
    fn default() -> Self {
        Self {
            key: bson::doc! { "_id": 1 },
            unique: true,
            name: None,
            v: None,
        }
    }
}

impl ClusteredIndex {
    /// Servers list the clustered index of a time series collection as a plain `true`.
    fn deserialize_or_true<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Self>, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Shape {
            Flag(bool),
            Index(ClusteredIndex),
        }
        Ok(match Option::<Shape>::deserialize(deserializer)? {
            None | Some(Shape::Flag(false)) => None,
            Some(Shape::Flag(true)) => Some(Self::default()),
            Some(Shape::Index(index)) => Some(index),
        })
    }
}

/// Settings for indexes that don't have their own.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct IndexOptionDefaults {
    /// Settings for the storage engine.
    pub storage_engine: Document,
}

/// What makes a collection a time series collection. See "Time Series" in the server's manual.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TimeseriesOptions {
    /// The field of a document's time.
    #[builder(!default)]
    pub time_field: String,
    /// The field that says what a document measures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meta_field: Option<String>,
    /// How close together measurements of one thing are. Not together with the two options
    /// below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granularity: Option<TimeseriesGranularity>,
    /// The longest time within one bucket; whole seconds. Goes with `bucket_rounding`, which must
    /// be the same. Needs a server of version 6.3.
    #[serde(
        rename = "bucketMaxSpanSeconds",
        default,
        skip_serializing_if = "Option::is_none",
        with = "super::number::whole_seconds"
    )]
    pub bucket_max_span: Option<Duration>,
    /// The multiple of time at which buckets begin; whole seconds. Needs a server of version 6.3.
    #[serde(
        rename = "bucketRoundingSeconds",
        default,
        skip_serializing_if = "Option::is_none",
        with = "super::number::whole_seconds"
    )]
    pub bucket_rounding: Option<Duration>,
}

/// How close together measurements of one thing are.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum TimeseriesGranularity {
    /// Seconds; the server's default.
    Seconds,
    /// Minutes.
    Minutes,
    /// Hours.
    Hours,
}

/// Whether change streams can show documents before and after a change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ChangeStreamPreAndPostImages {
    /// Whether they can.
    pub enabled: bool,
}
