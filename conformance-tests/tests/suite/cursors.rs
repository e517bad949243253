//! Cursors: how much they fetch, and that they leave nothing open on the server.

use std::time::Duration;

use conformance_tests::behaviour::Deployment;

use super::recorder::Event;
use super::servers::{FailPoint, current_operations, open_cursors, wait_until, writable};
use super::support::Observed;
use crate::flavor::driver::Collection;
use crate::flavor::driver::bson::{Document, doc};
use crate::flavor::driver::options::{CursorTimeoutMode, CursorType};
use crate::flavor::{collect, go, next, wait};

conformance_tests::behaviours! {
    R90 every_limit_and_batch_size_gives_the_exact_count: Either, Shared;
    R91 a_negative_limit_is_a_single_closed_batch: Either, Shared;
    R91 the_first_batch_has_101_documents_by_default: Either, Shared;
    R93 closing_kills_the_cursor_once_before_it_returns: Either, Shared;
    R94 dropping_a_live_cursor_kills_it_once: Either, Shared;
    M4 dropped_cursors_leave_none_open_on_the_server: Either, Shared;
    F95 a_time_limit_error_in_get_more_kills_the_cursor: Either, FailPoint;
    F95 nothing_is_sent_for_a_cursor_whose_connection_broke: Either, FailPoint;
    R95 a_cursor_that_the_server_lost_is_not_killed: Either, Shared;
    R96 a_cursor_is_done_once_the_last_document_is_delivered: Either, Shared;
    R97 three_of_five_documents_and_then_the_other_two: Either, Shared;
    F98 the_batches_of_one_call_share_its_timeout: Either, FailPoint, since (4, 4);
    R100 the_wait_of_an_awaiting_cursor_is_sent_with_get_more: Either, Shared;
    R100 other_cursors_send_no_wait: Either, Shared;
}

fn every_limit_and_batch_size_gives_the_exact_count(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(150);
    let people = subject.people();
    for limit in [0_usize, 1, 2, 5, 100, 500] {
        for batch_size in [None, Some(1), Some(10)] {
            let limited = i64::try_from(limit).expect("is small");
            let mut find = people.find(doc! {}).limit(limited);
            if let Some(batch_size) = batch_size {
                find = find.batch_size(batch_size);
            }
            let found: Vec<Document> = collect!(go!(find).expect("finds")).expect("goes on");
            let expected = if limit == 0 { 150 } else { limit.min(150) };
            assert_eq!(
                found.len(),
                expected,
                "limit {limit}, batch size {batch_size:?}"
            );
        }
    }
    assert_eq!(subject.events.commands_named("killCursors").len(), 0);
    assert_eq!(open_cursors(deployment), 0);
}

fn a_negative_limit_is_a_single_closed_batch(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(10);
    let people = subject.people();
    let cursor = go!(people.find(doc! {}).limit(-3)).expect("finds");
    assert_eq!(open_cursors(deployment), 0);
    let found: Vec<Document> = collect!(cursor).expect("is there already");
    assert_eq!(found.len(), 3);
    let find = subject.events.commands_named("find").remove(0);
    assert!(find.command.get_bool("singleBatch").expect("is a flag"));
    assert_eq!(subject.events.command_names(), "insert, find");
}

fn the_first_batch_has_101_documents_by_default(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(110);
    let people = subject.people();
    let mut cursor = go!(people.find(doc! {})).expect("finds");
    for _ in 0..101 {
        assert!(wait!(cursor.advance()).expect("is there already"));
    }
    assert_eq!(subject.events.commands_named("getMore").len(), 0);
    assert!(wait!(cursor.advance()).expect("goes on"));
    assert_eq!(subject.events.commands_named("getMore").len(), 1);
}

