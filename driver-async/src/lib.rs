//! A fast, complete, non-blocking MongoDB driver on tokio.
//!
//! ```no_run
//! use futures_util::TryStreamExt;
//! use motorcade::{Client, bson::doc, error::Result};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, Serialize, Deserialize)]
//! struct Person {
//!     name: String,
//!     age: u32,
//! }
//!
//! # async fn example() -> Result<()> {
//! let client = Client::with_uri_str("mongodb://localhost:27017").await?;
//! let people = client.database("town").collection::<Person>("people");
//! people.insert_one(Person { name: "Ada".into(), age: 36 }).await?;
//! let mut adults = people.find(doc! { "age": { "$gte": 18 } }).sort(doc! { "name": 1 }).await?;
//! while let Some(person) = adults.try_next().await? {
//!     println!("{person:?}");
//! }
//! client.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! Every verb returns an [action]: plain data that does nothing until it is awaited, with
//! one setter an option. Handles ([`Client`], [`Database`], [`Collection`]) are cheap to clone and
//! share one pool of connections for each server. Make one client and keep it.
//!
//! # What this version does not do
//! `mongodb+srv` look-ups, compression, SOCKS5 proxies, field level encryption, and the mechanisms
//! MONGODB-AWS, MONGODB-OIDC and GSSAPI.
//! Options that ask for one of these give an error, or a [warning] where ignoring them is safe.
//!
//! [warning]: options::ClientOptions::warnings
//!
//! # Cancellation
//! Any future of this crate may be dropped at any await, by `select!` or a timeout. That ends the
//! operation, and a connection that was in the midst of a message is closed. Whether a cancelled
//! write took effect is not known, as with any lost connection.
//!
//! What other callers can use goes on: an attempt to connect continues under `connectTimeoutMS` and
//! fills the pool, so callers whose timeout is shorter than a login still get a connection
//! eventually; a cursor's `getMore` and a change stream's resumption run to completion, and the next
//! step returns their result. A dropped cursor is closed on its server in the background, and one that
//! was about to be opened as well; a transaction that was left open is aborted.
//!
//! An operation's future that is not polled holds its connection. An idle cursor or change stream
//! holds none (except behind a load balancer, where the connection belongs to it).
//!
//! # Runtimes and blocking code
//! Operations must be awaited on a tokio runtime of any kind with I/O enabled; elsewhere they fail
//! with an invalid-argument error. A client can be used on several runtimes at once, and does
//! not belong to any of them: a connection moves to the runtime of the operation that uses it.
//!
//! The driver runs one background thread, shared by all clients of the process. It monitors servers,
//! opens connections, maintains the pools, closes abandoned cursors and sessions, and runs all
//! timers. It starts with the first operation and ends after the last client is gone and cleaned up.
//! This thread keeps running even if the application's runtimes are blocked or shut down: heartbeats
//! are sent while every worker computes, and time limits, including `timeoutMS`, count real time
//! even where `tokio::time::pause` has stopped the clock. It ends with the process; call
//! [`Client::shutdown`] first to have everything closed on the servers.
//!
//! For blocking code there is `motorcade-sync`, the same driver with `.run()` in place of `.await`.
//!
//! # Features
//! | feature | default | effect |
//! |---|---|---|
//! | `rustls-tls` | yes | TLS connections with rustls, ring and the bundled Mozilla roots |

pub mod action;
mod address;
mod background;
pub mod bulk;
pub mod change_stream;
mod client;
mod clock;
mod collection;
mod concerns;
mod conn;
mod cursor;
mod database;
mod deadline;
mod description;
pub mod error;
pub mod event;
mod exec;
pub mod gridfs;
#[doc(hidden)]
pub mod internal;
mod namespace;
mod net;
mod object_ids;
mod operation;
pub mod options;
mod pool;
mod process;
mod proto;
pub mod raw_batch_cursor;
pub mod results;
mod session;
mod topology;
mod uri;

pub use bson;
pub use futures_core::future::BoxFuture;

pub use client::Client;
pub use collection::Collection;
pub use cursor::{Cursor, SessionCursor, SessionCursorStream};
pub use database::Database;
pub use description::{
    ServerDescription as ServerInfo, ServerType, TopologyDescription, TopologyType,
};
pub use namespace::Namespace;
pub use options::{IndexModel, SearchIndexModel, SearchIndexType};
pub use proto::cluster_time::ClusterTime;
pub use session::ClientSession;
