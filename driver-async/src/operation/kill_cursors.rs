//! `killCursors`.

use std::time::Duration;

use super::{Operation, Selection, Target};
use crate::{
    address::ServerAddress,
    error::Result,
    namespace::Namespace,
    proto::{
        session::InSession,
        timeout::Timeout,
        wire::{DocumentWriter, Reply},
    },
};

/// Tells the server that a cursor is not needed any more.
#[derive(Clone, Debug)]
pub(crate) struct KillCursors {
    id: i64,
    namespace: Namespace,
    address: ServerAddress,
    timeout: Timeout,
}

impl KillCursors {
    pub(crate) fn new(
        id: i64,
        namespace: Namespace,
        address: ServerAddress,
        timeout: Timeout,
    ) -> Self {
        Self {
            id,
            namespace,
            address,
            timeout,
        }
    }
}

impl KillCursors {
    /// The server that has the cursor.
    pub(crate) fn address(&self) -> &ServerAddress {
        &self.address
    }

    /// Has the command share the time of another operation.
    pub(crate) fn share(&mut self, timeout: Timeout) {
        self.timeout = timeout;
    }

    /// Sets how long the operation may take, if a limit is given.
    pub(crate) fn limit(&mut self, timeout: Option<Duration>) {
        self.timeout = self.timeout.or_own(timeout);
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

    fn timeout(&self) -> Timeout {
        self.timeout
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
        let mut operation = KillCursors::new(
            5,
            Namespace::new("d", "c"),
            ADDRESS.clone(),
            Timeout::default(),
        );
        assert_eq!(
            written(&mut operation),
            doc! { "killCursors": "c", "cursors": [5_i64] }
        );
    }
}
