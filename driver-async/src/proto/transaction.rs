//! The transaction of a session: its state, and what each command in it must carry.
//!
//! Follows the transactions specification.

use std::time::Duration;

use bson::{RawDocument, RawDocumentBuf};

use crate::{
    address::ServerAddress,
    error::{
        Error, ErrorKind, RETRYABLE_WRITE_ERROR, Result, TRANSIENT_TRANSACTION_ERROR,
        UNKNOWN_TRANSACTION_COMMIT_RESULT, WriteFailure,
    },
    options::{
        Acknowledgment, ReadPreference, SelectionCriteria, TransactionOptions, WriteConcern,
    },
};

/// How long a repeated commit waits for the majority when its write concern sets no limit.
const REPEATED_COMMIT_TIMEOUT: Duration = Duration::from_secs(10);
/// The codes of write concern errors that any further attempt would meet again:
/// UnknownReplWriteConcern and UnsatisfiableWriteConcern.
const HOPELESS_WRITE_CONCERN: [i32; 2] = [79, 100];

/// Where the transaction of a session stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TransactionState {
    /// There is none.
    #[default]
    None,
    /// It was started, and the server does not know of it yet.
    Starting,
    /// At least one command of it was sent.
    InProgress,
    /// It was committed, or it was tried.
    Committed,
    /// It was aborted.
    Aborted,
}

/// The two ways to end a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Commit,
    Abort,
}

/// What ends a transaction on the server.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EndCommand {
    pub end: End,
    /// The number of the transaction.
    pub number: i64,
    pub write_concern: Option<WriteConcern>,
    /// The limit of time that the caller set for a commit.
    pub max_time: Option<Duration>,
    /// Whether a commit was sent before, so that this one must wait for the majority.
    pub repeated: bool,
}

/// What an operation was given of its own, beside what its transaction says.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OwnConcerns<'a> {
    pub has_read_concern: bool,
    pub has_write_concern: bool,
    /// The servers that a read may go to; `None` for a write.
    pub read_from: Option<&'a SelectionCriteria>,
}

/// The transaction of one session.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    state: TransactionState,
    options: TransactionOptions,
    /// Whether the server may know of it.
    sent: bool,
    commits: u32,
    /// The number of the transaction whose end a server is being told, or would be, had the
    /// application not given up waiting for it.
    ending: Option<i64>,
    pinned: Option<ServerAddress>,
    recovery_token: Option<RawDocumentBuf>,
}

impl Transaction {
    pub(crate) fn state(&self) -> TransactionState {
        self.state
    }

    pub(crate) fn options(&self) -> &TransactionOptions {
        &self.options
    }

    /// Whether operations are part of it now.
    pub(crate) fn is_active(&self) -> bool {
        matches!(
            self.state,
            TransactionState::Starting | TransactionState::InProgress
        )
    }

    /// Whether the server does not know of it yet.
    pub(crate) fn is_starting(&self) -> bool {
        self.state == TransactionState::Starting
    }

    /// The router that all its commands go to.
    pub(crate) fn pinned(&self) -> Option<&ServerAddress> {
        self.pinned.as_ref()
    }

    pub(crate) fn pin(&mut self, address: &ServerAddress) {
        self.pinned = Some(address.clone());
    }

    pub(crate) fn unpin(&mut self) {
        self.pinned = None;
    }

    /// The newest token by which another router finds out how a transaction ended.
    pub(crate) fn recovery_token(&self) -> Option<&RawDocument> {
        self.recovery_token.as_deref()
    }

    pub(crate) fn set_recovery_token(&mut self, token: &RawDocument) {
        self.recovery_token = Some(token.to_owned());
    }

    /// Starts a transaction with these options, all inherited ones filled in.
    ///
    /// # Errors
    /// A transaction error when one is in progress, or the write concern asks for no
    /// acknowledgement.
    pub(crate) fn start(&mut self, options: TransactionOptions) -> Result<()> {
        if self.is_active() {
            return Err(error("Transaction already in progress"));
        }
        let concern = options.write_concern.as_ref();
        if concern.is_some_and(|concern| !concern.is_acknowledged()) {
            return Err(error(
                "transactions do not support unacknowledged write concerns",
            ));
        }
        *self = Self {
            state: TransactionState::Starting,
            options,
            ending: self.ending,
            ..Self::default()
        };
        Ok(())
    }

    /// Notes that an operation other than a commit or an abort begins. After the end of a
    /// transaction it is outside of any.
    pub(crate) fn begin_operation(&mut self) {
        if !self.is_active() {
            *self = Self {
                ending: self.ending,
                ..Self::default()
            };
        }
    }

