//! What becomes of operations when a server is too busy: every command is tried again, and
//! connections that the server turns away cost none of those that there are.

use conformance_tests::behaviour::Deployment;

use super::recorder::Event;
use super::retries::too_busy;
use super::servers::FailPoint;
use super::support::{Held, Observed};
use crate::flavor::driver::Collection;
use crate::flavor::driver::bson::{Bson, Document, doc};
use crate::flavor::driver::error::{RETRYABLE_ERROR, Result, SYSTEM_OVERLOADED_ERROR};
use crate::flavor::driver::event::cmap::CmapEvent;
use crate::flavor::driver::options::ExplainVerbosity;
use crate::flavor::{collect, go, wait};

conformance_tests::behaviours! {
    F116 commands_on_collections_and_databases_are_tried_again_after_an_overload:
        Either, FailPoint, since (4, 4);
    F116 commands_of_cursors_are_tried_again_after_an_overload: Either, FailPoint, since (4, 4);
    F116 commands_of_sessions_are_tried_again_after_an_overload:
        ReplicaSet, FailPoint, since (4, 4);
    F116 commands_on_files_are_tried_again_after_an_overload: Either, FailPoint, since (4, 4);
    F116 a_command_is_tried_again_only_if_the_option_for_its_kind_is_set:
        Either, FailPoint, since (4, 4);
    R50 a_server_that_turns_connections_away_keeps_those_it_has: Either, FailPoint, since (4, 4, 7);
}

/// Runs what sends that command while the server is too busy for it once.
fn overloaded<T>(
    deployment: &Deployment,
    subject: &Observed,
    command: &str,
    run: impl FnOnce() -> T,
) -> T {
    subject.events.forget();
    let _busy = FailPoint::times(deployment, 1, too_busy(command));
    let outcome = run();
    let sent = subject.events.commands_named(command).len();
    assert_eq!(sent, 2, "{command}: {}", subject.events.command_names());
    outcome
}

