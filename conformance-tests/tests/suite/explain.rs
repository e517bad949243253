//! Explanations: of every action, without doing it, from the right server.

use conformance_tests::behaviour::Deployment;

use super::servers::{FailPoint, address, writable};
use super::support::Observed;
use crate::flavor::driver::bson::{Document, doc};
use crate::flavor::driver::error::Result;
use crate::flavor::driver::options::{
    ExplainVerbosity, Hint, ReadPreference, SelectionCriteria, ServerAddress, ServerApi,
    ServerApiVersion, WriteConcern,
};
use crate::flavor::{collect, go};

conformance_tests::behaviours! {
    R87 an_explanation_carries_no_concern_or_preference: Either, Shared;
    E1 every_action_can_be_explained_and_changes_nothing: Either, Shared;
    E2 the_verbosity_decides_how_much_is_told: Either, Shared;
    E3 a_secondary_explains_what_it_would_do: ReplicaSet, Shared;
    E4 what_would_be_refused_is_not_explained: Either, Shared;
    E5 an_explanation_is_tried_again_like_a_read: Either, FailPoint;
    E6 explanations_are_part_of_the_stable_api: Either, Shared, since (5, 0);
}

const PLAN: ExplainVerbosity = ExplainVerbosity::QueryPlanner;

fn an_explanation_carries_no_concern_or_preference(deployment: &Deployment) {
    let options = "w=majority&readConcernLevel=majority";
    let subject = Observed::new(deployment, options).with_people(1);
    let people = subject.people();
    go!(people.find(doc! {}).explain(PLAN)).expect("explains");
    go!(people.delete_one(doc! {}).explain(PLAN)).expect("explains");
    for explain in subject.events.commands_named("explain") {
        let inner = explain
            .command
            .get_document("explain")
            .expect("is a document");
        for command in [&explain.command, inner] {
            for name in ["readConcern", "writeConcern", "$readPreference"] {
                assert!(!command.contains_key(name), "{command}");
            }
        }
    }
    assert_eq!(subject.events.command_names(), "insert, explain, explain");
}

fn every_action_can_be_explained_and_changes_nothing(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(3);
    let people = subject.people();
    let set = || doc! { "$set": { "seen": true } };
    let explanations: Vec<(&str, Result<Document>)> = vec![
        ("find", go!(people.find(doc! {}).explain(PLAN))),
        ("find_one", go!(people.find_one(doc! {}).explain(PLAN))),
        (
            "aggregate",
            go!(people.aggregate([doc! { "$match": {} }]).explain(PLAN)),
        ),
        (
            "aggregate with $out",
            go!(people.aggregate([doc! { "$out": "copy" }]).explain(PLAN)),
        ),
        (
            "count_documents",
            go!(people.count_documents(doc! {}).explain(PLAN)),
        ),
        ("count", go!(people.count(doc! {}).explain(PLAN))),
        (
            "estimated_document_count",
            go!(people.estimated_document_count().explain(PLAN)),
        ),
        (
            "distinct",
            go!(people.distinct("_id", doc! {}).explain(PLAN)),
        ),
        (
            "update_one",
            go!(people.update_one(doc! {}, set()).explain(PLAN)),
        ),
        (
            "update_many",
            go!(people.update_many(doc! {}, set()).explain(PLAN)),
        ),
        (
            "replace_one",
            go!(people.replace_one(doc! {}, doc! {}).explain(PLAN)),
        ),
        ("delete_one", go!(people.delete_one(doc! {}).explain(PLAN))),
        (
            "delete_many",
            go!(people.delete_many(doc! {}).explain(PLAN)),
        ),
        (
            "find_one_and_update",
            go!(people.find_one_and_update(doc! {}, set()).explain(PLAN)),
        ),
        (
            "find_one_and_replace",
            go!(people.find_one_and_replace(doc! {}, doc! {}).explain(PLAN)),
        ),
        (
            "find_one_and_delete",
            go!(people.find_one_and_delete(doc! {}).explain(PLAN)),
        ),
    ];
    for (action, explanation) in explanations {
        let explanation = explanation.unwrap_or_else(|error| panic!("{action}: {error}"));
        let has_plan =
            explanation.contains_key("queryPlanner") || explanation.contains_key("stages");
        assert!(has_plan, "{action}: {explanation}");
    }
    let names = go!(subject.database().list_collection_names()).expect("lists collections");
    assert_eq!(names, ["people"], "nothing was written out");
    let unacknowledged = people
        .delete_many(doc! {})
        .write_concern(WriteConcern::nodes(0));
    go!(unacknowledged.explain(ExplainVerbosity::ExecutionStats)).expect("a reply is awaited");
    let left: Vec<_> = collect!(go!(people.find(doc! {})).expect("finds")).expect("goes on");
    assert_eq!(
        left,
        [doc! { "_id": 0 }, doc! { "_id": 1 }, doc! { "_id": 2 }]
    );
}

