//! `listDatabases`.

use super::{Operation, Retryability, Selection, Target};
use crate::{
    error::{Error, Result},
    options::ListDatabasesOptions,
    proto::{
        cursor::Batch,
        timeout::Timeout,
        wire::{DocumentWriter, Reply},
    },
};

/// Lists the deployment's databases.
#[derive(Debug)]
pub(crate) struct ListDatabases {
    name_only: bool,
    options: ListDatabasesOptions,
    timeout: Timeout,
}

impl ListDatabases {
    /// Lists what is known of each database.
    pub(crate) fn specifications(options: ListDatabasesOptions, inherited: Timeout) -> Self {
        Self {
            name_only: false,
            timeout: inherited.or_own(options.timeout),
            options,
        }
    }

    /// Lists the names.
    pub(crate) fn names(options: ListDatabasesOptions, inherited: Timeout) -> Self {
        Self {
            name_only: true,
            timeout: inherited.or_own(options.timeout),
            options,
        }
    }
}

impl Operation for ListDatabases {
    /// A document for each database.
    type Output = Batch;

    fn name(&self) -> &str {
        "listDatabases"
    }

    fn database(&self) -> &str {
        "admin"
    }

    fn timeout(&self) -> Timeout {
        self.timeout
    }

    fn retryability(&self) -> Retryability {
        Retryability::Read
    }

    fn selection(&self) -> Selection<'_> {
        Selection::of_primary()
    }

    fn write(&mut self, command: &mut DocumentWriter<'_>, _target: &Target<'_>) -> Result<()> {
        let options = &self.options;
        command.append_i32("listDatabases", 1)?;
        command.optional_document("filter", options.filter.as_ref())?;
        if self.name_only {
            command.append_bool("nameOnly", true)?;
        }
        command.optional_bool("authorizedDatabases", options.authorized_databases)?;
        command.optional_bson("comment", options.comment.as_ref())
    }

    fn reply(&mut self, reply: &Reply, _target: &Target<'_>) -> Result<Batch> {
        let bytes = reply.document_bytes();
        let document = bson::RawDocument::from_bytes(&bytes)?;
        let databases = document.get_array("databases").map_err(|error| {
            Error::invalid_response("the reply has no array of databases").with_source(error.into())
        })?;
        Ok(Batch::new(&bytes, databases))
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;
    use crate::operation::tests::{replied, written};

    #[test]
    fn every_option_is_sent_and_the_databases_are_read() {
        let options = ListDatabasesOptions::builder()
            .filter(doc! { "name": "x" })
            .authorized_databases(false)
            .comment(bson::Bson::Int32(1))
            .build();
        let mut wanted = doc! {
            "listDatabases": 1, "filter": { "name": "x" }, "authorizedDatabases": false,
            "comment": 1,
        };
        let mut operation = ListDatabases::specifications(options.clone(), Timeout::default());
        assert_eq!(written(&mut operation), wanted);
        wanted.insert("nameOnly", true);
        let mut operation = ListDatabases::names(options, Timeout::default());
        assert_eq!(written(&mut operation), wanted);
        let reply = doc! { "databases": [{ "name": "x" }], "ok": 1 };
        let mut batch = replied(&mut operation, &reply).unwrap();
        assert!(batch.advance().unwrap());
        assert_eq!(batch.current().unwrap().get_str("name").unwrap(), "x");
        assert!(!batch.advance().unwrap());
        assert!(replied(&mut operation, &doc! { "ok": 1 }).is_err());
    }
}