fn closing_kills_the_cursor_once_before_it_returns(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(10);
    let mut cursor = go!(subject.people().find(doc! {}).batch_size(2)).expect("finds");
    assert_eq!(open_cursors(deployment), 1);
    wait!(cursor.close()).expect("closes");
    assert_eq!(
        subject
            .events
            .count(|event| event.is_success_of("killCursors")),
        1
    );
    assert_eq!(open_cursors(deployment), 0);
    wait!(cursor.close()).expect("has nothing to do");
    drop(cursor);
    subject.ping().expect("pings");
    assert_eq!(
        subject.events.command_names(),
        "insert, find, killCursors, ping"
    );
    deployment.observe(subject.events.command_names());
}

fn dropping_a_live_cursor_kills_it_once(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(10);
    let cursor = go!(subject.people().find(doc! {}).batch_size(2)).expect("finds");
    drop(cursor);
    subject
        .events
        .wait_for_count("killCursors", 1, |event| event.is_success_of("killCursors"));
    assert_eq!(open_cursors(deployment), 0);
    assert_eq!(subject.events.commands_named("killCursors").len(), 1);
    deployment.observe(subject.events.command_names());
}

fn dropped_cursors_leave_none_open_on_the_server(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(30);
    let people = subject.people();
    let open: Vec<_> = (0..20)
        .map(|_| go!(people.find(doc! {}).batch_size(5)).expect("finds"))
        .collect();
    assert_eq!(open_cursors(deployment), 20);
    drop(open);
    wait_until("end of the cursors", || {
        (open_cursors(deployment) == 0).then_some(())
    });
}

fn a_time_limit_error_in_get_more_kills_the_cursor(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(10);
    let mut cursor = go!(subject.people().find(doc! {}).batch_size(2)).expect("finds");
    let data = doc! { "failCommands": ["getMore"], "errorCode": 50 };
    let _failing = FailPoint::times(deployment, 1, data);
    let error = loop {
        match wait!(cursor.advance()) {
            Ok(more) => assert!(more, "the third document needs a getMore"),
            Err(error) => break error,
        }
    };
    assert!(error.is_timeout(), "{error:?}");
    assert_eq!(error.code(), Some(50));
    let killed = |event: &Event| event.is_success_of("killCursors");
    subject.events.wait_for_count("killCursors", 1, killed);
    assert_eq!(open_cursors(deployment), 0);
    drop(cursor);
    subject.ping().expect("pings");
    assert_eq!(
        subject.events.command_names(),
        "insert, find, getMore, killCursors, ping"
    );
}

fn a_cursor_is_done_once_the_last_document_is_delivered(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(5);
    let mut cursor = go!(subject.people().find(doc! {}).batch_size(3)).expect("finds");
    for id in 0..5 {
        let document: Document = next!(cursor).expect("has more").expect("goes on");
        assert_eq!(document, doc! { "_id": id });
    }
    // The server has said so with the last batch: there is nothing to ask for and nothing to kill.
    assert_eq!(open_cursors(deployment), 0);
    assert!(next!(cursor).is_none());
    drop(cursor);
    subject.ping().expect("pings");
    assert_eq!(
        subject.events.command_names(),
        "insert, find, getMore, ping"
    );
}

fn three_of_five_documents_and_then_the_other_two(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(5);
    let mut cursor = go!(subject.people().find(doc! {}).batch_size(2)).expect("finds");
    let three = wait!(cursor.next_many(3)).expect("goes on");
    assert_eq!(three, [0, 1, 2].map(|id| doc! { "_id": id }));
    assert_eq!(subject.events.command_names(), "insert, find, getMore");
    let two = wait!(cursor.to_vec()).expect("goes on");
    assert_eq!(two, [3, 4].map(|id| doc! { "_id": id }));
    assert!(wait!(cursor.to_vec()).expect("is at its end").is_empty());
    deployment.observe(subject.events.command_names());
}

fn the_batches_of_one_call_share_its_timeout(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(5);
    let people = subject.people();
    let find = people.find(doc! {}).batch_size(1);
    let find = find.timeout(Duration::from_millis(1000));
    let mut cursor = go!(find.timeout_mode(CursorTimeoutMode::Iteration)).expect("finds");
    // Each one is in time by itself.
    let slow = doc! { "failCommands": ["getMore"], "blockConnection": true, "blockTimeMS": 400 };
    let _failing = FailPoint::always(deployment, writable(deployment), slow);
    let error = wait!(cursor.to_vec()).expect_err("takes too long");
    assert!(error.is_timeout(), "{error:?}");
}

