//! Replies that no real server sends: each a clear error, and exact counts afterwards.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use futures_util::StreamExt;
use motorcade::{
    Client, Collection, IndexModel,
    bson::{Bson, Document, doc, oid::ObjectId},
    error::{Error, ErrorKind, Result},
    options::CursorType,
};

use crate::{
    ledger::{Counts, Ledger},
    peer::{Answer, Peer, body, message},
    servers::{eventually, turn},
};

fn first_batch(id: i64, documents: Vec<Document>) -> Document {
    doc! { "ok": 1, "cursor": { "id": id, "ns": "d.c", "firstBatch": documents } }
}

fn next_batch(id: i64, documents: Vec<Document>) -> Document {
    doc! { "ok": 1, "cursor": { "id": id, "ns": "d.c", "nextBatch": documents } }
}

/// The document with each `from` in its bytes replaced by `to`.
fn forged(document: &Document, from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = document.to_vec().unwrap();
    let mut forged = 0;
    for at in 0..bytes.len() - from.len() {
        if bytes[at..].starts_with(from) {
            bytes[at..at + from.len()].copy_from_slice(to);
            forged += 1;
        }
    }
    assert!(forged > 0, "there is no {from:?}");
    bytes
}

fn is_invalid_response(error: &Error) -> bool {
    matches!(*error.kind, ErrorKind::InvalidResponse { .. })
}

fn is_bson(error: &Error) -> bool {
    matches!(*error.kind, ErrorKind::Bson(_))
}

async fn connect(peer: &Peer) -> (Collection<Document>, Ledger) {
    let mut options = peer.options().await;
    let ledger = Ledger::of(&mut options);
    let client = Client::with_options(options).unwrap();
    (client.database("d").collection("c"), ledger)
}

/// Finds all with a peer that answers the first find like this and the following ones well.
/// Gives what the first find led to, and the counts after the second.
async fn find_with(case: &str, answer: Answer) -> (Result<Vec<Document>>, Counts) {
    let finds = AtomicUsize::new(0);
    let peer = Peer::start(move |_, _| match finds.fetch_add(1, Ordering::Relaxed) {
        0 => answer.clone(),
        _ => first_batch(0, vec![doc! { "_id": 7 }]).into(),
    })
    .await;
    let (collection, ledger) = connect(&peer).await;
    let find = async || collection.find(doc! {}).await?.to_vec().await;
    let outcome = find().await;
    ledger.at_rest(case).await;
    let next = find()
        .await
        .unwrap_or_else(|error| panic!("{case}: {error}"));
    assert_eq!(next, [doc! { "_id": 7 }], "{case}");
    let counts = ledger.at_rest(case).await;
    collection.client().clone().shutdown().await;
    (outcome, counts)
}

#[tokio::test]
async fn a_reply_of_a_wrong_form_is_an_error_and_the_connection_goes_on() {
    let _turn = turn();
    let good = || first_batch(5, vec![doc! { "_id": 1 }]);
    let with = |key: &str, value: Bson| {
        let mut reply = good();
        reply.get_document_mut("cursor").unwrap().insert(key, value);
        reply
    };
    let without = |key: &str| {
        let mut reply = good();
        reply.get_document_mut("cursor").unwrap().remove(key);
        reply
    };
    let of_namespace =
        doc! { "ok": 1, "cursor": { "id": 5_i64, "ns": "d.\u{e9}", "firstBatch": [] } };
    for (case, answer) in [
        ("no cursor", doc! { "ok": 1 }.into()),
        ("cursor is a number", doc! { "ok": 1, "cursor": 5 }.into()),
        ("no id", without("id").into()),
        ("id is text", with("id", "5".into()).into()),
        ("no namespace", without("ns").into()),
        ("namespace is a number", with("ns", 1.into()).into()),
        ("namespace without a dot", with("ns", "d".into()).into()),
        ("no batch", without("firstBatch").into()),
        (
            "batch is a document",
            with("firstBatch", doc! {}.into()).into(),
        ),
        ("batch is null", with("firstBatch", Bson::Null).into()),
        (
            "batch of numbers",
            with("firstBatch", vec![1, 2].into()).into(),
        ),
        (
            "namespace is not UTF-8",
            Answer::Body(forged(&of_namespace, "\u{e9}".as_bytes(), &[0xff, 0xfe])),
        ),
        (
            "key of the cursor is not UTF-8",
            Answer::Body(forged(&good(), b"ns\0", &[0xff, 0xfe, 0])),
        ),
        (
            "document is longer than its batch",
            Answer::Body(forged(
                &good(),
                &14_i32.to_le_bytes(),
                &99_i32.to_le_bytes(),
            )),
        ),
        (
            "document has a negative length",
            Answer::Body(forged(
                &good(),
                &14_i32.to_le_bytes(),
                &(-1_i32).to_le_bytes(),
            )),
        ),
    ] {
        let (outcome, counts) = find_with(case, answer).await;
        let error = outcome.expect_err(case);
        assert!(is_invalid_response(&error), "{case}: {error:?}");
        assert_eq!((counts.created, counts.closed), (1, 0), "{case}");
    }
}

