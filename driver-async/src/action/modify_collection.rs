//! Changing and renaming collections.

use std::time::Duration;

use bson::{Bson, Document};

use super::{
    action, option_setters,
    sessions::{handle, session_setter, within},
};
use crate::{
    collection::{Collection, CollectionHandle},
    database::Database,
    error::Result,
    exec, operation,
    options::{
        ChangeStreamPreAndPostImages, Expiry, IndexModification, ModifyCollectionOptions,
        RenameCollectionOptions, RenameTarget, TimeseriesModification, ValidationAction,
        ValidationLevel, WriteConcern,
    },
    session::ClientSession,
};

/// Changes a collection or view; see [`Database::modify_collection`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct ModifyCollection<'a> {
    database: &'a Database,
    name: String,
    options: ModifyCollectionOptions,
    session: Option<&'a mut ClientSession>,
}

/// Gives a collection another name; see [`Collection::rename`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct RenameCollection<'a> {
    collection: &'a CollectionHandle,
    to: RenameTarget,
    options: RenameCollectionOptions,
    session: Option<&'a mut ClientSession>,
}

impl Database {
    /// Changes the options of a collection, an index or a view that exists, and gives the server's
    /// reply, which tells some old and new values.
    ///
    /// The reply is empty when the write concern asks for no acknowledgement. See "collMod" among
    /// the database commands of the server's manual.
    ///
    /// # Errors
    /// The server's, among them one for a collection that does not exist; those of selection and
    /// network. What the server has to say beside the error, such as the documents that keep an
    /// index from becoming unique, is in
    /// [`Error::server_response`](crate::error::Error::server_response).
    ///
    /// ```no_run
    /// # use motorcade::{Database, options::IndexModification};
    /// # async fn example(database: Database) -> motorcade::error::Result<()> {
    /// let hide = IndexModification::builder().name("age_1".to_owned()).hidden(true).build();
    /// database.modify_collection("people").index(hide).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn modify_collection(&self, name: impl Into<String>) -> ModifyCollection<'_> {
        ModifyCollection {
            database: self,
            name: name.into(),
            options: ModifyCollectionOptions::default(),
            session: None,
        }
    }
}

impl<T: Send + Sync> Collection<T> {
    /// Gives the collection another name, in its database or, with a
    /// [`Namespace`](crate::Namespace), in another one. Handles go on to mean the old name.
    ///
    /// See "renameCollection" among the database commands of the server's manual.
    ///
    /// # Errors
    /// The server's, among them one for a collection that does not exist and for a name that is
    /// taken; those of selection and network.
    ///
    /// ```no_run
    /// # use motorcade::{Collection, bson::Document};
    /// # async fn example(people: Collection<Document>) -> motorcade::error::Result<()> {
    /// people.rename("inhabitants").drop_target(true).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn rename(&self, to: impl Into<RenameTarget>) -> RenameCollection<'_> {
        RenameCollection {
            collection: self.handle(),
            to: to.into(),
            options: RenameCollectionOptions::default(),
            session: None,
        }
    }
}

impl<'a> ModifyCollection<'a> {
    session_setter! {}

    option_setters! { ModifyCollectionOptions {
        timeout: Duration,
        index: IndexModification,
        validator: Document,
        validation_level: ValidationLevel,
        validation_action: ValidationAction,
        capped_size: u64,
        capped_max: u64,
        change_stream_pre_and_post_images: ChangeStreamPreAndPostImages,
        timeseries: TimeseriesModification,
        dry_run: bool,
        additional_fields: Document,
        write_concern: WriteConcern,
    } into {
        view_on: String,
        expire_after_seconds: Expiry,
        comment: Bson,
    } each { pipeline: Document, } }
}

impl<'a> RenameCollection<'a> {
    session_setter! {}

    option_setters! { RenameCollectionOptions {
        timeout: Duration,
        drop_target: bool,
        write_concern: WriteConcern,
    } into { comment: Bson, } }
}

action! { impl['a] ModifyCollection<'a> => Result<Document>, |self| {
    let Self { database, name, options, session } = self;
    let scope = within(&session, database.scope());
    let mut operation = operation::ModifyCollection::new(scope, name, options);
    exec::execute_in(database.client().executor(), handle(&session), &mut operation).await
} }

action! { impl['a] RenameCollection<'a> => Result<()>, |self| {
    let Self { collection, to, options, session } = self;
    let scope = within(&session, collection.scope());
    let mut operation = operation::RenameCollection::new(scope, to, options);
    exec::execute_in(collection.executor(), handle(&session), &mut operation).await
} }
