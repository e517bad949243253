//! The one way every operation takes: select, check out, attempt, and try again where that helps.

mod attempt;
mod call;
mod clean_up;
mod decorate;
mod executor;
mod given_up;
mod monitoring;
mod progress;
mod session;
mod step;

use std::{pin::pin, time::Duration};

use executor::InProgress;
pub(crate) use executor::{Detached, Executor};
pub(crate) use monitoring::next_operation_id;
pub(crate) use session::{ExplicitSession, Session};
pub(crate) use step::{Step, Turn, require_runtime, task_error};

use attempt::Failure;
use call::Call;

use crate::{
    address::ServerAddress,
    clock,
    deadline::Deadline,
    error::Result,
    event::log::selection::{self, SelectionLog},
    operation::{Operation, Selection},
    pool::{PooledConnection, Purpose},
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
    /// The connection that the cursor is bound to. Either the server goes on to send batches on it
    /// without being asked, and it is closed, not returned, when it is dropped before the last of
    /// them; or a load balancer stands before the server, and no other leads to the cursor.
    connection: Option<PooledConnection<Connector>>,
    /// While a step goes on in a session of the application.
    turn: Option<Turn>,
}

impl Hold {
    pub(crate) fn with_session(session: Option<Session>) -> Self {
        Self {
            session,
            ..Self::default()
        }
    }

    /// Begins a step, which goes on although its caller may stop waiting for it. Until it ends,
    /// nothing else happens in a session of the application.
    pub(crate) fn begin_step(&mut self) {
        self.turn = self.session.as_ref().and_then(Session::begin_step);
    }

    pub(crate) fn end_step(&mut self) {
        self.turn = None;
    }

    /// The session if it is one of the application, which outlives whatever becomes of the hold.
    pub(crate) fn explicit_session(&self) -> Option<Session> {
        let session = self.session.as_ref()?.explicit()?;
        Some(Session::Explicit(session.clone()))
    }

    /// What is left for the cursor's last command. While the server is at work in the session,
    /// nothing is; the connection is closed first, so that the next command can have its place.
    pub(crate) fn released(self) -> Self {
        match self.connection {
            Some(connection) if connection.is_streaming() => {
                drop(connection);
                Self::default()
            }
            connection => Self { connection, ..self },
        }
    }

    /// Whether the connection, if one is needed, is that of a transaction.
    pub(crate) fn is_shared(&self) -> bool {
        self.connection.is_none() && matches!(self.session, Some(Session::Explicit(_)))
    }

    /// Whether a command over this hold reaches the cursor.
    fn reaches(&self, executor: &Executor) -> bool {
        if !executor.settings().load_balanced {
            return true;
        }
        match (&self.connection, &self.session) {
            (Some(connection), _) => connection.is_reusable(),
            (None, Some(Session::Explicit(session))) => session.has_connection(),
            (None, _) => false,
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
    finish(Call::new(executor, operation, session)).await
}

/// Like [`execute_in`], over a connection if one is given.
///
/// # Errors
/// As [`execute_in`].
pub(crate) async fn execute_over<O: Operation>(
    executor: &Executor,
    session: Session,
    connection: Option<PooledConnection<Connector>>,
    operation: &mut O,
) -> Result<O::Output> {
    let mut call = Call::new(executor, operation, Some(session));
    call.connection = connection;
    finish(call).await
}

/// Runs the last operation of a cursor, with what the cursor held. Nothing is sent, and `None` is
/// the result, when the connection is gone that alone leads to the cursor.
///
/// # Errors
/// As [`execute_in`].
pub(crate) async fn execute_last<O: Operation>(
    executor: &Executor,
    hold: Hold,
    operation: &mut O,
) -> Result<Option<O::Output>> {
    if !hold.reaches(executor) {
        return Ok(None);
    }
    let mut call = Call::new(executor, operation, hold.session);
    call.connection = hold.connection;
    call.turn = hold.turn.as_ref();
    finish(call).await.map(Some)
}

async fn finish<O: Operation>(mut call: Call<'_, O>) -> Result<O::Output> {
    let done = run(&mut call).await?;
    let connection = done.connection.and_then(|it| call.settle(it));
    // The session goes back before the connection, so that whoever gets the connection next finds
    // it: then as many operations as there are connections need no more sessions than that.
    drop(call);
    drop(connection);
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
    call.turn = hold.turn.as_ref();
    call.opens_cursor = true;
    let done = match run(&mut call).await {
        Ok(done) => done,
        Err(error) => {
            hold.session = call.session.take();
            return Err(error);
        }
    };
    // A refusal that stands for an empty cursor has no server, and nothing more to ask of one.
    let connection = done.connection.as_ref();
    let address = connection.map(|connection| connection.address().clone());
    let mut connection = done
        .connection
        .and_then(|connection| call.settle(connection))
        .filter(|_| executor.settings().load_balanced);
    if let Some(connection) = &mut connection {
        connection.keep_for(Purpose::Cursor);
    }
    let origin = Origin {
        address: address.unwrap_or_default(),
        hold: Hold {
            session: call.session.take(),
            connection,
            turn: None,
        },
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
    call.turn = hold.turn.as_ref();
    let is_balanced = executor.settings().load_balanced;
    call.is_bound = is_balanced && call.connection.is_some();
    let outcome = run(&mut call).await;
    hold.connection = call.connection.take();
    hold.session = call.session.take();
    let done = outcome?;
    hold.connection = done
        .connection
        .and_then(|connection| call.settle(connection))
        .filter(|connection| call.is_bound || connection.is_streaming());
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
    let mut in_progress = call.executor.begin_operation(call.operation.cleans_up())?;
    if let Some(concern) = call.operation.write_concern() {
        concern.validate()?;
    }
    call.deadline = call.limit()?;
    in_progress.bound(call.deadline.as_ref());
    call.in_progress = Some(in_progress);
    let turn = call.turn_comes().await;
    turn.map_err(|error| call.told(error))?;
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
        let (executor, cleans_up) = (call.executor, call.operation.cleans_up());
        let selected = match select_at_once(call, &deprioritized) {
            Some(server) => Ok(server),
            None => {
                let selection = pin!(select(call, &deprioritized, deadline));
                match cleans_up {
                    true => selection.await,
                    false => executor.unless_closing(selection).await.flatten(),
                }
            }
        };
        let mut failure = match selected {
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
                    let pause = pin!(clock::sleep(wait));
                    match call.operation.cleans_up() {
                        true => pause.await,
                        false => call.executor.unless_closed(pause).await?,
                    }
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

fn select_at_once<O: Operation>(
    call: &Call<'_, O>,
    deprioritized: &[ServerAddress],
) -> Option<Selected> {
    if !deprioritized.is_empty() || call.pinned_to().is_some() {
        return None;
    }
    let wanted = call.operation.selection().wanted()?;
    call.executor.topology().select_at_once(wanted)
}

async fn select<O: Operation>(
    call: &mut Call<'_, O>,
    deprioritized: &[ServerAddress],
    deadline: &Deadline,
) -> Result<Selected> {
    let topology = call.executor.topology();
    let log = SelectionLog {
        context: topology.log(),
        delivery_thread: topology.command_delivery(),
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
