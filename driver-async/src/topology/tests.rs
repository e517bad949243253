use std::{
    sync::atomic::AtomicUsize,
    time::{Duration, Instant},
};

use super::*;
use crate::{
    deadline::{Cause, Deadline},
    event::log::selection::SelectionLog,
    options::ClientOptions,
    proto::{
        hello::HelloReply,
        topology::{ServerDescription, ServerType},
    },
};

const FLIPS: usize = 100_000;
/// How often a member is replaced by another, which closes its pool and ends its monitor.
const FLIPS_TO_REMOVAL: usize = 50;
const TASKS: usize = 64;

/// Nobody listens there, and nobody waits to find that out.
fn address(name: &str) -> ServerAddress {
    ServerAddress::parse(format!("/nowhere/{name}.sock")).unwrap()
}

async fn topology() -> Arc<Topology> {
    let options = ClientOptions::builder()
        .hosts(vec![address("a")])
        .repl_set_name("rs".to_owned())
        .build();
    let settings = Settings::new(&options).unwrap();
    Arc::new(Topology::new(settings, TopologySeed::from(&options)))
}

fn primary(name: &str, hosts: &[&str]) -> ServerDescription {
    let reply = HelloReply {
        ok: true,
        is_writable_primary: true,
        set_name: Some("rs".to_owned()),
        hosts: hosts.iter().map(|name| address(name)).collect(),
        max_wire_version: 17,
        ..HelloReply::default()
    };
    ServerDescription::from_hello(address(name), &reply, None, Instant::now())
}

fn apply(topology: &Arc<Topology>, description: ServerDescription) {
    let writing = topology.published.write();
    topology.apply_locked(description);
    drop(writing);
    topology.deliver();
}

/// Selects as fast as it goes, until told to stop.
async fn select_always(topology: Arc<Topology>, is_over: Arc<AtomicUsize>) -> usize {
    let mut count = 0;
    while is_over.load(Ordering::Acquire) == 0 {
        // It is reached only by one who was forgotten.
        let deadline = Deadline::after(Duration::from_secs(60), Cause::ServerSelection);
        let context = *topology.log();
        let log = SelectionLog {
            context: &context,
            delivery_thread: topology.command_delivery(),
            operation: "flip",
            operation_id: None,
        };
        let selected = topology.select(Wanted::Write, &[], &deadline, &log).await;
        assert_eq!(*selected.unwrap().address(), address("a"));
        count += 1;
        tokio::task::yield_now().await;
    }
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_tasks_select_while_the_topology_flips_a_hundred_thousand_times() {
    let topology = topology().await;
    let states = [
        primary("a", &["a", "b"]),
        ServerDescription::from_error(address("a"), Error::internal("flip"), Instant::now()),
        primary("a", &["a", "c"]),
    ];
    topology.open().unwrap();
    let is_over: Arc<AtomicUsize> = Arc::default();
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| tokio::spawn(select_always(Arc::clone(&topology), Arc::clone(&is_over))))
        .collect();
    let first = topology.snapshot_owned();
    for flip in 0..FLIPS {
        let member = flip / FLIPS_TO_REMOVAL % 2 * 2;
        let state = if flip % 2 == 0 { 1 } else { member };
        apply(&topology, states[state].clone());
        if flip % 64 == 0 {
            tokio::task::yield_now().await;
        }
    }
    is_over.store(1, Ordering::Release);
    // Those who wait for a primary get the last.
    apply(&topology, states[0].clone());
    for task in tasks {
        let count = task.await.unwrap();
        assert!(count > 0, "a task never selected");
    }
    let a = &first.description.servers[&address("a")];
    assert_eq!(
        (first.servers.len(), a.server_type()),
        (1, ServerType::Unknown)
    );
    topology.close();
}

/// Each check is taken over, whoever else has news at the same time.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn checks_of_several_servers_at_the_same_time_lose_nothing() {
    for round in 0..200 {
        let topology = topology().await;
        topology.open().unwrap();
        apply(&topology, primary("a", &["a", "b", "c", "d"]));
        let news: Vec<_> = ["b", "c", "d"]
            .into_iter()
            .map(|name| {
                let topology = Arc::clone(&topology);
                let mut reply = HelloReply {
                    ok: true,
                    secondary: true,
                    set_name: Some("rs".to_owned()),
                    max_wire_version: 17,
                    ..HelloReply::default()
                };
                reply.hosts = ["a", "b", "c", "d"].map(address).to_vec();
                let news =
                    ServerDescription::from_hello(address(name), &reply, None, Instant::now());
                tokio::task::spawn_blocking(move || apply(&topology, news))
            })
            .collect();
        for task in news {
            task.await.unwrap();
        }
        let snapshot = topology.snapshot_owned();
        let known = snapshot.description.servers.values();
        let known = known.filter(|it| it.error.is_none() && it.is_available());
        // A monitor may have found out by now that nobody is there.
        let failed = snapshot.description.servers.values();
        let failed = failed.filter(|it| it.error.is_some());
        assert_eq!(known.count() + failed.count(), 4, "round {round}");
        topology.close();
    }
}

#[tokio::test]
async fn an_error_of_a_server_that_left_says_nothing_about_it_once_it_came_back() {
    // No operation has begun, so nobody checks the servers.
    let topology = topology().await;
    let (with, without) = (primary("a", &["a", "b"]), primary("a", &["a"]));
    let generation = || {
        let server = topology.snapshot().servers.get(&address("b")).cloned();
        server.map(|server| server.pool.generation(None))
    };
    apply(&topology, with.clone());
    let before = generation().unwrap();
    apply(&topology, without);
    assert_eq!(generation(), None);
    apply(&topology, with);
    let now = generation().unwrap();
    assert_eq!(before.number(), now.number());

    let reset = Error::from(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
    let mut seen = Vec::new();
    for reported in [before, now] {
        topology.report_connect_error(&address("b"), &reset, reported);
        let has_error = topology.snapshot().description.servers[&address("b")]
            .error
            .is_some();
        seen.push((has_error, generation().unwrap().number()));
    }
    assert_eq!(seen, [(false, 0), (true, 1)]);
}
