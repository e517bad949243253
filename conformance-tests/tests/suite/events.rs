//! The events of commands, connections and discovery: what they tell, and that none is missing.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use conformance_tests::behaviour::Deployment;

use super::recorder::Event;
use super::servers::{FailPoint, secured_uri};
use super::support::Observed;
use crate::flavor::driver::bson::{Bson, doc};
use crate::flavor::driver::bulk::{DeleteOne, InsertOne, UpdateOne};
use crate::flavor::driver::event::cmap::{
    CmapEvent, ConnectionCheckoutFailedEvent, ConnectionCheckoutFailedReason,
    ConnectionClosedEvent, ConnectionClosedReason,
};
use crate::flavor::driver::event::command::{
    CommandEvent, CommandFailedEvent, CommandSucceededEvent,
};
use crate::flavor::driver::event::sdam::{SdamEvent, TopologyType};
use crate::flavor::driver::options::WriteConcern;
use crate::flavor::{collect, go};

conformance_tests::behaviours! {
    R89 the_attempts_of_one_operation_have_one_number: Either, FailPoint;
    R89 the_commands_of_one_bulk_write_have_one_number: Either, Shared;
    E1 every_start_has_its_end_with_the_same_particulars: Either, Shared;
    E2 a_command_with_write_errors_has_succeeded: Either, Shared;
    E3 an_unacknowledged_write_has_succeeded_with_ok: Either, Shared;
    E4 what_the_server_refuses_and_what_the_network_loses_has_failed: Either, FailPoint;
    E5 commands_of_cursors_and_sessions_are_told_and_those_of_handshakes_are_not: Either, Shared;
    E6 events_name_the_connection_by_both_sides_numbers: Either, Shared;
    E7 a_connection_that_broke_tells_how: Either, FailPoint;
    E8 a_check_out_that_fails_tells_why_and_how_long_it_took: Standalone, Shared;
    E9 an_unused_connection_is_closed_as_idle: Standalone, Shared;
    E10 discovery_ends_with_an_unknown_topology_and_its_closing: Either, Shared;
    E11 the_first_check_lasts_as_long_as_its_round_trip: Standalone, Shared;
}

/// What the events of commands say, in their order.
fn commands(subject: &Observed) -> Vec<CommandEvent> {
    let events = subject.events.events().into_iter();
    events
        .filter_map(|event| match event {
            Event::Command(event) => Some(*event),
            _ => None,
        })
        .collect()
}

fn failures(subject: &Observed) -> Vec<CommandFailedEvent> {
    let events = commands(subject).into_iter();
    events
        .filter_map(|event| match event {
            CommandEvent::Failed(failed) => Some(failed),
            _ => None,
        })
        .collect()
}

fn successes(subject: &Observed) -> Vec<CommandSucceededEvent> {
    let events = commands(subject).into_iter();
    events
        .filter_map(|event| match event {
            CommandEvent::Succeeded(done) => Some(done),
            _ => None,
        })
        .collect()
}

fn closings(subject: &Observed) -> Vec<ConnectionClosedEvent> {
    let events = subject.events.events().into_iter();
    events
        .filter_map(|event| match event {
            Event::Cmap(CmapEvent::ConnectionClosed(closed)) => Some(closed),
            _ => None,
        })
        .collect()
}

fn failed_check_outs(subject: &Observed) -> Vec<ConnectionCheckoutFailedEvent> {
    let events = subject.events.events().into_iter();
    events
        .filter_map(|event| match event {
            Event::Cmap(CmapEvent::ConnectionCheckoutFailed(failed)) => Some(failed),
            _ => None,
        })
        .collect()
}

fn discovery(subject: &Observed) -> Vec<SdamEvent> {
    let events = subject.events.events().into_iter();
    events
        .filter_map(|event| match event {
            Event::Sdam(event) => Some(*event),
            _ => None,
        })
        .collect()
}

fn the_attempts_of_one_operation_have_one_number(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    subject.events.forget();
    let data = doc! { "failCommands": ["find"], "closeConnection": true };
    let _closing = FailPoint::times(deployment, 1, data);
    go!(subject.people().find_one(doc! {})).expect("the second try succeeds");
    go!(subject.people().find_one(doc! {})).expect("finds");
    let finds = subject.events.commands_named("find");
    let [first, second, other] = &*finds else {
        panic!("three finds were sent: {finds:?}")
    };
    assert_eq!(first.operation_id, second.operation_id);
    assert_ne!(first.request_id, second.request_id);
    assert_ne!(second.operation_id, other.operation_id);
    assert_eq!(failures(&subject)[0].operation_id, first.operation_id);
}

