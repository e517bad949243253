//! The prose tests for bulk writes of a client: those of the CRUD specification, by their numbers
//! there, and that of client side operations timeout, by the letter T.
//!
//! They need MongoDB 8. SecantusDB stands in for it, which is no MongoDB: that they pass with it is
//! a hint, not a proof. See [`Secantus`] for how it is obtained. The tests 3, 5 and 6, of 100,001
//! writes each, take it about a minute apiece, and so are not among these.

use std::error::Error as _;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use conformance_tests::behaviour::Deployment;
use motorcade_testserver::Secantus;

use super::recorder::Event;
use super::support::Observed;
use crate::flavor::driver::bson::{Document, doc};
use crate::flavor::driver::error::{BulkWriteError, Error, ErrorKind};
use crate::flavor::driver::event::command::CommandStartedEvent;
use crate::flavor::driver::options::{
    Acknowledgment, InsertOneModel, UpdateOneModel, WriteConcern, WriteModel,
};
use crate::flavor::driver::{Collection, Namespace};
use crate::flavor::go;

conformance_tests::behaviours! {
    P4 more_bytes_than_a_message_holds_are_split: Standalone, Shared;
    P7 results_of_several_batches_are_read: Standalone, Shared;
    P8 results_of_several_batches_are_read_in_a_transaction: Standalone, Shared;
    P9 what_was_told_before_an_error_is_kept_and_the_cursor_closed: Standalone, Shared;
    P11 a_further_collection_may_split_what_another_write_does_not: Standalone, Shared;
    P12 a_write_that_no_message_holds_is_refused: Standalone, Shared;
    P15 unacknowledged_batches_are_all_unacknowledged: Standalone, Shared;
    T11 the_batches_of_a_bulk_write_share_one_timeout: Standalone, Shared;
}

/// A client of the stand-in, alone with it: fail points are everybody's, and messages are large.
struct Subject {
    observed: Observed,
    hello: Document,
    _turn: MutexGuard<'static, ()>,
}

fn subject(deployment: &Deployment, options: &str) -> Subject {
    static TURN: Mutex<()> = Mutex::new(());
    static STAND_IN: OnceLock<Secantus> = OnceLock::new();
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let stand_in = STAND_IN.get_or_init(|| Secantus::replica_set().expect("starts SecantusDB"));
    let observed = Observed::at(deployment, &format!("{}{options}", stand_in.uri()));
    let admin = observed.client.database("admin");
    let hello = go!(admin.run_command(doc! { "hello": 1 })).expect("says hello");
    let subject = Subject {
        observed,
        hello,
        _turn: turn,
    };
    go!(subject.collection().drop()).expect("drops what an earlier case left");
    subject
}

impl Subject {
    fn limit(&self, name: &str) -> usize {
        let limit = self.hello.get_i32(name).expect("has the limit");
        limit.try_into().expect("is not negative")
    }

    fn collection(&self) -> Collection<Document> {
        self.observed.client.database("db").collection("coll")
    }

    fn fail(&self, times: i32, data: Document) {
        let fail_point = doc! {
            "configureFailPoint": "failCommand",
            "mode": { "times": times },
            "data": data,
        };
        let admin = self.observed.client.database("admin");
        go!(admin.run_command(fail_point)).expect("sets a fail point");
    }

    fn bulk_writes(&self) -> Vec<CommandStartedEvent> {
        self.observed.events.commands_named("bulkWrite")
    }

    /// Asserts that there were two batches of so many writes, with one operation's number.
    fn assert_split(&self, first: usize, second: usize) -> [CommandStartedEvent; 2] {
        let batches: [_; 2] = self.bulk_writes().try_into().expect("two batches");
        assert_eq!(batches.each_ref().map(length), [first, second]);
        assert_eq!(batches[0].operation_id, batches[1].operation_id);
        batches
    }

    fn saw(&self, command: &str) -> bool {
        !self.observed.events.commands_named(command).is_empty()
    }
}

fn length(batch: &CommandStartedEvent) -> usize {
    batch.command.get_array("ops").expect("has writes").len()
}

