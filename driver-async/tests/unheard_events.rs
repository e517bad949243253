//! What events cost when nobody listens: nothing. Counts the allocations of this process, so it is
//! a binary with one test.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    alloc::System,
    sync::atomic::{AtomicBool, Ordering},
};

use motorcade::{
    Client, Collection,
    bson::{Document, doc},
    event::{EventHandler, log},
    options::ClientOptions,
};
use motorcade_testserver::Deployment;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::runtime;
use tracing::{Metadata, Subscriber, span};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// All that an operation allocates which finds nothing: the future that its action becomes. Buffers
/// are those of the connection.
const FUTURE: usize = 1;

/// Whether the subscriber wants the driver's messages.
static IS_WANTED: AtomicBool = AtomicBool::new(false);
static TARGETS: [&str; 4] = [
    log::COMMAND,
    log::CONNECTION,
    log::TOPOLOGY,
    log::SERVER_SELECTION,
];

/// A subscriber that wants messages or not and drops what it gets.
struct Ear;

impl Subscriber for Ear {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        IS_WANTED.load(Ordering::Relaxed) && TARGETS.contains(&metadata.target())
    }

    fn register_callsite(&self, _: &'static Metadata<'static>) -> tracing::subscriber::Interest {
        tracing::subscriber::Interest::sometimes()
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[test]
fn an_operation_that_nobody_listens_to_allocates_nothing_for_events() {
    let server = Deployment::standalone().start().unwrap();
    // One thread, so that what is counted is the operation's.
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let silent = people(&server, |_| ()).await;
        let heard = people(&server, |options| {
            options.command_event_handler = Some(EventHandler::callback(drop));
            options.cmap_event_handler = Some(EventHandler::callback(drop));
            options.sdam_event_handler = Some(EventHandler::callback(drop));
        })
        .await;
        assert!(allocations(&heard).await > FUTURE, "events are counted");
        assert_eq!(allocations(&silent).await, FUTURE, "nobody listens");
        tracing::subscriber::set_global_default(Ear).unwrap();
        assert_eq!(
            allocations(&silent).await,
            FUTURE,
            "the subscriber declines"
        );
        IS_WANTED.store(true, Ordering::Relaxed);
        assert!(allocations(&silent).await > FUTURE, "messages are counted");
    });
}

async fn people(
    server: &Deployment,
    change: impl FnOnce(&mut ClientOptions),
) -> Collection<Document> {
    let mut options = ClientOptions::parse(server.uri()).await.unwrap();
    change(&mut options);
    let client = Client::with_options(options).unwrap();
    client.database("unheard").collection("people")
}

/// The allocations of one operation. Other work on the thread, such as that of a monitor, may come
/// between, and only adds to them, so the least of many counts.
async fn allocations(people: &Collection<Document>) -> usize {
    let mut least = usize::MAX;
    for _ in 0..100 {
        let before = ALLOCATOR.stats();
        people.find_one(doc! {}).await.unwrap();
        let during = ALLOCATOR.stats() - before;
        least = least.min(during.allocations + during.reallocations);
    }
    least
}
