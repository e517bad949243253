//! Batches: whole, ahead of time, without being asked for, and one at a time.

use conformance_tests::behaviour::Deployment;

use super::recorder::Event;
use super::servers::{FailPoint, open_cursors, wait_until, writable};
use super::support::Observed;
use crate::flavor::driver::bson::{Document, RawDocumentBuf, doc};
use crate::flavor::driver::error::{ErrorKind, Result};
use crate::flavor::driver::options::{CursorType, FindOptions};
use crate::flavor::driver::raw_batch_cursor::RawBatch;
use crate::flavor::{collect, go, next, wait};

conformance_tests::behaviours! {
    R90 no_way_to_fetch_changes_what_is_found: Either, Shared;
    R97 documents_of_a_wrong_type_stay_to_be_read: Either, Shared;
    R101 raw_batches_are_the_replies_of_the_server: Either, Shared;
    R101 every_command_with_a_cursor_gives_raw_batches: Either, Shared;
    F101 raw_batches_are_asked_for_again_like_other_reads: Either, FailPoint;
    R94 the_next_batch_is_on_its_way_while_the_first_is_walked: Either, Shared;
    R94 no_batch_is_fetched_ahead_beyond_the_limit: Either, Shared;
    F94 a_cursor_with_a_batch_on_its_way_is_killed_once: Either, FailPoint;
    F95 an_error_ahead_is_told_where_it_happened: Either, FailPoint;
    R99 an_exhaust_cursor_returns_its_connection_at_the_end: Either, Shared;
    R99 an_exhaust_cursor_that_is_left_early_costs_its_connection: Either, Shared;
    F99 an_exhaust_cursor_returns_its_connection_after_an_error: Either, FailPoint;
    R99 an_exhaust_cursor_with_a_limit_is_refused: Either, Shared;
    R100 one_step_of_a_tailable_cursor_asks_once: Either, Shared;
}

fn ids(documents: &[Document]) -> Vec<i32> {
    let ids = documents.iter().map(|it| it.get_i32("_id"));
    ids.collect::<Result<_, _>>()
        .expect("every _id is a number")
}

fn ids_of(batch: &RawBatch) -> Vec<i32> {
    let documents = batch.documents();
    let ids = documents.map(|it| Ok(it?.get_i32("_id")?));
    ids.collect::<Result<_>>().expect("every _id is a number")
}

fn no_way_to_fetch_changes_what_is_found(deployment: &Deployment) {
    #[derive(serde::Deserialize)]
    struct Named<'a> {
        name: &'a str,
    }

    let subject = Observed::new(deployment, "");
    let people = subject.people();
    let named = (0..30).map(|id| doc! { "_id": id, "name": "Ada" });
    go!(people.insert_many(named)).expect("inserts");
    for kind in [CursorType::NonTailable, CursorType::Exhaust] {
        for prefetch in [false, true] {
            for batch_size in [None, Some(1), Some(7), Some(30)] {
                let case = format!("{kind:?}, prefetch {prefetch}, batch size {batch_size:?}");
                let options = FindOptions::builder()
                    .cursor_type(kind)
                    .prefetch(prefetch)
                    .batch_size(batch_size)
                    .build();
                let find = || people.find(doc! {}).with_options(options.clone());
                let found: Vec<Document> = collect!(go!(find()).expect("finds")).expect(&case);
                assert_eq!(ids(&found), (0..30).collect::<Vec<_>>(), "{case}");
                let batches: Vec<RawBatch> =
                    collect!(go!(find().batch()).expect("finds")).expect(&case);
                let whole: Vec<_> = batches.iter().flat_map(ids_of).collect();
                assert_eq!(whole, ids(&found), "{case}");
                let mut cursor = go!(find()).expect("finds").with_type::<Named<'_>>();
                while wait!(cursor.advance()).expect(&case) {
                    let borrowed: Named<'_> = cursor.deserialize_current().expect(&case);
                    assert_eq!(borrowed.name, "Ada", "{case}");
                }
                let mut cursor = go!(find()).expect("finds");
                let first = wait!(cursor.next_many(11)).expect(&case);
                let rest = wait!(cursor.to_vec()).expect(&case);
                assert_eq!((first.len(), rest.len()), (11, 19), "{case}");
                assert!(cursor.is_exhausted(), "{case}");
            }
        }
    }
    assert_eq!(subject.events.commands_named("killCursors").len(), 0);
    assert_eq!(open_cursors(deployment), 0);
}

