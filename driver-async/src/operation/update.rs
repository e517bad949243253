//! `update`.

use bson::{Document, RawDocument, RawDocumentBuf};

use super::{
    Operation, Retryability, Scope, Target, WIRE_4_2,
    write_reply::{WriteReply, check_hint},
};
use crate::{
    error::{Error, Result},
    options::{UpdateModifications, UpdateOptions, WriteConcern},
    proto::{
        session::InSession,
        timeout::Timeout,
        wire::{DocumentWriter, Reply},
    },
    results::UpdateResult,
};

/// What becomes of the documents that match.
#[derive(Debug)]
pub(crate) enum Modification {
    /// One is updated.
    One(UpdateModifications),
    /// All are updated.
    Many(UpdateModifications),
    /// One is replaced.
    Replacement(RawDocumentBuf),
}

impl Modification {
    /// The server would take one kind for the other, so it never sees them mixed up.
    pub(super) fn validate(&self) -> Result<()> {
        match self {
            Self::One(update) | Self::Many(update) => check_update(update),
            Self::Replacement(document) => check_replacement(document),
        }
    }

    /// # Errors
    /// An invalid-argument error for a replacement larger than the server takes.
    pub(super) fn write(
        &self,
        key: &str,
        command: &mut DocumentWriter<'_>,
        target: &Target<'_>,
    ) -> Result<()> {
        match self {
            Self::One(update) | Self::Many(update) => write_update(key, update, command),
            Self::Replacement(document) => {
                let (size, most) = (document.as_bytes().len(), target.max_bson_object_size);
                if size > most {
                    return Err(Error::invalid_argument(format!(
                        "the replacement has {size} bytes and the server takes at most {most}"
                    )));
                }
                command.append_raw_document(key, document)
            }
        }
    }
}

/// Refuses an update that a server would take for a replacement.
pub(super) fn check_update(update: &UpdateModifications) -> Result<()> {
    match update {
        UpdateModifications::Document(update) => match update.keys().next() {
            Some(key) if key.starts_with('$') => Ok(()),
            _ => Err(Error::invalid_argument(
                "an update must begin with an operator such as \"$set\"; \
                 to replace a whole document, use replace_one or find_one_and_replace",
            )),
        },
        UpdateModifications::Pipeline(_) => Ok(()),
    }
}

/// Refuses a replacement that a server would take for an update.
pub(super) fn check_replacement(document: &RawDocument) -> Result<()> {
    match document.iter().next() {
        Some(Ok((key, _))) if key.as_str().starts_with('$') => {
            Err(Error::invalid_argument(format!(
                "a replacement must not begin with the operator {:?}; \
                 to update a document, use update_one or find_one_and_update",
                key.as_str()
            )))
        }
        _ => Ok(()),
    }
}

pub(super) fn write_update(
    key: &str,
    update: &UpdateModifications,
    command: &mut DocumentWriter<'_>,
) -> Result<()> {
    match update {
        UpdateModifications::Document(document) => command.append_document(key, document),
        UpdateModifications::Pipeline(stages) => command.append_documents(key, stages),
    }
}

/// Updates or replaces documents.
#[derive(Debug)]
pub(crate) struct Update<'a> {
    scope: Scope<'a>,
    query: Document,
    modification: Modification,
    options: UpdateOptions,
}

impl<'a> Update<'a> {
    /// # Errors
    /// An invalid-argument error when an update has no operator, or a replacement has one.
    pub(crate) fn new(
        scope: Scope<'a>,
        query: Document,
        modification: Modification,
        options: UpdateOptions,
    ) -> Result<Self> {
        modification.validate()?;
        Ok(Self {
            scope,
            query,
            modification,
            options,
        })
    }

    fn is_multi(&self) -> bool {
        matches!(self.modification, Modification::Many(_))
    }

    fn write_update(&self, update: &mut DocumentWriter<'_>, target: &Target<'_>) -> Result<()> {
        let options = &self.options;
        update.append_document("q", &self.query)?;
        self.modification.write("u", update, target)?;
        if self.is_multi() {
            update.append_bool("multi", true)?;
        }
        update.optional_bool("upsert", options.upsert)?;
        if let Some(filters) = &options.array_filters {
            update.append_documents("arrayFilters", filters)?;
        }
        update.hint(options.hint.as_ref())?;
        update.collation(options.collation.as_ref())?;
        update.optional_document("sort", options.sort.as_ref())
    }
}

impl Operation for Update<'_> {
    type Output = UpdateResult;

    fn name(&self) -> &str {
        "update"
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
        if self.is_multi() {
            Retryability::None
        } else {
            Retryability::Write
        }
    }

    fn write_concern(&self) -> Option<&WriteConcern> {
        let own = self.options.write_concern.as_ref();
        own.or(self.scope.write_concern)
    }

    fn write(&mut self, command: &mut DocumentWriter<'_>, target: &Target<'_>) -> Result<()> {
        if self.options.hint.is_some() {
            check_hint(self.write_concern(), target, WIRE_4_2)?;
        }
        command.append_str("update", self.scope.collection)?;
        command.append_array_with("updates", |updates| {
            updates.append_document_with("0", |update| self.write_update(update, target))
        })?;
        command.append_bool("ordered", true)?;
        let bypass = self.options.bypass_document_validation;
        command.optional_bool("bypassDocumentValidation", bypass)?;
        command.optional_document("let", self.options.let_vars.as_ref())?;
        command.optional_bson("comment", self.options.comment.as_ref())?;
        command.raw_data(self.options.raw_data, target)
    }

    fn reply(&mut self, reply: &Reply, _target: &Target<'_>) -> Result<UpdateResult> {
        let reply = reply.document();
        let mut parsed = WriteReply::parse(reply)?;
        parsed.check_single(reply)?;
        // The server counts an upserted document as one that matched.
        let upserted = u64::try_from(parsed.upserted.len()).unwrap_or(u64::MAX);
        Ok(UpdateResult {
            matched_count: parsed.n.saturating_sub(upserted),
            modified_count: parsed.modified,
            upserted_id: parsed.upserted.into_iter().next().map(|(_, id)| id),
        })
    }

    fn unacknowledged(&mut self) -> Result<UpdateResult> {
        Ok(UpdateResult::default())
    }
}

