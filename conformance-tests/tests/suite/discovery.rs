//! Finding the members of a set, following them, and choosing among them.

use std::collections::HashSet;
use std::sync::Arc;

use conformance_tests::behaviour::Deployment;
use conformance_tests::deployments::DeploymentKind;
use motorcade_testserver as testserver;

use super::recorder::{Event, Recorder};
use super::servers::{FailPoint, address, secondary, uri_of, wait_until, writable};
use super::support::{Observed, in_parallel};
use crate::flavor::driver::bson::{Bson, doc};
use crate::flavor::driver::error::{Error, ErrorKind};
use crate::flavor::driver::event::cmap::CmapEvent;
use crate::flavor::driver::event::sdam::{SdamEvent, ServerType};
use crate::flavor::driver::options::{SelectionCriteria, ServerAddress};
use crate::flavor::{go, wait};

conformance_tests::behaviours! {
    R53 one_secondary_leads_to_the_primary: ReplicaSet, Shared;
    N2 one_member_leads_to_all_members: ReplicaSet, Shared;
    R76 a_predicate_chooses_the_server: ReplicaSet, Shared;
    F56 a_network_error_resets_only_its_servers_description: ReplicaSet, FailPoint;
    F59 only_a_server_in_shutdown_loses_its_pool: Either, FailPoint;
    F77 a_cursor_stays_with_its_server_while_that_is_unknown: Standalone, FailPoint, since (4, 4);
    N4 a_pool_and_its_cursors_survive_an_election: ReplicaSet, Disturbs;
    // Older primaries that step down may refuse the one retry of a write, too.
    N13 writes_during_an_election_succeed: ReplicaSet, Disturbs, since (5, 0);
    R54 failover_changes_the_primary: ReplicaSet, Disturbs;
    R55 the_client_recovers_when_all_members_died_and_one_returns: Either, Disturbs;
    N5 a_new_member_is_used_and_a_removed_one_left_alone: ReplicaSet, Shared;
    N3 the_client_works_on_when_every_member_was_replaced: ReplicaSet, Shared, since (4, 4);
}

/// Whether the event says that a server has become of that type.
fn became(event: &Event, server_type: ServerType) -> Option<ServerAddress> {
    match event.sdam() {
        Some(SdamEvent::ServerDescriptionChanged(change)) => {
            let becomes = change.new_description.server_type() == server_type
                && change.previous_description.server_type() != server_type;
            becomes.then(|| change.address.clone())
        }
        _ => None,
    }
}

fn wait_for_change(events: &Recorder, server_type: ServerType, of: &ServerAddress) {
    events.wait_for(&format!("change of {of} to {server_type:?}"), |events| {
        events
            .iter()
            .any(|event| became(event, server_type).as_ref() == Some(of))
            .then_some(())
    });
}

fn one_secondary_leads_to_the_primary(deployment: &Deployment) {
    let seed = deployment.servers().member(secondary(deployment)).address();
    let subject = Observed::at(deployment, &uri_of(deployment, &[seed], ""));
    go!(subject.people().insert_one(doc! { "_id": 1 })).expect("inserts");
    let insert = subject.events.commands_named("insert").remove(0);
    assert_eq!(
        insert.connection.address,
        address(deployment, writable(deployment))
    );
}

fn one_member_leads_to_all_members(deployment: &Deployment) {
    let seed = deployment.servers().member(secondary(deployment)).address();
    let set = deployment.servers().replica_set_name().expect("is a set");
    // Within one heartbeat: another would come too late for this case's patience.
    let options = format!("replicaSet={set}&heartbeatFrequencyMS=60000");
    let subject = Observed::at(deployment, &uri_of(deployment, &[seed], &options)).with_people(1);
    let known: HashSet<String> = subject
        .events
        .wait_for("topology of three members", |events| {
            events.iter().rev().find_map(|event| match event.sdam() {
                Some(SdamEvent::TopologyDescriptionChanged(change)) => {
                    let servers = change.new_description.servers();
                    let known = servers
                        .values()
                        .all(|s| s.server_type() != ServerType::Unknown);
                    let names = servers.keys().map(ToString::to_string);
                    (known && servers.len() == 3).then(|| names.collect())
                }
                _ => None,
            })
        });
    assert_eq!(known, deployment.servers().hosts().into_iter().collect());
}

