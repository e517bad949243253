//! Commands that the caller writes, and reads on a direct connection.

use conformance_tests::behaviour::Deployment;

use super::servers::{open_cursors, secondary, uri_of, wait_until};
use super::support::Observed;
use crate::flavor::driver::bson::{Document, RawDocumentBuf, doc};
use crate::flavor::driver::error::ErrorKind;
use crate::flavor::driver::options::{CursorType, ReadPreference, SelectionCriteria, WriteConcern};
use crate::flavor::{collect, go, next};

conformance_tests::behaviours! {
    K1 the_cursor_of_a_command_goes_on_in_one_session: Either, Shared, since (4, 4);
    K1 the_cursor_of_a_command_goes_on_where_it_began: ReplicaSet, Shared;
    K1 the_cursor_of_a_command_is_closed_with_it: Either, Shared;
    K1 the_batches_of_a_command_may_come_without_being_asked_for: Either, Shared;
    K1 a_command_that_gives_no_cursor_is_told_as_such: Either, Shared;
    K2 a_commands_own_concerns_stay_and_the_handles_stay_out: Either, Shared;
    K2 an_empty_command_sends_nothing: Either, Shared;
    K3 a_read_on_a_direct_connection_to_a_secondary_is_answered: ReplicaSet, Shared;
}

fn the_cursor_of_a_command_goes_on_in_one_session(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(7);
    let database = subject.database();
    let command = doc! { "find": "people", "batchSize": 2, "comment": "first" };
    let raw = RawDocumentBuf::try_from(&command).expect("is BSON");
    let cursors = [
        go!(database
            .run_cursor_command(command)
            .batch_size(4)
            .comment("more")),
        go!(database
            .run_raw_cursor_command(raw)
            .batch_size(4)
            .comment("more")),
    ];
    for cursor in cursors {
        let found: Vec<Document> = collect!(cursor.expect("finds")).expect("goes on");
        assert_eq!(found.len(), 7);
    }
    let first = subject.events.commands_named("find");
    let more = subject.events.commands_named("getMore");
    assert_eq!((first.len(), more.len()), (2, 4));
    assert_eq!(first[0].command.get_str("comment").ok(), Some("first"));
    assert_eq!(first[0].command.get_i32("batchSize").ok(), Some(2));
    assert_eq!(more[0].command.get_str("comment").ok(), Some("more"));
    assert_eq!(more[0].command.get_i32("batchSize").ok(), Some(4));
    assert_eq!(first[0].command.get("lsid"), more[0].command.get("lsid"));
    deployment.observe(subject.events.command_names());
}

fn the_cursor_of_a_command_goes_on_where_it_began(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let documents = (0..5).map(|id| doc! { "_id": id });
    let everywhere = WriteConcern::nodes(3);
    go!(subject
        .people()
        .insert_many(documents)
        .write_concern(everywhere))
    .expect("inserts");
    let command = doc! { "find": "people", "batchSize": 2 };
    let away = SelectionCriteria::ReadPreference(ReadPreference::secondary(None));
    let cursor = go!(subject
        .database()
        .run_cursor_command(command)
        .selection_criteria(away));
    let found: Vec<Document> = collect!(cursor.expect("finds")).expect("goes on");
    assert_eq!(found.len(), 5);
    let first = subject.events.commands_named("find").remove(0);
    let more = subject.events.commands_named("getMore").remove(0);
    assert_eq!(first.connection.address, more.connection.address);
    let sent = first.command.get_document("$readPreference");
    assert_eq!(sent.ok(), Some(&doc! { "mode": "secondary" }));
}

fn the_cursor_of_a_command_is_closed_with_it(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(5);
    let command = doc! { "find": "people", "batchSize": 2 };
    let mut cursor = go!(subject.database().run_cursor_command(command)).expect("finds");
    next!(cursor).expect("there is one").expect("is read");
    assert_eq!(open_cursors(deployment), 1);
    drop(cursor);
    wait_until("end of the cursor", || {
        (open_cursors(deployment) == 0).then_some(())
    });
}

