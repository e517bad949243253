//! `findAndModify`.

use std::marker::PhantomData;

use bson::{Document, RawBsonRef, RawDocument};
use serde::de::DeserializeOwned;

use super::{
    Modification, Operation, Retryability, Scope, Target, WIRE_4_4, fields::check_write_concern,
    write_reply::check_hint,
};
use crate::{
    error::{Error, Result},
    options::{FindOneAndUpdateOptions, ReturnDocument, WriteConcern},
    proto::{
        session::InSession,
        timeout::Timeout,
        wire::{DocumentWriter, Reply},
    },
};

/// Changes or deletes one document and returns it as a `T`.
#[derive(Debug)]
pub(crate) struct FindAndModify<'a, T> {
    scope: Scope<'a>,
    query: Document,
    /// `None` deletes the document.
    modification: Option<Modification>,
    options: FindOneAndUpdateOptions,
    document: PhantomData<fn() -> T>,
}

impl<'a, T> FindAndModify<'a, T> {
    /// # Errors
    /// An invalid-argument error when an update has no operator, or a replacement has one.
    pub(crate) fn modifying(
        scope: Scope<'a>,
        query: Document,
        modification: Modification,
        options: FindOneAndUpdateOptions,
    ) -> Result<Self> {
        modification.validate()?;
        Ok(Self {
            scope,
            query,
            modification: Some(modification),
            options,
            document: PhantomData,
        })
    }

    pub(crate) fn deleting(
        scope: Scope<'a>,
        query: Document,
        options: FindOneAndUpdateOptions,
    ) -> Self {
        Self {
            scope,
            query,
            modification: None,
            options,
            document: PhantomData,
        }
    }

    fn write_options(&self, command: &mut DocumentWriter<'_>, target: &Target<'_>) -> Result<()> {
        let options = &self.options;
        command.optional_document("sort", options.sort.as_ref())?;
        command.optional_document("fields", options.projection.as_ref())?;
        let new = options.return_document;
        command.optional_bool("new", new.map(|which| which == ReturnDocument::After))?;
        command.optional_bool("upsert", options.upsert)?;
        if let Some(filters) = &options.array_filters {
            command.append_documents("arrayFilters", filters)?;
        }
        let bypass = options.bypass_document_validation;
        command.optional_bool("bypassDocumentValidation", bypass)?;
        command.hint(options.hint.as_ref())?;
        command.collation(options.collation.as_ref())?;
        command.max_time(options.max_time, target)?;
        command.optional_document("let", options.let_vars.as_ref())?;
        command.optional_bson("comment", options.comment.as_ref())?;
        command.raw_data(options.raw_data, target)
    }
}

impl<T: DeserializeOwned> Operation for FindAndModify<'_, T> {
    type Output = Option<T>;

    fn name(&self) -> &str {
        "findAndModify"
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
        if self.options.hint.is_some() {
            check_hint(self.write_concern(), target, WIRE_4_4)?;
        }
        command.append_str("findAndModify", self.scope.collection)?;
        command.append_document("query", &self.query)?;
        match &self.modification {
            Some(modification) => modification.write("update", command, target)?,
            None => command.append_bool("remove", true)?,
        }
        self.write_options(command, target)
    }

    fn reply(&mut self, reply: &Reply, _target: &Target<'_>) -> Result<Option<T>> {
        let reply = reply.document();
        check_write_concern(reply)?;
        let document = found(reply)?;
        let document = document.map(|found| bson::deserialize_from_slice(found.as_bytes()));
        Ok(document.transpose()?)
    }

    /// Nothing comes back, so no document is known.
    fn unacknowledged(&mut self) -> Result<Option<T>> {
        Ok(None)
    }
}

