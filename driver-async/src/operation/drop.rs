//! `drop`, `dropDatabase` and `dropIndexes`.

use super::{NAMESPACE_NOT_FOUND, Operation, Scope, Target, fields::check_write_concern};
use crate::{
    error::{Error, Result},
    options::{DropCollectionOptions, DropDatabaseOptions, DropIndexOptions, WriteConcern},
    proto::wire::{DocumentWriter, Reply},
};

/// Drops a collection.
#[derive(Debug)]
pub(crate) struct DropCollection<'a> {
    scope: Scope<'a>,
    options: DropCollectionOptions,
}

impl<'a> DropCollection<'a> {
    pub(crate) fn new(scope: Scope<'a>, options: DropCollectionOptions) -> Self {
        Self { scope, options }
    }
}

impl Operation for DropCollection<'_> {
    type Output = ();

    fn name(&self) -> &str {
        "drop"
    }

    fn database(&self) -> &str {
        self.scope.database
    }

    fn write_concern(&self) -> Option<&WriteConcern> {
        let own = self.options.write_concern.as_ref();
        own.or(self.scope.write_concern)
    }

    fn write(&mut self, command: &mut DocumentWriter<'_>, _target: &Target<'_>) -> Result<()> {
        command.append_str("drop", self.scope.collection)
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

/// Drops a database.
#[derive(Debug)]
pub(crate) struct DropDatabase<'a> {
    scope: Scope<'a>,
    options: DropDatabaseOptions,
}

impl<'a> DropDatabase<'a> {
    pub(crate) fn new(scope: Scope<'a>, options: DropDatabaseOptions) -> Self {
        Self { scope, options }
    }
}

impl Operation for DropDatabase<'_> {
    type Output = ();

    fn name(&self) -> &str {
        "dropDatabase"
    }

    fn database(&self) -> &str {
        self.scope.database
    }

    fn write_concern(&self) -> Option<&WriteConcern> {
        let own = self.options.write_concern.as_ref();
        own.or(self.scope.write_concern)
    }

    fn write(&mut self, command: &mut DocumentWriter<'_>, _target: &Target<'_>) -> Result<()> {
        command.append_i32("dropDatabase", 1)
    }

    fn reply(&mut self, reply: &Reply, _target: &Target<'_>) -> Result<()> {
        check_write_concern(reply.document())
    }

    fn unacknowledged(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Drops one index by its name, or all but the one on `_id`.
#[derive(Debug)]
pub(crate) struct DropIndexes<'a> {
    scope: Scope<'a>,
    name: String,
    options: DropIndexOptions,
}

/// What the command calls all indexes.
const ALL: &str = "*";

impl<'a> DropIndexes<'a> {
    /// # Errors
    /// An invalid-argument error when the name is the server's word for all indexes.
    pub(crate) fn one(scope: Scope<'a>, name: String, options: DropIndexOptions) -> Result<Self> {
        if name == ALL {
            return Err(Error::invalid_argument(
                "drop_index takes the name of one index; to drop all, use drop_indexes",
            ));
        }
        Ok(Self {
            scope,
            name,
            options,
        })
    }

    pub(crate) fn all(scope: Scope<'a>, options: DropIndexOptions) -> Self {
        Self {
            scope,
            name: ALL.to_owned(),
            options,
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

    fn write_concern(&self) -> Option<&WriteConcern> {
        let own = self.options.write_concern.as_ref();
        own.or(self.scope.write_concern)
    }

    fn write(&mut self, command: &mut DocumentWriter<'_>, _target: &Target<'_>) -> Result<()> {
        command.append_str("dropIndexes", self.scope.collection)?;
        command.append_str("index", &self.name)?;
        command.max_time(self.options.max_time)?;
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

/// Older servers refuse to drop what is not there; newer ones don't, and neither should we.
fn already_gone(error: Error) -> Result<()> {
    if error.code() == Some(NAMESPACE_NOT_FOUND) {
        return Ok(());
    }
    Err(error)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bson::doc;

    use super::*;
    use crate::operation::tests::{replied, scope, written};

    #[test]
    fn each_names_what_it_drops() {
        let mut collection = DropCollection::new(scope(), DropCollectionOptions::default());
        assert_eq!(written(&mut collection), doc! { "drop": "c" });
        let mut database = DropDatabase::new(scope(), DropDatabaseOptions::default());
        assert_eq!(written(&mut database), doc! { "dropDatabase": 1 });
        let options = DropIndexOptions::builder()
            .max_time(Duration::from_millis(5))
            .comment(bson::Bson::Int32(1))
            .build();
        let mut index = DropIndexes::one(scope(), "a_1".into(), options.clone()).unwrap();
        let wanted = doc! { "dropIndexes": "c", "index": "a_1", "maxTimeMS": 5, "comment": 1 };
        assert_eq!(written(&mut index), wanted);
        let all = written(&mut DropIndexes::all(scope(), options.clone()));
        assert_eq!(all.get_str("index").unwrap(), "*");
        assert!(DropIndexes::one(scope(), "*".into(), options).is_err());
    }

    #[test]
    fn an_unmet_write_concern_is_reported() {
        let mut operation = DropCollection::new(scope(), DropCollectionOptions::default());
        let reply = doc! { "ok": 1, "writeConcernError": { "code": 64, "errmsg": "late" } };
        assert_eq!(
            replied(&mut operation, &reply).unwrap_err().code(),
            Some(64)
        );
        assert!(replied(&mut operation, &doc! { "ok": 1, "writeConcernError": 1 }).is_err());
    }

    #[test]
    fn what_is_gone_already_counts_as_dropped() {
        let error = |code: i32| {
            let error = bson::deserialize_from_document(doc! { "code": code });
            Error::from(crate::error::ErrorKind::Command(error.unwrap()))
        };
        assert!(already_gone(error(26)).is_ok());
        assert!(already_gone(error(13)).is_err());
    }
}
