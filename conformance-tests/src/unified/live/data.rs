//! The documents of collections before a case and after it.

use bson::{Bson, Document, doc};

use super::environment::Environment;
use super::flavor::driver::error::Result;
use super::flavor::driver::options::ReadConcern;
use super::flavor::{collect, go};
use crate::unified::file::{CollectionData, EntityDescription};

/// Makes a collection hold these documents and nothing else.
pub(super) fn load(
    environment: &Environment,
    data: &CollectionData,
) -> std::result::Result<(), String> {
    try_load(environment, data).map_err(|error| {
        format!(
            "initialData of {}.{}: {error}",
            data.database_name, data.collection_name
        )
    })
}

fn try_load(environment: &Environment, data: &CollectionData) -> Result<()> {
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

/// Drops the collections of a file that doesn't say what they hold: what other files left there
/// would be in its way, in an order of files that its authors did not think of.
pub(super) fn drop_leftovers(
    environment: &Environment,
    entities: &[EntityDescription],
) -> std::result::Result<(), String> {
    for entity in entities {
        let EntityDescription::Collection(collection) = entity else {
            continue;
        };
        let database = entities.iter().find_map(|entity| match entity {
            EntityDescription::Database(database) if database.id == collection.database => {
                Some(database)
            }
            _ => None,
        });
        let Some(database) = database else { continue };
        let database = environment.database(&database.database_name);
        let leftover = database.collection::<Document>(&collection.collection_name);
        go!(leftover.drop())
            .map_err(|error| format!("leftovers of {}: {error}", collection.collection_name))?;
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
    let in_order = |documents: &[Document]| -> Vec<Bson> {
        documents
            .iter()
            .map(|document| with_sorted_keys(&Bson::Document(document.clone())))
            .collect()
    };
    if in_order(&found) == in_order(&data.documents) {
        return Ok(());
    }
    let text = |documents: &[Document]| {
        let texts: Vec<_> = documents.iter().map(ToString::to_string).collect();
        texts.join(", ")
    };
    Err(format!(
        "{place}: expected [{}], found [{}]",
        text(&data.documents),
        text(&found)
    ))
}

/// The same value with the keys of all documents in one order, as that of keys does not matter.
fn with_sorted_keys(value: &Bson) -> Bson {
    match value {
        Bson::Document(document) => {
            let mut fields: Vec<_> = document
                .iter()
                .map(|(key, value)| (key.clone(), with_sorted_keys(value)))
                .collect();
            fields.sort_by(|(a, _), (b, _)| a.cmp(b));
            Bson::Document(fields.into_iter().collect())
        }
        Bson::Array(values) => Bson::Array(values.iter().map(with_sorted_keys).collect()),
        other => other.clone(),
    }
}
