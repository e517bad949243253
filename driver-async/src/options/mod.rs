//! The options of the client and of every operation.

mod aggregate;
mod bulk_write;
mod change_stream;
mod client;
mod collation;
mod collection;
mod compressor;
mod count;
mod create_collection;
mod credential;
mod database;
mod delete;
mod distinct;
mod driver_info;
mod explain;
mod find;
mod find_and_modify;
mod gridfs;
mod index;
mod insert;
mod modify_collection;
mod monitoring;
pub(crate) mod number;
mod read_concern;
mod read_preference;
mod rename_collection;
mod resume_token;
mod search_index;
pub(crate) mod serde_shapes;
mod server_api;
mod session;
mod socks5;
mod tls;
mod update;
mod write_concern;

pub use aggregate::AggregateOptions;
pub use bulk_write::{
    BulkWriteOptions, CollectionBulkWriteOptions, DeleteManyModel, DeleteOneModel, InsertOneModel,
    ModelDocument, ReplaceOneModel, UpdateManyModel, UpdateOneModel, WriteModel,
};
pub use change_stream::{ChangeStreamOptions, FullDocumentBeforeChangeType, FullDocumentType};
pub use client::ClientOptions;
pub(crate) use client::{MAX_APP_NAME_LENGTH, TopologyOptions, validate_topology};
pub use collation::{
    Collation, CollationAlternate, CollationCaseFirst, CollationMaxVariable, CollationStrength,
};
pub use collection::{CollectionOptions, CursorTimeoutMode, CursorType, Hint, UpdateModifications};
pub use compressor::Compressor;
pub use count::{CountOptions, EstimatedDocumentCountOptions};
pub use create_collection::{
    ChangeStreamPreAndPostImages, ClusteredIndex, CreateCollectionOptions, IndexOptionDefaults,
    TimeseriesGranularity, TimeseriesOptions, ValidationAction, ValidationLevel,
};
pub use credential::{AuthMechanism, Credential};
pub use database::{
    DatabaseOptions, DropCollectionOptions, DropDatabaseOptions, ListCollectionsOptions,
    ListDatabasesOptions, RunCommandOptions, RunCursorCommandOptions,
};
pub use delete::DeleteOptions;
pub use distinct::DistinctOptions;
pub use driver_info::DriverInfo;
pub use explain::{ExplainOptions, ExplainVerbosity};
pub use find::{FindOneOptions, FindOptions};
pub use find_and_modify::{
    FindOneAndDeleteOptions, FindOneAndReplaceOptions, FindOneAndUpdateOptions, ReturnDocument,
};
pub use gridfs::{
    GridFsBucketOptions, GridFsDownloadByNameOptions, GridFsFindOneOptions, GridFsFindOptions,
    GridFsUploadOptions,
};
pub use index::{
    CommitQuorum, CreateIndexOptions, DropIndexOptions, IndexModel, IndexOptions, IndexVersion,
    ListIndexesOptions, Sphere2DIndexVersion, TextIndexVersion,
};
pub use insert::{InsertManyOptions, InsertOneOptions};
pub use modify_collection::{
    Expiry, IndexModification, ModifyCollectionOptions, TimeseriesModification,
};
pub use monitoring::ServerMonitoringMode;
pub use read_concern::{ReadConcern, ReadConcernLevel};
pub use read_preference::{
    HedgedReadOptions, Predicate, ReadPreference, ReadPreferenceOptions, SelectionCriteria, TagSet,
};
pub use rename_collection::{RenameCollectionOptions, RenameTarget};
pub use resume_token::ResumeToken;
pub use search_index::{
    CreateSearchIndexOptions, DropSearchIndexOptions, ListSearchIndexOptions, SearchIndexModel,
    SearchIndexType, UpdateSearchIndexOptions,
};
pub use server_api::{ServerApi, ServerApiVersion};
pub use session::{SessionOptions, TransactionOptions};
pub use socks5::Socks5Proxy;
pub use tls::{Tls, TlsOptions};
pub use update::{ReplaceOptions, UpdateOptions};
pub use write_concern::{Acknowledgment, WriteConcern};

pub use crate::{
    address::ServerAddress,
    uri::{ConnectionString, HostInfo},
};
