//! Listings, as the plans of the enumeration specifications test them: of databases, collections
//! and indexes, on a standalone, on a primary and, by a direct connection, on a secondary.

use std::collections::BTreeSet;
use std::fmt::Debug;

use conformance_tests::behaviour::Deployment;
use conformance_tests::deployments::DeploymentKind;

use super::servers::{secondary, secured_uri, uri_of, writable};
use super::support::Observed;
use crate::flavor::driver::IndexModel;
use crate::flavor::driver::bson::{Bson, Document, doc};
use crate::flavor::driver::options::{IndexOptions, WriteConcern};
use crate::flavor::{collect, go};

conformance_tests::behaviours! {
    P1 all_collections_are_listed_once: Either, Shared;
    P1 a_filter_by_options_lists_capped_collections_alone: Either, Shared;
    P2 all_databases_are_listed_once: Either, Shared;
    P3 all_indexes_are_listed_once: Either, Shared;
    P4 a_user_of_few_rights_is_shown_what_it_may_use: Standalone, Shared;
}

/// The clients to list with, each with the name of what it speaks to.
fn clients(deployment: &Deployment) -> Vec<(&'static str, Observed)> {
    let whole = Observed::new(deployment, "");
    match deployment.kind() {
        DeploymentKind::Standalone => vec![("standalone", whole)],
        _ => {
            let member = deployment.servers().member(secondary(deployment));
            let direct = uri_of(deployment, &[member.address()], "directConnection=true");
            let direct = Observed::at(deployment, &direct);
            vec![("primary", whole), ("secondary", direct)]
        }
    }
}

/// A client all of whose writes are on all members when they are acknowledged.
fn preparing(deployment: &Deployment) -> Observed {
    let members = deployment.servers().members().len();
    Observed::configured(deployment, &deployment.uri(), |options| {
        let all = u32::try_from(members).expect("is small");
        options.write_concern = Some(WriteConcern::nodes(all));
    })
}

/// The values as a set, after a look that none is there twice.
fn once<T: Ord + Clone + Debug>(listed: &[T], server: &str) -> BTreeSet<T> {
    let set: BTreeSet<T> = listed.iter().cloned().collect();
    assert_eq!(set.len(), listed.len(), "{server}: {listed:?}");
    set
}

