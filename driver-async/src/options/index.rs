//! Indexes, and the options of the commands that make, list and drop them.

use std::{borrow::Cow, time::Duration};

use bson::{Bson, Document};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use typed_builder::TypedBuilder;

use super::{Collation, CursorTimeoutMode, WriteConcern, number};

/// An index: its keys and its options.
///
/// ```
/// use motorcade::{IndexModel, bson::doc, options::IndexOptions};
///
/// let index = IndexModel::builder()
///     .keys(doc! { "email": 1 })
///     .options(IndexOptions::builder().unique(true).build())
///     .build();
/// ```
#[derive(Clone, Debug, Default, Deserialize, Serialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct IndexModel {
    /// The indexed fields, each with 1, -1 or a kind such as `"text"`.
    #[serde(rename = "key")]
    pub keys: Document,
    /// The index's options.
    #[serde(flatten, deserialize_with = "options_or_error")]
    pub options: Option<IndexOptions>,
}

/// A flattened `Option` would turn options that cannot be read into none at all.
fn options_or_error<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<IndexOptions>, D::Error> {
    IndexOptions::deserialize(deserializer).map(Some)
}

impl IndexModel {
    /// The index's name: the one given, or its fields and kinds joined by underscores ("Index Name
    /// Generation" of the index management specification).
    pub(crate) fn name(&self) -> Cow<'_, str> {
        if let Some(name) = self.options.as_ref().and_then(|o| o.name.as_deref()) {
            return name.into();
        }
        if self.is_on_id() {
            return "_id_".into();
        }
        let parts = self.keys.iter().map(|(field, kind)| match kind {
            Bson::String(kind) => format!("{field}_{kind}"),
            kind => format!("{field}_{kind}"),
        });
        parts.collect::<Vec<_>>().join("_").into()
    }

    /// Whether this is the index that every collection has, whose name the server has chosen.
    fn is_on_id(&self) -> bool {
        let ascending = match self.keys.get("_id") {
            Some(Bson::Int32(1) | Bson::Int64(1)) => true,
            Some(Bson::Double(value)) => *value == 1.0,
            _ => false,
        };
        ascending && self.keys.len() == 1
    }
}

/// The options of an index. See "createIndexes" among the database commands of the server's
/// manual. What is absent is not sent.
#[derive(Clone, Debug, Default, Deserialize, Serialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct IndexOptions {
    /// Whether the index is built in the background. Servers since 4.2 ignore it.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "super::number::flag"
    )]
    pub background: Option<bool>,
    /// How long after the time in the indexed field the server deletes a document; whole
    /// seconds.
    #[serde(
        rename = "expireAfterSeconds",
        skip_serializing_if = "Option::is_none",
        with = "super::number::whole_seconds"
    )]
    pub expire_after: Option<Duration>,
    /// The index's name; made from the keys when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether documents without the field stay out of the index.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "super::number::flag"
    )]
    pub sparse: Option<bool>,
    /// Settings for the storage engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_engine: Option<Document>,
    /// Whether two documents of the same key are refused.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "super::number::flag"
    )]
    pub unique: Option<bool>,
    /// The version of the index's format; the server's newest when absent.
    #[serde(rename = "v", skip_serializing_if = "Option::is_none")]
    pub version: Option<IndexVersion>,
    /// The language of a text index; English when absent.
    #[serde(rename = "default_language", skip_serializing_if = "Option::is_none")]
    pub default_language: Option<String>,
    /// The field that holds a document's language for a text index.
    #[serde(rename = "language_override", skip_serializing_if = "Option::is_none")]
    pub language_override: Option<String>,
    /// The version of a text index.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_index_version: Option<TextIndexVersion>,
    /// How much each field of a text index counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<Document>,
    /// The version of a `2dsphere` index.
    #[serde(
        rename = "2dsphereIndexVersion",
        skip_serializing_if = "Option::is_none"
    )]
    pub sphere_2d_index_version: Option<Sphere2DIndexVersion>,
    /// The precision of a `2d` index, 1 to 32 bits; 26 when absent.
    #[serde(skip_serializing_if = "Option::is_none", with = "super::number::whole")]
    pub bits: Option<u32>,
    /// The upper bound of the coordinates in a `2d` index; 180 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// The lower bound of the coordinates in a `2d` index; -180 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// The width of the buckets of a `geoHaystack` index, which servers before 5.0 have.
    #[serde(skip_serializing_if = "Option::is_none", with = "super::number::whole")]
    pub bucket_size: Option<u32>,
    /// Only documents that match this filter get into the index.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial_filter_expression: Option<Document>,
    /// How strings are compared; the collection's default when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collation: Option<Collation>,
    /// Which fields a wildcard index covers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wildcard_projection: Option<Document>,
    /// Whether the query planner leaves the index out.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "super::number::flag"
    )]
    pub hidden: Option<bool>,
    /// Whether the index refuses new duplicates without being unique yet; see
    /// [`IndexModification`](super::IndexModification). Needs a server of version 6.0.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "super::number::flag"
    )]
    pub prepare_unique: Option<bool>,
    /// Whether this is the index of a clustered collection; only in listed indexes.
    #[serde(skip_serializing, deserialize_with = "super::number::flag")]
    #[builder(setter(skip))]
    pub(crate) clustered: Option<bool>,
}

