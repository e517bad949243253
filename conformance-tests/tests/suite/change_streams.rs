//! Change streams: the prose tests of their specification, by their numbers there, and what users
//! rely on beside them.
//!
//! Left out are the prose tests for servers that the driver does not work with.

use std::time::Duration;

use conformance_tests::behaviour::Deployment;

use super::recorder::Event;
use super::servers::{FailPoint, address, open_cursors, wait_until, writable};
use super::support::{Observed, in_parallel};
use crate::flavor::driver::bson::{Bson, Document, RawDocumentBuf, doc, serialize_to_bson};
use crate::flavor::driver::change_stream::ChangeStream;
use crate::flavor::driver::change_stream::event::{ChangeStreamEvent, OperationType, ResumeToken};
use crate::flavor::driver::error::ErrorKind;
use crate::flavor::driver::event::command::CommandEvent;
use crate::flavor::driver::options::{
    ChangeStreamPreAndPostImages, FullDocumentBeforeChangeType, ReadPreference, WriteConcern,
};
use crate::flavor::{go, next, wait};

conformance_tests::behaviours! {
    P1 the_token_of_each_event_is_kept: ReplicaSet, Shared;
    P2 an_event_without_a_token_ends_the_stream: ReplicaSet, Shared;
    P3 a_stream_is_resumed_as_it_was_opened: ReplicaSet, FailPoint;
    P4 an_error_of_the_first_command_is_not_got_past: ReplicaSet, FailPoint;
    P4 an_error_of_resuming_ends_the_stream: ReplicaSet, FailPoint;
    P6 a_stream_is_resumed_by_its_read_preference: ReplicaSet, FailPoint;
    P7 an_empty_first_batch_leaves_the_cursor_open: ReplicaSet, Shared;
    P8 a_cursor_that_cannot_be_closed_does_not_keep_from_resuming: ReplicaSet, FailPoint;
    P8 a_cursor_that_lost_its_connection_is_closed_once_its_server_answers: ReplicaSet, FailPoint;
    P3 a_stream_whose_every_request_fails_ends_with_the_error: ReplicaSet, FailPoint;
    F116 an_overload_is_waited_out_while_a_stream_is_resumed: ReplicaSet, FailPoint, since (4, 4);
    P11 the_batchs_own_token_is_kept_at_its_end: ReplicaSet, Shared;
    P14 the_token_of_the_options_is_kept_until_there_is_an_event: ReplicaSet, Shared;
    P17 before_an_event_a_stream_is_resumed_with_start_after: ReplicaSet, FailPoint;
    P18 after_an_event_a_stream_is_resumed_with_resume_after: ReplicaSet, FailPoint;
    P19 large_events_come_in_fragments_or_joined: ReplicaSet, Shared, since (6, 0, 9);
    F117 one_look_at_a_lost_cursor_is_one_request_and_a_resumption: ReplicaSet, Shared;
    F117 a_stream_begins_at_the_moment_of_its_options: ReplicaSet, Shared;
    F117 events_come_as_their_type_and_as_bytes: ReplicaSet, Shared;
    F117 changes_between_opening_and_the_first_look_are_seen: ReplicaSet, Shared;
    W107 a_stream_stays_in_its_session_when_it_is_resumed: ReplicaSet, FailPoint;
    F119 a_closed_stream_leaves_no_cursor: ReplicaSet, Shared;
    M4 a_dropped_stream_leaves_no_cursor: ReplicaSet, Shared;
    // Older primaries that step down may refuse the one retry of a write, too.
    F29 an_election_neither_loses_nor_repeats_an_event: ReplicaSet, Disturbs, since (5, 0);
}

/// Long enough for the server to notice a change, short enough to wait for nothing.
const WAIT: Duration = Duration::from_millis(200);

type Changes = ChangeStream<ChangeStreamEvent<Document>>;

fn watch(subject: &Observed) -> Changes {
    go!(subject.people().watch().max_await_time(WAIT)).expect("opens a stream")
}

fn insert(subject: &Observed, ids: std::ops::Range<i32>) {
    let people = ids.map(|id| doc! { "_id": id });
    go!(subject.people().insert_many(people)).expect("inserts");
}

