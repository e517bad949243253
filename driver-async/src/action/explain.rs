//! Explaining operations instead of doing them.

use std::time::Duration;

use bson::{Bson, Document};

use super::{action, option_setters};
use crate::{
    error::Result,
    exec::{self, Executor, Session},
    operation::{self, Explained},
    options::{ExplainOptions, ExplainVerbosity},
};

/// Has the server explain how it does an operation; made by the `explain` method of the
/// operation's action.
///
/// Awaiting it gives the server's explanation as it is; see "explain results" in the server's
/// manual. The options of the operation are set before `explain`, those of the explanation, such
/// as its own time limit, after it. It goes to a server that the operation might go to, and
/// changes nothing.
///
/// ```no_run
/// # use std::time::Duration;
/// # use motorcade::{Collection, bson::{Document, doc}, options::ExplainVerbosity};
/// # async fn example(people: Collection<Document>) -> motorcade::error::Result<()> {
/// let plan = people
///     .find(doc! { "age": { "$gte": 18 } })
///     .sort(doc! { "name": 1 })
///     .explain(ExplainVerbosity::QueryPlanner)
///     .max_time(Duration::from_secs(2))
///     .await?;
/// println!("{}", plan.get_document("queryPlanner")?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "an action does nothing until it is awaited"]
pub struct Explain<'a> {
    executor: &'a Executor,
    session: Option<Session>,
    explained: Result<Box<dyn Explained + 'a>>,
    verbosity: ExplainVerbosity,
    options: ExplainOptions,
}

impl<'a> Explain<'a> {
    pub(super) fn new(
        executor: &'a Executor,
        session: Option<Session>,
        explained: Result<impl Explained + 'a>,
        verbosity: ExplainVerbosity,
    ) -> Self {
        Self {
            executor,
            session,
            explained: explained.map(|operation| Box::new(operation) as Box<_>),
            verbosity,
            options: ExplainOptions::default(),
        }
    }

    option_setters! { ExplainOptions { timeout: Duration,  max_time: Duration, } into { comment: Bson, } }
}

action! { impl['a] Explain<'a> => Result<Document>, |self| {
    let Self { executor, session, explained, verbosity, options } = self;
    let mut operation = operation::Explain::new(explained?, verbosity, options);
    exec::execute_in(executor, session, &mut operation).await
} }

/// Gives an action the method `explain`, by way of its executor and its operation.
macro_rules! explainable {
    (impl[$($generics:tt)*] $type:ty, |$this:ident| $executor:expr, $operation:expr) => {
        impl<$($generics)*> $type {
            /// Explains how the server does this, instead of doing it; see
            /// [`Explain`](crate::action::Explain).
            ///
            /// # Errors
            /// The explanation gives the server's, those of selection and network, and those of
            /// arguments that the operation itself would refuse.
            pub fn explain(
                $this,
                verbosity: $crate::options::ExplainVerbosity,
            ) -> $crate::action::Explain<'a> {
                let executor = $executor;
                let session = $crate::action::sessions::handle(&$this.session);
                $crate::action::Explain::new(executor, session, $operation, verbosity)
            }
        }
    };
}

pub(super) use explainable;
