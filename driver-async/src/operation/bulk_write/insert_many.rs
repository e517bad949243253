//! `insert_many`: a bulk write of inserts alone.

use super::{BulkWrite, Scope, Statements};
use crate::{
    error::{Error, ErrorKind, InsertManyError, Result},
    options::{CollectionBulkWriteOptions, InsertManyOptions},
    results::{CollectionBulkWriteResult, InsertManyResult},
};

impl<'a> BulkWrite<'a> {
    /// Inserts many documents.
    ///
    /// # Errors
    /// An invalid-argument error when there is no document.
    pub(crate) fn insert_many(
        scope: Scope<'a>,
        statements: Statements,
        options: InsertManyOptions,
        operation_id: i64,
    ) -> Result<Self> {
        if statements.is_empty() {
            return Err(Error::invalid_argument(
                "insert_many was given no document; give one or more",
            ));
        }
        let options = CollectionBulkWriteOptions {
            ordered: options.ordered,
            bypass_document_validation: options.bypass_document_validation,
            comment: options.comment,
            let_vars: None,
            write_concern: options.write_concern,
            raw_data: options.raw_data,
            timeout: options.timeout,
        };
        Self::new(scope, statements, options, operation_id)
    }
}

/// The result of a bulk write that inserted many documents, told as such. An error of the network
/// stands alone, as with a single insert, unless there is more to tell.
pub(crate) fn insert_many_result(
    result: Result<CollectionBulkWriteResult>,
) -> Result<InsertManyResult> {
    match result {
        Ok(CollectionBulkWriteResult { inserted_ids, .. }) => Ok(InsertManyResult { inserted_ids }),
        Err(mut error) => {
            if let ErrorKind::CollectionBulkWrite(refused) = &mut *error.kind {
                let refused = InsertManyError::from(std::mem::take(refused));
                if refused.is_blank() {
                    return Err(error.unframed());
                }
                *error.kind = ErrorKind::InsertMany(refused);
            }
            Err(error)
        }
    }
}