#[tokio::test]
async fn a_message_of_a_wrong_form_is_an_error_and_closes_its_connection() {
    let _turn = turn();
    let reply = body(&first_batch(0, vec![]));
    let good = message(0, &reply);
    let with_number = |at: usize, number: i32| {
        let mut bytes = good.clone();
        bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
        Answer::Bytes(bytes)
    };
    let half = good[..good.len() / 2].to_vec();
    for (case, answer) in [
        ("length of 2 GiB", with_number(0, i32::MAX)),
        ("negative length", with_number(0, -1)),
        ("length of nothing", with_number(0, 0)),
        ("length within the header", with_number(0, 15)),
        ("length within the body", with_number(0, 30)),
        ("answers another request", with_number(8, i32::MAX)),
        ("unknown kind of message", with_number(12, 1)),
        ("unknown required flag", with_number(16, 1 << 5)),
        ("body longer than the message", with_number(21, 1 << 20)),
        ("body with a negative length", with_number(21, -5)),
        ("no section", Answer::Bytes(message(0, &[]))),
        (
            "unknown section",
            Answer::Bytes(message(0, &[9, 5, 0, 0, 0, 0])),
        ),
        (
            "two bodies",
            Answer::Bytes(message(0, &[&*reply, &*reply].concat())),
        ),
        (
            "checksum but no room for it",
            Answer::Bytes(message(1, &[])),
        ),
        ("nothing", Answer::Last(Vec::new())),
        ("half a message", Answer::Last(half)),
    ] {
        let (outcome, counts) = find_with(case, answer).await;
        let error = outcome.expect_err(case);
        assert!(
            is_invalid_response(&error) || error.is_network(),
            "{case}: {error:?}"
        );
        assert_eq!((counts.created, counts.closed), (2, 1), "{case}");
    }
}

#[tokio::test]
async fn a_connection_on_which_more_follows_is_not_used_again() {
    let _turn = turn();
    let reply = body(&first_batch(0, vec![doc! { "_id": 1 }]));
    let more_to_come = 2;
    let mut followed = message(0, &reply);
    followed.extend(message(0, &reply));
    for (case, answer) in [
        ("announced", Answer::Bytes(message(more_to_come, &reply))),
        ("not announced", Answer::Bytes(followed)),
    ] {
        let (outcome, counts) = find_with(case, answer).await;
        assert_eq!(outcome.expect(case), [doc! { "_id": 1 }], "{case}");
        assert_eq!((counts.created, counts.closed), (2, 1), "{case}");
    }
}