type Step = (&'static str, fn(&Observed) -> Result<()>);

fn commands_on_collections_and_databases_are_tried_again_after_an_overload(
    deployment: &Deployment,
) {
    let steps: [Step; 12] = [
        ("create", |it| go!(it.database().create_collection("other"))),
        ("collMod", |it| {
            let database = it.database();
            let modify = database.modify_collection("other");
            go!(modify.validator(doc! { "a": { "$exists": false } })).map(drop)
        }),
        ("renameCollection", |it| {
            let other: Collection<Document> = it.database().collection("other");
            go!(other.rename("another"))
        }),
        ("drop", |it| {
            let another: Collection<Document> = it.database().collection("another");
            go!(another.drop())
        }),
        ("explain", |it| {
            let people = it.people();
            let find = people.find(doc! {});
            go!(find.explain(ExplainVerbosity::QueryPlanner)).map(drop)
        }),
        ("explain", |it| {
            let people = it.people();
            let delete = people.delete_one(doc! {});
            go!(delete.explain(ExplainVerbosity::QueryPlanner)).map(drop)
        }),
        ("aggregate", |it| {
            go!(it.people().aggregate([doc! { "$out": "copy" }])).map(drop)
        }),
        ("update", |it| {
            let people = it.people();
            go!(people.update_many(doc! {}, doc! { "$set": { "a": 1 } })).map(drop)
        }),
        ("distinct", |it| {
            go!(it.people().distinct("a", doc! {})).map(drop)
        }),
        ("listCollections", |it| {
            go!(it.database().list_collection_names()).map(drop)
        }),
        ("dbStats", |it| {
            go!(it.database().run_command(doc! { "dbStats": 1 })).map(drop)
        }),
        ("dropDatabase", |it| go!(it.database().drop())),
    ];
    let subject = Observed::new(deployment, "").with_people(3);
    for (command, step) in steps {
        let outcome = overloaded(deployment, &subject, command, || step(&subject));
        outcome.unwrap_or_else(|error| panic!("{command}: {error:?}"));
    }
}

fn commands_of_cursors_are_tried_again_after_an_overload(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(5);
    let find = doc! { "find": "people", "batchSize": 2 };
    let cursor = overloaded(deployment, &subject, "find", || {
        go!(subject.database().run_cursor_command(find.clone())).expect("finds")
    });
    let found: Vec<Document> = overloaded(deployment, &subject, "getMore", || {
        collect!(cursor).expect("goes on")
    });
    assert_eq!(found.len(), 5);
    let people = subject.people();
    let mut cursor = go!(people.find(doc! {}).batch_size(2)).expect("finds");
    overloaded(deployment, &subject, "killCursors", || {
        wait!(cursor.close()).expect("closes");
    });
}

fn commands_of_sessions_are_tried_again_after_an_overload(deployment: &Deployment) {
    let subject = Observed::new(deployment, "retryWrites=false&retryReads=false").with_people(1);
    let people = subject.people();
    let mut session = go!(subject.client.start_session()).expect("starts a session");
    for (id, command) in [(7, "commitTransaction"), (8, "abortTransaction")] {
        go!(session.start_transaction()).expect("starts");
        go!(people.insert_one(doc! { "_id": id }).session(&mut session)).expect("inserts");
        overloaded(deployment, &subject, command, || match command {
            "commitTransaction" => go!(session.commit_transaction()).expect("commits"),
            _ => go!(session.abort_transaction()).expect("aborts"),
        });
    }
    assert_eq!(go!(people.count_documents(doc! {})).expect("counts"), 2);
    drop(session);
    let subject = Observed::new(deployment, "");
    subject.ping().expect("pings");
    overloaded(deployment, &subject, "endSessions", || {
        go!(subject.client.clone().shutdown());
    });
}

fn commands_on_files_are_tried_again_after_an_overload(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let bucket = subject.database().gridfs_bucket(None);
    go!(bucket.upload_from_reader("first", &b"makes the indexes"[..])).expect("uploads");
    let mut upload = go!(bucket.open_upload_stream("file").chunk_size_bytes(4)).expect("opens");
    {
        use crate::flavor::Write;
        wait!(upload.write_all(b"four five")).expect("writes");
        overloaded(deployment, &subject, "insert", || {
            wait!(upload.flush()).expect("stores two chunks");
        });
        wait!(upload.close()).expect("closes");
    }
    let id: &Bson = upload.id();
    let mut found = Vec::new();
    subject.events.forget();
    let busy = FailPoint::times(deployment, 1, too_busy("find"));
    go!(bucket.download_to_writer(id.clone(), &mut found)).expect("downloads");
    assert_eq!(found, b"four five");
    assert_eq!(subject.events.command_names(), "find, find, find");
    drop(busy);
    subject.events.forget();
    let _busy = FailPoint::times(deployment, 1, too_busy("delete"));
    go!(bucket.delete(id.clone())).expect("deletes");
    assert_eq!(subject.events.command_names(), "delete, delete, delete");
}

fn a_command_is_tried_again_only_if_the_option_for_its_kind_is_set(deployment: &Deployment) {
    let read: Step = ("listCollections", |it| {
        go!(it.database().list_collection_names()).map(drop)
    });
    let write: Step = ("create", |it| go!(it.database().create_collection("other")));
    let either: Step = ("ping", |it| it.ping().map(drop));
    for (options, refused) in [
        ("retryReads=false", [read, either]),
        ("retryWrites=false", [write, either]),
    ] {
        let subject = Observed::new(deployment, options);
        subject.ping().expect("pings");
        for (command, step) in refused {
            let _busy = FailPoint::times(deployment, 1, too_busy(command));
            let error = step(&subject).expect_err("is not tried again");
            assert!(
                error.contains_label(SYSTEM_OVERLOADED_ERROR),
                "{options}: {error:?}"
            );
        }
    }
}

fn a_server_that_turns_connections_away_keeps_those_it_has(deployment: &Deployment) {
    // Only operations make connections meanwhile: no check is due.
    let options = "serverMonitoringMode=poll&heartbeatFrequencyMS=1000000&maxAdaptiveRetries=0";
    let subject = Observed::new(deployment, options).with_people(1);
    let held = Held::start(deployment, &subject.client);
    subject.events.forget();
    {
        let data = doc! { "failCommands": ["hello", "isMaster"], "closeConnection": true };
        let _turning_away = FailPoint::times(deployment, 1000, data);
        let error = go!(subject.people().find_one(doc! {})).expect_err("gets no connection");
        assert!(error.is_network(), "{error:?}");
        for label in [SYSTEM_OVERLOADED_ERROR, RETRYABLE_ERROR] {
            assert!(error.contains_label(label), "{error:?}");
        }
    }
    let failed =
        |event: &Event| matches!(event, Event::Cmap(CmapEvent::ConnectionCheckoutFailed(_)));
    assert_eq!(subject.events.count(failed), 1);
    assert_eq!(subject.events.count(Event::is_connection_closed), 1);
    held.release();
    subject
        .ping()
        .expect("pings over the connection that there was");
    assert_eq!(subject.events.count(Event::is_connection_created), 1);
    assert_eq!(subject.events.count(Event::is_pool_cleared), 0);
}
