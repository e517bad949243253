//! The servers that the tests share, and what they tell about their clients.

use std::{
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use motorcade::{
    bson::{Bson, Document, doc},
    options::ClientOptions,
};
use motorcade_testserver::Deployment;

/// Waits until no other test of this binary runs.
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn standalone() -> &'static Deployment {
    static STANDALONE: LazyLock<Deployment> = LazyLock::new(|| {
        Deployment::standalone()
            .start()
            .expect("a standalone starts")
    });
    &STANDALONE
}

/// Options for a client that the server knows by `app_name`.
pub(crate) async fn options(deployment: &Deployment, app_name: &str) -> ClientOptions {
    let mut options = ClientOptions::parse(deployment.uri())
        .await
        .expect("a deployment's connection string is right");
    options.app_name = Some(app_name.to_owned());
    options
}

/// How many connections the clients named `app_name` have to one member.
pub(crate) fn connections(deployment: &Deployment, member: usize, app_name: &str) -> usize {
    let ops = operations(deployment, member, doc! { "appName": app_name });
    let mut clients: Vec<_> = ops
        .iter()
        .filter_map(|op| op.get_str("client").ok())
        .collect();
    clients.sort_unstable();
    clients.dedup();
    clients.len()
}

/// What the connections of one member do that match `filter`; idle ones too.
pub(crate) fn operations(
    deployment: &Deployment,
    member: usize,
    filter: Document,
) -> Vec<Document> {
    let pipeline = vec![
        doc! { "$currentOp": { "allUsers": true, "idleConnections": true } },
        doc! { "$match": filter },
    ];
    let command = doc! {
        "aggregate": 1,
        "pipeline": pipeline,
        "cursor": { "batchSize": 10_000 },
        "$readPreference": { "mode": "secondaryPreferred" },
    };
    let reply = deployment
        .run_admin_command(member, &command)
        .expect("the server tells its connections");
    let batch = reply
        .get_document("cursor")
        .and_then(|cursor| cursor.get_array("firstBatch"))
        .expect("a batch");
    batch
        .iter()
        .filter_map(Bson::as_document)
        .cloned()
        .collect()
}

/// How many cursors are open on the first member.
pub(crate) fn open_cursors(deployment: &Deployment) -> i64 {
    let status = deployment
        .run_admin_command(0, &doc! { "serverStatus": 1 })
        .expect("the server tells its status");
    let metrics = status.get_document("metrics").expect("metrics");
    let open = metrics
        .get_document("cursor")
        .and_then(|cursor| cursor.get_document("open"))
        .expect("the cursors' metrics");
    open.get_i64("total").expect("a number of open cursors")
}

/// Waits until `holds`, while the runtime goes on with its other tasks.
///
/// # Panics
/// When it does not come to that in time; `describe` says what there was instead.
pub(crate) async fn eventually<T: std::fmt::Debug>(
    claim: &str,
    limit: Duration,
    mut look: impl FnMut() -> T,
    holds: impl Fn(&T) -> bool,
) {
    let deadline = Instant::now() + limit;
    loop {
        let seen = look();
        if holds(&seen) {
            return;
        }
        assert!(Instant::now() < deadline, "{claim}; found {seen:?}");
        tokio::task::yield_now().await;
    }
}