fn a_predicate_chooses_the_server(deployment: &Deployment) {
    let chosen = address(deployment, secondary(deployment));
    let criteria = {
        let chosen = chosen.clone();
        SelectionCriteria::Predicate(Arc::new(move |server| *server.address() == chosen))
    };
    let subject = Observed::new(deployment, "");
    for _ in 0..5 {
        let people = subject.people();
        go!(people
            .find_one(doc! {})
            .selection_criteria(criteria.clone()))
        .expect("finds");
    }
    for find in subject.events.commands_named("find") {
        assert_eq!(find.connection.address, chosen);
    }
    assert_eq!(subject.events.commands_named("find").len(), 5);
}

fn a_network_error_resets_only_its_servers_description(deployment: &Deployment) {
    let primary = address(deployment, writable(deployment));
    let options = "retryReads=false&retryWrites=false";
    let subject = Observed::new(deployment, options).with_people(1);
    let all = deployment.servers().members().len();
    subject
        .events
        .wait_for_count("check of each server", all, Event::is_heartbeat_success);
    let people = subject.people();
    type Operation<'a> = (&'a str, Box<dyn Fn() -> Result<(), Error> + 'a>);
    let (one, change) = (doc! { "_id": 0 }, doc! { "$set": { "a": 1 } });
    let operations: [Operation<'_>; 5] = [
        (
            "find",
            Box::new(|| go!(people.find_one(one.clone())).map(drop)),
        ),
        (
            "insert",
            Box::new(|| go!(people.insert_one(doc! {})).map(drop)),
        ),
        (
            "update",
            Box::new(|| go!(people.update_one(one.clone(), change.clone())).map(drop)),
        ),
        (
            "update",
            Box::new(|| go!(people.replace_one(one.clone(), doc! { "a": 2 })).map(drop)),
        ),
        (
            "delete",
            Box::new(|| go!(people.delete_one(one.clone())).map(drop)),
        ),
    ];
    for (command, operation) in operations {
        subject.events.forget();
        let data = doc! { "failCommands": [command], "closeConnection": true };
        let closing = FailPoint::times(deployment, 1, data);
        let error = operation().expect_err("is cut off");
        assert!(error.is_network(), "{command}: {error:?}");
        drop(closing);
        wait_for_change(&subject.events, ServerType::Unknown, &primary);
        wait_for_change(&subject.events, ServerType::RsPrimary, &primary);
        let events = subject.events.events();
        let reset: Vec<_> = events
            .iter()
            .filter_map(|event| became(event, ServerType::Unknown))
            .collect();
        assert_eq!(reset, std::slice::from_ref(&primary), "{command}");
    }
}

fn only_a_server_in_shutdown_loses_its_pool(deployment: &Deployment) {
    // A streaming monitor finds an unchanged server again with its next heartbeat.
    let options = "retryWrites=false&heartbeatFrequencyMS=500";
    let subject = Observed::new(deployment, options).with_people(1);
    let here = address(deployment, writable(deployment));
    for (code, clears) in [(10107, 0), (13435, 0), (91, 1), (11600, 1)] {
        subject.events.forget();
        let data = doc! { "failCommands": ["insert"], "errorCode": code };
        let failing = FailPoint::times(deployment, 1, data);
        let error = go!(subject.people().insert_one(doc! {})).expect_err("is refused");
        assert_eq!(error.code(), Some(code), "{error:?}");
        drop(failing);
        // Members of a set say with a not-primary error how old their state is; here it is no
        // newer than what the client knows, which therefore stays as it is.
        if deployment.kind() == DeploymentKind::Standalone || clears == 1 {
            wait_for_change(&subject.events, ServerType::Unknown, &here);
        }
        go!(subject.people().insert_one(doc! {})).expect("the server is known again");
        assert_eq!(
            subject.events.count(Event::is_pool_cleared),
            clears,
            "code {code}"
        );
    }
}

