use bson::{Bson, Document, doc};

use super::*;
use crate::{
    namespace::Namespace,
    operation::tests::{ADDRESS, newest, received, written_for},
    options::{
        DeleteManyModel, DeleteOneModel, InsertOneModel, ReplaceOneModel, UpdateManyModel,
        UpdateOneModel, WriteModel,
    },
};

fn target() -> Target<'static> {
    newest()
}

/// Two writes a command.
fn tight() -> Target<'static> {
    Target {
        max_write_batch_size: 2,
        ..newest()
    }
}

fn in_c() -> Namespace {
    Namespace::new("d", "c")
}

fn insert_in(namespace: Namespace, document: Document) -> WriteModel {
    let model = InsertOneModel::builder().namespace(namespace);
    model.document(document).build().into()
}

fn insert(id: i32) -> WriteModel {
    insert_in(in_c(), doc! { "_id": id })
}

fn update(id: i32) -> WriteModel {
    let model = UpdateOneModel::builder().namespace(in_c());
    let model = model.filter(doc! { "_id": id });
    model.update(doc! { "$set": { "a": 1 } }).build().into()
}

fn delete(id: i32) -> WriteModel {
    let model = DeleteOneModel::builder().namespace(in_c());
    model.filter(doc! { "_id": id }).build().into()
}

fn delete_all() -> WriteModel {
    DeleteManyModel::builder().namespace(in_c()).build().into()
}

fn ops(models: impl IntoIterator<Item = WriteModel>) -> Ops {
    let mut ops = Ops::default();
    for model in models {
        ops.push(model).unwrap();
    }
    ops
}

fn bulk(
    models: impl IntoIterator<Item = WriteModel>,
    ordered: bool,
    detail: Detail,
) -> ClientBulkWrite<'static> {
    let options = BulkWriteOptions::builder().ordered(ordered).build();
    ClientBulkWrite::new(ops(models), options, detail, Scope::default(), 1).unwrap()
}

fn unacknowledged(ordered: bool, detail: Detail) -> Result<ClientBulkWrite<'static>> {
    let options = BulkWriteOptions::builder()
        .ordered(ordered)
        .write_concern(WriteConcern::nodes(0))
        .build();
    ClientBulkWrite::new(ops([insert(1)]), options, detail, Scope::default(), 1)
}

fn documents(mut bytes: &[u8]) -> Vec<Document> {
    let mut documents = Vec::new();
    while !bytes.is_empty() {
        documents.push(Document::from_reader(&mut bytes).unwrap());
    }
    documents
}

/// The `ops` and the `nsInfo` of the command written last.
fn sent(operation: &ClientBulkWrite<'_>) -> (Vec<Document>, Vec<Document>) {
    let sequences: Vec<_> = operation.sequences().iter().copied().collect();
    assert_eq!(
        sequences.iter().map(|s| s.identifier).collect::<Vec<_>>(),
        ["ops", "nsInfo"]
    );
    (
        documents(sequences[0].documents),
        documents(sequences[1].documents),
    )
}

/// How many operations and namespaces each command has, for as many as there are.
fn split(operation: &mut ClientBulkWrite<'_>, target: &Target<'_>) -> Vec<(usize, usize)> {
    let mut sizes = Vec::new();
    loop {
        written_for(operation, target).unwrap();
        let (ops, namespaces) = sent(operation);
        sizes.push((ops.len(), namespaces.len()));
        let none = operation.unacknowledged().unwrap();
        assert!(operation.begin(none).is_none());
        if let Progress::Done(result) = operation.finish() {
            result.unwrap();
            return sizes;
        }
    }
}

/// A reply with these counts: refused, inserted, matched, upserted, deleted.
fn reply(counts: [i32; 5]) -> Document {
    let [refused, inserted, matched, upserted, deleted] = counts;
    doc! {
        "ok": 1, "cursor": { "id": 0_i64, "ns": "admin.$cmd.bulkWrite", "firstBatch": [] },
        "nErrors": refused, "nInserted": inserted, "nMatched": matched, "nModified": 0,
        "nUpserted": upserted, "nDeleted": deleted,
    }
}

