//! What listeners are told of an operation that is dropped, and what they may do.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

use tokio::{task::block_in_place, time::error::Elapsed};

use motorcade::{
    Client,
    bson::doc,
    error::ErrorKind,
    event::{EventHandler, cmap::CmapEvent, command::CommandEvent, sdam::SdamEvent},
    options::{ClientOptions, ServerMonitoringMode},
};

use crate::{
    dropped::polled,
    servers::{options, standalone, turn},
};

/// How long a listener may take to be called.
const LIMIT: Duration = Duration::from_secs(10);

/// Options for a client that checks its server as often as it may.
async fn checking(app_name: &str) -> ClientOptions {
    let mut options = options(standalone(), app_name).await;
    options.server_monitoring_mode = Some(ServerMonitoringMode::Poll);
    options.heartbeat_freq = Some(Duration::from_millis(500));
    options
}

async fn ping(client: &Client) -> motorcade::error::Result<()> {
    let admin = client.database("admin");
    admin.run_command(doc! { "ping": 1 }).await.map(drop)
}

#[tokio::test]
async fn a_command_whose_operation_is_dropped_has_failed() {
    let _turn = turn();
    let (sender, mut events) = tokio::sync::mpsc::unbounded_channel();
    let mut options = options(standalone(), "told").await;
    options.command_event_handler = Some(EventHandler::from(sender));
    let client = Client::with_options(options).unwrap();
    let admin = client.database("admin");
    let command = doc! { "sleep": 1, "secs": 30, "lock": "none" };
    let mut sleeping = admin.run_command(command).into_future();
    let started = tokio::select! {
        outcome = &mut sleeping => panic!("{outcome:?}"),
        event = events.recv() => event.unwrap(),
    };
    assert!(matches!(started, CommandEvent::Started(_)), "{started:?}");
    drop(sleeping);
    // Nobody waits for the reply any more, so it is told at once.
    let CommandEvent::Failed(failed) = events.try_recv().unwrap() else {
        panic!("the command did not fail")
    };
    assert_eq!(failed.request_id, started.request_id());
    assert!(matches!(*failed.failure.kind, ErrorKind::Cancelled { .. }));
    client.shutdown().immediate(true).await;
}

/// A pool is cleared and made ready while the topology is locked; its listeners learn of it later.
#[test]
fn the_listener_of_a_pool_may_drop_the_last_handle_of_the_client() {
    // Shut down without waiting, for threads that hang.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let outcome = runtime.block_on(drop_last_handle());
    runtime.shutdown_background();
    assert_eq!(outcome, Ok(Some(())), "the listener hangs");
}

async fn drop_last_handle() -> Result<Option<()>, Elapsed> {
    let _turn = turn();
    let mut options = checking("told-last").await;
    let last: Arc<Mutex<Option<Client>>> = Arc::default();
    let (sender, mut dropped) = tokio::sync::mpsc::unbounded_channel();
    let held = Arc::clone(&last);
    options.cmap_event_handler = Some(EventHandler::callback(move |event| {
        if matches!(event, CmapEvent::PoolCleared(_)) {
            let client = held.lock().unwrap().take();
            // Elsewhere than on the thread that drives the I/O of the others.
            block_in_place(|| drop(client));
            sender.send(()).unwrap();
        }
    }));
    let client = Client::with_options(options).unwrap();
    ping(&client).await.unwrap();
    *last.lock().unwrap() = Some(client);
    let data = doc! {
        "failCommands": ["hello", "isMaster"], "closeConnection": true, "appName": "told-last",
    };
    let failing = doc! { "configureFailPoint": "failCommand", "mode": "alwaysOn", "data": data };
    standalone().run_admin_command(0, &failing).unwrap();
    let outcome = tokio::time::timeout(LIMIT, dropped.recv()).await;
    let off = doc! { "configureFailPoint": "failCommand", "mode": "off" };
    standalone().run_admin_command(0, &off).unwrap();
    outcome
}

#[test]
fn a_shutdown_waits_for_events_that_another_thread_delivers() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let outcome = runtime.block_on(shut_down_amid_delivery());
    runtime.shutdown_background();
    outcome.unwrap();
}

/// Fails when the shutdown ends too early, or something else was told last than the closing.
async fn shut_down_amid_delivery() -> Result<(), String> {
    let _turn = turn();
    let mut options = checking("told-all").await;
    let is_armed = Arc::new(AtomicBool::new(false));
    let (armed, told) = (Arc::clone(&is_armed), Arc::<Mutex<Vec<_>>>::default());
    let events = Arc::clone(&told);
    let (sender, mut entered) = tokio::sync::mpsc::unbounded_channel();
    let (release, released) = mpsc::channel();
    let released = Mutex::new(released);
    options.sdam_event_handler = Some(EventHandler::callback(move |event| {
        let is_check = matches!(event, SdamEvent::ServerHeartbeatStarted(_));
        events.lock().unwrap().push(event);
        if is_check && armed.swap(false, Ordering::AcqRel) {
            sender.send(()).unwrap();
            block_in_place(|| released.lock().unwrap().recv().unwrap());
        }
    }));
    let client = Client::with_options(options).unwrap();
    ping(&client).await.unwrap();
    is_armed.store(true, Ordering::Release);
    entered.recv().await.unwrap();
    let mut shutdown = client.clone().shutdown().into_future();
    while ping(&client).await.is_ok() {
        if polled(&mut shutdown, 1).await.is_some() {
            return Err("an event is still being delivered".to_owned());
        }
        tokio::task::yield_now().await;
    }
    release.send(()).unwrap();
    shutdown.await;
    let told = told.lock().unwrap();
    match told.last() {
        Some(SdamEvent::TopologyClosed(_)) => Ok(()),
        other => Err(format!("{other:?} was told last")),
    }
}
