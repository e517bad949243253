//! The monitors: what they tell, what they survive, and which connections they use.

use std::time::{Duration, Instant};

use conformance_tests::behaviour::Deployment;

use super::recorder::{Event, Recorder};
use super::servers::{
    FailPoint, address, connections_to, operations, uri_of, wait_until, writable,
};
use super::support::Observed;
use crate::flavor::driver::bson::{Document, doc};
use crate::flavor::driver::event::cmap::CmapEvent;
use crate::flavor::driver::event::sdam::{SdamEvent, ServerType};
use crate::flavor::driver::options::{ClientOptions, ServerAddress};

conformance_tests::behaviours! {
    R3 each_server_has_one_monitor: Either, Shared, since (4, 4);
    F47 a_failed_check_clears_the_pool_and_the_next_readies_it: Either, FailPoint;
    // Older fail points do not know the application of a connection's first hello yet.
    F62 five_failing_checks_of_a_fresh_client_take_two_seconds: Standalone, FailPoint, since (5, 0);
    F65 a_check_answering_not_primary_makes_the_server_unknown: Either, FailPoint;
    R66 round_trips_are_timed_apart_in_stream_mode_only: Either, Shared, since (4, 4);
    R78 a_change_of_round_trip_time_alone_is_no_event: Either, Shared;
    N4 a_pool_survives_heartbeats: Either, Shared;
    R66 limits_of_any_length_leave_the_checks_alone: Either, Shared;
}

const CHECKS: [&str; 3] = ["hello", "isMaster", "ismaster"];

/// Fails every check of the member that accepts writes, until it is dropped.
fn failing_checks(deployment: &Deployment, mut data: Document) -> FailPoint {
    data.insert("failCommands", CHECKS.as_slice().to_vec());
    FailPoint::always(deployment, writable(deployment), data)
}

fn each_server_has_one_monitor(deployment: &Deployment) {
    let subject = Observed::new(deployment, "serverMonitoringMode=stream");
    subject.ping().expect("pings");
    let waiting = doc! { "$or": [
        { "command.hello": { "$exists": true } },
        { "command.isMaster": { "$exists": true } },
    ] };
    for member in 0..deployment.servers().members().len() {
        let count = wait_until("waiting check", || {
            let count = operations(deployment, member, waiting.clone()).len();
            (count > 0).then_some(count)
        });
        assert_eq!(count, 1, "member {member}");
    }
}

/// The places in `events` of a failed check, a cleared pool, a check that succeeds after that, and
/// a ready pool, of that server.
fn stages(events: &[Event], server: &ServerAddress) -> Vec<&'static str> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::Cmap(CmapEvent::PoolCleared(event)) if event.address == *server => {
                Some("pool cleared")
            }
            Event::Cmap(CmapEvent::PoolReady(event)) if event.address == *server => {
                Some("pool ready")
            }
            _ => match event.sdam()? {
                SdamEvent::ServerHeartbeatFailed(event) if event.server_address == *server => {
                    Some("check failed")
                }
                SdamEvent::ServerHeartbeatSucceeded(event) if event.server_address == *server => {
                    Some("check succeeded")
                }
                _ => None,
            },
        })
        .collect()
}

fn wait_for_stage(events: &Recorder, server: &ServerAddress, stage: &str) -> Vec<&'static str> {
    events.wait_for(stage, |events| {
        let mut stages = stages(events, server);
        let end = stages.iter().position(|seen| *seen == stage)?;
        stages.truncate(end + 1);
        stages.dedup();
        Some(stages)
    })
}

fn a_failed_check_clears_the_pool_and_the_next_readies_it(deployment: &Deployment) {
    let server = address(deployment, writable(deployment));
    // Only what happens in the background is told in one order for checks and pools. An operation
    // tells of its pool by itself, so there is none while the order matters.
    let hosts = [server.to_string()];
    let options = "directConnection=true&heartbeatFrequencyMS=500";
    let subject = Observed::at(deployment, &uri_of(deployment, &hosts, options));
    subject.ping().expect("pings");
    subject.events.wait_for("first check and pool", |events| {
        let mut stages = stages(events, &server);
        stages.sort_unstable();
        stages.dedup();
        (stages == ["check succeeded", "pool ready"]).then_some(())
    });
    subject.events.forget();
    let failing = failing_checks(deployment, doc! { "closeConnection": true });
    let stages = wait_for_stage(&subject.events, &server, "pool cleared");
    let stages: Vec<_> = stages
        .into_iter()
        .skip_while(|s| *s == "check succeeded")
        .collect();
    assert_eq!(stages, ["check failed", "pool cleared"]);
    subject.events.forget();
    drop(failing);
    let stages = wait_for_stage(&subject.events, &server, "pool ready");
    let stages: Vec<_> = stages
        .into_iter()
        .skip_while(|s| *s == "check failed")
        .collect();
    assert_eq!(stages, ["check succeeded", "pool ready"]);
    subject.ping().expect("pings again");
}

