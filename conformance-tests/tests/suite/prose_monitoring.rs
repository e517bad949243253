//! The prose tests of server discovery and monitoring that stand neither in `discovery` nor in
//! `monitoring`.

use std::io::Read as _;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use conformance_tests::behaviour::Deployment;

use super::recorder::Event;
use super::servers::{FailPoint, address, secondary, uri_of, wait_until, writable};
use super::support::Observed;
use crate::flavor::driver::bson::doc;
use crate::flavor::driver::event::EventHandler;
use crate::flavor::driver::event::sdam::{SdamEvent, ServerType};
use crate::flavor::driver::options::SelectionCriteria;
use crate::flavor::{go, spawn};

conformance_tests::behaviours! {
    S1 a_streaming_server_answers_as_often_as_it_is_told: Either, Shared, since (4, 4);
    S2 the_round_trip_time_is_measured_all_the_time: ReplicaSet, FailPoint, since (4, 4);
    S3 a_check_is_told_of_before_its_connection_is_made: Standalone, Shared;
    S4 a_write_to_a_secondary_alone_is_refused_by_it: ReplicaSet, Shared;
}

fn a_streaming_server_answers_as_often_as_it_is_told(deployment: &Deployment) {
    let options = "serverMonitoringMode=stream&heartbeatFrequencyMS=500";
    let subject = Observed::new(deployment, options);
    subject.ping().expect("pings");
    for member in 0..deployment.servers().members().len() {
        let server = address(deployment, member);
        // At the usual pace of ten seconds so many would outlast the wait.
        subject.events.wait_for_count("answers", 5, |event| {
            matches!(event.sdam(), Some(SdamEvent::ServerHeartbeatSucceeded(event))
                if event.awaited && event.server_address == server)
        });
    }
}

fn the_round_trip_time_is_measured_all_the_time(deployment: &Deployment) {
    let options = "serverMonitoringMode=stream&heartbeatFrequencyMS=500";
    let subject = Observed::new(deployment, options).with_people(1);
    subject
        .events
        .wait_for_count("check", 2, Event::is_heartbeat_success);
    for event in subject.events.events() {
        let Some(SdamEvent::ServerDescriptionChanged(change)) = event.sdam() else {
            continue;
        };
        let server = &change.new_description;
        let time = server.average_round_trip_time();
        let is_known = server.server_type() != ServerType::Unknown;
        assert_eq!(
            time.is_some_and(|time| !time.is_zero()),
            is_known,
            "{server}"
        );
    }
    let member = writable(deployment);
    let here = address(deployment, member);
    let average = || {
        let told = Arc::new(Mutex::new(None));
        let heard = Arc::clone(&told);
        let here = here.clone();
        let hear = SelectionCriteria::Predicate(Arc::new(move |server| {
            let is_here = *server.address() == here;
            if is_here {
                *heard.lock().expect("no case panics here") = server.average_round_trip_time();
            }
            is_here
        }));
        go!(subject.people().find_one(doc! {}).selection_criteria(hear)).expect("finds");
        let told = *told.lock().expect("no case panics here");
        told.expect("a known server has one")
    };
    let limit = Duration::from_millis(250);
    assert!(average() < limit, "{:?}", average());
    // One of them makes for a fifth of the average.
    let data = doc! {
        "failCommands": ["hello", "isMaster"],
        "blockConnection": true,
        "blockTimeMS": 1500,
    };
    let _slow = FailPoint::always(deployment, member, data);
    wait_until("longer round trip", || (average() > limit).then_some(()));
}

fn a_check_is_told_of_before_its_connection_is_made(deployment: &Deployment) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let port = listener.local_addr().expect("has an address").port();
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = |what| {
        let told = Arc::clone(&told);
        move || told.lock().expect("no case panics here").push(what)
    };
    let (connected, received) = (tell("client connected"), tell("client hello received"));
    spawn(move || {
        for client in listener.incoming() {
            let mut client = client.expect("a client connects");
            connected();
            if client.read(&mut [0; 16]).is_ok_and(|read| read > 0) {
                received();
            }
        }
    });
    let (started, failed) = (tell("heartbeat started"), tell("heartbeat failed"));
    let uri = format!("mongodb://127.0.0.1:{port}/?serverSelectionTimeoutMS=500");
    let subject = Observed::configured(deployment, &uri, |options| {
        options.sdam_event_handler = Some(EventHandler::callback(move |event| match event {
            SdamEvent::ServerHeartbeatStarted(_) => started(),
            SdamEvent::ServerHeartbeatFailed(_) => failed(),
            _ => {}
        }));
    });
    let error = subject.ping().expect_err("nobody answers");
    assert!(error.is_timeout(), "{error:?}");
    let told = wait_until("failed check", || {
        let told = told.lock().expect("no case panics here");
        (told.len() >= 4).then(|| told[..4].to_vec())
    });
    let wanted = [
        "heartbeat started",
        "client connected",
        "client hello received",
        "heartbeat failed",
    ];
    assert_eq!(told, wanted);
}

fn a_write_to_a_secondary_alone_is_refused_by_it(deployment: &Deployment) {
    let host = deployment.servers().member(secondary(deployment)).address();
    let options = "directConnection=true&retryWrites=false";
    let subject = Observed::at(deployment, &uri_of(deployment, &[host], options));
    let error = go!(subject.people().insert_one(doc! {})).expect_err("is refused");
    // NotWritablePrimary
    assert_eq!(error.code(), Some(10107), "{error:?}");
    assert_eq!(subject.events.commands_named("insert").len(), 1);
}
