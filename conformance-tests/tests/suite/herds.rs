//! Many operations that lose their server at the same moment, and what they ask of the others.

use std::collections::{HashMap, HashSet};

use conformance_tests::behaviour::Deployment;

use super::recorder::Event;
use super::servers::{FailPoint, address, operations, wait_until, writable};
use super::support::{Observed, in_parallel};
use crate::flavor::driver::bson::doc;
use crate::flavor::driver::event::cmap::CmapEvent;
use crate::flavor::driver::event::sdam::SdamEvent;
use crate::flavor::driver::options::ServerAddress;
use crate::flavor::go;

conformance_tests::behaviours! {
    N8 operations_that_lose_their_primary_cause_no_herd: ReplicaSet, Disturbs, since (4, 4);
}

const OPERATIONS: usize = 500;
/// Of all operations together, and each survivor. The servers themselves tell of changes, a few in
/// an election.
const MOST_CHECKS: usize = OPERATIONS / 10;

fn operations_that_lose_their_primary_cause_no_herd(deployment: &Deployment) {
    let subject = Observed::new(deployment, "maxPoolSize=500").with_people(1);
    let old = writable(deployment);
    let primary = deployment.servers().member(old);
    let lost = address(deployment, old);
    let data = doc! {
        "failCommands": ["insert"], "blockConnection": true, "blockTimeMS": 120_000,
    };
    let blocking = FailPoint::always(deployment, old, data);
    in_parallel(OPERATIONS + 1, |number| {
        if number < OPERATIONS {
            go!(subject.people().insert_one(doc! {})).expect("inserts");
            return;
        }
        let inserts = doc! { "command.insert": "people" };
        wait_until("all operations on the primary", || {
            (operations(deployment, old, inserts.clone()).len() == OPERATIONS).then_some(())
        });
        subject.events.forget();
        primary.kill();
    });
    drop(blocking);
    let events = subject.events.events();
    primary.restart().expect("restarts");
    deployment.servers().wait_until_ready().expect("is whole");
    let count = go!(subject.people().count_documents(doc! {})).expect("counts");
    assert_eq!(count, OPERATIONS as u64 + 1);

    let checks = checks(&events);
    assert!(checks.len() > 1, "the survivors were checked");
    for (server, checks) in checks {
        assert!(checks.most_at_once <= 1, "{server} has several monitors");
        let is_survivor = server != lost;
        assert!(
            !is_survivor || checks.begun <= MOST_CHECKS,
            "{} checks of {server}",
            checks.begun
        );
    }
    let ramps = connecting_at_once(&events);
    assert!(!ramps.is_empty(), "nothing was connected");
    for (server, most) in ramps {
        assert!(most <= 2, "{most} connections to {server} were being made");
    }
}

#[derive(Default)]
struct Checks {
    begun: usize,
    under_way: usize,
    most_at_once: usize,
}

fn checks(events: &[Event]) -> HashMap<ServerAddress, Checks> {
    let mut checks = HashMap::<_, Checks>::new();
    for event in events {
        let (server, begins) = match event.sdam() {
            Some(SdamEvent::ServerHeartbeatStarted(event)) => (&event.server_address, true),
            Some(SdamEvent::ServerHeartbeatSucceeded(event)) => (&event.server_address, false),
            Some(SdamEvent::ServerHeartbeatFailed(event)) => (&event.server_address, false),
            _ => continue,
        };
        let checks = checks.entry(server.clone()).or_default();
        if begins {
            checks.begun += 1;
            checks.under_way += 1;
            checks.most_at_once = checks.most_at_once.max(checks.under_way);
        } else {
            // That of a check that was under way at the beginning has none before it.
            checks.under_way = checks.under_way.saturating_sub(1);
        }
    }
    checks
}

/// The most connections to each server that were being made at the same time.
fn connecting_at_once(events: &[Event]) -> HashMap<ServerAddress, usize> {
    let mut connecting = HashMap::<_, HashSet<u32>>::new();
    let mut most = HashMap::new();
    for event in events {
        let Event::Cmap(event) = event else {
            continue;
        };
        let (server, id) = match event {
            CmapEvent::ConnectionCreated(event) => {
                let now = connecting.entry(event.address.clone()).or_default();
                now.insert(event.connection_id);
                let most = most.entry(event.address.clone()).or_insert(0);
                *most = now.len().max(*most);
                continue;
            }
            CmapEvent::ConnectionReady(event) => (&event.address, event.connection_id),
            CmapEvent::ConnectionClosed(event) => (&event.address, event.connection_id),
            _ => continue,
        };
        if let Some(now) = connecting.get_mut(server) {
            now.remove(&id);
        }
    }
    most
}