/// The collections that a batch names.
fn named(batch: &CommandStartedEvent) -> Vec<String> {
    let named = batch.command.get_array("nsInfo").expect("names them");
    let name = |one: &crate::flavor::driver::bson::Bson| {
        let one = one.as_document().expect("is a document");
        one.get_str("ns").expect("has a name").to_owned()
    };
    named.iter().map(name).collect()
}

fn insert_into(collection: &str, document: Document) -> WriteModel {
    let model = InsertOneModel::builder()
        .namespace(Namespace::new("db", collection))
        .document(document);
    WriteModel::InsertOne(model.build())
}

fn insert(document: Document) -> WriteModel {
    insert_into("coll", document)
}

/// An insert of so many bytes in one field.
fn insert_of(bytes: usize) -> WriteModel {
    insert(doc! { "a": "b".repeat(bytes) })
}

/// Two updates whose results are too large for one batch of a cursor.
fn updates_with_large_results(subject: &Subject) -> Vec<WriteModel> {
    let half = subject.limit("maxBsonObjectSize") / 2;
    let update = |letter: &str| {
        let model = UpdateOneModel::builder()
            .namespace(Namespace::new("db", "coll"))
            .filter(doc! { "_id": letter.repeat(half) })
            .update(doc! { "$set": { "x": 1 } })
            .upsert(true);
        WriteModel::UpdateOne(model.build())
    };
    vec![update("a"), update("b")]
}

fn told(error: &Error) -> &BulkWriteError {
    match &*error.kind {
        ErrorKind::BulkWrite(told) => told,
        other => panic!("{other:?}"),
    }
}

fn more_bytes_than_a_message_holds_are_split(deployment: &Deployment) {
    let subject = subject(deployment, "");
    let largest = subject.limit("maxBsonObjectSize");
    let count = subject.limit("maxMessageSizeBytes") / largest + 1;
    let models = vec![insert_of(largest - 500); count];
    let done = go!(subject.observed.client.bulk_write(models)).expect("writes");
    assert_eq!(usize::try_from(done.inserted_count), Ok(count));
    subject.assert_split(count - 1, 1);
}

fn the_batches_of_a_bulk_write_share_one_timeout(deployment: &Deployment) {
    let subject = subject(deployment, "");
    let largest = subject.limit("maxBsonObjectSize");
    let count = subject.limit("maxMessageSizeBytes") / largest + 1;
    let models = vec![insert_of(largest - 500); count];
    let slow = doc! { "failCommands": ["bulkWrite"], "blockConnection": true, "blockTimeMS": 2500 };
    subject.fail(2, slow);
    let write = subject.observed.client.bulk_write(models);
    let error = go!(write.timeout(Duration::from_millis(4500))).expect_err("takes too long");
    assert!(error.is_timeout(), "{error:?}");
    subject.assert_split(count - 1, 1);
    let over = doc! { "configureFailPoint": "failCommand", "mode": "off" };
    let admin = subject.observed.client.database("admin");
    go!(admin.run_command(over)).expect("ends the fail point");
}

fn results_of_several_batches_are_read(deployment: &Deployment) {
    let subject = subject(deployment, "");
    let models = updates_with_large_results(&subject);
    let done = go!(subject.observed.client.bulk_write(models).verbose_results()).expect("writes");
    assert_eq!(
        (done.summary.upserted_count, done.update_results.len()),
        (2, 2)
    );
    assert!(subject.saw("getMore"));
}

fn results_of_several_batches_are_read_in_a_transaction(deployment: &Deployment) {
    let subject = subject(deployment, "");
    let client = &subject.observed.client;
    go!(client.database("db").create_collection("coll")).expect("creates");
    let mut session = go!(client.start_session()).expect("starts a session");
    go!(session.start_transaction()).expect("starts");
    let models = updates_with_large_results(&subject);
    let done = go!(client
        .bulk_write(models)
        .verbose_results()
        .session(&mut session))
    .expect("writes");
    assert_eq!(
        (done.summary.upserted_count, done.update_results.len()),
        (2, 2)
    );
    assert!(subject.saw("getMore"));
    go!(session.abort_transaction()).expect("aborts");
}

