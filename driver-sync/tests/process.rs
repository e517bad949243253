//! What concerns the process as a whole, in one that has no other threads to begin with: the tests
//! run one after the other on the main thread.

use std::{
    fmt::Display,
    fs,
    io::{Read, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    process,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use fork::{Fork, fork, waitpid};
use libtest_mimic::{Arguments, Failed, Trial};
use motorcade_sync::{
    BoxFuture, Client, ClientSession, Collection, Cursor, Run,
    bson::{Document, doc},
    change_stream::{ChangeStream, event::ChangeStreamEvent},
    error::Result,
    event::{EventHandler, cmap::CmapEvent},
    gridfs::{GridFsDownloadStream, GridFsUploadStream},
    options::ClientOptions,
};
use motorcade_testserver::Deployment;

/// After so long a child that hangs ends itself.
const PATIENCE: Duration = Duration::from_secs(60);
/// Half of a file that takes several batches of chunks.
const HALF: usize = 3 * 1024 * 1024;

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let tests = vec![
        Trial::test(
            "what_never_waits_works_in_async_code_and_starts_no_thread",
            what_never_waits_works_in_async_code_and_starts_no_thread,
        ),
        Trial::test(
            "a_forked_child_makes_its_own_client_and_leaves_its_parents_alone",
            a_forked_child_makes_its_own_client_and_leaves_its_parents_alone,
        ),
        Trial::test(
            "a_forked_child_can_drop_an_operation_that_its_parent_goes_on_with",
            a_forked_child_can_drop_an_operation_that_its_parent_goes_on_with,
        ),
    ];
    libtest_mimic::run(&arguments, tests).exit();
}

fn what_never_waits_works_in_async_code_and_starts_no_thread() -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async { what_never_waits() })?;
    // Only Linux has that folder.
    if let Ok(threads) = fs::read_dir("/proc/self/task") {
        assert_eq!(threads.count(), 1, "threads were started");
    }
    Ok(())
}

/// Everything that does no I/O, on a server that does not exist.
fn what_never_waits() -> Result<()> {
    let uri = "mongodb://127.0.0.1:1/files";
    let client = Client::with_uri_str(uri)?;
    Client::with_options(ClientOptions::parse(uri).run()?)?;
    assert!(ClientOptions::parse("mongo://").run().is_err());
    drop(client.start_session().causal_consistency(false).run()?);
    let database = client.default_database().expect("the URI names one");
    let bucket = database.gridfs_bucket(None);
    drop(bucket.open_upload_stream("file").run()?);
    Ok(())
}

fn a_forked_child_makes_its_own_client_and_leaves_its_parents_alone() -> Result<(), Failed> {
    let deployment = Deployment::replica_set(1).start()?;
    let uri = deployment.uri();
    let unused = Client::with_uri_str(&uri)?;
    let connections = Arc::new(AtomicUsize::new(0));
    let mut used = Used::new(&uri, Arc::clone(&connections))?;
    let parent = process_part(&used.numbers)?;

    let child = match fork()? {
        Fork::Parent(child) => child,
        Fork::Child => end_child(move || {
            used.refuses_everything();
            drop(used);
            works(&unused, parent);
            works(&Client::with_uri_str(uri).expect("makes a client"), parent);
        }),
    };
    wait_for(child)?;

    used.go_on()?;
    let connections = connections.load(Ordering::Relaxed);
    assert_eq!(connections, 1, "the parent had to reconnect");
    Ok(())
}

/// What a process has of a client that it used, each in the middle of something.
struct Used {
    client: Client,
    numbers: Collection<Document>,
    resting: Cursor<Document>,
    fetching: Cursor<Document>,
    session: ClientSession,
    changes: ChangeStream<ChangeStreamEvent<Document>>,
    upload: GridFsUploadStream,
    download: GridFsDownloadStream,
}

impl Used {
    fn new(uri: &str, connections: Arc<AtomicUsize>) -> Result<Self> {
        let mut options = ClientOptions::parse(uri).run()?;
        options.max_pool_size = Some(1);
        options.cmap_event_handler = Some(EventHandler::callback(move |event| {
            if matches!(event, CmapEvent::ConnectionCreated(_)) {
                connections.fetch_add(1, Ordering::Relaxed);
            }
        }));
        let client = Client::with_options(options)?;
        let numbers = numbers(&client);
        numbers.insert_many((0..6).map(|n| doc! { "n": n })).run()?;
        let mut changes = numbers.watch().run()?;
        assert!(changes.next_if_any()?.is_none());
        let mut resting = numbers
            .find(doc! { "n": { "$lt": 6 } })
            .batch_size(2)
            .run()?;
        assert!(resting.advance()?);
        let mut fetching = numbers
            .find(doc! { "n": { "$lt": 6 } })
            .batch_size(2)
            .prefetch(true)
            .run()?;
        assert!(fetching.advance()?);
        let mut session = client.start_session().run()?;
        session.start_transaction().run()?;
        let insert = numbers.insert_one(doc! { "n": "in a transaction" });
        insert.session(&mut session).run()?;
        let bucket = client.database("forked").gridfs_bucket(None);
        let content = vec![0; 2 * HALF];
        let id = bucket.upload_from_reader("old", &content[..]).run()?;
        let mut download = bucket.open_download_stream(id).run()?;
        download.read_exact(&mut [0; 10])?;
        let mut upload = bucket.open_upload_stream("new").run()?;
        upload.write_all(&content[..HALF])?;
        upload.flush()?;
        Ok(Self {
            client,
            numbers,
            resting,
            fetching,
            session,
            changes,
            upload,
            download,
        })
    }

