//! Collections: what they are made with, changed, renamed and dropped.

use std::time::Duration;

use conformance_tests::behaviour::Deployment;

use super::support::Observed;
use crate::flavor::driver::bson::{Document, doc};
use crate::flavor::driver::error::{ErrorKind, Result};
use crate::flavor::driver::options::{
    ChangeStreamPreAndPostImages, ClusteredIndex, Collation, CreateCollectionOptions, Expiry,
    IndexModification, TimeseriesGranularity, TimeseriesOptions, ValidationAction, ValidationLevel,
};
use crate::flavor::driver::results::{CollectionSpecification, CollectionType};
use crate::flavor::driver::{Collection, IndexModel, Namespace};
use crate::flavor::{collect, go};

conformance_tests::behaviours! {
    C1 a_collection_is_listed_with_what_it_was_made_with: Either, Shared;
    C1 a_time_series_is_listed_with_what_it_was_made_with: Either, Shared, since (5, 0);
    C1 clustering_and_images_are_listed: Either, Shared, since (6, 0);
    C2 a_view_shows_what_its_pipeline_gives_and_can_be_changed: Either, Shared;
    C2 a_validator_can_be_changed: Either, Shared;
    C2 the_reply_to_a_change_tells_old_and_new_values: Either, Shared, since (4, 4);
    C2 the_expiry_of_a_time_series_can_be_changed: Either, Shared, since (5, 0);
    C3 a_collection_moves_to_another_name_and_database: Either, Shared, since (4, 4);
    C3 a_name_that_is_taken_is_refused_unless_it_may_be_dropped: Either, Shared;
    C4 what_is_not_there_counts_as_dropped: Either, Shared;
    C5 a_long_listing_comes_in_batches_with_its_comment_in_the_first: Either, Shared, since (4, 4);
    C6 names_that_nothing_can_have_are_refused: Either, Shared;
    C6 encrypted_fields_are_refused_before_anything_is_sent: Either, Shared;
}

fn listed(subject: &Observed, name: &str) -> CollectionSpecification {
    let listing = go!(subject
        .database()
        .list_collections()
        .filter(doc! { "name": name }));
    let mut found: Vec<_> = collect!(listing.expect("lists")).expect("goes on");
    assert_eq!(found.len(), 1, "{name}");
    found.remove(0)
}

fn ids(collection: &Collection<Document>) -> Vec<i32> {
    let found = go!(collection.find(doc! {}).sort(doc! { "_id": 1 })).expect("finds");
    let found: Vec<Document> = collect!(found).expect("goes on");
    let ids = found.iter().map(|document| document.get_i32("_id"));
    ids.map(|id| id.expect("is a number")).collect()
}

fn a_collection_is_listed_with_what_it_was_made_with(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let options = CreateCollectionOptions::builder()
        .capped(true)
        .size(8192_u64)
        .max(3_u64)
        .validator(doc! { "a": { "$exists": true } })
        .validation_level(ValidationLevel::Moderate)
        .validation_action(ValidationAction::Warn)
        .collation(Collation::builder().locale("fr").build())
        .build();
    go!(subject
        .database()
        .create_collection("made")
        .with_options(options))
    .expect("creates");
    let made = listed(&subject, "made");
    assert_eq!(made.collection_type, CollectionType::Collection);
    assert_eq!(
        (made.options.capped, made.options.max),
        (Some(true), Some(3))
    );
    assert_eq!(made.options.size, Some(8192));
    let validator = doc! { "a": { "$exists": true } };
    assert_eq!(made.options.validator, Some(validator));
    assert_eq!(
        made.options.validation_level,
        Some(ValidationLevel::Moderate)
    );
    assert_eq!(made.options.validation_action, Some(ValidationAction::Warn));
    assert_eq!(made.options.collation.expect("is told").locale, "fr");
    assert!(!made.info.read_only && made.info.uuid.is_some());
    assert!(made.id_index.is_some());
}

fn time_series() -> TimeseriesOptions {
    TimeseriesOptions::builder()
        .time_field("at")
        .meta_field("sensor".to_owned())
        .granularity(TimeseriesGranularity::Minutes)
        .build()
}

fn a_time_series_is_listed_with_what_it_was_made_with(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let hour = Duration::from_secs(3600);
    let database = subject.database();
    let create = database
        .create_collection("weather")
        .timeseries(time_series());
    go!(create.expire_after_seconds(hour)).expect("creates");
    let made = listed(&subject, "weather");
    assert_eq!(made.collection_type, CollectionType::Timeseries);
    let told = made.options.timeseries.expect("is told");
    assert_eq!(told.granularity, Some(TimeseriesGranularity::Minutes));
    assert_eq!(
        (told.time_field, told.meta_field),
        ("at".into(), Some("sensor".into()))
    );
    assert_eq!(made.options.expire_after_seconds, Some(hour));
}

