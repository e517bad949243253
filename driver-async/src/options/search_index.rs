//! Search indexes, and the options of the commands that make, change, list and drop them.

use std::time::Duration;

use bson::Document;
use serde::{Deserialize, Serialize};
use typed_builder::TypedBuilder;

/// A search index: its definition, and optionally a name and a kind.
///
/// ```
/// use motorcade::{SearchIndexModel, SearchIndexType, bson::doc};
///
/// let text = SearchIndexModel::builder()
///     .name("text".to_owned())
///     .definition(doc! { "mappings": { "dynamic": true } })
///     .build();
/// let vector = SearchIndexModel::builder()
///     .index_type(SearchIndexType::VectorSearch)
///     .definition(doc! { "fields": [
///         { "type": "vector", "path": "plot", "numDimensions": 1536, "similarity": "euclidean" },
///     ] })
///     .build();
/// ```
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[non_exhaustive]
pub struct SearchIndexModel {
    /// Which fields are indexed, and how.
    pub definition: Document,
    /// The index's name; the server calls it `default` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The index's kind; the server takes `search` when absent.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub index_type: Option<SearchIndexType>,
}

/// What kind of search an index is for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum SearchIndexType {
    /// Full text and the like.
    Search,
    /// Nearest vectors.
    VectorSearch,
    /// A kind that this driver does not name.
    #[serde(untagged)]
    Other(String),
}

macro_rules! options_of_search_indexes {
    ($($(#[$docs:meta])* $name:ident;)+) => {
        $(
            $(#[$docs])*
            #[derive(Clone, Debug, Default, Deserialize, TypedBuilder)]
            #[builder(field_defaults(default, setter(into)))]
            #[builder(builder_type(attributes(#[derive(Debug)])))]
            #[serde(rename_all = "camelCase", default)]
            #[non_exhaustive]
            pub struct $name {
                /// How long the operation may take as a whole; the collection's when absent, zero
                /// for no limit. See [`ClientOptions::timeout`](super::ClientOptions::timeout).
                #[serde(
                    rename = "timeoutMS",
                    alias = "timeout",
                    with = "crate::options::serde_shapes::millis"
                )]
                pub timeout: Option<Duration>,
            }
        )+
    };
}

options_of_search_indexes! {
    /// Options of [`Collection::create_search_index`](crate::Collection::create_search_index) and
    /// [`Collection::create_search_indexes`](crate::Collection::create_search_indexes).
    CreateSearchIndexOptions;
    /// Options of [`Collection::update_search_index`](crate::Collection::update_search_index).
    UpdateSearchIndexOptions;
    /// Options of [`Collection::drop_search_index`](crate::Collection::drop_search_index).
    DropSearchIndexOptions;
    /// Options of [`Collection::list_search_indexes`](crate::Collection::list_search_indexes),
    /// beside those of the aggregation that lists them.
    ListSearchIndexOptions;
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    #[test]
    fn a_kind_without_a_name_here_is_kept() {
        for (kind, text) in [
            (SearchIndexType::Search, "search"),
            (SearchIndexType::VectorSearch, "vectorSearch"),
            (SearchIndexType::Other("someDay".into()), "someDay"),
        ] {
            let spelled = doc! { "definition": {}, "type": text };
            let model: SearchIndexModel = bson::deserialize_from_document(spelled.clone()).unwrap();
            assert_eq!(model.index_type, Some(kind));
            assert_eq!(bson::serialize_to_document(&model).unwrap(), spelled);
        }
    }
}
