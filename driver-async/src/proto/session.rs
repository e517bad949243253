//! What a session that the application started remembers, and what it adds to each command.
//!
//! Follows the driver sessions, causal consistency and snapshot reads specifications.

use bson::{RawDocument, Timestamp};

use crate::{
    address::ServerAddress,
    deadline::Deadline,
    error::{Error, ErrorKind, Result},
    options::{ReadConcern, ReadConcernLevel, SessionOptions, TransactionOptions},
    proto::{
        cluster_time::ClusterClock,
        session_pool::ServerSession,
        timeout::Timeout,
        transaction::{End, EndCommand, Transaction},
        wire::fields,
    },
};

/// The wire version of MongoDB 5.0, the first with snapshot reads outside of transactions.
const WIRE_5_0: i32 = 13;

/// What a command is to the session that it goes out with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InSession {
    /// It is part of the session, and takes no read concern of it.
    Plain,
    /// It can be made to see what came before it in the session.
    Consistent,
    /// It goes on with what an earlier command began.
    Continuation,
    /// It cleans up after an earlier command, and is not of the application's doing.
    CleanUp,
    /// It ends the session's transaction of that number.
    Ends(End, i64),
}

/// What a session adds to one command, beside its id.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Stamp {
    /// The number of the transaction that the command is part of.
    pub transaction_number: Option<i64>,
    /// Whether the command is the first of the transaction.
    pub starts_transaction: bool,
    pub read_concern: Option<SessionReadConcern>,
}

impl Stamp {
    pub(crate) fn is_in_transaction(&self) -> bool {
        self.transaction_number.is_some()
    }
}

/// The read concern that a session makes of an operation's.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SessionReadConcern {
    pub level: Option<ReadConcernLevel>,
    pub after_cluster_time: Option<Timestamp>,
    pub at_cluster_time: Option<Timestamp>,
}

/// A session that the application started.
#[derive(Debug)]
pub(crate) struct SessionState {
    pub(crate) server: ServerSession,
    pub(crate) transaction: Transaction,
    default_transaction_options: Option<TransactionOptions>,
    causal: bool,
    snapshot: bool,
    snapshot_time: Option<Timestamp>,
    operation_time: Option<Timestamp>,
    cluster_clock: ClusterClock,
    /// The servers that may have made a cursor for a command that is out, or was given up.
    pub(crate) opening: Vec<ServerAddress>,
    timeout: Timeout,
    /// When the time of the call is up that runs a transaction to its end.
    pub(crate) deadline: Option<Deadline>,
}

impl SessionState {
    /// Takes a server's session only when the options are right.
    ///
    /// # Errors
    /// An invalid-argument error for options that contradict each other.
    pub(crate) fn new(
        take: impl FnOnce() -> ServerSession,
        options: SessionOptions,
        inherited: Timeout,
    ) -> Result<Self> {
        let snapshot = options.snapshot.unwrap_or(false);
        if snapshot && options.causal_consistency == Some(true) {
            return Err(Error::invalid_argument(
                "a session cannot have both snapshot and causal_consistency; leave one out",
            ));
        }
        if !snapshot && options.snapshot_time.is_some() {
            return Err(Error::invalid_argument(
                "snapshot_time is for sessions with snapshot: true only",
            ));
        }
        Ok(Self {
            server: take(),
            transaction: Transaction::default(),
            default_transaction_options: options.default_transaction_options,
            causal: options.causal_consistency.unwrap_or(!snapshot),
            snapshot,
            snapshot_time: options.snapshot_time,
            operation_time: None,
            cluster_clock: ClusterClock::default(),
            opening: Vec::new(),
            timeout: Timeout::inherited(options.default_timeout).or(inherited),
            deadline: None,
        })
    }

    pub(crate) fn cluster_clock(&self) -> &ClusterClock {
        &self.cluster_clock
    }

    pub(crate) fn operation_time(&self) -> Option<Timestamp> {
        self.operation_time
    }

    pub(crate) fn snapshot_time(&self) -> Option<Timestamp> {
        self.snapshot_time
    }

    pub(crate) fn advance_cluster_time(&mut self, document: &RawDocument) {
        if let Some(newer) = self.cluster_clock.advanced(document) {
            self.cluster_clock = newer;
        }
    }

    pub(crate) fn advance_operation_time(&mut self, time: Timestamp) {
        self.operation_time = self.operation_time.max(Some(time));
    }

    /// Starts a transaction. What neither the options nor the session's defaults say comes from
    /// `inherited`.
    ///
    /// # Errors
    /// As [`Transaction::start`], and a transaction error in a snapshot session.
    pub(crate) fn start_transaction(
        &mut self,
        options: TransactionOptions,
        inherited: &TransactionOptions,
    ) -> Result<()> {
        if self.snapshot {
            return Err(ErrorKind::Transaction {
                message: "Transactions are not supported in snapshot sessions".to_owned(),
            }
            .into());
        }
        let options = options.or(self.default_transaction_options.as_ref());
        self.transaction.start(options.or(Some(inherited)))?;
        self.server.next_transaction_number();
        Ok(())
    }

