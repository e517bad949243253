//! The operations of a case, on the main thread and on others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use motorcade::error::Error;
use motorcade::internal::pool::{ClearCause, Connect, Deadline, Pool, PooledConnection};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::format::Operation;
use super::recorder::Recorder;

/// How long an event is waited for where the case names no limit.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Why the operations of a thread went no further.
pub(super) enum Stop {
    /// The driver gave an error, which the case may expect.
    Error(Error),
    /// The case makes no sense, or what it waited for did not come.
    Misuse(String),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

fn misuse(what: impl Into<String>) -> Stop {
    Stop::Misuse(what.into())
}

/// What the operations of all threads share.
pub(super) struct World<C: Connect> {
    shared: Arc<Shared<C>>,
    threads: Mutex<HashMap<String, Thread>>,
}

struct Shared<C: Connect> {
    pool: Pool<C>,
    recorder: Arc<Recorder>,
    connections: Mutex<Connections<C>>,
}

struct Connections<C: Connect> {
    labelled: HashMap<String, PooledConnection<C>>,
    /// Checked out for good: nothing in the case can name them.
    unlabelled: Vec<PooledConnection<C>>,
}

struct Thread {
    operations: mpsc::UnboundedSender<Operation>,
    task: JoinHandle<Result<(), Stop>>,
}

impl<C: Connect> World<C> {
    pub(super) fn new(pool: Pool<C>, recorder: Arc<Recorder>) -> Self {
        let connections = Mutex::new(Connections {
            labelled: HashMap::new(),
            unlabelled: Vec::new(),
        });
        let shared = Shared {
            pool,
            recorder,
            connections,
        };
        Self {
            shared: Arc::new(shared),
            threads: Mutex::default(),
        }
    }

    /// Performs the operations up to the first that fails on the main thread.
    pub(super) async fn perform_all(&self, operations: &[Operation]) -> Option<Stop> {
        for operation in operations {
            if let Err(stop) = self.perform(operation).await {
                return Some(stop);
            }
        }
        None
    }

    /// Ends the threads and closes the pool.
    pub(super) fn end(self) {
        for thread in locked(&self.threads).values() {
            thread.task.abort();
        }
        self.shared.pool.close();
    }

    async fn perform(&self, operation: &Operation) -> Result<(), Stop> {
        match (operation.name.as_str(), &operation.thread) {
            ("start", _) => self.start(target(operation)?),
            ("waitForThread", _) => self.join(target(operation)?).await,
            (_, None) => self.shared.perform(operation).await,
            (_, Some(name)) => {
                let threads = locked(&self.threads);
                let thread = threads
                    .get(name)
                    .ok_or_else(|| misuse(format!("thread {name} was not started")))?;
                // A thread that has failed receives nothing; its error is told by waitForThread.
                let _ended = thread.operations.send(operation.clone());
                Ok(())
            }
        }
    }

    fn start(&self, name: &str) -> Result<(), Stop> {
        let (sender, mut receiver) = mpsc::unbounded_channel::<Operation>();
        let shared = Arc::clone(&self.shared);
        let task = tokio::spawn(async move {
            while let Some(operation) = receiver.recv().await {
                shared.perform(&operation).await?;
            }
            Ok(())
        });
        let thread = Thread {
            operations: sender,
            task,
        };
        match locked(&self.threads).insert(name.to_owned(), thread) {
            None => Ok(()),
            Some(_) => Err(misuse(format!("thread {name} was started twice"))),
        }
    }

    async fn join(&self, name: &str) -> Result<(), Stop> {
        let thread = locked(&self.threads).remove(name);
        let thread = thread.ok_or_else(|| misuse(format!("thread {name} is not there")))?;
        drop(thread.operations);
        let ended = thread.task.await;
        ended.unwrap_or_else(|error| Err(misuse(format!("thread {name}: {error}"))))
    }
}

impl<C: Connect> Shared<C> {
    async fn perform(&self, operation: &Operation) -> Result<(), Stop> {
        match operation.name.as_str() {
            "wait" => {
                let millis = operation.ms.ok_or_else(|| misuse("wait: without ms"))?;
                tokio::time::sleep(Duration::from_millis(millis)).await;
                Ok(())
            }
            "waitForEvent" => self.wait_for_event(operation).await,
            "checkOut" => self.check_out(operation.label.as_deref()).await,
            "checkIn" => self.check_in(operation),
            "clear" => {
                let cause = ClearCause::default();
                self.pool.clear(if operation.interrupt_in_use_connections {
                    cause.interrupting()
                } else {
                    cause
                });
                Ok(())
            }
            "ready" => {
                self.pool.ready();
                Ok(())
            }
            "close" => {
                self.pool.close();
                Ok(())
            }
            other => Err(misuse(format!("unknown operation {other:?}"))),
        }
    }

    async fn wait_for_event(&self, operation: &Operation) -> Result<(), Stop> {
        let (Some(event), Some(count)) = (&operation.event, operation.count) else {
            return Err(misuse("waitForEvent: without event or count"));
        };
        let limit = operation
            .timeout
            .map_or(LONGEST_WAIT, Duration::from_millis);
        let wait = self.recorder.wait_for(event, count);
        tokio::time::timeout(limit, wait).await.map_err(|_| {
            let seen = self.recorder.count(event);
            misuse(format!(
                "waited {limit:?} for {count} {event}, saw {seen}; {:?}",
                self.pool.counts()
            ))
        })
    }

    async fn check_out(&self, label: Option<&str>) -> Result<(), Stop> {
        let connection = self.pool.check_out(&Deadline::NEVER).await?;
        let mut connections = locked(&self.connections);
        match label {
            Some(label) => {
                let replaced = connections.labelled.insert(label.to_owned(), connection);
                connections.unlabelled.extend(replaced);
            }
            None => connections.unlabelled.push(connection),
        }
        Ok(())
    }

    fn check_in(&self, operation: &Operation) -> Result<(), Stop> {
        let label = operation
            .connection
            .as_ref()
            .ok_or_else(|| misuse("checkIn: without connection"))?;
        let connection = locked(&self.connections).labelled.remove(label);
        let connection = connection.ok_or_else(|| misuse(format!("no connection {label}")))?;
        drop(connection);
        Ok(())
    }
}

fn target(operation: &Operation) -> Result<&str, Stop> {
    let missing = || misuse(format!("{}: without target", operation.name));
    operation.target.as_deref().ok_or_else(missing)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
