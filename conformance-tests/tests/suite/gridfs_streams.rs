//! Files in GridFS as streams: writing, aborting, reading from any place.

use std::io::SeekFrom;

use conformance_tests::behaviour::Deployment;

use super::gridfs::{bucket, content, download, gridfs_error, stored, upload};
use super::servers::{FailPoint, current_operations, wait_until, writable};
use super::support::Observed;
use crate::flavor::driver::bson::{Bson, Document, doc};
use crate::flavor::driver::error::{Error, ErrorKind, GridFsErrorKind};
use crate::flavor::driver::options::GridFsBucketOptions;
use crate::flavor::{Read, Seek, Write, go, wait};

conformance_tests::behaviours! {
    G20 a_file_exists_once_its_upload_is_closed: Either, Shared;
    G21 flushing_stores_the_chunks_that_are_complete: Either, Shared;
    G22 an_aborted_upload_leaves_nothing: Either, Shared;
    G22 a_dropped_upload_leaves_nothing: Either, Shared;
    G22 a_shutdown_waits_for_what_a_dropped_upload_has_to_delete: Either, Shared;
    G22 an_upload_that_was_never_written_to_sends_nothing: Either, Shared;
    G23 a_second_upload_with_an_id_fails_and_leaves_the_first_whole: Either, Shared;
    G23 an_upload_that_failed_before_its_first_chunk_deletes_none: Either, FailPoint, since (4, 4);
    G23 an_aborted_upload_whose_closing_may_have_worked_leaves_no_file:
        Either, FailPoint, since (4, 4);
    G24 an_upload_keeps_no_connection_from_other_operations: Either, Shared;
    G25 a_chunk_size_that_cannot_be_is_refused: Either, Shared;
    G30 reading_may_begin_and_end_anywhere: Either, Shared;
    G31 a_seek_asks_only_for_what_is_not_there_yet: Either, Shared;
    G32 a_stream_left_early_leaves_no_cursor_open: Either, Shared;
    G33 a_cursor_that_the_server_lost_is_made_again: Either, Shared;
    G34 a_download_may_be_the_source_of_an_upload: Either, Shared;
}

fn a_file_exists_once_its_upload_is_closed(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let bucket = bucket(&subject);
    let content = content(3500);
    let mut upload = go!(bucket.open_upload_stream("file").chunk_size_bytes(1000)).expect("opens");
    for piece in content.chunks(123) {
        wait!(upload.write_all(piece)).expect("writes");
    }
    assert_eq!(stored(&subject, "fs.files").len(), 0);
    wait!(upload.close()).expect("closes");
    let id = upload.id().clone();
    assert!(matches!(id, Bson::ObjectId(_)), "{id}");
    assert!(download(&bucket, &id).expect("downloads") == content);
    wait!(upload.close()).expect("is closed already");
    for outcome in [
        wait!(upload.write_all(b"more")).map_err(Error::from),
        wait!(upload.abort()),
    ] {
        let error = outcome.expect_err("the upload is closed");
        let kind = gridfs_error(&error);
        assert!(
            matches!(kind, GridFsErrorKind::UploadStreamClosed),
            "{kind:?}"
        );
    }
    drop(upload);
    assert!(download(&bucket, &id).expect("is still there") == content);
    deployment.observe(subject.events.command_names());
}

fn flushing_stores_the_chunks_that_are_complete(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let bucket = bucket(&subject);
    let mut upload = go!(bucket.open_upload_stream("file").chunk_size_bytes(1000)).expect("opens");
    wait!(upload.write_all(&content(2500))).expect("writes");
    assert_eq!(stored(&subject, "fs.chunks").len(), 0, "a batch is larger");
    wait!(upload.flush()).expect("flushes");
    assert_eq!(stored(&subject, "fs.chunks").len(), 2);
    wait!(upload.write_all(&content(5000)[2500..])).expect("writes");
    wait!(upload.close()).expect("closes");
    let id = upload.id().clone();
    assert!(download(&bucket, &id).expect("downloads") == content(5000));
}

