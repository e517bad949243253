//! The prose tests of the sessions specification, by their numbers there.
//!
//! Left out are those about forks and about several users of one client, which this driver does
//! not have, and about a session that was ended before: no program can name such a one here.

use std::sync::Arc;

use conformance_tests::behaviour::Deployment;
use conformance_tests::deployments::DeploymentKind;
use conformance_tests::watching_proxy::WatchingProxy;

use super::recorder::Event;
use super::servers::{address, uri_of, wait_until, writable};
use super::support::Observed;
use crate::flavor::driver::bson::{Bson, Document, Timestamp, doc};
use crate::flavor::driver::bulk::{InsertOne, Write};
use crate::flavor::driver::error::{ErrorKind, Result};
use crate::flavor::driver::event::command::CommandEvent;
use crate::flavor::driver::options::{IndexOptions, ReadPreference, SelectionCriteria};
use crate::flavor::driver::{ClientSession, IndexModel};

use crate::flavor::{go, wait};

conformance_tests::behaviours! {
    P1 a_session_is_not_both_a_snapshot_and_causally_consistent: Either, Shared;
    P2 the_session_ended_last_is_started_first: Either, Shared;
    P3 the_newest_cluster_time_goes_out_with_each_command: Either, Shared;
    P4 each_operation_goes_out_with_the_session_it_is_given: Either, Shared;
    P4 each_operation_without_a_session_goes_out_with_one_of_the_drivers: Either, Shared;
    P5 no_operation_takes_a_session_of_another_client: Either, Shared;
    P8 a_cursor_returns_its_session_with_the_only_batch: Either, Shared;
    P9 a_cursor_returns_its_session_with_the_last_batch: Either, Shared;
    P10 no_operation_keeps_a_session: Either, Shared;
    P11 a_cursor_has_one_session_whatever_the_read_preference: Either, Shared;
    P18 a_server_without_sessions_gets_none: Either, Shared;
    P19 a_server_without_sessions_is_given_none_of_the_applications: Either, Shared;
    P20 monitoring_does_not_advance_the_cluster_time: ReplicaSet, Shared;
    P21 a_snapshot_time_is_for_snapshot_sessions_only: Either, Shared;
    P22 a_session_without_a_snapshot_has_no_snapshot_time: Either, Shared;
}

/// An operation that can take part in a session, done with one and without.
pub(crate) struct Operation {
    /// The command that it sends.
    pub(crate) command: &'static str,
    pub(crate) within: fn(&Observed, &mut ClientSession) -> Result<()>,
    pub(crate) alone: fn(&Observed) -> Result<()>,
}

/// A list of operations: the command each sends, and the action that does it.
macro_rules! each_operation {
    ($($command:literal: |$subject:ident| $action:expr;)*) => {
        [$($crate::suite::prose_sessions::Operation {
            command: $command,
            within: |$subject, session| go!($action.session(session)).map(drop),
            alone: |$subject| go!($action).map(drop),
        }),*]
    };
}

pub(crate) use each_operation;

/// All operations that can take part in a session, in an order in which each succeeds.
fn operations() -> impl IntoIterator<Item = Operation> {
    each_operation! {
        "ping": |subject| subject.database().run_command(doc! { "ping": 1 });
        "insert": |subject| subject.people().insert_one(doc! { "_id": 1 });
        "insert": |subject| subject.people().insert_many([doc! { "_id": 2 }, doc! { "_id": 3 }]);
        "insert": |subject| subject.people().bulk_write([Write::from(InsertOne::new(doc! { "_id": 4 }))]);
        "update": |subject| subject.people().update_one(doc! {}, doc! { "$set": { "a": 1 } });
        "update": |subject| subject.people().update_many(doc! {}, doc! { "$set": { "a": 2 } });
        "update": |subject| subject.people().replace_one(doc! {}, doc! { "a": 3 });
        "findAndModify": |subject| subject.people().find_one_and_update(doc! {}, doc! { "$set": { "a": 4 } });
        "findAndModify": |subject| subject.people().find_one_and_replace(doc! {}, doc! { "a": 5 });
        "find": |subject| subject.people().find(doc! {});
        "find": |subject| subject.people().find_one(doc! {});
        "aggregate": |subject| subject.people().aggregate([doc! { "$match": {} }]);
        "aggregate": |subject| subject.people().count_documents(doc! {});
        "count": |subject| subject.people().estimated_document_count();
        "distinct": |subject| subject.people().distinct("a", doc! {});
        "createIndexes": |subject| subject.people().create_index(by_a());
        "listIndexes": |subject| subject.people().list_indexes();
        "listIndexes": |subject| subject.people().list_index_names();
        "dropIndexes": |subject| subject.people().drop_index("by a");
        "dropIndexes": |subject| subject.people().drop_indexes();
        "findAndModify": |subject| subject.people().find_one_and_delete(doc! {});
        "delete": |subject| subject.people().delete_one(doc! {});
        "delete": |subject| subject.people().delete_many(doc! {});
        "create": |subject| subject.database().create_collection("more");
        "collMod": |subject| subject.database().modify_collection("more").validator(doc! {});
        "listCollections": |subject| subject.database().list_collections();
        "listCollections": |subject| subject.database().list_collection_names();
        "listDatabases": |subject| subject.client.list_databases();
        "listDatabases": |subject| subject.client.list_database_names();
        "drop": |subject| subject.people().drop();
        "dropDatabase": |subject| subject.database().drop();
    }
}