fn refusal(index: i32) -> Document {
    doc! { "ok": 0.0, "idx": index, "code": 11000, "errmsg": "E11000", "errInfo": { "a": 1 } }
}

fn unmet(counts: [i32; 5], code: i32) -> Document {
    let mut reply = reply(counts);
    let error = doc! { "code": code, "errmsg": "late" };
    reply.insert("writeConcernError", error);
    reply.insert("errorLabels", vec!["L"]);
    reply
}

/// Sends the next command, as the executor does when nothing is tried again, and takes its reply
/// and these results.
fn step(
    operation: &mut ClientBulkWrite<'_>,
    reply: &Document,
    results: &[Document],
) -> Result<Progress<VerboseBulkWriteResult>> {
    written_for(operation, &tight()).unwrap();
    let reply = operation
        .reply(&received(reply), &tight())
        .or_else(|error| operation.refused(error))?;
    let (_, address) = operation.begin(reply).expect("there is a reply");
    assert_eq!(address, ADDRESS);
    for result in results {
        operation.take(&bson::serialize_to_raw_document_buf(result).unwrap())?;
    }
    Ok(operation.finish())
}

fn failed<T: std::fmt::Debug>(progress: Result<Progress<T>>) -> Error {
    match progress {
        Ok(Progress::Done(Err(error))) | Err(error) => error,
        other => panic!("{other:?}"),
    }
}

fn refused(error: &Error) -> &BulkWriteError {
    match &*error.kind {
        ErrorKind::BulkWrite(refused) => refused,
        other => panic!("{other:?}"),
    }
}

