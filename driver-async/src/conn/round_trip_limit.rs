//! How long the commands by which a connection is made may take.

use std::time::Duration;

use crate::{
    deadline::{Cause, Deadline},
    error::Result,
    proto::timeout::left_for_server,
};

/// How long the commands by which a connection is made may take, by the client side operations
/// timeout specification. `round_trip` is the least time that the way there and back takes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RoundTripLimit {
    /// As long as whoever awaits them has patience.
    None,
    /// As long as the client's `timeoutMS`, each.
    Each {
        limit: Duration,
        round_trip: Duration,
    },
    /// What `connectTimeoutMS` leaves, all together. Whoever awaits them ends them.
    All {
        until: Deadline,
        round_trip: Duration,
    },
}

impl RoundTripLimit {
    /// When the next command's time is up, and how long the server may work on it.
    ///
    /// # Errors
    /// A timeout error when there is no time left for it.
    pub(super) fn of_next(self) -> Result<(Deadline, Option<Duration>)> {
        match self {
            Self::None => Ok((Deadline::NEVER, None)),
            Self::Each { limit, round_trip } => {
                let deadline = Deadline::after(limit, Cause::Operation);
                let left = left_for_server(&deadline, Some(limit), round_trip)?;
                Ok((deadline, left))
            }
            Self::All { until, round_trip } => {
                let left = left_for_server(&until, until.remaining(), round_trip)?;
                Ok((Deadline::NEVER, left))
            }
        }
    }
}