    /// The limit for running a transaction with these options to its end, or for ending it.
    pub(crate) fn timeout_of(&self, options: &TransactionOptions) -> Timeout {
        let default = self.default_transaction_options.as_ref();
        let own = options.timeout.or_else(|| default?.timeout);
        Timeout::inherited(own).or(self.timeout)
    }

    /// What ends the transaction, if the server may know of it.
    ///
    /// # Errors
    /// As [`Transaction::begin_commit`] and [`Transaction::begin_abort`].
    pub(crate) fn end_transaction(&mut self, end: End) -> Result<Option<EndCommand>> {
        let number = self.server.transaction_number();
        match end {
            End::Commit => self.transaction.begin_commit(number),
            End::Abort => self.transaction.begin_abort(number),
        }
    }

    /// What to add to a command that goes to a server of this wire version, whose own read concern
    /// is `read_concern`. `has_cluster_time` tells whether the deployment has a clock.
    ///
    /// # Errors
    /// An incompatible-server error for a snapshot read on an old server.
    pub(crate) fn stamp(
        &self,
        command: InSession,
        read_concern: Option<&ReadConcern>,
        wire_version: i32,
        has_cluster_time: bool,
    ) -> Result<Stamp> {
        if let InSession::Ends(_, number) = command {
            return Ok(Stamp {
                transaction_number: Some(number),
                ..Stamp::default()
            });
        }
        if self.is_in_transaction(command) {
            let starts_transaction = self.transaction.is_starting();
            let read_concern = starts_transaction.then(|| SessionReadConcern {
                level: self
                    .transaction
                    .options()
                    .read_concern
                    .as_ref()
                    .map(|concern| concern.level.clone()),
                after_cluster_time: self.after_cluster_time(has_cluster_time),
                at_cluster_time: None,
            });
            return Ok(Stamp {
                transaction_number: Some(self.server.transaction_number()),
                starts_transaction,
                read_concern,
            });
        }
        let read_concern = match command {
            InSession::Plain | InSession::Consistent if self.snapshot => {
                if wire_version < WIRE_5_0 {
                    return Err(ErrorKind::IncompatibleServer {
                        message: "Snapshot reads require MongoDB 5.0 or later".to_owned(),
                    }
                    .into());
                }
                Some(SessionReadConcern {
                    level: Some(ReadConcernLevel::Snapshot),
                    after_cluster_time: None,
                    at_cluster_time: self.snapshot_time,
                })
            }
            InSession::Consistent => Some(SessionReadConcern {
                level: read_concern.map(|concern| concern.level.clone()),
                after_cluster_time: self.after_cluster_time(has_cluster_time),
                at_cluster_time: None,
            }),
            _ => None,
        };
        Ok(Stamp {
            read_concern: read_concern.filter(|concern| *concern != SessionReadConcern::default()),
            ..Stamp::default()
        })
    }

    fn after_cluster_time(&self, has_cluster_time: bool) -> Option<Timestamp> {
        self.operation_time
            .filter(|_| self.causal && has_cluster_time)
    }

    fn is_in_transaction(&self, command: InSession) -> bool {
        match command {
            InSession::Ends(..) => true,
            // It must not be what starts a transaction.
            InSession::CleanUp => self.transaction.is_active() && !self.transaction.is_starting(),
            InSession::Plain | InSession::Consistent | InSession::Continuation => {
                self.transaction.is_active()
            }
        }
    }

    /// What aborts the transaction when the application goes away from it.
    pub(crate) fn abandon_transaction(&mut self) -> Option<EndCommand> {
        self.transaction.abandon(self.server.transaction_number())
    }

    /// Takes over what the reply to a command says, be it of success or of failure.
    pub(crate) fn read_reply(&mut self, command: InSession, reply: &RawDocument) {
        let in_transaction = match command {
            InSession::Ends(_, number) => number == self.server.transaction_number(),
            InSession::CleanUp => false,
            _ => self.transaction.is_active(),
        };
        for field in fields(reply) {
            match field.key {
                b"operationTime" => {
                    if let Some(time) = field.timestamp() {
                        self.advance_operation_time(time);
                    }
                }
                b"$clusterTime" => {
                    if let Some(time) = field.document() {
                        self.advance_cluster_time(time);
                    }
                }
                b"recoveryToken" if in_transaction => {
                    if let Some(token) = field.document() {
                        self.transaction.set_recovery_token(token);
                    }
                }
                b"cursor" if self.snapshot => {
                    let cursor = field.document().into_iter().flat_map(fields);
                    self.read_snapshot_time(cursor);
                }
                b"atClusterTime" if self.snapshot => self.read_snapshot_time([field]),
                _ => {}
            }
        }
    }

    fn read_snapshot_time<'a>(
        &mut self,
        fields: impl IntoIterator<Item = crate::proto::wire::Field<'a>>,
    ) {
        let time = fields
            .into_iter()
            .find(|field| field.key == b"atClusterTime");
        let time = time.and_then(|time| time.timestamp());
        self.snapshot_time = self.snapshot_time.or(time);
    }
}
