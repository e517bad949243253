//! `collMod`.

use bson::Document;

use super::{
    Operation, Scope, Target,
    fields::{check_write_concern, whole},
};
use crate::{
    error::Result,
    options::{ModifyCollectionOptions, WriteConcern},
    proto::{
        session::InSession,
        timeout::Timeout,
        wire::{DocumentWriter, Reply},
    },
};

/// Changes a collection or view.
#[derive(Debug)]
pub(crate) struct ModifyCollection<'a> {
    scope: Scope<'a>,
    name: String,
    options: ModifyCollectionOptions,
}

impl<'a> ModifyCollection<'a> {
    pub(crate) fn new(scope: Scope<'a>, name: String, options: ModifyCollectionOptions) -> Self {
        Self {
            scope,
            name,
            options,
        }
    }
}

impl Operation for ModifyCollection<'_> {
    /// The server's reply, which tells old and new values.
    type Output = Document;

    fn name(&self) -> &str {
        "collMod"
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
        command.append_str("collMod", &self.name)?;
        let options = bson::serialize_to_raw_document_buf(&self.options)?;
        command.append_elements_of(&options)?;
        for (key, value) in self.options.additional_fields.iter().flatten() {
            command.append_bson(key, value)?;
        }
        Ok(())
    }

    fn reply(&mut self, reply: &Reply, _target: &Target<'_>) -> Result<Document> {
        check_write_concern(reply.document())?;
        whole(reply.document())
    }

    fn unacknowledged(&mut self) -> Result<Document> {
        Ok(Document::new())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bson::doc;

    use super::*;
    use crate::{
        operation::tests::{replied, scope, written},
        options::{
            ChangeStreamPreAndPostImages, IndexModification, TimeseriesModification,
            ValidationAction, ValidationLevel,
        },
    };

    #[test]
    fn every_option_is_sent_under_the_servers_name() {
        let index = IndexModification::builder()
            .key_pattern(doc! { "x": 1 })
            .name("x_1".to_owned())
            .expire_after(Duration::from_secs(5))
            .hidden(false)
            .prepare_unique(true)
            .unique(true)
            .build();
        let timeseries = TimeseriesModification::builder()
            .bucket_max_span(Duration::from_secs(60))
            .bucket_rounding(Duration::from_secs(60))
            .build();
        let options = ModifyCollectionOptions::builder()
            .index(index)
            .validator(doc! { "a": 1 })
            .validation_level(ValidationLevel::Off)
            .validation_action(ValidationAction::ErrorAndLog)
            .view_on("base".to_owned())
            .pipeline(vec![doc! { "$match": {} }])
            .capped_size(1_u64 << 40)
            .capped_max(7_u64)
            .change_stream_pre_and_post_images(
                ChangeStreamPreAndPostImages::builder()
                    .enabled(true)
                    .build(),
            )
            .expire_after_seconds(crate::options::Expiry::Off)
            .timeseries(timeseries)
            .dry_run(true)
            .additional_fields(doc! { "someDay": { "new": 1 } })
            .write_concern(WriteConcern::majority())
            .comment(bson::Bson::Int32(1))
            .build();
        let mut operation = ModifyCollection::new(scope(), "n".into(), options);
        let wanted = doc! {
            "collMod": "n",
            "index": {
                "keyPattern": { "x": 1 }, "name": "x_1", "expireAfterSeconds": 5, "hidden": false,
                "prepareUnique": true, "unique": true,
            },
            "validator": { "a": 1 }, "validationLevel": "off", "validationAction": "errorAndLog",
            "viewOn": "base", "pipeline": [{ "$match": {} }],
            "cappedSize": 1_i64 << 40, "cappedMax": 7,
            "changeStreamPreAndPostImages": { "enabled": true }, "expireAfterSeconds": "off",
            "timeseries": { "bucketMaxSpanSeconds": 60, "bucketRoundingSeconds": 60 },
            "dryRun": true, "comment": 1, "someDay": { "new": 1 },
        };
        assert_eq!(written(&mut operation), wanted);
        assert_eq!(operation.write_concern(), Some(&WriteConcern::majority()));
    }

    #[test]
    fn the_reply_tells_old_and_new_values() {
        let mut operation = ModifyCollection::new(scope(), "n".into(), Default::default());
        let reply = doc! { "hidden_old": false, "hidden_new": true, "ok": 1.0 };
        assert_eq!(replied(&mut operation, &reply).unwrap(), reply);
        let unmet = doc! { "ok": 1, "writeConcernError": { "code": 64, "errmsg": "late" } };
        assert_eq!(
            replied(&mut operation, &unmet).unwrap_err().code(),
            Some(64)
        );
    }
}