    /// Checks what an operation inside it was given of its own.
    ///
    /// # Errors
    /// A transaction error for a read or write concern, and for a read that is not to go to the
    /// primary.
    pub(crate) fn check(&self, own: OwnConcerns<'_>) -> Result<()> {
        if own.has_read_concern {
            return Err(error(
                "Cannot set read concern after starting a transaction",
            ));
        }
        if own.has_write_concern {
            return Err(error(
                "Cannot set write concern after starting a transaction",
            ));
        }
        let is_primary = |criteria: &SelectionCriteria| {
            matches!(
                criteria,
                SelectionCriteria::ReadPreference(ReadPreference::Primary)
            )
        };
        let Some(criteria) = own.read_from else {
            return Ok(());
        };
        let inherited = self.options.selection_criteria.as_ref();
        if !is_primary(criteria) || inherited.is_some_and(|criteria| !is_primary(criteria)) {
            return Err(error("read preference in a transaction must be primary"));
        }
        Ok(())
    }

    /// Notes that a command of it goes out, and tells whether it is the first.
    pub(crate) fn send(&mut self) -> bool {
        self.sent = true;
        let is_first = self.state == TransactionState::Starting;
        if is_first {
            self.state = TransactionState::InProgress;
            // A server that learns of a transaction lets go of the one before it.
            self.ending = None;
        }
        is_first
    }

    /// Notes that the first command is sent again because the server was too busy to look at it.
    pub(crate) fn send_first_again(&mut self) {
        if self.state == TransactionState::InProgress {
            self.state = TransactionState::Starting;
        }
    }

    /// Begins to commit; gives what to send, if there is anything to commit.
    ///
    /// # Errors
    /// A transaction error when there is none, or it was aborted.
    pub(crate) fn begin_commit(&mut self, number: i64) -> Result<Option<EndCommand>> {
        match self.state {
            TransactionState::None => return Err(error("No transaction started")),
            TransactionState::Aborted => {
                return Err(error(
                    "Cannot call commitTransaction after calling abortTransaction",
                ));
            }
            TransactionState::Starting
            | TransactionState::InProgress
            | TransactionState::Committed => {}
        }
        self.state = TransactionState::Committed;
        if !self.sent {
            return Ok(None);
        }
        self.commits += 1;
        self.ending = Some(number);
        Ok(Some(EndCommand {
            end: End::Commit,
            number,
            write_concern: self.options.write_concern.clone(),
            max_time: self.options.max_commit_time,
            repeated: self.commits > 1,
        }))
    }

    /// Begins to abort; gives what to send, if the server may know of the transaction.
    ///
    /// # Errors
    /// A transaction error when there is none, or it has ended.
    pub(crate) fn begin_abort(&mut self, number: i64) -> Result<Option<EndCommand>> {
        match self.state {
            TransactionState::None => return Err(error("No transaction started")),
            TransactionState::Committed => {
                return Err(error(
                    "Cannot call abortTransaction after calling commitTransaction",
                ));
            }
            TransactionState::Aborted => return Err(error("Cannot call abortTransaction twice")),
            TransactionState::Starting | TransactionState::InProgress => {}
        }
        self.state = TransactionState::Aborted;
        if !self.sent {
            return Ok(None);
        }
        self.ending = Some(number);
        Ok(Some(self.abort(number)))
    }

    /// Notes that the application learns how the attempt to end it went.
    pub(crate) fn end_told(&mut self) {
        self.ending = None;
    }

    /// What aborts it when the application goes away: when it is still open, and when nobody waits
    /// any more for a commit or an abort that may never have reached a server. Behind a commit that
    /// did, an abort has no effect.
    pub(crate) fn abandon(&mut self, number: i64) -> Option<EndCommand> {
        if self.is_active() {
            self.state = TransactionState::Aborted;
            let earlier = self.ending.take();
            return match self.sent {
                true => Some(self.abort(number)),
                false => earlier.map(|number| self.abort(number)),
            };
        }
        let number = self.ending.take()?;
        self.state = TransactionState::Aborted;
        Some(self.abort(number))
    }

    fn abort(&self, number: i64) -> EndCommand {
        EndCommand {
            end: End::Abort,
            number,
            write_concern: self.options.write_concern.clone(),
            max_time: None,
            repeated: false,
        }
    }

    /// Labels the error of an attempt inside it, and lets go of the router where that is wanted.
    pub(crate) fn failed(&mut self, end: Option<End>, error: &mut Error) {
        let without_reply = error.is_network()
            || matches!(&*error.kind, ErrorKind::ServerSelection { .. })
            || (error.is_timeout() && error.server_response().is_none());
        match end {
            Some(End::Commit) if without_reply || leaves_commit_unknown(error) => {
                error.add_label(UNKNOWN_TRANSACTION_COMMIT_RESULT);
            }
            None if without_reply => error.add_label(TRANSIENT_TRANSACTION_ERROR),
            _ => {}
        }
        if end == Some(End::Abort)
            || error.contains_label(TRANSIENT_TRANSACTION_ERROR)
            || error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT)
        {
            self.unpin();
        }
    }
}

