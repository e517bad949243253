//! Changing or deleting a document and returning it.

use std::{borrow::Borrow, marker::PhantomData, time::Duration};

use bson::{Bson, Document, RawDocumentBuf};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    action, explainable, option_setters,
    sessions::{handle, session_setter, within},
};
use crate::{
    collection::{Collection, CollectionHandle},
    error::{Error, Result},
    exec,
    operation::{FindAndModify, Modification},
    options::{
        Collation, FindOneAndDeleteOptions, FindOneAndReplaceOptions, FindOneAndUpdateOptions,
        Hint, ReturnDocument, UpdateModifications, WriteConcern,
    },
    session::ClientSession,
};

/// Updates a document and returns it; see [`Collection::find_one_and_update`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct FindOneAndUpdate<'a, T> {
    collection: &'a CollectionHandle,
    filter: Document,
    update: UpdateModifications,
    options: FindOneAndUpdateOptions,
    document: PhantomData<fn() -> T>,
    session: Option<&'a mut ClientSession>,
}

/// Replaces a document and returns it; see [`Collection::find_one_and_replace`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct FindOneAndReplace<'a, T> {
    collection: &'a CollectionHandle,
    filter: Document,
    replacement: Result<RawDocumentBuf>,
    options: FindOneAndReplaceOptions,
    document: PhantomData<fn() -> T>,
    session: Option<&'a mut ClientSession>,
}

/// Deletes a document and returns it; see [`Collection::find_one_and_delete`].
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct FindOneAndDelete<'a, T> {
    collection: &'a CollectionHandle,
    filter: Document,
    options: FindOneAndDeleteOptions,
    document: PhantomData<fn() -> T>,
    session: Option<&'a mut ClientSession>,
}

impl<T: DeserializeOwned + Send + Sync> Collection<T> {
    /// Updates the first document that matches a filter and returns it, in one step that no other
    /// operation can come between; `None` when no document matches.
    ///
    /// The document comes as it was before the update unless [`ReturnDocument::After`] is asked
    /// for. See "findAndModify" among the database commands of the server's manual.
    ///
    /// # Errors
    /// An invalid-argument error for an update without operators (use
    /// [`Collection::find_one_and_replace`]), the server's, those of selection and network, and a
    /// BSON error when the document is not of type `T`; the update is done then.
    ///
    /// ```no_run
    /// # use motorcade::{Collection, bson::{Document, doc}, options::ReturnDocument};
    /// # async fn example(tickets: Collection<Document>) -> motorcade::error::Result<()> {
    /// let counter = tickets
    ///     .find_one_and_update(doc! { "_id": "next" }, doc! { "$inc": { "number": 1 } })
    ///     .upsert(true)
    ///     .return_document(ReturnDocument::After)
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn find_one_and_update(
        &self,
        filter: Document,
        update: impl Into<UpdateModifications>,
    ) -> FindOneAndUpdate<'_, T> {
        FindOneAndUpdate {
            collection: self.handle(),
            filter,
            update: update.into(),
            options: FindOneAndUpdateOptions::default(),
            document: PhantomData,
            session: None,
        }
    }

    /// Deletes the first document that matches a filter and returns it, in one step that no other
    /// operation can come between; `None` when no document matches.
    ///
    /// # Errors
    /// The server's, those of selection and network, and a BSON error when the document is not of
    /// type `T`; it is deleted then.
    pub fn find_one_and_delete(&self, filter: Document) -> FindOneAndDelete<'_, T> {
        FindOneAndDelete {
            collection: self.handle(),
            filter,
            options: FindOneAndDeleteOptions::default(),
            document: PhantomData,
            session: None,
        }
    }
}

