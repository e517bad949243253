//! What went wrong with bulk writes, and what was done nevertheless.

use std::{collections::HashMap, fmt};

use serde::Serialize;

use super::{
    ErrorKind, InsertManyError, WriteConcernError, WriteError, codes,
    server::{write_error, write_message},
};
use crate::results::{CollectionBulkWriteResult, SummaryBulkWriteResult, VerboseBulkWriteResult};

/// What went wrong with a [`Client::bulk_write`](crate::Client::bulk_write).
///
/// When an error of the network or of a whole command ended it, that error is the
/// [source](std::error::Error::source) of this one.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct BulkWriteError {
    /// The write concern errors, one at most for each command that was sent.
    pub write_concern_errors: Vec<WriteConcernError>,
    /// The refused writes, by their place, counted from 0, among those given. An ordered bulk
    /// write has one at most.
    pub write_errors: HashMap<usize, WriteError>,
    /// What was done; `None` when it is not known that any write succeeded.
    pub partial_result: Option<PartialBulkWriteResult>,
}

/// What was done by a [`Client::bulk_write`](crate::Client::bulk_write) that went wrong.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum PartialBulkWriteResult {
    /// The counts.
    Summary(SummaryBulkWriteResult),
    /// The counts, and what each write did, because verbose results were asked for.
    Verbose(VerboseBulkWriteResult),
}

/// What went wrong with a [`Collection::bulk_write`](crate::Collection::bulk_write).
///
/// When an error of the network or of a whole command ended it, that error is the
/// [source](std::error::Error::source) of this one.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CollectionBulkWriteError {
    /// The write concern errors, one at most for each command that was sent.
    pub write_concern_errors: Vec<WriteConcernError>,
    /// The refused writes, by their place, counted from 0, among those given. An ordered bulk
    /// write has one at most.
    pub write_errors: HashMap<usize, WriteError>,
    /// What was done.
    pub partial_result: CollectionBulkWriteResult,
}

impl PartialBulkWriteResult {
    /// The counts.
    pub fn summary(&self) -> &SummaryBulkWriteResult {
        match self {
            Self::Summary(summary) => summary,
            Self::Verbose(verbose) => &verbose.summary,
        }
    }
}

/// What the errors of both bulk writes have in common.
#[derive(Clone, Copy)]
pub(super) struct Refusals<'a> {
    refused: &'a HashMap<usize, WriteError>,
    unmet: &'a [WriteConcernError],
}

impl<'a> Refusals<'a> {
    /// Those of an error of this kind, when it is one of a bulk write.
    pub(super) fn of(kind: &'a ErrorKind) -> Option<Self> {
        match kind {
            ErrorKind::BulkWrite(error) => Some(error.refusals()),
            ErrorKind::CollectionBulkWrite(error) => Some(error.refusals()),
            _ => None,
        }
    }

    /// The code of the first refusal, or of the first write concern error when there is none.
    pub(super) fn code(&self) -> Option<i32> {
        let refusal = self.first().map(|(_, error)| error.code);
        refusal.or_else(|| self.unmet.first().map(|error| error.code))
    }

    /// The name of [`code`](Self::code).
    pub(super) fn code_name(&self) -> Option<&'a str> {
        match self.first() {
            Some((_, refusal)) => refusal.code_name.as_deref(),
            None => self.unmet.first().map(|error| error.code_name.as_str()),
        }
    }

    /// The first write concern error.
    pub(super) fn unmet(&self) -> Option<&'a WriteConcernError> {
        self.unmet.first()
    }

    /// The codes of all refusals and write concern errors.
    pub(super) fn codes(&self) -> impl Iterator<Item = i32> + use<'a> {
        let refused = self.refused.values().map(|error| error.code);
        refused.chain(self.unmet.iter().map(|error| error.code))
    }

    pub(super) fn has_duplicate_key(&self) -> bool {
        let mut codes = self.refused.values().map(|error| error.code);
        codes.any(codes::is_duplicate_key)
    }

    /// The refusal of the write that was given first.
    fn first(&self) -> Option<(usize, &'a WriteError)> {
        let first = self.refused.iter().min_by_key(|(index, _)| **index);
        first.map(|(index, error)| (*index, error))
    }
}

impl fmt::Display for Refusals<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.first(), self.unmet()) {
            (Some((index, first)), _) => {
                let count = self.refused.len();
                write!(
                    f,
                    "{count} of the writes refused, the first at index {index}: "
                )?;
                let name = first.code_name.as_deref().unwrap_or_default();
                let message = write_message(first.code, &first.message);
                write_error(f, "write error", first.code, name, message)
            }
            (None, Some(unmet)) => unmet.fmt(f),
            (None, None) => f.write_str("the bulk write was interrupted"),
        }
    }
}

impl BulkWriteError {
    fn refusals(&self) -> Refusals<'_> {
        Refusals {
            refused: &self.write_errors,
            unmet: &self.write_concern_errors,
        }
    }
}

impl CollectionBulkWriteError {
    fn refusals(&self) -> Refusals<'_> {
        Refusals {
            refused: &self.write_errors,
            unmet: &self.write_concern_errors,
        }
    }
}

impl fmt::Display for BulkWriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.refusals().fmt(f)
    }
}

impl fmt::Display for CollectionBulkWriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.refusals().fmt(f)
    }
}

impl InsertManyError {
    /// Whether nothing was refused, and nothing is known to have been done.
    pub(crate) fn is_blank(&self) -> bool {
        self.write_errors.is_none()
            && self.write_concern_error.is_none()
            && self.inserted_ids.is_empty()
    }
}

/// The same error of a bulk write that was nothing but inserts.
impl From<CollectionBulkWriteError> for InsertManyError {
    fn from(error: CollectionBulkWriteError) -> Self {
        let refused = error.write_errors.into_iter();
        let mut refused: Vec<_> = refused.map(|(index, error)| error.at(index)).collect();
        refused.sort_unstable_by_key(|error| error.index);
        Self {
            write_errors: Some(refused).filter(|errors| !errors.is_empty()),
            write_concern_error: error.write_concern_errors.into_iter().next_back(),
            inserted_ids: error.partial_result.inserted_ids,
        }
    }
}