fn by_a() -> IndexModel {
    let options = IndexOptions::builder().name("by a".to_owned()).build();
    IndexModel::builder()
        .keys(doc! { "a": 1 })
        .options(options)
        .build()
}

fn a_session_is_not_both_a_snapshot_and_causally_consistent(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let start = subject.client.start_session();
    let error = go!(start.snapshot(true).causal_consistency(true)).expect_err("is refused");
    assert!(
        matches!(&*error.kind, ErrorKind::InvalidArgument { .. }),
        "{error}"
    );
}

fn the_session_ended_last_is_started_first(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let start = || {
        let mut session = go!(subject.client.start_session()).expect("starts a session");
        let database = subject.database();
        let ping = database.run_command(doc! { "ping": 1 });
        go!(ping.session(&mut session)).expect("pings");
        session
    };
    let (first, second) = (start(), start());
    let ids = [second.id().clone(), first.id().clone()];
    assert_ne!(ids[0], ids[1]);
    drop(first);
    drop(second);
    let (first, second) = (start(), start());
    assert_eq!([first.id(), second.id()], [&ids[0], &ids[1]]);
}

fn the_newest_cluster_time_goes_out_with_each_command(deployment: &Deployment) {
    let subject = Observed::new(deployment, "heartbeatFrequencyMS=1000000").with_people(1);
    let of_each = each_operation! {
        "ping": |subject| subject.database().run_command(doc! { "ping": 1 });
        "aggregate": |subject| subject.people().aggregate([doc! { "$match": {} }]);
        "find": |subject| subject.people().find(doc! {});
        "insert": |subject| subject.people().insert_one(doc! {});
    };
    for Operation { command, alone, .. } in of_each {
        alone(&subject).expect(command);
        let told = last_reply(&subject, command).get("$clusterTime").cloned();
        alone(&subject).expect(command);
        let sent = subject.events.commands_named(command);
        let sent = sent
            .last()
            .and_then(|sent| sent.command.get("$clusterTime"));
        assert_eq!(sent, told.as_ref(), "{command}");
        let has_clock = deployment.kind() == DeploymentKind::ReplicaSet;
        assert_eq!(sent.is_some(), has_clock, "{command}");
    }
}

pub(crate) fn last_reply(subject: &Observed, command: &str) -> Document {
    let events = subject.events.events();
    let mut replies = events.into_iter().rev().filter_map(|event| match event {
        Event::Command(event) => match *event {
            CommandEvent::Succeeded(done) if done.command_name == command => Some(done.reply),
            _ => None,
        },
        _ => None,
    });
    replies.next().expect("the command has succeeded")
}

fn each_operation_goes_out_with_the_session_it_is_given(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let mut session = go!(subject.client.start_session()).expect("starts a session");
    for Operation {
        command, within, ..
    } in operations()
    {
        within(&subject, &mut session).expect(command);
        assert_eq!(subject.last_session(command), *session.id(), "{command}");
    }
    deployment.observe(subject.events.command_names());
}