fn verbose(error: &Error) -> &VerboseBulkWriteResult {
    match &refused(error).partial_result {
        Some(PartialBulkWriteResult::Verbose(result)) => result,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_option_is_sent_under_the_servers_name() {
    let namespace = || Namespace::new("d", "e");
    let collation = || doc! { "locale": "en" };
    let set = || doc! { "$set": { "a": 1 } };
    let models: [WriteModel; 5] = [
        UpdateOneModel::builder()
            .namespace(in_c())
            .filter(doc! { "q": 1 })
            .update(set())
            .array_filters(vec![Bson::from(doc! { "i": 1 })])
            .collation(collation())
            .hint(Bson::from("h"))
            .upsert(true)
            .sort(doc! { "s": 1 })
            .build()
            .into(),
        UpdateManyModel::builder()
            .namespace(namespace())
            .filter(doc! { "q": 1 })
            .update(vec![set()])
            .array_filters(vec![Bson::from(doc! { "i": 1 })])
            .collation(collation())
            .hint(Bson::from(doc! { "h": 1 }))
            .upsert(false)
            .build()
            .into(),
        ReplaceOneModel::builder()
            .namespace(namespace())
            .filter(doc! { "q": 1 })
            .replacement(doc! { "r": 1 })
            .collation(collation())
            .hint(Bson::from("h"))
            .upsert(true)
            .sort(doc! { "s": 1 })
            .build()
            .into(),
        DeleteOneModel::builder()
            .namespace(namespace())
            .filter(doc! { "q": 1 })
            .collation(collation())
            .hint(Bson::from("h"))
            .build()
            .into(),
        DeleteManyModel::builder()
            .namespace(in_c())
            .filter(doc! { "q": 1 })
            .collation(collation())
            .hint(Bson::from("h"))
            .build()
            .into(),
    ];
    let wanted = [
        doc! {
            "update": 0, "filter": { "q": 1 }, "updateMods": { "$set": { "a": 1 } },
            "multi": false, "upsert": true, "arrayFilters": [{ "i": 1 }], "hint": "h",
            "collation": { "locale": "en" }, "sort": { "s": 1 },
        },
        doc! {
            "update": 1, "filter": { "q": 1 }, "updateMods": [{ "$set": { "a": 1 } }],
            "multi": true, "upsert": false, "arrayFilters": [{ "i": 1 }], "hint": { "h": 1 },
            "collation": { "locale": "en" },
        },
        doc! {
            "update": 1, "filter": { "q": 1 }, "updateMods": { "r": 1 }, "multi": false,
            "upsert": true, "hint": "h", "collation": { "locale": "en" }, "sort": { "s": 1 },
        },
        doc! {
            "delete": 1, "filter": { "q": 1 }, "multi": false, "hint": "h",
            "collation": { "locale": "en" },
        },
        doc! {
            "delete": 0, "filter": { "q": 1 }, "multi": true, "hint": "h",
            "collation": { "locale": "en" },
        },
    ];
    let options = BulkWriteOptions::builder()
        .bypass_document_validation(false)
        .comment(Bson::Int32(1))
        .let_vars(doc! { "v": 1 })
        .raw_data(true)
        .build();
    let mut operation =
        ClientBulkWrite::new(ops(models), options, Detail::Verbose, Scope::default(), 1).unwrap();
    let command = doc! {
        "bulkWrite": 1, "errorsOnly": false, "ordered": true, "bypassDocumentValidation": false,
        "comment": 1, "let": { "v": 1 }, "rawData": true,
    };
    assert_eq!(written_for(&mut operation, &target()).unwrap(), command);
    let namespaces = vec![doc! { "ns": "d.c" }, doc! { "ns": "d.e" }];
    assert_eq!(sent(&operation), (wanted.to_vec(), namespaces));
    assert_eq!(operation.database(), "admin");
}

#[test]
fn a_document_without_an_id_gets_one_in_front() {
    let models = [
        insert_in(in_c(), doc! { "a": 1 }),
        insert(7),
        insert_in(in_c(), doc! {}),
    ];
    let mut operation = bulk(models, true, Detail::Verbose);
    written_for(&mut operation, &target()).unwrap();
    let (sent, _) = sent(&operation);
    for (index, keys) in [&["_id", "a"][..], &["_id"], &["_id"]]
        .into_iter()
        .enumerate()
    {
        let document = sent[index].get_document("document").unwrap();
        assert!(document.keys().eq(keys.iter()), "{document}");
        assert_eq!(
            operation.ops.inserted_id(index).as_ref(),
            document.get("_id")
        );
    }
    assert_eq!(sent[1], doc! { "insert": 0, "document": { "_id": 7 } });
}

#[test]
fn a_command_has_the_namespaces_of_its_own_writes() {
    let other = Namespace::new("d", "other");
    let models = [
        insert(0),
        insert_in(other.clone(), doc! { "_id": 1 }),
        insert_in(other, doc! { "_id": 2 }),
        insert(3),
    ];
    let mut operation = bulk(models, false, Detail::Summary);
    let mut commands = Vec::new();
    for _ in 0..2 {
        written_for(&mut operation, &tight()).unwrap();
        let (ops, namespaces) = sent(&operation);
        let numbers: Vec<_> = ops.iter().map(|op| op.get_i32("insert").unwrap()).collect();
        commands.push((numbers, namespaces));
        operation.begin(None);
        operation.finish();
    }
    let (c, other) = (doc! { "ns": "d.c" }, doc! { "ns": "d.other" });
    let wanted = [
        (vec![0, 1], vec![c.clone(), other.clone()]),
        (vec![0, 1], vec![other, c]),
    ];
    assert_eq!(commands, wanted);
}

#[test]
fn more_writes_than_a_command_holds_are_split() {
    let mut operation = bulk((0..5).map(insert), false, Detail::Summary);
    assert_eq!(split(&mut operation, &tight()), [(2, 1), (2, 1), (1, 1)]);
}

/// The sizes that the prose tests of the CRUD specification rely on: a command without options has
/// 43 bytes, an insert of one letter 58, and the description of `db.coll` 21.
const COMMAND: usize = 43;
const INSERT: usize = 58;
const DESCRIPTION: usize = 21;

fn letter(namespace: &str) -> WriteModel {
    insert_in(namespace.parse().unwrap(), doc! { "a": "b" })
}

fn room_for(bytes: usize) -> Target<'static> {
    Target {
        max_message_size: 1000 + COMMAND + bytes,
        ..target()
    }
}

#[test]
fn writes_are_split_at_the_last_byte_that_fits() {
    let models = || [letter("db.coll"), letter("db.coll"), letter("db.coll")];
    let all = DESCRIPTION + 3 * INSERT;
    for (room, wanted) in [
        (all, &[(3, 1)][..]),
        (all - 1, &[(2, 1), (1, 1)]),
        (DESCRIPTION + INSERT, &[(1, 1), (1, 1), (1, 1)]),
    ] {
        let mut operation = bulk(models(), false, Detail::Summary);
        assert_eq!(split(&mut operation, &room_for(room)), wanted, "{room}");
    }
}

#[test]
fn a_new_namespace_that_does_not_fit_begins_a_command() {
    let long = format!("db.{}", "c".repeat(200));
    let room = DESCRIPTION + 3 * INSERT;
    for (last, wanted) in [("db.coll", &[(3, 1)][..]), (&long, &[(2, 1), (1, 1)])] {
        let models = [letter("db.coll"), letter("db.coll"), letter(last)];
        let mut operation = bulk(models, false, Detail::Summary);
        let target = room_for(room.max(217 + INSERT));
        assert_eq!(split(&mut operation, &target), wanted, "{last}");
    }
}

#[test]
fn what_fits_into_no_message_is_refused_by_its_place() {
    let room = DESCRIPTION + INSERT;
    let huge_document = insert_in("db.coll".parse().unwrap(), doc! { "a": "b".repeat(1000) });
    let huge_namespace = letter(&format!("db.{}", "c".repeat(1000)));
    for huge in [huge_document, huge_namespace] {
        let mut operation = bulk([huge.clone()], true, Detail::Summary);
        let error = written_for(&mut operation, &room_for(room)).unwrap_err();
        assert!(error.to_string().contains("at index 0"), "{error}");
        let error = operation.interrupted(error);
        assert!(matches!(*error.kind, ErrorKind::InvalidArgument { .. }));
        // Behind others it is told together with what they did.
        let mut operation = bulk([letter("db.coll"), huge], true, Detail::Summary);
        written_for(&mut operation, &room_for(room)).unwrap();
        let done = operation.reply(&received(&reply([0, 1, 0, 0, 0])), &target());
        operation.begin(done.unwrap());
        assert!(matches!(operation.finish(), Progress::More));
        let error = written_for(&mut operation, &room_for(room)).unwrap_err();
        let error = operation.interrupted(error);
        let partial = refused(&error).partial_result.as_ref().unwrap();
        assert_eq!(partial.summary().inserted_count, 1);
    }
}

#[test]
fn verbose_results_are_told_by_place_and_kind() {
    let models = [insert(7), update(1), delete(2), update(3)];
    let mut operation = bulk(models, true, Detail::Verbose);
    let results = [
        doc! { "ok": 1.0, "idx": 0, "n": 1 },
        doc! { "ok": 1.0, "idx": 1, "n": 1, "nModified": 0, "upserted": { "_id": 1 } },
    ];
    let progress = step(&mut operation, &reply([0, 1, 0, 1, 0]), &results).unwrap();
    assert!(matches!(progress, Progress::More));
    let results = [
        doc! { "ok": 1, "idx": 0_i64, "n": 5_i64 },
        doc! { "ok": 1, "idx": 1.0, "n": 2.0, "nModified": 1 },
    ];
    let progress = step(&mut operation, &reply([0, 0, 2, 0, 5]), &results).unwrap();
    let Progress::Done(Ok(result)) = progress else {
        panic!("{progress:?}");
    };
    let summary = &result.summary;
    assert!(summary.acknowledged);
    let counts = (
        summary.inserted_count,
        summary.matched_count,
        summary.upserted_count,
        summary.deleted_count,
    );
    assert_eq!(counts, (1, 2, 1, 5));
    assert_eq!(result.insert_results[&0].inserted_id, Bson::Int32(7));
    assert_eq!(result.update_results[&1].upserted_id, Some(Bson::Int32(1)));
    assert_eq!(result.update_results[&3].modified_count, 1);
    assert_eq!(result.delete_results[&2].deleted_count, 5);
    assert_eq!(result.update_results.len(), 2);
    let shown = bson::serialize_to_document(&result).unwrap();
    assert_eq!(
        shown.get_document("deleteResults").unwrap(),
        &doc! { "2": { "deletedCount": 5_i64 } }
    );
}

#[test]
fn an_ordered_bulk_write_ends_at_its_refusal() {
    let mut operation = bulk((0..4).map(insert), true, Detail::Verbose);
    let results = [doc! { "ok": 1.0, "idx": 0, "n": 1 }, refusal(1)];
    let error = failed(step(&mut operation, &reply([1, 1, 0, 0, 0]), &results));
    assert!(error.is_duplicate_key());
    let refused = refused(&error);
    assert_eq!(refused.write_errors.keys().collect::<Vec<_>>(), [&1]);
    assert_eq!(refused.write_errors[&1].details, Some(doc! { "a": 1 }));
    assert_eq!(verbose(&error).insert_results.len(), 1);
    assert!(error.address().is_some());
}

#[test]
fn an_unordered_bulk_write_goes_on_and_tells_every_refusal() {
    let mut operation = bulk((0..4).map(insert), false, Detail::Summary);
    let first = step(
        &mut operation,
        &reply([2, 0, 0, 0, 0]),
        &[refusal(0), refusal(1)],
    );
    assert!(matches!(first.unwrap(), Progress::More));
    let error = failed(step(&mut operation, &reply([1, 1, 0, 0, 0]), &[refusal(1)]));
    let refused = refused(&error);
    let mut places: Vec<_> = refused.write_errors.keys().copied().collect();
    places.sort_unstable();
    assert_eq!(places, [0, 1, 3]);
    match &refused.partial_result {
        Some(PartialBulkWriteResult::Summary(summary)) => assert_eq!(summary.inserted_count, 1),
        other => panic!("{other:?}"),
    }
}

#[test]
fn there_is_a_partial_result_only_when_a_write_succeeded() {
    let partial = |ordered, refused: &[i32]| {
        let mut operation = bulk((0..2).map(delete), ordered, Detail::Summary);
        let results: Vec<_> = refused.iter().copied().map(refusal).collect();
        let count = i32::try_from(refused.len()).unwrap();
        let error = failed(step(&mut operation, &reply([count, 0, 0, 0, 0]), &results));
        match *error.kind {
            ErrorKind::BulkWrite(error) => error.partial_result.is_some(),
            other => panic!("{other:?}"),
        }
    };
    assert!(!partial(true, &[0]));
    assert!(partial(true, &[1]));
    assert!(!partial(false, &[0, 1]));
    assert!(partial(false, &[0]));
}

#[test]
fn an_unmet_write_concern_is_an_error_until_it_is_clear_that_no_attempt_follows() {
    let mut operation = bulk((0..4).map(insert), true, Detail::Verbose);
    written_for(&mut operation, &tight()).unwrap();
    let first = received(&unmet([0, 2, 0, 0, 0], 91));
    let error = operation.reply(&first, &tight()).unwrap_err();
    assert!(error.contains_label("L") && error.state_change().is_some());
    // The attempt that follows succeeds, so nothing is left of the first one's error.
    let again = operation.reply(&received(&reply([0, 2, 0, 0, 0])), &tight());
    assert!(operation.begin(again.unwrap()).is_some());
    assert!(matches!(operation.finish(), Progress::More));
    let results = [doc! { "ok": 1.0, "idx": 0, "n": 1 }];
    let error = failed(step(&mut operation, &unmet([0, 2, 0, 0, 0], 64), &results));
    assert!(error.contains_label("L") && error.server_response().is_some());
    assert_eq!(error.code(), Some(64));
    assert_eq!(refused(&error).write_concern_errors.len(), 1);
    let result = verbose(&error);
    assert_eq!(result.summary.inserted_count, 4);
    assert_eq!(result.insert_results[&2].inserted_id, Bson::Int32(2));
}

#[test]
fn unmet_write_concerns_of_all_commands_are_told() {
    let mut operation = bulk((0..3).map(insert), true, Detail::Summary);
    let first = step(&mut operation, &unmet([0, 2, 0, 0, 0], 91), &[]);
    assert!(matches!(first.unwrap(), Progress::More));
    let error = failed(step(&mut operation, &unmet([0, 1, 0, 0, 0], 64), &[]));
    let codes = refused(&error).write_concern_errors.iter().map(|e| e.code);
    assert_eq!(codes.collect::<Vec<_>>(), [91, 64]);
    let partial = refused(&error).partial_result.as_ref().unwrap();
    assert_eq!(partial.summary().inserted_count, 3);
}

#[test]
fn an_error_of_the_whole_command_frames_what_was_done_or_stands_alone() {
    let lost = || Error::from(std::io::Error::other("lost")).with_label("A");
    let mut operation = bulk((0..4).map(insert), true, Detail::Verbose);
    let error = operation.interrupted(lost());
    assert!(matches!(*error.kind, ErrorKind::Io(_)), "{error:?}");
    // A getMore fails: the reply's counts are known, and one of the results.
    written_for(&mut operation, &tight()).unwrap();
    let done = operation.reply(&received(&reply([0, 2, 0, 0, 0])), &tight());
    operation.begin(done.unwrap());
    let result = bson::rawdoc! { "ok": 1.0, "idx": 0, "n": 1 };
    operation.take(&result).unwrap();
    let error = operation.interrupted(lost());
    assert!(error.is_network() && error.contains_label("A"));
    assert_eq!(verbose(&error).summary.inserted_count, 2);
    assert_eq!(verbose(&error).insert_results.len(), 1);
    let source = std::error::Error::source(&error).unwrap();
    assert!(source.downcast_ref::<Error>().unwrap().is_network());
}

#[test]
fn results_that_break_the_protocol_are_refused() {
    for result in [
        doc! {},
        doc! { "ok": 1.0, "n": 1 },
        doc! { "idx": 0, "n": 1 },
        doc! { "ok": 1.0, "idx": 2, "n": 1 },
        doc! { "ok": 1.0, "idx": -1, "n": 1 },
        doc! { "ok": 1.0, "idx": i64::MAX, "n": 1 },
        doc! { "ok": 1.0, "idx": 0, "n": "1" },
        doc! { "ok": 1.0, "idx": 0, "n": -1 },
        doc! { "ok": 1.0, "idx": 0, "n": 1, "nModified": 0.5 },
        doc! { "ok": 1.0, "idx": 0, "n": 1, "upserted": 1 },
        doc! { "ok": 1.0, "idx": 0, "n": 1, "upserted": {} },
    ] {
        let mut operation = bulk((0..2).map(update), false, Detail::Verbose);
        let outcome = step(
            &mut operation,
            &reply([0, 0, 1, 0, 0]),
            std::slice::from_ref(&result),
        );
        let told = matches!(&outcome, Err(error)
            if matches!(*error.kind, ErrorKind::InvalidResponse { .. }));
        assert!(told, "{result}: {outcome:?}");
    }
    for key in [
        "cursor",
        "nErrors",
        "nInserted",
        "nMatched",
        "nModified",
        "nUpserted",
        "nDeleted",
    ] {
        let mut operation = bulk([insert(0)], true, Detail::Summary);
        let mut reply = reply([0, 1, 0, 0, 0]);
        reply.insert(key, "x");
        assert!(
            operation.reply(&received(&reply), &target()).is_err(),
            "{key}"
        );
    }
}

#[test]
fn a_command_with_a_write_to_many_documents_is_not_retried() {
    let models = [insert(0), insert(1), insert(2), delete_all(), insert(4)];
    let mut operation = bulk(models, true, Detail::Summary);
    let mut retried = Vec::new();
    for _ in 0..3 {
        retried.push(operation.retryability() == Retryability::Write);
        step(&mut operation, &reply([0, 1, 0, 0, 0]), &[]).unwrap();
    }
    // Until a server has told its limits, a command may carry all that are left.
    assert_eq!(retried, [false, false, true]);
}

#[test]
fn a_second_attempt_sends_the_same_batch() {
    let mut operation = bulk((0..3).map(insert), true, Detail::Summary);
    written_for(&mut operation, &tight()).unwrap();
    let first = sent(&operation);
    written_for(&mut operation, &target()).unwrap();
    assert_eq!(sent(&operation), first);
}

#[test]
fn what_cannot_be_used_is_refused_before_anything_is_sent() {
    let update = UpdateOneModel::builder().namespace(in_c()).filter(doc! {});
    let update = update.update(doc! { "a": 1 }).build();
    let all = UpdateManyModel::builder().namespace(in_c()).filter(doc! {});
    let all = all.update(doc! {}).build();
    let replace = ReplaceOneModel::builder().namespace(in_c()).filter(doc! {});
    let replace = replace.replacement(doc! { "$set": {} }).build();
    for model in [WriteModel::from(update), all.into(), replace.into()] {
        let error = ops([insert(0)]).push(model).unwrap_err();
        assert!(error.to_string().contains("write at index 1"), "{error}");
    }
    assert!(ops([]).push(insert_in(in_c(), doc! { "a\0": 1 })).is_err());
    let nothing = ClientBulkWrite::new(
        ops([]),
        Default::default(),
        Detail::Summary,
        Scope::default(),
        1,
    );
    assert!(nothing.is_err());
    let older = Target {
        max_wire_version: WIRE_8_0 - 1,
        ..target()
    };
    let error = written_for(&mut bulk([insert(0)], true, Detail::Summary), &older).unwrap_err();
    assert!(matches!(*error.kind, ErrorKind::IncompatibleServer { .. }));
}

#[test]
fn without_acknowledgement_writes_are_unordered_and_told_by_nobody() {
    let error = unacknowledged(true, Detail::Summary).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("unacknowledged write concern and ordered writes")
    );
    let error = unacknowledged(false, Detail::Verbose).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("unacknowledged write concern and verbose results")
    );
    let mut operation = unacknowledged(false, Detail::Summary).unwrap();
    written_for(&mut operation, &tight()).unwrap();
    let none = operation.unacknowledged().unwrap();
    assert!(operation.begin(none).is_none());
    let Progress::Done(Ok(result)) = operation.finish() else {
        panic!("nothing can fail");
    };
    assert_eq!(result.summary, Default::default());
}

