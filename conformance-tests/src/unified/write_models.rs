//! The writes of a bulk write, as test files describe them.

use bson::{Bson, Document};
use motorcade::bulk::{DeleteMany, DeleteOne, InsertOne, ReplaceOne, UpdateMany, UpdateOne, Write};
use motorcade::options::{UpdateModifications, WriteModel};
use serde::de::DeserializeOwned;

use super::arguments::{Arguments, FromArgument};
use super::file;

/// Reads a write of a collection's `bulkWrite`: a document whose only key says what it is.
impl FromArgument for Write<Document> {
    fn from_argument(value: Bson) -> Result<Self, String> {
        let (kind, arguments) = kind_and_fields(value)?;
        let arguments = Arguments::new(&kind, arguments);
        match kind.as_str() {
            "insertOne" => insert_one(arguments),
            "updateOne" => update_one(arguments),
            "updateMany" => update_many(arguments),
            "replaceOne" => replace_one(arguments),
            "deleteOne" => delete_one(arguments),
            "deleteMany" => delete_many(arguments),
            other => Err(format!("there is no write `{other}`")),
        }
    }
}

fn insert_one(mut arguments: Arguments) -> Result<Write, String> {
    let write = InsertOne::new(arguments.need("document")?);
    arguments.finish()?;
    Ok(write.into())
}

fn update_one(mut arguments: Arguments) -> Result<Write, String> {
    let filter = arguments.need("filter")?;
    let mut write = UpdateOne::new(filter, arguments.need::<UpdateModifications>("update")?);
    write.array_filters = arguments.take("arrayFilters")?;
    write.collation = arguments.take("collation")?;
    write.hint = arguments.take("hint")?;
    write.sort = arguments.take("sort")?;
    write.upsert = arguments.take("upsert")?;
    arguments.finish()?;
    Ok(write.into())
}

fn update_many(mut arguments: Arguments) -> Result<Write, String> {
    let filter = arguments.need("filter")?;
    let mut write = UpdateMany::new(filter, arguments.need::<UpdateModifications>("update")?);
    write.array_filters = arguments.take("arrayFilters")?;
    write.collation = arguments.take("collation")?;
    write.hint = arguments.take("hint")?;
    write.upsert = arguments.take("upsert")?;
    arguments.finish()?;
    Ok(write.into())
}

fn replace_one(mut arguments: Arguments) -> Result<Write, String> {
    let filter = arguments.need("filter")?;
    let mut write = ReplaceOne::new(filter, arguments.need("replacement")?);
    write.collation = arguments.take("collation")?;
    write.hint = arguments.take("hint")?;
    write.sort = arguments.take("sort")?;
    write.upsert = arguments.take("upsert")?;
    arguments.finish()?;
    Ok(write.into())
}

fn delete_one(mut arguments: Arguments) -> Result<Write, String> {
    let mut write = DeleteOne::new(arguments.need("filter")?);
    write.collation = arguments.take("collation")?;
    write.hint = arguments.take("hint")?;
    arguments.finish()?;
    Ok(write.into())
}

fn delete_many(mut arguments: Arguments) -> Result<Write, String> {
    let mut write = DeleteMany::new(arguments.need("filter")?);
    write.collation = arguments.take("collation")?;
    write.hint = arguments.take("hint")?;
    arguments.finish()?;
    Ok(write.into())
}

const UPDATE_ONE: &[&str] = &[
    "namespace",
    "filter",
    "update",
    "arrayFilters",
    "collation",
    "hint",
    "sort",
    "upsert",
];
const UPDATE_MANY: &[&str] = &[
    "namespace",
    "filter",
    "update",
    "arrayFilters",
    "collation",
    "hint",
    "upsert",
];
const REPLACE_ONE: &[&str] = &[
    "namespace",
    "filter",
    "replacement",
    "collation",
    "hint",
    "sort",
    "upsert",
];
const DELETE: &[&str] = &["namespace", "filter", "collation", "hint"];

/// Reads a write of a client's `clientBulkWrite`.
impl FromArgument for WriteModel {
    fn from_argument(value: Bson) -> Result<Self, String> {
        let (kind, fields) = kind_and_fields(value)?;
        let fields = Fields { kind, fields };
        match fields.kind.as_str() {
            "insertOne" => fields.read(&["namespace", "document"]).map(Self::InsertOne),
            "updateOne" => fields.read(UPDATE_ONE).map(Self::UpdateOne),
            "updateMany" => fields.read(UPDATE_MANY).map(Self::UpdateMany),
            "replaceOne" => fields.read(REPLACE_ONE).map(Self::ReplaceOne),
            "deleteOne" => fields.read(DELETE).map(Self::DeleteOne),
            "deleteMany" => fields.read(DELETE).map(Self::DeleteMany),
            other => Err(format!("there is no write `{other}`")),
        }
    }
}

struct Fields {
    kind: String,
    fields: Document,
}

impl Fields {
    /// Reads a model that has no fields but those.
    fn read<T: DeserializeOwned>(&self, known: &[&str]) -> Result<T, String> {
        if let Some(name) = self
            .fields
            .keys()
            .find(|name| !known.contains(&name.as_str()))
        {
            return Err(format!("{}: unsupported argument `{name}`", self.kind));
        }
        file::from_bson(self.fields.clone().into()).map_err(|why| format!("{}: {why}", self.kind))
    }
}

fn kind_and_fields(value: Bson) -> Result<(String, Document), String> {
    let Bson::Document(write) = value else {
        return Err(format!("a write is a document, found {value}"));
    };
    let mut fields = write.into_iter();
    match (fields.next(), fields.next()) {
        (Some((kind, Bson::Document(fields))), None) => Ok((kind, fields)),
        _ => Err("a write has one key, whose value is a document".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use bson::{bson, doc};

    use super::*;

    #[test]
    fn a_write_has_no_field_that_it_does_not_know() {
        for write in [
            bson!({ "deleteOne": { "filter": {}, "upsert": true } }),
            bson!({ "updateMany": { "filter": {}, "update": {}, "sort": {} } }),
            bson!({ "deleteOne": {}, "deleteMany": {} }),
            bson!({ "upsertOne": {} }),
        ] {
            assert!(Write::from_argument(write.clone()).is_err(), "{write}");
            assert!(WriteModel::from_argument(write.clone()).is_err(), "{write}");
        }
    }

    #[test]
    fn a_write_keeps_its_options() {
        let write = bson!({ "updateOne": {
            "filter": { "a": 1 }, "update": { "$inc": { "b": 1 } }, "hint": "a_1", "upsert": true,
        } });
        let Ok(Write::UpdateOne(update)) = Write::from_argument(write) else {
            panic!("the write is an update")
        };
        assert_eq!(update.filter, doc! { "a": 1 });
        assert_eq!((update.hint.is_some(), update.upsert), (true, Some(true)));
    }
}
