//! Whether an error is the one a case expects.

use std::error::Error as _;

use bson::{Bson, Document, doc};
use motorcade::error::{
    BulkWriteError, CollectionBulkWriteError, Error, ErrorKind, InsertManyError, WriteConcernError,
    WriteError, WriteFailure,
};

use super::{
    file::ExpectedError,
    matching::{Lookup, Position, match_root, match_value},
    results::{self, ResultDocument},
};

/// Fails when an error is not like the one expected.
///
/// # Errors
///
/// The text names the field of `expectError` that does not hold, and the error.
pub fn match_error(
    expected: &ExpectedError,
    actual: &Error,
    lookup: &dyn Lookup,
) -> Result<(), String> {
    Told::by(actual)
        .matches(expected, lookup)
        .map_err(|why| format!("{why}; the error: {actual}"))
}

/// What an error tells, as far as cases can ask.
#[derive(Debug, Default)]
struct Told {
    is_client_error: bool,
    is_timeout: bool,
    /// The error's own text, those of what led to it, and the server's words.
    texts: Vec<String>,
    codes: Vec<i32>,
    code_names: Vec<String>,
    labels: Vec<String>,
    response: Option<Document>,
    /// By index.
    write_errors: Document,
    write_concern_errors: Vec<Bson>,
    /// What was done before the failure.
    result: Option<Document>,
}

impl Told {
    fn by(error: &Error) -> Self {
        let mut told = Self {
            labels: error.labels().iter().cloned().collect(),
            ..Self::default()
        };
        match &*error.kind {
            ErrorKind::BulkWrite(bulk) => told.add_client_bulk(bulk, error),
            kind => {
                told.add_whole(error);
                match kind {
                    // The text of an error is cut where it would quote a document; this is whole.
                    ErrorKind::Write(WriteFailure::WriteError(error)) => {
                        told.texts.push(error.message.clone());
                    }
                    ErrorKind::InsertMany(many) => told.add_many(many),
                    ErrorKind::CollectionBulkWrite(bulk) => told.add_bulk(bulk),
                    _ => {}
                }
            }
        }
        told
    }

    /// What an error tells of itself, and of those that led to it.
    fn add_whole(&mut self, error: &Error) {
        self.is_client_error = !error.is_server_error();
        // The format means the timeouts that timeoutMS sets, not all that a driver calls one.
        self.is_timeout = matches!(*error.kind, ErrorKind::OperationTimeout { .. });
        self.codes.extend(error.code());
        self.code_names.extend(error.code_name().map(str::to_owned));
        self.response = error
            .server_response()
            .and_then(|reply| Document::try_from(reply).ok());
        self.texts.push(error.to_string());
        let mut source = error.source();
        while let Some(error) = source {
            self.texts.push(error.to_string());
            source = error.source();
        }
    }

    /// Many inserts are one bulk write by the specification, and have its result.
    fn add_many(&mut self, error: &InsertManyError) {
        for write in error.write_errors.iter().flatten() {
            self.add_write_error(write.index, &WriteError::from(write.clone()));
        }
        self.add_concern_errors(error.write_concern_error.as_ref());
        let ids = results::by_index(&error.inserted_ids, Clone::clone);
        self.result = Some(doc! {
            "insertedCount": i64::try_from(ids.len()).unwrap_or(i64::MAX),
            "insertedIds": ids,
            "matchedCount": 0,
            "modifiedCount": 0,
            "deletedCount": 0,
            "upsertedCount": 0,
            "upsertedIds": {},
        });
        self.gather();
    }

    fn add_bulk(&mut self, error: &CollectionBulkWriteError) {
        for (index, write) in &error.write_errors {
            self.add_write_error(*index, write);
        }
        self.add_concern_errors(&error.write_concern_errors);
        self.result = Some(error.partial_result.document());
        self.gather();
    }

    /// Of the client's bulk write, all but its lists of errors is asked of the error that ended it.
    fn add_client_bulk(&mut self, bulk: &BulkWriteError, error: &Error) {
        match error.source().and_then(|source| source.downcast_ref()) {
            Some(ended_by) => self.add_whole(ended_by),
            None => self.is_client_error = !error.is_server_error(),
        }
        for (index, write) in &bulk.write_errors {
            self.add_write_error(*index, write);
        }
        self.add_concern_errors(&bulk.write_concern_errors);
        self.result = bulk.partial_result.as_ref().map(ResultDocument::document);
    }