fn strings(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Makes a collection and a capped one, each with an index and a document.
fn prepare_collections(deployment: &Deployment) {
    let database = preparing(deployment).database();
    go!(database.create_collection("plain")).expect("creates a collection");
    go!(database.create_collection("capped").capped(true).size(4096)).expect("creates another");
    for name in ["plain", "capped"] {
        let collection = database.collection::<Document>(name);
        let index = IndexModel::builder().keys(doc! { "a": 1 }).build();
        go!(collection.create_index(index)).expect("creates an index");
        go!(collection.insert_one(doc! { "a": 1 })).expect("inserts");
    }
}

fn all_collections_are_listed_once(deployment: &Deployment) {
    prepare_collections(deployment);
    for (server, subject) in clients(deployment) {
        let database = subject.database();
        let names = go!(database.list_collection_names()).expect("lists names");
        assert_eq!(once(&names, server), strings(&["plain", "capped"]));
        let cursor = go!(database.list_collections()).expect("lists");
        let specifications: Vec<_> = collect!(cursor).expect("goes on");
        let names: Vec<String> = specifications.into_iter().map(|c| c.name).collect();
        assert_eq!(once(&names, server), strings(&["plain", "capped"]));
    }
}

fn a_filter_by_options_lists_capped_collections_alone(deployment: &Deployment) {
    prepare_collections(deployment);
    for (server, subject) in clients(deployment) {
        let filter = doc! { "options.capped": true };
        let names = go!(subject.database().list_collection_names().filter(filter));
        assert_eq!(
            once(&names.expect("lists names"), server),
            strings(&["capped"])
        );
    }
}

fn all_databases_are_listed_once(deployment: &Deployment) {
    let preparing = preparing(deployment);
    let mut own = Vec::new();
    for suffix in ["_a", "_b"] {
        let name = format!("{}{suffix}", deployment.database_name());
        let people = preparing.client.database(&name).collection("people");
        go!(people.insert_one(doc! {})).expect("inserts");
        own.push(name);
    }
    for (server, subject) in clients(deployment) {
        let before = databases(deployment);
        let names = go!(subject.client.list_database_names()).expect("lists names");
        let specifications = go!(subject.client.list_databases()).expect("lists");
        let after = databases(deployment);
        let whole: Vec<String> = specifications.iter().map(|d| d.name.clone()).collect();
        for listed in [once(&names, server), once(&whole, server)] {
            // Other cases have databases come and go meanwhile.
            let missing: Vec<_> = before
                .intersection(&after)
                .filter(|name| !listed.contains(*name))
                .collect();
            assert!(missing.is_empty(), "{server}: {missing:?}");
            assert!(own.iter().all(|name| listed.contains(name)), "{server}");
        }
        let sizes = specifications.iter().filter(|d| own.contains(&d.name));
        assert!(sizes.clone().all(|d| d.size_on_disk > 0 && !d.empty));
        let one = go!(subject
            .client
            .list_database_names()
            .filter(doc! { "name": &own[0] }));
        assert_eq!(one.expect("lists names"), own[..1]);
    }
}

/// The names of all databases, as the server itself tells them.
fn databases(deployment: &Deployment) -> BTreeSet<String> {
    let command = doc! { "listDatabases": 1, "nameOnly": true };
    let reply = deployment
        .servers()
        .run_admin_command(writable(deployment), &command)
        .expect("lists databases");
    let listed = reply.get_array("databases").expect("is an array").iter();
    let names = listed.filter_map(Bson::as_document);
    names
        .map(|database| database.get_str("name").expect("has a name").to_owned())
        .collect()
}

fn all_indexes_are_listed_once(deployment: &Deployment) {
    let people = preparing(deployment).people();
    let unique = IndexOptions::builder().unique(true).build();
    let indexes = [
        IndexModel::builder().keys(doc! { "a": 1 }).build(),
        IndexModel::builder().keys(doc! { "b": 1, "c": -1 }).build(),
        IndexModel::builder()
            .keys(doc! { "d": 1 })
            .options(unique)
            .build(),
    ];
    go!(people.create_indexes(indexes)).expect("creates indexes");
    go!(people.insert_one(doc! { "a": 1, "b": 1, "c": 1, "d": 1 })).expect("inserts");
    let expected = strings(&["_id_", "a_1", "b_1_c_-1", "d_1"]);
    for (server, subject) in clients(deployment) {
        let people = subject.people();
        let names = go!(people.list_index_names()).expect("lists names");
        assert_eq!(once(&names, server), expected);
        let models: Vec<IndexModel> =
            collect!(go!(people.list_indexes()).expect("lists")).expect("goes on");
        let told = models.iter().filter_map(|model| model.options.as_ref());
        let told: Vec<_> = told.map(|o| (o.name.clone(), o.unique)).collect();
        let names: Vec<String> = told.iter().filter_map(|(name, _)| name.clone()).collect();
        assert_eq!(once(&names, server), expected);
        let unique: Vec<_> = told.iter().filter(|told| told.1 == Some(true)).collect();
        assert_eq!(unique, [&(Some("d_1".to_owned()), Some(true))], "{server}");
    }
}

fn a_user_of_few_rights_is_shown_what_it_may_use(deployment: &Deployment) {
    let root = Observed::at(deployment, &secured_uri(deployment, "root:secret", ""));
    let database = root.database();
    for name in ["open", "closed"] {
        go!(database.create_collection(name)).expect("creates");
    }
    let finds = doc! {
        "resource": { "db": database.name(), "collection": "open" }, "actions": ["find"],
    };
    let role = doc! { "createRole": "finder", "privileges": [finds], "roles": [] };
    go!(database.run_command(role)).expect("creates a role");
    let user = doc! { "createUser": "ada", "pwd": "secret", "roles": ["finder"] };
    go!(database.run_command(user)).expect("creates a user");

    let source = format!("authSource={}", database.name());
    let ada = Observed::at(deployment, &secured_uri(deployment, "ada:secret", &source));
    let refused = go!(ada.database().list_collection_names()).expect_err("may not list all");
    assert_eq!(refused.code(), Some(13));
    let names = go!(ada
        .database()
        .list_collection_names()
        .authorized_collections(true));
    assert_eq!(names.expect("lists names"), ["open"]);
    let names = go!(ada.client.list_database_names().authorized_databases(true));
    assert_eq!(names.expect("lists names"), [database.name()]);
}