#[cfg(test)]
mod tests {
    use bson::{Bson, doc, rawdoc};

    use super::*;
    use crate::{
        operation::tests::{replied, scope, target, written, written_for, written_for_newest},
        options::{Collation, Hint, ReplaceOptions},
    };

    fn update(modification: Modification, options: UpdateOptions) -> Update<'static> {
        Update::new(scope(), doc! { "a": 1 }, modification, options).unwrap()
    }

    #[test]
    fn updates_differ_by_how_many_they_touch_and_how() {
        let set = || doc! { "$set": { "b": 2 } };
        for (modification, wanted, retryability) in [
            (
                Modification::One(set().into()),
                doc! { "q": { "a": 1 }, "u": set() },
                Retryability::Write,
            ),
            (
                Modification::Many(set().into()),
                doc! { "q": { "a": 1 }, "u": set(), "multi": true },
                Retryability::None,
            ),
            (
                Modification::One(vec![set()].into()),
                doc! { "q": { "a": 1 }, "u": [set()] },
                Retryability::Write,
            ),
            (
                Modification::Replacement(rawdoc! { "b": 2 }),
                doc! { "q": { "a": 1 }, "u": { "b": 2 } },
                Retryability::Write,
            ),
        ] {
            let mut operation = update(modification, UpdateOptions::default());
            assert_eq!(operation.retryability(), retryability);
            let wanted = doc! { "update": "c", "updates": [wanted], "ordered": true };
            assert_eq!(written(&mut operation), wanted);
        }
    }

    #[test]
    fn every_option_is_sent_under_the_servers_name() {
        let options = UpdateOptions::builder()
            .array_filters(vec![doc! { "x": 1 }])
            .bypass_document_validation(false)
            .upsert(true)
            .collation(Collation::builder().locale("en").build())
            .hint(Hint::Keys(doc! { "a": 1 }))
            .let_vars(doc! { "v": 1 })
            .comment(Bson::Int32(1))
            .sort(doc! { "a": -1 })
            .raw_data(true)
            .build();
        let set = doc! { "$set": { "b": 2 } };
        let wanted = doc! {
            "update": "c",
            "updates": [{
                "q": { "a": 1 }, "u": &set, "upsert": true, "arrayFilters": [{ "x": 1 }],
                "hint": { "a": 1 }, "collation": { "locale": "en" }, "sort": { "a": -1 },
            }],
            "ordered": true, "bypassDocumentValidation": false, "let": { "v": 1 }, "comment": 1,
            "rawData": true,
        };
        assert_eq!(
            written_for_newest(&mut update(Modification::One(set.into()), options)),
            wanted
        );
    }

    #[test]
    fn updates_and_replacements_are_not_mixed_up() {
        let refused = [
            Modification::One(doc! { "b": 2 }.into()),
            Modification::Many(doc! {}.into()),
            Modification::Replacement(rawdoc! { "$set": { "b": 2 } }),
        ];
        for modification in refused {
            let text = format!("{modification:?}");
            let options = ReplaceOptions::default().into();
            assert!(
                Update::new(scope(), doc! {}, modification, options).is_err(),
                "{text}"
            );
        }
        let empty = Modification::Replacement(rawdoc! {});
        assert!(Update::new(scope(), doc! {}, empty, UpdateOptions::default()).is_ok());
    }

    #[test]
    fn an_upserted_document_did_not_match() {
        let mut operation = update(
            Modification::Replacement(rawdoc! {}),
            UpdateOptions::default(),
        );
        let reply =
            doc! { "ok": 1, "n": 1, "nModified": 0, "upserted": [{ "index": 0, "_id": 7 }] };
        let result = replied(&mut operation, &reply).unwrap();
        assert_eq!((result.matched_count, result.modified_count), (0, 0));
        assert_eq!(result.upserted_id, Some(Bson::Int32(7)));
        let result = replied(&mut operation, &doc! { "ok": 1, "n": 2, "nModified": 1 }).unwrap();
        assert_eq!((result.matched_count, result.modified_count), (2, 1));
    }

    #[test]
    fn an_old_server_would_ignore_an_unacknowledged_hint_so_it_is_refused() {
        let options = UpdateOptions::builder()
            .hint(Hint::Name("x".into()))
            .write_concern(WriteConcern::nodes(0))
            .build();
        let mut operation = update(Modification::Replacement(rawdoc! {}), options);
        let old = Target {
            max_wire_version: 7,
            ..target()
        };
        assert!(written_for(&mut operation, &old).is_err());
        assert!(written_for(&mut operation, &target()).is_ok());
    }
}
