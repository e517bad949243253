//! `dropIndexes`.

use bson::Document;

use super::{Operation, Scope, Target, drop::already_gone, fields::check_write_concern};
use crate::{
    error::{Error, Result},
    options::{DropIndexOptions, WriteConcern},
    proto::{
        session::InSession,
        timeout::Timeout,
        wire::{DocumentWriter, Reply},
    },
};

/// Drops one index by its name or its keys, or all but the one on `_id`.
#[derive(Debug)]
pub(crate) struct DropIndexes<'a> {
    scope: Scope<'a>,
    dropped: Dropped,
    options: DropIndexOptions,
}

/// Which indexes are dropped.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Dropped {
    /// The one of this name.
    Name(String),
    /// The one of these keys.
    Keys(Document),
    /// All but the one on `_id`.
    All,
}

/// What the command calls all indexes.
const ALL: &str = "*";

impl<'a> DropIndexes<'a> {
    /// # Errors
    /// An invalid-argument error when one index is to be dropped and the name is empty or the
    /// server's word for all indexes, or there are no keys.
    pub(crate) fn new(
        scope: Scope<'a>,
        dropped: Dropped,
        options: DropIndexOptions,
    ) -> Result<Self> {
        match &dropped {
            Dropped::Name(name) if name == ALL => Err(Error::invalid_argument(
                "drop_index takes the name of one index; to drop all, use drop_indexes",
            )),
            Dropped::Name(name) if name.is_empty() => Err(Error::invalid_argument(
                "the name of the index to drop is empty; list_index_names tells the names",
            )),
            Dropped::Keys(keys) if keys.is_empty() => Err(Error::invalid_argument(
                "the index to drop has no keys; give those that it was created with",
            )),
            _ => Ok(Self {
                scope,
                dropped,
                options,
            }),
        }
    }
}

impl Operation for DropIndexes<'_> {
    type Output = ();

    fn name(&self) -> &str {
        "dropIndexes"
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

    fn write(&mut self, command: &mut DocumentWriter<'_>, target: &Target<'_>) -> Result<()> {
        command.append_str("dropIndexes", self.scope.collection)?;
        match &self.dropped {
            Dropped::Name(name) => command.append_str("index", name)?,
            Dropped::Keys(keys) => command.append_document("index", keys)?,
            Dropped::All => command.append_str("index", ALL)?,
        }
        command.max_time(self.options.max_time, target)?;
        command.raw_data(self.options.raw_data, target)?;
        command.optional_bson("comment", self.options.comment.as_ref())
    }

    fn reply(&mut self, reply: &Reply, _target: &Target<'_>) -> Result<()> {
        check_write_concern(reply.document())
    }

    fn refused(&mut self, error: Error) -> Result<()> {
        already_gone(error)
    }

    fn unacknowledged(&mut self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bson::{Bson, doc};

    use super::*;
    use crate::operation::tests::{scope, written, written_for_newest};

    #[test]
    fn an_index_is_told_by_its_name_or_by_its_keys() {
        let options = DropIndexOptions::builder()
            .max_time(Duration::from_millis(5))
            .raw_data(true)
            .comment(Bson::Int32(1))
            .build();
        for (dropped, index) in [
            (Dropped::Name("a_1".into()), Bson::from("a_1")),
            (Dropped::Keys(doc! { "a": 1 }), doc! { "a": 1 }.into()),
            (Dropped::All, "*".into()),
        ] {
            let mut operation = DropIndexes::new(scope(), dropped, options.clone()).unwrap();
            let mut wanted =
                doc! { "dropIndexes": "c", "index": index, "maxTimeMS": 5, "comment": 1 };
            assert_eq!(written(&mut operation), wanted);
            wanted.insert("rawData", true);
            assert_eq!(written_for_newest(&mut operation), wanted);
        }
    }

    #[test]
    fn what_tells_no_single_index_is_refused() {
        for dropped in [
            Dropped::Name("*".into()),
            Dropped::Name(String::new()),
            Dropped::Keys(doc! {}),
        ] {
            let refused = DropIndexes::new(scope(), dropped.clone(), DropIndexOptions::default());
            assert!(refused.is_err(), "{dropped:?}");
        }
    }
}
