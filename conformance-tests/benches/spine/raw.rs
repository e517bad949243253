//! The tasks over bare sockets: the same commands as the driver sends, encoded beforehand.

use std::rc::Rc;

use bson::oid::ObjectId;
use bson::spec::BinarySubtype;
use bson::{Binary, Document, doc};
use tokio::task::JoinSet;

use crate::Result;
use crate::server::{CHOSEN_TWEET, DATABASE, SMALL, TWEETS};
use crate::socket::{AsyncSocket, BlockingSocket, Request};
use crate::task::{Operation, Setting};

/// As many as the driver's pool has where many tasks share one.
pub(crate) const CONNECTIONS: u32 = 10;

pub(crate) fn hello(setting: &Setting) -> Result<Operation> {
    round_trips(setting, Request::new(&in_session(doc! { "hello": 1 }))?)
}

pub(crate) fn find_one(setting: &Setting) -> Result<Operation> {
    round_trips(setting, find_one_request()?)
}

fn round_trips(setting: &Setting, request: Request) -> Result<Operation> {
    let runtime = Rc::clone(&setting.runtime);
    let mut socket = runtime.block_on(AsyncSocket::connect(&setting.address))?;
    runtime.block_on(async { socket.round_trip(&request).await?.check() })?;
    Ok(Box::new(move |times| {
        runtime.block_on(async {
            for _ in 0..times {
                socket.round_trip(&request).await?;
            }
            Ok(times)
        })
    }))
}

/// Every insert has an `_id` of its own, written over the last one.
pub(crate) fn insert_one(setting: &Setting) -> Result<Operation> {
    let runtime = Rc::clone(&setting.runtime);
    let first = ObjectId::new();
    let mut document = doc! { "_id": first };
    document.extend(small_document());
    let body = in_session(doc! { "insert": SMALL, "ordered": true });
    let mut request = Request::new(&body)?.with_documents("documents", &[document])?;
    let position = request.position_of(&first.bytes())?;
    let mut socket = runtime.block_on(AsyncSocket::connect(&setting.address))?;
    runtime.block_on(async { socket.round_trip(&request).await?.check() })?;
    Ok(Box::new(move |times| {
        runtime.block_on(async {
            for _ in 0..times {
                request.replace(position, &ObjectId::new().bytes());
                socket.round_trip(&request).await?;
            }
            Ok(times)
        })
    }))
}

pub(crate) fn find_one_concurrently(setting: &Setting) -> Result<Operation> {
    let runtime = Rc::clone(&setting.runtime);
    let request = find_one_request()?;
    let mut sockets = Vec::new();
    for _ in 0..CONNECTIONS {
        sockets.push(runtime.block_on(AsyncSocket::connect(&setting.address))?);
    }
    Ok(Box::new(move |times| {
        let each = times.div_ceil(sockets.len());
        let count = sockets.len();
        runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for mut socket in sockets.drain(..) {
                let request = request.clone();
                tasks.spawn(async move {
                    for _ in 0..each {
                        socket.round_trip(&request).await?;
                    }
                    Ok(socket)
                });
            }
            let finished: Result<Vec<_>> = tasks.join_all().await.into_iter().collect();
            sockets.extend(finished?);
            Ok(each * count)
        })
    }))
}

pub(crate) fn find_one_blocking(setting: &Setting) -> Result<Operation> {
    let request = find_one_request()?;
    let mut socket = BlockingSocket::connect(&setting.address)?;
    socket.round_trip(&request)?.check()?;
    Ok(Box::new(move |times| {
        for _ in 0..times {
            socket.round_trip(&request)?;
        }
        Ok(times)
    }))
}

pub(crate) fn find_many(setting: &Setting) -> Result<Operation> {
    const PLACEHOLDER: i64 = 0x0123_4567_89AB_CDEF;
    let runtime = Rc::clone(&setting.runtime);
    let documents = setting.documents;
    let limit = i64::try_from(documents)?;
    let find = doc! { "find": TWEETS, "filter": {}, "limit": limit };
    let find = Request::new(&in_session(find))?;
    let get_more = doc! { "getMore": PLACEHOLDER, "collection": TWEETS };
    let mut get_more = Request::new(&in_session(get_more))?;
    let position = get_more.position_of(&PLACEHOLDER.to_le_bytes())?;
    let mut socket = runtime.block_on(AsyncSocket::connect(&setting.address))?;
    Ok(Box::new(move |times| {
        runtime.block_on(async {
            for _ in 0..times {
                let mut cursor = socket.round_trip(&find).await?.cursor_id()?;
                while cursor != 0 {
                    get_more.replace(position, &cursor.to_le_bytes());
                    cursor = socket.round_trip(&get_more).await?.cursor_id()?;
                }
            }
            Ok(times * documents)
        })
    }))
}

/// What `insert_one` inserts, without its `_id`.
pub(crate) fn small_document() -> Document {
    doc! { "name": "Ada Lovelace", "born": 1815, "city": "London", "active": true }
}

fn find_one_request() -> Result<Request> {
    let filter = doc! { "_id": CHOSEN_TWEET };
    let find = doc! { "find": TWEETS, "filter": filter, "limit": 1, "singleBatch": true };
    Request::new(&in_session(find))
}

fn in_session(mut command: Document) -> Document {
    // The constant stands for the random identifier of an implicit session.
    let bytes = b"spine bench 0001".to_vec();
    let subtype = BinarySubtype::Uuid;
    command.insert("lsid", doc! { "id": Binary { subtype, bytes } });
    command.insert("$db", DATABASE);
    command
}
