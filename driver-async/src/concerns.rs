//! What a client, database or collection hands down to its operations.

use crate::{
    operation::Scope,
    options::{ReadConcern, SelectionCriteria, WriteConcern},
    proto::timeout::Timeout,
};

/// The concerns, read preference and timeout of a handle, those of the handles above it filled in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Concerns {
    pub(crate) selection_criteria: Option<SelectionCriteria>,
    pub(crate) read_concern: Option<ReadConcern>,
    pub(crate) write_concern: Option<WriteConcern>,
    pub(crate) timeout: Timeout,
}

impl Concerns {
    /// These concerns, and those of the handle above where there is none.
    pub(crate) fn or(self, above: &Self) -> Self {
        Self {
            selection_criteria: self
                .selection_criteria
                .or_else(|| above.selection_criteria.clone()),
            read_concern: self.read_concern.or_else(|| above.read_concern.clone()),
            write_concern: self.write_concern.or_else(|| above.write_concern.clone()),
            timeout: self.timeout.or(above.timeout),
        }
    }

    /// Where an operation works, and what it inherits from a handle with these concerns.
    pub(crate) fn scope<'a>(&'a self, database: &'a str, collection: &'a str) -> Scope<'a> {
        Scope {
            database,
            collection,
            selection_criteria: self.selection_criteria.as_ref(),
            read_concern: self.read_concern.as_ref(),
            write_concern: self.write_concern.as_ref(),
            timeout: self.timeout,
        }
    }
}
