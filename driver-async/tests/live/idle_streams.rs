//! Very many change streams that wait, and the work that goes on beside them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, future::try_join_all};
use motorcade::{
    Client, Collection,
    bson::{Document, doc},
    event::{EventHandler, command::CommandEvent},
};
use motorcade_testserver::Deployment;
use rustix::time::{ClockId, clock_gettime};

use crate::servers::{eventually, options, turn};

const STREAMS: u32 = 1_000;
/// Few, because each write makes the server look whether it concerns any of the streams.
const ROUNDS: i32 = 20;
/// How long the servers let a stream wait: longer than the test takes.
const WAIT: Duration = Duration::from_secs(600);
const LIMIT: Duration = Duration::from_secs(60);

/// The time that this thread, and with it the runtime's only one, has worked.
fn worked() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}

/// Writes and reads, and gives how long the thread worked for that.
async fn work(people: &Collection<Document>) -> Duration {
    let before = worked();
    for id in 0..ROUNDS {
        people.insert_one(doc! { "_id": id }).await.unwrap();
        let found = people.find_one(doc! { "_id": id }).await.unwrap();
        assert_eq!(found, Some(doc! { "_id": id }));
        people.delete_one(doc! { "_id": id }).await.unwrap();
    }
    worked() - before
}

/// Streams that wait do nothing at all, so others get every turn of the thread that they want.
#[tokio::test]
async fn a_thousand_idle_streams_take_no_turn_from_others() {
    let _turn = turn();
    let deployment = Deployment::replica_set(1).start().unwrap();
    let mut options = options(&deployment, "idle-streams").await;
    options.max_pool_size = Some(STREAMS + 10);
    options.max_connecting = Some(10);
    let waits = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&waits);
    options.command_event_handler = Some(EventHandler::callback(move |event| {
        if let CommandEvent::Started(event) = event
            && event.command_name == "getMore"
        {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }));
    let client = Client::with_options(options).unwrap();
    let database = client.database("idle");
    let (people, watched) = (
        database.collection("people"),
        database.collection("watched"),
    );
    let written: &Collection<Document> = &watched;
    written.insert_one(doc! {}).await.unwrap();
    work(&people).await;
    let alone = work(&people).await;

    let opened = (0..STREAMS).map(|_| watched.watch().max_await_time(WAIT).into_future());
    let streams = try_join_all(opened).await.unwrap();
    let waiting: Vec<_> = streams
        .into_iter()
        .map(|mut stream| tokio::spawn(async move { stream.next().await }))
        .collect();
    let asked = || waits.load(Ordering::Relaxed);
    eventually("all wait", LIMIT, asked, |count| *count == STREAMS as usize).await;
    let before = waits.load(Ordering::Relaxed);
    let beside = work(&people).await;
    assert_eq!(
        waits.load(Ordering::Relaxed),
        before,
        "an idle stream asked again"
    );
    // The noise of processor time alone; a thousand wakes for each command would be far more.
    assert!(
        beside < alone * 3,
        "{beside:?} beside the streams, {alone:?} alone"
    );

    written.insert_one(doc! { "_id": 1 }).await.unwrap();
    for stream in waiting {
        let event = stream.await.unwrap().unwrap().unwrap();
        assert_eq!(event.document_key, Some(doc! { "_id": 1 }));
    }
    client.shutdown().await;
}
