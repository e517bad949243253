use std::collections::HashMap;

use bson::{Bson, Document, doc};

use super::*;
use crate::{
    bulk::{DeleteMany, DeleteOne, InsertOne, ReplaceOne, UpdateMany, UpdateOne, Write},
    error::CommandError,
    operation::tests::{ADDRESS, replied, scope, target, written_for, written_for_newest},
    options::{Acknowledgment, Collation, Hint, InsertManyOptions},
    results::InsertManyResult,
};

/// Two writes a command.
fn tight() -> Target<'static> {
    Target {
        max_write_batch_size: 2,
        ..target()
    }
}

fn statements(writes: impl IntoIterator<Item = Write>) -> Statements {
    let mut statements = Statements::default();
    for write in writes {
        statements.push(write).unwrap();
    }
    statements
}

fn bulk(writes: impl IntoIterator<Item = Write>, ordered: bool) -> BulkWrite<'static> {
    let options = CollectionBulkWriteOptions::builder()
        .ordered(ordered)
        .build();
    BulkWrite::new(scope(), statements(writes), options, 1).unwrap()
}

fn inserts(count: i32, ordered: bool) -> BulkWrite<'static> {
    let mut statements = Statements::default();
    for id in 0..count {
        statements.push_insert(&doc! { "_id": id }).unwrap();
    }
    let options = InsertManyOptions::builder().ordered(ordered).build();
    BulkWrite::insert_many(scope(), statements, options, 1).unwrap()
}

fn insert(id: i32) -> Write {
    InsertOne::new(doc! { "_id": id }).into()
}

fn update(id: i32) -> Write {
    UpdateOne::new(doc! { "_id": id }, doc! { "$set": { "a": 1 } }).into()
}

fn delete(id: i32) -> Write {
    DeleteOne::new(doc! { "_id": id }).into()
}

/// The documents of the one sequence of a bulk write.
fn sent(operation: &BulkWrite<'_>) -> (&'static str, Vec<Document>) {
    let sequences: Vec<_> = operation.sequences().iter().copied().collect();
    assert_eq!(sequences.len(), 1);
    let mut bytes = sequences[0].documents;
    let mut documents = Vec::new();
    while !bytes.is_empty() {
        documents.push(Document::from_reader(&mut bytes).unwrap());
    }
    (sequences[0].identifier, documents)
}

