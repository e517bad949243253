//! Cursors and streams whose steps were dropped and that nobody polls, and others who want what
//! those might hold.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{FutureExt, StreamExt};
use motorcade::{
    Client, Collection,
    bson::{Document, doc},
};
use motorcade_testserver::Deployment;
use tokio::{
    io::{AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{sleep, timeout},
};

use crate::{
    dropped::polled,
    servers::{eventually, options, turn},
};

/// How long anything may take; it is reached only by what hangs.
const LIMIT: Duration = Duration::from_secs(30);
/// How long a look at a stream takes.
const LOOK: Duration = Duration::from_millis(50);
/// How long a connection takes to be made, as over a long way.
const DELAY: Duration = Duration::from_millis(100);
const TASKS: usize = 8;
const ROUNDS: usize = 5;

/// A proxy whose connections begin after a while, and can be cut all at once.
async fn proxy(target: String) -> (String, watch::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (cut, cuts) = watch::channel(());
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (target, mut cuts) = (target.clone(), cuts.clone());
            cuts.mark_unchanged();
            tokio::spawn(async move {
                sleep(DELAY).await;
                let mut server = TcpStream::connect(target).await.unwrap();
                tokio::select! {
                    _ = copy_bidirectional(&mut client, &mut server) => {}
                    _ = cuts.changed() => drop(client.shutdown().await),
                }
            });
        }
    });
    (address, cut)
}

fn watched(client: &Client) -> Collection<Document> {
    client.database("unpolled").collection("watched")
}

async fn a_stream_at_rest_leaves_the_only_connection_to_others() {
    let _turn = turn();
    let deployment = Deployment::replica_set(1).start().unwrap();
    let mut options = options(&deployment, "unpolled-one").await;
    options.max_pool_size = Some(1);
    let client = Client::with_options(options).unwrap();
    let watched = watched(&client);
    watched.insert_one(doc! { "_id": 0 }).await.unwrap();
    let mut stream = watched.watch().await.unwrap();
    let found = watched.find_one(doc! {}).await.unwrap();
    assert!(polled(stream.next(), 1).await.is_none());
    let again = timeout(LIMIT, watched.find_one(doc! {}).into_future()).await;
    assert_eq!(again.expect("it waits for the stream").unwrap(), found);
    watched.insert_one(doc! { "_id": 1 }).await.unwrap();
    let event = stream.next().await.unwrap().unwrap();
    assert_eq!(event.document_key, Some(doc! { "_id": 1 }));
    client.shutdown().await;
}

#[tokio::test]
async fn a_stream_at_rest_leaves_the_only_connection_to_others_on_one_thread() {
    a_stream_at_rest_leaves_the_only_connection_to_others().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_at_rest_leaves_the_only_connection_to_others_on_several_threads() {
    a_stream_at_rest_leaves_the_only_connection_to_others().await;
}

/// While a task does its other work, nobody polls its stream.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_that_look_at_a_stream_now_and_then_get_on_also_after_all_connections_are_lost() {
    let _turn = turn();
    let deployment = Deployment::replica_set(1).start().unwrap();
    let (address, cut) = proxy(deployment.hosts()[0].clone()).await;
    let uri = format!("mongodb://{address}/?directConnection=true");
    let client = Client::with_uri_str(uri).await.unwrap();
    let watched = watched(&client);
    watched.insert_one(doc! {}).await.unwrap();
    let rounds: Arc<[_]> = (0..TASKS).map(|_| AtomicUsize::new(0)).collect();
    let tasks: Vec<_> = (0..TASKS)
        .map(|number| {
            let (watched, rounds) = (watched.clone(), Arc::clone(&rounds));
            tokio::spawn(async move {
                let mut stream = watched.watch().await.unwrap();
                loop {
                    drop(timeout(LOOK, stream.next()).await);
                    // It may be cut off as well.
                    drop(watched.find_one(doc! {}).await);
                    rounds[number].fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let least = || rounds.iter().map(|it| it.load(Ordering::Relaxed)).min();
    let mut goal = 0;
    for case in ["at first", "after a cut", "after another cut"] {
        goal += ROUNDS;
        eventually(case, LIMIT, least, |least| *least >= Some(goal)).await;
        goal = rounds
            .iter()
            .map(|it| it.load(Ordering::Relaxed))
            .max()
            .unwrap();
        cut.send(()).unwrap();
    }
    for task in tasks {
        task.abort();
    }
}

/// What is at hand needs no runtime, and what is not, says that it needs one.
#[test]
fn outside_of_a_runtime_a_step_gives_what_is_at_hand_and_then_an_error() {
    let _turn = turn();
    let deployment = Deployment::replica_set(1).start().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (mut cursor, mut stream) = runtime.block_on(async {
        let client = Client::with_uri_str(deployment.uri()).await.unwrap();
        let watched = watched(&client);
        let stream = watched.watch().await.unwrap();
        watched
            .insert_many((0..3).map(|id| doc! { "_id": id }))
            .await
            .unwrap();
        let find = watched.find(doc! {}).sort(doc! { "_id": 1 });
        let cursor = find.batch_size(2).prefetch(true).await.unwrap();
        (cursor, stream)
    });
    for id in 0..2 {
        let found = cursor.next().now_or_never().unwrap().unwrap().unwrap();
        assert_eq!(found, doc! { "_id": id });
    }
    let errors = [
        cursor.next().now_or_never().unwrap().unwrap().unwrap_err(),
        stream.next().now_or_never().unwrap().unwrap().unwrap_err(),
    ];
    for error in errors {
        assert!(
            matches!(
                *error.kind,
                motorcade::error::ErrorKind::InvalidArgument { .. }
            ),
            "{error:?}"
        );
        assert!(error.to_string().contains("tokio runtime"), "{error}");
    }
    runtime.block_on(async {
        let found = cursor.next().await.unwrap().unwrap();
        assert_eq!(found, doc! { "_id": 2 });
        let event = stream.next().await.unwrap().unwrap();
        assert_eq!(event.document_key, Some(doc! { "_id": 0 }));
    });
}
