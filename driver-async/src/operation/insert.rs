//! `insert`.

use super::{Operation, Retryability, Scope, Target, write_reply::WriteReply};
use crate::{
    error::{Error, Result},
    options::{InsertOneOptions, WriteConcern},
    proto::{
        bulk_split::Payload,
        session::InSession,
        timeout::Timeout,
        wire::{DocumentWriter, Reply, Sequence, Sequences},
    },
    results::InsertOneResult,
};

/// Inserts one document.
#[derive(Debug)]
pub(crate) struct InsertOne<'a> {
    scope: Scope<'a>,
    payload: Payload,
    options: InsertOneOptions,
}

impl<'a> InsertOne<'a> {
    /// `payload` holds one document.
    pub(crate) fn new(scope: Scope<'a>, payload: Payload, options: InsertOneOptions) -> Self {
        Self {
            scope,
            payload,
            options,
        }
    }

    fn result(&self) -> Result<InsertOneResult> {
        let id = self.payload.ids().first().cloned();
        let inserted_id = id.ok_or_else(|| Error::internal("an insert has no document"))?;
        Ok(InsertOneResult { inserted_id })
    }
}

impl Operation for InsertOne<'_> {
    type Output = InsertOneResult;

    fn name(&self) -> &str {
        "insert"
    }

    fn database(&self) -> &str {
        self.scope.database
    }

    fn timeout(&self) -> Timeout {
        self.scope.timeout.or_own(self.options.timeout)
    }

    fn in_session(&self) -> InSession {
        InSession::Consistent
    }

    fn retryability(&self) -> Retryability {
        Retryability::Write
    }

    fn write_concern(&self) -> Option<&WriteConcern> {
        let own = self.options.write_concern.as_ref();
        own.or(self.scope.write_concern)
    }

    fn write(&mut self, command: &mut DocumentWriter<'_>, target: &Target<'_>) -> Result<()> {
        self.payload.check_sizes(target.max_bson_object_size)?;
        command.append_str("insert", self.scope.collection)?;
        command.append_bool("ordered", true)?;
        let bypass = self.options.bypass_document_validation;
        command.optional_bool("bypassDocumentValidation", bypass)?;
        command.optional_bson("comment", self.options.comment.as_ref())?;
        command.raw_data(self.options.raw_data, target)
    }

    fn sequences(&self) -> Sequences<'_> {
        let sequence = Sequence {
            identifier: "documents",
            documents: self.payload.documents().bytes(&(0..1)),
        };
        [sequence].into()
    }

    fn reply(&mut self, reply: &Reply, _target: &Target<'_>) -> Result<InsertOneResult> {
        let reply = reply.document();
        WriteReply::parse(reply)?.check_single(reply)?;
        self.result()
    }

    fn unacknowledged(&mut self) -> Result<InsertOneResult> {
        self.result()
    }
}

#[cfg(test)]
mod tests {
    use bson::{Bson, Document, doc};

    use super::*;
    use crate::operation::tests::{replied, scope, written_for_newest};

    #[test]
    fn one_document_goes_as_a_sequence() {
        let mut payload = Payload::default();
        payload.push(&doc! { "_id": 0 }).unwrap();
        let options = InsertOneOptions::builder()
            .bypass_document_validation(true)
            .comment(Bson::Int32(1))
            .raw_data(true)
            .build();
        let mut operation = InsertOne::new(scope(), payload, options);
        let wanted = doc! {
            "insert": "c", "ordered": true, "bypassDocumentValidation": true, "comment": 1,
            "rawData": true,
        };
        assert_eq!(written_for_newest(&mut operation), wanted);
        let sequences = operation.sequences();
        let sequence = sequences.iter().next().unwrap();
        assert_eq!(sequence.identifier, "documents");
        assert_eq!(
            Document::from_reader(sequence.documents).unwrap(),
            doc! { "_id": 0 }
        );
        let result = replied(&mut operation, &doc! { "ok": 1, "n": 1 }).unwrap();
        assert_eq!(result.inserted_id, Bson::Int32(0));
        assert_eq!(
            operation.unacknowledged().unwrap().inserted_id,
            Bson::Int32(0)
        );
    }
}