/// Runs the batches against these replies; gives the result, and how each command began and how
/// many statements it had.
fn run(
    operation: &mut BulkWrite<'_>,
    replies: &[Result<Document>],
) -> (
    Result<CollectionBulkWriteResult>,
    Vec<(&'static str, Vec<Document>)>,
) {
    let target = tight();
    let mut commands = Vec::new();
    for reply in replies {
        written_for(operation, &target).unwrap();
        commands.push(sent(operation));
        let outcome = match reply {
            Ok(reply) => replied(operation, reply),
            Err(error) => Err(error.clone()),
        };
        if let Progress::Done(result) = operation.take(outcome) {
            return (result, commands);
        }
    }
    panic!("more than {} batches", replies.len());
}

fn keys(of: &HashMap<usize, impl Sized>) -> Vec<usize> {
    let mut keys: Vec<_> = of.keys().copied().collect();
    keys.sort_unstable();
    keys
}

fn refused(error: &Error) -> &CollectionBulkWriteError {
    match &*error.kind {
        ErrorKind::CollectionBulkWrite(refused) => refused,
        other => panic!("{other:?}"),
    }
}

fn refusal(n: i32, indexes: &[i32]) -> Result<Document> {
    let errors: Vec<_> = indexes
        .iter()
        .map(|index| doc! { "index": index, "code": 11000, "errmsg": "E11000" })
        .collect();
    Ok(doc! { "ok": 1, "n": n, "writeErrors": errors })
}

fn accepted(n: i32) -> Result<Document> {
    Ok(doc! { "ok": 1, "n": n })
}

fn lost() -> Result<Document> {
    Err(std::io::Error::other("lost").into())
}

#[test]
fn every_option_of_every_write_is_sent_under_the_servers_name() {
    let collation = || Collation::builder().locale("en").build();
    let hint = || Hint::Name("h".into());
    let set = || doc! { "$set": { "a": 1 } };
    let writes: [(Write, &str, Document); 6] = [
        (
            InsertOne::new(doc! { "_id": 1 }).into(),
            "documents",
            doc! { "_id": 1 },
        ),
        (
            UpdateOne::new(doc! { "q": 1 }, set())
                .array_filters([doc! { "i": 1 }])
                .collation(collation())
                .hint(hint())
                .upsert(true)
                .sort(doc! { "s": 1 })
                .into(),
            "updates",
            doc! {
                "q": { "q": 1 }, "u": { "$set": { "a": 1 } }, "upsert": true,
                "arrayFilters": [{ "i": 1 }], "hint": "h", "collation": { "locale": "en" },
                "sort": { "s": 1 },
            },
        ),
        (
            UpdateMany::new(doc! { "q": 1 }, vec![set()])
                .array_filters([doc! { "i": 1 }])
                .collation(collation())
                .hint(Hint::Keys(doc! { "h": 1 }))
                .upsert(false)
                .into(),
            "updates",
            doc! {
                "q": { "q": 1 }, "u": [{ "$set": { "a": 1 } }], "multi": true, "upsert": false,
                "arrayFilters": [{ "i": 1 }], "hint": { "h": 1 }, "collation": { "locale": "en" },
            },
        ),
        (
            ReplaceOne::new(doc! { "q": 1 }, doc! { "r": 1 })
                .collation(collation())
                .hint(hint())
                .upsert(true)
                .sort(doc! { "s": 1 })
                .into(),
            "updates",
            doc! {
                "q": { "q": 1 }, "u": { "r": 1 }, "upsert": true, "hint": "h",
                "collation": { "locale": "en" }, "sort": { "s": 1 },
            },
        ),
        (
            DeleteOne::new(doc! { "q": 1 })
                .collation(collation())
                .hint(hint())
                .into(),
            "deletes",
            doc! {
                "q": { "q": 1 }, "limit": 1, "hint": "h", "collation": { "locale": "en" },
            },
        ),
        (
            DeleteMany::new(doc! { "q": 1 })
                .collation(collation())
                .hint(hint())
                .into(),
            "deletes",
            doc! {
                "q": { "q": 1 }, "limit": 0, "hint": "h", "collation": { "locale": "en" },
            },
        ),
    ];
    for (write, identifier, wanted) in writes {
        let options = CollectionBulkWriteOptions::builder()
            .ordered(false)
            .bypass_document_validation(false)
            .comment(Bson::Int32(1))
            .let_vars(doc! { "v": 1 })
            .raw_data(true)
            .build();
        let mut operation = BulkWrite::new(scope(), statements([write]), options, 1).unwrap();
        let name = operation.name().to_owned();
        let mut command = doc! { &name: "c", "ordered": false };
        if name != "delete" {
            command.insert("bypassDocumentValidation", false);
        }
        if name != "insert" {
            command.insert("let", doc! { "v": 1 });
        }
        command.insert("comment", 1);
        command.insert("rawData", true);
        assert_eq!(written_for_newest(&mut operation), command);
        assert_eq!(sent(&operation), (identifier, vec![wanted]));
    }
}

#[test]
fn ordered_writes_go_out_in_runs_of_one_kind() {
    let writes = [
        insert(0),
        insert(1),
        insert(2),
        update(3),
        delete(4),
        insert(5),
    ];
    let replies = [
        accepted(2),
        accepted(1),
        Ok(doc! { "ok": 1, "n": 1, "nModified": 0, "upserted": [{ "index": 0, "_id": 3 }] }),
        accepted(1),
        accepted(1),
    ];
    let (result, commands) = run(&mut bulk(writes, true), &replies);
    let sizes: Vec<_> = commands.iter().map(|(name, s)| (*name, s.len())).collect();
    let wanted = [
        ("documents", 2),
        ("documents", 1),
        ("updates", 1),
        ("deletes", 1),
        ("documents", 1),
    ];
    assert_eq!(sizes, wanted);
    let result = result.unwrap();
    assert!(result.acknowledged);
    assert_eq!(keys(&result.inserted_ids), [0, 1, 2, 5]);
    assert_eq!(result.upserted_ids, HashMap::from([(3, Bson::Int32(3))]));
    let counts = (
        result.inserted_count,
        result.upserted_count,
        result.matched_count,
        result.deleted_count,
    );
    assert_eq!(counts, (4, 1, 0, 1));
}

#[test]
fn unordered_writes_are_grouped_by_kind_and_keep_their_places() {
    let writes = [
        update(0),
        insert(1),
        delete(2),
        insert(3),
        update(4),
        insert(5),
    ];
    let replies = [
        refusal(1, &[1]),
        accepted(1),
        Ok(doc! {
            "ok": 1, "n": 2, "nModified": 1, "upserted": [{ "index": 1, "_id": "u" }],
        }),
        refusal(0, &[0]),
    ];
    let (result, commands) = run(&mut bulk(writes, false), &replies);
    let sizes: Vec<_> = commands.iter().map(|(name, s)| (*name, s.len())).collect();
    let wanted = [
        ("documents", 2),
        ("documents", 1),
        ("updates", 2),
        ("deletes", 1),
    ];
    assert_eq!(sizes, wanted);
    let error = result.unwrap_err();
    assert!(error.is_duplicate_key() && error.server_response().is_some());
    let refused = refused(&error);
    assert_eq!(keys(&refused.write_errors), [2, 3]);
    let done = &refused.partial_result;
    assert_eq!(keys(&done.inserted_ids), [1, 5]);
    assert_eq!(done.upserted_ids, HashMap::from([(4, Bson::from("u"))]));
    let counts = (done.inserted_count, done.matched_count, done.modified_count);
    assert_eq!(counts, (2, 1, 1));
}

#[test]
fn an_ordered_bulk_write_ends_at_the_first_refusal() {
    let writes = [insert(0), update(1), update(2), insert(3)];
    let replies = [accepted(1), refusal(1, &[1])];
    let (result, commands) = run(&mut bulk(writes, true), &replies);
    assert_eq!(commands.len(), 2);
    let error = result.unwrap_err();
    assert_eq!(keys(&refused(&error).write_errors), [2]);
    assert_eq!(refused(&error).partial_result.matched_count, 1);
    let text = error.to_string();
    assert!(
        text.contains("1 of the writes refused, the first at index 2"),
        "{text}"
    );
}

#[test]
fn an_unmet_write_concern_ends_nothing_and_is_told() {
    let unmet = |code| {
        let error = doc! { "code": code, "errmsg": "late" };
        Ok(doc! { "ok": 1, "n": 1, "writeConcernError": error })
    };
    let writes = [insert(0), delete(1), insert(2)];
    let replies = [unmet(64), unmet(91), accepted(1)];
    let (result, commands) = run(&mut bulk(writes, true), &replies);
    assert_eq!(commands.len(), 3);
    let error = result.unwrap_err();
    assert_eq!(error.code(), Some(64));
    let refused = refused(&error);
    let codes: Vec<_> = refused
        .write_concern_errors
        .iter()
        .map(|e| e.code)
        .collect();
    assert_eq!(codes, [64, 91]);
    assert_eq!(refused.partial_result.inserted_count, 2);
}

#[test]
fn a_lost_connection_keeps_what_earlier_batches_did() {
    let writes = || [insert(0), delete(1)];
    let (result, _) = run(&mut bulk(writes(), true), &[lost()]);
    let error = result.unwrap_err();
    assert!(error.is_network() && refused(&error).partial_result.is_empty());
    // What did not get as far as to be sent did nothing, and a refused command neither.
    let mut operation = bulk(writes(), true);
    let error = lost().map(|_| CollectionBulkWriteResult::default());
    let Progress::Done(Err(error)) = operation.take(error) else {
        panic!("a lost connection ends a bulk write");
    };
    assert!(matches!(*error.kind, ErrorKind::Io(_)), "{error:?}");
    let reply = bson::rawdoc! { "ok": 0, "code": 13 };
    let unauthorized = Error::from(ErrorKind::Command(CommandError::from_reply(&reply)));
    let (result, _) = run(&mut bulk(writes(), true), &[Err(unauthorized)]);
    assert!(matches!(*result.unwrap_err().kind, ErrorKind::Command(_)));
    let labelled = lost().map_err(|error| error.with_label("A").with_address(&ADDRESS));
    let (result, _) = run(&mut bulk(writes(), true), &[accepted(1), labelled]);
    let error = result.unwrap_err();
    assert_eq!(keys(&refused(&error).partial_result.inserted_ids), [0]);
    assert!(error.is_network() && error.contains_label("A") && error.address().is_some());
    let source = std::error::Error::source(&error).unwrap();
    assert!(matches!(
        *source.downcast_ref::<Error>().unwrap().kind,
        ErrorKind::Io(_)
    ));
}

#[test]
fn a_command_with_a_write_to_many_documents_is_not_retried() {
    let many = || -> Write { DeleteMany::new(doc! {}).into() };
    let mut operation = bulk([delete(0), insert(1), many(), delete(3), delete(4)], true);
    let mut retried = Vec::new();
    for _ in 0..4 {
        retried.push(operation.retryability() == Retryability::Write);
        written_for(&mut operation, &tight()).unwrap();
        let outcome = replied(&mut operation, &doc! { "ok": 1, "n": 1 });
        operation.take(outcome);
    }
    assert_eq!(retried, [true, true, false, true]);
}

#[test]
fn a_second_attempt_sends_the_same_batch() {
    let mut operation = bulk((0..3).map(insert), true);
    written_for(&mut operation, &tight()).unwrap();
    let first = sent(&operation);
    let wide = Target {
        max_write_batch_size: 1000,
        ..target()
    };
    written_for(&mut operation, &wide).unwrap();
    assert_eq!(sent(&operation), first);
}

#[test]
fn what_cannot_be_used_is_refused_before_anything_is_sent() {
    let statements_of = |write: Write| {
        let mut statements = statements([insert(0)]);
        statements.push(write)
    };
    for write in [
        Write::from(UpdateOne::new(doc! {}, doc! { "a": 1 })),
        UpdateMany::new(doc! {}, doc! {}).into(),
        ReplaceOne::new(doc! {}, doc! { "$set": {} }).into(),
    ] {
        let error = statements_of(write).unwrap_err();
        assert!(error.to_string().contains("write at index 1"), "{error}");
    }
    assert!(statements_of(DeleteOne::new(doc! { "a\0": 1 }).into()).is_err());
    let none = BulkWrite::new(scope(), Statements::default(), Default::default(), 1);
    assert!(none.is_err());
    let none = BulkWrite::insert_many(scope(), Statements::default(), Default::default(), 1);
    assert!(none.is_err());
}

#[test]
fn what_is_larger_than_the_server_takes_is_named_by_its_place() {
    let long = || "x".repeat(20_000);
    for write in [
        Write::from(InsertOne::new(doc! { "x": long() })),
        ReplaceOne::new(doc! {}, doc! { "x": long() }).into(),
        UpdateOne::new(doc! {}, doc! { "$set": { "x": long() } }).into(),
        DeleteMany::new(doc! { "x": long() }).into(),
    ] {
        let tight = Target {
            max_bson_object_size: 1000,
            ..target()
        };
        let mut operation = bulk([insert(0), delete(0), update(0), write], true);
        let error = written_for(&mut operation, &tight).unwrap_err();
        assert!(error.to_string().contains("at index 3"), "{error}");
        assert!(written_for(&mut operation, &target()).is_ok());
    }
}

#[test]
fn a_hint_that_nobody_would_report_is_refused_with_an_older_server() {
    let hinted: Write = DeleteOne::new(doc! {}).hint(Hint::Name("h".into())).into();
    let options = CollectionBulkWriteOptions::builder()
        .write_concern(WriteConcern::from(Acknowledgment::Nodes(0)))
        .build();
    let writes = statements([insert(0), hinted]);
    let mut operation = BulkWrite::new(scope(), writes, options, 1).unwrap();
    let older = Target {
        max_wire_version: 8,
        ..target()
    };
    assert!(written_for(&mut operation, &older).is_err());
    assert!(written_for(&mut operation, &target()).is_ok());
    let sent = operation.unacknowledged().unwrap();
    assert!(!sent.acknowledged && sent.inserted_count == 0);
    assert_eq!(keys(&sent.inserted_ids), [0]);
}

#[test]
fn refusals_with_impossible_indexes_do_no_harm() {
    for index in [-1, 7, i32::MAX] {
        for ordered in [true, false] {
            let (result, _) = run(&mut inserts(2, ordered), &[refusal(0, &[index])]);
            assert!(result.is_err(), "{index}");
        }
    }
    let upserted = doc! { "ok": 1, "n": 1, "upserted": [{ "index": 9, "_id": 1 }] };
    let (result, _) = run(&mut bulk([update(0)], true), &[Ok(upserted)]);
    assert!(result.unwrap().upserted_ids.is_empty());
}

fn many_inserted(
    count: i32,
    ordered: bool,
    replies: &[Result<Document>],
) -> Result<InsertManyResult> {
    insert_many_result(run(&mut inserts(count, ordered), replies).0)
}

#[test]
fn inserts_alone_have_a_result_and_an_error_of_their_own() {
    let result = many_inserted(3, true, &[accepted(2), accepted(1)]);
    assert_eq!(keys(&result.unwrap().inserted_ids), [0, 1, 2]);
    let replies = [refusal(1, &[1]), refusal(0, &[1, 0]), accepted(1)];
    let error = many_inserted(5, false, &replies).unwrap_err();
    assert!(error.is_duplicate_key() && error.server_response().is_some());
    let ErrorKind::InsertMany(failed) = &*error.kind else {
        panic!("{error:?}");
    };
    let errors = failed.write_errors.as_ref().unwrap();
    let indexes: Vec<_> = errors.iter().map(|error| error.index).collect();
    assert_eq!(indexes, [1, 2, 3]);
    assert_eq!(keys(&failed.inserted_ids), [0, 4]);
    let error = many_inserted(5, true, &[accepted(2), refusal(1, &[1])]).unwrap_err();
    let ErrorKind::InsertMany(failed) = &*error.kind else {
        panic!("{error:?}");
    };
    assert_eq!(keys(&failed.inserted_ids), [0, 1, 2]);
    let error = many_inserted(1, true, &[lost()]).unwrap_err();
    assert!(matches!(*error.kind, ErrorKind::Io(_)), "{error:?}");
}