fn the_verbosity_decides_how_much_is_told(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(3);
    let people = subject.people();
    let explain = |verbosity| {
        let find = people
            .find(doc! { "_id": { "$gt": 0 } })
            .hint(Hint::Keys(doc! { "_id": 1 }));
        go!(find.explain(verbosity)).expect("explains")
    };
    assert!(!explain(PLAN).contains_key("executionStats"));
    let explanation = explain(ExplainVerbosity::ExecutionStats);
    let stats = explanation
        .get_document("executionStats")
        .expect("has statistics");
    assert_eq!(stats.get_i32("nReturned").ok(), Some(2));
    assert!(!stats.contains_key("allPlansExecution"), "{stats}");
    let explanation = explain(ExplainVerbosity::AllPlansExecution);
    let stats = explanation
        .get_document("executionStats")
        .expect("has statistics");
    assert!(stats.contains_key("allPlansExecution"), "{stats}");
}

fn a_secondary_explains_what_it_would_do(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    let secondary = SelectionCriteria::ReadPreference(ReadPreference::secondary(None));
    let people = subject.people();
    let explanation = go!(people
        .find(doc! {})
        .selection_criteria(secondary)
        .explain(PLAN));
    let explanation = explanation.expect("explains");
    let server = explanation
        .get_document("serverInfo")
        .expect("names the server");
    let ServerAddress::Tcp { port, .. } = address(deployment, writable(deployment)) else {
        panic!("members listen on TCP");
    };
    assert_ne!(server.get_i32("port").ok(), port.map(i32::from), "{server}");
    let explain = subject.events.commands_named("explain").remove(0).command;
    let inner = explain.get_document("explain").expect("is a document");
    assert!(explain.contains_key("$readPreference"), "{explain}");
    assert!(!inner.contains_key("$readPreference"), "{inner}");
}

fn what_would_be_refused_is_not_explained(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let people = subject.people();
    let update = people.update_one(doc! {}, doc! { "no": "operator" });
    let error = go!(update.explain(PLAN)).expect_err("is no update");
    assert!(error.to_string().contains("replace_one"), "{error}");
    assert_eq!(subject.events.command_names(), "");
}

fn an_explanation_is_tried_again_like_a_read(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    let data = doc! { "failCommands": ["explain"], "closeConnection": true };
    let _closing = FailPoint::times(deployment, 1, data);
    go!(subject.people().delete_one(doc! {}).explain(PLAN)).expect("the second try succeeds");
    assert_eq!(subject.events.commands_named("explain").len(), 2);
}

fn explanations_are_part_of_the_stable_api(deployment: &Deployment) {
    let uri = deployment.uri_with("");
    let subject = Observed::configured(deployment, &uri, |options| {
        let api = ServerApi::builder().version(ServerApiVersion::V1);
        options.server_api = Some(api.strict(true).build());
    });
    go!(subject.people().find(doc! {}).explain(PLAN)).expect("explains");
    let explain = subject.events.commands_named("explain").remove(0).command;
    assert_eq!(explain.get_str("apiVersion").ok(), Some("1"));
    let inner = explain.get_document("explain").expect("is a document");
    assert!(!inner.contains_key("apiVersion"), "{inner}");
}
