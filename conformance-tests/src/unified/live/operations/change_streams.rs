//! Opening change streams. They are iterated as cursors are.

use std::sync::Arc;

use bson::{Bson, Document};

use super::Perform;
use super::flavor::driver::action::Action;
use super::flavor::driver::change_stream::event::ResumeToken;
use super::flavor::driver::{Collection, Database};
use super::flavor::go;
use super::{Arguments, ClientEntity, CursorEntity, Entity, Failure, Returned};
use crate::unified::arguments::with_arguments;

/// Opens the stream that an action gives, with the options and in the session that its arguments
/// name.
macro_rules! open_stream {
    ($action:expr, $arguments:ident) => {{
        let session = $arguments.session();
        let pipeline: Vec<Document> = $arguments.take("pipeline")?.unwrap_or_default();
        let action = with_arguments!($action.pipeline(pipeline), $arguments, {
            "timeoutMS" => timeout,
            "batchSize" => batch_size,
            "collation" => collation,
            "comment" => comment: Bson,
            "fullDocument" => full_document,
            "fullDocumentBeforeChange" => full_document_before_change,
            "maxAwaitTimeMS" => max_await_time,
            "readConcern" => read_concern,
            "readPreference" => selection_criteria,
            "resumeAfter" => resume_after: ResumeToken,
            "showExpandedEvents" => show_expanded_events,
            "startAfter" => start_after,
            "startAtOperationTime" => start_at_operation_time,
        });
        let stream = match session {
            None => CursorEntity::Stream(go!(action)?.with_type()),
            Some(lent) => {
                let stream = go!(action.session(lent.session))?.with_type();
                CursorEntity::StreamInSession(stream, lent.entity)
            }
        };
        Ok(Returned::Entity(Entity::cursor(stream)))
    }};
}

/// The operation of that name on a client.
pub(super) fn of_client(name: &str) -> Option<Perform<Arc<ClientEntity>>> {
    (name == "createChangeStream").then_some(watch_deployment)
}

/// The operation of that name on a database.
pub(super) fn of_database(name: &str) -> Option<Perform<Database>> {
    (name == "createChangeStream").then_some(watch_database)
}

/// The operation of that name on a collection.
pub(super) fn of_collection(name: &str) -> Option<Perform<Collection<Document>>> {
    (name == "createChangeStream").then_some(watch_collection)
}

fn watch_deployment(
    client: &Arc<ClientEntity>,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    let client = client.client()?;
    open_stream!(client.watch(), arguments)
}

fn watch_database(database: &Database, mut arguments: Arguments<'_>) -> Result<Returned, Failure> {
    open_stream!(database.watch(), arguments)
}

fn watch_collection(
    collection: &Collection<Document>,
    mut arguments: Arguments<'_>,
) -> Result<Returned, Failure> {
    open_stream!(collection.watch(), arguments)
}
