//! Files in GridFS: what uploads and downloads of whole files do on the server.

use std::io;
use std::sync::Mutex;

use conformance_tests::behaviour::Deployment;

use super::servers::{FailPoint, wait_until};
use super::support::{Observed, in_parallel};
use crate::flavor::driver::bson::{Bson, Document, doc};
use crate::flavor::driver::error::{Error, ErrorKind, GridFsErrorKind, GridFsFileIdentifier};
use crate::flavor::driver::gridfs::GridFsBucket;
use crate::flavor::driver::options::{GridFsBucketOptions, WriteConcern};
use crate::flavor::{collect, go};

conformance_tests::behaviours! {
    G1 files_of_every_size_around_the_chunks_come_back_whole: Either, Shared;
    G2 an_empty_file_has_no_chunks_and_none_are_asked_for: Either, Shared;
    G3 what_is_told_of_a_file_is_kept_with_it: Either, Shared;
    G4 a_large_file_goes_in_a_few_batches_each_way: Either, Shared;
    G5 the_first_upload_of_an_empty_bucket_creates_the_indexes: Either, Shared;
    G5 indexes_that_exist_are_left_alone: Either, Shared;
    G5 a_bucket_with_files_is_not_given_indexes: Either, Shared;
    G6 a_revision_is_taken_from_either_end: Either, Shared;
    G7 an_id_that_looks_like_a_query_names_its_own_file_only: Either, Shared;
    G8 chunks_that_are_not_as_they_should_be_are_told: Either, Shared;
    G9 many_readers_of_one_file_each_get_all_of_it: Either, Shared;
    G10 progress_is_told_up_to_the_last_byte: Either, Shared;
    G11 a_reader_that_fails_leaves_nothing_behind: Either, Shared;
    G11 a_failed_insert_leaves_its_chunks_behind: Either, FailPoint, since (4, 4);
    G12 a_bucket_without_acknowledgement_stores_files_too: Either, Shared;
    G13 deleting_and_renaming_what_is_not_there_is_an_error: Either, Shared;
    G13 dropping_the_bucket_leaves_no_collection: Either, Shared;
}

/// Bytes that tell their places.
pub(super) fn content(size: usize) -> Vec<u8> {
    (0..size)
        .map(|at| (at % 251) as u8 ^ (at / 251) as u8)
        .collect()
}

pub(super) fn bucket(subject: &Observed) -> GridFsBucket {
    subject.database().gridfs_bucket(None)
}

/// The documents of one of the bucket's collections, in the order of insertion.
pub(super) fn stored(subject: &Observed, collection: &str) -> Vec<Document> {
    let collection = subject.database().collection::<Document>(collection);
    collect!(go!(collection.find(doc! {}).sort(doc! { "_id": 1 })).expect("finds"))
        .expect("goes on")
}

pub(super) fn upload(bucket: &GridFsBucket, content: &[u8]) -> Bson {
    go!(bucket
        .upload_from_reader("file", content)
        .chunk_size_bytes(1000))
    .expect("uploads")
}

pub(super) fn download(bucket: &GridFsBucket, id: &Bson) -> Result<Vec<u8>, Error> {
    let mut found = Vec::new();
    let file = go!(bucket.download_to_writer(id.clone(), &mut found))?;
    assert_eq!(file.length, found.len() as u64);
    Ok(found)
}

pub(super) fn gridfs_error(error: &Error) -> &GridFsErrorKind {
    match &*error.kind {
        ErrorKind::GridFs(kind) => kind,
        other => panic!("{other:?}"),
    }
}

fn files_of_every_size_around_the_chunks_come_back_whole(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let bucket = bucket(&subject);
    for size in [0, 1, 999, 1000, 1001, 1999, 2000, 2001, 12_345] {
        let content = content(size);
        let id = upload(&bucket, &content);
        assert!(
            download(&bucket, &id).expect("downloads") == content,
            "{size}"
        );
        let file = stored(&subject, "fs.files").pop().expect("is stored");
        assert_eq!(file.get("_id"), Some(&id));
        assert_eq!(file.get_i64("length").ok(), i64::try_from(size).ok());
        assert_eq!(file.get_i32("chunkSize").ok(), Some(1000));
        let mut chunks = stored(&subject, "fs.chunks");
        chunks.retain(|chunk| chunk.get("files_id") == Some(&id));
        let sizes: Vec<_> = chunks
            .iter()
            .map(|chunk| chunk.get_binary_generic("data").expect("is generic").len())
            .collect();
        let wanted: Vec<_> = content.chunks(1000).map(<[u8]>::len).collect();
        assert_eq!(sizes, wanted, "{size}");
    }
    deployment.observe(subject.events.command_names());
}