impl<T: Serialize + DeserializeOwned + Send + Sync> Collection<T> {
    /// Replaces the first document that matches a filter, all but its `_id`, and returns it, in
    /// one step that no other operation can come between; `None` when no document matches.
    ///
    /// The document comes as it was before unless [`ReturnDocument::After`] is asked for.
    ///
    /// # Errors
    /// An invalid-argument error for a replacement that begins with an operator or is larger than
    /// the server takes (16 MiB), a BSON error for one that is no document; otherwise as [`Collection::find_one_and_update`].
    pub fn find_one_and_replace(
        &self,
        filter: Document,
        replacement: impl Borrow<T>,
    ) -> FindOneAndReplace<'_, T> {
        let replacement = bson::serialize_to_raw_document_buf(replacement.borrow());
        FindOneAndReplace {
            collection: self.handle(),
            filter,
            replacement: replacement.map_err(Error::from),
            options: FindOneAndReplaceOptions::default(),
            document: PhantomData,
            session: None,
        }
    }
}

impl<'a, T> FindOneAndUpdate<'a, T> {
    session_setter! {}

    option_setters! { FindOneAndUpdateOptions {
        timeout: Duration,
        bypass_document_validation: bool,
        max_time: Duration,
        projection: Document,
        return_document: ReturnDocument,
        sort: Document,
        upsert: bool,
        write_concern: WriteConcern,
        collation: Collation,
        hint: Hint,
        let_vars: Document,
        raw_data: bool,
    } into { comment: Bson, } each { array_filters: Document, } }

    fn operation(self) -> Result<FindAndModify<'a, T>> {
        let update = Modification::One(self.update);
        let scope = within(&self.session, self.collection.scope());
        FindAndModify::modifying(scope, self.filter, update, self.options)
    }
}

impl<'a, T> FindOneAndReplace<'a, T> {
    session_setter! {}

    option_setters! { FindOneAndReplaceOptions {
        timeout: Duration,
        bypass_document_validation: bool,
        max_time: Duration,
        projection: Document,
        return_document: ReturnDocument,
        sort: Document,
        upsert: bool,
        write_concern: WriteConcern,
        collation: Collation,
        hint: Hint,
        let_vars: Document,
        raw_data: bool,
    } into { comment: Bson, } }

    fn operation(self) -> Result<FindAndModify<'a, T>> {
        let replacement = Modification::Replacement(self.replacement?);
        let scope = within(&self.session, self.collection.scope());
        FindAndModify::modifying(scope, self.filter, replacement, self.options.into())
    }
}

impl<'a, T> FindOneAndDelete<'a, T> {
    session_setter! {}

    option_setters! { FindOneAndDeleteOptions {
        timeout: Duration,
        max_time: Duration,
        projection: Document,
        sort: Document,
        write_concern: WriteConcern,
        collation: Collation,
        hint: Hint,
        let_vars: Document,
        raw_data: bool,
    } into { comment: Bson, } }

    fn operation(self) -> FindAndModify<'a, T> {
        let scope = within(&self.session, self.collection.scope());
        FindAndModify::deleting(scope, self.filter, self.options.into())
    }
}

explainable! {
    impl['a, T: DeserializeOwned + 'a] FindOneAndUpdate<'a, T>,
    |self| self.collection.executor(), self.operation()
}
explainable! {
    impl['a, T: DeserializeOwned + 'a] FindOneAndReplace<'a, T>,
    |self| self.collection.executor(), self.operation()
}
explainable! {
    impl['a, T: DeserializeOwned + 'a] FindOneAndDelete<'a, T>,
    |self| self.collection.executor(), Ok(self.operation())
}

action! { impl['a, T: DeserializeOwned + Send + Sync + 'a] FindOneAndUpdate<'a, T> => Result<Option<T>>, |self| {
    let executor = self.collection.executor();
    let session = handle(&self.session);
    exec::execute_in(executor, session, &mut self.operation()?).await
} }

action! { impl['a, T: DeserializeOwned + Send + Sync + 'a] FindOneAndReplace<'a, T> => Result<Option<T>>, |self| {
    let executor = self.collection.executor();
    let session = handle(&self.session);
    exec::execute_in(executor, session, &mut self.operation()?).await
} }

action! { impl['a, T: DeserializeOwned + Send + Sync + 'a] FindOneAndDelete<'a, T> => Result<Option<T>>, |self| {
    let executor = self.collection.executor();
    let session = handle(&self.session);
    exec::execute_in(executor, session, &mut self.operation()).await
} }
