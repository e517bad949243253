//! `listCollections`.

use bson::Document;

use super::{Operation, Retryability, Scope, Selection, Target};
use crate::{
    error::Result,
    options::{CursorTimeoutMode, ListCollectionsOptions},
    proto::{
        cursor::{CursorReply, CursorSettings, CursorState},
        timeout::{self, Timeout},
        wire::{DocumentWriter, Reply},
    },
};

/// Lists a database's collections.
#[derive(Debug)]
pub(crate) struct ListCollections<'a> {
    scope: Scope<'a>,
    name_only: bool,
    options: ListCollectionsOptions,
}

impl<'a> ListCollections<'a> {
    /// Lists what is known of each collection.
    pub(crate) fn specifications(scope: Scope<'a>, options: ListCollectionsOptions) -> Self {
        Self {
            scope,
            name_only: false,
            options,
        }
    }

    /// Lists the names and types.
    pub(crate) fn names(scope: Scope<'a>, options: ListCollectionsOptions) -> Self {
        // With just the names, the server can't filter by anything else, so it is asked for all.
        let mut filter = options.filter.iter().flatten();
        let filters_by_more = filter.any(|(key, _)| key != "name");
        Self {
            scope,
            name_only: !filters_by_more,
            options,
        }
    }
}

impl Operation for ListCollections<'_> {
    type Output = CursorState;

    fn name(&self) -> &str {
        "listCollections"
    }

    fn database(&self) -> &str {
        self.scope.database
    }

    fn timeout(&self) -> Timeout {
        self.scope.timeout.or_own(self.options.timeout)
    }

    fn timeout_mode(&self) -> CursorTimeoutMode {
        self.options.timeout_mode.unwrap_or_default()
    }

    fn check_limits(&self) -> Result<()> {
        timeout::check_cursor(self.timeout(), self.options.timeout_mode, false, None)
    }

    fn retryability(&self) -> Retryability {
        Retryability::Read
    }

    fn selection(&self) -> Selection<'_> {
        Selection::of_primary()
    }

    fn write(&mut self, command: &mut DocumentWriter<'_>, target: &Target<'_>) -> Result<()> {
        let options = &self.options;
        command.append_i32("listCollections", 1)?;
        command.cursor(options.batch_size)?;
        // The collection management specification's cases have a filter even when none is given.
        let everything = Document::new();
        command.append_document("filter", options.filter.as_ref().unwrap_or(&everything))?;
        if self.name_only {
            command.append_bool("nameOnly", true)?;
        }
        command.optional_bool("authorizedCollections", options.authorized_collections)?;
        command.raw_data(options.raw_data, target)?;
        command.optional_bson("comment", options.comment.as_ref())
    }

    fn reply(&mut self, reply: &Reply, _target: &Target<'_>) -> Result<CursorState> {
        // No comment: the server keeps that of the command ("listCollections Database Command" of
        // the collection enumeration specification).
        let settings = CursorSettings {
            batch_size: self.options.batch_size,
            ..CursorSettings::default()
        };
        let cursor = CursorReply::parse(&reply.document_bytes())?;
        Ok(CursorState::new(cursor, settings))
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;
    use crate::operation::tests::{replied, scope, written, written_for_newest};

    #[test]
    fn every_option_is_sent_under_the_servers_name() {
        let options = ListCollectionsOptions::builder()
            .batch_size(2)
            .filter(doc! { "name": "x" })
            .authorized_collections(true)
            .raw_data(true)
            .comment(bson::Bson::Int32(1))
            .build();
        let mut wanted = doc! {
            "listCollections": 1, "cursor": { "batchSize": 2 }, "filter": { "name": "x" },
            "authorizedCollections": true, "comment": 1,
        };
        let mut operation = ListCollections::specifications(scope(), options.clone());
        assert_eq!(written(&mut operation), wanted);
        let mut operation = ListCollections::names(scope(), options);
        wanted.insert("nameOnly", true);
        assert_eq!(written(&mut operation), wanted);
    }

    #[test]
    fn only_a_server_that_knows_raw_data_is_told_of_it() {
        let options = ListCollectionsOptions::builder().raw_data(true).build();
        let mut operation = ListCollections::specifications(scope(), options);
        let command = written_for_newest(&mut operation);
        assert!(command.get_bool("rawData").unwrap());
        assert!(!written(&mut operation).contains_key("rawData"));
    }

    #[test]
    fn the_comment_stays_with_the_first_command() {
        let options = ListCollectionsOptions::builder()
            .batch_size(2)
            .comment(bson::Bson::Int32(1))
            .build();
        let mut operation = ListCollections::specifications(scope(), options);
        let reply =
            doc! { "cursor": { "id": 1_i64, "ns": "d.$cmd.listCollections", "firstBatch": [] } };
        let cursor = replied(&mut operation, &reply).unwrap().remote.unwrap();
        assert_eq!(cursor.settings().comment, None);
        assert_eq!(cursor.settings().batch_size, Some(2));
    }

    #[test]
    fn a_filter_by_more_than_the_name_needs_more_than_the_names() {
        let options = ListCollectionsOptions::builder().filter(doc! { "options.capped": true });
        let command = written(&mut ListCollections::names(scope(), options.build()));
        assert!(!command.contains_key("nameOnly"));
    }
}