fn documents_of_a_wrong_type_stay_to_be_read(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let people = subject.people();
    go!(people.insert_many([doc! { "_id": 0 }, doc! { "_id": "x" }, doc! { "_id": 2 }]))
        .expect("inserts");
    #[derive(serde::Deserialize)]
    struct Numbered {
        _id: i32,
    }
    let find = people.clone_with_type::<Numbered>();
    let mut cursor = go!(find.find(doc! {}).batch_size(2)).expect("finds");
    for _ in 0..2 {
        let error = wait!(cursor.to_vec()).err().expect("one is no number");
        assert!(matches!(*error.kind, ErrorKind::Bson(_)), "{error}");
    }
    assert!(wait!(cursor.advance()).expect("steps"));
    assert!(wait!(cursor.advance()).expect("steps over the wrong one"));
    assert_eq!(wait!(cursor.to_vec()).expect("is a number").len(), 1);
}

fn raw_batches_are_the_replies_of_the_server(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(5);
    let mut cursor = go!(subject.people().find(doc! {}).batch_size(2).batch()).expect("finds");
    assert_eq!(subject.events.command_names(), "insert, find");
    for wanted in [vec![0, 1], vec![2, 3], vec![4]] {
        assert!(!cursor.is_exhausted());
        let batch: RawBatch = next!(cursor).expect("there is more").expect("goes on");
        assert_eq!(ids_of(&batch), wanted);
        let elements = batch.doc_slices().expect("has a batch").into_iter();
        assert_eq!(elements.count(), wanted.len());
        let reply = batch.as_raw_document();
        assert!(reply.get_document("cursor").is_ok() && reply.get_f64("ok").is_ok());
    }
    assert!(next!(cursor).is_none());
    assert!(cursor.is_exhausted());
    let mut cursor = go!(subject.people().find(doc! {}).batch_size(2).batch()).expect("finds");
    assert!(next!(cursor).is_some());
    wait!(cursor.close()).expect("closes");
    assert!(next!(cursor).is_none());
    assert_eq!(open_cursors(deployment), 0);
    deployment.observe(subject.events.command_names());
}

fn every_command_with_a_cursor_gives_raw_batches(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(3);
    let (people, database) = (subject.people(), subject.database());
    let pipeline = [doc! { "$match": { "_id": { "$gt": 0 } } }];
    let command = doc! { "find": "people", "batchSize": 2 };
    let cursors = [
        go!(people.aggregate(pipeline).batch_size(1).batch()),
        go!(people.list_indexes().batch()),
        go!(database.list_collections().batch()),
        go!(database.run_cursor_command(command).batch()),
    ];
    let counts = cursors.map(|cursor| {
        let batches: Vec<RawBatch> = collect!(cursor.expect("opens")).expect("goes on");
        let documents = batches.iter().map(|batch| batch.documents().count());
        (batches.len() > 1, documents.sum::<usize>())
    });
    assert_eq!(counts, [(true, 2), (false, 1), (false, 1), (true, 3)]);
}

fn raw_batches_are_asked_for_again_like_other_reads(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(3);
    let data = doc! { "failCommands": ["find"], "closeConnection": true };
    let _failing = FailPoint::times(deployment, 1, data);
    let cursor = go!(subject.people().find(doc! {}).batch()).expect("finds in the end");
    let batches: Vec<RawBatch> = collect!(cursor).expect("is there already");
    assert_eq!(ids_of(&batches[0]), [0, 1, 2]);
    assert_eq!(subject.events.command_names(), "insert, find, find");
}

fn the_next_batch_is_on_its_way_while_the_first_is_walked(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(6);
    let people = subject.people();
    let find = people.find(doc! {}).batch_size(2).prefetch(true);
    let mut cursor = go!(find).expect("finds");
    let told = |event: &Event| event.is_success_of("getMore");
    assert!(wait!(cursor.advance()).expect("is there already"));
    subject.events.wait_for_count("a batch ahead", 1, told);
    assert_eq!(cursor.current().get_i32("_id").expect("is a number"), 0);
    assert!(wait!(cursor.advance()).expect("is there already"));
    assert_eq!(subject.events.count(told), 1, "one ahead, and no more");
    assert!(wait!(cursor.advance()).expect("is there already"));
    subject
        .events
        .wait_for_count("another batch ahead", 2, told);
    let rest: Vec<Document> = collect!(cursor).expect("goes on");
    assert_eq!(ids(&rest), [3, 4, 5]);
    assert_eq!(open_cursors(deployment), 0);
}

