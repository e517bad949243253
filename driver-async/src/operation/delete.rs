//! `delete`.

use bson::Document;

use super::{
    Operation, Retryability, Scope, Target, WIRE_4_4,
    write_reply::{WriteReply, check_hint},
};
use crate::{
    error::Result,
    options::{DeleteOptions, WriteConcern},
    proto::{
        session::InSession,
        timeout::Timeout,
        wire::{DocumentWriter, Reply},
    },
    results::DeleteResult,
};

/// Deletes documents.
#[derive(Debug)]
pub(crate) struct Delete<'a> {
    scope: Scope<'a>,
    query: Document,
    /// As the command spells it: 1 deletes one document, 0 all that match.
    limit: i32,
    options: DeleteOptions,
}

impl<'a> Delete<'a> {
    pub(crate) fn one(scope: Scope<'a>, query: Document, options: DeleteOptions) -> Self {
        Self {
            scope,
            query,
            limit: 1,
            options,
        }
    }

    pub(crate) fn many(scope: Scope<'a>, query: Document, options: DeleteOptions) -> Self {
        Self {
            scope,
            query,
            limit: 0,
            options,
        }
    }
}

impl Operation for Delete<'_> {
    type Output = DeleteResult;

    fn name(&self) -> &str {
        "delete"
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
        if self.limit == 1 {
            Retryability::Write
        } else {
            Retryability::None
        }
    }

    fn write_concern(&self) -> Option<&WriteConcern> {
        let own = self.options.write_concern.as_ref();
        own.or(self.scope.write_concern)
    }

    fn write(&mut self, command: &mut DocumentWriter<'_>, target: &Target<'_>) -> Result<()> {
        let options = &self.options;
        if options.hint.is_some() {
            check_hint(self.write_concern(), target, WIRE_4_4)?;
        }
        command.append_str("delete", self.scope.collection)?;
        command.append_array_with("deletes", |deletes| {
            deletes.append_document_with("0", |delete| {
                delete.append_document("q", &self.query)?;
                delete.append_i32("limit", self.limit)?;
                delete.hint(options.hint.as_ref())?;
                delete.collation(options.collation.as_ref())
            })
        })?;
        command.append_bool("ordered", true)?;
        command.optional_document("let", options.let_vars.as_ref())?;
        command.optional_bson("comment", options.comment.as_ref())?;
        command.raw_data(options.raw_data, target)
    }

    fn reply(&mut self, reply: &Reply, _target: &Target<'_>) -> Result<DeleteResult> {
        let reply = reply.document();
        let mut parsed = WriteReply::parse(reply)?;
        parsed.check_single(reply)?;
        Ok(DeleteResult {
            deleted_count: parsed.n,
        })
    }

    fn unacknowledged(&mut self) -> Result<DeleteResult> {
        Ok(DeleteResult::default())
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;
    use crate::{
        operation::tests::{replied, scope, written, written_for_newest},
        options::{Collation, Hint},
    };

    #[test]
    fn one_and_many_differ_by_the_limit_and_by_retrying() {
        let query = doc! { "a": 1 };
        let mut one = Delete::one(scope(), query.clone(), DeleteOptions::default());
        let mut many = Delete::many(scope(), query, DeleteOptions::default());
        for (operation, limit, retryability) in [
            (&mut one, 1, Retryability::Write),
            (&mut many, 0, Retryability::None),
        ] {
            let wanted = doc! {
                "delete": "c", "deletes": [{ "q": { "a": 1 }, "limit": limit }], "ordered": true,
            };
            assert_eq!(written(operation), wanted);
            assert_eq!(operation.retryability(), retryability);
            let result = replied(operation, &doc! { "ok": 1, "n": 3.0 }).unwrap();
            assert_eq!(result.deleted_count, 3);
        }
    }

    #[test]
    fn every_option_is_sent_under_the_servers_name() {
        let options = DeleteOptions::builder()
            .collation(Collation::builder().locale("en").build())
            .hint(Hint::Name("a_1".into()))
            .let_vars(doc! { "v": 1 })
            .comment(bson::Bson::Int32(1))
            .raw_data(true)
            .build();
        let wanted = doc! {
            "delete": "c",
            "deletes": [{ "q": {}, "limit": 0, "hint": "a_1", "collation": { "locale": "en" } }],
            "ordered": true, "let": { "v": 1 }, "comment": 1, "rawData": true,
        };
        assert_eq!(
            written_for_newest(&mut Delete::many(scope(), doc! {}, options)),
            wanted
        );
    }
}