fn an_empty_file_has_no_chunks_and_none_are_asked_for(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let bucket = bucket(&subject);
    let id = upload(&bucket, &[]);
    assert_eq!(stored(&subject, "fs.chunks").len(), 0);
    subject.events.forget();
    assert_eq!(download(&bucket, &id).expect("downloads"), b"");
    assert_eq!(subject.events.command_names(), "find");
}

fn what_is_told_of_a_file_is_kept_with_it(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let bucket = bucket(&subject);
    let metadata = doc! { "owner": "Ada", "tags": ["a", "b"] };
    let id = go!(bucket
        .upload_from_reader("note.txt", &b"text"[..])
        .id("my own id")
        .metadata(metadata.clone())
        .content_type("text/plain")
        .aliases(["memo".to_owned()]))
    .expect("uploads");
    assert_eq!(id, Bson::from("my own id"));
    let found = go!(bucket.find_one(doc! { "metadata.owner": "Ada" }))
        .expect("finds")
        .expect("is there");
    assert_eq!(found.id, id);
    assert_eq!(found.filename.as_deref(), Some("note.txt"));
    assert_eq!((found.length, found.chunk_size_bytes), (4, 255 * 1024));
    assert_eq!(found.metadata, Some(metadata));
    assert_eq!(found.content_type.as_deref(), Some("text/plain"));
    assert_eq!(found.aliases, Some(vec!["memo".to_owned()]));
    upload(&bucket, b"x");
    let plain = stored(&subject, "fs.files").pop().expect("is stored");
    let keys: Vec<_> = plain.keys().map(String::as_str).collect();
    let others = ["metadata", "contentType", "aliases", "md5"];
    assert!(!others.iter().any(|key| keys.contains(key)), "{keys:?}");
}

/// About 10 MB: 41 chunks of the default size.
const LARGE: usize = 40 * 255 * 1024 + 5;

fn a_large_file_goes_in_a_few_batches_each_way(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let bucket = bucket(&subject);
    let content = content(LARGE);
    let id = go!(bucket.upload_from_reader("large", &*content)).expect("uploads");
    // Eight chunks of 255 KiB make a batch of 2 MiB, and then there is the file's document.
    assert_eq!(subject.events.commands_named("insert").len(), 6 + 1);
    subject.events.forget();
    assert!(download(&bucket, &id).expect("downloads") == content);
    let names = subject.events.command_names();
    assert_eq!(
        names,
        "find, find, getMore, getMore, getMore, getMore, getMore"
    );
    deployment.observe(names);
    go!(bucket.drop()).expect("drops");
}

/// The keys of the indexes of one of the bucket's collections, all but that on `_id`.
fn index_keys(subject: &Observed, collection: &str) -> Vec<(Document, bool)> {
    let collection = subject.database().collection::<Document>(collection);
    let indexes = collect!(go!(collection.list_indexes()).expect("lists")).expect("goes on");
    let all = indexes.into_iter().map(|index| {
        let unique = index.options.and_then(|options| options.unique);
        (index.keys, unique == Some(true))
    });
    all.filter(|(keys, _)| !keys.contains_key("_id")).collect()
}

