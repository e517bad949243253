//! `killSessions`.

use bson::spec::BinarySubtype;

use super::{Operation, Selection, Target};
use crate::{
    address::ServerAddress,
    error::Result,
    proto::wire::{DocumentWriter, Reply},
};

/// Ends what goes on in sessions on one server, and closes the cursors that belong to them.
#[derive(Debug)]
pub(crate) struct KillSessions {
    ids: Vec<[u8; 16]>,
    address: ServerAddress,
}

impl KillSessions {
    pub(crate) fn new(ids: Vec<[u8; 16]>, address: ServerAddress) -> Self {
        Self { ids, address }
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
            for (index, id) in self.ids.iter().enumerate() {
                sessions.append_document_with(&index.to_string(), |session| {
                    session.append_binary("id", BinarySubtype::Uuid.into(), id)
                })?;
            }
            Ok(())
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
    fn sessions_are_named_by_their_uuids() {
        let uuid = |byte| Binary {
            subtype: BinarySubtype::Uuid,
            bytes: vec![byte; 16],
        };
        assert_eq!(
            written(&mut KillSessions::new(
                vec![[7; 16], [8; 16]],
                ADDRESS.clone()
            )),
            doc! { "killSessions": [{ "id": uuid(7) }, { "id": uuid(8) }] }
        );
    }
}