    fn add_write_error(&mut self, index: usize, error: &WriteError) {
        let name = error.code_name.as_deref();
        let document = with_names(error.code, name, &error.message, error.details.as_ref());
        self.write_errors.insert(index.to_string(), document);
    }

    fn add_concern_errors<'a>(&mut self, errors: impl IntoIterator<Item = &'a WriteConcernError>) {
        let documents = errors.into_iter().map(|error| {
            let name = Some(error.code_name.as_str());
            with_names(error.code, name, &error.message, error.details.as_ref()).into()
        });
        self.write_concern_errors.extend(documents);
    }

    /// Counts the codes and texts of each of the errors that are gathered in one as its own.
    fn gather(&mut self) {
        let gathered = self.write_errors.iter().map(|(_, error)| error);
        for error in gathered.chain(&self.write_concern_errors) {
            let Some(error) = error.as_document() else {
                continue;
            };
            self.codes.extend(error.get_i32("code"));
            self.code_names
                .extend(error.get_str("codeName").map(str::to_owned));
            self.texts
                .extend(error.get_str("message").map(str::to_owned));
        }
    }

    fn matches(&self, expected: &ExpectedError, lookup: &dyn Lookup) -> Result<(), String> {
        self.has_origin(expected)?;
        self.has_text_and_code(expected)?;
        for label in &expected.error_labels_contain {
            if !self.labels.contains(label) {
                return Err(format!(
                    "errorLabelsContain: {label} is not in {:?}",
                    self.labels
                ));
            }
        }
        for label in &expected.error_labels_omit {
            if self.labels.contains(label) {
                return Err(format!("errorLabelsOmit: {label} is in {:?}", self.labels));
            }
        }
        self.has_server_errors(expected, lookup)?;
        match &expected.expect_result {
            None => Ok(()),
            Some(wanted) => {
                let found = self.result.clone().map(Bson::Document);
                match_value(wanted, found.as_ref(), Position::Root, lookup)
                    .map_err(|why| format!("expectResult: {why}"))
            }
        }
    }

    fn has_origin(&self, expected: &ExpectedError) -> Result<(), String> {
        if expected.is_error == Some(false) {
            return Err("isError: the case says false, which the format forbids".to_owned());
        }
        for (field, wanted, found) in [
            (
                "isClientError",
                expected.is_client_error,
                self.is_client_error,
            ),
            ("isTimeoutError", expected.is_timeout_error, self.is_timeout),
        ] {
            if wanted.is_some_and(|wanted| wanted != found) {
                return Err(format!("{field}: found {found}"));
            }
        }
        Ok(())
    }

    fn has_text_and_code(&self, expected: &ExpectedError) -> Result<(), String> {
        if let Some(part) = &expected.error_contains {
            let part = part.to_lowercase();
            let mut texts = self.texts.iter().map(|text| text.to_lowercase());
            if !texts.any(|text| text.contains(&part)) {
                return Err(format!(
                    "errorContains: {part:?} is in none of {:?}",
                    self.texts
                ));
            }
        }
        if let Some(code) = expected.error_code
            && !self.codes.contains(&code)
        {
            return Err(format!("errorCode: {code} is not in {:?}", self.codes));
        }
        if let Some(name) = &expected.error_code_name {
            let mut names = self.code_names.iter();
            if !names.any(|found| found.eq_ignore_ascii_case(name)) {
                return Err(format!(
                    "errorCodeName: {name} is not in {:?}",
                    self.code_names
                ));
            }
        }
        Ok(())
    }

    fn has_server_errors(
        &self,
        expected: &ExpectedError,
        lookup: &dyn Lookup,
    ) -> Result<(), String> {
        if let Some(wanted) = &expected.error_response {
            let found = self.response.as_ref();
            let found = found.ok_or("errorResponse: the error has no reply of a server")?;
            match_root(wanted, found, lookup).map_err(|why| format!("errorResponse: {why}"))?;
        }
        if let Some(wanted) = &expected.write_errors {
            let at_root = wanted.iter().map(|(index, error)| {
                let error = doc! { "$$matchAsRoot": error.clone() };
                (index.clone(), Bson::Document(error))
            });
            let wanted = Bson::Document(at_root.collect());
            let found = Bson::Document(self.write_errors.clone());
            match_value(&wanted, Some(&found), Position::Nested, lookup)
                .map_err(|why| format!("writeErrors: {why}"))?;
        }
        if let Some(wanted) = &expected.write_concern_errors {
            let wanted = Bson::Array(wanted.iter().cloned().map(Bson::Document).collect());
            let found = Bson::Array(self.write_concern_errors.clone());
            match_value(&wanted, Some(&found), Position::Root, lookup)
                .map_err(|why| format!("writeConcernErrors: {why}"))?;
        }
        Ok(())
    }
}