fn next_id(changes: &mut Changes) -> i32 {
    let event = next!(*changes).expect("goes on").expect("is an event");
    let key = event.document_key.expect("an insert has a key");
    key.get_i32("_id").expect("is a number")
}

fn bson(token: &ResumeToken) -> Bson {
    serialize_to_bson(token).expect("is BSON")
}

/// The `cursor` of the last reply that has one.
fn last_cursor(subject: &Observed) -> Document {
    let events = subject.events.events();
    let mut cursors = events.iter().filter_map(|event| match event {
        Event::Command(event) => match &**event {
            CommandEvent::Succeeded(done) => done.reply.get_document("cursor").ok().cloned(),
            _ => None,
        },
        _ => None,
    });
    cursors.next_back().expect("there was a cursor")
}

fn batch_token(subject: &Observed) -> Bson {
    let cursor = last_cursor(subject);
    cursor
        .get("postBatchResumeToken")
        .expect("servers send it")
        .clone()
}

/// The `$changeStream` stages that were sent.
fn stages(subject: &Observed) -> Vec<Document> {
    let aggregates = subject.events.commands_named("aggregate");
    let stage = |command: &Document| {
        let pipeline = command.get_array("pipeline").expect("has a pipeline");
        let first = pipeline[0].as_document().expect("is a stage");
        first
            .get_document("$changeStream")
            .expect("is the first")
            .clone()
    };
    aggregates.iter().map(|sent| stage(&sent.command)).collect()
}

fn fail_get_more(deployment: &Deployment) -> FailPoint {
    let data = doc! { "failCommands": ["getMore"], "closeConnection": true };
    FailPoint::times(deployment, 1, data)
}

/// A stream that has given the events of three inserts.
fn begun(subject: &Observed) -> Changes {
    let mut changes = watch(subject);
    insert(subject, 0..3);
    for id in 0..3 {
        assert_eq!(next_id(&mut changes), id);
    }
    changes
}

fn the_token_of_each_event_is_kept(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let opened = watch(&subject);
    let from = opened.resume_token().expect("servers send it");
    insert(&subject, 0..3);
    let mut changes = go!(subject.people().watch().resume_after(from)).expect("opens a stream");
    let mut given = 0;
    for id in 0..3 {
        let event = next!(changes).expect("goes on").expect("is an event");
        assert_eq!(event.operation_type, OperationType::Insert);
        assert_eq!(event.full_document, Some(doc! { "_id": id }));
        let cursor = last_cursor(&subject);
        let batch = cursor
            .get_array("firstBatch")
            .or_else(|_| cursor.get_array("nextBatch"));
        given += 1;
        if given == batch.expect("has a batch").len() {
            given = 0;
            assert_eq!(
                bson(&changes.resume_token().expect("is kept")),
                batch_token(&subject)
            );
        } else {
            assert_eq!(changes.resume_token(), Some(event.id));
        }
    }
}

fn an_event_without_a_token_ends_the_stream(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let pipeline = [doc! { "$project": { "_id": 0 } }];
    let mut changes = go!(subject.people().watch().pipeline(pipeline)).expect("opens a stream");
    insert(&subject, 0..1);
    let error = next!(changes)
        .expect("is told")
        .expect_err("cannot be resumed");
    // Only servers that the driver does not work with leave it to the driver to notice.
    assert!(error.is_server_error(), "{error:?}");
    assert!(!changes.is_alive());
    assert!(next!(changes).is_none());
    assert_eq!(subject.events.commands_named("aggregate").len(), 1);
}

fn a_stream_is_resumed_as_it_was_opened(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let people = subject.people();
    let pipeline = [doc! { "$match": { "operationType": "insert" } }];
    let watch = people
        .watch()
        .pipeline(pipeline)
        .batch_size(7)
        .comment("why");
    let mut changes = go!(watch.max_await_time(WAIT)).expect("opens a stream");
    insert(&subject, 0..1);
    assert_eq!(next_id(&mut changes), 0);
    let token = changes.resume_token().expect("is kept");
    {
        let _failing = fail_get_more(deployment);
        insert(&subject, 1..2);
        assert_eq!(next_id(&mut changes), 1);
    }
    let mut sent = subject.events.commands_named("aggregate");
    assert_eq!(sent.len(), 2);
    assert_eq!(stages(&subject)[1], doc! { "resumeAfter": bson(&token) });
    let mut again = sent.remove(1).command;
    let mut first = sent.remove(0).command;
    for command in [&mut first, &mut again] {
        command.remove("$clusterTime");
        let pipeline = command.get_array_mut("pipeline").expect("has a pipeline");
        pipeline[0] = Bson::Null;
    }
    assert_eq!(first, again, "the session is the same, too");
}

