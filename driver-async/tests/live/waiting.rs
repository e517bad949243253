//! Thousands who wait for a server that is not there.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{FutureExt, future::join_all};
use motorcade::{
    Client,
    bson::{Document, doc},
    error::ErrorKind,
    event::{EventHandler, sdam::SdamEvent},
    options::ClientOptions,
};

use crate::servers::turn;

const WAITERS: u32 = 10_000;
/// The limit of the most patient of them.
const LONGEST: Duration = Duration::from_secs(3);
/// The least time between two checks.
const SPACING: Duration = Duration::from_millis(500);

/// A client of a server that is not there, and how often that was looked for.
async fn client_of_nobody() -> (Client, Arc<AtomicUsize>) {
    let uri = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=60000&heartbeatFrequencyMS=60000";
    let mut options = ClientOptions::parse(uri).await.unwrap();
    let checks = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&checks);
    options.sdam_event_handler = Some(EventHandler::callback(move |event| {
        if let SdamEvent::ServerHeartbeatStarted(_) = event {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }));
    (Client::with_options(options).unwrap(), checks)
}

/// Every one of them asks for a check; each has a limit of its own.
#[tokio::test]
async fn ten_thousand_waiters_cause_a_check_per_half_second_and_end_each_at_its_limit() {
    let _turn = turn();
    let (client, checks) = client_of_nobody().await;
    let written = client.database("waiting").collection::<Document>("written");
    let started = Instant::now();
    let waiters = (1..=WAITERS).map(|number| {
        let written = written.clone();
        async move {
            let limit = LONGEST * number / WAITERS;
            let options = motorcade::options::InsertOneOptions::builder()
                .timeout(limit)
                .build();
            let write = written.insert_one(doc! {}).with_options(options);
            let error = write.await.unwrap_err();
            assert!(error.is_timeout(), "{error:?}");
            assert!(
                limit < LONGEST / 2 || error.to_string().contains("refused"),
                "{error}"
            );
            let waited = started.elapsed();
            assert!(waited >= limit, "{waited:?} of {limit:?}");
        }
    });
    join_all(waiters).await;
    let most = started.elapsed().as_millis() / SPACING.as_millis() + 1;
    let checks = checks.load(Ordering::Relaxed) as u128;
    assert!(checks <= most, "{checks} checks where {most} had room");
    assert!(checks > 1, "nobody who asked for a check got one");
}

#[tokio::test]
async fn who_has_no_time_to_wait_fails_at_once() {
    let _turn = turn();
    let mut options = ClientOptions::parse("mongodb://127.0.0.1:1").await.unwrap();
    options.server_selection_timeout = Some(Duration::ZERO);
    let client = Client::with_options(options).unwrap();
    let listing = client.list_database_names().into_future();
    let error = listing.now_or_never().expect("it waited").unwrap_err();
    assert!(
        matches!(*error.kind, ErrorKind::ServerSelection { .. }),
        "{error:?}"
    );
}