/// An error of the server with the names of the CRUD specification.
fn with_names(
    code: i32,
    name: Option<&str>,
    message: &str,
    details: Option<&Document>,
) -> Document {
    let mut document = doc! { "code": code, "message": message };
    if let Some(name) = name {
        document.insert("codeName", name);
    }
    if let Some(details) = details {
        document.insert("details", details.clone());
    }
    document
}

#[cfg(test)]
mod tests {
    use bson::bson;

    use super::*;
    use crate::unified::{file::from_bson, matching::tests::Entities};

    #[track_caller]
    fn holds(told: &Told, expected: Bson) {
        let expected: ExpectedError = from_bson(expected).unwrap();
        assert_eq!(told.matches(&expected, &Entities), Ok(()));
    }

    #[track_caller]
    fn fails(told: &Told, expected: Bson, text: &str) {
        let expected: ExpectedError = from_bson(expected).unwrap();
        let error = told.matches(&expected, &Entities).unwrap_err();
        assert!(error.starts_with(text), "{text}: {error}");
    }

    #[test]
    fn origin_text_code_and_labels_are_matched() {
        let told = Told {
            is_client_error: false,
            is_timeout: true,
            texts: vec!["a: Not here".to_owned(), "E11000 dup".to_owned()],
            codes: vec![11000, 64],
            code_names: vec!["DuplicateKey".to_owned()],
            labels: vec!["L1".to_owned(), "L2".to_owned()],
            ..Told::default()
        };
        holds(
            &told,
            bson!({ "isError": true, "isClientError": false, "isTimeoutError": true }),
        );
        holds(
            &told,
            bson!({ "errorContains": "e11000 DUP", "errorCode": 64 }),
        );
        holds(&told, bson!({ "errorCodeName": "duplicatekey" }));
        holds(
            &told,
            bson!({ "errorLabelsContain": ["L2", "L1"], "errorLabelsOmit": ["L3"] }),
        );
        fails(&told, bson!({ "isError": false }), "isError");
        fails(&told, bson!({ "isClientError": true }), "isClientError");
        fails(&told, bson!({ "isTimeoutError": false }), "isTimeoutError");
        fails(&told, bson!({ "errorContains": "there" }), "errorContains");
        fails(&told, bson!({ "errorCode": 1 }), "errorCode: ");
        fails(
            &told,
            bson!({ "errorCodeName": "Duplicate" }),
            "errorCodeName",
        );
        fails(
            &told,
            bson!({ "errorLabelsContain": ["L1", "L3"] }),
            "errorLabelsContain: L3",
        );
        fails(
            &told,
            bson!({ "errorLabelsOmit": ["L1"] }),
            "errorLabelsOmit: L1",
        );
    }

    #[test]
    fn the_server_s_reply_and_the_single_errors_are_matched_as_documents_at_the_root() {
        let error = doc! { "code": 8, "message": "m" };
        let told = Told {
            response: Some(doc! { "ok": 0, "code": 8 }),
            write_errors: doc! { "1": error.clone() },
            write_concern_errors: vec![error.into()],
            ..Told::default()
        };
        holds(&told, bson!({ "errorResponse": { "code": 8_i64 } }));
        fails(
            &told,
            bson!({ "errorResponse": { "code": 9 } }),
            "errorResponse: at code",
        );
        fails(
            &Told::default(),
            bson!({ "errorResponse": {} }),
            "errorResponse: the error has no",
        );
        holds(&told, bson!({ "writeErrors": { "1": { "code": 8 } } }));
        for wrong in [
            bson!({}),
            bson!({ "0": { "code": 8 } }),
            bson!({ "1": { "code": 9 } }),
        ] {
            fails(&told, bson!({ "writeErrors": wrong }), "writeErrors");
        }
        holds(&told, bson!({ "writeConcernErrors": [{ "message": "m" }] }));
        for wrong in [
            bson!([]),
            bson!([{ "code": 9 }]),
            bson!([{ "code": 8 }, { "code": 8 }]),
        ] {
            fails(
                &told,
                bson!({ "writeConcernErrors": wrong }),
                "writeConcernErrors",
            );
        }
    }