fn clustering_and_images_are_listed(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let images = ChangeStreamPreAndPostImages::builder()
        .enabled(true)
        .build();
    let database = subject.database();
    let create = database
        .create_collection("made")
        .clustered_index(ClusteredIndex::default())
        .change_stream_pre_and_post_images(images.clone());
    go!(create).expect("creates");
    let made = listed(&subject, "made");
    let clustered = made.options.clustered_index.expect("is told");
    assert_eq!(clustered.key, doc! { "_id": 1 });
    assert_eq!(made.options.change_stream_pre_and_post_images, Some(images));
    let index: Vec<IndexModel> = collect!(
        go!(subject
            .database()
            .collection::<Document>("made")
            .list_indexes())
        .expect("lists")
    )
    .expect("goes on");
    let options = index[0].options.as_ref().expect("has options");
    assert_eq!(options.clustered(), Some(true));
}

fn a_view_shows_what_its_pipeline_gives_and_can_be_changed(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(4);
    let database = subject.database();
    let over = |least: i32| [doc! { "$match": { "_id": { "$gte": least } } }];
    go!(database
        .create_collection("view")
        .view_on("people")
        .pipeline(over(3)))
    .expect("creates a view");
    let view = database.collection("view");
    assert_eq!(ids(&view), [3]);
    go!(database
        .modify_collection("view")
        .view_on("people")
        .pipeline(over(2)))
    .expect("changes the view");
    assert_eq!(ids(&view), [2, 3]);
    let told = listed(&subject, "view");
    assert_eq!(told.collection_type, CollectionType::View);
    assert_eq!(told.options.view_on.as_deref(), Some("people"));
    assert!(told.info.read_only && told.id_index.is_none());
}

fn a_validator_can_be_changed(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let (database, people) = (subject.database(), subject.people());
    let named = doc! { "name": { "$type": "string" } };
    go!(database.create_collection("people").validator(named)).expect("creates");
    let refused = go!(people.insert_one(doc! { "_id": 1 })).expect_err("has no name");
    assert_eq!(refused.code(), Some(121));
    go!(database
        .modify_collection("people")
        .validator(doc! {})
        .validation_level(ValidationLevel::Off))
    .expect("changes");
    go!(people.insert_one(doc! { "_id": 1 })).expect("inserts");
}

fn the_reply_to_a_change_tells_old_and_new_values(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let by_age = IndexModel::builder().keys(doc! { "age": 1 }).build();
    go!(subject.people().create_index(by_age)).expect("creates an index");
    let hide = IndexModification::builder()
        .key_pattern(doc! { "age": 1 })
        .hidden(true)
        .build();
    let database = subject.database();
    let change = database
        .modify_collection("people")
        .index(hide)
        .comment("hide");
    let reply = go!(change).expect("changes");
    assert_eq!(reply.get_bool("hidden_old").ok(), Some(false));
    assert_eq!(reply.get_bool("hidden_new").ok(), Some(true));
    let sent = subject.events.commands_named("collMod").remove(0).command;
    assert_eq!(sent.get_str("comment").ok(), Some("hide"));
    let missing = IndexModification::builder()
        .name("none".to_owned())
        .hidden(true)
        .build();
    let refused = go!(subject
        .database()
        .modify_collection("people")
        .index(missing));
    assert_eq!(refused.expect_err("is not there").code(), Some(27));
}

fn the_expiry_of_a_time_series_can_be_changed(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let database = subject.database();
    let (hour, day) = (Duration::from_secs(3600), Duration::from_secs(86400));
    let create = database
        .create_collection("weather")
        .timeseries(time_series());
    go!(create.expire_after_seconds(hour)).expect("creates");
    for (expiry, told) in [(Expiry::After(day), Some(day)), (Expiry::Off, None)] {
        go!(database
            .modify_collection("weather")
            .expire_after_seconds(expiry))
        .expect("changes");
        assert_eq!(
            listed(&subject, "weather").options.expire_after_seconds,
            told
        );
    }
}

