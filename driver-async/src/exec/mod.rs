//! The one way every operation takes: select, check out, attempt, and try again where that helps.

mod attempt;
mod decorate;
mod executor;
mod monitoring;
mod session;

use std::time::Duration;

pub(crate) use executor::Executor;
use executor::InProgress;
pub(crate) use monitoring::next_operation_id;
pub(crate) use session::{ExplicitSession, Session};

use attempt::{Call, Failure};

use crate::{
    address::ServerAddress,
    deadline::Deadline,
    error::Result,
    event::log::selection::{self, SelectionLog},
    operation::{Operation, Selection},
    pool::PooledConnection,
    proto::{
        retry::{Attempts, Decision},
        selection::Wanted,
        timeout::CursorTimeout,
    },
    topology::{Connector, Selected},
};

/// What an operation left behind that its cursor goes on with.
#[derive(Debug, Default)]
pub(crate) struct Origin {
    /// The server that has the cursor.
    pub(crate) address: ServerAddress,
    pub(crate) hold: Hold,
    /// How long what follows may take.
    pub(crate) timeout: CursorTimeout,
}

/// What a cursor holds between two of its commands.
#[derive(Debug, Default)]
pub(crate) struct Hold {
    /// The session that the cursor belongs to.
    pub(crate) session: Option<Session>,
    /// The connection on which the server goes on to send batches without being asked. It is
    /// closed, not returned, when it is dropped before the last of them.
    connection: Option<PooledConnection<Connector>>,
}

impl Hold {
    pub(crate) fn with_session(session: Option<Session>) -> Self {
        Self {
            session,
            connection: None,
        }
    }

    /// The session, unless the server is at work in it; the connection is let go of first, so
    /// that the next command can have its place.
    pub(crate) fn release(self) -> Option<Session> {
        match self.connection {
            Some(connection) => {
                drop(connection);
                None
            }
            None => self.session,
        }
    }
}

/// Runs an operation to its end.
///
/// # Errors
/// The operation's own, and those of selection, connection and network. Reads and writes that may
/// be tried again were, once.
pub(crate) async fn execute<O: Operation>(
    executor: &Executor,
    operation: &mut O,
) -> Result<O::Output> {
    execute_in(executor, None, operation).await
}

/// Runs an operation to its end in a session of the application or a cursor, or in one of its own.
/// The caller's hold on the session ends with it.
///
/// # Errors
/// As [`execute`], and those of using the session.
pub(crate) async fn execute_in<O: Operation>(
    executor: &Executor,
    session: Option<Session>,
    operation: &mut O,
) -> Result<O::Output> {
    let mut call = Call::new(executor, operation, session);
    let done = run(&mut call).await?;
    // The session goes back before the connection, so that whoever gets the connection next finds
    // it: then as many operations as there are connections need no more sessions than that.
    drop(call);
    Ok(done.output)
}

/// Runs an operation that opens a cursor; also gives what the cursor needs to go on.
///
/// # Errors
/// As [`execute_in`].
pub(crate) async fn execute_cursor<O: Operation>(
    executor: &Executor,
    session: Option<Session>,
    operation: &mut O,
) -> Result<(O::Output, Origin)> {
    let mut hold = Hold::with_session(session);
    execute_cursor_with(executor, operation, &mut hold).await
}

/// The same in the session of a cursor before. After an error the session is in the hold again.
///
/// # Errors
/// As [`execute_in`].
pub(crate) async fn execute_cursor_with<O: Operation>(
    executor: &Executor,
    operation: &mut O,
    hold: &mut Hold,
) -> Result<(O::Output, Origin)> {
    let mut call = Call::new(executor, operation, hold.session.take());
    call.opens_cursor = true;
    let done = match run(&mut call).await {
        Ok(done) => done,
        Err(error) => {
            hold.session = call.session.take();
            return Err(error);
        }
    };
    // A refusal that stands for an empty cursor has no server, and nothing more to ask of one.
    let address = done
        .connection
        .map(|connection| connection.address().clone());
    let origin = Origin {
        address: address.unwrap_or_default(),
        hold: Hold::with_session(call.session.take()),
        timeout: CursorTimeout::new(
            call.operation.timeout().with_deadline(call.deadline),
            call.operation.timeout_mode(),
        ),
    };
    Ok((done.output, origin))
}