fn five_failing_checks_of_a_fresh_client_take_two_seconds(deployment: &Deployment) {
    let data = doc! { "failCommands": CHECKS.as_slice().to_vec(), "errorCode": 1234 };
    let _failing = FailPoint::times(deployment, 5, data);
    let subject = Observed::new(deployment, "");
    let start = Instant::now();
    subject.ping().expect("the sixth check succeeds");
    assert!(
        start.elapsed() >= Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
    let failed = |event: &Event| matches!(event.sdam(), Some(SdamEvent::ServerHeartbeatFailed(_)));
    subject.events.wait_for_count("failed checks", 5, failed);
    assert_eq!(subject.events.count(failed), 5);
}

fn a_check_answering_not_primary_makes_the_server_unknown(deployment: &Deployment) {
    let server = address(deployment, writable(deployment));
    let subject = Observed::new(deployment, "heartbeatFrequencyMS=500");
    subject.ping().expect("pings");
    let failing = failing_checks(deployment, doc! { "errorCode": 10107 });
    let last_type = |events: &[Event]| {
        events.iter().rev().find_map(|event| match event.sdam() {
            Some(SdamEvent::ServerDescriptionChanged(change)) if change.address == server => {
                Some(change.new_description.server_type())
            }
            _ => None,
        })
    };
    subject.events.wait_for("unknown server", |events| {
        (last_type(events) == Some(ServerType::Unknown)).then_some(())
    });
    drop(failing);
    subject.events.wait_for("known server", |events| {
        (last_type(events) != Some(ServerType::Unknown)).then_some(())
    });
    subject.ping().expect("pings again");
}

fn round_trips_are_timed_apart_in_stream_mode_only(deployment: &Deployment) {
    let member = writable(deployment);
    let server = address(deployment, member);
    let polling = Observed::new(
        deployment,
        "serverMonitoringMode=poll&heartbeatFrequencyMS=500",
    );
    polling.ping().expect("pings");
    let checks = |event: &Event, awaits: bool| {
        matches!(event.sdam(), Some(SdamEvent::ServerHeartbeatSucceeded(event))
            if event.server_address == server && event.awaited == awaits)
    };
    polling
        .events
        .wait_for_count("polls", 3, |event| checks(event, false));
    assert_eq!(polling.events.count(|event| checks(event, true)), 0);
    let of_pool_and_monitor = connections_to(deployment, member);
    assert_eq!(of_pool_and_monitor, 2);
    drop(polling);
    wait_until("end of the polling client", || {
        (connections_to(deployment, member) == 0).then_some(())
    });

    let options = "serverMonitoringMode=stream&heartbeatFrequencyMS=500";
    let streaming = Observed::new(deployment, options);
    streaming.ping().expect("pings");
    wait_until("connection for round trips", || {
        (connections_to(deployment, member) == 3).then_some(())
    });
}

/// Waits until each server has been checked three times more.
fn wait_for_heartbeats(deployment: &Deployment, events: &Recorder) {
    for member in 0..deployment.servers().members().len() {
        let server = address(deployment, member);
        events.wait_for_count("heartbeats", 4, |event| {
            matches!(event.sdam(), Some(SdamEvent::ServerHeartbeatSucceeded(event))
                if event.server_address == server)
        });
    }
}

fn a_change_of_round_trip_time_alone_is_no_event(deployment: &Deployment) {
    let subject = Observed::new(deployment, "heartbeatFrequencyMS=500");
    subject.ping().expect("pings");
    wait_for_heartbeats(deployment, &subject.events);
    let changes =
        |event: &Event| matches!(event.sdam(), Some(SdamEvent::ServerDescriptionChanged(_)));
    let members = deployment.servers().members().len();
    assert_eq!(
        subject.events.count(changes),
        members,
        "one for the discovery of each server"
    );
}

fn a_pool_survives_heartbeats(deployment: &Deployment) {
    let subject = Observed::new(deployment, "heartbeatFrequencyMS=500");
    subject.ping().expect("pings");
    wait_for_heartbeats(deployment, &subject.events);
    subject.ping().expect("pings");
    assert_eq!(subject.events.checked_out(), [1, 1]);
    assert_eq!(subject.events.count(Event::is_pool_cleared), 0);
}

fn limits_of_any_length_leave_the_checks_alone(deployment: &Deployment) {
    type Limit = fn(&mut ClientOptions) -> &mut Option<Duration>;
    let limits: [(&str, Limit); 8] = [
        ("connect_timeout", |options| &mut options.connect_timeout),
        ("heartbeat_freq", |options| &mut options.heartbeat_freq),
        ("local_threshold", |options| &mut options.local_threshold),
        ("max_idle_time", |options| &mut options.max_idle_time),
        ("server_selection_timeout", |options| {
            &mut options.server_selection_timeout
        }),
        ("socket_timeout", |options| &mut options.socket_timeout),
        ("timeout", |options| &mut options.timeout),
        ("wait_queue_timeout", |options| {
            &mut options.wait_queue_timeout
        }),
    ];
    let server = address(deployment, writable(deployment));
    let uri = uri_of(deployment, &[server.to_string()], "directConnection=true");
    for (name, limit) in limits {
        let subject = Observed::configured(deployment, &uri, |options| {
            options.heartbeat_freq = Some(Duration::from_millis(500));
            *limit(options) = Some(Duration::MAX);
        });
        subject
            .ping()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        // The first check is not streamed; a second that fails would be followed by others.
        let checks = if name == "heartbeat_freq" { 1 } else { 3 };
        let events = &subject.events;
        events.wait_for_count(name, checks, Event::is_heartbeat_success);
        let failed =
            |event: &Event| matches!(event.sdam(), Some(SdamEvent::ServerHeartbeatFailed(_)));
        assert_eq!(events.count(failed), 0, "{name}");
    }
}
