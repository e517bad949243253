//! The service itself, apart from its `main`, so that a test can drive it.

#[path = "files.rs"]
mod files;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use futures_util::TryStreamExt;
use motorcade::{
    Client, Collection,
    bson::{doc, oid::ObjectId},
    error::{Error, ErrorKind, GridFsErrorKind},
};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

/// How many notes a listing holds at most.
const LISTED: i64 = 50;

#[derive(Debug, Serialize, Deserialize)]
struct Note {
    #[serde(rename = "_id")]
    id: ObjectId,
    text: String,
}

/// What a client of the service sends and gets: ids as text.
#[derive(Debug, Serialize, Deserialize)]
struct NoteBody {
    #[serde(default, skip_deserializing)]
    id: String,
    text: String,
}

impl From<Note> for NoteBody {
    fn from(note: Note) -> Self {
        Self {
            id: note.id.to_hex(),
            text: note.text,
        }
    }
}

/// Why a request failed, as the client of the service sees it.
enum Failure {
    NotFound,
    BadId,
    Database(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match *error.kind {
            ErrorKind::GridFs(GridFsErrorKind::FileNotFound { .. }) => Self::NotFound,
            _ => Self::Database(error),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Database(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "there is no such thing".to_owned()),
            Self::BadId => (
                StatusCode::BAD_REQUEST,
                "an id is 24 hexadecimal digits".to_owned(),
            ),
            Self::Database(error) if error.is_timeout() || error.is_network() => {
                (StatusCode::SERVICE_UNAVAILABLE, error.to_string())
            }
            Self::Database(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        }
        .into_response()
    }
}

/// Serves until `shutdown` resolves, answers what is under way, then shuts the client down.
pub(crate) async fn serve(
    listener: TcpListener,
    client: Client,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let notes = client.database("web_service").collection::<Note>("notes");
    let app = Router::new()
        .route("/health", get(health))
        .route("/notes", get(list).post(create))
        .route("/notes/{id}", get(read).put(update).delete(delete))
        .with_state(notes);
    let bucket = client.database("web_service").gridfs_bucket(None);
    let files = Router::new()
        .route("/files/{name}", get(files::read))
        .with_state(bucket);
    axum::serve(listener, app.merge(files))
        .with_graceful_shutdown(shutdown)
        .await?;
    client.shutdown().await;
    Ok(())
}

async fn health(State(notes): State<Collection<Note>>) -> Result<&'static str, Failure> {
    notes
        .client()
        .database("admin")
        .run_command(doc! { "ping": 1 })
        .await?;
    Ok("ok")
}

async fn create(
    State(notes): State<Collection<Note>>,
    Json(body): Json<NoteBody>,
) -> Result<(StatusCode, Json<NoteBody>), Failure> {
    let note = Note {
        id: ObjectId::new(),
        text: body.text,
    };
    notes.insert_one(&note).await?;
    Ok((StatusCode::CREATED, Json(note.into())))
}

async fn list(State(notes): State<Collection<Note>>) -> Result<Json<Vec<NoteBody>>, Failure> {
    let newest_first = notes.find(doc! {}).sort(doc! { "_id": -1 }).limit(LISTED);
    let notes = newest_first
        .await?
        .map_ok(NoteBody::from)
        .try_collect()
        .await?;
    Ok(Json(notes))
}

async fn read(
    State(notes): State<Collection<Note>>,
    Path(id): Path<String>,
) -> Result<Json<NoteBody>, Failure> {
    let note = notes.find_one(doc! { "_id": parse(&id)? }).await?;
    note.map(|note| Json(note.into())).ok_or(Failure::NotFound)
}

async fn update(
    State(notes): State<Collection<Note>>,
    Path(id): Path<String>,
    Json(body): Json<NoteBody>,
) -> Result<Json<NoteBody>, Failure> {
    let id = parse(&id)?;
    let update = doc! { "$set": { "text": &body.text } };
    let result = notes.update_one(doc! { "_id": id }, update).await?;
    if result.matched_count == 0 {
        return Err(Failure::NotFound);
    }
    Ok(Json(NoteBody {
        id: id.to_hex(),
        text: body.text,
    }))
}

async fn delete(
    State(notes): State<Collection<Note>>,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    let result = notes.delete_one(doc! { "_id": parse(&id)? }).await?;
    if result.deleted_count == 0 {
        Err(Failure::NotFound)
    } else {
        Ok(StatusCode::NO_CONTENT)
    }
}

fn parse(id: &str) -> Result<ObjectId, Failure> {
    ObjectId::parse_str(id).map_err(|_| Failure::BadId)
}
