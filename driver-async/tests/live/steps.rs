//! The requests of cursors and streams, which go on when their callers stop waiting: in sessions,
//! on runtimes that end, and after errors.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::StreamExt;
use motorcade::{
    Client, Collection,
    bson::{Document, doc},
    error::ErrorKind,
    event::{EventHandler, command::CommandEvent},
    options::CursorType,
};
use motorcade_testserver::Deployment;
use tokio::runtime::Runtime;

use crate::{
    dropped::{people, polled},
    servers::{eventually, open_cursors, options, turn},
};

const LIMIT: Duration = Duration::from_secs(20);
/// How long the server lets a request wait for something new.
const WAIT: Duration = Duration::from_millis(500);

/// The commands of a client that have begun, and ended, in their order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn clear(&self) {
        self.0.lock().unwrap().clear();
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn has(&self, line: &str) -> bool {
        self.0.lock().unwrap().iter().any(|it| it == line)
    }

    async fn comes_to(&self, line: &str) {
        eventually(line, LIMIT, || self.lines(), |_| self.has(line)).await;
    }
}

async fn logged(deployment: &Deployment, app_name: &str) -> (Client, Log) {
    let mut options = options(deployment, app_name).await;
    let log = Log::default();
    let lines = log.clone();
    options.command_event_handler = Some(EventHandler::callback(move |event| {
        let line = match event {
            CommandEvent::Started(it) => {
                let in_transaction = match it.command.contains_key("autocommit") {
                    true => " in a transaction",
                    false => "",
                };
                format!("> {}{in_transaction}", it.command_name)
            }
            CommandEvent::Succeeded(it) => format!("< {}", it.command_name),
            CommandEvent::Failed(it) => format!("! {}", it.command_name),
            _ => return,
        };
        lines.0.lock().unwrap().push(line);
    }));
    (Client::with_options(options).unwrap(), log)
}

async fn fail(deployment: &Deployment, mode: Document, data: Document) {
    let command = doc! { "configureFailPoint": "failCommand", "mode": mode, "data": data };
    deployment.run_admin_command(0, &command).unwrap();
}

/// A collection with three documents, which a tailable cursor can wait at the end of.
async fn capped(client: &Client) -> Collection<Document> {
    let database = client.database("steps");
    let log: Collection<Document> = database.collection("log");
    log.drop().await.unwrap();
    let create = database.create_collection("log").capped(true);
    create.size(100_000).await.unwrap();
    log.insert_many((0..3).map(|id| doc! { "_id": id }))
        .await
        .unwrap();
    log
}