fn the_first_upload_of_an_empty_bucket_creates_the_indexes(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let bucket = bucket(&subject);
    assert_eq!(subject.events.command_names(), "", "a bucket does no I/O");
    upload(&bucket, b"one");
    assert_eq!(
        subject.events.command_names(),
        "find, listIndexes, createIndexes, listIndexes, createIndexes, insert, insert"
    );
    let look = subject.events.commands_named("find").remove(0).command;
    assert_eq!(look.get_document("filter").ok(), Some(&doc! {}));
    let projection = look.get_document("projection").ok();
    assert_eq!(projection, Some(&doc! { "_id": 1 }));
    assert_eq!(
        index_keys(&subject, "fs.files"),
        [(doc! { "filename": 1, "uploadDate": 1 }, false)]
    );
    assert_eq!(
        index_keys(&subject, "fs.chunks"),
        [(doc! { "files_id": 1, "n": 1 }, true)]
    );
    subject.events.forget();
    let clone = bucket.clone();
    upload(&bucket, b"two");
    upload(&clone, b"two too");
    let names = subject.events.command_names();
    assert_eq!(names, "insert, insert, insert, insert");
    go!(bucket.drop()).expect("drops");
    subject.events.forget();
    upload(&clone, b"three");
    assert_eq!(subject.events.commands_named("createIndexes").len(), 2);
}

fn indexes_that_exist_are_left_alone(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    for (collection, keys) in [
        ("fs.files", doc! { "filename": 1.0, "uploadDate": 1_i64 }),
        ("fs.chunks", doc! { "files_id": 1.0, "n": 1.0 }),
    ] {
        let index = doc! { "key": keys, "name": "as a shell makes it" };
        let command = doc! { "createIndexes": collection, "indexes": [index] };
        go!(subject.database().run_command(command)).expect("creates");
    }
    subject.events.forget();
    upload(&bucket(&subject), b"one");
    assert_eq!(
        subject.events.command_names(),
        "find, listIndexes, listIndexes, insert, insert"
    );
}

fn a_bucket_with_files_is_not_given_indexes(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let files = subject.database().collection::<Document>("fs.files");
    go!(files.insert_one(doc! { "_id": 1 })).expect("inserts");
    subject.events.forget();
    upload(&bucket(&subject), b"one");
    assert_eq!(subject.events.command_names(), "find, insert, insert");
}

fn a_revision_is_taken_from_either_end(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let bucket = bucket(&subject);
    let files = subject.database().collection::<Document>("fs.files");
    for (day, content) in [b"old", b"mid", b"new"].into_iter().enumerate() {
        let id = upload(&bucket, content);
        let date = crate::flavor::driver::bson::DateTime::from_millis(day as i64);
        let change = doc! { "$set": { "uploadDate": date } };
        go!(files.update_one(doc! { "_id": id }, change)).expect("updates");
    }
    let read = |name: &str, revision: Option<i32>| {
        let mut found = Vec::new();
        let mut action = bucket.download_to_writer_by_name(name, &mut found);
        if let Some(revision) = revision {
            action = action.revision(revision);
        }
        go!(action).map(|_| found)
    };
    for (revision, content) in [
        (None, b"new"),
        (Some(-1), b"new"),
        (Some(-2), b"mid"),
        (Some(-3), b"old"),
        (Some(0), b"old"),
        (Some(2), b"new"),
    ] {
        assert_eq!(
            read("file", revision).expect("is there"),
            content,
            "{revision:?}"
        );
    }
    for revision in [3, -4, i32::MAX, i32::MIN] {
        let error = read("file", Some(revision)).expect_err("is not there");
        match gridfs_error(&error) {
            GridFsErrorKind::RevisionNotFound { revision: told, .. } => assert_eq!(*told, revision),
            other => panic!("{other:?}"),
        }
    }
    for revision in [None, Some(0), Some(-3)] {
        let error = read("other", revision).expect_err("is not there");
        match gridfs_error(&error) {
            GridFsErrorKind::FileNotFound {
                identifier: GridFsFileIdentifier::Filename(name),
                ..
            } => assert_eq!(name, "other"),
            other => panic!("{other:?}"),
        }
    }
}

fn an_id_that_looks_like_a_query_names_its_own_file_only(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let bucket = bucket(&subject);
    let kept = upload(&bucket, b"kept");
    let everything = Bson::from(doc! { "$ne": 0 });
    for outcome in [
        download(&bucket, &everything).map(drop),
        go!(bucket.rename(everything.clone(), "other")),
        go!(bucket.delete(everything)),
    ] {
        let error = outcome.expect_err("there is no such file");
        let kind = gridfs_error(&error);
        assert!(
            matches!(kind, GridFsErrorKind::FileNotFound { .. }),
            "{kind:?}"
        );
    }
    assert_eq!(download(&bucket, &kept).expect("is there"), b"kept");
    let strange = Bson::from(doc! { "a": { "b": 1 } });
    go!(bucket
        .upload_from_reader("strange", &b"strange"[..])
        .id(strange.clone()))
    .expect("uploads");
    assert_eq!(download(&bucket, &strange).expect("is there"), b"strange");
    go!(bucket.delete(strange)).expect("deletes");
    assert_eq!(stored(&subject, "fs.chunks").len(), 1);
}