    /// In the child.
    fn refuses_everything(&mut self) {
        refused(self.client.list_database_names().run());
        refused(self.numbers.insert_one(doc! {}).run());
        refused(self.client.start_session().run());
        refused(self.session.commit_transaction().run());
        refused(self.session.abort_transaction().run());
        refused(self.session.start_transaction().run());
        // What is at hand can be read still.
        refused(self.resting.by_ref().collect::<Result<Vec<_>>>());
        refused(self.fetching.by_ref().collect::<Result<Vec<_>>>());
        refused(self.changes.next_if_any());
        refused(self.upload.write_all(&[0; HALF]));
        refused(self.upload.close());
        refused(self.download.read_to_end(&mut Vec::new()));
        // These two have nothing to report.
        self.client.warm_connection_pool().run();
        self.client.clone().shutdown().run();
    }

    /// In the parent, when the child has ended.
    fn go_on(&mut self) -> Result<()> {
        assert_eq!(self.resting.by_ref().count(), 5);
        assert_eq!(self.fetching.by_ref().count(), 5);
        self.session.commit_transaction().run()?;
        self.upload.write_all(&[0; HALF])?;
        self.upload.close()?;
        let mut rest = Vec::new();
        self.download.read_to_end(&mut rest)?;
        assert_eq!(rest.len(), 2 * HALF - 10);
        self.numbers.insert_one(doc! { "n": "last" }).run()?;
        for change in &mut self.changes {
            let document = change?.full_document.unwrap_or_default();
            if document.get_str("n").is_ok_and(|n| n == "last") {
                return Ok(());
            }
        }
        panic!("the change stream has ended");
    }
}

fn refused<T>(outcome: Result<T, impl Display>) {
    let error = outcome.err().expect("the client belongs to the parent");
    let message = error.to_string();
    assert!(message.contains("before fork()"), "{message}");
}

/// Whether a client works as if nothing had happened.
fn works(client: &Client, parent: [u8; 5]) {
    let numbers = numbers(client);
    let mut changes = numbers.watch().run().expect("watches");
    let child = process_part(&numbers).expect("inserts");
    assert_ne!(child, parent, "both processes make the same object ids");
    let change = changes.next().expect("goes on").expect("reads a change");
    assert!(change.full_document.is_some(), "{change:?}");
}

fn numbers(client: &Client) -> Collection<Document> {
    client.database("forked").collection("numbers")
}

/// The part of a generated `_id` that belongs to the process.
fn process_part(numbers: &Collection<Document>) -> Result<[u8; 5]> {
    let inserted = numbers.insert_one(doc! {}).run()?;
    let id = inserted.inserted_id.as_object_id().expect("is generated");
    let [_, _, _, _, part @ .., _, _, _] = id.bytes();
    Ok(part)
}

fn a_forked_child_can_drop_an_operation_that_its_parent_goes_on_with() -> Result<(), Failed> {
    let deployment = Deployment::standalone().start()?;
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build()?;
    let mut reply = runtime.block_on(waiting_for_a_reply(&deployment.uri()))?;

    let child = match fork()? {
        Fork::Parent(child) => child,
        Fork::Child => end_child(move || drop(reply)),
    };
    wait_for(child)?;

    let reply = runtime.block_on(async { tokio::time::timeout(PATIENCE, &mut reply).await });
    reply.expect("the parent goes on")?;
    Ok(())
}

/// An operation whose command was sent, and whose reply takes a second.
async fn waiting_for_a_reply(uri: &str) -> Result<BoxFuture<'static, Result<Document>>> {
    let client = motorcade::Client::with_uri_str(uri).await?;
    let database = client.database("admin");
    let hello = database.run_command(doc! { "hello": 1 }).await?;
    let version = hello.get_document("topologyVersion")?.clone();
    let hello = doc! { "hello": 1, "maxAwaitTimeMS": 1_000, "topologyVersion": version };
    let mut reply: BoxFuture<'static, _> =
        Box::pin(async move { database.run_command(hello).await });
    // The connection is there, so the command goes out at the first poll.
    tokio::select! {
        biased;
        reply = &mut reply => panic!("the server did not wait: {reply:?}"),
        () = std::future::ready(()) => Ok(reply),
    }
}

/// The end of a child process, which tells by its status whether the test has succeeded in it.
fn end_child(test: impl FnOnce()) -> ! {
    thread::spawn(|| {
        thread::sleep(PATIENCE);
        eprintln!("the child hangs");
        process::exit(2);
    });
    let outcome = catch_unwind(AssertUnwindSafe(test));
    process::exit(i32::from(outcome.is_err()));
}

fn wait_for(child: i32) -> Result<(), Failed> {
    match waitpid(child)? {
        0 => Ok(()),
        status => Err(format!("the child ended with the status {status:#x}").into()),
    }
}