impl IndexOptions {
    /// Whether a listed index is the one that its collection is clustered by.
    pub fn clustered(&self) -> Option<bool> {
        self.clustered
    }
}

macro_rules! versions {
    ($(#[$docs:meta])* $name:ident { $($(#[$value_docs:meta])* $value:ident = $number:literal,)+ }) => {
        $(#[$docs])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$value_docs])* $value,)+
            /// A version that this driver does not name.
            Custom(u32),
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let number = match self {
                    $(Self::$value => $number,)+
                    Self::Custom(number) => *number,
                };
                number::write(i64::from(number), serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Ok(match number::read::<u32, D>(deserializer)? {
                    $($number => Self::$value,)+
                    other => Self::Custom(other),
                })
            }
        }
    };
}

versions! {
    /// The version of an index's format.
    IndexVersion {
        /// Version 0, which no supported server makes.
        V0 = 0,
        /// Version 1.
        V1 = 1,
        /// Version 2, the default.
        V2 = 2,
    }
}

versions! {
    /// The version of a text index.
    TextIndexVersion {
        /// Version 1.
        V1 = 1,
        /// Version 2.
        V2 = 2,
        /// Version 3, the default.
        V3 = 3,
    }
}

versions! {
    /// The version of a `2dsphere` index.
    Sphere2DIndexVersion {
        /// Version 2.
        V2 = 2,
        /// Version 3, the default.
        V3 = 3,
    }
}

/// How many members must be ready to commit an index before it is done.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum CommitQuorum {
    /// This many members.
    Nodes(u32),
    /// All voting members.
    VotingMembers,
    /// The majority of the voting members.
    Majority,
    /// A rule of the set's configuration, by its name.
    Custom(String),
}

impl CommitQuorum {
    pub(crate) fn to_bson(&self) -> Bson {
        match self {
            Self::Nodes(nodes) => match i32::try_from(*nodes) {
                Ok(nodes) => Bson::Int32(nodes),
                Err(_) => Bson::Int64(i64::from(*nodes)),
            },
            Self::VotingMembers => "votingMembers".into(),
            Self::Majority => "majority".into(),
            Self::Custom(name) => name.as_str().into(),
        }
    }
}

impl Serialize for CommitQuorum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_bson().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for CommitQuorum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Shape {
            Number(u32),
            Text(String),
        }
        Ok(match Shape::deserialize(deserializer)? {
            Shape::Number(nodes) => Self::Nodes(nodes),
            Shape::Text(name) => match name.as_str() {
                "votingMembers" => Self::VotingMembers,
                "majority" => Self::Majority,
                _ => Self::Custom(name),
            },
        })
    }
}