fn a_cursor_that_the_server_lost_is_not_killed(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(5);
    let mut cursor = go!(subject.people().find(doc! {}).batch_size(2)).expect("finds");
    let namespace = format!("{}.people", deployment.database_name());
    let filter = doc! { "type": "idleCursor", "ns": namespace };
    let idle = current_operations(&deployment.servers().member(writable(deployment)), &filter);
    let id = idle[0]
        .get_document("cursor")
        .and_then(|cursor| cursor.get_i64("cursorId"))
        .expect("has a number");
    let kill = doc! { "killCursors": "people", "cursors": [id] };
    go!(subject.database().run_command(kill)).expect("kills");
    subject.events.forget();
    let error = wait!(cursor.to_vec()).expect_err("the server has no such cursor");
    assert_eq!(error.code(), Some(43), "{error}");
    assert_eq!(wait!(cursor.to_vec()).expect("what came").len(), 2);
    wait!(cursor.close()).expect("has nothing to do");
    assert_eq!(subject.events.command_names(), "getMore");
}

fn nothing_is_sent_for_a_cursor_whose_connection_broke(deployment: &Deployment) {
    let subject = Observed::new(deployment, "").with_people(5);
    let mut cursor = go!(subject.people().find(doc! {}).batch_size(2)).expect("finds");
    let data = doc! { "failCommands": ["getMore"], "closeConnection": true };
    let _failing = FailPoint::times(deployment, 1, data);
    let error = wait!(cursor.to_vec()).expect_err("the connection breaks");
    assert!(error.is_network(), "{error}");
    wait!(cursor.close()).expect("has nothing to do");
    drop(cursor);
    subject.ping().expect("pings again");
    assert_eq!(
        subject.events.command_names(),
        "insert, find, getMore, ping"
    );
}

/// A capped collection with three documents.
fn capped(subject: &Observed) -> Collection<Document> {
    let database = subject.database();
    go!(database
        .create_collection("capped")
        .capped(true)
        .size(4096_u64))
    .expect("creates");
    let capped = database.collection("capped");
    go!(capped.insert_many((0..3).map(|id| doc! { "_id": id }))).expect("inserts");
    capped
}

fn the_wait_of_an_awaiting_cursor_is_sent_with_get_more(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let capped = capped(&subject);
    let find = capped
        .find(doc! {})
        .batch_size(2)
        .cursor_type(CursorType::TailableAwait)
        .max_await_time(Duration::from_millis(150));
    let mut cursor = go!(find).expect("finds");
    for _ in 0..3 {
        assert!(next!(cursor).expect("has more").is_ok());
    }
    let find = subject.events.commands_named("find").remove(0).command;
    assert!(find.get_bool("awaitData").expect("is a flag"));
    assert!(!find.contains_key("maxTimeMS"), "{find}");
    let more = subject.events.commands_named("getMore").remove(0).command;
    let wait = more
        .get("maxTimeMS")
        .and_then(|wait| wait.as_i64().or(wait.as_i32().map(i64::from)));
    assert_eq!(wait, Some(150));
}

fn other_cursors_send_no_wait(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let capped = capped(&subject);
    for cursor_type in [CursorType::NonTailable, CursorType::Tailable] {
        let find = capped
            .find(doc! {})
            .batch_size(2)
            .cursor_type(cursor_type)
            .max_await_time(Duration::from_millis(150));
        let mut cursor = go!(find).expect("finds");
        for _ in 0..3 {
            assert!(next!(cursor).expect("has more").is_ok());
        }
    }
    let more = subject.events.commands_named("getMore");
    assert_eq!(more.len(), 2);
    for command in more {
        assert!(
            !command.command.contains_key("maxTimeMS"),
            "{}",
            command.command
        );
    }
    let told = |event: &Event| event.is_success_of("getMore");
    assert_eq!(subject.events.count(told), 2);
}
