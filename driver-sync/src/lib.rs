//! The blocking twin of the [`motorcade`] MongoDB driver.
//!
//! Every verb is the same as there and takes the same options; it does its work when
//! [`Run::run`] is called, where the non-blocking driver would have `.await`. This crate holds no
//! protocol knowledge: the work is done by `motorcade` on a runtime that this crate keeps.
//!
//! ```no_run
//! use motorcade_sync::{Client, Run, bson::doc, error::Result};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, Serialize, Deserialize)]
//! struct Person {
//!     name: String,
//!     age: u32,
//! }
//!
//! fn main() -> Result<()> {
//!     let client = Client::with_uri_str("mongodb://localhost:27017")?;
//!     let people = client.database("town").collection::<Person>("people");
//!     people.insert_one(Person { name: "Ada".into(), age: 36 }).run()?;
//!     for person in people.find(doc! { "age": { "$gt": 30 } }).run()? {
//!         println!("{:?}", person?);
//!     }
//!     client.shutdown().run();
//!     Ok(())
//! }
//! ```
//!
//! # Threads
//! Every handle can be shared between threads. The caller's thread drives its own operation;
//! background work (monitoring, the upkeep of pools) goes on while nobody calls.
//!
//! # From async code
//! A method that may wait panics on a thread that drives async tasks, naming the caller's line. Use
//! `motorcade` there, or `tokio::task::spawn_blocking`. What does no I/O works on any thread and
//! starts none: making a client, starting a session or a transaction, opening an upload stream.
//! Dropping any value of this crate is fine anywhere: no destructor blocks.
//!
//! # After `fork()`
//! A child process can use every client that was not used before the fork, and new ones. A client
//! that was used belongs to the parent: in the child each of its operations fails with an
//! invalid-argument error, and so does what reaches beyond the documents at hand of a cursor. The
//! child may drop what it inherited, which sends nothing and leaves the parent's connections alone.
//! An `_id` that the driver makes is unique among all of these processes; one that the child makes
//! with [`ObjectId::new`](bson::oid::ObjectId::new) may be one of its parent's.

pub mod change_stream;
mod client;
mod collection;
mod cursor;
mod database;
pub mod gridfs;
mod lift;
pub mod raw_batch_cursor;
mod run;
mod runtime;
mod session;
mod session_cursor;

pub use client::Client;
pub use collection::Collection;
pub use cursor::Cursor;
pub use database::Database;
pub use futures_core::future::BoxFuture;
pub use motorcade::{
    ClusterTime, IndexModel, Namespace, SearchIndexModel, SearchIndexType, ServerInfo, ServerType,
    TopologyDescription, TopologyType, action, bson, bulk, error, event, options, results,
};
pub use run::Run;
pub use session::{ClientSession, StartTransaction};
pub use session_cursor::{SessionCursor, SessionCursorIter};