    #[test]
    fn a_partial_result_is_matched_at_the_root_and_may_be_absent_where_allowed() {
        let told = Told {
            result: Some(doc! { "insertedCount": 2, "insertedIds": { "0": 1 } }),
            ..Told::default()
        };
        holds(&told, bson!({ "expectResult": { "insertedCount": 2 } }));
        fails(
            &told,
            bson!({ "expectResult": { "insertedCount": 1 } }),
            "expectResult",
        );
        let wanted = bson!({ "expectResult": { "insertedCount": 2 } });
        fails(&Told::default(), wanted, "expectResult");
        let wanted = bson!({ "expectResult": { "$$unsetOrMatches": { "insertedCount": 2 } } });
        holds(&Told::default(), wanted);
    }

    #[test]
    fn the_errors_of_many_inserts_count_one_and_all() {
        let failed: InsertManyError = from_bson(bson!({
            "writeErrors": [
                { "index": 0, "code": 11000, "errmsg": "E11000 duplicate dup key: { _id: 1 }" },
                { "index": 2, "code": 121, "errmsg": "Document failed validation" },
            ],
            "writeConcernError": { "code": 64, "codeName": "WriteConcernTimeout", "errmsg": "late" },
        }))
        .unwrap();
        let told = Told::by(&ErrorKind::InsertMany(failed).into());
        holds(
            &told,
            bson!({ "isClientError": false, "errorContains": "dup key: { _id: 1 }" }),
        );
        holds(
            &told,
            bson!({ "errorContains": "late", "errorCodeName": "WriteConcernTimeout" }),
        );
        holds(
            &told,
            bson!({ "writeErrors": { "0": {}, "2": { "code": 121 } } }),
        );
        holds(&told, bson!({ "writeConcernErrors": [{ "code": 64 }] }));
        holds(
            &told,
            bson!({ "expectResult": { "insertedCount": 0, "upsertedIds": {} } }),
        );
        fails(&told, bson!({ "isClientError": true }), "isClientError");
    }

    #[test]
    fn the_errors_of_a_collection_s_bulk_write_count_one_and_all_and_those_of_a_client_s_do_not() {
        let write: WriteError = from_bson(bson!({ "code": 11000, "errmsg": "E11000" })).unwrap();
        let mut of_collection = CollectionBulkWriteError::default();
        of_collection.write_errors.insert(1, write.clone());
        of_collection.partial_result.deleted_count = 3;
        let told = Told::by(&ErrorKind::CollectionBulkWrite(of_collection).into());
        holds(
            &told,
            bson!({ "isClientError": false, "errorContains": "e11000", "errorCode": 11000 }),
        );
        holds(
            &told,
            bson!({ "expectResult": { "deletedCount": 3, "upsertedIds": {} } }),
        );

        let mut of_client = BulkWriteError::default();
        of_client.write_errors.insert(1, write);
        let told = Told::by(&ErrorKind::BulkWrite(of_client).into());
        holds(
            &told,
            bson!({ "isClientError": false, "writeErrors": { "1": { "code": 11000 } } }),
        );
        holds(&told, bson!({ "expectResult": { "$$unsetOrMatches": {} } }));
        fails(&told, bson!({ "errorCode": 11000 }), "errorCode: ");
        fails(
            &told,
            bson!({ "errorContains": "E11000" }),
            "errorContains: ",
        );
    }

    #[test]
    fn an_error_of_the_network_is_the_client_s() {
        let told = Told::by(&std::io::Error::from(std::io::ErrorKind::ConnectionReset).into());
        holds(
            &told,
            bson!({ "isClientError": true, "isTimeoutError": false }),
        );
        fails(&told, bson!({ "errorCode": 6 }), "errorCode");
    }
}
