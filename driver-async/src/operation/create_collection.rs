//! `create`.

use super::{
    Operation, Scope, Target,
    fields::{check_write_concern, refuse_encrypted_fields},
};
use crate::{
    error::Result,
    options::{CreateCollectionOptions, WriteConcern},
    proto::{
        session::InSession,
        timeout::Timeout,
        wire::{DocumentWriter, Reply},
    },
};

/// Makes a collection or view.
#[derive(Debug)]
pub(crate) struct CreateCollection<'a> {
    scope: Scope<'a>,
    name: String,
    options: CreateCollectionOptions,
}

impl<'a> CreateCollection<'a> {
    /// # Errors
    /// An invalid-argument error for encrypted fields.
    pub(crate) fn new(
        scope: Scope<'a>,
        name: String,
        options: CreateCollectionOptions,
    ) -> Result<Self> {
        refuse_encrypted_fields(options.encrypted_fields.as_ref())?;
        Ok(Self {
            scope,
            name,
            options,
        })
    }
}

impl Operation for CreateCollection<'_> {
    type Output = ();

    fn name(&self) -> &str {
        "create"
    }

    fn database(&self) -> &str {
        self.scope.database
    }

    fn in_session(&self) -> InSession {
        InSession::Consistent
    }

    fn timeout(&self) -> Timeout {
        self.scope.timeout.or_own(self.options.timeout)
    }

    fn write_concern(&self) -> Option<&WriteConcern> {
        let own = self.options.write_concern.as_ref();
        own.or(self.scope.write_concern)
    }

    fn write(&mut self, command: &mut DocumentWriter<'_>, _target: &Target<'_>) -> Result<()> {
        command.append_str("create", &self.name)?;
        let options = bson::serialize_to_raw_document_buf(&self.options)?;
        command.append_elements_of(&options)
    }

    fn reply(&mut self, reply: &Reply, _target: &Target<'_>) -> Result<()> {
        check_write_concern(reply.document())
    }

    fn unacknowledged(&mut self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bson::doc;

    use super::*;
    use crate::{
        operation::tests::{scope, written},
        options::{
            ChangeStreamPreAndPostImages, ClusteredIndex, Collation, IndexOptionDefaults,
            TimeseriesGranularity, TimeseriesOptions, ValidationAction, ValidationLevel,
        },
    };

    #[test]
    fn options_stand_beside_the_name() {
        let options = CreateCollectionOptions::builder()
            .capped(true)
            .size(1024_u64)
            .max(1_u64 << 40)
            .validator(doc! { "a": 1 })
            .validation_level(ValidationLevel::Moderate)
            .timeseries(
                TimeseriesOptions::builder()
                    .time_field("t")
                    .granularity(TimeseriesGranularity::Minutes)
                    .meta_field("m".to_owned())
                    .bucket_max_span(Duration::from_secs(60))
                    .bucket_rounding(Duration::from_secs(60))
                    .build(),
            )
            .expire_after_seconds(Duration::from_secs(5))
            .clustered_index(ClusteredIndex::default())
            .storage_engine(doc! { "wiredTiger": {} })
            .validation_action(ValidationAction::Warn)
            .collation(Collation::builder().locale("en").build())
            .index_option_defaults(
                IndexOptionDefaults::builder()
                    .storage_engine(doc! { "wiredTiger": {} })
                    .build(),
            )
            .change_stream_pre_and_post_images(
                ChangeStreamPreAndPostImages::builder()
                    .enabled(true)
                    .build(),
            )
            .write_concern(WriteConcern::majority())
            .comment(bson::Bson::Int32(1))
            .build();
        let wanted = doc! {
            "create": "n", "capped": true, "size": 1024, "max": 1_i64 << 40,
            "storageEngine": { "wiredTiger": {} },
            "validator": { "a": 1 }, "validationLevel": "moderate", "validationAction": "warn",
            "collation": { "locale": "en" },
            "indexOptionDefaults": { "storageEngine": { "wiredTiger": {} } },
            "timeseries": {
                "timeField": "t", "metaField": "m", "granularity": "minutes",
                "bucketMaxSpanSeconds": 60, "bucketRoundingSeconds": 60,
            },
            "expireAfterSeconds": 5, "changeStreamPreAndPostImages": { "enabled": true },
            "clusteredIndex": { "key": { "_id": 1 }, "unique": true }, "comment": 1,
        };
        let mut operation = CreateCollection::new(scope(), "n".into(), options).unwrap();
        assert_eq!(written(&mut operation), wanted);
        assert_eq!(operation.write_concern(), Some(&WriteConcern::majority()));
    }

    #[test]
    fn a_view_is_made_of_a_pipeline() {
        let options = CreateCollectionOptions::builder()
            .view_on("base".to_owned())
            .pipeline(vec![doc! { "$match": { "a": 1 } }])
            .build();
        let mut operation = CreateCollection::new(scope(), "n".into(), options).unwrap();
        let wanted = doc! {
            "create": "n", "viewOn": "base", "pipeline": [{ "$match": { "a": 1 } }],
        };
        assert_eq!(written(&mut operation), wanted);
    }

    #[test]
    fn encrypted_fields_are_refused_before_anything_is_sent() {
        let options = CreateCollectionOptions::builder()
            .encrypted_fields(doc! { "fields": [] })
            .build();
        let error = CreateCollection::new(scope(), "n".into(), options).unwrap_err();
        assert!(error.to_string().contains("encrypted"), "{error}");
    }
}
