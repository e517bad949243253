//! Drops the future of each operation after one poll, after two, and so on until it completes.

use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

use futures_util::{FutureExt, TryStreamExt, future::BoxFuture};
use motorcade::{
    Client, Collection, IndexModel,
    bson::{Document, doc},
    error::{ErrorKind, Result},
    options::{ClientOptions, CursorType},
};
use motorcade_testserver::Deployment;

use crate::{
    ledger::Ledger,
    servers::{connections, eventually, open_cursors, operations, options, standalone, turn},
};

/// How many polls an operation may need; more means that it makes no progress.
pub(crate) const MOST_POLLS: usize = 2_000;
/// How many documents there are to be found.
const PEOPLE: i32 = 100;

type Operation = fn(Collection<Document>, i32) -> BoxFuture<'static, Result<()>>;

const OPERATIONS: [(&str, Operation); 12] = [
    ("find and getMore", |people, number| {
        async move {
            let wanted: Vec<i32> = (number..PEOPLE).take(5).collect();
            let filter = doc! { "_id": { "$in": &wanted } };
            let cursor = people
                .find(filter)
                .sort(doc! { "_id": 1 })
                .batch_size(2)
                .await?;
            let found: Vec<Document> = cursor.try_collect().await?;
            let found: Vec<i32> = found.iter().map(|it| it.get_i32("_id").unwrap()).collect();
            assert_eq!(found, wanted);
            Ok(())
        }
        .boxed()
    }),
    ("find with a batch ahead", |people, _| {
        async move { find_all(&people, CursorType::NonTailable, true).await }.boxed()
    }),
    ("exhaust find", |people, _| {
        async move { find_all(&people, CursorType::Exhaust, false).await }.boxed()
    }),
    ("insert_one", |people, number| {
        async move {
            let written = written(&people);
            written
                .insert_one(doc! { "number": number })
                .await
                .map(drop)
        }
        .boxed()
    }),
    ("insert_many", |people, number| {
        async move {
            let documents = (0..10).map(|it| doc! { "number": number, "it": it });
            let inserted = written(&people).insert_many(documents).await?;
            assert_eq!(inserted.inserted_ids.len(), 10);
            Ok(())
        }
        .boxed()
    }),
    ("update", |people, number| {
        async move {
            let change = doc! { "$inc": { "changes": 1 } };
            let updated = people.update_one(doc! { "_id": number }, change).await?;
            assert_eq!(updated.matched_count, 1);
            Ok(())
        }
        .boxed()
    }),
    ("aggregate", |people, number| {
        async move {
            let pipeline = [
                doc! { "$match": { "_id": { "$lt": 7 } } },
                doc! { "$set": { "asked": number } },
            ];
            let found: Vec<Document> = people
                .aggregate(pipeline)
                .batch_size(3)
                .await?
                .try_collect()
                .await?;
            assert_eq!(found.len(), 7);
            assert!(
                found
                    .iter()
                    .all(|it| it.get_i32("asked").ok() == Some(number))
            );
            Ok(())
        }
        .boxed()
    }),
    ("count_documents", |people, number| {
        async move {
            let count = people
                .count_documents(doc! { "_id": { "$lt": number } })
                .await?;
            assert_eq!(count, u64::try_from(number).unwrap());
            Ok(())
        }
        .boxed()
    }),
    ("create_index", |people, _| {
        async move {
            let index = IndexModel::builder().keys(doc! { "changes": 1 }).build();
            written(&people).create_index(index).await.map(drop)
        }
        .boxed()
    }),
    ("list_collections", |people, _| {
        async move {
            let database = people.client().database("dropped");
            let filter = doc! { "name": people.name() };
            let found: Vec<_> = database
                .list_collections()
                .filter(filter)
                .await?
                .try_collect()
                .await?;
            assert_eq!(found.len(), 1);
            Ok(())
        }
        .boxed()
    }),
    ("run_command", |people, number| {
        async move {
            let command = doc! { "find": "people", "filter": { "_id": number }, "limit": 1 };
            let reply = people
                .client()
                .database("dropped")
                .run_command(command)
                .await?;
            let batch = reply
                .get_document("cursor")
                .unwrap()
                .get_array("firstBatch")
                .unwrap();
            let found = batch[0].as_document().unwrap();
            assert_eq!(found.get_i32("_id").ok(), Some(number));
            Ok(())
        }
        .boxed()
    }),
    ("distinct", |people, number| {
        async move {
            let found = people.distinct("_id", doc! { "_id": number }).await?;
            assert_eq!(found, [number.into()]);
            Ok(())
        }
        .boxed()
    }),
];

