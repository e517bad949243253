//! Listeners that block, and what goes on meanwhile.

use std::{
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        mpsc::{self, Receiver, Sender},
    },
    time::Duration,
};

use motorcade::{
    Client,
    bson::{Document, doc},
    event::{
        EventHandler,
        cmap::CmapEvent,
        command::{CommandEvent, CommandStartedEvent},
        log,
        sdam::SdamEvent,
    },
    options::{ClientOptions, ServerMonitoringMode},
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tracing::{Metadata, Subscriber, span};

use crate::{
    peer::Peer,
    servers::{eventually, turn},
};

/// How long anything may take; it is reached only by what hangs.
const LIMIT: Duration = Duration::from_secs(20);

/// Where a listener stops, once, until the test lets it go on.
struct Gate {
    entered: UnboundedSender<()>,
    released: Mutex<Receiver<()>>,
}

/// The test's side of a gate. The listener goes on when it is dropped.
struct Keeper {
    entered: UnboundedReceiver<()>,
    _release: Sender<()>,
}

fn gate() -> (Arc<Gate>, Keeper) {
    let (entered, has_entered) = unbounded_channel();
    let (release, released) = mpsc::channel();
    let released = Mutex::new(released);
    let gate = Gate { entered, released };
    let keeper = Keeper {
        entered: has_entered,
        _release: release,
    };
    (Arc::new(gate), keeper)
}

impl Gate {
    fn pass(&self) {
        let _: Result<_, _> = self.entered.send(());
        let released = self.released.lock().unwrap_or_else(PoisonError::into_inner);
        // The sender never sends: it goes away.
        let _: Result<(), _> = released.recv();
    }
}

/// The gate at which the process's subscriber stops, if it wants messages.
static LOG_GATE: LazyLock<Mutex<Option<Arc<Gate>>>> = LazyLock::new(Mutex::default);

struct Ear;

impl Ear {
    fn gate() -> Option<Arc<Gate>> {
        LOG_GATE.lock().unwrap().clone()
    }
}

impl Subscriber for Ear {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == log::TOPOLOGY && Self::gate().is_some()
    }

    fn register_callsite(&self, _: &'static Metadata<'static>) -> tracing::subscriber::Interest {
        tracing::subscriber::Interest::sometimes()
    }

    fn event(&self, _: &tracing::Event<'_>) {
        if let Some(gate) = Self::gate() {
            gate.pass();
        }
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// A server whose cursors have more to give.
async fn peer() -> Peer {
    Peer::start(|name, _| {
        let ns = "people.all";
        match name {
            "find" => {
                doc! { "ok": 1, "cursor": { "id": 7_i64, "ns": ns, "firstBatch": [{}] } }.into()
            }
            _ => doc! { "ok": 1 }.into(),
        }
    })
    .await
}

/// Makes a client whose listener comes to a gate, and holds it there until the server has seen two
/// more checks.
async fn checks_go_on(listen: impl FnOnce(&mut ClientOptions, Arc<Gate>)) {
    checks_go_on_while(listen, async |_| ()).await;
}

/// The same with some work of the client before it.
async fn checks_go_on_while(
    listen: impl FnOnce(&mut ClientOptions, Arc<Gate>),
    work: impl AsyncFnOnce(&Client),
) {
    let _turn = turn();
    let peer = peer().await;
    let (gate, mut keeper) = gate();
    let mut options = peer.options().await;
    options.heartbeat_freq = Some(Duration::from_millis(500));
    options.server_monitoring_mode = Some(ServerMonitoringMode::Poll);
    options.min_pool_size = Some(1);
    listen(&mut options, gate);
    let client = Client::with_options(options).unwrap();
    // It all happens in the background: on this thread the listener would keep the server from
    // answering.
    let opened = client.clone();
    let opening = tokio::spawn(async move { opened.warm_connection_pool().await });
    work(&client).await;
    let entered = tokio::time::timeout(LIMIT, keeper.entered.recv()).await;
    entered.expect("the listener is called");
    let before = peer.checks();
    let checks = || peer.checks() - before;
    eventually("checks go on", LIMIT, checks, |count| *count >= 2).await;
    *LOG_GATE.lock().unwrap() = None;
    drop(keeper);
    opening.await.unwrap();
    client.shutdown().await;
}

#[tokio::test]
async fn checks_go_on_while_a_listener_of_discovery_blocks() {
    checks_go_on(|options, gate| {
        options.sdam_event_handler = Some(EventHandler::callback(move |event| {
            if matches!(event, SdamEvent::ServerHeartbeatSucceeded(_)) {
                gate.pass();
            }
        }));
    })
    .await;
}

#[tokio::test]
async fn checks_go_on_while_a_listener_of_a_pool_blocks() {
    checks_go_on(|options, gate| {
        options.cmap_event_handler = Some(EventHandler::callback(move |event| {
            if matches!(event, CmapEvent::PoolReady(_)) {
                gate.pass();
            }
        }));
    })
    .await;
}

#[tokio::test]
async fn checks_go_on_while_a_listener_of_commands_blocks() {
    let listen = |options: &mut ClientOptions, gate: Arc<Gate>| {
        options.command_event_handler = Some(EventHandler::callback(move |event| {
            if let CommandEvent::Started(CommandStartedEvent { command_name, .. }) = event
                && command_name == "killCursors"
            {
                gate.pass();
            }
        }));
    };
    checks_go_on_while(listen, async |client| {
        let people = client.database("people").collection::<Document>("all");
        // The rest of the cursor is closed in the background.
        drop(people.find(doc! {}).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn checks_go_on_while_a_subscriber_of_the_log_blocks() {
    tracing::subscriber::set_global_default(Ear).unwrap();
    checks_go_on(|_, gate| *LOG_GATE.lock().unwrap() = Some(gate)).await;
}