fn each_operation_without_a_session_goes_out_with_one_of_the_drivers(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let session = go!(subject.client.start_session()).expect("starts a session");
    for Operation { command, alone, .. } in operations() {
        alone(&subject).expect(command);
        assert_ne!(subject.last_session(command), *session.id(), "{command}");
    }
    deployment.observe(subject.events.command_names());
}

fn no_operation_takes_a_session_of_another_client(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let other = Observed::new(deployment, "");
    let mut session = go!(other.client.start_session()).expect("starts a session");
    for Operation {
        command, within, ..
    } in operations()
    {
        let error = within(&subject, &mut session).expect_err(command);
        assert!(
            matches!(&*error.kind, ErrorKind::InvalidArgument { message, .. }
                if message.contains("another client")),
            "{command}: {error}"
        );
    }
    assert_eq!(subject.events.command_names(), "");
}

fn a_cursor_returns_its_session_with_the_only_batch(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(2);
    let mut cursor = go!(subject.people().find(doc! {})).expect("finds");
    assert!(wait!(cursor.advance()).expect("goes on"));
    subject.ping().expect("pings");
    assert_eq!(subject.last_session("ping"), subject.last_session("find"));
    assert!(wait!(cursor.advance()).expect("one is left"));
}

fn a_cursor_returns_its_session_with_the_last_batch(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(5);
    let mut cursor = go!(subject.people().find(doc! {}).batch_size(3)).expect("finds");
    for _ in 0..4 {
        assert!(wait!(cursor.advance()).expect("goes on"));
    }
    subject.ping().expect("pings");
    let of_cursor = subject.last_session("find");
    assert_eq!(subject.last_session("getMore"), of_cursor);
    assert_eq!(subject.last_session("ping"), of_cursor);
    assert!(wait!(cursor.advance()).expect("one is left"));
}

fn no_operation_keeps_a_session(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    for Operation { command, alone, .. } in operations() {
        alone(&subject).expect(command);
    }
    let subject = subject.with_people(5);
    let people = subject.people();
    let open = || go!(people.find(doc! {}).batch_size(2)).expect("finds");
    let (mut read, mut closed, mut lost) = (open(), open(), open());
    let refused = each_operation! {
        "insert": |subject| subject.people().insert_one(doc! { "_id": 0 });
        "update": |subject| subject.people().update_one(doc! {}, doc! { "$no": { "a": 1 } });
        "find": |subject| subject.people().find(doc! { "$no": 1 });
        "aggregate": |subject| subject.people().aggregate([doc! { "$no": {} }]);
        "no": |subject| subject.database().run_command(doc! { "no": 1 });
    };
    let mut session = go!(subject.client.start_session()).expect("starts a session");
    for operation in refused {
        (operation.alone)(&subject).expect_err(operation.command);
        (operation.within)(&subject, &mut session).expect_err(operation.command);
    }
    drop(session);
    while wait!(read.advance()).expect("goes on") {}
    wait!(closed.close()).expect("closes");
    go!(people.drop()).expect("drops");
    for _ in 0..2 {
        assert!(wait!(lost.advance()).expect("is here"));
    }
    wait!(lost.advance()).expect_err("the collection is gone");
    go!(subject.client.clone().shutdown());
    let commands = subject.events.commands();
    let sent = commands.iter().filter_map(|sent| sent.command.get("lsid"));
    let ended = commands
        .iter()
        .filter_map(|sent| sent.command.get_array("endSessions").ok());
    assert_eq!(distinct(ended.flatten()), distinct(sent));
}

fn distinct<'a>(sessions: impl Iterator<Item = &'a Bson>) -> Vec<String> {
    let mut sessions: Vec<_> = sessions.map(ToString::to_string).collect();
    sessions.sort();
    sessions.dedup();
    sessions
}

