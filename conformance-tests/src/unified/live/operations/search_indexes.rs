//! Making, changing, dropping and listing search indexes.

use bson::Document;

use super::Perform;
use super::flavor::driver::Collection;
use super::flavor::driver::action::Action;
use super::flavor::driver::options::{AggregateOptions, SearchIndexModel};
use super::flavor::{collect, go};
use super::{Arguments, Failure, Returned};

/// The operation of that name.
pub(super) fn named(name: &str) -> Option<Perform<Collection<Document>>> {
    Some(match name {
        "createSearchIndex" => create_search_index,
        "createSearchIndexes" => create_search_indexes,
        "dropSearchIndex" => drop_search_index,
        "listSearchIndexes" => list_search_indexes,
        "updateSearchIndex" => update_search_index,
        _ => return None,
    })
}

fn create_search_index(
    collection: &Collection<Document>,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    let model: SearchIndexModel = arguments.need("model")?;
    arguments.finish()?;
    let name = go!(collection.create_search_index(model))?;
    Ok(Returned::Value(name.into()))
}

fn create_search_indexes(
    collection: &Collection<Document>,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    let models: Vec<SearchIndexModel> = arguments.need("models")?;
    arguments.finish()?;
    let names = go!(collection.create_search_indexes(models))?;
    Ok(Returned::Value(names.into()))
}

fn update_search_index(
    collection: &Collection<Document>,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    let name: String = arguments.need("name")?;
    let definition: Document = arguments.need("definition")?;
    arguments.finish()?;
    go!(collection.update_search_index(name, definition))?;
    Ok(Returned::Nothing)
}

fn drop_search_index(
    collection: &Collection<Document>,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    let name: String = arguments.need("name")?;
    arguments.finish()?;
    go!(collection.drop_search_index(name))?;
    Ok(Returned::Nothing)
}

fn list_search_indexes(
    collection: &Collection<Document>,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    let name: Option<String> = arguments.take("name")?;
    let options: Option<AggregateOptions> = arguments.take("aggregationOptions")?;
    arguments.finish()?;
    let action = collection
        .list_search_indexes()
        .optional(name, |action, name| action.name(name))
        .optional(options, |action, options| action.aggregate_options(options));
    let indexes: Vec<Document> = collect!(go!(action)?)?;
    Ok(Returned::Value(indexes.into()))
}
