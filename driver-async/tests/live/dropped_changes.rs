//! Drops futures that wait for a change.

use std::time::Duration;

use futures_util::StreamExt;
use motorcade::{
    Client,
    bson::{Document, doc},
};
use motorcade_testserver::Deployment;

use crate::{
    dropped::{MOST_POLLS, polled},
    ledger::Ledger,
    servers::{eventually, open_cursors, options, turn},
};

/// How long the server waits for a change.
const WAIT: Duration = Duration::from_millis(100);
/// How long the server may take to learn that a cursor was given up.
const LIMIT: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_wait_dropped_at_any_await_loses_and_repeats_no_event() {
    let _turn = turn();
    let deployment = Deployment::replica_set(1).start().unwrap();
    let mut options = options(&deployment, "dropped-changes").await;
    let ledger = Ledger::of(&mut options);
    let client = Client::with_options(options).unwrap();
    let watched = client.database("dropped").collection::<Document>("changes");
    let mut changes = watched.watch().max_await_time(WAIT).await.unwrap();
    let mut id = 0;
    // The server keeps the cursor, or the stream is resumed in each wait.
    for loses_cursor in [false, true] {
        for polls in 1.. {
            assert!(polls < MOST_POLLS, "a wait makes no progress");
            if loses_cursor {
                let kill = doc! { "killAllSessions": [] };
                deployment.run_admin_command(0, &kill).unwrap();
            }
            watched.insert_one(doc! { "_id": id }).await.unwrap();
            let outcome = polled(changes.next(), polls).await;
            let is_whole = outcome.is_some();
            let event = match outcome {
                Some(event) => event,
                None => changes.next().await,
            };
            let key = event.unwrap().unwrap().document_key;
            let case = format!("loses its cursor: {loses_cursor}, dropped after {polls} polls");
            assert_eq!(key, Some(doc! { "_id": id }), "{case}");
            ledger.at_rest(&case).await;
            id += 1;
            if is_whole {
                assert!(polls > 1, "it never waited");
                break;
            }
        }
    }
    assert!(changes.next_if_any().await.unwrap().is_none());
    drop(changes);
    let look = || open_cursors(&deployment);
    eventually("no cursor is open", LIMIT, look, |open| *open == 0).await;
    client.shutdown().await;
    let counts = ledger.at_rest("after the shutdown").await;
    assert_eq!((counts.created, counts.idle), (counts.closed, 0));
    ledger.check_free_sessions();
}

#[tokio::test]
async fn a_stream_dropped_at_any_await_leaves_no_cursor() {
    let _turn = turn();
    let deployment = Deployment::replica_set(1).start().unwrap();
    let client = Client::with_options(options(&deployment, "dropped-streams").await).unwrap();
    let watched = client.database("dropped").collection::<Document>("streams");
    watched.insert_one(doc! {}).await.unwrap();
    let refusal = doc! {
        "failCommands": ["getMore"], "errorCode": 6, "appName": "dropped-streams",
        "errorLabels": ["ResumableChangeStreamError"],
    };
    // The server has the old cursor no more, or still has it while the stream is resumed.
    for loss in [
        doc! { "killAllSessions": [] },
        doc! { "configureFailPoint": "failCommand", "mode": { "times": 1 }, "data": refusal },
    ] {
        for polls in 1.. {
            assert!(polls < MOST_POLLS, "a stream makes no progress");
            let outcome = polled(
                async {
                    let mut changes = watched.watch().max_await_time(WAIT).await?;
                    deployment.run_admin_command(0, &loss).unwrap();
                    changes.next_if_any().await?;
                    changes.next_if_any().await
                },
                polls,
            )
            .await;
            let case = format!("no cursor is open, dropped after {polls} polls and {loss}");
            let look = || open_cursors(&deployment);
            eventually(&case, LIMIT, look, |open| *open == 0).await;
            if let Some(outcome) = outcome {
                assert!(outcome.unwrap().is_none());
                break;
            }
        }
    }
    client.shutdown().await;
}