fn an_error_of_the_first_command_is_not_got_past(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let labels = ["ResumableChangeStreamError"];
    let data = doc! { "failCommands": ["aggregate"], "errorCode": 130, "errorLabels": labels };
    let _failing = FailPoint::times(deployment, 1, data);
    let error = go!(subject.people().watch()).expect_err("fails");
    assert_eq!(error.code(), Some(130));
    assert_eq!(subject.events.command_names(), "aggregate");
}

fn an_error_of_resuming_ends_the_stream(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let mut changes = begun(&subject);
    // Resumable by its label and, before 4.4, by its code, and no error that a read is tried again
    // after.
    let labels = ["ResumableChangeStreamError"];
    let commands = ["getMore", "killCursors", "aggregate"];
    let data = doc! { "failCommands": commands, "errorCode": 234, "errorLabels": labels };
    let _failing = FailPoint::times(deployment, 3, data);
    let error = next!(changes).expect("is told").expect_err("fails");
    assert_eq!(error.code(), Some(234));
    assert!(!changes.is_alive());
    assert!(next!(changes).is_none());
    assert_eq!(stages(&subject).len(), 2);
}

fn a_stream_is_resumed_by_its_read_preference(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let members = deployment.servers().members().len();
    // A member that has yet to see an insert would tell of it.
    let everywhere = WriteConcern::nodes(u32::try_from(members).expect("are few"));
    let first = subject.people();
    go!(first
        .insert_one(doc! { "_id": 0 })
        .write_concern(everywhere))
    .expect("inserts");
    let watch = subject.people();
    let watch = watch
        .watch()
        .selection_criteria(ReadPreference::secondary(None).into());
    let mut changes = go!(watch.max_await_time(WAIT)).expect("opens a stream");
    let first = subject.events.commands_named("aggregate").remove(0);
    let member = (0..members)
        .find(|member| address(deployment, *member) == first.connection.address)
        .expect("is a member");
    let data = doc! { "failCommands": ["getMore"], "closeConnection": true };
    let _failing = FailPoint::on(deployment, member, doc! { "times": 1 }, data);
    insert(&subject, 1..2);
    assert_eq!(next_id(&mut changes), 1);
    let sent = subject.events.commands_named("aggregate");
    assert_eq!(sent.len(), 2);
    let primary = address(deployment, writable(deployment));
    for sent in sent {
        assert_ne!(sent.connection.address, primary);
        let preference = sent.command.get_document("$readPreference");
        assert_eq!(preference.ok(), Some(&doc! { "mode": "secondary" }));
    }
}

fn an_empty_first_batch_leaves_the_cursor_open(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let mut changes = watch(&subject);
    let cursor = last_cursor(&subject);
    assert_eq!(cursor.get_array("firstBatch").ok(), Some(&vec![]));
    assert_ne!(cursor.get_i64("id").ok(), Some(0));
    assert!(changes.is_alive());
    assert!(wait!(changes.next_if_any()).expect("goes on").is_none());
    assert!(changes.is_alive());
    insert(&subject, 0..1);
    assert_eq!(next_id(&mut changes), 0);
    assert!(subject.events.commands_named("killCursors").is_empty());
}

fn a_cursor_that_cannot_be_closed_does_not_keep_from_resuming(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let mut changes = begun(&subject);
    let labels = ["ResumableChangeStreamError"];
    let commands = ["getMore", "killCursors"];
    let data = doc! { "failCommands": commands, "errorCode": 6, "errorLabels": labels };
    let _failing = FailPoint::times(deployment, 2, data);
    insert(&subject, 3..4);
    assert_eq!(next_id(&mut changes), 3);
    let failed = |event: &Event| {
        matches!(event, Event::Command(event) if matches!(&**event,
            CommandEvent::Failed(failed) if failed.command_name == "killCursors"))
    };
    assert_eq!(subject.events.count(failed), 1);
    assert_eq!(stages(&subject).len(), 2);
}

