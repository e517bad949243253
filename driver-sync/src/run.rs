//! The one way to perform an operation.

use motorcade::action::Action;

use crate::{
    lift::{Failed, Lift},
    runtime,
};

/// Performs an operation, blocking the thread until it is done.
///
/// It exists for every action of [`motorcade`], so all options are set in the same way in both
/// drivers.
///
/// ```no_run
/// # fn example(people: motorcade_sync::Collection<motorcade_sync::bson::Document>)
/// #     -> motorcade_sync::error::Result<()> {
/// use motorcade_sync::{Run, bson::doc};
///
/// let adults = people.count_documents(doc! { "age": { "$gte": 18 } }).limit(1_000).run()?;
/// # Ok(())
/// # }
/// ```
pub trait Run {
    /// What the operation gives: the same as from `motorcade`, or its blocking twin.
    type Output;

    /// Performs the operation.
    ///
    /// # Panics
    /// When called on a thread that drives async tasks, which it would hold up. The message names
    /// the caller's line. Parsing a connection string, starting a session or a transaction, and
    /// opening an upload stream do no I/O and may be run anywhere.
    fn run(self) -> Self::Output;
}

impl<A> Run for A
where
    A: Action,
    <A as IntoFuture>::Output: Lift<Blocking: Failed>,
{
    type Output = <<A as IntoFuture>::Output as Lift>::Blocking;

    #[track_caller]
    fn run(self) -> Self::Output {
        let outcome = if self.never_waits() {
            runtime::poll_once_or_block(self.into_future())
        } else {
            runtime::block_on(self.into_future())
        };
        match outcome {
            Ok(output) => output.lift(),
            Err(error) => Failed::failed(error),
        }
    }
}