fn no_batch_is_fetched_ahead_beyond_the_limit(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(10);
    let people = subject.people();
    let find = people.find(doc! {}).batch_size(2).limit(4);
    let found: Vec<Document> = collect!(go!(find.prefetch(true)).expect("finds")).expect("goes on");
    assert_eq!(ids(&found), [0, 1, 2, 3]);
    subject.ping().expect("pings");
    assert_eq!(
        subject.events.command_names(),
        "insert, find, getMore, ping"
    );
    let more = subject.events.commands_named("getMore").remove(0).command;
    assert_eq!(more.get_i32("batchSize").expect("has a size"), 2);
    assert_eq!(open_cursors(deployment), 0);
}

fn a_cursor_with_a_batch_on_its_way_is_killed_once(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(10);
    let data = doc! {
        "failCommands": ["getMore"], "blockConnection": true, "blockTimeMS": 1_000,
    };
    let _slow = FailPoint::always(deployment, writable(deployment), data);
    let people = subject.people();
    let find = people.find(doc! {}).batch_size(2).prefetch(true);
    let mut cursor = go!(find).expect("finds");
    assert!(wait!(cursor.advance()).expect("is there already"));
    let asked = |event: &Event| {
        event
            .started()
            .is_some_and(|it| it.command_name == "getMore")
    };
    subject.events.wait_for_count("getMore", 1, asked);
    drop(cursor);
    let killed = |event: &Event| event.is_success_of("killCursors");
    subject.events.wait_for_count("killCursors", 1, killed);
    wait_until("end of the cursor", || {
        (open_cursors(deployment) == 0).then_some(())
    });
    let all_returned = |events: &[Event]| {
        let out = events
            .iter()
            .filter(|it| it.checked_out().is_some())
            .count();
        let back = events.iter().filter(|it| it.is_checked_in()).count();
        (out == back).then_some(())
    };
    subject
        .events
        .wait_for("return of all connections", all_returned);
    assert_eq!(subject.events.count(Event::is_connection_closed), 0);
    assert_eq!(subject.events.commands_named("killCursors").len(), 1);
}

fn an_error_ahead_is_told_where_it_happened(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(10);
    let data = doc! { "failCommands": ["getMore"], "errorCode": 50 };
    let _failing = FailPoint::times(deployment, 1, data);
    let people = subject.people();
    let find = people.find(doc! {}).batch_size(3).prefetch(true);
    let mut cursor = go!(find).expect("finds");
    for id in 0..3 {
        assert!(wait!(cursor.advance()).expect("is there already"));
        assert_eq!(cursor.current().get_i32("_id").expect("is a number"), id);
    }
    let error = wait!(cursor.advance()).expect_err("the batch ahead failed");
    assert_eq!(error.code(), Some(50), "{error}");
    assert!(!wait!(cursor.advance()).expect("is at its end"));
    let killed = |event: &Event| event.is_success_of("killCursors");
    subject.events.wait_for_count("killCursors", 1, killed);
    assert_eq!(open_cursors(deployment), 0);
}

/// Finds with an exhaust cursor, two documents a batch.
fn exhaust(subject: &Observed) -> crate::flavor::driver::Cursor<Document> {
    let people = subject.people();
    let find = people.find(doc! {}).batch_size(2);
    go!(find.cursor_type(CursorType::Exhaust)).expect("finds")
}

fn an_exhaust_cursor_returns_its_connection_at_the_end(deployment: &Deployment) {
    let subject = Observed::new(deployment, "maxPoolSize=1").with_people(9);
    let mut cursor = exhaust(&subject);
    assert!(wait!(cursor.advance()).expect("is there already"));
    subject
        .ping()
        .expect("has the only connection before the second batch");
    let rest: Vec<Document> = collect!(cursor).expect("goes on");
    assert_eq!(ids(&rest), (1..9).collect::<Vec<_>>());
    subject.ping().expect("has the only connection");
    // One connection was in use from the second batch to the last: insert, find, ping, all
    // further batches, ping.
    assert_eq!(subject.events.checked_out().len(), 5);
    assert_eq!(subject.events.count(Event::is_connection_created), 1);
    assert_eq!(subject.events.commands_named("getMore").len(), 4);
    assert_eq!(open_cursors(deployment), 0);
    let database = subject.database();
    let find = database.run_cursor_command(doc! { "find": "people", "batchSize": 2 });
    let find = find.cursor_type(CursorType::Exhaust).batch_size(2);
    let found: Vec<Document> = collect!(go!(find).expect("finds")).expect("goes on");
    assert_eq!(found.len(), 9);
    assert_eq!(subject.events.checked_out().len(), 7);
    deployment.observe(subject.events.command_names());
}

