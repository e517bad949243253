//! Arguments that no server should see: each a clear error, before anything is sent.

use conformance_tests::behaviour::Deployment;

use super::recorder::Event;
use super::support::Observed;
use crate::flavor::driver::Collection;
use crate::flavor::driver::bson::{Document, doc};
use crate::flavor::driver::error::{Error, ErrorKind};
use crate::flavor::go;

conformance_tests::behaviours! {
    B1 documents_over_the_limit_are_refused: Either, Shared;
    B2 keys_with_a_null_byte_are_refused: Either, Shared;
    B3 values_that_are_no_documents_are_refused: Either, Shared;
    B4 an_empty_insert_is_refused: Either, Shared;
}

/// Longer than any document may be.
const TOO_LONG: usize = 17 * 1024 * 1024;

fn is_invalid_argument(error: &Error) -> bool {
    matches!(*error.kind, ErrorKind::InvalidArgument { .. })
}

fn documents_over_the_limit_are_refused(deployment: &Deployment) {
    let subject = Observed::new(deployment, "maxPoolSize=1");
    let people = subject.people();
    let large = || doc! { "text": "x".repeat(TOO_LONG) };
    let errors = [
        ("insert_one", go!(people.insert_one(large())).map(drop)),
        (
            "insert_many",
            go!(people.insert_many([doc! {}, large()])).map(drop),
        ),
        (
            "replace_one",
            go!(people.replace_one(doc! {}, large())).map(drop),
        ),
        (
            "find_one_and_replace",
            go!(people.find_one_and_replace(doc! {}, large())).map(drop),
        ),
        (
            "update_one",
            go!(people.update_one(doc! {}, doc! { "$set": large() })).map(drop),
        ),
        ("delete_one", go!(people.delete_one(large())).map(drop)),
        ("find_one", go!(people.find_one(large())).map(drop)),
        (
            "run_command",
            go!(subject.database().run_command(doc! { "ping": large() })).map(drop),
        ),
    ];
    for (verb, outcome) in errors {
        let error = outcome.expect_err(verb);
        assert!(is_invalid_argument(&error), "{verb}: {error:?}");
        let text = error.to_string();
        assert!(
            text.contains("178") && text.contains("167"),
            "{verb}: both sizes: {text}"
        );
    }
    assert_eq!(subject.events.command_names(), "");
    subject.ping().expect("the connection is as good as ever");
    assert_eq!(subject.events.count(Event::is_connection_created), 1);
}

fn keys_with_a_null_byte_are_refused(deployment: &Deployment) {
    let subject = Observed::new(deployment, "maxPoolSize=1");
    let people = subject.people();
    let bad = || doc! { "a": { "b\0c": 1 } };
    let errors = [
        ("insert_one", go!(people.insert_one(bad())).map(drop)),
        (
            "replace_one",
            go!(people.replace_one(doc! {}, bad())).map(drop),
        ),
        (
            "update_one",
            go!(people.update_one(doc! {}, doc! { "$set": bad() })).map(drop),
        ),
        ("delete_one", go!(people.delete_one(bad())).map(drop)),
        ("find_one", go!(people.find_one(bad())).map(drop)),
        (
            "aggregate",
            go!(people.aggregate([doc! { "$match": bad() }])).map(drop),
        ),
        (
            "find_one_and_update",
            go!(people.find_one_and_update(bad(), vec![])).map(drop),
        ),
    ];
    for (verb, outcome) in errors {
        let error = outcome.expect_err(verb);
        let is_clear = is_invalid_argument(&error) || matches!(*error.kind, ErrorKind::Bson(_));
        assert!(
            is_clear && error.to_string().contains("null"),
            "{verb}: {error:?}"
        );
    }
    assert_eq!(subject.events.command_names(), "");
    subject.ping().expect("the connection is as good as ever");
    assert_eq!(subject.events.count(Event::is_connection_created), 1);
}

fn values_that_are_no_documents_are_refused(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let numbers: Collection<i32> = subject.people().clone_with_type();
    for outcome in [
        go!(numbers.insert_one(1)).map(drop),
        go!(numbers.insert_many([1, 2])).map(drop),
        go!(numbers.replace_one(doc! {}, 1)).map(drop),
        go!(numbers.find_one_and_replace(doc! {}, 1)).map(drop),
    ] {
        let error = outcome.expect_err("a number is no document");
        assert!(matches!(*error.kind, ErrorKind::Bson(_)), "{error:?}");
    }
    assert_eq!(subject.events.command_names(), "");
}

fn an_empty_insert_is_refused(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let nobody: [Document; 0] = [];
    let error = go!(subject.people().insert_many(nobody)).expect_err("there is nothing to insert");
    assert!(is_invalid_argument(&error), "{error:?}");
    assert_eq!(subject.events.command_names(), "");
}
