//! The moment at which a wait ends, and why.

use std::{
    fmt,
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use pin_project::pin_project;

use crate::{
    background::Timeout,
    clock,
    error::{Error, Result},
};

/// The option that set a [`Deadline`]; it is named in the error when the deadline passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// `serverSelectionTimeoutMS`.
    ServerSelection,
    /// `connectTimeoutMS`.
    Connect,
    /// `waitQueueTimeoutMS`.
    WaitQueue,
    /// `socketTimeoutMS`.
    Socket,
    /// `timeoutMS`.
    Operation,
    /// Nothing ends the wait.
    Never,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ServerSelection => "serverSelectionTimeoutMS",
            Self::Connect => "connectTimeoutMS",
            Self::WaitQueue => "waitQueueTimeoutMS",
            Self::Socket => "socketTimeoutMS",
            Self::Operation => "timeoutMS",
            Self::Never => "no limit",
        })
    }
}

/// The moment at which a wait ends, with the limit and the option it came from.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: Option<Instant>,
    limit: Duration,
    cause: Cause,
    is_of_operation: bool,
}

impl Deadline {
    /// A deadline that never passes.
    pub const NEVER: Self = Self {
        at: None,
        limit: Duration::ZERO,
        cause: Cause::Never,
        is_of_operation: false,
    };

    /// A deadline `limit` from now. A limit too far away to represent never passes.
    pub fn after(limit: Duration, cause: Cause) -> Self {
        Self::from(clock::now(), limit, cause)
    }

    /// A deadline `limit` from a given moment. A limit too far away to represent never passes.
    pub fn from(start: Instant, limit: Duration, cause: Cause) -> Self {
        match start.checked_add(limit) {
            Some(at) => Self {
                at: Some(at),
                limit,
                cause,
                is_of_operation: false,
            },
            None => Self::NEVER,
        }
    }

    /// Like [`Deadline::after`]; `None` never passes.
    pub fn after_optional(limit: Option<Duration>, cause: Cause) -> Self {
        limit.map_or(Self::NEVER, |limit| Self::after(limit, cause))
    }

    /// The deadline that passes first.
    pub fn or_earlier(self, other: Self) -> Self {
        match (self.at, other.at) {
            (Some(a), Some(b)) if b < a => other,
            (None, Some(_)) => other,
            _ => self,
        }
    }

    /// Whether the deadline has passed.
    pub fn has_passed(&self) -> bool {
        self.at.is_some_and(|at| at <= clock::now())
    }

    /// How long it is until the deadline passes; `None` when it never does.
    pub fn remaining(&self) -> Option<Duration> {
        self.at.map(|at| at.saturating_duration_since(clock::now()))
    }

    /// The instant at which the deadline passes; `None` when it never does.
    pub fn instant(&self) -> Option<Instant> {
        self.at
    }

    /// The limit that was set.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// The option that set the deadline.
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// The same deadline, for the time until an operation has a connection: with a `timeoutMS`,
    /// `serverSelectionTimeoutMS` bounds all of that.
    pub(crate) fn until_connected(self, selection: Self) -> Self {
        Self {
            is_of_operation: true,
            ..self.or_earlier(selection)
        }
    }

    /// Whether the operation has a `timeoutMS`, which puts `waitQueueTimeoutMS` out of force.
    pub(crate) fn is_of_operation(&self) -> bool {
        self.is_of_operation
    }

    /// Awaits `future` until the deadline passes.
    ///
    /// # Errors
    /// A timeout error that says what was awaited and which limit ended the wait.
    pub fn bound<'w, F: Future>(&self, what: &'w str, future: F) -> Bounded<'w, F> {
        Bounded {
            timeout: clock::timeout_at(self.at, future),
            deadline: *self,
            what,
        }
    }

    /// The error for a wait for `what` that this deadline ended.
    ///
    /// `connectTimeoutMS` and `socketTimeoutMS` say something about the server, so their end is a
    /// network error like that of the operating system's own timeout; any other limit is the
    /// caller's.
    pub fn error(&self, what: &str) -> Error {
        let message = format!("{what} timed out after {:?} ({})", self.limit, self.cause);
        match self.cause {
            Cause::Connect | Cause::Socket => {
                io::Error::new(io::ErrorKind::TimedOut, message).into()
            }
            _ => Error::timeout(message),
        }
    }
}

/// A future that is awaited until a deadline; see [`Deadline::bound`].
// Not an async function: that would hold the future twice.
#[pin_project]
#[derive(Debug)]
#[must_use = "a future does nothing until it is awaited"]
pub struct Bounded<'w, F> {
    #[pin]
    timeout: Timeout<F>,
    deadline: Deadline,
    what: &'w str,
}

impl<F: Future> Future for Bounded<'_, F> {
    type Output = Result<F::Output>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<F::Output>> {
        let this = self.project();
        this.timeout.poll(context).map(|output| {
            let late = || this.deadline.error(this.what);
            output.ok_or_else(late)
        })
    }
}