fn an_aborted_upload_leaves_nothing(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let bucket = bucket(&subject);
    let mut upload = go!(bucket.open_upload_stream("file")).expect("opens");
    wait!(upload.write_all(&content(5_000_000))).expect("writes");
    wait!(upload.abort()).expect("aborts");
    assert!(subject.events.commands_named("insert").len() > 1);
    assert_eq!(stored(&subject, "fs.chunks").len(), 0);
    let delete = subject.events.commands_named("delete").remove(0).command;
    let deletes = delete.get_array("deletes").expect("is an array");
    let query = deletes[0]
        .as_document()
        .and_then(|it| it.get_document("q").ok());
    let wanted = doc! { "files_id": { "$eq": upload.id() } };
    assert_eq!(query, Some(&wanted));
    for outcome in [
        wait!(upload.write_all(b"more")).map_err(Error::from),
        wait!(upload.close()),
        wait!(upload.abort()),
    ] {
        let error = outcome.expect_err("the upload is aborted");
        let kind = gridfs_error(&error);
        assert!(
            matches!(kind, GridFsErrorKind::UploadStreamClosed),
            "{kind:?}"
        );
    }
    assert_eq!(stored(&subject, "fs.files").len(), 0);
}

fn a_dropped_upload_leaves_nothing(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let bucket = bucket(&subject);
    let mut upload = go!(bucket.open_upload_stream("file")).expect("opens");
    wait!(upload.write_all(&content(5_000_000))).expect("writes");
    drop(upload);
    subject
        .events
        .wait_for_count("delete", 1, |event| event.is_success_of("delete"));
    assert_eq!(stored(&subject, "fs.chunks").len(), 0);
    assert_eq!(stored(&subject, "fs.files").len(), 0);
}

fn a_shutdown_waits_for_what_a_dropped_upload_has_to_delete(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let bucket = bucket(&subject);
    let mut upload = go!(bucket.open_upload_stream("file")).expect("opens");
    wait!(upload.write_all(&content(5_000_000))).expect("writes");
    drop(upload);
    go!(subject.client.clone().shutdown());
    assert_eq!(subject.events.commands_named("delete").len(), 1);
    let other = Observed::new(deployment, "");
    assert_eq!(stored(&other, "fs.chunks").len(), 0);
}

fn an_upload_that_was_never_written_to_sends_nothing(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let bucket = bucket(&subject);
    drop(go!(bucket.open_upload_stream("file")).expect("opens"));
    let mut upload = go!(bucket.open_upload_stream("file")).expect("opens");
    wait!(upload.write_all(b"less than a batch")).expect("writes");
    wait!(upload.flush()).expect("has no whole chunk");
    wait!(upload.abort()).expect("has nothing to delete");
    assert_eq!(subject.events.command_names(), "");
}

fn a_second_upload_with_an_id_fails_and_leaves_the_first_whole(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let bucket = bucket(&subject);
    let first = go!(bucket
        .upload_from_reader("first", &*content(3500))
        .chunk_size_bytes(1000)
        .id(7))
    .expect("uploads");
    let mut second = go!(bucket
        .open_upload_stream("second")
        .chunk_size_bytes(1000)
        .id(7))
    .expect("opens");
    wait!(second.write_all(&content(9000))).expect("writes");
    let error = wait!(second.close()).expect_err("the id is taken");
    assert!(error.is_duplicate_key(), "{error:?}");
    let again = wait!(second.close()).expect_err("has failed");
    assert!(again.is_duplicate_key(), "{again:?}");
    wait!(second.abort()).expect("has nothing to delete");
    assert!(download(&bucket, &first).expect("is whole") == content(3500));
    assert_eq!(stored(&subject, "fs.files").len(), 1);

    // A file without chunks meets the second one only when that one's document is inserted.
    go!(bucket.upload_from_reader("empty", &b""[..]).id(8)).expect("uploads");
    let mut second = go!(bucket.open_upload_stream("second").id(8)).expect("opens");
    wait!(second.write_all(b"text")).expect("writes");
    assert!(
        wait!(second.close())
            .expect_err("the id is taken")
            .is_duplicate_key()
    );
    wait!(second.abort()).expect("deletes its chunk");
    assert_eq!(download(&bucket, &8.into()).expect("is whole"), b"");
    assert_eq!(stored(&subject, "fs.chunks").len(), 4);
}

fn an_upload_that_failed_before_its_first_chunk_deletes_none(deployment: &Deployment) {
    let subject = Observed::new(deployment, "retryReads=false");
    let first = go!(bucket(&subject)
        .upload_from_reader("first", &*content(3500))
        .id(7))
    .expect("uploads");
    // The look at the files of the bucket fails, which comes before the first insert.
    let data = doc! { "failCommands": ["find"], "errorCode": 8 };
    let failing = FailPoint::times(deployment, 1, data);
    let mut second = go!(bucket(&subject)
        .open_upload_stream("second")
        .chunk_size_bytes(1000)
        .id(7))
    .expect("opens");
    wait!(second.write_all(&content(3500))).expect("writes");
    let error = Error::from(wait!(second.flush()).expect_err("fails"));
    assert!(matches!(*error.kind, ErrorKind::Command(_)), "{error:?}");
    drop(failing);
    wait!(second.abort()).expect("has nothing to delete");
    assert!(download(&bucket(&subject), &first).expect("is whole") == content(3500));
}