fn a_cursor_stays_with_its_server_while_that_is_unknown(deployment: &Deployment) {
    // A streaming monitor finds an unchanged server again with its next heartbeat: not soon.
    let options = "retryWrites=false&heartbeatFrequencyMS=60000";
    let subject = Observed::new(deployment, options).with_people(6);
    subject.events.wait_for_count("check that waits", 1, |event| {
        matches!(event.sdam(), Some(SdamEvent::ServerHeartbeatStarted(event)) if event.awaited)
    });
    let mut cursor = go!(subject.people().find(doc! {}).batch_size(2)).expect("finds");
    let data = doc! { "failCommands": ["insert"], "errorCode": 10107 };
    let _failing = FailPoint::times(deployment, 1, data);
    go!(subject.people().insert_one(doc! {})).expect_err("is refused");
    let here = address(deployment, 0);
    wait_for_change(&subject.events, ServerType::Unknown, &here);
    let mut count = 0;
    while wait!(cursor.advance()).expect("goes on") {
        count += 1;
    }
    assert_eq!(count, 6);
    let events = subject.events.events();
    let lost = events
        .iter()
        .rev()
        .find_map(|event| became(event, ServerType::Unknown));
    let known = events
        .iter()
        .filter(|event| became(event, ServerType::Standalone).is_some());
    assert_eq!(
        (lost, known.count()),
        (Some(here), 1),
        "it was unknown all the time"
    );
    let find = subject.events.commands_named("find").remove(0);
    for more in subject.events.commands_named("getMore") {
        assert_eq!(more.connection.address, find.connection.address);
        assert_eq!(more.connection.id, find.connection.id, "the pool was kept");
    }
    deployment.observe(subject.events.command_names());
}

/// Makes the primary step down, and waits until another member is primary.
fn step_down(deployment: &Deployment) {
    let old = writable(deployment);
    let command = doc! { "replSetStepDown": 10, "secondaryCatchUpPeriodSecs": 5 };
    deployment
        .servers()
        .run_admin_command(old, &command)
        .expect("steps down");
    wait_until("another primary", || {
        deployment
            .servers()
            .primary_index()
            .filter(|primary| *primary != old)
    });
}

fn a_pool_and_its_cursors_survive_an_election(deployment: &Deployment) {
    let subject = Observed::new(deployment, "minPoolSize=1&w=majority").with_people(5);
    subject
        .events
        .wait_for_count("pools", 3, Event::is_connection_ready);
    let mut cursor = go!(subject.people().find(doc! {}).batch_size(2)).expect("finds");
    step_down(deployment);
    for _ in 0..5 {
        assert!(wait!(cursor.advance()).expect("goes on where it began"));
    }
    assert!(!wait!(cursor.advance()).expect("ends"));
    let primary = address(deployment, writable(deployment));
    wait_for_change(&subject.events, ServerType::RsPrimary, &primary);
    go!(subject.people().insert_one(doc! {})).expect("inserts");
    let created = |event: &Event| matches!(event, Event::Cmap(CmapEvent::PoolCreated(_)));
    assert_eq!(subject.events.count(created), 3);
    assert_eq!(subject.events.count(Event::is_pool_cleared), 0);
    assert_eq!(subject.events.count(Event::is_connection_closed), 0);
}

fn writes_during_an_election_succeed(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    in_parallel(11, |number| {
        if number == 10 {
            step_down(deployment);
            return;
        }
        for _ in 0..20 {
            go!(subject.people().insert_one(doc! {})).expect("inserts");
        }
    });
    assert_eq!(
        go!(subject.people().count_documents(doc! {})).expect("counts"),
        201
    );
}

fn failover_changes_the_primary(deployment: &Deployment) {
    let subject = Observed::new(deployment, "heartbeatFrequencyMS=500").with_people(1);
    let old = deployment.servers().member(writable(deployment));
    let departed = ServerAddress::parse(old.address()).expect("is an address");
    old.kill();
    let primary = wait_until("another primary", || deployment.servers().primary_index());
    let primary = address(deployment, primary);
    assert_ne!(primary, departed);
    wait_for_change(&subject.events, ServerType::Unknown, &departed);
    wait_for_change(&subject.events, ServerType::RsPrimary, &primary);
    subject.events.forget();
    go!(subject.people().insert_one(doc! {})).expect("inserts");
    let insert = subject.events.commands_named("insert").remove(0);
    assert_eq!(insert.connection.address, primary);
    old.restart().expect("restarts");
}

fn the_client_recovers_when_all_members_died_and_one_returns(deployment: &Deployment) {
    let options = "serverSelectionTimeoutMS=1500&readPreference=nearest&heartbeatFrequencyMS=500";
    let subject = Observed::new(deployment, options).with_people(1);
    let members = deployment.servers().members();
    // The others may have got their data only now, and need somebody to have it from again.
    let primary = writable(deployment);
    members.iter().for_each(|member| member.kill());
    let error = wait_until("selection error", || {
        let error = go!(subject.people().find_one(doc! {})).expect_err("nobody is there");
        matches!(*error.kind, ErrorKind::ServerSelection { .. }).then_some(error)
    });
    for member in &members {
        assert!(error.to_string().contains(&member.address()), "{error}");
    }
    members[primary].restart().expect("restarts");
    let filter = doc! { "_id": 0 };
    wait_until("answer of the one that is back", || {
        go!(subject.people().find_one(filter.clone())).ok()
    });
    for member in members.iter().filter(|member| member.pid().is_none()) {
        member.restart().expect("restarts");
    }
}