async fn find_all(people: &Collection<Document>, kind: CursorType, ahead: bool) -> Result<()> {
    let find = people.find(doc! { "_id": { "$lt": 9 } }).batch_size(2);
    let mut cursor = find.cursor_type(kind).prefetch(ahead).await?;
    assert_eq!(cursor.to_vec().await?.len(), 9);
    Ok(())
}

fn written(people: &Collection<Document>) -> Collection<Document> {
    people.client().database("dropped").collection("written")
}

/// Polls a future at most `times` times, each time it asks for it, and then drops it.
pub(crate) async fn polled<F: Future>(future: F, times: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        left -= 1;
        if left == 0 {
            Poll::Ready(None)
        } else {
            Poll::Pending
        }
    })
    .await
}

pub(crate) fn people(client: &Client) -> Collection<Document> {
    client.database("dropped").collection("people")
}

pub(crate) async fn fill(options: ClientOptions) {
    let client = Client::with_options(options).unwrap();
    people(&client).drop().await.unwrap();
    let everyone = (0..PEOPLE).map(|id| doc! { "_id": id });
    people(&client).insert_many(everyone).await.unwrap();
    client.shutdown().await;
}

/// Three different questions at once get each its own answer.
pub(crate) async fn check_answers(client: &Client, case: &str) {
    let ask = async |id: i32| {
        let found = people(client).find_one(doc! { "_id": id }).await;
        let found = found.unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!(found.expect(case).get_i32("_id").ok(), Some(id), "{case}");
    };
    tokio::join!(ask(11), ask(22), ask(33));
}

/// Drops one operation's future after 1, 2, .. polls; gives how many it needs to complete.
///
/// `prepare` makes the client for each round, and a guard to be kept while the future is polled.
async fn sweep<G>(
    name: &str,
    mut prepare: impl AsyncFnMut() -> (Client, Ledger, G),
    operation: Operation,
) -> usize {
    for polls in 1..=MOST_POLLS {
        let case = format!("{name}, dropped after {polls} polls");
        let (client, ledger, guard) = prepare().await;
        let number = i32::try_from(polls).unwrap() % PEOPLE;
        let outcome = polled(operation(people(&client), number), polls).await;
        drop(guard);
        ledger.at_rest(&case).await;
        check_answers(&client, &case).await;
        ledger.at_rest(&case).await;
        // One was abandoned with each command that has no end; three were in use at once, and one
        // by what closes a dropped cursor.
        let bound = ledger.interrupted() + 4;
        assert!(
            ledger.sessions() <= bound,
            "{case}: {} sessions",
            ledger.sessions()
        );
        if let Some(outcome) = outcome {
            outcome.unwrap_or_else(|error| panic!("{case}: {error}"));
            return polls;
        }
    }
    panic!("{name} makes no progress");
}

/// Every operation on a client that has connections already.
async fn sweep_warm_clients(deployment: &Deployment, app_name: &str) {
    let mut options = options(deployment, app_name).await;
    fill(options.clone()).await;
    let ledger = Ledger::of(&mut options);
    let client = Client::with_options(options).unwrap();
    for (name, operation) in OPERATIONS {
        let prepare = async || {
            check_answers(&client, name).await;
            (client.clone(), ledger.clone(), ())
        };
        let polls = sweep(name, prepare, operation).await;
        assert!(polls > 1, "{name} never waited");
    }
    assert!(
        ledger.interrupted() >= OPERATIONS.len(),
        "hardly a command was interrupted"
    );
    let idle = ledger.at_rest("at the end").await.idle;
    assert!(idle <= ledger.most_open());
    client.shutdown().await;
    let counts = ledger.at_rest("after the shutdown").await;
    assert_eq!((counts.created, counts.idle), (counts.closed, 0));
    for member in 0..deployment.members().len() {
        let look = || connections(deployment, member, app_name);
        eventually(
            "every socket is closed",
            Duration::from_secs(10),
            look,
            |open| *open == 0,
        )
        .await;
    }
}

#[tokio::test]
async fn a_future_dropped_at_any_await_leaves_exact_counts_on_a_standalone() {
    let _turn = turn();
    sweep_warm_clients(standalone(), "dropped-warm").await;
}

#[tokio::test]
async fn a_future_dropped_at_any_await_leaves_exact_counts_on_a_replica_set() {
    let _turn = turn();
    let deployment = Deployment::replica_set(3).start().unwrap();
    sweep_warm_clients(&deployment, "dropped-set").await;
}