fn the_commands_of_one_bulk_write_have_one_number(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    subject.events.forget();
    let (people, none) = (subject.people(), doc! { "_id": 9 });
    let writes = [
        InsertOne::new(doc! { "_id": 1 }).into(),
        InsertOne::new(doc! { "_id": 2 }).into(),
        DeleteOne::new(none.clone()).into(),
        UpdateOne::new(none, doc! { "$set": { "a": 1 } }).into(),
    ];
    go!(people.bulk_write(writes)).expect("writes");
    go!(people.insert_one(doc! {})).expect("inserts");
    let sent = subject.events.commands();
    let [insert, delete, update, other] = &*sent else {
        panic!("{}", subject.events.command_names())
    };
    assert_eq!(insert.operation_id, delete.operation_id);
    assert_eq!(delete.operation_id, update.operation_id);
    assert_ne!(update.operation_id, other.operation_id);
    let shown = insert.command.get_array("documents").expect("are shown");
    assert_eq!(shown.len(), 2);
}

fn every_start_has_its_end_with_the_same_particulars(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(3);
    let unknown = doc! { "noSuchCommand": 1 };
    go!(subject.database().run_command(unknown)).expect_err("is unknown");
    go!(subject.people().find_one(doc! {})).expect("finds");
    let mut open = HashMap::new();
    for event in commands(&subject) {
        match event {
            CommandEvent::Started(it) => {
                let particulars = (it.command_name, it.db, it.operation_id, it.connection.id);
                assert!(open.insert(it.request_id, particulars).is_none());
            }
            CommandEvent::Succeeded(it) => {
                let particulars = (it.command_name, it.db, it.operation_id, it.connection.id);
                assert_eq!(open.remove(&it.request_id), Some(particulars));
                assert!(it.duration > Duration::ZERO);
            }
            CommandEvent::Failed(it) => {
                let particulars = (it.command_name, it.db, it.operation_id, it.connection.id);
                assert_eq!(open.remove(&it.request_id), Some(particulars));
                assert!(it.duration > Duration::ZERO);
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(open.is_empty(), "{open:?}");
    assert_eq!(
        subject.events.command_names(),
        "insert, noSuchCommand, find"
    );
}

fn a_command_with_write_errors_has_succeeded(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    subject.events.forget();
    go!(subject.people().insert_one(doc! { "_id": 0 })).expect_err("is there already");
    assert!(failures(&subject).is_empty());
    let done = successes(&subject);
    assert_eq!(done.len(), 1);
    assert!(
        done[0].reply.contains_key("writeErrors"),
        "{}",
        done[0].reply
    );
}

fn an_unacknowledged_write_has_succeeded_with_ok(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let people = subject.people();
    let insert = people.insert_one(doc! { "_id": 0 });
    go!(insert.write_concern(WriteConcern::nodes(0))).expect("is sent");
    let done = successes(&subject);
    assert_eq!(done.len(), 1);
    assert_eq!(done[0].reply, doc! { "ok": 1 });
    let inserts = subject.events.commands_named("insert");
    let concern = inserts[0].command.get_document("writeConcern");
    assert_eq!(concern.expect("is shown"), &doc! { "w": 0 });
}

fn what_the_server_refuses_and_what_the_network_loses_has_failed(deployment: &Deployment) {
    let subject = Observed::new(deployment, "retryReads=false").with_people(1);
    let data = doc! { "failCommands": ["find"], "errorCode": 50 };
    let refusing = FailPoint::times(deployment, 1, data);
    go!(subject.people().find_one(doc! {})).expect_err("is refused");
    drop(refusing);
    let data = doc! { "failCommands": ["find"], "closeConnection": true };
    let _closing = FailPoint::times(deployment, 1, data);
    go!(subject.people().find_one(doc! {})).expect_err("is cut off");
    let failed = failures(&subject);
    assert_eq!(failed.len(), 2);
    assert_eq!(failed[0].failure.code(), Some(50));
    assert!(failed[1].failure.is_network(), "{:?}", failed[1].failure);
    for failed in failed {
        assert_eq!(failed.command_name, "find");
        assert_eq!(failed.db, deployment.database_name());
    }
}

fn commands_of_cursors_and_sessions_are_told_and_those_of_handshakes_are_not(
    deployment: &Deployment,
) {
    let subject = Observed::new(deployment, "").with_people(5);
    let two = go!(subject.people().find(doc! {}).batch_size(2)).expect("finds");
    let all = collect!(two).expect("goes on");
    assert_eq!(all.len(), 5);
    drop(go!(subject.people().find(doc! {}).batch_size(2)).expect("finds"));
    subject.events.wait_for_count("killed cursor", 1, |event| {
        event.is_success_of("killCursors")
    });
    go!(subject.client.clone().shutdown());
    let names = subject.events.command_names();
    assert_eq!(
        names,
        "insert, find, getMore, getMore, find, killCursors, endSessions"
    );
    deployment.observe(names);
}

fn events_name_the_connection_by_both_sides_numbers(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let hello = go!(subject.database().run_command(doc! { "isMaster": 1 })).expect("greets");
    let servers = match hello.get("connectionId") {
        Some(Bson::Int32(number)) => i64::from(*number),
        Some(Bson::Int64(number)) => *number,
        other => panic!("{other:?}"),
    };
    let started = subject.events.commands_named("isMaster").remove(0);
    assert_eq!(started.connection.server_id, Some(servers));
    assert_eq!(subject.events.checked_out(), [started.connection.id]);
    assert_eq!(started.service_id, None);
    let done = successes(&subject).remove(0);
    assert_eq!(done.connection.server_id, Some(servers));
    assert_eq!(done.connection.address, started.connection.address);
}

fn a_connection_that_broke_tells_how(deployment: &Deployment) {
    let subject = Observed::new(deployment, "retryReads=false").with_people(1);
    let data = doc! { "failCommands": ["find"], "closeConnection": true };
    let _closing = FailPoint::times(deployment, 1, data);
    go!(subject.people().find_one(doc! {})).expect_err("is cut off");
    let broken = closings(&subject).remove(0);
    assert_eq!(broken.reason, ConnectionClosedReason::Error);
    let error = broken.error.expect("is told");
    assert!(error.is_network(), "{error:?}");
}

fn a_check_out_that_fails_tells_why_and_how_long_it_took(deployment: &Deployment) {
    let subject = Observed::at(deployment, &secured_uri(deployment, "root:wrong", ""));
    let refusal = subject.ping().expect_err("the password is wrong");
    let failed = failed_check_outs(&subject).remove(0);
    assert_eq!(
        failed.reason,
        ConnectionCheckoutFailedReason::ConnectionError
    );
    let told = failed.error.expect("is told");
    assert_eq!(told.to_string(), refusal.to_string());
    assert!(failed.duration > Duration::ZERO);
    let closed = closings(&subject).remove(0);
    assert_eq!(closed.reason, ConnectionClosedReason::Error);
    assert!(closed.error.is_some());
}

fn an_unused_connection_is_closed_as_idle(deployment: &Deployment) {
    let subject = Observed::new(deployment, "maxIdleTimeMS=1");
    subject.ping().expect("pings");
    let events = &subject.events;
    events.wait_for_count("closed connection", 1, Event::is_connection_closed);
    let closed = closings(&subject).remove(0);
    assert_eq!(closed.reason, ConnectionClosedReason::Idle);
    assert!(closed.error.is_none());
}

fn discovery_ends_with_an_unknown_topology_and_its_closing(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let servers = deployment.servers().members().len();
    subject.ping().expect("pings");
    let events = &subject.events;
    events.wait_for_count("checks", servers, Event::is_heartbeat_success);
    go!(subject.client.clone().shutdown());
    let told = discovery(&subject);
    assert!(
        matches!(told[0], SdamEvent::TopologyOpening(_)),
        "{:?}",
        told[0]
    );
    let [.., changed, SdamEvent::TopologyClosed(_)] = &*told else {
        panic!("{:?}", told.last())
    };
    let SdamEvent::TopologyDescriptionChanged(changed) = changed else {
        panic!("{changed:?}")
    };
    let now = &changed.new_description;
    assert_eq!(now.topology_type(), TopologyType::Unknown);
    assert!(now.servers().is_empty());
    assert_eq!(changed.previous_description.servers().len(), servers);
    let mut under_way = HashSet::new();
    for event in told {
        match event {
            SdamEvent::ServerHeartbeatStarted(it) => {
                assert!(under_way.insert(it.server_address));
            }
            SdamEvent::ServerHeartbeatSucceeded(it) => {
                assert!(under_way.remove(&it.server_address));
            }
            SdamEvent::ServerHeartbeatFailed(it) => assert!(under_way.remove(&it.server_address)),
            _ => {}
        }
    }
    assert!(under_way.is_empty(), "{under_way:?}");
}

fn the_first_check_lasts_as_long_as_its_round_trip(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    subject.ping().expect("pings");
    let is_change =
        |event: &Event| matches!(event.sdam(), Some(SdamEvent::ServerDescriptionChanged(_)));
    subject.events.wait_for_count("found server", 1, is_change);
    let told = discovery(&subject);
    let first = told.iter().find_map(|event| match event {
        SdamEvent::ServerHeartbeatSucceeded(check) => Some(check),
        _ => None,
    });
    let first = first.expect("the server was checked");
    assert!(!first.awaited);
    let changed = told.iter().find_map(|event| match event {
        SdamEvent::ServerDescriptionChanged(changed) => Some(changed),
        _ => None,
    });
    let description = &changed.expect("the server was found").new_description;
    assert_eq!(description.average_round_trip_time(), Some(first.duration));
}
