//! The client: one deployment, and everything that operations on it share.

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::{
    concerns::Concerns,
    database::Database,
    error::{Error, Result},
    exec::Executor,
    options::{
        ClientOptions, DatabaseOptions, DriverInfo, ReadConcern, SelectionCriteria, WriteConcern,
    },
    proto::{timeout::Timeout, topology::TopologySeed},
    topology::{Settings, Topology},
};

/// A handle to one deployment. Cloning it is cheap, and all clones share the same connections.
///
/// Making a client does no network I/O: servers are looked for when the first operation needs one.
/// When the last handle (client, database, collection or cursor) is dropped, every background task
/// ends and every connection is closed; [`Client::shutdown`] does so earlier, and tells the
/// servers that the sessions have ended.
///
/// Cursors and transactions that are dropped unfinished are ended on the servers in the background,
/// also when the runtime that they were used on has ended. If the process exits
/// first, cursors and transactions dropped just before remain on the servers until they time out:
/// idle cursors after 10 minutes by default, transactions after one. Await [`Client::shutdown`] to
/// end everything first.
///
/// A client that was used before `fork()` belongs to the parent process. In the child its operations
/// fail with an invalid-argument error, and dropping it leaves the parent's connections alone.
///
/// ```no_run
/// # async fn example() -> motorcade::error::Result<()> {
/// use motorcade::{Client, bson::doc};
///
/// let client = Client::with_uri_str("mongodb://localhost:27017").await?;
/// client.database("admin").run_command(doc! { "ping": 1 }).await?;
/// client.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    executor: Executor,
    default_database: Option<String>,
    concerns: Concerns,
}

impl Client {
    /// A client for the deployment that a connection string names.
    ///
    /// The files of `tlsCAFile` and `tlsCertificateKeyFile` are read on a blocking thread.
    ///
    /// # Errors
    /// An invalid-argument error that says what is wrong with the connection string, and an
    /// invalid-TLS-configuration error for certificates that cannot be read.
    pub async fn with_uri_str(uri: impl AsRef<str>) -> Result<Self> {
        let options = ClientOptions::parse(uri.as_ref()).await?;
        let Some(runtime) = Handle::try_current().ok().filter(|_| options.names_files()) else {
            return Self::with_options(options);
        };
        let made = runtime.spawn_blocking(|| Self::with_options(options)).await;
        made.map_err(|error| Error::internal(format!("the TLS files were not read: {error}")))?
    }

    /// A client with these options.
    ///
    /// The files that the TLS options name are read here, on the calling thread, so that errors in
    /// them are reported at once and not by the first operation. Async code whose files may be on a
    /// slow disk should use [`Client::with_uri_str`], or call this on a blocking thread.
    ///
    /// # Errors
    /// An invalid-argument error for options that contradict each other, and an
    /// invalid-TLS-configuration error for certificates that cannot be read.
    pub fn with_options(options: ClientOptions) -> Result<Self> {
        options.validate()?;
        options.log_warnings();
        let topology = Topology::new(Settings::new(&options)?, TopologySeed::from(&options));
        let inner = Inner {
            executor: Executor::new(topology),
            default_database: options.default_database,
            concerns: Concerns {
                selection_criteria: options.selection_criteria,
                read_concern: options.read_concern,
                write_concern: options.write_concern,
                timeout: Timeout::inherited(options.timeout),
            },
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// A handle to a database, with this client's concerns and read preference.
    pub fn database(&self, name: &str) -> Database {
        self.database_with_options(name, DatabaseOptions::default())
    }

    /// A handle to a database, with its own options where they are set.
    pub fn database_with_options(&self, name: &str, options: DatabaseOptions) -> Database {
        Database::new(self.clone(), name, options)
    }

    /// A handle to the database that the connection string names; `None` when it names none.
    pub fn default_database(&self) -> Option<Database> {
        let name = self.inner.default_database.as_deref();
        name.map(|name| self.database(name))
    }

    /// Which servers may serve reads, unless a database, collection or operation says otherwise.
    pub fn selection_criteria(&self) -> Option<&SelectionCriteria> {
        self.inner.concerns.selection_criteria.as_ref()
    }

    /// The read concern, unless a database, collection or operation says otherwise.
    pub fn read_concern(&self) -> Option<&ReadConcern> {
        self.inner.concerns.read_concern.as_ref()
    }

    /// The write concern, unless a database, collection or operation says otherwise.
    pub fn write_concern(&self) -> Option<&WriteConcern> {
        self.inner.concerns.write_concern.as_ref()
    }

    /// Adds to what servers are told about this client, for libraries built on top of it.
    ///
    /// Connections made from now on say so; see the handshake specification. The same
    /// information is added only once.
    ///
    /// # Errors
    /// An invalid-argument error for text that cannot be sent.
    pub fn append_metadata(&self, driver_info: DriverInfo) -> Result<()> {
        self.executor()
            .settings()
            .handshaker
            .append_metadata(&driver_info)
    }

    pub(crate) fn concerns(&self) -> &Concerns {
        &self.inner.concerns
    }

    /// What runs this client's operations.
    pub(crate) fn executor(&self) -> &Executor {
        &self.inner.executor
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::mpsc};

    use tokio::runtime;
    use tokio_test::{assert_pending, task::spawn};

    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn files_are_read_off_the_executor() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        fs::write(&path, "no PEM at all").unwrap();
        let uri = format!("mongodb://a/?tls=true&tlsCAFile={}", path.display());
        // The one blocking thread is busy until it is told to go on.
        let runtime = runtime::Builder::new_current_thread()
            .max_blocking_threads(1)
            .build()
            .unwrap();
        let (release, released) = mpsc::channel::<()>();
        runtime.spawn_blocking(move || released.recv());
        let error = runtime.block_on(async {
            let mut making = spawn(Client::with_uri_str(uri));
            assert_pending!(making.poll());
            drop(release);
            making.await.unwrap_err()
        });
        let is_tls = matches!(*error.kind, ErrorKind::InvalidTlsConfig { .. });
        assert!(is_tls, "{error:?}");
    }
}