/// The document in a reply.
fn found(reply: &RawDocument) -> Result<Option<&RawDocument>> {
    match reply.get("value") {
        Ok(Some(RawBsonRef::Document(document))) => Ok(Some(document)),
        Ok(Some(RawBsonRef::Null)) => Ok(None),
        _ => Err(Error::invalid_response(
            "the value of findAndModify is no document and not null",
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bson::{Bson, doc, rawdoc};

    use super::*;
    use crate::{
        error::ErrorKind,
        operation::tests::{replied, scope, target, written, written_for, written_for_newest},
        options::{Collation, FindOneAndDeleteOptions, FindOneAndReplaceOptions, Hint},
    };

    fn deleting(options: FindOneAndDeleteOptions) -> FindAndModify<'static, Document> {
        FindAndModify::deleting(scope(), doc! { "a": 1 }, options.into())
    }

    fn updating(options: FindOneAndUpdateOptions) -> FindAndModify<'static, Document> {
        let set = Modification::One(doc! { "$set": { "b": 2 } }.into());
        FindAndModify::modifying(scope(), doc! { "a": 1 }, set, options).unwrap()
    }

    #[test]
    fn the_three_kinds_differ_by_what_they_do_to_the_document() {
        let replacement = Modification::Replacement(rawdoc! { "b": 2 });
        let options = FindOneAndReplaceOptions::default().into();
        let query = || doc! { "a": 1 };
        let replacing = FindAndModify::modifying(scope(), query(), replacement, options);
        let pipeline = Modification::One(vec![doc! { "$set": { "b": 2 } }].into());
        let options = FindOneAndUpdateOptions::default();
        let by_pipeline = FindAndModify::modifying(scope(), query(), pipeline, options);
        for (mut operation, wanted) in [
            (
                deleting(FindOneAndDeleteOptions::default()),
                doc! { "remove": true },
            ),
            (
                updating(FindOneAndUpdateOptions::default()),
                doc! { "update": { "$set": { "b": 2 } } },
            ),
            (
                by_pipeline.unwrap(),
                doc! { "update": [{ "$set": { "b": 2 } }] },
            ),
            (replacing.unwrap(), doc! { "update": { "b": 2 } }),
        ] {
            let mut expected = doc! { "findAndModify": "c", "query": { "a": 1 } };
            expected.extend(wanted);
            assert_eq!(written(&mut operation), expected);
            assert_eq!(operation.retryability(), Retryability::Write);
        }
    }

    #[test]
    fn every_option_is_sent_under_the_servers_name() {
        let common = doc! {
            "sort": { "a": -1 }, "fields": { "b": 1 }, "hint": "a_1",
            "collation": { "locale": "en" }, "maxTimeMS": 5, "let": { "v": 1 }, "comment": 1,
            "rawData": true,
        };
        let options = FindOneAndDeleteOptions::builder()
            .sort(doc! { "a": -1 })
            .projection(doc! { "b": 1 })
            .hint(Hint::Name("a_1".into()))
            .collation(Collation::builder().locale("en").build())
            .max_time(Duration::from_millis(5))
            .let_vars(doc! { "v": 1 })
            .comment(Bson::Int32(1))
            .raw_data(true)
            .build();
        let mut wanted = doc! { "findAndModify": "c", "query": { "a": 1 }, "remove": true };
        wanted.extend(common.clone());
        let mut operation = deleting(options.clone());
        assert_eq!(written_for_newest(&mut operation), wanted);

        let mut options = FindOneAndUpdateOptions::from(options);
        options.return_document = Some(ReturnDocument::After);
        options.upsert = Some(true);
        options.array_filters = Some(vec![doc! { "x": 1 }]);
        options.bypass_document_validation = Some(false);
        let mut command = written_for_newest(&mut updating(options));
        for (name, value) in [
            ("new", Bson::from(true)),
            ("upsert", true.into()),
            ("arrayFilters", vec![doc! { "x": 1 }].into()),
            ("bypassDocumentValidation", false.into()),
        ] {
            assert_eq!(command.remove(name), Some(value), "{name}");
        }
        for (name, value) in common {
            assert_eq!(command.get(&name), Some(&value), "{name}");
        }
    }

    #[test]
    fn a_replacements_options_are_those_of_an_update() {
        let options = FindOneAndReplaceOptions::builder()
            .return_document(ReturnDocument::Before)
            .upsert(false)
            .bypass_document_validation(true)
            .build();
        let replacement = Modification::Replacement(rawdoc! {});
        let mut operation: FindAndModify<'_, Document> =
            FindAndModify::modifying(scope(), doc! {}, replacement, options.into()).unwrap();
        let wanted = doc! {
            "findAndModify": "c", "query": {}, "update": {}, "new": false, "upsert": false,
            "bypassDocumentValidation": true,
        };
        assert_eq!(written(&mut operation), wanted);
    }

    #[test]
    fn the_document_is_typed_and_may_be_absent() {
        #[derive(serde::Deserialize, Debug, PartialEq)]
        struct Person {
            age: u32,
        }
        let mut operation: FindAndModify<'_, Person> =
            FindAndModify::deleting(scope(), doc! {}, FindOneAndUpdateOptions::default());
        let found = replied(&mut operation, &doc! { "value": { "age": 36 }, "ok": 1 });
        assert_eq!(found.unwrap(), Some(Person { age: 36 }));
        let none = replied(&mut operation, &doc! { "value": null, "ok": 1 });
        assert_eq!(none.unwrap(), None);
        assert_eq!(operation.unacknowledged().unwrap(), None);
        let other = replied(&mut operation, &doc! { "value": { "age": "old" } }).unwrap_err();
        assert!(matches!(*other.kind, ErrorKind::Bson(_)), "{other:?}");
        for reply in [doc! { "ok": 1 }, doc! { "value": 1 }, doc! { "value": [] }] {
            let error = replied(&mut operation, &reply).unwrap_err();
            assert!(matches!(*error.kind, ErrorKind::InvalidResponse { .. }));
        }
    }

    #[test]
    fn an_unmet_write_concern_is_told() {
        let reply = doc! {
            "value": {}, "writeConcernError": { "code": 64, "errmsg": "late" },
            "errorLabels": ["L"],
        };
        let mut operation = deleting(FindOneAndDeleteOptions::default());
        let error = replied(&mut operation, &reply).unwrap_err();
        assert_eq!(error.code(), Some(64));
        assert!(error.contains_label("L"));
    }

    #[test]
    fn an_old_server_would_ignore_an_unacknowledged_hint_so_it_is_refused() {
        let options = FindOneAndDeleteOptions::builder()
            .hint(Hint::Name("x".into()))
            .write_concern(WriteConcern::nodes(0))
            .build();
        let old = Target {
            max_wire_version: WIRE_4_4 - 1,
            ..target()
        };
        assert!(written_for(&mut deleting(options.clone()), &old).is_err());
        assert!(written_for(&mut deleting(options), &target()).is_ok());
    }

    #[test]
    fn updates_and_replacements_are_not_mixed_up() {
        for modification in [
            Modification::One(doc! { "b": 2 }.into()),
            Modification::Replacement(rawdoc! { "$set": { "b": 2 } }),
        ] {
            let text = format!("{modification:?}");
            let options = FindOneAndUpdateOptions::default();
            let operation =
                FindAndModify::<Document>::modifying(scope(), doc! {}, modification, options);
            assert!(operation.is_err(), "{text}");
        }
    }
}
