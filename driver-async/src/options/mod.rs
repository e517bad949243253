//! The options of the client and of every operation.

mod aggregate;
mod collation;
mod collection;
mod count;
mod create_collection;
mod database;
mod delete;
mod distinct;
mod find;
mod index;
mod insert;
mod number;
mod read_concern;
mod read_preference;
pub(crate) mod serde_shapes;
mod update;
mod write_concern;

pub use aggregate::AggregateOptions;
pub use collation::{
    Collation, CollationAlternate, CollationCaseFirst, CollationMaxVariable, CollationStrength,
};
pub use collection::{CollectionOptions, CursorType, Hint, UpdateModifications};
pub use count::{CountOptions, EstimatedDocumentCountOptions};
pub use create_collection::{
    ChangeStreamPreAndPostImages, ClusteredIndex, CreateCollectionOptions, IndexOptionDefaults,
    TimeseriesGranularity, TimeseriesOptions, ValidationAction, ValidationLevel,
};
pub use database::{
    DatabaseOptions, DropCollectionOptions, DropDatabaseOptions, ListCollectionsOptions,
    ListDatabasesOptions, RunCommandOptions,
};
pub use delete::DeleteOptions;
pub use distinct::DistinctOptions;
pub use find::{FindOneOptions, FindOptions};
pub use index::{
    CommitQuorum, CreateIndexOptions, DropIndexOptions, IndexModel, IndexOptions, IndexVersion,
    ListIndexesOptions, Sphere2DIndexVersion, TextIndexVersion,
};
pub use insert::{InsertManyOptions, InsertOneOptions};
pub use read_concern::{ReadConcern, ReadConcernLevel};
pub use read_preference::{
    HedgedReadOptions, Predicate, ReadPreference, ReadPreferenceOptions, SelectionCriteria, TagSet,
};
pub use update::{ReplaceOptions, UpdateOptions};
pub use write_concern::{Acknowledgment, WriteConcern};

pub use crate::address::ServerAddress;
