//! `endSessions`.

use bson::spec::BinarySubtype;

use super::{Operation, Selection, Target};
use crate::{
    error::Result,
    options::{ReadPreference, SelectionCriteria},
    proto::{
        timeout::Timeout,
        wire::{DocumentWriter, Reply},
    },
};

/// Tells the server that sessions are not needed any more.
#[derive(Debug)]
pub(crate) struct EndSessions {
    ids: Vec<[u8; 16]>,
    criteria: SelectionCriteria,
    timeout: Timeout,
}

impl EndSessions {
    pub(crate) fn new(ids: Vec<[u8; 16]>, timeout: Timeout) -> Self {
        Self {
            ids,
            criteria: ReadPreference::primary_preferred(None).into(),
            timeout,
        }
    }
}

impl Operation for EndSessions {
    type Output = ();

    fn name(&self) -> &str {
        "endSessions"
    }

    fn cleans_up(&self) -> bool {
        true
    }

    fn database(&self) -> &str {
        "admin"
    }

    fn timeout(&self) -> Timeout {
        self.timeout
    }

    /// Nobody would end the one that it began.
    fn needs_session(&self) -> bool {
        false
    }

    fn selection(&self) -> Selection<'_> {
        Selection::Criteria(&self.criteria)
    }

    fn write(&mut self, command: &mut DocumentWriter<'_>, _target: &Target<'_>) -> Result<()> {
        command.append_array_with("endSessions", |sessions| {
            for (place, id) in self.ids.iter().enumerate() {
                sessions.append_document_with(&place.to_string(), |session| {
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
    use crate::operation::tests::written;

    #[test]
    fn every_session_is_named_by_its_uuid() {
        let uuid = |byte: u8| Binary {
            subtype: BinarySubtype::Uuid,
            bytes: vec![byte; 16],
        };
        let wanted = doc! { "endSessions": [{ "id": uuid(1) }, { "id": uuid(2) }] };
        assert_eq!(
            written(&mut EndSessions::new(
                vec![[1; 16], [2; 16]],
                Timeout::default()
            )),
            wanted
        );
    }
}