fn the_batches_of_a_command_may_come_without_being_asked_for(deployment: &Deployment) {
    let subject = Observed::new(deployment, "maxPoolSize=1").with_people(9);
    let command = doc! { "find": "people", "batchSize": 2 };
    let database = subject.database();
    let find = database.run_cursor_command(command).batch_size(2);
    let cursor = go!(find.cursor_type(CursorType::Exhaust)).expect("finds");
    let found: Vec<Document> = collect!(cursor).expect("goes on");
    assert_eq!(found.len(), 9);
    // One for the insert, one for the command and one for all further batches.
    assert_eq!(subject.events.checked_out().len(), 3);
    assert_eq!(open_cursors(deployment), 0);
}

fn a_command_that_gives_no_cursor_is_told_as_such(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let ping = go!(subject.database().run_cursor_command(doc! { "ping": 1 }));
    let error = ping.expect_err("a ping gives no cursor");
    assert!(
        matches!(*error.kind, ErrorKind::InvalidResponse { .. }),
        "{error}"
    );
    let refused = go!(subject.database().run_cursor_command(doc! { "someDay": 1 }));
    assert_eq!(refused.expect_err("is unknown").code(), Some(59));
}

fn a_commands_own_concerns_stay_and_the_handles_stay_out(deployment: &Deployment) {
    let subject = Observed::new(deployment, "w=majority&readConcernLevel=majority");
    let insert = doc! { "insert": "people", "documents": [{ "_id": 1 }] };
    go!(subject.database().run_command(insert)).expect("inserts");
    let mut own = doc! { "insert": "people", "documents": [{ "_id": 2 }] };
    own.insert("writeConcern", doc! { "w": 1 });
    go!(subject.database().run_command(own)).expect("inserts");
    let find = doc! { "find": "people", "readConcern": { "level": "local" } };
    go!(subject.database().run_cursor_command(find)).expect("finds");
    let sent = subject.events.commands();
    assert!(
        !sent[0].command.contains_key("writeConcern"),
        "{}",
        sent[0].command
    );
    assert_eq!(
        sent[1].command.get_document("writeConcern").ok(),
        Some(&doc! { "w": 1 })
    );
    let level = doc! { "level": "local" };
    assert_eq!(
        sent[2].command.get_document("readConcern").ok(),
        Some(&level)
    );
}

fn an_empty_command_sends_nothing(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let database = subject.database();
    let outcomes = [
        go!(database.run_command(doc! {})).map(drop),
        go!(database.run_cursor_command(doc! {})).map(drop),
        go!(database.run_command(doc! { "a\0b": 1 })).map(drop),
    ];
    for outcome in outcomes {
        let error = outcome.expect_err("is refused");
        let is_told = matches!(
            *error.kind,
            ErrorKind::InvalidArgument { .. } | ErrorKind::Bson(_)
        );
        assert!(is_told, "{error}");
    }
    assert_eq!(subject.events.command_names(), "");
}

fn a_read_on_a_direct_connection_to_a_secondary_is_answered(deployment: &Deployment) {
    let prepared = Observed::new(deployment, "");
    let everywhere = WriteConcern::nodes(3);
    go!(prepared
        .people()
        .insert_one(doc! { "_id": 1 })
        .write_concern(everywhere))
    .expect("inserts");
    let member = deployment.servers().member(secondary(deployment));
    let direct = uri_of(deployment, &[member.address()], "directConnection=true");
    let subject = Observed::at(deployment, &direct);
    let people = subject.people();
    assert!(go!(people.find_one(doc! {})).expect("finds").is_some());
    assert_eq!(go!(people.count_documents(doc! {})).expect("counts"), 1);
    assert_eq!(go!(people.estimated_document_count()).expect("counts"), 1);
    assert_eq!(
        go!(people.distinct("_id", doc! {})).expect("lists").len(),
        1
    );
    go!(people.aggregate([doc! { "$match": {} }])).expect("aggregates");
    go!(subject.database().run_command(doc! { "dbStats": 1 })).expect("is answered");
    for command in subject.events.commands() {
        let sent = command.command.get_document("$readPreference");
        assert_eq!(
            sent.ok(),
            Some(&doc! { "mode": "primaryPreferred" }),
            "{}",
            command.command
        );
    }
    let refused = go!(people.insert_one(doc! {})).expect_err("is no primary");
    assert_eq!(refused.code(), Some(10107));
}