/// A cursor whose first batch is good and whose getMore is answered like this; gives what came of
/// it once that many commands arrived, and the commands.
async fn go_on_with(
    case: &str,
    answer: Answer,
    count: usize,
) -> (Vec<Result<Document>>, Vec<Document>) {
    let peer = Peer::start(move |name, _| match name {
        "find" => first_batch(-5, vec![doc! { "_id": 1 }]).into(),
        _ => answer.clone(),
    })
    .await;
    let (collection, ledger) = connect(&peer).await;
    let cursor = collection.find(doc! {}).batch_size(1).await.unwrap();
    let found: Vec<_> = cursor.collect().await;
    let arrived = || peer.commands().len();
    eventually(case, Duration::from_secs(10), arrived, |it| *it >= count).await;
    ledger.at_rest(case).await;
    let commands = peer.commands();
    collection.client().clone().shutdown().await;
    (found, commands)
}

#[tokio::test]
async fn a_cursor_ends_with_a_wrong_reply_and_is_closed() {
    let _turn = turn();
    for (case, answer) in [
        ("no cursor", doc! { "ok": 1 }.into()),
        (
            "first batch's error",
            doc! { "ok": 1, "cursor": { "id": 5_i64 } }.into(),
        ),
        (
            "refusal of a wrong form",
            doc! { "ok": 0, "code": "x", "errmsg": 5 }.into(),
        ),
        (
            "neither yes nor no",
            doc! { "ok": "yes", "cursor": 1 }.into(),
        ),
    ] {
        let (found, commands) = go_on_with(case, answer, 3).await;
        assert_eq!(*found[0].as_ref().expect(case), doc! { "_id": 1 });
        assert_eq!(found.len(), 2, "{case}: {found:?}");
        let error = found[1].as_ref().expect_err(case);
        let is_refusal = matches!(*error.kind, ErrorKind::Command(_));
        assert!(
            is_refusal || is_invalid_response(error),
            "{case}: {error:?}"
        );
        let names: Vec<_> = commands.iter().filter_map(|it| it.keys().next()).collect();
        assert_eq!(names, ["find", "getMore", "killCursors"], "{case}");
        // Any number but 0 names a cursor.
        assert_eq!(commands[1].get_i64("getMore").unwrap(), -5, "{case}");
        assert_eq!(
            commands[2].get_array("cursors").unwrap(),
            &[Bson::Int64(-5)],
            "{case}"
        );
    }
}

#[tokio::test]
async fn an_unasked_batch_that_answers_another_request_is_refused() {
    let _turn = turn();
    let more_to_come = 2;
    let batch = |id| body(&next_batch(5, vec![doc! { "_id": id }]));
    let mut batches = message(more_to_come, &batch(2));
    // A peer fills in the first header only.
    batches.extend(message(0, &batch(3)));
    let peer = Peer::start(move |name, _| match name {
        "find" => first_batch(5, vec![doc! { "_id": 1 }]).into(),
        _ => Answer::Bytes(batches.clone()),
    })
    .await;
    let (collection, ledger) = connect(&peer).await;
    let find = collection.find(doc! {}).cursor_type(CursorType::Exhaust);
    let found: Vec<_> = find.await.unwrap().collect().await;
    assert_eq!(found.len(), 3, "{found:?}");
    assert_eq!(*found[1].as_ref().unwrap(), doc! { "_id": 2 });
    let error = found[2].as_ref().unwrap_err();
    assert!(is_invalid_response(error), "{error:?}");
    collection.client().clone().shutdown().await;
    let counts = ledger.at_rest("after the shutdown").await;
    assert_eq!(counts.created, counts.closed);
}

#[tokio::test]
async fn a_document_of_a_wrong_form_is_an_error_and_the_cursor_goes_on() {
    let _turn = turn();
    let documents = vec![
        doc! { "_id": 2, "name": "\u{e9}" },
        doc! { "_id": 3, "\u{e9}": 1 },
        doc! { "_id": 4, "name": "Ada" },
        doc! { "_id": 5 },
    ];
    let reply = next_batch(0, documents);
    let answer = Answer::Body(forged(&reply, "\u{e9}".as_bytes(), &[0xff, 0xfe]));
    let (found, _) = go_on_with("not UTF-8", answer, 2).await;
    let ids: Vec<_> = found
        .iter()
        .map(|it| it.as_ref().map(|it| it.get_i32("_id").unwrap()))
        .map(|id| id.map_err(is_bson))
        .collect();
    assert_eq!(ids, [Ok(1), Err(true), Err(true), Ok(4), Ok(5)]);
}

