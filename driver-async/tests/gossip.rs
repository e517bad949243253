//! What the cluster time costs that each reply brings and each command takes along: nothing, while
//! it is not newer. Counts the allocations of this process, so it is a binary with one test.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::alloc::System;

use motorcade::{
    Client, Collection,
    bson::{Document, doc},
    options::ClientOptions,
};
use motorcade_testserver::Deployment;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::runtime;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[test]
fn a_cluster_time_that_is_not_newer_costs_no_allocation() {
    let standalone = Deployment::standalone().start().unwrap();
    let replica_set = Deployment::replica_set(1).start().unwrap();
    // One thread, so that what is counted is the operation's.
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let without = people(&standalone).await;
        let with = people(&replica_set).await;
        assert_eq!(reads(&with).await, reads(&without).await);
        assert!(
            first_read_after_a_write(&with, &people(&replica_set).await).await > reads(&with).await,
            "a newer time is counted"
        );
    });
}

async fn people(deployment: &Deployment) -> Collection<Document> {
    let options = ClientOptions::parse(deployment.uri()).await.unwrap();
    let client = Client::with_options(options).unwrap();
    client.database("gossip").collection("people")
}

/// The allocations of a read among others, all of which see the same time. Other work on the thread,
/// such as that of a monitor, may come between, and only adds to them, so the least of many counts.
async fn reads(people: &Collection<Document>) -> usize {
    let mut least = usize::MAX;
    for _ in 0..100 {
        least = least.min(read(people).await);
    }
    least
}

/// The allocations of a read that is the first of its client to see the time of a write.
async fn first_read_after_a_write(
    people: &Collection<Document>,
    written: &Collection<Document>,
) -> usize {
    let mut least = usize::MAX;
    for number in 0..20 {
        written.insert_one(doc! { "number": number }).await.unwrap();
        least = least.min(read(people).await);
    }
    least
}

async fn read(people: &Collection<Document>) -> usize {
    let before = ALLOCATOR.stats();
    people.find_one(doc! { "_id": 0 }).await.unwrap();
    let during = ALLOCATOR.stats() - before;
    during.allocations + during.reallocations
}