fn what_was_told_before_an_error_is_kept_and_the_cursor_closed(deployment: &Deployment) {
    let subject = subject(deployment, "");
    subject.fail(1, doc! { "failCommands": ["getMore"], "errorCode": 8 });
    let models = updates_with_large_results(&subject);
    let error = go!(subject.observed.client.bulk_write(models).verbose_results())
        .expect_err("the second batch of results is refused");
    let cause = error.source().and_then(|it| it.downcast_ref::<Error>());
    assert_eq!(cause.and_then(Error::code), Some(8));
    let partial = told(&error).partial_result.as_ref().expect("is there");
    assert_eq!(partial.summary().upserted_count, 2);
    let crate::flavor::driver::error::PartialBulkWriteResult::Verbose(verbose) = partial else {
        panic!("{partial:?}");
    };
    assert_eq!(verbose.update_results.len(), 1);
    assert!(subject.saw("getMore"));
    let killed = |event: &Event| event.is_success_of("killCursors");
    let events = &subject.observed.events;
    events.wait_for_count("killCursors", 1, killed);
}

/// Inserts that leave room for the entry of one more write in the message, and for nothing else.
fn inserts_that_fill_a_message(subject: &Subject) -> Vec<WriteModel> {
    let largest = subject.limit("maxBsonObjectSize");
    let bytes = subject.limit("maxMessageSizeBytes") - 1122;
    let mut models = vec![insert_of(largest - 57); bytes / largest];
    let rest = bytes % largest;
    if rest >= 217 {
        models.push(insert_of(rest - 57));
    }
    models
}

fn a_further_collection_may_split_what_another_write_does_not(deployment: &Deployment) {
    let long = "c".repeat(200);
    {
        let subject = subject(deployment, "");
        let mut models = inserts_that_fill_a_message(&subject);
        models.push(insert(doc! { "a": "b" }));
        let count = models.len();
        let done = go!(subject.observed.client.bulk_write(models)).expect("writes");
        assert_eq!(usize::try_from(done.inserted_count), Ok(count));
        let batches = subject.bulk_writes();
        assert_eq!(batches.iter().map(length).collect::<Vec<_>>(), [count]);
        assert_eq!(named(&batches[0]), ["db.coll"]);
    }
    let subject = subject(deployment, "");
    let mut models = inserts_that_fill_a_message(&subject);
    let filling = models.len();
    models.push(insert_into(&long, doc! { "a": "b" }));
    let done = go!(subject.observed.client.bulk_write(models)).expect("writes");
    assert_eq!(usize::try_from(done.inserted_count), Ok(filling + 1));
    let batches = subject.assert_split(filling, 1);
    assert_eq!(named(&batches[0]), ["db.coll"]);
    assert_eq!(named(&batches[1]), [format!("db.{long}")]);
}

fn a_write_that_no_message_holds_is_refused(deployment: &Deployment) {
    let subject = subject(deployment, "");
    let limit = subject.limit("maxMessageSizeBytes");
    let long = "c".repeat(limit);
    for model in [insert_of(limit), insert_into(&long, doc! { "a": "b" })] {
        let error = go!(subject.observed.client.bulk_write([model])).expect_err("is too large");
        assert!(!error.is_server_error() && !error.is_network(), "{error}");
        if let ErrorKind::BulkWrite(told) = &*error.kind {
            assert!(told.partial_result.is_none());
        }
    }
    assert!(!subject.saw("bulkWrite"));
}

fn unacknowledged_batches_are_all_unacknowledged(deployment: &Deployment) {
    let subject = subject(deployment, "");
    let client = &subject.observed.client;
    go!(client.database("db").create_collection("coll")).expect("creates");
    let largest = subject.limit("maxBsonObjectSize");
    let count = subject.limit("maxMessageSizeBytes") / largest + 1;
    let models = vec![insert_of(largest - 500); count];
    let nobody = WriteConcern::builder().w(Acknowledgment::Nodes(0)).build();
    let done = go!(client
        .bulk_write(models)
        .ordered(false)
        .write_concern(nobody));
    assert!(!done.expect("sends").acknowledged);
    for batch in subject.assert_split(count - 1, 1) {
        let concern = batch.command.get_document("writeConcern");
        assert_eq!(concern.ok(), Some(&doc! { "w": 0 }));
    }
    // On the same connection, so that it is answered after both batches are done.
    let written = go!(subject.collection().count_documents(doc! {})).expect("counts");
    assert_eq!(usize::try_from(written), Ok(count));
}
