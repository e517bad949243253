//! What `timeoutMS` allows: how long an operation may take, and what is left of it for a server.
//!
//! Follows the client side operations timeout specification.

use std::time::{Duration, Instant};

use crate::{
    deadline::{Cause, Deadline},
    error::{Error, ErrorKind, Result},
    options::CursorTimeoutMode,
};

/// What `timeoutMS` says about an operation; by default nothing, and the older limits hold.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timeout {
    /// Zero for no limit, which puts the older limits out of force all the same.
    limit: Option<Duration>,
    /// Whether the operation itself was given the limit.
    is_own: bool,
    /// When the time is up, once the operation has begun.
    deadline: Option<Deadline>,
}

impl Timeout {
    /// A limit that a handle hands down to its operations.
    pub(crate) fn inherited(limit: Option<Duration>) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }

    /// This limit, unless there is one of the operation's own.
    pub(crate) fn or_own(self, own: Option<Duration>) -> Self {
        match own {
            Some(_) => Self {
                limit: own,
                is_own: true,
                deadline: None,
            },
            None => self,
        }
    }

    /// This limit, or the one from above where there is none.
    pub(crate) fn or(self, above: Self) -> Self {
        match self.limit {
            Some(_) => self,
            None => above,
        }
    }

    /// The same limit, begun now: for an operation of several commands, which share it.
    pub(crate) fn started(self, now: impl FnOnce() -> Instant) -> Self {
        Self {
            deadline: self.deadline(now),
            ..self
        }
    }

    /// The same limit, to begin anew: a cursor that has run out of time is still to be closed.
    pub(crate) fn refreshed(self) -> Self {
        Self {
            deadline: None,
            ..self
        }
    }

    /// The same limit, with the deadline that an operation found for it, for what follows from it.
    pub(crate) fn with_deadline(self, deadline: Option<Deadline>) -> Self {
        Self {
            deadline,
            is_own: false,
            ..self
        }
    }

    pub(crate) fn is_set(&self) -> bool {
        self.limit.is_some()
    }

    /// The limit; `None` when there is none, be it said or unsaid.
    pub(crate) fn limit(&self) -> Option<Duration> {
        self.limit.filter(|limit| !limit.is_zero())
    }

    /// When the time is up, beginning now unless it has begun; `None` when nothing was said.
    pub(crate) fn deadline(&self, now: impl FnOnce() -> Instant) -> Option<Deadline> {
        self.deadline.or_else(|| {
            let limit = self.limit?;
            Some(match limit.is_zero() {
                true => Deadline::NEVER,
                false => Deadline::from(now(), limit, Cause::Operation),
            })
        })
    }

    /// The error of an operation of several commands as the caller is told; see [`told`].
    pub(crate) fn told(&self, error: Error) -> Error {
        if self.is_set() { told(error) } else { error }
    }

    /// The deadline of an operation inside a call that has one, such as one of `with_transaction`.
    ///
    /// # Errors
    /// An invalid-argument error when the operation has a limit of its own.
    pub(crate) fn within(
        &self,
        outer: Option<Deadline>,
        now: impl FnOnce() -> Instant,
    ) -> Result<Option<Deadline>> {
        if outer.is_some() && self.is_own {
            return Err(Error::invalid_argument(
                "an operation of with_transaction cannot have a timeout of its own: the call's \
                 timeout holds for everything in it; leave the operation's out",
            ));
        }
        Ok(outer.or_else(|| self.deadline(now)))
    }
}

/// The longest `maxTimeMS` that servers accept, nearly 25 days.
const LONGEST_MAX_TIME: Duration = Duration::from_millis(i32::MAX as u64);

/// How long the server may work on a command: what is left, less the way there and back. `None`
/// when there is no limit, or when it is longer than the server can be told: the driver alone keeps
/// it then.
///
/// # Errors
/// A timeout error when nothing is left for the server.
pub(crate) fn left_for_server(
    deadline: &Deadline,
    remaining: Option<Duration>,
    round_trip: Duration,
) -> Result<Option<Duration>> {
    let Some(remaining) = remaining else {
        return Ok(None);
    };
    match remaining.checked_sub(round_trip) {
        Some(left) if !left.is_zero() => Ok(Some(left).filter(|left| *left <= LONGEST_MAX_TIME)),
        _ => Err(deadline.error(&format!(
            "preparing the command: {remaining:?} were left, and a round trip takes {round_trip:?}; \
             it"
        ))),
    }
}

/// The error of an operation that has a timeout as the caller is told: whatever a limit of time has
/// ended, on either side, is a timeout of the operation.
pub(crate) fn told(error: Error) -> Error {
    match *error.kind {
        ErrorKind::OperationTimeout { .. } => error,
        _ if error.is_timeout() => Error::operation_timeout(error),
        _ => error,
    }
}

/// How `timeoutMS` bounds a cursor after the command that opens it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CursorTimeout {
    timeout: Timeout,
    mode: CursorTimeoutMode,
}

impl CursorTimeout {
    pub(crate) fn new(timeout: Timeout, mode: CursorTimeoutMode) -> Self {
        Self { timeout, mode }
    }

    /// The limit for a further batch, of a call that begins now.
    pub(crate) fn of_call(&self, now: impl FnOnce() -> Instant) -> Timeout {
        match self.mode {
            CursorTimeoutMode::CursorLifetime => self.timeout,
            CursorTimeoutMode::Iteration => self.timeout.refreshed().started(now),
        }
    }