/// Options of [`Collection::create_index`](crate::Collection::create_index) and
/// [`Collection::create_indexes`](crate::Collection::create_indexes).
#[derive(Clone, Debug, Default, Deserialize, Serialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct CreateIndexOptions {
    /// How many members must be ready to commit the index. Needs a server of version 4.4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit_quorum: Option<CommitQuorum>,
    /// How long the server may take; whole milliseconds, 0 for no limit.
    /// A [timeout](super::ClientOptions::timeout) puts it out of force.
    #[serde(
        skip_serializing_if = "Option::is_none",
        rename = "maxTimeMS",
        alias = "maxTime",
        with = "crate::options::serde_shapes::millis"
    )]
    pub max_time: Option<Duration>,
    /// How many members must have done this; the collection's when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_concern: Option<WriteConcern>,
    /// Goes with the command into the server's logs and profile. Needs a server of version 4.4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<Bson>,
    /// Whether indexes of a time series collection are meant as they are stored. Servers before 8.2
    /// are not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_data: Option<bool>,
    /// How long the operation may take as a whole; the collection's when absent, zero for no
    /// limit. See [`ClientOptions::timeout`](super::ClientOptions::timeout).
    #[serde(
        skip_serializing,
        rename = "timeoutMS",
        alias = "timeout",
        with = "crate::options::serde_shapes::millis"
    )]
    pub timeout: Option<Duration>,
}

/// Options of [`Collection::drop_index`](crate::Collection::drop_index) and
/// [`Collection::drop_indexes`](crate::Collection::drop_indexes).
#[derive(Clone, Debug, Default, Deserialize, Serialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct DropIndexOptions {
    /// How long the server may take; whole milliseconds, 0 for no limit.
    /// A [timeout](super::ClientOptions::timeout) puts it out of force.
    #[serde(
        skip_serializing_if = "Option::is_none",
        rename = "maxTimeMS",
        alias = "maxTime",
        with = "crate::options::serde_shapes::millis"
    )]
    pub max_time: Option<Duration>,
    /// How many members must have done this; the collection's when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_concern: Option<WriteConcern>,
    /// Goes with the command into the server's logs and profile. Needs a server of version 4.4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<Bson>,
    /// Whether indexes of a time series collection are meant as they are stored. Servers before 8.2
    /// are not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_data: Option<bool>,
    /// How long the operation may take as a whole; the collection's when absent, zero for no
    /// limit. See [`ClientOptions::timeout`](super::ClientOptions::timeout).
    #[serde(
        skip_serializing,
        rename = "timeoutMS",
        alias = "timeout",
        with = "crate::options::serde_shapes::millis"
    )]
    pub timeout: Option<Duration>,
}

/// Options of [`Collection::list_indexes`](crate::Collection::list_indexes).
#[derive(Clone, Debug, Default, Deserialize, Serialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct ListIndexesOptions {
    /// How long the server may take; whole milliseconds, 0 for no limit.
    /// A [timeout](super::ClientOptions::timeout) puts it out of force.
    #[serde(
        skip_serializing_if = "Option::is_none",
        rename = "maxTimeMS",
        alias = "maxTime",
        with = "crate::options::serde_shapes::millis"
    )]
    pub max_time: Option<Duration>,
    /// How many indexes the server sends at once; its own choice when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<u32>,
    /// Goes with the command into the server's logs and profile. Needs a server of version 4.4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<Bson>,
    /// Whether indexes of a time series collection are meant as they are stored. Servers before 8.2
    /// are not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_data: Option<bool>,
    /// How long the operation may take as a whole; the collection's when absent, zero for no
    /// limit. What of its cursor that bounds is said by [`timeout_mode`](Self::timeout_mode). See
    /// [`ClientOptions::timeout`](super::ClientOptions::timeout).
    #[serde(
        skip_serializing,
        rename = "timeoutMS",
        alias = "timeout",
        with = "crate::options::serde_shapes::millis"
    )]
    pub timeout: Option<Duration>,
    /// What of the cursor the timeout bounds: by default its whole lifetime. Refused when there is
    /// no timeout.
    #[serde(skip_serializing)]
    pub timeout_mode: Option<CursorTimeoutMode>,
}

