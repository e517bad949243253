//! `killCursors`.

use super::{Operation, Selection, Target};
use crate::{
    address::ServerAddress,
    error::Result,
    namespace::Namespace,
    proto::{
        session::InSession,
        wire::{DocumentWriter, Reply},
    },
};

/// Tells the server that a cursor is not needed any more.
#[derive(Clone, Debug)]
pub(crate) struct KillCursors {
    id: i64,
    namespace: Namespace,
    address: ServerAddress,
}

impl KillCursors {
    pub(crate) fn new(id: i64, namespace: Namespace, address: ServerAddress) -> Self {
        Self {
            id,
            namespace,
            address,
        }
    }
}

impl Operation for KillCursors {
    type Output = ();

    fn name(&self) -> &str {
        "killCursors"
    }

    fn database(&self) -> &str {
        &self.namespace.db
    }

    fn in_session(&self) -> InSession {
        InSession::CleanUp
    }

    fn selection(&self) -> Selection<'_> {
        Selection::Pinned(&self.address)
    }

    fn write(&mut self, command: &mut DocumentWriter<'_>, _target: &Target<'_>) -> Result<()> {
        command.append_str("killCursors", &self.namespace.coll)?;
        command.append_array_with("cursors", |ids| ids.append_i64("0", self.id))
    }

    fn reply(&mut self, _reply: &Reply, _target: &Target<'_>) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;
    use crate::operation::tests::{ADDRESS, written};

    #[test]
    fn the_cursor_is_named_by_its_number() {
        let mut operation = KillCursors::new(5, Namespace::new("d", "c"), ADDRESS.clone());
        assert_eq!(
            written(&mut operation),
            doc! { "killCursors": "c", "cursors": [5_i64] }
        );
    }
}
