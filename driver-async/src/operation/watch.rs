//! The `aggregate` that opens a change stream, or opens it again.

use bson::{Bson, Document, doc};

use super::{Aggregate, Scope, Source};
use crate::{
    error::Result,
    options::{AggregateOptions, ChangeStreamOptions, ResumeToken},
    proto::resume::Start,
};

/// What a change stream tells the changes of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watched {
    /// The collection that the scope names.
    Collection,
    /// The collections of the database that the scope names.
    Database,
    /// Those of all databases.
    Deployment,
}

/// Opens a change stream: where its options say, or where it has come to.
///
/// # Errors
/// A BSON error for a resume token that is none.
pub(crate) fn watch<'a>(
    scope: Scope<'a>,
    watched: Watched,
    pipeline: &[Document],
    options: &ChangeStreamOptions,
    start: Option<Start>,
) -> Result<Aggregate<'a>> {
    let mut stages = Vec::with_capacity(pipeline.len() + 2);
    stages.push(doc! { "$changeStream": stage(watched, options, start)? });
    stages.extend_from_slice(pipeline);
    if options.split_large_events == Some(true) {
        stages.push(doc! { "$changeStreamSplitLargeEvent": {} });
    }
    let source = match watched {
        Watched::Collection => Source::Collection,
        Watched::Database | Watched::Deployment => Source::Database,
    };
    let aggregate = AggregateOptions {
        batch_size: options.batch_size,
        collation: options.collation.clone(),
        comment: options.comment.clone(),
        max_await_time: options.max_await_time,
        read_concern: options.read_concern.clone(),
        selection_criteria: options.selection_criteria.clone(),
        ..AggregateOptions::default()
    };
    Ok(Aggregate::new(scope, source, stages, aggregate))
}

fn stage(
    watched: Watched,
    options: &ChangeStreamOptions,
    start: Option<Start>,
) -> Result<Document> {
    let mut stage = Document::new();
    if let Some(full) = &options.full_document {
        stage.insert("fullDocument", full.as_str());
    }
    if let Some(before) = &options.full_document_before_change {
        stage.insert("fullDocumentBeforeChange", before.as_str());
    }
    if let Some(show) = options.show_expanded_events {
        stage.insert("showExpandedEvents", show);
    }
    if watched == Watched::Deployment {
        stage.insert("allChangesForCluster", true);
    }
    let place = |token: ResumeToken| Bson::try_from(token.0);
    match start {
        Some(Start::After(token)) => {
            stage.insert("startAfter", place(token)?);
        }
        Some(Start::ResumeAfter(token)) => {
            stage.insert("resumeAfter", place(token)?);
        }
        Some(Start::At(time)) => {
            stage.insert("startAtOperationTime", time);
        }
        // What contradicts itself is for the server to refuse.
        Some(Start::Anew) | None => {
            if let Some(token) = options.resume_after.clone() {
                stage.insert("resumeAfter", place(token)?);
            }
            if let Some(token) = options.start_after.clone() {
                stage.insert("startAfter", place(token)?);
            }
            if let Some(time) = options.start_at_operation_time {
                stage.insert("startAtOperationTime", time);
            }
        }
    }
    Ok(stage)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bson::{RawBson, Timestamp, rawdoc};

    use super::*;
    use crate::{
        operation::{
            Operation, Retryability,
            tests::{scope, written},
        },
        options::{Collation, FullDocumentBeforeChangeType, FullDocumentType},
    };

    fn token(data: i32) -> ResumeToken {
        ResumeToken(RawBson::Document(rawdoc! { "_data": data }))
    }

    const TIME: Timestamp = Timestamp {
        time: 1,
        increment: 2,
    };

    #[test]
    fn every_option_is_sent_under_the_servers_name() {
        let options = ChangeStreamOptions::builder()
            .full_document(FullDocumentType::UpdateLookup)
            .full_document_before_change(FullDocumentBeforeChangeType::Off)
            .resume_after(token(1))
            .start_after(token(2))
            .start_at_operation_time(TIME)
            .show_expanded_events(true)
            .max_await_time(Duration::from_secs(1))
            .batch_size(3)
            .collation(Collation::builder().locale("en").build())
            .comment(Bson::Int32(1))
            .split_large_events(true)
            .build();
        let pipeline = [doc! { "$match": {} }];
        let mut operation = watch(scope(), Watched::Collection, &pipeline, &options, None).unwrap();
        let stage = doc! {
            "fullDocument": "updateLookup", "fullDocumentBeforeChange": "off",
            "showExpandedEvents": true, "resumeAfter": { "_data": 1 },
            "startAfter": { "_data": 2 }, "startAtOperationTime": TIME,
        };
        let wanted = doc! {
            "aggregate": "c",
            "pipeline": [
                { "$changeStream": stage },
                { "$match": {} },
                { "$changeStreamSplitLargeEvent": {} },
            ],
            "cursor": { "batchSize": 3 }, "collation": { "locale": "en" }, "comment": 1,
        };
        assert_eq!(written(&mut operation), wanted);
        assert_eq!(operation.retryability(), Retryability::Read);
    }

    #[test]
    fn a_stream_that_goes_on_is_told_one_place_only() {
        let options = ChangeStreamOptions::builder()
            .start_after(token(1))
            .start_at_operation_time(TIME)
            .build();
        for (start, wanted) in [
            (
                Start::After(token(5)),
                doc! { "startAfter": { "_data": 5 } },
            ),
            (
                Start::ResumeAfter(token(5)),
                doc! { "resumeAfter": { "_data": 5 } },
            ),
            (Start::At(TIME), doc! { "startAtOperationTime": TIME }),
        ] {
            let stage = stage(Watched::Collection, &options, Some(start)).unwrap();
            assert_eq!(stage, wanted);
        }
    }

    #[test]
    fn a_database_and_a_deployment_are_watched_without_a_collection() {
        let options = ChangeStreamOptions::default();
        for (watched, stage) in [
            (Watched::Database, doc! {}),
            (Watched::Deployment, doc! { "allChangesForCluster": true }),
        ] {
            let mut operation = watch(scope(), watched, &[], &options, None).unwrap();
            let wanted = doc! {
                "aggregate": 1, "pipeline": [{ "$changeStream": stage }], "cursor": {},
            };
            assert_eq!(written(&mut operation), wanted);
        }
    }
}