fn a_stream_whose_every_request_fails_ends_with_the_error(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let mut changes = watch(&subject);
    let data = doc! { "failCommands": ["getMore"], "closeConnection": true };
    let _failing = FailPoint::always(deployment, writable(deployment), data);
    let error = next!(changes).expect("is told").expect_err("never gets on");
    assert!(matches!(*error.kind, ErrorKind::Io(_)), "{error:?}");
    assert!(!changes.is_alive());
    assert!(next!(changes).is_none());
    assert_eq!(subject.events.commands_named("getMore").len(), 6);
}

fn an_overload_is_waited_out_while_a_stream_is_resumed(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let mut changes = watch(&subject);
    let labels = [
        "SystemOverloadedError",
        "RetryableError",
        "ResumableChangeStreamError",
    ];
    let commands = ["getMore", "aggregate"];
    let data = doc! { "failCommands": commands, "errorCode": 462, "errorLabels": labels };
    let _failing = FailPoint::times(deployment, 4, data);
    insert(&subject, 0..1);
    assert_eq!(next_id(&mut changes), 0);
    let names = subject.events.command_names();
    let resumed = "getMore, getMore, getMore, killCursors, aggregate, aggregate";
    assert!(names.contains(resumed), "{names}");
}

fn the_batchs_own_token_is_kept_at_its_end(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let mut changes = watch(&subject);
    let opened = changes.resume_token().expect("servers send it");
    assert_eq!(bson(&opened), batch_token(&subject));
    // What happens elsewhere moves the token on, too.
    go!(subject.database().collection("others").insert_one(doc! {})).expect("inserts");
    wait_until("newer token", || {
        assert!(wait!(changes.next_if_any()).expect("goes on").is_none());
        let token = changes.resume_token().expect("servers send it");
        assert_eq!(bson(&token), batch_token(&subject));
        (token != opened).then_some(())
    });
    insert(&subject, 0..1);
    assert_eq!(next_id(&mut changes), 0);
    assert_eq!(
        bson(&changes.resume_token().expect("is kept")),
        batch_token(&subject)
    );
}

fn the_token_of_the_options_is_kept_until_there_is_an_event(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let from = watch(&subject).resume_token().expect("servers send it");
    // A first batch has what the majority has.
    let people = subject.people();
    let insert = people.insert_many([doc! { "_id": 0 }, doc! { "_id": 1 }]);
    go!(insert.write_concern(WriteConcern::majority())).expect("inserts");
    let watches = [
        people.watch().resume_after(from.clone()),
        people.watch().start_after(from.clone()),
    ];
    for watch in watches {
        let mut changes = go!(watch).expect("opens a stream");
        let first = last_cursor(&subject);
        let is_empty = first
            .get_array("firstBatch")
            .expect("has a batch")
            .is_empty();
        assert!(!is_empty, "the events were there already");
        assert_eq!(changes.resume_token(), Some(from.clone()));
        assert_eq!(next_id(&mut changes), 0);
        assert_ne!(changes.resume_token(), Some(from.clone()));
    }
}

fn before_an_event_a_stream_is_resumed_with_start_after(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let from = watch(&subject).resume_token().expect("servers send it");
    let people = subject.people();
    let watch = people.watch().start_after(from).max_await_time(WAIT);
    let mut changes = go!(watch).expect("opens a stream");
    let token = changes.resume_token().expect("is kept");
    let _failing = fail_get_more(deployment);
    assert!(wait!(changes.next_if_any()).expect("is resumed").is_none());
    let last = stages(&subject).pop().expect("was sent");
    assert_eq!(last, doc! { "startAfter": bson(&token) });
}

fn after_an_event_a_stream_is_resumed_with_resume_after(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let from = watch(&subject).resume_token().expect("servers send it");
    insert(&subject, 0..1);
    let people = subject.people();
    let watch = people.watch().start_after(from).max_await_time(WAIT);
    let mut changes = go!(watch).expect("opens a stream");
    assert_eq!(next_id(&mut changes), 0);
    let token = changes.resume_token().expect("is kept");
    let _failing = fail_get_more(deployment);
    assert!(wait!(changes.next_if_any()).expect("is resumed").is_none());
    let last = stages(&subject).pop().expect("was sent");
    assert_eq!(last, doc! { "resumeAfter": bson(&token) });
}

