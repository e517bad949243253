//! Commands that the caller writes.

use bson::{Document, RawDocumentBuf};

use super::{AfterOverload, Operation, Selection, Target, fields::whole};
use crate::{
    error::{Error, Result},
    options::RunCommandOptions,
    proto::{
        timeout::Timeout,
        wire::{DocumentWriter, Reply},
    },
};

/// Runs a command that the caller wrote. By the run command specification it inherits nothing
/// and is never tried again.
#[derive(Debug)]
pub(crate) struct RunCommand<'a> {
    database: &'a str,
    command: RawDocumentBuf,
    name: String,
    options: RunCommandOptions,
    timeout: Timeout,
}

impl<'a> RunCommand<'a> {
    /// # Errors
    /// An invalid-argument error when the command is empty.
    pub(crate) fn new(
        database: &'a str,
        command: RawDocumentBuf,
        options: RunCommandOptions,
        inherited: Timeout,
    ) -> Result<Self> {
        let name = match command.iter().next().transpose()? {
            Some((name, _)) => name.as_str().to_owned(),
            None => {
                return Err(Error::invalid_argument(
                    "the command is empty; its first field must be the command's name",
                ));
            }
        };
        Ok(Self {
            database,
            command,
            name,
            timeout: inherited.or_own(options.timeout),
            options,
        })
    }
}

impl Operation for RunCommand<'_> {
    type Output = Document;

    fn name(&self) -> &str {
        &self.name
    }

    fn database(&self) -> &str {
        self.database
    }

    fn timeout(&self) -> Timeout {
        self.timeout
    }

    fn after_overload(&self) -> AfterOverload {
        AfterOverload::IfBothRetry
    }

    fn selection(&self) -> Selection<'_> {
        Selection::of(self.options.selection_criteria.as_ref())
    }

    fn write(&mut self, command: &mut DocumentWriter<'_>, _target: &Target<'_>) -> Result<()> {
        command.append_elements_of(&self.command)
    }

    fn reply(&mut self, reply: &Reply, _target: &Target<'_>) -> Result<Document> {
        whole(reply.document())
    }
}

#[cfg(test)]
mod tests {
    use bson::{doc, rawdoc};

    use super::*;
    use crate::operation::tests::{replied, written};

    #[test]
    fn the_command_goes_as_it_was_written() {
        let command = rawdoc! { "ping": 1, "comment": { "a": [1] } };
        let mut operation = RunCommand::new(
            "d",
            command,
            RunCommandOptions::default(),
            Timeout::default(),
        )
        .unwrap();
        assert_eq!(
            written(&mut operation),
            doc! { "ping": 1, "comment": { "a": [1] } }
        );
        let reply = doc! { "ok": 1.0, "x": "y" };
        assert_eq!(replied(&mut operation, &reply).unwrap(), reply);
    }

    #[test]
    fn an_empty_command_is_refused() {
        assert!(
            RunCommand::new(
                "d",
                rawdoc! {},
                RunCommandOptions::default(),
                Timeout::default()
            )
            .is_err()
        );
    }
}
