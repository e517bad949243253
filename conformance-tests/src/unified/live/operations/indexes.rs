//! Making, dropping and listing indexes, and giving the collection another name.

use bson::{Bson, Document, doc};

use super::Perform;
use super::flavor::driver::Collection;
use super::flavor::driver::action::Action;
use super::flavor::driver::options::{IndexModel, IndexOptions};
use super::flavor::go;
use super::{Arguments, Failure, Returned, act, documents};
use crate::unified::arguments::with_arguments;
use crate::unified::file;

/// The options of an index, which stand beside those of the command that makes it.
const INDEX_OPTIONS: [&str; 20] = [
    "2dsphereIndexVersion",
    "background",
    "bits",
    "bucketSize",
    "clustered",
    "collation",
    "default_language",
    "expireAfterSeconds",
    "hidden",
    "language_override",
    "max",
    "min",
    "name",
    "partialFilterExpression",
    "sparse",
    "storageEngine",
    "textIndexVersion",
    "unique",
    "weights",
    "wildcardProjection",
];

/// The operation of that name.
pub(super) fn named(name: &str) -> Option<Perform<Collection<Document>>> {
    Some(match name {
        "createIndex" => create_index,
        "dropIndex" => drop_index,
        "dropIndexes" => drop_indexes,
        "listIndexNames" => list_index_names,
        "listIndexes" => list_indexes,
        "rename" => rename,
        _ => return None,
    })
}

fn create_index(
    collection: &Collection<Document>,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    let keys: Document = arguments.need("keys")?;
    let mut options = doc! {};
    for name in INDEX_OPTIONS {
        if let Some(value) = arguments.take::<Bson>(name)? {
            options.insert(name, value);
        }
    }
    let options: IndexOptions = file::from_bson(options.into())?;
    let model = IndexModel::builder().keys(keys).options(options).build();
    let done = act!(collection.create_index(model), arguments, {
        "timeoutMS" => timeout,
        "comment" => comment: Bson,
        "commitQuorum" => commit_quorum,
        "maxTimeMS" => max_time,
        "rawData" => raw_data,
        "writeConcern" => write_concern,
    });
    Ok(Returned::Value(done.index_name.into()))
}

fn drop_index(
    collection: &Collection<Document>,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    let name: String = arguments.need("name")?;
    act!(collection.drop_index(name), arguments, {
        "timeoutMS" => timeout,
        "comment" => comment: Bson,
        "maxTimeMS" => max_time,
        "rawData" => raw_data,
        "writeConcern" => write_concern,
    });
    Ok(Returned::Nothing)
}

fn drop_indexes(
    collection: &Collection<Document>,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    act!(collection.drop_indexes(), arguments, {
        "timeoutMS" => timeout,
        "comment" => comment: Bson,
        "maxTimeMS" => max_time,
        "rawData" => raw_data,
        "writeConcern" => write_concern,
    });
    Ok(Returned::Nothing)
}

fn list_indexes(
    collection: &Collection<Document>,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    Ok(documents!(collection.list_indexes(), arguments, {
        "timeoutMS" => timeout,
        "timeoutMode" => timeout_mode,
        "batchSize" => batch_size,
        "comment" => comment: Bson,
        "maxTimeMS" => max_time,
        "rawData" => raw_data,
    }))
}

fn list_index_names(
    collection: &Collection<Document>,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    let done = act!(collection.list_index_names(), arguments, {
        "timeoutMS" => timeout,
        "batchSize" => batch_size,
        "comment" => comment: Bson,
        "maxTimeMS" => max_time,
        "rawData" => raw_data,
    });
    Ok(Returned::Value(done.into()))
}

fn rename(
    collection: &Collection<Document>,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    let to: String = arguments.need("to")?;
    act!(collection.rename(to), arguments, {
        "timeoutMS" => timeout,
        "comment" => comment: Bson,
        "dropTarget" => drop_target,
        "writeConcern" => write_concern,
    });
    Ok(Returned::Nothing)
}