fn chunks_that_are_not_as_they_should_be_are_told(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let bucket = bucket(&subject);
    let chunks = subject.database().collection::<Document>("fs.chunks");
    let spoiled = |spoil: &dyn Fn(&Bson)| {
        let id = upload(&bucket, &content(3500));
        spoil(&id);
        let error = download(&bucket, &id).expect_err("is spoiled");
        gridfs_error(&error).to_string()
    };
    let of = |id: &Bson, n: i32| doc! { "files_id": id, "n": n };
    let data = |size: usize| {
        let subtype = crate::flavor::driver::bson::spec::BinarySubtype::Generic;
        let bytes = vec![0; size];
        crate::flavor::driver::bson::Binary { subtype, bytes }
    };
    let told = spoiled(&|id| {
        go!(chunks.delete_one(of(id, 1))).expect("deletes");
    });
    assert_eq!(told, "chunk 1 of the file is missing");
    let told = spoiled(&|id| {
        go!(chunks.delete_one(of(id, 3))).expect("deletes");
    });
    assert_eq!(told, "chunk 3 of the file is missing");
    let told = spoiled(&|id| {
        let change = doc! { "$set": { "data": data(7) } };
        go!(chunks.update_one(of(id, 2), change)).expect("updates");
    });
    assert_eq!(told, "chunk 2 of the file has 7 bytes instead of 1000");
    let told = spoiled(&|id| {
        let extra = doc! { "files_id": id, "n": 4, "data": data(7) };
        go!(chunks.insert_one(extra)).expect("inserts");
    });
    assert_eq!(told, "the file has 5 chunks or more instead of 4");
    let id = upload(&bucket, &content(3500));
    let extra = doc! { "files_id": &id, "n": 4, "data": data(0) };
    go!(chunks.insert_one(extra)).expect("inserts");
    assert!(download(&bucket, &id).expect("an empty chunk more is fine") == content(3500));
}

fn many_readers_of_one_file_each_get_all_of_it(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let bucket = bucket(&subject);
    let content = content(300_000);
    let id = upload(&bucket, &content);
    let found = in_parallel(8, |_| download(&bucket, &id).expect("downloads"));
    assert!(found.iter().all(|found| *found == content));
    go!(bucket.drop()).expect("drops");
}

fn progress_is_told_up_to_the_last_byte(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let bucket = bucket(&subject);
    let content = content(3500);
    let told = Mutex::new(Vec::new());
    let id = go!(bucket
        .upload_from_reader("file", &*content)
        .chunk_size_bytes(1000)
        .progress(|so_far| told.lock().expect("no panic").push(so_far)))
    .expect("uploads");
    let up = std::mem::take(&mut *told.lock().expect("no panic"));
    go!(bucket
        .download_to_writer(id, &mut Vec::new())
        .progress(|so_far| told.lock().expect("no panic").push(so_far)))
    .expect("downloads");
    let down = told.into_inner().expect("no panic");
    for (told, length) in [(up, None), (down, Some(3500))] {
        let steps: Vec<_> = told.iter().map(|so_far| so_far.transferred).collect();
        assert_eq!(steps, [1000, 2000, 3000, 3500]);
        assert!(told.iter().all(|so_far| so_far.length == length));
    }
}

/// Gives some bytes, and then fails.
struct Failing(usize);

impl io::Read for Failing {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        let count = self.0.min(target.len());
        self.0 -= count;
        if count == 0 {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the source dried up",
            ));
        }
        Ok(count)
    }
}

impl tokio::io::AsyncRead for Failing {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        target: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        let read = io::Read::read(&mut *self, target.initialize_unfilled());
        std::task::Poll::Ready(read.map(|count| target.advance(count)))
    }
}

