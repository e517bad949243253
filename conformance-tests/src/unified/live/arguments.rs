//! The arguments of an operation, and the session that one of them names.

use super::sessions::InSession;
use crate::unified::arguments::{self as plain, FromArgument};

/// What a test file gives an operation on an entity.
pub(super) struct Arguments<'a> {
    plain: plain::Arguments,
    session: Option<InSession<'a>>,
}

impl<'a> Arguments<'a> {
    pub(super) fn new(plain: plain::Arguments, session: Option<InSession<'a>>) -> Self {
        Self { plain, session }
    }

    /// Like [`plain::Arguments::take`].
    pub(super) fn take<T: FromArgument>(&mut self, name: &str) -> Result<Option<T>, String> {
        self.plain.take(name)
    }

    /// Like [`plain::Arguments::need`].
    pub(super) fn need<T: FromArgument>(&mut self, name: &str) -> Result<T, String> {
        self.plain.need(name)
    }

    /// Takes the session that the operation takes part in.
    pub(super) fn session(&mut self) -> Option<InSession<'a>> {
        self.session.take()
    }

    /// Like [`plain::Arguments::finish`]: a session that nobody has taken is left over too.
    pub(super) fn finish(self) -> Result<(), String> {
        if self.session.is_some() {
            return Err("unsupported argument `session`".to_owned());
        }
        self.plain.finish()
    }
}

/// Performs an action with the options that its arguments name, in the session that they name.
macro_rules! act {
    ($action:expr, $arguments:ident, $options:tt) => {{
        let session = $arguments.session().map(|lent| lent.session);
        let action = with_arguments!($action, $arguments, $options);
        // With a session, some actions are of another type.
        match session {
            None => go!(action)?,
            Some(session) => go!(action.session(session))?,
        }
    }};
}

/// Opens the cursor that an action gives, in the session that its arguments name.
macro_rules! open {
    ($action:expr, $arguments:ident, $options:tt) => {{
        let session = $arguments.session();
        let action = with_arguments!($action, $arguments, $options);
        match session {
            None => CursorEntity::Free(go!(action)?.with_type()),
            Some(lent) => {
                CursorEntity::InSession(go!(action.session(lent.session))?.with_type(), lent.entity)
            }
        }
    }};
}

/// All documents that an action finds, in the session that its arguments name.
macro_rules! documents {
    ($action:expr, $arguments:ident, $options:tt) => {{
        let session = $arguments.session().map(|lent| lent.session);
        let action = with_arguments!($action, $arguments, $options);
        match session {
            None => Returned::all(go!(action)?)?,
            Some(session) => {
                let cursor = go!(action.session(&mut *session))?;
                Returned::all_in_session(cursor, session)?
            }
        }
    }};
}

pub(super) use {act, documents, open};