fn large_events_come_in_fragments_or_joined(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let images = ChangeStreamPreAndPostImages::builder()
        .enabled(true)
        .build();
    let create = subject.database();
    let create = create.create_collection("people");
    go!(create.change_stream_pre_and_post_images(images)).expect("creates");
    let people = subject.people();
    let of = |letter: &str| letter.repeat(10 * 1024 * 1024);
    go!(people.insert_one(doc! { "_id": 1, "value": of("q") })).expect("inserts");
    let before = FullDocumentBeforeChangeType::Required;
    let split = doc! { "$changeStreamSplitLargeEvent": {} };
    let raw = people.watch().full_document_before_change(before.clone());
    let raw = go!(raw.pipeline([split])).expect("opens a stream");
    let mut raw = raw.with_type::<Document>();
    let joined = people.watch().full_document_before_change(before);
    let mut joined = go!(joined.split_large_events(true)).expect("opens a stream");
    let update = doc! { "$set": { "value": of("z") } };
    go!(people.update_one(doc! {}, update)).expect("updates");
    for fragment in 1..=2 {
        let event = next!(raw).expect("goes on").expect("is a fragment");
        let wanted = doc! { "fragment": fragment, "of": 2 };
        assert_eq!(event.get_document("splitEvent").ok(), Some(&wanted));
    }
    let event = next!(joined).expect("goes on").expect("is an event");
    assert_eq!(event.operation_type, OperationType::Update);
    let before = event.full_document_before_change.expect("was asked for");
    assert!(before.get_str("value").is_ok_and(|value| value == of("q")));
    let changed = event.update_description.expect("is an update");
    let value = changed.updated_fields.get_str("value");
    assert!(value.is_ok_and(|value| value == of("z")));
}

fn one_look_at_a_lost_cursor_is_one_request_and_a_resumption(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let mut changes = watch(&subject);
    let id = last_cursor(&subject).get_i64("id").expect("is open");
    let kill = doc! { "killCursors": "people", "cursors": [id] };
    go!(subject.database().run_command(kill)).expect("kills the cursor");
    assert!(wait!(changes.next_if_any()).expect("is resumed").is_none());
    assert_eq!(
        subject.events.command_names(),
        "aggregate, killCursors, getMore, aggregate"
    );
    insert(&subject, 0..1);
    assert_eq!(next_id(&mut changes), 0);
}

fn a_stream_begins_at_the_moment_of_its_options(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    insert(&subject, 0..1);
    let insert = doc! { "insert": "people", "documents": [{ "_id": 1 }] };
    let reply = go!(subject.database().run_command(insert)).expect("inserts");
    let moment = reply.get_timestamp("operationTime").expect("is told");
    let people = subject.people();
    let watch = people.watch().start_at_operation_time(moment);
    let mut changes = go!(watch).expect("opens a stream");
    assert_eq!(next_id(&mut changes), 1);
}

fn events_come_as_their_type_and_as_bytes(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let mut typed = watch(&subject);
    let mut raw = watch(&subject).with_type::<RawDocumentBuf>();
    insert(&subject, 0..1);
    assert!(wait!(typed.advance()).expect("goes on"));
    let event = typed.deserialize_current().expect("is an event");
    assert_eq!(event.full_document, Some(doc! { "_id": 0 }));
    let event = next!(raw).expect("goes on").expect("is an event");
    assert_eq!(*event, *typed.current());
    let reply = last_cursor(&subject);
    let batch = reply
        .get_array("firstBatch")
        .or(reply.get_array("nextBatch"));
    let sent = batch.expect("has a batch")[0]
        .as_document()
        .expect("is one");
    assert_eq!(event.as_bytes(), sent.to_vec().expect("is BSON"));
}

