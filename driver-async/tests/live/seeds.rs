//! Seeds that are not the names by which a replica set knows its members.

use std::time::Duration;

use motorcade::{
    Client,
    event::{EventHandler, sdam::SdamEvent},
};
use motorcade_testserver::Deployment;
use tokio::sync::mpsc;

use crate::{
    runtimes::ping,
    servers::{connections, eventually, options, turn},
};

const LIMIT: Duration = Duration::from_secs(20);
const HEARTBEAT: Duration = Duration::from_millis(500);

/// The seed is a server only until its first reply says what the set calls it.
#[tokio::test]
async fn a_seed_that_the_set_calls_by_another_name_leaves_no_socket_after_shutdown() {
    let _turn = turn();
    let deployment = Deployment::replica_set(1).start().unwrap();
    let mut aliased = options(&deployment, "aliased").await;
    aliased.heartbeat_freq = Some(HEARTBEAT);
    for seed in &mut aliased.hosts {
        *seed = format!("localhost:{}", deployment.member(0).port())
            .parse()
            .unwrap();
    }
    for _ in 0..10 {
        let client = Client::with_options(aliased.clone()).unwrap();
        ping(&client).await.unwrap();
        client.shutdown().await;
    }
    // Round trips are measured once per heartbeat, so wait until one has passed.
    heartbeats(&deployment, 3).await;
    let left = || connections(&deployment, 0, "aliased");
    eventually("no socket is left", LIMIT, left, |count| *count == 0).await;
}

async fn heartbeats(deployment: &Deployment, count: usize) {
    let (sender, mut checks) = mpsc::unbounded_channel();
    let mut options = options(deployment, "clock").await;
    options.heartbeat_freq = Some(HEARTBEAT);
    options.sdam_event_handler = Some(EventHandler::callback(move |event| {
        if let SdamEvent::ServerHeartbeatSucceeded(_) = event {
            let _ = sender.send(());
        }
    }));
    let client = Client::with_options(options).unwrap();
    ping(&client).await.unwrap();
    for _ in 0..count {
        checks.recv().await.unwrap();
    }
}
