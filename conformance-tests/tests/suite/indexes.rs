//! Indexes: what they are made with and how they are dropped, and the commands of search indexes.

use std::time::Duration;

use conformance_tests::behaviour::Deployment;

use super::support::Observed;
use crate::flavor::driver::bson::{self, Bson, Document, doc};
use crate::flavor::driver::error::ErrorKind;
use crate::flavor::driver::options::{
    AggregateOptions, Collation, CollationStrength, CommitQuorum, IndexOptions, ReadConcern,
    Sphere2DIndexVersion, TextIndexVersion,
};
use crate::flavor::driver::{IndexModel, SearchIndexModel, SearchIndexType};
use crate::flavor::{collect, go};

conformance_tests::behaviours! {
    I1 every_kind_of_index_reads_back_as_it_was_made: Either, Shared, since (4, 4);
    I1 the_names_that_are_returned_are_those_on_the_server: Either, Shared;
    I2 an_index_is_dropped_by_its_name_or_its_keys: Either, Shared, since (4, 4);
    I2 keys_that_several_indexes_have_drop_none: Either, Shared;
    I2 what_tells_no_single_index_sends_nothing: Either, Shared;
    I3 a_commit_quorum_is_sent: ReplicaSet, Shared, since (4, 4);
    I4 search_index_commands_take_no_concerns: Either, Shared;
}

fn index(keys: Document, options: IndexOptions) -> IndexModel {
    IndexModel::builder().keys(keys).options(options).build()
}

fn plain(keys: Document) -> IndexModel {
    IndexModel::builder().keys(keys).build()
}

fn every_kind_of_index_reads_back_as_it_was_made(deployment: &Deployment) {
    let people = Observed::new(deployment, "").people();
    let made = [
        index(
            doc! { "seen": 1 },
            IndexOptions::builder()
                .name("ttl".to_owned())
                .expire_after(Duration::from_secs(60))
                .build(),
        ),
        index(
            doc! { "email": 1 },
            IndexOptions::builder()
                .name("unique".to_owned())
                .unique(true)
                .hidden(true)
                .collation(
                    Collation::builder()
                        .locale("en")
                        .strength(CollationStrength::Secondary)
                        .build(),
                )
                .partial_filter_expression(doc! { "email": { "$exists": true } })
                .build(),
        ),
        index(
            doc! { "about": "text" },
            IndexOptions::builder()
                .name("text".to_owned())
                .default_language("none".to_owned())
                .language_override("tongue".to_owned())
                .weights(doc! { "about": 5 })
                .text_index_version(TextIndexVersion::V3)
                .build(),
        ),
        index(
            doc! { "home": "2dsphere" },
            IndexOptions::builder()
                .name("sphere".to_owned())
                .sphere_2d_index_version(Sphere2DIndexVersion::V3)
                .build(),
        ),
        index(
            doc! { "seat": "2d" },
            IndexOptions::builder()
                .name("flat".to_owned())
                .bits(20_u32)
                .min(-10.5)
                .max(10.5)
                .build(),
        ),
        index(
            doc! { "$**": 1 },
            IndexOptions::builder()
                .name("wild".to_owned())
                .wildcard_projection(doc! { "_id": false, "secret": false })
                .build(),
        ),
        index(
            doc! { "a": "hashed" },
            IndexOptions::builder()
                .name("sparse".to_owned())
                .sparse(true)
                .storage_engine(doc! { "wiredTiger": {} })
                .build(),
        ),
    ];
    go!(people.create_indexes(made.clone())).expect("creates indexes");
    let listed: Vec<IndexModel> =
        collect!(go!(people.list_indexes()).expect("lists")).expect("goes on");
    assert_eq!(listed.len(), made.len() + 1);
    for (made, listed) in made.iter().zip(&listed[1..]) {
        let made = bson::serialize_to_document(&made.options).expect("is a document");
        let told = bson::serialize_to_document(&listed.options).expect("is a document");
        assert!(contains(&told, &made), "made {made}, told {told}");
    }
}

/// Whether a document has all fields of another; the server adds some of its own.
fn contains(whole: &Document, part: &Document) -> bool {
    part.iter()
        .all(|(key, value)| match (whole.get(key), value) {
            (Some(Bson::Document(whole)), Bson::Document(part)) => contains(whole, part),
            (found, value) => found == Some(value),
        })
}

fn the_names_that_are_returned_are_those_on_the_server(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let people = subject.people();
    let mine = IndexOptions::builder().name("mine".to_owned()).build();
    let indexes = [
        plain(doc! { "name": 1, "born": -1 }),
        plain(doc! { "at": "2dsphere" }),
        plain(doc! { "_id": 1 }),
        index(doc! { "x": 1 }, mine),
    ];
    let created = go!(people.create_indexes(indexes)).expect("creates indexes");
    let returned = created.index_names;
    assert_eq!(returned, ["name_1_born_-1", "at_2dsphere", "_id_", "mine"]);
    let listed = go!(people.list_index_names()).expect("lists names");
    assert_eq!(listed, ["_id_", "name_1_born_-1", "at_2dsphere", "mine"]);
    let again = go!(people.create_index(plain(doc! { "name": 1, "born": -1 })));
    assert_eq!(
        again.expect("is there already").index_name,
        "name_1_born_-1"
    );
    let other = IndexOptions::builder().name("mine".to_owned()).build();
    let refused = go!(people.create_index(index(doc! { "y": 1 }, other)));
    assert_eq!(refused.expect_err("the name is taken").code(), Some(86));
}