/// Runs an operation of a cursor with what the cursor holds, and leaves in it what the cursor
/// holds from then on.
///
/// On a connection that was kept nothing is sent: the server's next reply is on its way.
///
/// # Errors
/// As [`execute`].
pub(crate) async fn execute_with<O: Operation>(
    executor: &Executor,
    operation: &mut O,
    hold: &mut Hold,
) -> Result<O::Output> {
    let mut call = Call::new(executor, operation, hold.session.take());
    call.connection = hold.connection.take();
    let outcome = run(&mut call).await;
    hold.session = call.session.take();
    let done = outcome?;
    hold.connection = done
        .connection
        .filter(|connection| connection.is_streaming());
    Ok(done.output)
}

/// Runs an operation only if a server can be found at once.
///
/// # Errors
/// As [`execute`], and a server-selection error without waiting.
pub(crate) async fn execute_if_selectable<O: Operation>(
    executor: &Executor,
    operation: &mut O,
) -> Result<O::Output> {
    let mut call = Call::new(executor, operation, None);
    call.deadline = call.limit()?;
    Ok(run_until(&mut call, Duration::ZERO).await?.output)
}

/// An operation that has come to its end.
struct Done<T> {
    output: T,
    /// The connection that it went over, if a reply led to the output.
    connection: Option<PooledConnection<Connector>>,
}

async fn run<O: Operation>(call: &mut Call<'_, O>) -> Result<Done<O::Output>> {
    call.in_progress = Some(call.executor.begin_operation()?);
    if let Some(concern) = call.operation.write_concern() {
        concern.validate()?;
    }
    call.deadline = call.limit()?;
    if let Some(session) = call.explicit_session() {
        session.begin(call.executor, call.operation)?;
    }
    let selection_limit = call.executor.settings().server_selection_timeout;
    let outcome = run_until(call, selection_limit).await;
    outcome.map_err(|error| call.told(error))
}

/// The one retry loop.
async fn run_until<O: Operation>(
    call: &mut Call<'_, O>,
    selection_limit: Duration,
) -> Result<Done<O::Output>> {
    let mut attempts = Attempts::default();
    let mut deprioritized = Vec::new();
    loop {
        let deadline = &call.selects_until(selection_limit);
        let mut failure = match select(call, &deprioritized, deadline).await {
            Ok(server) => match call.attempt(&server).await {
                Ok((output, connection)) => {
                    return Ok(Done {
                        output,
                        connection: Some(connection),
                    });
                }
                Err(failure) => failure,
            },
            Err(error) => Failure::before_reaching_a_server(error),
        };
        call.failed(&mut failure.error);
        let elsewhere = call.wants_another_server(&failure.error);
        let policy = call.policy();
        match attempts.decide(
            failure.error,
            failure.reached_server,
            &policy,
            rand::random(),
        ) {
            Decision::Retry(wait) => {
                deprioritized.extend(failure.address.filter(|_| elsewhere));
                if let Some(wait) = wait {
                    tokio::time::sleep(wait).await;
                }
            }
            Decision::GiveUp(error) => {
                let output = call.operation.refused(error)?;
                return Ok(Done {
                    output,
                    connection: None,
                });
            }
        }
    }
}

async fn select<O: Operation>(
    call: &mut Call<'_, O>,
    deprioritized: &[ServerAddress],
    deadline: &Deadline,
) -> Result<Selected> {
    let topology = call.executor.topology();
    let log = SelectionLog {
        context: topology.log(),
        operation_id: selection::is_logged().then(|| call.operation_id()),
        operation: call.operation.name(),
    };
    if let Some(address) = call.pinned_to() {
        return topology.select_pinned(&address);
    }
    let selection = call.operation.selection();
    let wanted = match selection {
        Selection::Pinned(address) => return topology.select_pinned(address),
        _ => selection.wanted().unwrap_or(Wanted::Write),
    };
    topology.select(wanted, deprioritized, deadline, &log).await
}
