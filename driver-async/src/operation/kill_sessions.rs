//! `killSessions`.

use bson::spec::BinarySubtype;

use super::{Operation, Selection, Target};
use crate::{
    address::ServerAddress,
    error::Result,
    proto::wire::{DocumentWriter, Reply},
};

/// Ends what goes on in a session on one server, and closes the cursors that belong to it.
#[derive(Debug)]
pub(crate) struct KillSessions {
    id: [u8; 16],
    address: ServerAddress,
}

impl KillSessions {
    pub(crate) fn new(id: [u8; 16], address: ServerAddress) -> Self {
        Self { id, address }
    }
}

impl Operation for KillSessions {
    type Output = ();

    fn name(&self) -> &str {
        "killSessions"
    }

    fn cleans_up(&self) -> bool {
        true
    }

    fn database(&self) -> &str {
        "admin"
    }

    fn selection(&self) -> Selection<'_> {
        Selection::Pinned(&self.address)
    }

    fn write(&mut self, command: &mut DocumentWriter<'_>, _target: &Target<'_>) -> Result<()> {
        command.append_array_with("killSessions", |sessions| {
            sessions.append_document_with("0", |session| {
                session.append_binary("id", BinarySubtype::Uuid.into(), &self.id)
            })
        })
    }

    fn reply(&mut self, _reply: &Reply, _target: &Target<'_>) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bson::{Binary, doc};

    use super::*;
    use crate::operation::tests::{ADDRESS, written};

    #[test]
    fn the_session_is_named_by_its_uuid() {
        let uuid = Binary {
            subtype: BinarySubtype::Uuid,
            bytes: vec![7; 16],
        };
        assert_eq!(
            written(&mut KillSessions::new([7; 16], ADDRESS.clone())),
            doc! { "killSessions": [{ "id": uuid }] }
        );
    }
}