#[tokio::test]
async fn a_future_dropped_while_the_first_connection_is_made_leaves_exact_counts() {
    let _turn = turn();
    let options = options(standalone(), "dropped-new").await;
    fill(options.clone()).await;
    for (name, operation) in OPERATIONS {
        let prepare = async || {
            let mut options = options.clone();
            let ledger = Ledger::of(&mut options);
            (Client::with_options(options).unwrap(), ledger, ())
        };
        let polls = sweep(name, prepare, operation).await;
        assert!(polls > 3, "{name} was dropped at {polls} awaits only");
    }
}

#[tokio::test]
async fn a_future_dropped_in_the_queue_leaves_exact_counts() {
    let _turn = turn();
    let mut options = options(standalone(), "dropped-queued").await;
    fill(options.clone()).await;
    options.max_pool_size = Some(1);
    let ledger = Ledger::of(&mut options);
    let client = Client::with_options(options).unwrap();
    for (name, operation) in OPERATIONS {
        let prepare = async || {
            check_answers(&client, name).await;
            let busy = people(&client);
            let mut holder = Box::pin(async move { busy.find_one(doc! {}).await.map(drop) });
            // The first poll takes the only connection.
            assert!(polled(&mut holder, 1).await.is_none());
            let holder = tokio::spawn(holder);
            (client.clone(), ledger.clone(), holder)
        };
        let polls = sweep(name, prepare, operation).await;
        assert!(polls > 2, "{name} did not wait in the queue");
        assert_eq!(ledger.most_open(), 1);
    }
}

#[tokio::test]
async fn a_connection_granted_to_a_dropped_future_goes_to_the_next() {
    let _turn = turn();
    let mut options = options(standalone(), "dropped-granted").await;
    fill(options.clone()).await;
    options.max_pool_size = Some(1);
    let ledger = Ledger::of(&mut options);
    let client = Client::with_options(options).unwrap();
    check_answers(&client, "to connect").await;
    let (first, second, third) = (people(&client), people(&client), people(&client));
    let mut holding = Box::pin(first.find_one(doc! {}).into_future());
    let mut granted = Box::pin(second.find_one(doc! {}).into_future());
    let mut next = Box::pin(third.find_one(doc! { "_id": 7 }).into_future());
    for waiting in [&mut holding, &mut granted, &mut next] {
        assert!(polled(waiting, 1).await.is_none());
    }
    holding.await.unwrap();
    drop(granted);
    assert_eq!(next.await.unwrap(), Some(doc! { "_id": 7 }));
    let counts = ledger.at_rest("granted").await;
    assert_eq!((counts.created, counts.idle), (1, 1));
}

#[tokio::test]
async fn a_message_dropped_half_sent_or_half_read_closes_its_connection() {
    let _turn = turn();
    let mut options = options(standalone(), "dropped-large").await;
    fill(options.clone()).await;
    let ledger = Ledger::of(&mut options);
    let client = Client::with_options(options).unwrap();
    let text = "x".repeat(1024 * 1024);
    let large: Collection<Document> = client.database("dropped").collection("large");
    large.drop().await.unwrap();
    let documents: Vec<_> = (0..12)
        .map(|id| doc! { "_id": id, "text": &text })
        .collect();
    large.insert_many(&documents).await.unwrap();
    let mut awaits = [0, 0];
    for (is_read, awaits) in awaits.iter_mut().enumerate() {
        for polls in 1.. {
            let case = format!("large message (read: {is_read}), dropped after {polls} polls");
            let done = if is_read == 1 {
                let reading = async { large.find(doc! {}).await?.try_collect::<Vec<_>>().await };
                polled(reading, polls)
                    .await
                    .map(|found| assert_eq!(found.unwrap().len(), 12))
            } else {
                let other: Collection<Document> = client.database("dropped").collection("sent");
                other.drop().await.unwrap();
                // Without ids: what was dropped when wholly sent may still be inserted later.
                let unnamed = (0..12).map(|_| doc! { "text": &text });
                let sending = other.insert_many(unnamed).into_future();
                polled(sending, polls).await.map(|sent| drop(sent.unwrap()))
            };
            ledger.at_rest(&case).await;
            check_answers(&client, &case).await;
            *awaits = polls;
            if done.is_some() || polls == 40 {
                break;
            }
        }
    }
    assert!(
        awaits.iter().all(|awaits| *awaits > 1),
        "too few awaits: {awaits:?}"
    );
    client.shutdown().await;
    let counts = ledger.at_rest("after the shutdown").await;
    assert_eq!(counts.created, counts.closed);
}