fn an_exhaust_cursor_that_is_left_early_costs_its_connection(deployment: &Deployment) {
    let subject = Observed::new(deployment, "maxPoolSize=1").with_people(100);
    let mut cursor = exhaust(&subject);
    let found = wait!(cursor.next_many(4)).expect("goes on");
    assert_eq!(ids(&found), [0, 1, 2, 3]);
    assert_eq!(subject.events.count(Event::is_connection_closed), 0);
    wait!(cursor.close()).expect("closes");
    assert_eq!(subject.events.count(Event::is_connection_closed), 1);
    assert_eq!(subject.events.commands_named("killCursors").len(), 1);
    assert_eq!(open_cursors(deployment), 0);
    let mut cursor = exhaust(&subject);
    wait!(cursor.next_many(4)).expect("goes on");
    drop(cursor);
    subject.ping().expect("has another connection");
    assert_eq!(subject.events.count(Event::is_connection_closed), 2);
    let killed = |event: &Event| event.is_success_of("killCursors");
    subject.events.wait_for_count("killCursors", 2, killed);
    assert_eq!(subject.open_connections(), 1);
}

fn an_exhaust_cursor_returns_its_connection_after_an_error(deployment: &Deployment) {
    Observed::new(deployment, "").with_people(20);
    for skipped in [0, 2] {
        let subject = Observed::new(deployment, "maxPoolSize=1");
        let data = doc! { "failCommands": ["getMore"], "errorCode": 2 };
        let mode = doc! { "skip": skipped };
        let _failing = FailPoint::on(deployment, writable(deployment), mode, data);
        let mut cursor = exhaust(&subject);
        let error = wait!(cursor.to_vec()).expect_err("a batch fails");
        assert_eq!(error.code(), Some(2), "{error}");
        let came = wait!(cursor.to_vec()).expect("what came before the error");
        assert_eq!(came.len(), 2 * (1 + skipped as usize));
        let killed = |event: &Event| event.is_success_of("killCursors");
        subject.events.wait_for_count("killCursors", 1, killed);
        subject.ping().expect("has the only connection");
        // For find, for all further batches, killCursors and ping.
        assert_eq!(subject.events.checked_out().len(), 4);
        assert_eq!(subject.events.count(Event::is_connection_created), 1);
        assert_eq!(subject.events.commands_named("killCursors").len(), 1);
        assert_eq!(open_cursors(deployment), 0);
    }
}

fn an_exhaust_cursor_with_a_limit_is_refused(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(1);
    let people = subject.people();
    let find = people.find(doc! {}).limit(5);
    let error = go!(find.cursor_type(CursorType::Exhaust)).expect_err("is refused");
    assert!(
        matches!(*error.kind, ErrorKind::InvalidArgument { .. }),
        "{error}"
    );
    subject.ping().expect("the connection is whole");
    assert_eq!(subject.events.command_names(), "insert, ping");
    assert_eq!(subject.open_connections(), 1);
}

fn one_step_of_a_tailable_cursor_asks_once(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let database = subject.database();
    let create = database.create_collection("log").capped(true);
    go!(create.size(4096_u64)).expect("creates");
    let log = database.collection::<RawDocumentBuf>("log");
    let line = |id: i32| RawDocumentBuf::try_from(&doc! { "_id": id }).expect("is a document");
    go!(log.insert_many([line(0), line(1)])).expect("inserts");
    let find = log.find(doc! {}).cursor_type(CursorType::Tailable);
    let mut cursor = go!(find).expect("finds");
    let asked = || subject.events.commands_named("getMore").len();
    for _ in 0..2 {
        assert!(wait!(cursor.try_advance()).expect("is there already"));
    }
    assert_eq!(asked(), 0);
    for times in 1..=2 {
        assert!(!wait!(cursor.try_advance()).expect("asks"));
        assert!(!cursor.is_exhausted());
        assert_eq!(asked(), times);
    }
    go!(log.insert_one(line(2))).expect("inserts");
    assert!(wait!(cursor.try_advance()).expect("asks"));
    let current: RawDocumentBuf = cursor.deserialize_current().expect("is a document");
    assert_eq!(current, line(2));
    assert_eq!(asked(), 3);
    wait!(cursor.close()).expect("closes");
    assert!(cursor.is_exhausted());
    assert!(!wait!(cursor.try_advance()).expect("is at its end"));
}