/// Changes a set's members through its primary, and waits until that is in force. The set itself
/// may make a change at the same time: it makes a voter of a new member that has caught up.
fn reconfigure(set: &testserver::Deployment, change: impl Fn(&mut Vec<Bson>)) {
    wait_until("change of the members", || {
        let primary = set.wait_for_primary().expect("has a primary");
        let reply = set
            .run_admin_command(primary, &doc! { "replSetGetConfig": 1 })
            .expect("tells its configuration");
        let mut config = reply.get_document("config").expect("has one").clone();
        let version = config.get_i32("version").expect("has a version");
        config.insert("version", version + 1);
        change(config.get_array_mut("members").expect("has members"));
        set.run_admin_command(primary, &doc! { "replSetReconfig": config })
            .ok()
    });
}

fn a_new_member_is_used_and_a_removed_one_left_alone(deployment: &Deployment) {
    let set = testserver::Deployment::replica_set(1)
        .start()
        .expect("starts a set");
    let uri = format!("{}&appName={}", set.uri(), deployment.app_name());
    let subject = Observed::at(deployment, &uri).with_people(1);
    let joining = set.spawn_member().expect("starts a member");
    let address = ServerAddress::parse(joining.address()).expect("is an address");
    reconfigure(&set, |members| {
        let member = doc! { "_id": 1, "host": joining.address(), "priority": 0, "votes": 0 };
        members.push(member.into());
    });
    wait_for_change(&subject.events, ServerType::RsSecondary, &address);
    let here = address.clone();
    let criteria = SelectionCriteria::Predicate(Arc::new(move |server| *server.address() == here));
    go!(subject
        .people()
        .find_one(doc! {})
        .selection_criteria(criteria))
    .expect("reads there");

    reconfigure(&set, |members| drop(members.pop()));
    subject.events.wait_for("farewell to the member", |events| {
        events.iter().find_map(|event| match event.sdam() {
            Some(SdamEvent::ServerClosed(event)) => (event.address == address).then_some(()),
            _ => None,
        })
    });
    let filter = doc! { "type": "op", "appName": deployment.app_name() };
    wait_until("end of the connections to it", || {
        super::servers::current_operations(&joining, &filter)
            .is_empty()
            .then_some(())
    });
}

fn the_client_works_on_when_every_member_was_replaced(deployment: &Deployment) {
    let set = testserver::Deployment::replica_set(1)
        .start()
        .expect("starts a set");
    let uri = format!("{}&appName={}", set.uri(), deployment.app_name());
    let subject = Observed::at(deployment, &uri).with_people(1);
    // After the first turn no seed is left, after the second nobody who knew one.
    for turn in 1..=2 {
        let old = set.member(turn - 1);
        let new = set.spawn_member().expect("starts a member");
        let address = ServerAddress::parse(new.address()).expect("is an address");
        let id = i32::try_from(turn).expect("is small");
        reconfigure(&set, |members| {
            members.push(doc! { "_id": id, "host": new.address() }.into());
        });
        wait_for_change(&subject.events, ServerType::RsSecondary, &address);
        wait_until("vote of the new member", || {
            let status = old.run_admin_command(&doc! { "replSetGetStatus": 1 });
            let voters = status
                .expect("tells its status")
                .get_i32("votingMembersCount");
            (voters.ok() == Some(2)).then_some(())
        });
        let command = doc! { "replSetStepDown": 60, "secondaryCatchUpPeriodSecs": 10 };
        old.run_admin_command(&command).expect("steps down");
        wait_until("election of the new member", || {
            (set.primary_index() == Some(turn)).then_some(())
        });
        reconfigure(&set, |members| drop(members.remove(0)));
        old.kill();
        go!(subject.people().insert_one(doc! { "_id": id })).expect("inserts");
        let insert = subject.events.commands_named("insert").pop();
        assert_eq!(insert.expect("was sent").connection.address, address);
    }
    let count = go!(subject.people().count_documents(doc! {})).expect("counts");
    assert_eq!(count, 3);
}
