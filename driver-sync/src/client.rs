//! The blocking client.

use motorcade::{
    action::{
        BulkWrite, ListDatabases, ListNames, Shutdown, StartSession, WarmConnectionPool, Watch,
    },
    error::Result,
    options::{
        ClientOptions, DatabaseOptions, DriverInfo, ReadConcern, SelectionCriteria, WriteConcern,
        WriteModel,
    },
    results::SummaryBulkWriteResult,
};

use crate::{Database, Run};

/// Like [`motorcade::Client`], but blocking.
#[derive(Clone, Debug)]
pub struct Client {
    inner: motorcade::Client,
}

impl Client {
    /// Like [`motorcade::Client::with_uri_str`].
    #[track_caller]
    pub fn with_uri_str(uri: impl AsRef<str>) -> Result<Self> {
        Self::with_options(ClientOptions::parse(uri.as_ref()).run()?)
    }

    /// Like [`motorcade::Client::with_options`].
    pub fn with_options(mut options: ClientOptions) -> Result<Self> {
        // The libraries that stand on this driver come after it.
        let library = options.driver_info.take();
        let inner = motorcade::Client::with_options(options)?;
        let wrapper = DriverInfo::builder()
            .name(env!("CARGO_PKG_NAME"))
            .version(env!("CARGO_PKG_VERSION").to_owned())
            .build();
        inner.append_metadata(wrapper)?;
        if let Some(library) = library {
            inner.append_metadata(library)?;
        }
        Ok(Self { inner })
    }

    /// Like [`motorcade::Client::database`].
    pub fn database(&self, name: &str) -> Database {
        Database::new(self.inner.database(name))
    }

    /// Like [`motorcade::Client::database_with_options`].
    pub fn database_with_options(&self, name: &str, options: DatabaseOptions) -> Database {
        Database::new(self.inner.database_with_options(name, options))
    }

    /// Like [`motorcade::Client::default_database`].
    pub fn default_database(&self) -> Option<Database> {
        self.inner.default_database().map(Database::new)
    }

    /// Like [`motorcade::Client::bulk_write`].
    pub fn bulk_write(
        &self,
        models: impl IntoIterator<Item = impl Into<WriteModel>>,
    ) -> BulkWrite<'_, SummaryBulkWriteResult> {
        self.inner.bulk_write(models)
    }

    /// Like [`motorcade::Client::list_databases`].
    pub fn list_databases(&self) -> ListDatabases<'_> {
        self.inner.list_databases()
    }

    /// Like [`motorcade::Client::list_database_names`].
    pub fn list_database_names(&self) -> ListDatabases<'_, ListNames> {
        self.inner.list_database_names()
    }

    /// Like [`motorcade::Client::selection_criteria`].
    pub fn selection_criteria(&self) -> Option<&SelectionCriteria> {
        self.inner.selection_criteria()
    }

    /// Like [`motorcade::Client::read_concern`].
    pub fn read_concern(&self) -> Option<&ReadConcern> {
        self.inner.read_concern()
    }

    /// Like [`motorcade::Client::write_concern`].
    pub fn write_concern(&self) -> Option<&WriteConcern> {
        self.inner.write_concern()
    }

    /// Like [`motorcade::Client::append_metadata`].
    pub fn append_metadata(&self, driver_info: DriverInfo) -> Result<()> {
        self.inner.append_metadata(driver_info)
    }

    /// Like [`motorcade::Client::start_session`].
    pub fn start_session(&self) -> StartSession<'_> {
        self.inner.start_session()
    }

    /// Like [`motorcade::Client::watch`].
    pub fn watch(&self) -> Watch<'_> {
        self.inner.watch()
    }

    /// Like [`motorcade::Client::warm_connection_pool`].
    pub fn warm_connection_pool(&self) -> WarmConnectionPool<'_> {
        self.inner.warm_connection_pool()
    }

    /// Like [`motorcade::Client::shutdown`].
    pub fn shutdown(self) -> Shutdown {
        self.inner.shutdown()
    }
}

/// The blocking twin of a client that exists already. Its background tasks run where they did.
///
/// Once that client was used, its runtime must go on being driven, as a multi-threaded one is: on a
/// current-thread runtime that nobody drives, its background tasks stand still, and operations that
/// wait for them may hang.
impl From<motorcade::Client> for Client {
    fn from(inner: motorcade::Client) -> Self {
        Self { inner }
    }
}