/// One of each kind of operation; what comes of it does not matter.
async fn everything(collection: &Collection<Document>) -> Vec<Result<()>> {
    let database = collection.client().database("d");
    let index = IndexModel::builder().keys(doc! { "a": 1 }).build();
    let set = doc! { "$set": { "a": 1 } };
    let one = || doc! { "_id": 1 };
    let client = collection.client();
    vec![
        collection.insert_one(one()).await.map(drop),
        collection.insert_many([one(), doc! {}]).await.map(drop),
        collection.update_one(one(), set.clone()).await.map(drop),
        collection
            .replace_one(one(), doc! {})
            .upsert(true)
            .await
            .map(drop),
        collection.delete_many(one()).await.map(drop),
        collection.find_one(one()).await.map(drop),
        collection.find_one_and_update(one(), set).await.map(drop),
        async { collection.find(one()).await?.to_vec().await.map(drop) }.await,
        async { collection.aggregate([]).await?.to_vec().await.map(drop) }.await,
        collection.count_documents(doc! {}).await.map(drop),
        collection.estimated_document_count().await.map(drop),
        collection.distinct("a", doc! {}).await.map(drop),
        collection.create_index(index).await.map(drop),
        collection.list_index_names().await.map(drop),
        collection.drop_indexes().await,
        collection.drop().await,
        database.list_collection_names().await.map(drop),
        database.create_collection("x").await,
        database.run_command(doc! { "ping": 1 }).await.map(drop),
        database.drop().await,
        client.list_databases().await.map(drop),
        client.list_database_names().await.map(drop),
    ]
}

#[tokio::test]
async fn no_operation_panics_whatever_the_reply_holds() {
    let _turn = turn();
    let values = [
        Bson::Null,
        Bson::Boolean(true),
        Bson::Double(f64::NAN),
        Bson::Int32(-1),
        Bson::Int64(i64::MIN),
        Bson::Int64(i64::MAX),
        Bson::String("x".into()),
        Bson::ObjectId(ObjectId::from_bytes([0; 12])),
        Bson::Array(vec![]),
        Bson::Array(vec![Bson::Int32(1), Bson::Null]),
        Bson::Array(vec![doc! {}.into()]),
        Bson::Array(vec![
            doc! { "index": -1, "code": "x", "_id": 1, "name": 5 }.into(),
        ]),
        Bson::Document(doc! {}),
        Bson::Document(doc! { "id": 0_i64, "ns": "d.c", "firstBatch": [{ "n": "x" }] }),
        Bson::Document(doc! { "updatedExisting": 1, "upserted": [], "n": -1 }),
        Bson::MinKey,
    ];
    let fields = [
        "n",
        "nModified",
        "upserted",
        "writeErrors",
        "writeConcernError",
        "cursor",
        "value",
        "values",
        "lastErrorObject",
        "databases",
        "totalSize",
        "code",
        "errmsg",
        "errorLabels",
        "$clusterTime",
        "operationTime",
        "topologyVersion",
        "recoveryToken",
    ];
    for (number, value) in values.iter().enumerate() {
        let mut reply: Document = fields
            .iter()
            .map(|it| ((*it).to_owned(), value.clone()))
            .collect();
        for ok in [Bson::Int32(1), Bson::Int32(0), value.clone()] {
            let case = format!("value {number} of {value:?}, ok: {ok:?}");
            reply.insert("ok", ok);
            let answer = reply.clone();
            let peer = Peer::start(move |_, _| answer.clone().into()).await;
            let (collection, ledger) = connect(&peer).await;
            let outcomes = everything(&collection).await;
            assert!(outcomes.iter().any(Result::is_err), "{case}: all went well");
            ledger.at_rest(&case).await;
            collection.client().clone().shutdown().await;
            let counts = ledger.at_rest(&case).await;
            assert_eq!(counts.created, counts.closed, "{case}");
        }
    }
}
