//! Making the entities that a file or a `createEntities` operation describes.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bson::Document;
use serde::de::DeserializeOwned;

use super::entities::{ClientEntity, Entity, Logs};
use super::flavor::driver::Client;
use super::flavor::driver::options::{
    ClientOptions, CollectionOptions, DatabaseOptions, GridFsBucketOptions, ReadConcern,
    SelectionCriteria, ServerApi, ServerApiVersion, WriteConcern,
};
use super::flavor::{go, spawn};
use super::sessions::SessionEntity;
use super::state::CaseState;
use super::threads::Thread;
use crate::unified::arguments::Arguments;
use crate::unified::connection_string;
use crate::unified::file::{self, EntityDescription, ServerApiDescription};
use crate::unified::missing;
use crate::unified::recorder::Recorder;

/// How many bytes of a document log messages show: more than any that cases look at has.
const LOGGED_LENGTH: usize = 10_000;

/// The time between checks for clients that are led to think their server is gone, as the format
/// allows: a server that streams its state has nothing to tell of a fail point until this is over.
const SHORT_HEARTBEAT: Duration = Duration::from_millis(500);

/// Makes entities in their order.
pub(super) fn create(
    case: &Arc<CaseState>,
    descriptions: &[EntityDescription],
) -> Result<(), String> {
    for description in descriptions {
        let id = description.id();
        let entity = make(case, description).map_err(|error| format!("entity `{id}`: {error}"))?;
        case.entities.insert(id, entity)?;
        if let EntityDescription::Client(client) = description {
            keep_events(case, client)?;
        }
    }
    Ok(())
}

/// Makes the lists that a client keeps of its events known by their names.
fn keep_events(case: &CaseState, client: &file::ClientEntity) -> Result<(), String> {
    for stored in &client.store_events_as_entities {
        let recorder = case.entities.client(&client.id)?.recorder.clone();
        case.entities
            .insert(&stored.id, Entity::EventList(recorder))?;
    }
    Ok(())
}

fn make(case: &Arc<CaseState>, description: &EntityDescription) -> Result<Entity, String> {
    let entities = &case.entities;
    match description {
        EntityDescription::Client(described) => {
            client(case, described).map(|client| Entity::Client(Arc::new(client)))
        }
        EntityDescription::Database(described) => {
            let client = entities.client(&described.client)?.client()?;
            let options = options(described.database_options.as_ref())?;
            Ok(Entity::Database(
                client.database_with_options(
                    &described.database_name,
                    DatabaseOptions::builder()
                        .read_concern(options.read_concern)
                        .selection_criteria(options.selection_criteria)
                        .write_concern(options.write_concern)
                        .timeout(options.timeout)
                        .build(),
                ),
            ))
        }
        EntityDescription::Collection(described) => {
            let database = entities.database(&described.database)?;
            let options = options(described.collection_options.as_ref())?;
            Ok(Entity::Collection(database.collection_with_options(
                &described.collection_name,
                options,
            )))
        }
        EntityDescription::Thread(_) => Ok(Entity::Thread(Arc::new(Thread::start(case)))),
        EntityDescription::Session(described) => {
            let client = entities.client(&described.client)?;
            let session = SessionEntity::start(&client, &described.session_options, case)?;
            Ok(Entity::Session(Arc::new(session)))
        }
        EntityDescription::Bucket(described) => {
            let database = entities.database(&described.database)?;
            let options = bucket_options(&described.bucket_options)?;
            Ok(Entity::Bucket(database.gridfs_bucket(options)))
        }
        EntityDescription::ClientEncryption(_) => Ok(Entity::Missing(missing::ENCRYPTION)),
    }
}

