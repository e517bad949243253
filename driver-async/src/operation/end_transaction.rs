//! `commitTransaction` and `abortTransaction`.

use std::time::Instant;

use bson::RawDocumentBuf;

use super::{AfterOverload, Operation, Retryability, Target, fields::check_write_concern};
use crate::{
    error::{Error, Result, SYSTEM_OVERLOADED_ERROR},
    options::WriteConcern,
    proto::{
        session::InSession,
        timeout::Timeout,
        transaction::{End, EndCommand, repeated_commit_concern},
        wire::{DocumentWriter, Reply},
    },
};

/// Ends the transaction of a session.
#[derive(Debug)]
pub(crate) struct EndTransaction {
    command: EndCommand,
    recovery_token: Option<RawDocumentBuf>,
    /// The write concern of the next attempt.
    write_concern: Option<WriteConcern>,
    timeout: Timeout,
}

impl EndTransaction {
    /// `recovery_token` is the newest one that a router gave.
    pub(crate) fn new(command: EndCommand, recovery_token: Option<RawDocumentBuf>) -> Self {
        let concern = command.write_concern.as_ref();
        let write_concern = match command.repeated {
            true => Some(repeated_commit_concern(concern)),
            false => concern.cloned(),
        };
        Self {
            command,
            recovery_token,
            write_concern,
            timeout: Timeout::default(),
        }
    }

    /// The same, with a limit of time.
    pub(crate) fn within(self, timeout: Timeout) -> Self {
        Self { timeout, ..self }
    }

    /// The same, with its time running from now on.
    pub(crate) fn started(self, now: impl FnOnce() -> Instant) -> Self {
        let timeout = self.timeout.started(now);
        self.within(timeout)
    }
}

impl Operation for EndTransaction {
    type Output = ();

    fn name(&self) -> &str {
        match self.command.end {
            End::Commit => "commitTransaction",
            End::Abort => "abortTransaction",
        }
    }

    fn database(&self) -> &str {
        "admin"
    }

    fn timeout(&self) -> Timeout {
        self.timeout
    }

    fn retryability(&self) -> Retryability {
        Retryability::Write
    }

    fn after_overload(&self) -> AfterOverload {
        AfterOverload::Always
    }

    fn write_concern(&self) -> Option<&WriteConcern> {
        self.write_concern.as_ref()
    }

    fn in_session(&self) -> InSession {
        InSession::Ends(self.command.end, self.command.number)
    }

    fn failed(&mut self, error: &Error) {
        // A server that was too busy to look at a commit cannot have done it.
        if self.command.end == End::Commit && !error.contains_label(SYSTEM_OVERLOADED_ERROR) {
            let concern = self.command.write_concern.as_ref();
            self.write_concern = Some(repeated_commit_concern(concern));
        }
    }

    fn write(&mut self, command: &mut DocumentWriter<'_>, target: &Target<'_>) -> Result<()> {
        command.append_i32(self.name(), 1)?;
        command.max_time(self.command.max_time, target)?;
        match &self.recovery_token {
            Some(token) => command.append_raw_document("recoveryToken", token),
            None => Ok(()),
        }
    }

    fn reply(&mut self, reply: &Reply, _target: &Target<'_>) -> Result<()> {
        check_write_concern(reply.document())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bson::{doc, rawdoc};

    use super::*;
    use crate::{
        error::ErrorKind,
        operation::tests::{replied, written},
        options::Acknowledgment,
    };

    fn commit() -> EndTransaction {
        let command = EndCommand {
            end: End::Commit,
            number: 1,
            write_concern: None,
            max_time: Some(Duration::from_millis(60)),
            repeated: false,
        };
        EndTransaction::new(command, Some(rawdoc! { "id": 1 }))
    }

    #[test]
    fn a_commit_carries_its_limit_and_the_recovery_token() {
        let wanted = doc! {
            "commitTransaction": 1,
            "maxTimeMS": 60,
            "recoveryToken": { "id": 1 },
        };
        assert_eq!(written(&mut commit()), wanted);
    }

    #[test]
    fn a_further_attempt_waits_for_the_majority_unless_the_server_was_too_busy() {
        let mut operation = commit();
        let busy = Error::from(ErrorKind::SessionsNotSupported).with_label(SYSTEM_OVERLOADED_ERROR);
        operation.failed(&busy);
        assert_eq!(operation.write_concern(), None);
        operation.failed(&Error::timeout("too slow"));
        let concern = operation
            .write_concern()
            .and_then(|concern| concern.w.clone());
        assert_eq!(concern, Some(Acknowledgment::Majority));
    }

    #[test]
    fn a_write_concern_error_fails_it() {
        let reply = doc! { "ok": 1, "writeConcernError": { "code": 64, "errmsg": "slow" } };
        assert_eq!(replied(&mut commit(), &reply).unwrap_err().code(), Some(64));
    }
}