fn a_cursor_has_one_session_whatever_the_read_preference(deployment: &Deployment) {
    // Every member has what is read from it.
    let options = match deployment.kind() {
        DeploymentKind::Standalone => "",
        _ => "w=3",
    };
    let subject = Observed::new(deployment, options).with_people(3);
    let people = subject.people();
    for member in 0..deployment.servers().members().len() {
        let here = address(deployment, member);
        let here = SelectionCriteria::Predicate(Arc::new(move |it| *it.address() == here));
        // What every member has applied can be seen there a moment later.
        wait_until("documents on every member", || {
            let count = people.count_documents(doc! {});
            let count = go!(count.selection_criteria(here.clone())).expect("counts");
            (count == 3).then_some(())
        });
    }
    for preference in [
        ReadPreference::primary(),
        ReadPreference::primary_preferred(None),
        ReadPreference::secondary(None),
        ReadPreference::secondary_preferred(None),
        ReadPreference::nearest(None),
    ] {
        // A lone server is asked whatever the preference.
        let find = people.find(doc! {}).batch_size(2);
        let mut cursor = go!(find.selection_criteria(preference.into())).expect("finds");
        while wait!(cursor.advance()).expect("goes on") {}
        let of_cursor = subject.last_session("find");
        assert!(!of_cursor.is_empty());
        assert_eq!(subject.last_session("getMore"), of_cursor);
    }
    assert_eq!(subject.events.commands_named("getMore").len(), 5);
}

/// A client of a server that says nothing of sessions, and what stands before that server.
fn without_sessions(deployment: &Deployment) -> (Observed, WatchingProxy) {
    let server = deployment.servers().member(writable(deployment));
    let proxy = WatchingProxy::hiding(server.address(), "logicalSessionTimeoutMinutes");
    let proxy = proxy.expect("listens");
    let uri = uri_of(deployment, &[proxy.address()], "directConnection=true");
    (Observed::at(deployment, &uri), proxy)
}

fn a_server_without_sessions_gets_none(deployment: &Deployment) {
    let (subject, _proxy) = without_sessions(deployment);
    go!(subject.people().find_one(doc! {})).expect("finds");
    go!(subject.people().insert_one(doc! {})).expect("inserts");
    let commands = subject.events.commands();
    assert_eq!(subject.events.command_names(), "find, insert");
    for command in commands {
        for field in ["lsid", "txnNumber"] {
            assert!(!command.command.contains_key(field), "{}", command.command);
        }
    }
}

fn a_server_without_sessions_is_given_none_of_the_applications(deployment: &Deployment) {
    let (subject, _proxy) = without_sessions(deployment);
    let mut session = go!(subject.client.start_session()).expect("needs no server");
    let read = go!(subject.people().find_one(doc! {}).session(&mut session));
    let write = go!(subject.people().insert_one(doc! {}).session(&mut session));
    for error in [
        read.expect_err("is refused"),
        write.expect_err("is refused"),
    ] {
        assert!(
            matches!(&*error.kind, ErrorKind::SessionsNotSupported),
            "{error}"
        );
    }
    assert_eq!(subject.events.command_names(), "");
}

fn monitoring_does_not_advance_the_cluster_time(deployment: &Deployment) {
    let server = deployment.servers().member(writable(deployment));
    let hosts = [server.address()];
    let options = "directConnection=true&heartbeatFrequencyMS=500&serverMonitoringMode=poll";
    let subject = Observed::at(deployment, &uri_of(deployment, &hosts, options));
    let other = Observed::new(deployment, "");
    let reply = subject.ping().expect("pings");
    let known = reply.get_document("$clusterTime").expect("has a clock");
    go!(other.people().insert_one(doc! {})).expect("advances the clock");
    subject.events.forget();
    // The first may have begun before the insert.
    subject
        .events
        .wait_for_count("heartbeat", 2, Event::is_heartbeat_success);
    subject.ping().expect("pings");
    let ping = subject.events.commands_named("ping").remove(0).command;
    assert_eq!(ping.get_document("$clusterTime").ok(), Some(known));
}

fn a_snapshot_time_is_for_snapshot_sessions_only(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let time = Timestamp {
        time: 1,
        increment: 0,
    };
    let start = subject.client.start_session().snapshot(false);
    let error = go!(start.snapshot_time(time)).expect_err("is refused");
    assert!(
        matches!(&*error.kind, ErrorKind::InvalidArgument { .. }),
        "{error}"
    );
}

fn a_session_without_a_snapshot_has_no_snapshot_time(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let start = subject.client.start_session();
    let mut session = go!(start.snapshot(false)).expect("starts a session");
    go!(subject.people().find_one(doc! {}).session(&mut session)).expect("finds");
    assert_eq!(session.snapshot_time(), None);
}