#[test]
fn a_document_that_nobody_would_report_as_too_large_is_refused_by_its_place() {
    let large = || doc! { "a": "x".repeat(500) };
    let replace = ReplaceOneModel::builder().namespace(in_c()).filter(doc! {});
    for model in [
        insert_in(in_c(), large()),
        replace.replacement(large()).build().into(),
    ] {
        let target = Target {
            max_bson_object_size: 500,
            ..target()
        };
        let mut operation = bulk([insert(0), model.clone()], false, Detail::Summary);
        written_for(&mut operation, &target).unwrap();
        let mut operation = unacknowledged(false, Detail::Summary).unwrap();
        operation.ops.push(model).unwrap();
        let error = written_for(&mut operation, &target).unwrap_err();
        assert!(error.to_string().contains("at index 1"), "{error}");
    }
}

#[test]
fn a_cursor_is_given_with_the_comment_for_its_further_commands() {
    let options = BulkWriteOptions::builder().comment(Bson::Int32(1)).build();
    let mut operation = ClientBulkWrite::new(
        ops([insert(0)]),
        options,
        Detail::Verbose,
        Scope::default(),
        1,
    )
    .unwrap();
    let mut reply = reply([0, 1, 0, 0, 0]);
    let cursor = doc! { "id": 5_i64, "ns": "admin.$cmd.bulkWrite", "firstBatch": [] };
    reply.insert("cursor", cursor);
    written_for(&mut operation, &tight()).unwrap();
    let done = operation.reply(&received(&reply), &tight()).unwrap();
    let (state, _) = operation.begin(done).unwrap();
    let remote = state.remote.expect("the cursor is open");
    assert_eq!(
        (remote.id(), remote.settings().comment.clone()),
        (5, Some(Bson::Int32(1)))
    );
}
