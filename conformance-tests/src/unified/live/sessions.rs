//! The sessions of a case, and how its operations come to them.

use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use bson::{Document, Timestamp};

use super::entities::ClientEntity;
use super::flavor::driver::ClientSession;
use super::flavor::driver::action::Action;
use super::flavor::driver::error::Error;
use super::flavor::driver::options::TransactionOptions;
use super::flavor::go;
use super::state::CaseState;
use crate::unified::arguments::{Arguments, with_arguments};

/// A session, until the case ends it.
pub(super) struct SessionEntity {
    lsid: Document,
    session: Mutex<Option<ClientSession>>,
}

/// A session that is lent to an operation, and the entity that it is of.
pub(super) struct InSession<'a> {
    pub(super) session: &'a mut ClientSession,
    pub(super) entity: Arc<SessionEntity>,
}

/// The session that a callback within a transaction has been lent, with its entity's name: the
/// entity itself has lent it away.
pub(super) struct Within<'a> {
    pub(super) id: &'a str,
    pub(super) session: &'a mut ClientSession,
}

impl SessionEntity {
    /// Starts a session with the options that a file describes.
    pub(super) fn start(
        client: &ClientEntity,
        options: &Document,
        case: &CaseState,
    ) -> Result<Self, String> {
        let client = client.client()?;
        let mut options = Arguments::new("sessionOptions", options.clone());
        let transactions = options.take("defaultTransactionOptions")?;
        let transactions = transactions.map(|described| {
            transaction_options(Arguments::new("defaultTransactionOptions", described))
        });
        let transactions = transactions.transpose()?;
        // An entity that an earlier session's snapshot time was saved as.
        let snapshot_time = options.take::<String>("snapshotTime")?;
        let snapshot_time = snapshot_time
            .map(|id| case.entities.timestamp(&id))
            .transpose()?;
        let action = with_arguments!(client.start_session(), options, {
            "causalConsistency" => causal_consistency,
            "defaultTimeoutMS" => default_timeout,
            "snapshot" => snapshot,
        });
        let action = action
            .optional(transactions, |action, options| {
                action.default_transaction_options(options)
            })
            .optional(snapshot_time, |action, time: Timestamp| {
                action.snapshot_time(time)
            });
        let describe = |error: Error| error.to_string();
        let mut session = go!(action).map_err(describe)?;
        if let Some(time) = case.environment.time_of_routers().map_err(describe)? {
            session.advance_cluster_time(&time);
        }
        Ok(Self {
            lsid: session.id().clone(),
            session: Mutex::new(Some(session)),
        })
    }

    /// The id by which servers know the session; it stays after the end.
    pub(super) fn lsid(&self) -> &Document {
        &self.lsid
    }

    /// Lends the session to one operation.
    ///
    /// # Errors
    ///
    /// Fails when the session has ended, and when another operation has it now.
    pub(super) fn lend<R>(&self, work: impl FnOnce(&mut ClientSession) -> R) -> Result<R, String> {
        let mut session = match self.session.try_lock() {
            Ok(session) => session,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                return Err("the session is at work for another operation".to_owned());
            }
        };
        let session = session.as_mut().ok_or("the session has ended")?;
        Ok(work(session))
    }

    /// Ends the session.
    pub(super) fn end(&self) {
        let session = self
            .session
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        drop(session);
    }
}

/// Does some work with the session of that name.
pub(super) fn in_session<R, F: From<String>>(
    case: &CaseState,
    id: &str,
    within: Option<Within<'_>>,
    work: impl FnOnce(InSession<'_>) -> Result<R, F>,
) -> Result<R, F> {
    let entity = case.entities.session(id)?;
    if let Some(within) = within.filter(|within| within.id == id) {
        let session = within.session;
        return work(InSession { session, entity });
    }
    let lender = Arc::clone(&entity);
    lender.lend(|session| work(InSession { session, entity }))?
}

/// The options of transactions as a file describes them.
pub(super) fn transaction_options(mut described: Arguments) -> Result<TransactionOptions, String> {
    let mut options = TransactionOptions::default();
    options.read_concern = described.take("readConcern")?;
    options.write_concern = described.take("writeConcern")?;
    options.selection_criteria = described.take("readPreference")?;
    options.max_commit_time = described.take("maxCommitTimeMS")?;
    options.timeout = described.take("timeoutMS")?;
    described.finish()?;
    Ok(options)
}
