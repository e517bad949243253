//! The options of change streams.

use std::time::Duration;

use bson::{Bson, Timestamp};
use serde::{Deserialize, Serialize};
use typed_builder::TypedBuilder;

use super::{Collation, ReadConcern, ResumeToken, SelectionCriteria};

/// Options of [`Collection::watch`](crate::Collection::watch),
/// [`Database::watch`](crate::Database::watch) and [`Client::watch`](crate::Client::watch).
///
/// See "$changeStream" among the aggregation stages of the server's manual, and the change streams
/// specification. What is absent is not sent. Of `resume_after`, `start_after` and
/// `start_at_operation_time` only one may be set: the server refuses more.
#[derive(Clone, Debug, Default, Deserialize, Serialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct ChangeStreamOptions {
    /// Whether the events of updates have the whole document, besides what was changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full_document: Option<FullDocumentType>,
    /// Whether events have the document as it was before. Needs MongoDB 6.0, and a collection
    /// that keeps such images
    /// ([`change_stream_pre_and_post_images`](super::CreateCollectionOptions::change_stream_pre_and_post_images)).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full_document_before_change: Option<FullDocumentBeforeChangeType>,
    /// The place after which the stream begins. It cannot be that of an invalidation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resume_after: Option<ResumeToken>,
    /// The moment, by the cluster's clock, at or after which the stream begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_at_operation_time: Option<Timestamp>,
    /// The place after which the stream begins, which may be that of an invalidation: so a
    /// collection can be watched that was dropped and made again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_after: Option<ResumeToken>,
    /// How long the server waits for changes before it answers with an empty batch; whole
    /// milliseconds, the server's own choice when absent.
    #[serde(
        skip_serializing,
        rename = "maxAwaitTimeMS",
        alias = "maxAwaitTime",
        with = "crate::options::serde_shapes::millis"
    )]
    pub max_await_time: Option<Duration>,
    /// How many events the server sends at once at most; its own choice when absent.
    #[serde(skip_serializing)]
    pub batch_size: Option<u32>,
    /// How strings are compared in the pipeline; the simple comparison when absent.
    #[serde(skip_serializing)]
    pub collation: Option<Collation>,
    /// How settled the changes must be; the handle's when absent. Servers take `majority` only,
    /// or none.
    #[serde(skip_serializing)]
    pub read_concern: Option<ReadConcern>,
    /// Which servers may answer, also when the stream is resumed; the handle's when absent.
    #[serde(skip_serializing, alias = "readPreference")]
    pub selection_criteria: Option<SelectionCriteria>,
    /// Whether there are events also for changes of indexes and collections: `create`,
    /// `createIndexes`, `dropIndexes`, `modify` and those of sharding. Needs MongoDB 6.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub show_expanded_events: Option<bool>,
    /// Goes with every command of the stream into the server's logs and profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<Bson>,
    /// Whether the server sends an event larger than 16 MiB, at which the stream would otherwise
    /// end, in fragments, of which the driver makes one event again. Off by default; needs MongoDB
    /// 7.0, or 6.0.9. See "$changeStreamSplitLargeEvent" in the server's manual.
    ///
    /// Whoever wants the fragments themselves puts that stage at the end of the pipeline instead.
    #[serde(skip_serializing)]
    pub split_large_events: Option<bool>,
    /// How long it may take to open the stream, and each further call for an event on its own,
    /// resuming included; the handle's when absent, zero for no limit. After a call has run out
    /// of time, the next one resumes the stream. See
    /// [`ClientOptions::timeout`](super::ClientOptions::timeout).
    #[serde(
        skip_serializing,
        rename = "timeoutMS",
        alias = "timeout",
        with = "crate::options::serde_shapes::millis"
    )]
    pub timeout: Option<Duration>,
}

/// Whether the events of updates have the whole document; see
/// [`ChangeStreamOptions::full_document`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum FullDocumentType {
    /// They have it as it is when the event is read, which may be some time after the change.
    UpdateLookup,
    /// Events of updates and replacements have it as it was right after the change, where that
    /// image was kept.
    WhenAvailable,
    /// The same, and it is an error when the image was not kept.
    Required,
    /// One that this version of the driver does not know.
    #[serde(untagged)]
    Other(String),
}

/// Whether events have the document as it was before the change; see
/// [`ChangeStreamOptions::full_document_before_change`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum FullDocumentBeforeChangeType {
    /// They have it where that image was kept.
    WhenAvailable,
    /// They have it, and it is an error when the image was not kept.
    Required,
    /// They do not have it.
    Off,
    /// One that this version of the driver does not know.
    #[serde(untagged)]
    Other(String),
}

impl FullDocumentType {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::UpdateLookup => "updateLookup",
            Self::WhenAvailable => "whenAvailable",
            Self::Required => "required",
            Self::Other(other) => other,
        }
    }
}

impl FullDocumentBeforeChangeType {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::WhenAvailable => "whenAvailable",
            Self::Required => "required",
            Self::Off => "off",
            Self::Other(other) => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    #[test]
    fn names_are_the_servers_in_commands_and_in_configuration() {
        for (name, known) in [
            ("updateLookup", FullDocumentType::UpdateLookup),
            ("required", FullDocumentType::Required),
            ("new", FullDocumentType::Other("new".to_owned())),
        ] {
            let options = doc! { "fullDocument": name, "maxAwaitTimeMS": 5 };
            let read: ChangeStreamOptions = bson::deserialize_from_document(options).unwrap();
            assert_eq!(read.full_document, Some(known.clone()));
            assert_eq!(read.max_await_time, Some(Duration::from_millis(5)));
            assert_eq!(known.as_str(), name);
            let written = bson::serialize_to_document(&read).unwrap();
            assert_eq!(written, doc! { "fullDocument": name });
        }
        let off = FullDocumentBeforeChangeType::Off;
        assert_eq!(
            bson::serialize_to_bson(&off).unwrap(),
            off.as_str().to_owned().into()
        );
    }
}
