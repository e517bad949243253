//! The tasks through the driver, as a program would write them.

use std::hint::black_box;
use std::rc::Rc;

use bson::{Document, RawDocumentBuf, doc};
use futures_util::TryStreamExt;
use motorcade::options::ClientOptions;
use motorcade::{Client, Collection};
use motorcade_sync::Run;
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;

use crate::Result;
use crate::raw::{CONNECTIONS, small_document};
use crate::server::{CHOSEN_TWEET, DATABASE, SMALL, TWEETS};
use crate::task::{Operation, Setting};
use crate::tweets::Tweet;

const TASKS: usize = 64;

fn collection<T: Send + Sync>(setting: &Setting, name: &str) -> Result<Collection<T>> {
    let client = setting
        .runtime
        .block_on(Client::with_uri_str(&setting.uri))?;
    Ok(client.database(DATABASE).collection(name))
}

pub(crate) fn hello(setting: &Setting) -> Result<Operation> {
    let runtime = Rc::clone(&setting.runtime);
    let client = runtime.block_on(Client::with_uri_str(&setting.uri))?;
    let database = client.database(DATABASE);
    Ok(Box::new(move |times| {
        runtime.block_on(async {
            for _ in 0..times {
                black_box(database.run_command(doc! { "hello": 1 }).await?);
            }
            Ok(times)
        })
    }))
}

pub(crate) fn find_one_raw(setting: &Setting) -> Result<Operation> {
    find_one::<RawDocumentBuf>(setting)
}

pub(crate) fn find_one_document(setting: &Setting) -> Result<Operation> {
    find_one::<Document>(setting)
}

fn find_one<T>(setting: &Setting) -> Result<Operation>
where
    T: DeserializeOwned + Send + Sync + Unpin + 'static,
{
    let runtime = Rc::clone(&setting.runtime);
    let tweets = collection::<T>(setting, TWEETS)?;
    Ok(Box::new(move |times| {
        runtime.block_on(async {
            for _ in 0..times {
                let found = tweets.find_one(doc! { "_id": CHOSEN_TWEET }).await?;
                black_box(found.ok_or("the tweet is gone")?);
            }
            Ok(times)
        })
    }))
}

pub(crate) fn insert_one(setting: &Setting) -> Result<Operation> {
    let runtime = Rc::clone(&setting.runtime);
    let people = collection::<Document>(setting, SMALL)?;
    Ok(Box::new(move |times| {
        runtime.block_on(async {
            for _ in 0..times {
                black_box(people.insert_one(small_document()).await?);
            }
            Ok(times)
        })
    }))
}

pub(crate) fn find_one_concurrently(setting: &Setting) -> Result<Operation> {
    let runtime = Rc::clone(&setting.runtime);
    let mut options = runtime.block_on(async { ClientOptions::parse(&setting.uri).await })?;
    options.max_pool_size = Some(CONNECTIONS);
    let client = runtime.block_on(async { Client::with_options(options) })?;
    let tweets = client
        .database(DATABASE)
        .collection::<RawDocumentBuf>(TWEETS);
    Ok(Box::new(move |times| {
        let each = times.div_ceil(TASKS);
        runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for _ in 0..TASKS {
                let tweets = tweets.clone();
                tasks.spawn(async move {
                    for _ in 0..each {
                        let found = tweets.find_one(doc! { "_id": CHOSEN_TWEET }).await?;
                        black_box(found.ok_or("the tweet is gone")?);
                    }
                    Ok(())
                });
            }
            let finished: Result<()> = tasks.join_all().await.into_iter().collect();
            finished?;
            Ok(each * TASKS)
        })
    }))
}

pub(crate) fn find_one_blocking(setting: &Setting) -> Result<Operation> {
    let client = motorcade_sync::Client::with_uri_str(&setting.uri)?;
    let tweets = client.database(DATABASE).collection::<Document>(TWEETS);
    Ok(Box::new(move |times| {
        for _ in 0..times {
            let found = tweets.find_one(doc! { "_id": CHOSEN_TWEET }).run()?;
            black_box(found.ok_or("the tweet is gone")?);
        }
        Ok(times)
    }))
}

pub(crate) fn find_many_raw(setting: &Setting) -> Result<Operation> {
    let runtime = Rc::clone(&setting.runtime);
    let tweets = collection::<RawDocumentBuf>(setting, TWEETS)?;
    let documents = setting.documents;
    Ok(Box::new(move |times| {
        runtime.block_on(async {
            let mut found = 0;
            for _ in 0..times {
                let limit = i64::try_from(documents)?;
                let mut cursor = tweets.find(doc! {}).limit(limit).await?;
                while cursor.advance().await? {
                    black_box(cursor.current());
                    found += 1;
                }
            }
            all(found, times * documents)
        })
    }))
}

pub(crate) fn find_many_struct(setting: &Setting) -> Result<Operation> {
    find_many::<Tweet>(setting)
}

pub(crate) fn find_many_document(setting: &Setting) -> Result<Operation> {
    find_many::<Document>(setting)
}

fn find_many<T>(setting: &Setting) -> Result<Operation>
where
    T: DeserializeOwned + Send + Sync + Unpin + 'static,
{
    let runtime = Rc::clone(&setting.runtime);
    let tweets = collection::<T>(setting, TWEETS)?;
    let documents = setting.documents;
    Ok(Box::new(move |times| {
        runtime.block_on(async {
            let mut found = 0;
            for _ in 0..times {
                let limit = i64::try_from(documents)?;
                let mut cursor = tweets.find(doc! {}).limit(limit).await?;
                while let Some(tweet) = cursor.try_next().await? {
                    black_box(tweet);
                    found += 1;
                }
            }
            all(found, times * documents)
        })
    }))
}

/// Fails when documents were missed, so that no shortcut goes unseen.
fn all(found: usize, expected: usize) -> Result<usize> {
    if found == expected {
        return Ok(found);
    }
    Err(format!("{found} documents were read instead of {expected}").into())
}
