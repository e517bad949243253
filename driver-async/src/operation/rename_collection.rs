//! `renameCollection`.

use super::{Operation, Scope, Target, fields::check_write_concern};
use crate::{
    error::Result,
    namespace::Namespace,
    options::{RenameCollectionOptions, RenameTarget, WriteConcern},
    proto::{
        session::InSession,
        timeout::Timeout,
        wire::{DocumentWriter, Reply},
    },
};

/// Gives a collection another name.
#[derive(Debug)]
pub(crate) struct RenameCollection<'a> {
    scope: Scope<'a>,
    to: Namespace,
    options: RenameCollectionOptions,
}

impl<'a> RenameCollection<'a> {
    pub(crate) fn new(
        scope: Scope<'a>,
        to: RenameTarget,
        options: RenameCollectionOptions,
    ) -> Self {
        Self {
            scope,
            to: to.in_database(scope.database),
            options,
        }
    }
}

impl Operation for RenameCollection<'_> {
    type Output = ();

    fn name(&self) -> &str {
        "renameCollection"
    }

    fn database(&self) -> &str {
        "admin"
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
        let from = Namespace::new(self.scope.database, self.scope.collection);
        command.append_str("renameCollection", &from.to_string())?;
        command.append_str("to", &self.to.to_string())?;
        command.optional_bool("dropTarget", self.options.drop_target)?;
        command.optional_bson("comment", self.options.comment.as_ref())
    }

    fn reply(&mut self, reply: &Reply, _target: &Target<'_>) -> Result<()> {
        check_write_concern(reply.document())
    }

    fn unacknowledged(&mut self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;
    use crate::operation::tests::{scope, written};

    #[test]
    fn both_names_go_whole_to_the_admin_database() {
        let options = RenameCollectionOptions::builder()
            .drop_target(true)
            .comment(bson::Bson::Int32(1))
            .build();
        for (to, wanted) in [
            (RenameTarget::from("e.f"), "d.e.f"),
            (Namespace::new("other", "e").into(), "other.e"),
        ] {
            let mut operation = RenameCollection::new(scope(), to, options.clone());
            let wanted = doc! {
                "renameCollection": "d.c", "to": wanted, "dropTarget": true, "comment": 1,
            };
            assert_eq!(written(&mut operation), wanted);
            assert_eq!(operation.database(), "admin");
        }
    }
}