fn an_index_is_dropped_by_its_name_or_its_keys(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let people = subject.people();
    let keys = ["a", "b", "c", "d"].map(|field| plain(doc! { field: 1 }));
    go!(people.create_indexes(keys)).expect("creates indexes");
    let left = || go!(people.list_index_names()).expect("lists names");
    go!(people.drop_index("b_1")).expect("drops by name");
    assert_eq!(left(), ["_id_", "a_1", "c_1", "d_1"]);
    go!(people.drop_index_by_keys(doc! { "c": 1 }).comment("why")).expect("drops by keys");
    assert_eq!(left(), ["_id_", "a_1", "d_1"]);
    let refused = go!(people.drop_index("b_1")).expect_err("is gone");
    assert_eq!(refused.code(), Some(27));
    let refused = go!(people.drop_index_by_keys(doc! { "c": 1 })).expect_err("is gone");
    assert_eq!(refused.code(), Some(27));
    go!(people.drop_indexes()).expect("drops all");
    assert_eq!(left(), ["_id_"]);
}

fn keys_that_several_indexes_have_drop_none(deployment: &Deployment) {
    let people = Observed::new(deployment, "").people();
    let named = |name: &str, locale: &str| {
        let collation = Collation::builder().locale(locale).build();
        let options = IndexOptions::builder()
            .name(name.to_owned())
            .collation(collation);
        index(doc! { "a": 1 }, options.build())
    };
    go!(people.create_indexes([named("english", "en"), named("french", "fr")])).expect("creates");
    let refused = go!(people.drop_index_by_keys(doc! { "a": 1 })).expect_err("is ambiguous");
    assert_eq!(refused.code(), Some(181));
    assert_eq!(go!(people.list_index_names()).expect("lists").len(), 3);
}

fn what_tells_no_single_index_sends_nothing(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let people = subject.people();
    let refused = [
        go!(people.drop_index("*")),
        go!(people.drop_index("")),
        go!(people.drop_index_by_keys(doc! {})),
        go!(people.create_indexes([])).map(|_| ()),
        go!(people.create_index(plain(doc! {}))).map(|_| ()),
        go!(people.create_index(plain(doc! { "a\0b": 1 }))).map(|_| ()),
    ];
    for outcome in refused {
        let error = outcome.expect_err("is refused");
        assert!(
            matches!(*error.kind, ErrorKind::InvalidArgument { .. }),
            "{error}"
        );
    }
    assert_eq!(subject.events.command_names(), "");
}

fn a_commit_quorum_is_sent(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    let people = subject.people();
    for (field, quorum, sent) in [
        ("a", CommitQuorum::Nodes(1), Bson::Int32(1)),
        ("b", CommitQuorum::Majority, "majority".into()),
        ("c", CommitQuorum::VotingMembers, "votingMembers".into()),
    ] {
        let create = people
            .create_index(plain(doc! { field: 1 }))
            .commit_quorum(quorum);
        go!(create).expect("creates an index");
        let command = subject
            .events
            .commands_named("createIndexes")
            .pop()
            .expect("was sent");
        assert_eq!(command.command.get("commitQuorum"), Some(&sent));
    }
}

fn search_index_commands_take_no_concerns(deployment: &Deployment) {
    let subject = Observed::new(deployment, "w=majority&readConcernLevel=majority");
    let people = subject.people();
    let definition = doc! { "mappings": { "dynamic": true } };
    let model = SearchIndexModel::builder()
        .definition(definition.clone())
        .name("plot".to_owned())
        .index_type(SearchIndexType::Search)
        .build();
    let own = AggregateOptions::builder()
        .batch_size(10)
        .read_concern(ReadConcern::local());
    // These servers have no search, and say so.
    go!(people.create_search_index(model.clone())).expect_err("is refused");
    go!(people.create_search_indexes([])).expect_err("is refused");
    go!(people.update_search_index("plot", definition.clone())).expect_err("is refused");
    go!(people.drop_search_index("plot")).expect_err("is refused");
    let list = people
        .list_search_indexes()
        .name("plot")
        .aggregate_options(own.build());
    go!(list).expect_err("is refused");
    let model = bson::serialize_to_document(&model).expect("is a document");
    let collection = people.name();
    let wanted = [
        doc! { "createSearchIndexes": collection, "indexes": [model] },
        doc! { "createSearchIndexes": collection, "indexes": [] },
        doc! { "updateSearchIndex": collection, "name": "plot", "definition": definition },
        doc! { "dropSearchIndex": collection, "name": "plot" },
        doc! {
            "aggregate": collection, "pipeline": [{ "$listSearchIndexes": { "name": "plot" } }],
            "cursor": { "batchSize": 10 },
        },
    ];
    let sent = subject.events.commands();
    assert_eq!(sent.len(), wanted.len());
    for (sent, wanted) in sent.iter().zip(&wanted) {
        assert!(contains(&sent.command, wanted), "{}", sent.command);
        for concern in ["readConcern", "writeConcern"] {
            assert!(!sent.command.contains_key(concern), "{}", sent.command);
        }
    }
}
