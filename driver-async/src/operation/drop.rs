//! `drop` and `dropDatabase`.

use super::{
    NAMESPACE_NOT_FOUND, Operation, Scope, Target,
    fields::{check_write_concern, refuse_encrypted_fields},
};
use crate::{
    error::{Error, Result},
    options::{DropCollectionOptions, DropDatabaseOptions, WriteConcern},
    proto::{
        session::InSession,
        timeout::Timeout,
        wire::{DocumentWriter, Reply},
    },
};

/// Drops a collection.
#[derive(Debug)]
pub(crate) struct DropCollection<'a> {
    scope: Scope<'a>,
    options: DropCollectionOptions,
}

impl<'a> DropCollection<'a> {
    /// # Errors
    /// An invalid-argument error for encrypted fields.
    pub(crate) fn new(scope: Scope<'a>, options: DropCollectionOptions) -> Result<Self> {
        refuse_encrypted_fields(options.encrypted_fields.as_ref())?;
        Ok(Self { scope, options })
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

    fn write(&mut self, command: &mut DocumentWriter<'_>, _target: &Target<'_>) -> Result<()> {
        command.append_str("drop", self.scope.collection)?;
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

    fn write(&mut self, command: &mut DocumentWriter<'_>, _target: &Target<'_>) -> Result<()> {
        command.append_i32("dropDatabase", 1)?;
        command.optional_bson("comment", self.options.comment.as_ref())
    }

    fn reply(&mut self, reply: &Reply, _target: &Target<'_>) -> Result<()> {
        check_write_concern(reply.document())
    }

    fn unacknowledged(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Older servers refuse to drop what is not there; newer ones don't, and neither should we.
pub(super) fn already_gone(error: Error) -> Result<()> {
    if error.code() == Some(NAMESPACE_NOT_FOUND) {
        return Ok(());
    }
    Err(error)
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;
    use crate::operation::tests::{replied, scope, written};

    #[test]
    fn each_names_what_it_drops() {
        let options = DropCollectionOptions::builder().comment(bson::Bson::Int32(1));
        let mut collection = DropCollection::new(scope(), options.build()).unwrap();
        assert_eq!(written(&mut collection), doc! { "drop": "c", "comment": 1 });
        let options = DropDatabaseOptions::builder().comment(bson::Bson::Int32(1));
        let mut database = DropDatabase::new(scope(), options.build());
        assert_eq!(
            written(&mut database),
            doc! { "dropDatabase": 1, "comment": 1 }
        );
    }

    #[test]
    fn encrypted_fields_are_refused_before_anything_is_sent() {
        let options = DropCollectionOptions::builder().encrypted_fields(doc! {});
        let error = DropCollection::new(scope(), options.build()).unwrap_err();
        assert!(error.to_string().contains("encrypted"), "{error}");
    }

    #[test]
    fn an_unmet_write_concern_is_reported() {
        let options = DropCollectionOptions::default();
        let mut operation = DropCollection::new(scope(), options).unwrap();
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
