//! `explain`.

use std::fmt;

use bson::Document;

use super::{Operation, Retryability, Selection, Target, fields::whole};
use crate::{
    error::Result,
    options::{ExplainOptions, ExplainVerbosity},
    proto::{
        timeout::Timeout,
        wire::{DocumentWriter, Reply},
    },
};

/// What an explanation needs of an operation, whatever that would give its caller.
pub(crate) trait Explained: Send + Sync {
    fn name(&self) -> &str;
    fn database(&self) -> &str;
    fn timeout(&self) -> Timeout;
    fn selection(&self) -> Selection<'_>;
    fn write(&mut self, command: &mut DocumentWriter<'_>, target: &Target<'_>) -> Result<()>;
}

impl<O: Operation + Send + Sync> Explained for O {
    fn name(&self) -> &str {
        Operation::name(self)
    }

    fn database(&self) -> &str {
        Operation::database(self)
    }

    fn timeout(&self) -> Timeout {
        Operation::timeout(self)
    }

    fn selection(&self) -> Selection<'_> {
        Operation::selection(self)
    }

    fn write(&mut self, command: &mut DocumentWriter<'_>, target: &Target<'_>) -> Result<()> {
        Operation::write(self, command, target)
    }
}

impl fmt::Debug for dyn Explained + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Explained").field(&self.name()).finish()
    }
}

/// Has the server explain how it would run another command.
///
/// Only the other command's own fields are sent inside. The server takes no read or write concern
/// for an explanation. The read preference decides who explains, and so belongs outside, where
/// the executor puts it.
#[derive(Debug)]
pub(crate) struct Explain<'a> {
    explained: Box<dyn Explained + 'a>,
    verbosity: ExplainVerbosity,
    options: ExplainOptions,
}

impl<'a> Explain<'a> {
    pub(crate) fn new(
        explained: Box<dyn Explained + 'a>,
        verbosity: ExplainVerbosity,
        options: ExplainOptions,
    ) -> Self {
        Self {
            explained,
            verbosity,
            options,
        }
    }
}

impl Operation for Explain<'_> {
    type Output = Document;

    fn name(&self) -> &str {
        "explain"
    }

    fn database(&self) -> &str {
        self.explained.database()
    }

    fn timeout(&self) -> Timeout {
        self.explained.timeout().or_own(self.options.timeout)
    }

    /// An explanation changes nothing, whatever it explains.
    fn retryability(&self) -> Retryability {
        Retryability::Read
    }

    fn selection(&self) -> Selection<'_> {
        self.explained.selection()
    }

    fn write(&mut self, command: &mut DocumentWriter<'_>, target: &Target<'_>) -> Result<()> {
        command.append_document_with("explain", |inner| self.explained.write(inner, target))?;
        command.append_str("verbosity", self.verbosity.as_str())?;
        command.max_time(self.options.max_time, target)?;
        command.optional_bson("comment", self.options.comment.as_ref())
    }

    fn reply(&mut self, reply: &Reply, _target: &Target<'_>) -> Result<Document> {
        whole(reply.document())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bson::{Bson, doc};

    use super::*;
    use crate::{
        operation::{
            Find, Scope,
            tests::{replied, scope, written},
        },
        options::{FindOptions, ReadConcern, ReadPreference, WriteConcern},
    };

    #[test]
    fn the_other_command_stands_inside_without_what_it_inherits() {
        let secondary = ReadPreference::secondary(None).into();
        let (majority, unacknowledged) = (ReadConcern::majority(), WriteConcern::nodes(0));
        let scope = Scope {
            selection_criteria: Some(&secondary),
            read_concern: Some(&majority),
            write_concern: Some(&unacknowledged),
            ..scope()
        };
        let options = FindOptions::builder()
            .max_time(Duration::from_millis(5))
            .build();
        let find = Find::new(scope, doc! { "a": 1 }, options);
        let options = ExplainOptions::builder()
            .max_time(Duration::from_secs(2))
            .comment(Bson::Int32(1))
            .build();
        let verbosity = ExplainVerbosity::ExecutionStats;
        let mut explain = Explain::new(Box::new(find), verbosity, options);
        let wanted = doc! {
            "explain": { "find": "c", "filter": { "a": 1 }, "maxTimeMS": 5 },
            "verbosity": "executionStats", "maxTimeMS": 2000, "comment": 1,
        };
        assert_eq!(written(&mut explain), wanted);
        let selection = Operation::selection(&explain);
        assert!(matches!(selection, Selection::Criteria(c) if *c == secondary));
        assert_eq!(explain.read_concern(), None);
        assert_eq!(explain.write_concern(), None, "a reply is awaited");
        let plan = doc! { "queryPlanner": {}, "ok": 1 };
        assert_eq!(replied(&mut explain, &plan).unwrap(), plan);
    }
}