#[tokio::test]
async fn a_shutdown_dropped_at_any_await_can_be_made_again() {
    let _turn = turn();
    let options = options(standalone(), "dropped-shutdown").await;
    fill(options.clone()).await;
    for polls in 1..=MOST_POLLS {
        let case = format!("shutdown, dropped after {polls} polls");
        let mut options = options.clone();
        let ledger = Ledger::of(&mut options);
        let client = Client::with_options(options).unwrap();
        check_answers(&client, &case).await;
        let busy = people(&client);
        let busy = tokio::spawn(async move { busy.find_one(doc! {}).await });
        tokio::task::yield_now().await;
        let outcome = polled(client.clone().shutdown().into_future(), polls).await;
        let after = people(&client).find_one(doc! {}).await;
        // It has begun, and goes on with the next call.
        let kind = after.expect_err("a client that is shut down fails").kind;
        assert!(matches!(*kind, ErrorKind::Shutdown), "{case}: {kind:?}");
        busy.await
            .unwrap()
            .unwrap_or_else(|error| panic!("{case}: {error}"));
        client.shutdown().await;
        let counts = ledger.at_rest(&case).await;
        assert_eq!((counts.created, counts.idle), (counts.closed, 0), "{case}");
        if outcome.is_some() {
            assert!(polls > 2, "the shutdown waited for nothing");
            return;
        }
    }
    panic!("the shutdown makes no progress");
}

#[tokio::test]
async fn a_dropped_find_does_not_stay_running_on_the_server() {
    let _turn = turn();
    let deployment = standalone();
    let mut options = options(deployment, "dropped-running").await;
    fill(options.clone()).await;
    let ledger = Ledger::of(&mut options);
    let client = Client::with_options(options).unwrap();
    check_answers(&client, "to connect").await;
    let running = || {
        let filter =
            doc! { "appName": "dropped-running", "command.find": "people", "active": true };
        operations(deployment, 0, filter).len()
    };
    let slow = people(&client);
    let filter = doc! { "$where": "sleep(60000) || true" };
    let find = tokio::spawn(async move { slow.find_one(filter).await });
    let limit = Duration::from_secs(10);
    eventually("the find runs", limit, running, |count| *count == 1).await;
    find.abort();
    assert!(find.await.unwrap_err().is_cancelled());
    eventually("the find has ended", limit, running, |count| *count == 0).await;
    ledger.at_rest("slow find").await;
}

#[tokio::test]
async fn a_cursor_dropped_early_is_closed_on_the_server() {
    let _turn = turn();
    let deployment = standalone();
    let mut options = options(deployment, "dropped-cursor").await;
    fill(options.clone()).await;
    let ledger = Ledger::of(&mut options);
    let client = Client::with_options(options).unwrap();
    let before = open_cursors(deployment);
    let mut cursors = Vec::new();
    for read in 0..20 {
        let mut cursor = people(&client).find(doc! {}).batch_size(2).await.unwrap();
        for _ in 0..read % 5 {
            assert!(cursor.advance().await.unwrap());
        }
        cursors.push(cursor);
    }
    assert_eq!(open_cursors(deployment), before + 20);
    drop(cursors);
    let look = || open_cursors(deployment);
    eventually("all are closed", Duration::from_secs(10), look, |open| {
        *open == before
    })
    .await;
    ledger.at_rest("cursors").await;
    assert!(ledger.sessions() <= 21, "{} sessions", ledger.sessions());
}

/// A find whose future is dropped when the server has made its cursor, but the reply was not read.
#[tokio::test]
async fn a_find_dropped_before_its_reply_leaves_no_cursor_on_the_server() {
    let _turn = turn();
    let deployment = standalone();
    let mut options = options(deployment, "dropped-opening").await;
    fill(options.clone()).await;
    let ledger = Ledger::of(&mut options);
    let client = Client::with_options(options).unwrap();
    check_answers(&client, "to connect").await;
    let before = open_cursors(deployment);
    let people = people(&client);
    let mut find = Box::pin(people.find(doc! {}).batch_size(2).into_future());
    assert!(polled(&mut find, 1).await.is_none());
    let limit = Duration::from_secs(10);
    let look = || open_cursors(deployment);
    eventually("it is open", limit, look, |open| *open == before + 1).await;
    drop(find);
    eventually("it is closed", limit, look, |open| *open == before).await;
    ledger.at_rest("opening").await;
}