fn an_aborted_upload_whose_closing_may_have_worked_leaves_no_file(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let bucket = bucket(&subject);
    upload(&bucket, b"another");
    for content in [content(3500), Vec::new()] {
        let mut upload = go!(bucket.open_upload_stream("file").chunk_size_bytes(1000));
        let upload = upload.as_mut().expect("opens");
        wait!(upload.write_all(&content)).expect("writes");
        wait!(upload.flush()).expect("stores the whole chunks");
        // The insert is done, and reported as failed.
        let unmet = doc! { "code": 64, "errmsg": "waiting for replication timed out" };
        let data = doc! { "failCommands": ["insert"], "writeConcernError": unmet };
        let times = if content.is_empty() { 1 } else { 2 };
        let failing = FailPoint::on(
            deployment,
            writable(deployment),
            doc! { "skip": times - 1 },
            data,
        );
        wait!(upload.close()).expect_err("is told that it failed");
        drop(failing);
        assert_eq!(stored(&subject, "fs.files").len(), 2, "it exists");
        wait!(upload.abort()).expect("deletes");
        assert_eq!(stored(&subject, "fs.files").len(), 1);
        assert_eq!(stored(&subject, "fs.chunks").len(), 1);
    }
}

fn an_upload_keeps_no_connection_from_other_operations(deployment: &Deployment) {
    let subject = Observed::new(deployment, "maxPoolSize=1");
    let bucket = bucket(&subject);
    let content = content(5_000_000);
    let mut upload = go!(bucket.open_upload_stream("file")).expect("opens");
    for piece in content.chunks(100_000) {
        wait!(upload.write_all(piece)).expect("writes");
        subject.ping().expect("gets the connection in the end");
    }
    wait!(upload.close()).expect("closes");
    let id = upload.id().clone();
    assert!(download(&bucket, &id).expect("downloads") == content);
    go!(bucket.drop()).expect("drops");
}

fn a_chunk_size_that_cannot_be_is_refused(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let none = GridFsBucketOptions::builder().chunk_size_bytes(0).build();
    let bucket = subject.database().gridfs_bucket(none);
    let error = go!(bucket.open_upload_stream("file")).expect_err("no chunk has no bytes");
    assert!(
        matches!(*error.kind, ErrorKind::InvalidArgument { .. }),
        "{error:?}"
    );
    assert_eq!(subject.events.command_names(), "");
    let content = content(17_000_000);
    let large = bucket.upload_from_reader("file", &*content);
    let error = go!(large.chunk_size_bytes(17_000_000)).expect_err("no document is so large");
    assert!(error.to_string().contains("smaller chunk size"), "{error}");
    assert_eq!(stored(&subject, "fs.chunks").len(), 0);
}

fn reading_may_begin_and_end_anywhere(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let bucket = bucket(&subject);
    let content = content(3500);
    let id = upload(&bucket, &content);
    let mut file = go!(bucket.open_download_stream(id)).expect("opens");
    assert_eq!(file.file().length, 3500);
    for (to, position) in [
        (SeekFrom::Start(1000), 1000),
        (SeekFrom::Current(-1), 999),
        (SeekFrom::Start(0), 0),
        (SeekFrom::End(-1), 3499),
        (SeekFrom::Start(2999), 2999),
        (SeekFrom::End(0), 3500),
        (SeekFrom::End(7), 3507),
        (SeekFrom::Start(u64::MAX), u64::MAX),
        (SeekFrom::Start(1), 1),
    ] {
        assert_eq!(wait!(file.seek(to)).expect("seeks"), position);
        let mut found = [0; 20];
        let mut count = 0;
        loop {
            let read = wait!(file.read(&mut found[count..])).expect("reads");
            count += read;
            if read == 0 {
                break;
            }
        }
        let from = usize::try_from(position).map_or(3500, |from| from.min(3500));
        let wanted = &content[from..(from + 20).min(3500)];
        assert_eq!(&found[..count], wanted, "{to:?}");
        wait!(file.seek(SeekFrom::Start(position))).expect("seeks back");
    }
    assert!(wait!(file.seek(SeekFrom::Current(-2))).is_err());
    let mut rest = Vec::new();
    wait!(file.read_to_end(&mut rest)).expect("the position stayed");
    assert!(rest == content[1..]);
}