#[cfg(test)]
mod tests {
    use bson::{DateTime, Decimal128, Regex, Timestamp, doc, oid::ObjectId, raw::cstr};

    use super::*;

    #[test]
    fn an_unnamed_index_is_named_after_its_keys() {
        for (keys, name) in [
            (doc! { "name": 1, "dob": -1 }, "name_1_dob_-1"),
            (doc! { "b.c": -1_i64, "e": 1.0 }, "b.c_-1_e_1"),
            (doc! { "d": "text", "f": "2dsphere" }, "d_text_f_2dsphere"),
            (doc! { "$**": 1 }, "$**_1"),
            (doc! { "_id": 1 }, "_id_"),
            (doc! { "_id": 1.0 }, "_id_"),
            (doc! { "_id": "hashed" }, "_id_hashed"),
            (doc! { "_id": 1, "a": 1 }, "_id_1_a_1"),
        ] {
            assert_eq!(IndexModel::builder().keys(keys).build().name(), name);
        }
        let options = IndexOptions::builder().name("mine".to_owned()).build();
        let named = IndexModel::builder()
            .keys(doc! { "a": 1 })
            .options(options)
            .build();
        assert_eq!(named.name(), "mine");
    }

    #[test]
    fn every_option_reads_back_as_it_was_written() {
        let filter = doc! {
            "id": ObjectId::new(), "at": { "$gt": DateTime::from_millis(5) },
            "name": Regex { pattern: cstr!("^a").into(), options: cstr!("i").into() },
            "price": "1.5".parse::<Decimal128>().unwrap(), "long": 5_i64,
            "seen": Timestamp { time: 1, increment: 2 },
        };
        let spelled = doc! {
            "key": { "a": "2dsphere", "b": 1_i64 }, "background": true, "expireAfterSeconds": 60,
            "name": "x", "sparse": true, "storageEngine": { "wiredTiger": {} }, "unique": true,
            "v": 2, "default_language": "none", "language_override": "l", "textIndexVersion": 3,
            "weights": { "a": 5 }, "2dsphereIndexVersion": 3, "bits": 26, "max": 90.5,
            "min": -90.5, "bucketSize": 4, "partialFilterExpression": filter,
            "collation": { "locale": "fr", "strength": 2 }, "wildcardProjection": { "a": 0 },
            "hidden": true, "prepareUnique": true,
        };
        let index: IndexModel = bson::deserialize_from_document(spelled.clone()).unwrap();
        let written = bson::serialize_to_document(&index).unwrap();
        assert_eq!(written, spelled);
    }

    #[test]
    fn what_servers_tell_in_other_types_is_understood() {
        let listed = doc! {
            "v": 2_i64, "key": { "a": 1 }, "name": "a_1", "ns": "d.c", "unique": 1, "sparse": 0.0,
            "background": 1_i64, "expireAfterSeconds": 60.0, "max": 180, "clustered": true,
            "collation": { "locale": "fr", "version": "57.1" }, "someDay": {},
        };
        let index: IndexModel = bson::deserialize_from_document(listed).unwrap();
        let options = index.options.as_ref().unwrap();
        assert_eq!(options.expire_after, Some(Duration::from_secs(60)));
        assert_eq!(options.clustered(), Some(true));
        assert_eq!(options.unique, Some(true));
        assert_eq!(options.sparse, Some(false));
        assert_eq!(options.background, Some(true));
        assert_eq!(options.max, Some(180.0));
        assert_eq!(options.version, Some(IndexVersion::V2));
    }

    #[test]
    fn options_that_cannot_be_read_are_an_error_and_not_none() {
        for (field, value) in [
            ("name", Bson::Int32(1)),
            ("unique", "yes".into()),
            ("expireAfterSeconds", Bson::Double(f64::NAN)),
            ("v", Bson::Int32(-1)),
            ("weights", Bson::Int32(1)),
        ] {
            let mut listed = doc! { "key": { "a": 1 }, "name": "a_1" };
            listed.insert(field, value);
            let read = bson::deserialize_from_document::<IndexModel>(listed);
            assert!(read.is_err(), "{field}: {read:?}");
        }
    }
}