fn a_reader_that_fails_leaves_nothing_behind(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let bucket = bucket(&subject);
    let error = go!(bucket.upload_from_reader("file", Failing(5_000_000))).expect_err("dries up");
    match &*error.kind {
        ErrorKind::Io(error) => assert_eq!(error.to_string(), "the source dried up"),
        other => panic!("{other:?}"),
    }
    assert_eq!(stored(&subject, "fs.files").len(), 0);
    assert_eq!(stored(&subject, "fs.chunks").len(), 0);
    assert!(
        subject.events.commands_named("insert").len() > 1,
        "it had begun"
    );
}

fn a_failed_insert_leaves_its_chunks_behind(deployment: &Deployment) {
    let subject = Observed::new(deployment, "retryWrites=false");
    let bucket = bucket(&subject);
    upload(&bucket, b"to have the indexes made");
    let data = doc! { "failCommands": ["insert"], "errorCode": 8 };
    let failing = FailPoint::on(
        deployment,
        super::servers::writable(deployment),
        doc! { "skip": 2 },
        data,
    );
    let error = go!(bucket.upload_from_reader("file", &*content(LARGE))).expect_err("fails");
    assert_eq!(error.code(), Some(8), "{error:?}");
    drop(failing);
    assert_eq!(stored(&subject, "fs.files").len(), 1);
    assert_eq!(stored(&subject, "fs.chunks").len(), 1 + 16);
    assert_eq!(subject.events.commands_named("delete").len(), 0);
    go!(bucket.drop()).expect("drops");
}

fn a_bucket_without_acknowledgement_stores_files_too(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let options = GridFsBucketOptions::builder()
        .write_concern(WriteConcern::nodes(0))
        .build();
    let bucket = subject.database().gridfs_bucket(options);
    let content = content(3500);
    let id = upload(&bucket, &content);
    wait_until("whole file", || {
        download(&bucket, &id)
            .ok()
            .filter(|found| *found == content)
            .map(drop)
    });
    assert_eq!(index_keys(&subject, "fs.chunks").len(), 1);
    go!(bucket.delete(id)).expect("is sent");
    go!(bucket.delete(1.into())).expect("nobody tells that it is not there");
    wait_until("end of all chunks", || {
        stored(&subject, "fs.chunks").is_empty().then_some(())
    });
}

fn deleting_and_renaming_what_is_not_there_is_an_error(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let bucket = bucket(&subject);
    let id = upload(&bucket, b"x");
    go!(bucket.rename(id.clone(), "other")).expect("renames");
    go!(bucket.rename(id, "other")).expect("has the name already");
    go!(bucket.rename_by_name("other", "third")).expect("renames");
    let missing = |outcome: Result<(), Error>, text: &str| {
        let error = outcome.expect_err("is not there");
        assert_eq!(gridfs_error(&error).to_string(), text);
    };
    let no_name = "the bucket has no file with the name \"other\"";
    missing(go!(bucket.rename_by_name("other", "fourth")), no_name);
    missing(go!(bucket.delete_by_name("other")), no_name);
    let no_id = "the bucket has no file with the id 5";
    missing(go!(bucket.rename(5.into(), "fourth")), no_id);
    missing(go!(bucket.delete(5.into())), no_id);
    missing(download(&bucket, &5.into()).map(drop), no_id);
    go!(bucket.delete_by_name("third")).expect("deletes");
    assert_eq!(stored(&subject, "fs.chunks").len(), 0);
}

fn dropping_the_bucket_leaves_no_collection(deployment: &Deployment) {
    let subject = Observed::new(deployment, "");
    let options = GridFsBucketOptions::builder().bucket_name("photos".to_owned());
    let photos = subject.database().gridfs_bucket(options.build());
    assert_eq!(photos.bucket_name(), "photos");
    upload(&photos, b"x");
    subject.events.forget();
    go!(photos.drop()).expect("drops");
    let drops = subject.events.commands_named("drop");
    let dropped: Vec<_> = drops
        .iter()
        .map(|drop| drop.command.get_str("drop").expect("is a name"))
        .collect();
    assert_eq!(dropped, ["photos.files", "photos.chunks"]);
    let names = go!(subject.database().list_collection_names()).expect("lists");
    assert_eq!(names, Vec::<String>::new());
    go!(photos.drop()).expect("has nothing to do");
}
