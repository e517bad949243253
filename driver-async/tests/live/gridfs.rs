//! Uploads and downloads of files in GridFS, dropped at any await.

use std::time::Duration;

use motorcade::{
    Client,
    bson::{Document, doc},
    gridfs::GridFsBucket,
    options::{ClientOptions, GridFsBucketOptions},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    dropped::polled,
    ledger::Ledger,
    servers::{eventually, open_cursors, options, standalone, turn},
};

/// A file of several batches.
const SIZE: usize = 14_000_000;
/// How many polls a transfer may need; more means that it makes no progress.
const MOST_POLLS: usize = 2_000;

fn content() -> Vec<u8> {
    (0..SIZE).map(|at| (at % 251) as u8).collect()
}

fn bucket(client: &Client, name: &str) -> GridFsBucket {
    let options = GridFsBucketOptions::builder().bucket_name(name.to_owned());
    client.database("dropped").gridfs_bucket(options.build())
}

/// How many chunks a bucket has, as another client sees it.
async fn chunks(options: &ClientOptions, name: &str) -> u64 {
    let client = Client::with_options(options.clone()).unwrap();
    let chunks = client
        .database("dropped")
        .collection::<Document>(&format!("{name}.chunks"));
    let count = chunks.count_documents(doc! {}).await.unwrap();
    client.shutdown().await;
    count
}

#[tokio::test]
async fn an_upload_dropped_at_any_await_leaves_a_whole_file_or_nothing() {
    let _turn = turn();
    let options = options(standalone(), "dropped-upload").await;
    let content = content();
    let (mut left_nothing, mut was_closed_still) = (0, 0);
    for polls in 1..=MOST_POLLS {
        let case = format!("upload, dropped after {polls} polls");
        let mut options = options.clone();
        let ledger = Ledger::of(&mut options);
        let client = Client::with_options(options.clone()).unwrap();
        let bucket = bucket(&client, "up");
        bucket.drop().await.unwrap();
        let upload = bucket.upload_from_reader("file", &*content);
        let done = polled(upload.into_future(), polls).await;
        // It waits for what the dropped upload has begun in the background.
        client.shutdown().await;
        let counts = ledger.at_rest(&case).await;
        assert_eq!((counts.created, counts.idle), (counts.closed, 0), "{case}");
        let client = Client::with_options(options.clone()).unwrap();
        let found = self::bucket(&client, "up").find_one(doc! {}).await.unwrap();
        let chunks = chunks(&options, "up").await;
        client.shutdown().await;
        match (&found, &done) {
            (Some(file), _) => {
                assert_eq!((file.length, chunks), (SIZE as u64, 54), "{case}");
                was_closed_still += usize::from(done.is_none());
            }
            (None, None) => {
                assert_eq!(chunks, 0, "{case}");
                left_nothing += 1;
            }
            (None, Some(outcome)) => panic!("{case}: {outcome:?} without a file"),
        }
        if let Some(outcome) = done {
            outcome.unwrap_or_else(|error| panic!("{case}: {error}"));
            assert!(left_nothing > 1, "dropped at {left_nothing} awaits only");
            assert!(was_closed_still > 0, "never dropped while being closed");
            return;
        }
    }
    panic!("the upload makes no progress");
}

#[tokio::test]
async fn a_download_dropped_at_any_await_leaves_exact_counts() {
    let _turn = turn();
    let mut options = options(standalone(), "dropped-download").await;
    let ledger = Ledger::of(&mut options);
    let client = Client::with_options(options).unwrap();
    let bucket = bucket(&client, "down");
    bucket.drop().await.unwrap();
    let content = content();
    let id = bucket.upload_from_reader("file", &*content).await.unwrap();
    let before = open_cursors(standalone());
    for polls in 1..=MOST_POLLS {
        let case = format!("download, dropped after {polls} polls");
        let mut found = Vec::new();
        let download = bucket.download_to_writer(id.clone(), &mut found);
        let done = polled(download.into_future(), polls).await;
        ledger.at_rest(&case).await;
        if let Some(outcome) = done {
            outcome.unwrap_or_else(|error| panic!("{case}: {error}"));
            assert!(found == content);
            assert!(polls > 5, "dropped at {polls} awaits only");
            break;
        }
    }
    let look = || open_cursors(standalone());
    eventually(
        "no cursor stays open",
        Duration::from_secs(10),
        look,
        |open| *open == before,
    )
    .await;
    client.shutdown().await;
    let counts = ledger.at_rest("after the shutdown").await;
    assert_eq!((counts.created, counts.idle), (counts.closed, 0));
}

#[tokio::test]
async fn a_dropped_step_of_a_file_is_taken_up_by_the_next() {
    let _turn = turn();
    let mut options = options(standalone(), "dropped-file-step").await;
    let ledger = Ledger::of(&mut options);
    let client = Client::with_options(options).unwrap();
    let bucket = bucket(&client, "steps");
    bucket.drop().await.unwrap();
    let content = content();
    let mut dropped = 0;

    let mut upload = bucket.open_upload_stream("file").await.unwrap();
    let mut rest = &*content;
    while !rest.is_empty() {
        match polled(upload.write(rest), 1).await {
            Some(taken) => rest = &rest[taken.unwrap()..],
            None => {
                dropped += 1;
                // Otherwise the runtime never gets to look at the socket.
                tokio::task::yield_now().await;
            }
        }
    }
    while polled(upload.close(), 1)
        .await
        .map(Result::unwrap)
        .is_none()
    {
        dropped += 1;
        tokio::task::yield_now().await;
    }
    assert!(
        dropped > 5,
        "only {dropped} steps of the upload were dropped"
    );

    let id = upload.id().clone();
    let mut download = bucket.open_download_stream(id).await.unwrap();
    let (mut found, mut dropped) = (vec![0; SIZE], 0);
    let mut count = 0;
    loop {
        match polled(download.read(&mut found[count..]), 1).await {
            Some(read) if count < SIZE => count += read.unwrap(),
            Some(end) => break assert_eq!(end.unwrap(), 0),
            None => {
                dropped += 1;
                tokio::task::yield_now().await;
            }
        }
    }
    assert!(found == content);
    assert!(
        dropped > 5,
        "only {dropped} steps of the download were dropped"
    );
    ledger.at_rest("steps").await;
    assert_eq!(ledger.interrupted(), 0);
}
