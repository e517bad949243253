//! The prose tests that need routers, before which the suite's stand-ins pose: those of retryable
//! reads and writes by R and W and their numbers, and the one of server selection.

use std::collections::HashSet;

use conformance_tests::behaviour::Deployment;
use conformance_tests::router_shim::RouterShim;

use super::recorder::Event;
use super::servers::{FailPoint, uri_of, writable};
use super::support::{Observed, in_parallel};
use crate::flavor::driver::bson::{Document, doc};
use crate::flavor::driver::error::RETRYABLE_WRITE_ERROR;
use crate::flavor::driver::event::command::CommandEvent;
use crate::flavor::driver::event::sdam::{SdamEvent, ServerType};
use crate::flavor::driver::options::ServerAddress;
use crate::flavor::go;

conformance_tests::behaviours! {
    R2 a_failed_read_is_tried_again_at_another_router: ReplicaSet, FailPoint, since (4, 4);
    R2 a_failed_read_is_tried_again_at_the_only_router: ReplicaSet, FailPoint, since (4, 4);
    W4 a_failed_write_is_tried_again_at_another_router: ReplicaSet, FailPoint, since (4, 4);
    W5 a_failed_write_is_tried_again_at_the_only_router: ReplicaSet, FailPoint, since (4, 4);
    S1 the_router_with_fewer_operations_gets_the_next: ReplicaSet, FailPoint, since (4, 4);
}

/// A client that knows as many routers, with one document in the collection.
pub(crate) fn routers(deployment: &Deployment, count: usize) -> (RouterShim, Observed) {
    let server = deployment.servers().member(writable(deployment)).address();
    let routers = RouterShim::routers(server, count).expect("listen");
    // Each is near enough, however busy the machine is.
    let options = "localThresholdMS=10000&directConnection=false";
    let uri = uri_of(deployment, &routers.hosts(), options);
    let subject = Observed::at(deployment, &uri).with_people(1);
    subject.events.wait_for_count("router", count, |event| {
        matches!(event.sdam(), Some(SdamEvent::ServerDescriptionChanged(change))
            if change.new_description.server_type() == ServerType::Mongos)
    });
    (routers, subject)
}

/// Fails that command as often as it says, whichever router it comes by.
fn failing(deployment: &Deployment, times: i32, mut data: Document) -> FailPoint {
    data.insert(
        "namespace",
        format!("{}.people", deployment.database_name()),
    );
    FailPoint::times(deployment, times, data)
}

fn failing_find() -> Document {
    doc! { "failCommands": ["find"], "errorCode": 6 }
}

fn failing_insert() -> Document {
    doc! { "failCommands": ["insert"], "errorCode": 6, "errorLabels": [RETRYABLE_WRITE_ERROR] }
}

/// The routers at which commands of that name failed, and at which they succeeded.
fn ends_of(subject: &Observed, command: &str) -> [Vec<ServerAddress>; 2] {
    let mut ends = [Vec::new(), Vec::new()];
    for event in subject.events.events() {
        let Event::Command(event) = event else {
            continue;
        };
        match *event {
            CommandEvent::Failed(end) if end.command_name == command => {
                ends[0].push(end.connection.address);
            }
            CommandEvent::Succeeded(end) if end.command_name == command => {
                ends[1].push(end.connection.address);
            }
            _ => {}
        }
    }
    ends
}

/// How often the first of two routers is chosen at random: often enough that the second one is
/// hardly ever another by chance alone.
const TURNS: usize = 12;

fn a_failed_read_is_tried_again_at_another_router(deployment: &Deployment) {
    let (_routers, subject) = routers(deployment, 2);
    for _ in 0..TURNS {
        subject.events.forget();
        let _failing = failing(deployment, 2, failing_find());
        let error = go!(subject.people().find_one(doc! {})).expect_err("fails twice");
        assert_eq!(error.code(), Some(6), "{error:?}");
        let [failed, succeeded] = ends_of(&subject, "find");
        assert_eq!((failed.len(), succeeded.len()), (2, 0));
        assert_ne!(failed[0], failed[1]);
    }
}

fn a_failed_read_is_tried_again_at_the_only_router(deployment: &Deployment) {
    let (_routers, subject) = routers(deployment, 1);
    let _failing = failing(deployment, 1, failing_find());
    go!(subject.people().find_one(doc! {})).expect("the second attempt succeeds");
    let [failed, succeeded] = ends_of(&subject, "find");
    assert_eq!((failed.len(), succeeded.len()), (1, 1));
    assert_eq!(failed, succeeded);
}

fn a_failed_write_is_tried_again_at_another_router(deployment: &Deployment) {
    let (_routers, subject) = routers(deployment, 2);
    for _ in 0..TURNS {
        subject.events.forget();
        let _failing = failing(deployment, 2, failing_insert());
        let error = go!(subject.people().insert_one(doc! {})).expect_err("fails twice");
        assert_eq!(error.code(), Some(6), "{error:?}");
        let [failed, succeeded] = ends_of(&subject, "insert");
        assert_eq!((failed.len(), succeeded.len()), (2, 0));
        assert_ne!(failed[0], failed[1]);
    }
}

fn a_failed_write_is_tried_again_at_the_only_router(deployment: &Deployment) {
    let (_routers, subject) = routers(deployment, 1);
    subject.events.forget();
    let mut data = failing_insert();
    data.insert("closeConnection", true);
    let _failing = failing(deployment, 1, data);
    go!(subject.people().insert_one(doc! {})).expect("the second attempt succeeds");
    let [failed, succeeded] = ends_of(&subject, "insert");
    assert_eq!((failed.len(), succeeded.len()), (1, 1));
    assert_eq!(failed, succeeded);
}

/// How many of the finds that ten threads make go to each of the routers, by its place.
fn shares(routers: &RouterShim, subject: &Observed, of_each_thread: usize) -> Vec<usize> {
    subject.events.forget();
    in_parallel(10, |_| {
        for _ in 0..of_each_thread {
            go!(subject.people().find_one(doc! {})).expect("finds");
        }
    });
    let finds = subject.events.commands_named("find");
    assert_eq!(finds.len(), 10 * of_each_thread);
    let hosts = routers.hosts();
    let known: HashSet<_> = hosts.iter().cloned().collect();
    assert!(
        finds
            .iter()
            .all(|find| known.contains(&find.connection.address.to_string()))
    );
    hosts
        .iter()
        .map(|host| {
            let at = finds
                .iter()
                .filter(|find| find.connection.address.to_string() == *host);
            at.count()
        })
        .collect()
}

fn the_router_with_fewer_operations_gets_the_next(deployment: &Deployment) {
    let (routers, subject) = routers(deployment, 2);
    let data = doc! {
        "failCommands": ["find"],
        "blockConnection": true,
        "blockTimeMS": 500,
        // The first router's clients.
        "appName": format!("{}@0", deployment.app_name()),
    };
    let slow = FailPoint::times(deployment, 10_000, data);
    let with_a_slow_one = shares(&routers, &subject, 10);
    assert!(with_a_slow_one[0] < 25, "{with_a_slow_one:?}");
    drop(slow);
    let alike = shares(&routers, &subject, 100);
    assert!(
        alike.iter().all(|share| (400..=600).contains(share)),
        "{alike:?}"
    );
}
