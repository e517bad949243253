//! The prose tests of the CRUD specification, by their numbers there, and those of the collation
//! specification.

use std::time::Duration;

use conformance_tests::behaviour::Deployment;

use super::recorder::Event;
use super::servers::FailPoint;
use super::support::Observed;
use crate::flavor::driver::bson::{Document, doc};
use crate::flavor::driver::bulk::InsertOne;
use crate::flavor::driver::error::{ErrorKind, WriteFailure};
use crate::flavor::driver::event::command::CommandEvent;
use crate::flavor::driver::options::{Collation, ExplainVerbosity, IndexOptions};
use crate::flavor::driver::{Collection, IndexModel};
use crate::flavor::go;

conformance_tests::behaviours! {
    P1 a_write_concern_errors_details_are_the_servers: Either, FailPoint;
    P2 a_write_errors_details_are_the_servers: Either, Shared, since (5, 0);
    P14 an_explanation_has_its_own_time_limit: Either, Shared;
    P16 a_generated_id_is_the_first_field: Either, Shared;
    L1 of_two_indexes_with_the_same_keys_the_named_one_is_dropped: Either, Shared;
}

fn a_write_concern_errors_details_are_the_servers(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let details = doc! {
        "writeConcern": { "w": 2, "wtimeout": 0, "provenance": "clientSupplied" },
    };
    let data = doc! {
        "failCommands": ["insert"],
        "writeConcernError": {
            "code": 100,
            "codeName": "UnsatisfiableWriteConcern",
            "errmsg": "Not enough data-bearing nodes",
            "errInfo": &details,
        },
    };
    let _failing = FailPoint::times(deployment, 1, data);
    let error = go!(subject.people().insert_one(doc! {})).expect_err("the concern is not met");
    let ErrorKind::Write(WriteFailure::WriteConcernError(failure)) = &*error.kind else {
        panic!("{error:?}");
    };
    assert_eq!(failure.code, 100);
    assert_eq!(failure.details, Some(details));
}

fn a_write_errors_details_are_the_servers(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let validator = doc! { "x": { "$type": "string" } };
    go!(subject
        .database()
        .create_collection("people")
        .validator(validator))
    .expect("creates a collection");
    let error = go!(subject.people().insert_one(doc! { "x": 1 })).expect_err("is invalid");
    let ErrorKind::Write(WriteFailure::WriteError(failure)) = &*error.kind else {
        panic!("{error:?}");
    };
    assert_eq!(failure.code, 121);
    let reply = subject
        .events
        .wait_for("reply to the insert", reply_to_insert);
    let errors = reply.get_array("writeErrors").expect("has errors");
    let told = errors[0].as_document().expect("is a document");
    let told = told.get_document("errInfo").expect("has details");
    assert_eq!(failure.details.as_ref(), Some(told));
}

fn reply_to_insert(events: &[Event]) -> Option<Document> {
    events.iter().find_map(|event| match event {
        Event::Command(event) => match &**event {
            CommandEvent::Succeeded(done) if done.command_name == "insert" => {
                Some(done.reply.clone())
            }
            _ => None,
        },
        _ => None,
    })
}

fn an_explanation_has_its_own_time_limit(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let people = subject.people();
    go!(people
        .find(doc! { "name": "john doe" })
        .explain(ExplainVerbosity::QueryPlanner)
        .max_time(Duration::from_millis(2000)))
    .expect("explains");
    let explain = subject.events.commands_named("explain").remove(0).command;
    assert_eq!(explain.get_i32("maxTimeMS").ok(), Some(2000));
    let inner = explain.get_document("explain").expect("is a document");
    assert!(!inner.contains_key("maxTimeMS"), "{inner}");
}

fn a_generated_id_is_the_first_field(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    go!(subject.people().insert_one(doc! { "x": 1 })).expect("inserts");
    go!(subject.people().insert_many([
        doc! { "x": 1 },
        doc! { "x": 2, "_id": 7 },
        doc! { "x": 3 }
    ]))
    .expect("inserts");
    let writes = [InsertOne::new(doc! { "x": 1 }).into()];
    go!(subject.people().bulk_write(writes)).expect("inserts");
    let mut firsts = Vec::new();
    for insert in subject.events.commands_named("insert") {
        for document in insert
            .command
            .get_array("documents")
            .expect("has documents")
        {
            let document = document.as_document().expect("is a document");
            firsts.push(document.keys().next().expect("has fields").clone());
        }
    }
    assert_eq!(
        firsts,
        ["_id", "_id", "x", "_id", "_id"],
        "only generated ones are put in front"
    );
}

fn of_two_indexes_with_the_same_keys_the_named_one_is_dropped(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let people = subject.people();
    for (name, locale) in [("german", "de"), ("french", "fr")] {
        let options = IndexOptions::builder()
            .name(name.to_owned())
            .collation(Collation::builder().locale(locale).build())
            .build();
        let index = IndexModel::builder()
            .keys(doc! { "name": 1 })
            .options(options)
            .build();
        go!(people.create_index(index)).expect("creates an index");
    }
    assert_eq!(indexes(&people), ["_id_", "german", "french"]);
    go!(people.drop_index("german")).expect("drops an index");
    assert_eq!(indexes(&people), ["_id_", "french"]);
}

fn indexes(people: &Collection<Document>) -> Vec<String> {
    go!(people.list_index_names()).expect("lists indexes")
}