#[tokio::test]
async fn a_session_waits_for_a_request_whose_caller_has_gone() {
    let _turn = turn();
    let deployment = Deployment::replica_set(1).start().unwrap();
    let (client, log) = logged(&deployment, "steps-session").await;
    let capped = capped(&client).await;
    let mut session = client.start_session().await.unwrap();
    let tail = capped.find(doc! {}).cursor_type(CursorType::TailableAwait);
    let tail = tail.max_await_time(WAIT).session(&mut session);
    let mut tail = tail.await.unwrap();
    let people = people(&client);
    let watch = people.watch().max_await_time(WAIT);
    let mut stream = watch.session(&mut session).await.unwrap();
    for _ in 0..3 {
        assert!(tail.advance(&mut session).await.unwrap());
    }
    for is_stream in [false, true] {
        log.clear();
        match is_stream {
            false => assert!(polled(tail.advance(&mut session), 1).await.is_none()),
            true => assert!(polled(stream.advance(&mut session), 1).await.is_none()),
        }
        log.comes_to("> getMore").await;
        capped
            .find_one(doc! {})
            .session(&mut session)
            .await
            .unwrap();
        let one_by_one = ["> getMore", "< getMore", "> find", "< find"];
        assert_eq!(log.lines(), one_by_one, "stream: {is_stream}");
    }
    // Both at once, and the session's own time is up before they end.
    assert!(polled(tail.advance(&mut session), 1).await.is_none());
    assert!(polled(stream.advance(&mut session), 1).await.is_none());
    let impatient = capped.find_one(doc! {}).session(&mut session);
    let impatient = impatient.timeout(Duration::from_millis(20)).await;
    let error = impatient.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert!(error.to_string().contains("same session"), "{error}");
    capped
        .find_one(doc! {})
        .session(&mut session)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_transaction_begins_and_ends_after_the_requests_before_it() {
    let _turn = turn();
    let deployment = Deployment::replica_set(1).start().unwrap();
    let (client, log) = logged(&deployment, "steps-transaction").await;
    let written: Collection<Document> = client.database("steps").collection("written");
    written
        .insert_many((0..9).map(|id| doc! { "_id": id }))
        .await
        .unwrap();
    let slow = doc! {
        "failCommands": ["getMore"], "blockConnection": true, "blockTimeMS": 300,
        "appName": "steps-transaction",
    };
    fail(&deployment, doc! { "times": 2 }, slow).await;
    let mut session = client.start_session().await.unwrap();
    // Its second batch is asked for as soon as the first is looked at.
    let find = written.find(doc! {}).batch_size(2).prefetch(true);
    let mut ahead = find.session(&mut session).await.unwrap();
    log.clear();
    assert!(ahead.advance(&mut session).await.unwrap());
    session.start_transaction().await.unwrap();
    let find = written.find(doc! {}).batch_size(2).session(&mut session);
    let mut cursor = find.await.unwrap();
    for _ in 0..2 {
        assert!(cursor.advance(&mut session).await.unwrap());
    }
    assert!(polled(cursor.advance(&mut session), 1).await.is_none());
    session.commit_transaction().await.unwrap();
    let one_by_one = [
        "> getMore",
        "< getMore",
        "> find in a transaction",
        "< find",
        "> getMore in a transaction",
        "< getMore",
        "> commitTransaction in a transaction",
        "< commitTransaction",
    ];
    assert_eq!(log.lines(), one_by_one);
}

#[tokio::test]
async fn an_error_does_not_wait_until_the_cursor_is_closed() {
    let _turn = turn();
    let deployment = Deployment::replica_set(1).start().unwrap();
    let (client, log) = logged(&deployment, "steps-error").await;
    let written: Collection<Document> = client.database("steps").collection("written");
    written
        .insert_many((0..9).map(|id| doc! { "_id": id }))
        .await
        .unwrap();
    let mut cursor = written.find(doc! {}).batch_size(2).await.unwrap();
    for _ in 0..2 {
        assert!(cursor.advance().await.unwrap());
    }
    let slow = doc! {
        "failCommands": ["getMore", "killCursors"], "errorCode": 50, "blockConnection": true,
        "blockTimeMS": 1500, "appName": "steps-error",
    };
    fail(&deployment, doc! { "times": 2 }, slow).await;
    let error = cursor.advance().await.unwrap_err();
    assert_eq!(error.code(), Some(50));
    let lines = log.lines();
    assert!(!log.has("! killCursors"), "the error waited: {lines:?}");
    log.comes_to("! killCursors").await;
}

/// The request goes with the runtime that the cursor was last used on.
#[test]
fn a_cursor_and_a_stream_outlive_the_runtime_of_their_request() {
    let _turn = turn();
    let deployment = Deployment::replica_set(1).start().unwrap();
    let (first, second) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let (client, log) = second.block_on(logged(&deployment, "steps-runtime"));
    let before = open_cursors(&deployment);
    let (mut tail, mut stream) = first.block_on(async {
        let capped = capped(&client).await;
        let tail = capped.find(doc! {}).cursor_type(CursorType::TailableAwait);
        let mut tail = tail.max_await_time(LIMIT * 3).await.unwrap();
        for _ in 0..3 {
            assert!(tail.advance().await.unwrap());
        }
        let people = people(&client);
        let watch = people.watch().max_await_time(LIMIT * 3);
        let mut stream = watch.await.unwrap();
        log.clear();
        assert!(polled(tail.advance(), 1).await.is_none());
        assert!(polled(stream.next(), 1).await.is_none());
        let asked = || log.lines().iter().filter(|it| *it == "> getMore").count();
        eventually("both wait", LIMIT, asked, |count| *count == 2).await;
        (tail, stream)
    });
    drop(first);
    second.block_on(async {
        let error = tail.advance().await.unwrap_err();
        assert!(matches!(*error.kind, ErrorKind::Io(_)), "{error:?}");
        assert!(error.to_string().contains("runtime"), "{error}");
        assert!(tail.is_exhausted());
        people(&client).insert_one(doc! { "_id": 5 }).await.unwrap();
        let event = tokio::time::timeout(LIMIT, stream.next()).await.unwrap();
        let event = event.unwrap().unwrap();
        assert_eq!(event.document_key, Some(doc! { "_id": 5 }));
        stream.close().await.unwrap();
        let look = || open_cursors(&deployment);
        // The server looks whether a cursor was closed when it looks for something new.
        let log = client.database("steps").collection("log");
        log.insert_one(doc! { "_id": 3 }).await.unwrap();
        eventually("both are closed", LIMIT, look, |open| *open == before).await;
    });
}