fn client(case: &CaseState, described: &file::ClientEntity) -> Result<ClientEntity, String> {
    if described.auto_encrypt_opts.is_some() {
        return Err(missing::ENCRYPTION.to_owned());
    }
    let uri = uri(case, described)?;
    let mut options = go!(ClientOptions::parse(&uri)).map_err(|error| error.to_string())?;
    if let Some(api) = &described.server_api {
        options.server_api = Some(server_api(api)?);
    }
    if case.sets_fail_points && !is_set(&described.uri_options, "heartbeatFrequencyMS") {
        options.heartbeat_freq = Some(SHORT_HEARTBEAT);
    }
    let recorder = Recorder::new(described);
    recorder.listen(&mut options);
    let logs = described.observe_log_messages.map(Logs::begin);
    options.tracing_max_document_length_bytes = logs.as_ref().map(|_| LOGGED_LENGTH);
    let min_pool_size = u64::from(options.min_pool_size.unwrap_or(0));
    let client = Client::with_options(options).map_err(|error| error.to_string())?;
    begin(&client, min_pool_size);
    if let Some(patience) = described.await_min_pool_size_ms {
        fill_pools(&recorder, min_pool_size, Duration::from_millis(patience))?;
    }
    Ok(ClientEntity::new(client, recorder, logs))
}

/// The deployment's connection string with the options of a client, and its routers as it wants.
fn uri(case: &CaseState, described: &file::ClientEntity) -> Result<String, String> {
    let environment = &case.environment;
    let single = environment.running().single_router_uri();
    let base = match (described.use_multiple_mongoses, single) {
        (Some(false), Some(single)) => single.to_owned(),
        (Some(several), None) if environment.facts().topology.is_sharded() => {
            connection_string::with_hosts(environment.uri(), several)?
        }
        _ => environment.uri().to_owned(),
    };
    connection_string::with_options(&base, &described.uri_options)
}

fn is_set(options: &Document, name: &str) -> bool {
    options.keys().any(|other| other.eq_ignore_ascii_case(name))
}

/// Lets the client discover its servers before the first operation, as cases expect that look at
/// discovery alone. A client that fills its pools does so beside the case.
fn begin(client: &Client, min_pool_size: u64) {
    if min_pool_size == 0 {
        go!(client.warm_connection_pool());
        return;
    }
    let client = client.clone();
    spawn(move || go!(client.warm_connection_pool()));
}

/// Waits until the pools have their least number of connections. What was told until then is
/// none of the case's events.
fn fill_pools(recorder: &Recorder, min_pool_size: u64, patience: Duration) -> Result<(), String> {
    if !recorder.wait_for_pools(min_pool_size, patience) {
        return Err(format!(
            "awaitMinPoolSizeMS: not all connections were made in {patience:?}"
        ));
    }
    recorder.forget();
    Ok(())
}

fn server_api(described: &ServerApiDescription) -> Result<ServerApi, String> {
    let version = ServerApiVersion::from_str(&described.version).map_err(|e| e.to_string())?;
    Ok(ServerApi::builder()
        .version(version)
        .strict(described.strict)
        .deprecation_errors(described.deprecation_errors)
        .build())
}

fn options(described: Option<&file::CollectionOptions>) -> Result<CollectionOptions, String> {
    let Some(described) = described else {
        return Ok(CollectionOptions::default());
    };
    Ok(CollectionOptions::builder()
        .read_concern(read(described.read_concern.as_ref())?)
        .selection_criteria(read(described.read_preference.as_ref())?)
        .write_concern(read(described.write_concern.as_ref())?)
        .timeout(described.timeout_ms.map(Duration::from_millis))
        .build())
}

fn bucket_options(described: &Document) -> Result<GridFsBucketOptions, String> {
    let mut described = Arguments::new("bucketOptions", described.clone());
    let options = GridFsBucketOptions::builder()
        .bucket_name(described.take::<String>("bucketName")?)
        .chunk_size_bytes(described.take::<u32>("chunkSizeBytes")?)
        .read_concern(described.take::<ReadConcern>("readConcern")?)
        .selection_criteria(described.take::<SelectionCriteria>("readPreference")?)
        .write_concern(described.take::<WriteConcern>("writeConcern")?)
        .build();
    described.finish()?;
    Ok(options)
}

fn read<T: DeserializeOwned>(described: Option<&Document>) -> Result<Option<T>, String> {
    described
        .map(|described| file::from_bson(described.clone().into()))
        .transpose()
}