fn a_seek_asks_only_for_what_is_not_there_yet(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let bucket = bucket(&subject);
    let content = content(20_000_000);
    let id = go!(bucket
        .upload_from_reader("large", &*content)
        .chunk_size_bytes(1_000_000))
    .expect("uploads");
    subject.events.forget();
    let mut file = go!(bucket.open_download_stream(id)).expect("opens");
    let mut read = |at: usize| {
        wait!(file.seek(SeekFrom::Start(at as u64))).expect("seeks");
        let mut found = [0; 100];
        wait!(file.read_exact(&mut found)).expect("reads");
        assert!(found == content[at..at + 100], "{at}");
    };
    // Two chunks of 1 MB make a batch.
    read(500_000);
    read(5);
    read(1_500_000);
    assert_eq!(subject.events.command_names(), "find, find");
    // Whoever has read a whole batch is likely to read on, so one more is fetched ahead.
    read(2_000_000);
    subject.events.wait_for_count("getMore", 2, |event| {
        event
            .started()
            .is_some_and(|it| it.command_name == "getMore")
    });
    assert_eq!(subject.events.commands_named("find").len(), 2);
    subject.events.forget();
    read(15_000_000);
    read(14_000_000);
    let finds = subject.events.commands_named("find");
    let from: Vec<_> = finds
        .iter()
        .map(|find| find.command.get_document("filter").expect("is a filter"))
        .map(|filter| filter.get_document("n").expect("is bounded").clone())
        .collect();
    assert_eq!(from, [doc! { "$gte": 15_i64 }, doc! { "$gte": 14_i64 }]);
    assert_eq!(subject.events.commands_named("getMore").len(), 0);
    drop(file);
    go!(bucket.drop()).expect("drops");
}

/// The cursors on chunks that lie open in the case's database.
fn chunk_cursors(deployment: &Deployment) -> Vec<i64> {
    let namespace = format!("{}.fs.chunks", deployment.database_name());
    let filter = doc! { "type": "idleCursor", "ns": namespace };
    let member = deployment.servers().member(writable(deployment));
    let operations = current_operations(&member, &filter);
    let cursors = operations.iter().map(|operation: &Document| {
        let cursor = operation.get_document("cursor").expect("has a cursor");
        cursor.get_i64("cursorId").expect("has a number")
    });
    cursors.collect()
}

fn a_stream_left_early_leaves_no_cursor_open(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let bucket = bucket(&subject);
    let id = go!(bucket.upload_from_reader("large", &*content(5_000_000))).expect("uploads");
    let mut file = go!(bucket.open_download_stream(id)).expect("opens");
    wait!(file.read_exact(&mut [0; 10])).expect("reads");
    assert_eq!(chunk_cursors(deployment).len(), 1);
    drop(file);
    wait_until("end of the cursor", || {
        chunk_cursors(deployment).is_empty().then_some(())
    });
    go!(bucket.drop()).expect("drops");
}

fn a_cursor_that_the_server_lost_is_made_again(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let bucket = bucket(&subject);
    let content = content(5_000_000);
    let id = go!(bucket.upload_from_reader("large", &*content)).expect("uploads");
    let mut file = go!(bucket.open_download_stream(id)).expect("opens");
    let mut found = vec![0; 10];
    wait!(file.read_exact(&mut found)).expect("reads");
    let kill = doc! { "killCursors": "fs.chunks", "cursors": chunk_cursors(deployment) };
    go!(subject.database().run_command(kill)).expect("kills");
    wait!(file.read_to_end(&mut found)).expect("reads on");
    assert!(found == content);
    assert_eq!(subject.events.commands_named("find").len(), 1 + 1 + 2);
    go!(bucket.drop()).expect("drops");
}

fn a_download_may_be_the_source_of_an_upload(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let bucket = bucket(&subject);
    let content = content(5_000_000);
    let id = go!(bucket.upload_from_reader("original", &*content)).expect("uploads");
    let original = go!(bucket.open_download_stream(id)).expect("opens");
    let options = GridFsBucketOptions::builder().bucket_name("copies".to_owned());
    let copies = subject.database().gridfs_bucket(options.build());
    let copy = go!(copies.upload_from_reader("copy", original)).expect("copies");
    assert!(download(&copies, &copy).expect("downloads") == content);
    let mut again = go!(bucket.open_upload_stream("again")).expect("opens");
    go!(copies.download_to_writer(copy, &mut again)).expect("copies back");
    wait!(again.close()).expect("closes");
    assert!(download(&bucket, again.id()).expect("downloads") == content);
    go!(bucket.drop()).expect("drops");
    go!(copies.drop()).expect("drops");
}
