//! The blocking session.

use std::{borrow::Borrow, time::Duration};

use motorcade::{
    ClusterTime,
    action::{AbortTransaction, CommitTransaction},
    bson::{Document, Timestamp},
    error::Result,
    internal::session::{TransactionRun, abort_in_background},
    options::{ReadConcern, SelectionCriteria, TransactionOptions, WriteConcern},
};

use crate::{Client, Run, runtime};

/// Like [`motorcade::ClientSession`], but blocking.
#[derive(Debug)]
pub struct ClientSession {
    inner: motorcade::ClientSession,
}

impl ClientSession {
    /// Like [`motorcade::ClientSession::client`].
    pub fn client(&self) -> Client {
        self.inner.client().into()
    }

    /// Like [`motorcade::ClientSession::id`].
    pub fn id(&self) -> &Document {
        self.inner.id()
    }

    /// Like [`motorcade::ClientSession::cluster_time`].
    pub fn cluster_time(&self) -> Option<ClusterTime> {
        self.inner.cluster_time()
    }

    /// Like [`motorcade::ClientSession::advance_cluster_time`].
    pub fn advance_cluster_time(&mut self, to: impl Borrow<ClusterTime>) {
        self.inner.advance_cluster_time(to);
    }

    /// Like [`motorcade::ClientSession::operation_time`].
    pub fn operation_time(&self) -> Option<Timestamp> {
        self.inner.operation_time()
    }

    /// Like [`motorcade::ClientSession::advance_operation_time`].
    pub fn advance_operation_time(&mut self, ts: Timestamp) {
        self.inner.advance_operation_time(ts);
    }

    /// Like [`motorcade::ClientSession::snapshot_time`].
    pub fn snapshot_time(&self) -> Option<Timestamp> {
        self.inner.snapshot_time()
    }

    /// Like [`motorcade::ClientSession::start_transaction`].
    pub fn start_transaction(&mut self) -> StartTransaction<'_> {
        StartTransaction {
            session: self,
            options: TransactionOptions::default(),
        }
    }

    /// Like [`motorcade::ClientSession::commit_transaction`].
    pub fn commit_transaction(&mut self) -> CommitTransaction<'_> {
        self.inner.commit_transaction()
    }

    /// Like [`motorcade::ClientSession::abort_transaction`].
    pub fn abort_transaction(&mut self) -> AbortTransaction<'_> {
        self.inner.abort_transaction()
    }

    pub(crate) fn inner(&mut self) -> &mut motorcade::ClientSession {
        &mut self.inner
    }
}

impl From<motorcade::ClientSession> for ClientSession {
    fn from(inner: motorcade::ClientSession) -> Self {
        Self { inner }
    }
}

impl<'a> From<&'a mut ClientSession> for &'a mut motorcade::ClientSession {
    fn from(session: &'a mut ClientSession) -> Self {
        &mut session.inner
    }
}

/// Like [`motorcade::action::StartTransaction`], with a callback that blocks.
#[derive(Debug)]
#[must_use = "nothing happens until it is run"]
pub struct StartTransaction<'a> {
    session: &'a mut ClientSession,
    options: TransactionOptions,
}

/// The setters of [`motorcade::action::StartTransaction`].
macro_rules! setters {
    ($($name:ident: $type:ty,)*) => {
        /// Replaces all options set so far.
        pub fn with_options(mut self, options: impl Into<Option<TransactionOptions>>) -> Self {
            self.options = options.into().unwrap_or_default();
            self
        }

        $(
            #[doc = concat!("Sets [`TransactionOptions::", stringify!($name), "`].")]
            pub fn $name(mut self, value: $type) -> Self {
                self.options.$name = Some(value);
                self
            }
        )*
    };
}

impl StartTransaction<'_> {
    setters! {
        read_concern: ReadConcern,
        write_concern: WriteConcern,
        selection_criteria: SelectionCriteria,
        max_commit_time: Duration,
        timeout: Duration,
    }

    /// Like awaiting [`motorcade::action::StartTransaction`].
    ///
    /// # Errors
    /// As [`motorcade::ClientSession::start_transaction`].
    #[track_caller]
    pub fn run(self) -> Result<()> {
        let start = self.session.inner.start_transaction();
        start.with_options(self.options).run()
    }

    /// Like [`motorcade::action::StartTransaction::and_run2`], with a closure that blocks.
    ///
    /// # Errors
    /// As [`motorcade::action::StartTransaction::and_run`].
    ///
    /// ```no_run
    /// # use motorcade_sync::{Collection, ClientSession, Run, bson::{Document, doc}};
    /// # fn example(people: Collection<Document>, mut session: ClientSession)
    /// #     -> motorcade_sync::error::Result<()> {
    /// session.start_transaction().and_run(|session| {
    ///     people.insert_one(doc! { "name": "Ada" }).session(&mut *session).run()?;
    ///     people.delete_one(doc! { "name": "Bob" }).session(session).run()?;
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn and_run<R, F>(self, mut callback: F) -> Result<R>
    where
        F: for<'b> FnMut(&'b mut ClientSession) -> Result<R>,
    {
        let mut run = TransactionRun::new(&self.session.inner, self.options);
        runtime::block_on(run.begin(&mut self.session.inner))??;
        let session = Guarded(self.session);
        loop {
            let outcome = callback(session.0);
            let concluded = runtime::block_on(run.conclude(&mut session.0.inner, outcome))?;
            if let Some(outcome) = concluded {
                return outcome;
            }
            runtime::block_on(run.begin(&mut session.0.inner))??;
        }
    }
}

impl Run for StartTransaction<'_> {
    type Output = Result<()>;

    #[track_caller]
    fn run(self) -> Result<()> {
        self.run()
    }
}

/// A session whose transaction does not outlive a callback that panics.
struct Guarded<'a>(&'a mut ClientSession);

impl Drop for Guarded<'_> {
    fn drop(&mut self) {
        abort_in_background(&self.0.inner);
    }
}
