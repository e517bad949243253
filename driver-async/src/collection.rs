//! A handle to one collection.

use std::{fmt, marker::PhantomData, sync::Arc};

use crate::{
    client::Client,
    concerns::Concerns,
    database::Database,
    exec::Executor,
    namespace::Namespace,
    operation::Scope,
    options::{CollectionOptions, ReadConcern, SelectionCriteria, WriteConcern},
    proto::timeout::Timeout,
};

/// A handle to one collection, whose documents are of type `T`. Cloning it is cheap.
///
/// `T` is any type that serde can turn into a document and back, such as
/// [`Document`](crate::bson::Document) or a struct of yours. Making a handle does no I/O, and the
/// collection need not exist: the first insert creates it.
///
/// ```no_run
/// # async fn example(client: motorcade::Client) -> motorcade::error::Result<()> {
/// use motorcade::bson::doc;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Person {
///     name: String,
/// }
///
/// let people = client.database("town").collection::<Person>("people");
/// people.insert_one(Person { name: "Ada".to_owned() }).await?;
/// let ada = people.find_one(doc! { "name": "Ada" }).await?;
/// assert!(ada.is_some());
/// # Ok(())
/// # }
/// ```
///
/// # Documents that look like extended JSON
///
/// Serde reads [`Document`](crate::bson::Document) and [`Bson`](crate::bson::Bson), also as fields
/// of a struct, by rules that take an embedded document such as `{ "$date": .. }` or
/// `{ "$oid": .. }` for the type that it stands for in extended JSON, or refuse it. They are
/// written as they are. To read them as they are, ask for
/// [`RawDocumentBuf`](crate::bson::RawDocumentBuf), and make documents of that:
///
/// ```
/// use motorcade::bson::{Document, RawDocumentBuf, doc};
/// # fn example(notes: motorcade::Collection<Document>) {
/// let as_stored = notes.clone_with_type::<RawDocumentBuf>();
/// # }
/// let stored = doc! { "rule": { "$date": "any day" } };
/// # let stored_bytes = RawDocumentBuf::try_from(&stored)?.into_bytes();
/// # let found: RawDocumentBuf = motorcade::bson::deserialize_from_slice(&stored_bytes)?;
/// # assert!(motorcade::bson::deserialize_from_slice::<Document>(&stored_bytes).is_err());
/// assert_eq!(Document::try_from(found)?, stored);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Collection<T: Send + Sync> {
    handle: Arc<CollectionHandle>,
    documents: PhantomData<fn() -> T>,
}

/// What every operation on a collection needs, whatever its documents are.
#[derive(Debug)]
pub(crate) struct CollectionHandle {
    pub(crate) client: Client,
    pub(crate) namespace: Namespace,
    pub(crate) concerns: Concerns,
}

impl<T: Send + Sync> Collection<T> {
    pub(crate) fn new(database: &Database, name: &str, options: CollectionOptions) -> Self {
        let own = Concerns {
            selection_criteria: options.selection_criteria,
            read_concern: options.read_concern,
            write_concern: options.write_concern,
            timeout: Timeout::inherited(options.timeout),
        };
        let handle = CollectionHandle {
            client: database.client().clone(),
            namespace: database.namespace_of(name),
            concerns: own.or(database.concerns()),
        };
        Self {
            handle: Arc::new(handle),
            documents: PhantomData,
        }
    }

    /// The same collection with documents of another type.
    pub fn clone_with_type<U: Send + Sync>(&self) -> Collection<U> {
        Collection {
            handle: Arc::clone(&self.handle),
            documents: PhantomData,
        }
    }

    /// The client that this handle came from.
    pub fn client(&self) -> &Client {
        &self.handle.client
    }

    /// The collection's name, without its database.
    pub fn name(&self) -> &str {
        &self.handle.namespace.coll
    }

    /// The collection's name together with its database's.
    pub fn namespace(&self) -> Namespace {
        self.handle.namespace.clone()
    }

    /// Which servers may serve reads, unless an operation says otherwise.
    pub fn selection_criteria(&self) -> Option<&SelectionCriteria> {
        self.handle.concerns.selection_criteria.as_ref()
    }

    /// The read concern, unless an operation says otherwise.
    pub fn read_concern(&self) -> Option<&ReadConcern> {
        self.handle.concerns.read_concern.as_ref()
    }

    /// The write concern, unless an operation says otherwise.
    pub fn write_concern(&self) -> Option<&WriteConcern> {
        self.handle.concerns.write_concern.as_ref()
    }

    /// The same collection, whose operations have another timeout.
    pub(crate) fn within(&self, timeout: Timeout) -> Self {
        let handle = CollectionHandle {
            client: self.handle.client.clone(),
            namespace: self.handle.namespace.clone(),
            concerns: Concerns {
                timeout,
                ..self.handle.concerns.clone()
            },
        };
        Self {
            handle: Arc::new(handle),
            documents: PhantomData,
        }
    }

    pub(crate) fn handle(&self) -> &CollectionHandle {
        &self.handle
    }
}

impl CollectionHandle {
    pub(crate) fn executor(&self) -> &Executor {
        self.client.executor()
    }

    /// Where operations on the collection work, and what they inherit.
    pub(crate) fn scope(&self) -> Scope<'_> {
        self.concerns
            .scope(&self.namespace.db, &self.namespace.coll)
    }
}

impl<T: Send + Sync> Clone for Collection<T> {
    fn clone(&self) -> Self {
        self.clone_with_type()
    }
}

impl<T: Send + Sync> fmt::Debug for Collection<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collection")
            .field("namespace", &self.handle.namespace)
            .field("concerns", &self.handle.concerns)
            .finish_non_exhaustive()
    }
}