fn changes_between_opening_and_the_first_look_are_seen(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let mut of_collection = watch(&subject);
    let mut of_database = go!(subject.database().watch()).expect("opens a stream");
    let namespace = doc! { "$match": { "ns.db": subject.database().name() } };
    let of_client = subject.client.watch().pipeline([namespace]);
    let mut of_client = go!(of_client).expect("opens a stream");
    insert(&subject, 0..2);
    for changes in [&mut of_collection, &mut of_database, &mut of_client] {
        assert_eq!((next_id(changes), next_id(changes)), (0, 1));
    }
    go!(subject.people().drop()).expect("drops");
    let types: Vec<_> = (0..2)
        .map(|_| next!(of_collection).expect("goes on").expect("is an event"))
        .map(|event| event.operation_type)
        .collect();
    assert_eq!(types, [OperationType::Drop, OperationType::Invalidate]);
    assert!(!of_collection.is_alive());
    assert!(next!(of_collection).is_none());
}

fn a_stream_stays_in_its_session_when_it_is_resumed(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let mut session = go!(subject.client.start_session()).expect("starts a session");
    let mut other = go!(subject.client.start_session()).expect("starts a session");
    let people = subject.people();
    let watch = people.watch().max_await_time(WAIT);
    let mut changes = go!(watch.session(&mut session)).expect("opens a stream");
    let _failing = fail_get_more(deployment);
    insert(&subject, 0..1);
    let event = wait!(changes.next(&mut session))
        .expect("is resumed")
        .expect("is an event");
    assert_eq!(event.document_key, Some(doc! { "_id": 0 }));
    let mut sent = subject.events.commands_named("aggregate");
    sent.extend(subject.events.commands_named("getMore"));
    assert!(sent.len() >= 3, "{}", subject.events.command_names());
    for sent in sent {
        assert_eq!(sent.command.get_document("lsid").ok(), Some(session.id()));
    }
    let error = wait!(changes.next_if_any(&mut other)).expect_err("is another session");
    assert!(matches!(*error.kind, ErrorKind::InvalidArgument { .. }));
}

fn a_cursor_that_lost_its_connection_is_closed_once_its_server_answers(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let mut changes = begun(&subject);
    let lost = last_cursor(&subject).get_i64("id").expect("is open");
    let _failing = fail_get_more(deployment);
    insert(&subject, 3..4);
    assert_eq!(next_id(&mut changes), 3);
    subject.events.wait_for_count("killed cursor", 1, |event| {
        event.is_success_of("killCursors")
    });
    let kill = subject.events.commands_named("killCursors").remove(0);
    let killed = kill.command.get_array("cursors").expect("names cursors");
    assert_eq!(*killed, [Bson::Int64(lost)]);
    assert_eq!(open_cursors(deployment), 1);
}

fn a_closed_stream_leaves_no_cursor(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let mut changes = begun(&subject);
    wait!(changes.close()).expect("closes");
    assert!(!changes.is_alive());
    assert_eq!(open_cursors(deployment), 0);
    assert!(next!(changes).is_none());
    assert_eq!(subject.events.commands_named("killCursors").len(), 1);
}

fn a_dropped_stream_leaves_no_cursor(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let changes = begun(&subject);
    assert_eq!(open_cursors(deployment), 1);
    drop(changes);
    wait_until("end of the cursor", || {
        (open_cursors(deployment) == 0).then_some(())
    });
}

fn an_election_neither_loses_nor_repeats_an_event(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let mut changes = watch(&subject);
    let old = writable(deployment);
    in_parallel(2, |number| {
        if number == 1 {
            let command = doc! { "replSetStepDown": 10, "secondaryCatchUpPeriodSecs": 5 };
            let servers = deployment.servers();
            servers
                .run_admin_command(old, &command)
                .expect("steps down");
            return;
        }
        for id in 0..200 {
            insert(&subject, id..id + 1);
        }
    });
    wait_until("another primary", || {
        let primary = deployment.servers().primary_index();
        primary.filter(|primary| *primary != old)
    });
    for id in 0..200 {
        assert_eq!(next_id(&mut changes), id);
    }
    // A member that steps down keeps the cursor, so that is lost only now.
    deployment.servers().member(old).kill();
    insert(&subject, 200..300);
    for id in 200..300 {
        assert_eq!(next_id(&mut changes), id);
    }
    assert!(stages(&subject).len() >= 2, "the stream was not resumed");
    deployment.servers().member(old).restart().expect("starts");
    deployment.servers().wait_until_ready().expect("is whole");
}
