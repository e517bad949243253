//! The options of sessions and transactions.

use std::time::Duration;

use bson::Timestamp;
use serde::{Deserialize, Serialize};
use typed_builder::TypedBuilder;

use super::{ReadConcern, SelectionCriteria, WriteConcern};

/// Options of [`Client::start_session`](crate::Client::start_session).
#[derive(Clone, Debug, Default, Deserialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct SessionOptions {
    /// What the session's transactions use where they are not given options of their own.
    pub default_transaction_options: Option<TransactionOptions>,
    /// Whether each operation sees the effects of those before it in the session. On by default,
    /// unless [`snapshot`](Self::snapshot) is set; the two exclude each other. Unacknowledged writes
    /// are left out. Follows the causal consistency specification.
    pub causal_consistency: Option<bool>,
    /// Whether all reads of the session see the data as of one moment, that of the first read.
    /// Off by default; needs MongoDB 5.0. Only find, aggregate and distinct are possible in such a
    /// session. Follows the snapshot reads specification.
    pub snapshot: Option<bool>,
    /// The moment that the reads of a [`snapshot`](Self::snapshot) session see, such as
    /// [`ClientSession::snapshot_time`](crate::ClientSession::snapshot_time) of another session;
    /// that of the first read when absent.
    pub snapshot_time: Option<Timestamp>,
    /// How long it may take as a whole to commit or abort a transaction of the session, or to run
    /// one with [`StartTransaction::and_run`](crate::action::StartTransaction::and_run); zero for
    /// no limit, the client's when absent. See
    /// [`ClientOptions::timeout`](super::ClientOptions::timeout).
    #[serde(
        rename = "defaultTimeoutMS",
        alias = "defaultTimeout",
        with = "crate::options::serde_shapes::millis"
    )]
    pub default_timeout: Option<Duration>,
}

/// Options of a transaction.
///
/// What is left out comes from the session's
/// [`default_transaction_options`](SessionOptions::default_transaction_options), and then from the
/// client. Follows the transactions specification.
#[derive(Clone, Debug, Default, Serialize, Deserialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct TransactionOptions {
    /// How settled the data that the transaction reads must be.
    #[serde(skip_serializing)]
    pub read_concern: Option<ReadConcern>,
    /// How many members must have the transaction before its commit is acknowledged. An
    /// unacknowledged one is refused.
    #[serde(skip_serializing)]
    pub write_concern: Option<WriteConcern>,
    /// Which servers the transaction reads from. Servers allow the primary alone.
    #[serde(
        skip_serializing,
        rename = "readPreference",
        alias = "selectionCriteria"
    )]
    pub selection_criteria: Option<SelectionCriteria>,
    /// How long the server may take for one attempt to commit; whole milliseconds, no limit by
    /// default.
    /// A [timeout](super::ClientOptions::timeout) puts it out of force.
    #[serde(
        rename(serialize = "maxTimeMS", deserialize = "maxCommitTimeMS"),
        skip_serializing_if = "Option::is_none",
        with = "crate::options::serde_shapes::millis"
    )]
    pub max_commit_time: Option<Duration>,
    /// How long it may take as a whole to commit or abort the transaction, or to run it with
    /// [`StartTransaction::and_run`](crate::action::StartTransaction::and_run); zero for no limit,
    /// the session's [`default_timeout`](SessionOptions::default_timeout) when absent. See
    /// [`ClientOptions::timeout`](super::ClientOptions::timeout).
    #[serde(
        skip_serializing,
        rename = "timeoutMS",
        alias = "timeout",
        with = "crate::options::serde_shapes::millis"
    )]
    pub timeout: Option<Duration>,
}

impl TransactionOptions {
    /// These options, and those of `other` where there is none.
    pub(crate) fn or(self, other: Option<&Self>) -> Self {
        let Some(other) = other else { return self };
        Self {
            read_concern: self.read_concern.or_else(|| other.read_concern.clone()),
            write_concern: self.write_concern.or_else(|| other.write_concern.clone()),
            selection_criteria: self
                .selection_criteria
                .or_else(|| other.selection_criteria.clone()),
            max_commit_time: self.max_commit_time.or(other.max_commit_time),
            timeout: self.timeout.or(other.timeout),
        }
    }
}
