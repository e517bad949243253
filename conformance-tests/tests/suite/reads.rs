//! Counts and distinct values.

use conformance_tests::behaviour::Deployment;

use super::support::Observed;
use crate::flavor::driver::bson::{Bson, doc};
use crate::flavor::driver::error::ErrorKind;
use crate::flavor::go;

conformance_tests::behaviours! {
    D1 distinct_values_are_of_the_type_asked_for: Either, Shared;
    D2 the_three_counts_agree: Either, Shared;
    D2 what_does_not_exist_has_no_documents: Either, Shared;
}

fn distinct_values_are_of_the_type_asked_for(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let people = subject.people();
    let towns = ["Bonn", "Kiel", "Bonn"].map(|town| doc! { "town": town });
    go!(people.insert_many(towns)).expect("inserts");
    let values = go!(people.distinct("town", doc! {})).expect("lists");
    assert_eq!(values, [Bson::from("Bonn"), Bson::from("Kiel")]);
    let names: Vec<String> =
        go!(people.distinct("town", doc! {}).with_type::<String>()).expect("lists");
    assert_eq!(names, ["Bonn", "Kiel"]);
    let error = go!(people.distinct("town", doc! {}).with_type::<i32>());
    let error = error.expect_err("towns are no numbers");
    assert!(matches!(*error.kind, ErrorKind::Bson(_)), "{error:?}");
}

fn the_three_counts_agree(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(7);
    let people = subject.people();
    let adults = || doc! { "_id": { "$gte": 2 } };
    assert_eq!(go!(people.count_documents(adults())).expect("counts"), 5);
    assert_eq!(go!(people.count(adults())).expect("counts"), 5);
    let exact = go!(people.count_documents(adults()).skip(1).limit(3));
    assert_eq!(exact.expect("counts"), 3);
    assert_eq!(
        go!(people.count(adults()).skip(1).limit(3)).expect("counts"),
        3
    );
    assert_eq!(
        go!(people.count_documents(adults()).limit(0)).expect("counts"),
        5
    );
    assert_eq!(go!(people.count(adults()).limit(0)).expect("counts"), 5);
    assert_eq!(go!(people.estimated_document_count()).expect("counts"), 7);
    deployment.observe(subject.events.command_names());
}

fn what_does_not_exist_has_no_documents(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let people = subject.people();
    assert_eq!(go!(people.count_documents(doc! {})).expect("counts"), 0);
    assert_eq!(go!(people.count(doc! {})).expect("counts"), 0);
    assert_eq!(go!(people.estimated_document_count()).expect("counts"), 0);
    assert!(
        go!(people.distinct("town", doc! {}))
            .expect("lists")
            .is_empty()
    );
}