fn a_collection_moves_to_another_name_and_database(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(2);
    let database = subject.database();
    go!(subject.people().rename("inhabitants").comment("moves")).expect("renames");
    assert_eq!(ids(&database.collection("inhabitants")), [0, 1]);
    assert_eq!(ids(&subject.people()), [0; 0]);
    let other = format!("{}_b", deployment.database_name());
    let elsewhere = Namespace::new(&other, "in.habitants");
    let inhabitants = database.collection::<Document>("inhabitants");
    go!(inhabitants.rename(elsewhere)).expect("moves to another database");
    assert_eq!(
        ids(&subject.client.database(&other).collection("in.habitants")),
        [0, 1]
    );
    let missing = go!(inhabitants.rename("x")).expect_err("is not there any more");
    assert_eq!(missing.code(), Some(26));
    deployment.observe(subject.events.command_names());
}

fn a_name_that_is_taken_is_refused_unless_it_may_be_dropped(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(2);
    go!(subject.database().create_collection("taken")).expect("creates");
    let again = go!(subject
        .database()
        .create_collection("taken")
        .capped(true)
        .size(4096));
    assert_eq!(again.expect_err("is taken").code(), Some(48));
    let refused = go!(subject.people().rename("taken")).expect_err("is taken");
    assert_eq!(refused.code(), Some(48));
    go!(subject.people().rename("taken").drop_target(true)).expect("renames");
    assert_eq!(ids(&subject.database().collection("taken")), [0, 1]);
}

fn what_is_not_there_counts_as_dropped(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    go!(subject.people().drop()).expect("is no error");
    go!(subject.people().drop_index("a_1")).expect("is no error");
    go!(subject.people().drop_indexes()).expect("is no error");
    go!(subject.database().drop()).expect("is no error");
    assert!(
        go!(subject.people().list_index_names())
            .expect("lists")
            .is_empty()
    );
}

fn a_long_listing_comes_in_batches_with_its_comment_in_the_first(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let database = subject.database();
    for number in 0..7 {
        go!(database.create_collection(format!("c{number}"))).expect("creates");
    }
    let names = go!(database
        .list_collection_names()
        .batch_size(3)
        .comment("why"));
    assert_eq!(names.expect("lists").len(), 7);
    let sent = subject.events.commands_named("listCollections").remove(0);
    assert_eq!(sent.command.get_str("comment").ok(), Some("why"));
    let more = subject.events.commands_named("getMore");
    assert_eq!(more.len(), 2);
    for command in more {
        assert_eq!(command.command.get_i32("batchSize").ok(), Some(3));
        assert!(
            !command.command.contains_key("comment"),
            "{}",
            command.command
        );
    }
}

fn names_that_nothing_can_have_are_refused(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    // A database could answer this, which an empty name must not turn the collection into.
    let sessions = doc! { "$listLocalSessions": {} };
    let verbs = |database: &str, collection: &str| -> Vec<(&str, Result<()>)> {
        let database = subject.client.database(database);
        let handle = database.collection::<Document>(collection);
        let keys = IndexModel::builder().keys(doc! { "a": 1 }).build();
        vec![
            ("create", go!(database.create_collection(collection))),
            (
                "collMod",
                go!(database.modify_collection(collection)).map(drop),
            ),
            ("rename from", go!(handle.rename("y"))),
            (
                "rename to",
                go!(subject.people().rename(handle.namespace())),
            ),
            ("insert", go!(handle.insert_one(doc! {})).map(drop)),
            ("find", go!(handle.find_one(doc! {})).map(drop)),
            (
                "aggregate",
                go!(handle.aggregate([sessions.clone()])).map(drop),
            ),
            ("count", go!(handle.count_documents(doc! {})).map(drop)),
            ("create index", go!(handle.create_index(keys)).map(drop)),
        ]
    };
    let own = deployment.database_name();
    for (database, collection) in [(own, ""), (own, "a\0b"), ("", "a"), ("a\0b", "a")] {
        for (verb, outcome) in verbs(database, collection) {
            let error = outcome.expect_err(verb);
            let is_told = error.code() == Some(73)
                || matches!(*error.kind, ErrorKind::InvalidArgument { .. });
            assert!(is_told, "{verb} {database:?} {collection:?}: {error}");
        }
    }
}

fn encrypted_fields_are_refused_before_anything_is_sent(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let fields = doc! { "fields": [] };
    let database = subject.database();
    let create = database.create_collection("secret");
    let error = go!(create.encrypted_fields(fields.clone())).expect_err("is refused");
    assert!(
        matches!(*error.kind, ErrorKind::InvalidArgument { .. }),
        "{error}"
    );
    let people = subject.people();
    go!(people.drop().encrypted_fields(fields)).expect_err("is refused");
    assert_eq!(subject.events.command_names(), "");
}
