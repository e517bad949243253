//! A handle to one database.

use std::sync::Arc;

use crate::{
    client::Client,
    collection::Collection,
    concerns::Concerns,
    namespace::Namespace,
    operation::Scope,
    options::{CollectionOptions, DatabaseOptions, ReadConcern, SelectionCriteria, WriteConcern},
    proto::timeout::Timeout,
};

/// A handle to one database. Cloning it is cheap.
///
/// Making one does no I/O, and the database need not exist: the first write creates it.
///
/// ```no_run
/// # async fn example(client: motorcade::Client) -> motorcade::error::Result<()> {
/// let names = client.database("town").list_collection_names().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Database {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    client: Client,
    name: String,
    concerns: Concerns,
}

impl Database {
    pub(crate) fn new(client: Client, name: &str, options: DatabaseOptions) -> Self {
        let own = Concerns {
            selection_criteria: options.selection_criteria,
            read_concern: options.read_concern,
            write_concern: options.write_concern,
            timeout: Timeout::inherited(options.timeout),
        };
        let concerns = own.or(client.concerns());
        Self {
            inner: Arc::new(Inner {
                client,
                name: name.to_owned(),
                concerns,
            }),
        }
    }

    /// The client that this handle came from.
    pub fn client(&self) -> &Client {
        &self.inner.client
    }

    /// The database's name.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Which servers may serve reads, unless a collection or operation says otherwise.
    pub fn selection_criteria(&self) -> Option<&SelectionCriteria> {
        self.inner.concerns.selection_criteria.as_ref()
    }

    /// The read concern, unless a collection or operation says otherwise.
    pub fn read_concern(&self) -> Option<&ReadConcern> {
        self.inner.concerns.read_concern.as_ref()
    }

    /// The write concern, unless a collection or operation says otherwise.
    pub fn write_concern(&self) -> Option<&WriteConcern> {
        self.inner.concerns.write_concern.as_ref()
    }

    /// A handle to a collection of documents of type `T`, with this database's concerns.
    pub fn collection<T: Send + Sync>(&self, name: &str) -> Collection<T> {
        self.collection_with_options(name, CollectionOptions::default())
    }

    /// A handle to a collection, with its own options where they are set.
    pub fn collection_with_options<T: Send + Sync>(
        &self,
        name: &str,
        options: CollectionOptions,
    ) -> Collection<T> {
        Collection::new(self, name, options)
    }

    pub(crate) fn concerns(&self) -> &Concerns {
        &self.inner.concerns
    }

    /// Where operations on the database work, and what they inherit.
    pub(crate) fn scope(&self) -> Scope<'_> {
        self.inner.concerns.scope(self.name(), "")
    }

    pub(crate) fn namespace_of(&self, collection: &str) -> Namespace {
        Namespace::new(self.name(), collection)
    }
}