/// With one connection, the ending of the sessions comes before what closes the cursor.
#[tokio::test]
async fn a_shutdown_waits_for_the_closing_of_a_cursor_that_was_dropped() {
    let _turn = turn();
    let deployment = standalone();
    let mut options = options(deployment, "dropped-last").await;
    fill(options.clone()).await;
    options.max_pool_size = Some(1);
    let client = Client::with_options(options).unwrap();
    let before = open_cursors(deployment);
    let cursor = people(&client).find(doc! {}).batch_size(2).await.unwrap();
    people(&client).find_one(doc! {}).await.unwrap();
    drop(cursor);
    client.shutdown().await;
    assert_eq!(open_cursors(deployment), before);
}

#[tokio::test]
async fn a_cursor_is_not_at_its_end_before_it_has_told_of_its_failure() {
    let _turn = turn();
    let deployment = standalone();
    let options = options(deployment, "dropped-failing").await;
    fill(options.clone()).await;
    let client = Client::with_options(options).unwrap();
    let mut cursor = people(&client).find(doc! {}).batch_size(2).await.unwrap();
    let data = doc! { "failCommands": ["getMore"], "errorCode": 50, "appName": "dropped-failing" };
    let failing =
        doc! { "configureFailPoint": "failCommand", "mode": { "times": 1 }, "data": data };
    deployment.run_admin_command(0, &failing).unwrap();
    let error = loop {
        match polled(cursor.advance(), 1).await {
            None => {
                assert!(cursor.has_next(), "there is a failure to be told");
                tokio::task::yield_now().await;
            }
            Some(outcome) => match outcome {
                Ok(more) => assert!(more, "the third document needs a getMore"),
                Err(error) => break error,
            },
        }
    };
    assert_eq!(error.code(), Some(50));
    assert!(cursor.is_exhausted());
}

#[tokio::test]
async fn documents_whose_future_was_dropped_come_with_the_next() {
    let _turn = turn();
    let mut options = options(standalone(), "dropped-many").await;
    fill(options.clone()).await;
    let ledger = Ledger::of(&mut options);
    let client = Client::with_options(options).unwrap();
    let people = people(&client);
    // Of the batches that come without being asked for, only the first is sure to be waited for.
    for (kind, least) in [(CursorType::NonTailable, 30), (CursorType::Exhaust, 1)] {
        let sorted = people.find(doc! {}).sort(doc! { "_id": 1 }).batch_size(3);
        let mut cursor = sorted.cursor_type(kind).await.unwrap();
        let (mut found, mut dropped) = (Vec::new(), 0);
        while !cursor.is_exhausted() {
            match polled(cursor.next_many(7), 1).await {
                None => {
                    dropped += 1;
                    // Otherwise the runtime never gets to look at the socket.
                    tokio::task::yield_now().await;
                }
                Some(next) => found.extend(next.unwrap()),
            }
        }
        let found: Vec<i32> = found.iter().map(|it| it.get_i32("_id").unwrap()).collect();
        assert_eq!(found, (0..PEOPLE).collect::<Vec<_>>(), "{kind:?}");
        assert!(
            dropped >= least,
            "{kind:?}: only {dropped} futures were dropped"
        );
    }
    ledger.at_rest("many").await;
    assert_eq!(ledger.interrupted(), 0);
}

#[tokio::test]
async fn a_dropped_step_of_a_cursor_is_taken_up_by_the_next() {
    let _turn = turn();
    let deployment = standalone();
    let mut options = options(deployment, "dropped-step").await;
    fill(options.clone()).await;
    let ledger = Ledger::of(&mut options);
    let client = Client::with_options(options).unwrap();
    let people = people(&client);
    let sorted = people.find(doc! {}).sort(doc! { "_id": 1 });
    let mut cursor = sorted.batch_size(3).await.unwrap();
    let (mut found, mut dropped) = (Vec::new(), 0);
    loop {
        match polled(cursor.advance(), 1).await {
            None => {
                dropped += 1;
                // Otherwise the runtime never gets to look at the socket.
                tokio::task::yield_now().await;
            }
            Some(outcome) if outcome.as_ref().is_ok_and(|more| *more) => {
                found.push(cursor.current().get_i32("_id").unwrap());
            }
            Some(outcome) => break outcome.map(drop).unwrap(),
        }
    }
    assert_eq!(found, (0..PEOPLE).collect::<Vec<_>>());
    assert!(dropped >= 30, "only {dropped} steps were dropped");
    ledger.at_rest("steps").await;
    assert_eq!(ledger.interrupted(), 0);
}