/// The write concern of a repeated commit: it waits for the majority, so that whatever commit
/// took effect is not rolled back afterwards.
pub(crate) fn repeated_commit_concern(concern: Option<&WriteConcern>) -> WriteConcern {
    let mut concern = concern.cloned().unwrap_or_default();
    concern.w = Some(Acknowledgment::Majority);
    concern.w_timeout.get_or_insert(REPEATED_COMMIT_TIMEOUT);
    concern
}

/// Whether a server's refusal of a commit leaves unknown if the transaction is committed.
fn leaves_commit_unknown(error: &Error) -> bool {
    if let ErrorKind::Write(WriteFailure::WriteConcernError(concern)) = &*error.kind {
        return !HOPELESS_WRITE_CONCERN.contains(&concern.code);
    }
    error.is_timeout()
        || error.has_retryable_write_code()
        || error.contains_label(RETRYABLE_WRITE_ERROR)
}

fn error(message: &str) -> Error {
    ErrorKind::Transaction {
        message: message.to_owned(),
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::CommandError;

    fn started() -> Transaction {
        let mut transaction = Transaction::default();
        transaction.start(TransactionOptions::default()).unwrap();
        transaction
    }

    #[test]
    fn only_the_first_command_starts_it() {
        let mut transaction = started();
        assert_eq!(transaction.state(), TransactionState::Starting);
        assert!(transaction.send());
        assert!(!transaction.send());
        transaction.send_first_again();
        assert!(transaction.send());
        assert!(transaction.start(TransactionOptions::default()).is_err());
        assert_eq!(transaction.state(), TransactionState::InProgress);
    }

    #[test]
    fn an_empty_transaction_is_ended_without_a_word_to_the_server() {
        let mut transaction = started();
        assert_eq!(transaction.begin_commit(1).unwrap(), None);
        assert_eq!(transaction.begin_commit(1).unwrap(), None);
        assert!(transaction.begin_abort(1).is_err());
        let mut transaction = started();
        assert_eq!(transaction.begin_abort(1).unwrap(), None);
        assert!(transaction.begin_abort(1).is_err());
        assert!(transaction.begin_commit(1).is_err());
    }

    #[test]
    fn a_commit_can_be_repeated_and_then_waits_for_the_majority() {
        let mut transaction = started();
        transaction.send();
        assert!(!transaction.begin_commit(1).unwrap().unwrap().repeated);
        assert!(transaction.begin_commit(1).unwrap().unwrap().repeated);
        let concern = repeated_commit_concern(Some(&WriteConcern::nodes(1)));
        assert_eq!(
            concern,
            WriteConcern::builder()
                .w(Acknowledgment::Majority)
                .w_timeout(Duration::from_secs(10))
                .build()
        );
    }

    #[test]
    fn an_abandoned_transaction_is_aborted_unless_its_end_was_told() {
        let mut open = started();
        assert_eq!(open.abandon(1), None, "no server knows of it");
        let mut open = started();
        open.send();
        assert_eq!(open.abandon(1).map(|abort| abort.number), Some(1));
        assert_eq!(open.abandon(1), None);
        let mut committing = started();
        committing.send();
        committing.begin_commit(1).unwrap();
        committing.begin_operation();
        let abort = committing.abandon(3).unwrap();
        assert_eq!((abort.end, abort.number), (End::Abort, 1));
        let mut committed = started();
        committed.send();
        committed.begin_commit(1).unwrap();
        committed.end_told();
        assert_eq!(committed.abandon(1), None);
        assert!(committed.begin_commit(1).unwrap().is_some());
    }

    #[test]
    fn the_next_operation_after_the_end_is_outside() {
        let mut transaction = started();
        transaction.send();
        transaction.begin_operation();
        assert!(transaction.is_active());
        transaction.begin_abort(1).unwrap();
        transaction.begin_operation();
        assert_eq!(transaction.state(), TransactionState::None);
        assert!(transaction.begin_commit(1).is_err());
    }

    fn command(code: i32) -> Error {
        let reply = bson::rawdoc! { "ok": 0, "code": code };
        ErrorKind::Command(CommandError::from_reply(&reply)).into()
    }

    #[test]
    fn errors_are_labelled_by_what_they_leave_unknown() {
        let network = || Error::from(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
        for (end, mut error, label) in [
            (None, network(), Some(TRANSIENT_TRANSACTION_ERROR)),
            (None, command(11600), None),
            (
                Some(End::Commit),
                network(),
                Some(UNKNOWN_TRANSACTION_COMMIT_RESULT),
            ),
            (
                Some(End::Commit),
                command(50),
                Some(UNKNOWN_TRANSACTION_COMMIT_RESULT),
            ),
            (Some(End::Commit), command(251), None),
            (Some(End::Abort), network(), None),
        ] {
            let mut transaction = started();
            transaction.send();
            transaction.failed(end, &mut error);
            let labels: Vec<_> = error.labels().iter().map(String::as_str).collect();
            assert_eq!(labels, Vec::from_iter(label), "{end:?} {error}");
        }
    }
}
