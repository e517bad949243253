//! The documents of collections before a case and after it.

use bson::{Document, doc};

use super::environment::Environment;
use super::flavor::driver::error::Result;
use super::flavor::driver::options::ReadConcern;
use super::flavor::{collect, go};
use crate::unified::file::{CollectionData, EntityDescription, TestFile};
use crate::unified::matching::same_documents;

/// Makes the collections hold what the cases of a file start with.
pub(super) fn prepare(
    environment: &Environment,
    file: &TestFile,
) -> std::result::Result<(), String> {
    let described = |name: &str, error| format!("initialData of {name}: {error}");
    for data in &file.initial_data {
        load(environment, data).map_err(|error| described(&data.collection_name, error))?;
    }
    // A file that says nothing must not depend on the case that came before.
    if file.initial_data.is_empty() {
        for (database, collection) in collections(&file.create_entities) {
            let collection = environment
                .database(database)
                .collection::<Document>(collection);
            go!(collection.drop()).map_err(|error| described(collection.name(), error))?;
        }
    }
    Ok(())
}

/// The names of the collections that entities stand for, each with that of its database.
fn collections(entities: &[EntityDescription]) -> Vec<(&str, &str)> {
    let database_of = |id: &str| {
        entities.iter().find_map(|entity| match entity {
            EntityDescription::Database(found) if found.id == id => Some(&*found.database_name),
            _ => None,
        })
    };
    entities
        .iter()
        .filter_map(|entity| match entity {
            EntityDescription::Collection(found) => {
                Some((database_of(&found.database)?, &*found.collection_name))
            }
            _ => None,
        })
        .collect()
}

fn load(environment: &Environment, data: &CollectionData) -> Result<()> {
    let database = environment.database(&data.database_name);
    let collection = database.collection::<Document>(&data.collection_name);
    go!(collection.drop())?;
    if data.create_options.is_some() || data.documents.is_empty() {
        let mut create = doc! { "create": &data.collection_name };
        create.extend(data.create_options.clone().unwrap_or_default());
        create.insert("writeConcern", doc! { "w": "majority" });
        go!(database.run_command(create))?;
    }
    if !data.documents.is_empty() {
        go!(collection.insert_many(&data.documents))?;
    }
    Ok(())
}

/// Fails unless a collection holds these documents and nothing else.
pub(super) fn check(
    environment: &Environment,
    data: &CollectionData,
) -> std::result::Result<(), String> {
    let place = format!("outcome of {}.{}", data.database_name, data.collection_name);
    let database = environment.database(&data.database_name);
    let collection = database.collection::<Document>(&data.collection_name);
    let find = collection
        .find(doc! {})
        .sort(doc! { "_id": 1 })
        .read_concern(ReadConcern::local());
    let found: Vec<Document> = go!(find)
        .and_then(|cursor| collect!(cursor))
        .map_err(|error| format!("{place}: {error}"))?;
    same_documents(&data.documents, &found).map_err(|why| format!("{place}: {why}"))
}