    /// The limit for closing the cursor.
    pub(crate) fn of_close(&self) -> Timeout {
        self.timeout.refreshed()
    }
}

/// Refuses limits of a cursor that contradict each other.
///
/// # Errors
/// An invalid-argument error that says what to change.
pub(crate) fn check_cursor(
    timeout: Timeout,
    mode: Option<CursorTimeoutMode>,
    is_tailable: bool,
    max_await_time: Option<Duration>,
) -> Result<()> {
    if mode.is_some() && !timeout.is_set() {
        return Err(Error::invalid_argument(
            "timeout_mode says how a timeout is applied, and there is none; set a timeout, or \
             leave timeout_mode out",
        ));
    }
    if is_tailable && mode == Some(CursorTimeoutMode::CursorLifetime) {
        return Err(Error::invalid_argument(
            "a tailable cursor has no end, so its lifetime cannot be limited; use \
             CursorTimeoutMode::Iteration",
        ));
    }
    match (max_await_time, timeout.limit()) {
        (Some(wait), Some(limit)) if wait >= limit => Err(Error::invalid_argument(format!(
            "the server may wait for {wait:?} (max_await_time), but the timeout is {limit:?}; use \
             a shorter wait or a longer timeout"
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_limit_is_inherited_until_one_is_given() {
        let client = Timeout::inherited(Some(millis(5)));
        assert_eq!(Timeout::inherited(None).or(client).limit(), Some(millis(5)));
        let database = Timeout::inherited(Some(Duration::ZERO)).or(client);
        assert_eq!(database.limit(), None);
        assert!(database.is_set());
        assert_eq!(database.or_own(Some(millis(7))).limit(), Some(millis(7)));
        assert!(!Timeout::default().or_own(None).is_set());
        assert!(Timeout::default().deadline(Instant::now).is_none());
    }

    #[test]
    fn no_limit_is_a_deadline_that_never_passes() {
        let unlimited = Timeout::inherited(Some(Duration::ZERO))
            .deadline(Instant::now)
            .unwrap();
        assert_eq!(unlimited.remaining(), None);
    }

    #[test]
    fn commands_of_one_operation_share_its_deadline_and_a_close_begins_anew() {
        let started = Timeout::inherited(Some(millis(50))).started(Instant::now);
        let at = |timeout: Timeout| timeout.deadline(Instant::now).unwrap().instant();
        assert_eq!(at(started), at(started));
        let lifetime = CursorTimeout::new(started, CursorTimeoutMode::CursorLifetime);
        assert_eq!(at(lifetime.of_call(Instant::now)), at(started));
        assert!(at(lifetime.of_close()) >= at(started));
        let call = CursorTimeout::new(started, CursorTimeoutMode::Iteration).of_call(Instant::now);
        assert_eq!(at(call), at(call));
    }

    #[test]
    fn the_deadline_of_the_call_around_holds_and_excludes_ones_own() {
        let around = Timeout::inherited(Some(millis(50))).deadline(Instant::now);
        let inherited = Timeout::inherited(Some(millis(5)));
        let within = inherited.within(around, Instant::now).unwrap().unwrap();
        assert_eq!(within.limit(), millis(50));
        assert!(
            inherited
                .or_own(Some(millis(5)))
                .within(around, Instant::now)
                .is_err()
        );
        assert!(
            inherited
                .or_own(Some(millis(5)))
                .within(None, Instant::now)
                .is_ok()
        );
    }

    #[test]
    fn a_server_gets_what_the_way_leaves() {
        let deadline = Timeout::inherited(Some(millis(50)))
            .deadline(Instant::now)
            .unwrap();
        let left = |remaining, way| left_for_server(&deadline, remaining, way);
        assert_eq!(
            left(Some(millis(50)), millis(20)).unwrap(),
            Some(millis(30))
        );
        assert_eq!(left(None, millis(20)).unwrap(), None);
        assert!(left(Some(millis(20)), millis(20)).unwrap_err().is_timeout());
        assert!(left(Some(Duration::ZERO), Duration::ZERO).is_err());
        // Servers refuse what is more than an int32 can hold.
        let longest = Duration::from_millis(0x7fff_ffff);
        assert_eq!(left(Some(longest), Duration::ZERO).unwrap(), Some(longest));
        let longer = longest + millis(1);
        assert_eq!(left(Some(longer), Duration::ZERO).unwrap(), None);
        assert_eq!(left(Some(Duration::MAX), millis(20)).unwrap(), None);
    }

    #[test]
    fn limits_of_a_cursor_must_fit() {
        use CursorTimeoutMode::{CursorLifetime, Iteration};
        let some = Timeout::inherited(Some(millis(10)));
        let none = Timeout::default();
        let unlimited = Timeout::inherited(Some(Duration::ZERO));
        for (timeout, mode, is_tailable, wait, fits) in [
            (none, None, true, Some(millis(10)), true),
            (none, Some(Iteration), false, None, false),
            (some, Some(CursorLifetime), false, None, true),
            (some, Some(CursorLifetime), true, None, false),
            (some, Some(Iteration), true, Some(millis(9)), true),
            (some, None, true, Some(millis(10)), false),
            (unlimited, None, true, Some(millis(10)), true),
        ] {
            let outcome = check_cursor(timeout, mode, is_tailable, wait);
            assert_eq!(
                outcome.is_ok(),
                fits,
                "{timeout:?} {mode:?} {is_tailable} {wait:?}"
            );
        }
    }
}
