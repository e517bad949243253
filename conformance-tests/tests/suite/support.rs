//! What the cases share: a client whose events are recorded, operations that last as long as a
//! case wants, and many threads at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use conformance_tests::behaviour::Deployment;

use super::recorder::{PATIENCE, Recorder};
use super::servers::{operations, wait_until, writable};
use crate::flavor::driver::bson::{Document, doc};
use crate::flavor::driver::error::{Error, Result};
use crate::flavor::driver::options::{ClientOptions, WriteConcern};
use crate::flavor::driver::{Client, Collection, Database};
use crate::flavor::{go, spawn};

/// A client whose events are recorded, and the case's database.
pub(crate) struct Observed {
    pub(crate) client: Client,
    pub(crate) events: Recorder,
    database: String,
}

impl Observed {
    /// A client of the whole deployment with these connection string options.
    pub(crate) fn new(deployment: &Deployment, options: &str) -> Self {
        Self::at(deployment, &deployment.uri_with(options))
    }

    /// A client with that connection string.
    pub(crate) fn at(deployment: &Deployment, uri: &str) -> Self {
        Self::configured(deployment, uri, |_| ())
    }

    /// A client with that connection string and changes to its options.
    pub(crate) fn configured(
        deployment: &Deployment,
        uri: &str,
        change: impl FnOnce(&mut ClientOptions),
    ) -> Self {
        let mut options = go!(ClientOptions::parse(uri)).expect("the connection string is valid");
        let events = Recorder::default();
        events.listen(&mut options);
        change(&mut options);
        let client = Client::with_options(options).expect("the options are valid");
        Self {
            client,
            events,
            database: deployment.database_name().to_owned(),
        }
    }

    /// The case's database.
    pub(crate) fn database(&self) -> Database {
        self.client.database(&self.database)
    }

    /// The one collection that most cases need.
    pub(crate) fn people(&self) -> Collection<Document> {
        self.database().collection("people")
    }

    /// Fills the collection with documents whose `_id` counts from 0. The majority has them: a
    /// transaction sees no others.
    pub(crate) fn with_people(self, count: i32) -> Self {
        let people = self.people();
        let insert = people.insert_many((0..count).map(|id| doc! { "_id": id }));
        go!(insert.write_concern(WriteConcern::majority())).expect("inserts people");
        self
    }

    pub(crate) fn ping(&self) -> Result<Document> {
        go!(self.database().run_command(doc! { "ping": 1 }))
    }

    /// How many connections the recorded events leave open.
    pub(crate) fn open_connections(&self) -> usize {
        let created = self.events.count(|event| event.is_connection_created());
        created - self.events.count(|event| event.is_connection_closed())
    }

    /// The session of the last command of that name.
    pub(crate) fn last_session(&self, command: &str) -> Document {
        let commands = self.events.commands_named(command);
        let last = commands.last().expect("the command was sent");
        last.command
            .get_document("lsid")
            .expect("the command has a session")
            .clone()
    }
}

/// By how much limits of time are longer, because the machine is slow or busy now.
#[derive(Clone, Copy)]
pub(crate) struct Pace(u32);

impl Pace {
    /// Measures how long a few commands take, in units of what they take on an idle machine.
    pub(crate) fn measure(deployment: &Deployment) -> Self {
        const COMMANDS: u32 = 20;
        const USUAL: Duration = Duration::from_millis(20);
        const MOST: u128 = 20;
        let subject = Observed::new(deployment, "");
        subject.ping().expect("connects");
        let begun = Instant::now();
        for _ in 0..COMMANDS {
            subject.ping().expect("pings");
        }
        let factor = begun.elapsed().as_micros().div_ceil(USUAL.as_micros());
        let factor = u32::try_from(factor.clamp(1, MOST)).expect("is small");
        Self(factor)
    }

    pub(crate) fn millis(self, millis: u64) -> Duration {
        Duration::from_millis(millis) * self.0
    }
}

/// An operation that keeps its connection and session until it is released.
pub(crate) struct Held<'a> {
    deployment: &'a Deployment,
    mark: String,
    thread: JoinHandle<Result<Document>>,
}

impl<'a> Held<'a> {
    /// Starts the operation and waits until the server is at it.
    pub(crate) fn start(deployment: &'a Deployment, client: &Client) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let mark = format!("held {}", NEXT.fetch_add(1, Ordering::Relaxed));
        let admin = client.database("admin");
        let command = doc! { "sleep": 1, "secs": 120, "lock": "none", "comment": &mark };
        let thread = spawn(move || go!(admin.run_command(command)));
        let held = Self {
            deployment,
            mark,
            thread,
        };
        wait_until("held operation on the server", || held.operation());
        held
    }

    /// Ends the operation on the server, and waits until the driver has seen it end.
    pub(crate) fn release(self) -> Error {
        let operation = self.operation().expect("the operation goes on until now");
        let kill = doc! { "killOp": 1, "op": operation.get("opid").expect("it has a number") };
        let servers = self.deployment.servers();
        servers
            .run_admin_command(writable(self.deployment), &kill)
            .expect("ends the operation");
        let outcome = self.thread.join().expect("the thread does not panic");
        outcome.expect_err("the operation was interrupted")
    }

    fn operation(&self) -> Option<Document> {
        let filter = doc! { "command.sleep": 1, "command.comment": &self.mark };
        operations(self.deployment, writable(self.deployment), filter).pop()
    }
}

/// What becomes of an insert into a server that was frozen before, and goes on after.
pub(crate) fn write_to_frozen_server(deployment: &Deployment, subject: &Observed) -> Error {
    // More than fits into the buffers of both sides.
    let large = "x".repeat(1_000_000);
    let documents: Vec<_> = (0..40).map(|_| doc! { "x": &large }).collect();
    let people = subject.people();
    let server = deployment.servers().member(0);
    server.pause().expect("pauses");
    let (done, outcome) = mpsc::channel();
    let writing = spawn(move || {
        let outcome = go!(people.insert_many(documents));
        done.send(outcome).expect("the case waits");
    });
    let outcome = outcome.recv_timeout(PATIENCE);
    server.resume().expect("goes on");
    writing.join().expect("does not panic");
    outcome.expect("ends").expect_err("does not succeed")
}

/// Runs a function in that many threads that begin together, and gives what each returned.
pub(crate) fn in_parallel<T: Send>(threads: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(threads);
    let (barrier, work) = (&barrier, &work);
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads)
            .map(|number| {
                scope.spawn(move || {
                    barrier.wait();
                    work(number)
                })
            })
            .collect();
        all.into_iter()
            .map(|thread| thread.join().expect("the thread does not panic"))
            .collect()
    })
}
