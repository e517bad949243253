//! The entities that a file or a `createEntities` operation describes.

use bson::Document;
use serde::Deserialize;

use super::expectation::LogLevel;

/// An entity to create.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EntityDescription {
    /// A client.
    Client(Box<ClientEntity>),
    /// An object for explicit encryption.
    ClientEncryption(ClientEncryptionEntity),
    /// A database of a client.
    Database(DatabaseEntity),
    /// A collection of a database.
    Collection(CollectionEntity),
    /// A session of a client.
    Session(SessionEntity),
    /// A GridFS bucket of a database.
    Bucket(BucketEntity),
    /// A thread of the runner.
    Thread(ThreadEntity),
}

impl EntityDescription {
    /// The name of the entity.
    pub fn id(&self) -> &str {
        match self {
            Self::Client(entity) => &entity.id,
            Self::ClientEncryption(entity) => &entity.id,
            Self::Database(entity) => &entity.id,
            Self::Collection(entity) => &entity.id,
            Self::Session(entity) => &entity.id,
            Self::Bucket(entity) => &entity.id,
            Self::Thread(entity) => &entity.id,
        }
    }
}

/// A client, and what is to be watched of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields carry the format's own names and meaning"
)]
pub struct ClientEntity {
    pub id: String,
    #[serde(default)]
    pub uri_options: Document,
    pub use_multiple_mongoses: Option<bool>,
    /// Names as [`Event::name`](crate::unified::events::Event::name) gives them.
    #[serde(default)]
    pub observe_events: Vec<String>,
    #[serde(default)]
    pub ignore_command_monitoring_events: Vec<String>,
    #[serde(default)]
    pub observe_sensitive_commands: bool,
    #[serde(default)]
    pub store_events_as_entities: Vec<StoredEvents>,
    pub observe_log_messages: Option<ObservedLogs>,
    pub observe_tracing_messages: Option<ObservedTracing>,
    pub server_api: Option<ServerApiDescription>,
    pub auto_encrypt_opts: Option<Document>,
    #[serde(rename = "awaitMinPoolSizeMS")]
    pub await_min_pool_size_ms: Option<u64>,
}

/// Events that are collected into an entity of their own.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields carry the format's own names and meaning"
)]
pub struct StoredEvents {
    pub id: String,
    /// Names as [`Event::name`](crate::unified::events::Event::name), with a capital at the start.
    pub events: Vec<String>,
}

/// The least severe level to watch of each component.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields carry the format's own names and meaning"
)]
pub struct ObservedLogs {
    pub command: Option<LogLevel>,
    pub topology: Option<LogLevel>,
    pub server_selection: Option<LogLevel>,
    pub connection: Option<LogLevel>,
}

/// Whether spans tell the command too.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields carry the format's own names and meaning"
)]
pub struct ObservedTracing {
    pub enable_command_payload: Option<bool>,
}

/// The Stable API of a client.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields carry the format's own names and meaning"
)]
pub struct ServerApiDescription {
    pub version: String,
    pub strict: Option<bool>,
    pub deprecation_errors: Option<bool>,
}

/// An object for explicit encryption.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields carry the format's own names and meaning"
)]
pub struct ClientEncryptionEntity {
    pub id: String,
    pub client_encryption_opts: Document,
}

/// A database of a client.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields carry the format's own names and meaning"
)]
pub struct DatabaseEntity {
    pub id: String,
    pub client: String,
    pub database_name: String,
    pub database_options: Option<CollectionOptions>,
}

/// A collection of a database.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields carry the format's own names and meaning"
)]
pub struct CollectionEntity {
    pub id: String,
    pub database: String,
    pub collection_name: String,
    pub collection_options: Option<CollectionOptions>,
}

/// The options that databases and collections share.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields carry the format's own names and meaning"
)]
pub struct CollectionOptions {
    pub read_concern: Option<Document>,
    pub read_preference: Option<Document>,
    pub write_concern: Option<Document>,
    #[serde(rename = "timeoutMS")]
    pub timeout_ms: Option<u64>,
}

/// A session of a client.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields carry the format's own names and meaning"
)]
pub struct SessionEntity {
    pub id: String,
    pub client: String,
    #[serde(default)]
    pub session_options: Document,
}

/// A GridFS bucket of a database.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields carry the format's own names and meaning"
)]
pub struct BucketEntity {
    pub id: String,
    pub database: String,
    #[serde(default)]
    pub bucket_options: Document,
}

/// A thread of the runner.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields carry the format's own names and meaning"
)]
pub struct ThreadEntity {
    pub id: String,
}
